"""Any text is a predicate or a typed error, soon; templates mean what literals mean."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.expr.predicate import Predicate
from elanus.expr.prune import may_match
from elanus.schema.limits import EXPRESSION_DEPTH
from expr.columns import columns_of, schema_of
from expr.reference import FIELDS, PLACES, Place, constants_for, quote

SCHEMA = schema_of(FIELDS)
_SOON_S = 5.0

WORDS = [
    "and",
    "or",
    "not",
    "!",
    "&&",
    "||",
    "in",
    "like",
    "exists",
    "is",
    "null",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "=",
    "=~",
    "!~",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "&",
    "|",
    "^",
    "~",
    "<<",
    ">>",
    "(",
    ")",
    "[",
    "]",
    ",",
    "{",
    "}",
    "$",
    "$meta",
    '"a"',
    "'b'",
    '"a%"',
    "1",
    "0",
    "-1",
    "1.5",
    "0x1",
    "017",
    "1e400",
    "true",
    "FALSE",
    "id",
    "small",
    "big",
    "real",
    "wide",
    "flag",
    "word",
    "doc",
    "nums",
    "tags",
    "dyn",
    'doc["x"]',
    "nums[0]",
    "[1,2]",
    '["a"]',
    "json_contains(",
    "array_contains_all(",
    "array_length(",
    "random_sample(0.5)",
    "text_match(",
    "foo(",
    "{x}",
    "{y}",
    "9223372036854775808",
    "-9223372036854775808",
    '"\\q"',
    "]]",
    "2",
    "is null",
    "is not null",
]


def outcome(text: str, params: dict[str, object] | None = None) -> Predicate | None:
    """The predicate, or None when the text is refused."""
    begin = time.perf_counter()
    try:
        predicate = compile_filter(text, SCHEMA, params)
    except QueryPlanError as error:
        assert str(error).endswith("invalid parameter")
        predicate = None
    assert time.perf_counter() - begin < _SOON_S
    return predicate


@given(st.text(max_size=40))
def test_any_text_is_a_predicate_or_a_query_plan_error(text: str) -> None:
    """No text, however strange, raises anything else."""
    outcome(text)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_any_words_in_any_order_are_too(words: list[str]) -> None:
    """Nor does any sequence of the language's own words, spaced or not."""
    params = {"x": 1, "y": ["a", 2.5]}
    outcome(" ".join(words), params)
    outcome("".join(words), params)


@given(st.data())
def test_a_template_means_what_its_literal_means(data: st.DataObject) -> None:
    """A value beside the text and the same value inside it bind to equal predicates."""
    place: Place = data.draw(PLACES)
    value = data.draw(constants_for(place.kind))
    values = data.draw(st.lists(constants_for(place.kind), max_size=4))
    forms = [(f"{place.text} == {{}}", value)]
    if "length" not in place.text:
        forms.append((f"{place.text} not in {{}}", values))
    if place.kind == "int":
        forms.append((f"{place.text} + {{}} > 3", value))
    for form, constant in forms:
        literal = compile_filter(form.replace("{}", quote(constant)), SCHEMA)
        template = compile_filter(form.replace("{}", "{x}"), SCHEMA, {"x": constant})
        assert template == literal


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_000 + "id == 1" + ")" * 1_000,
        "not (" * 1_000 + "id == 1" + ")" * 1_000,
        "id == " + "-" * 1_000 + "1",
        "id == 1" + " + 1" * 1_000,
        "id == " + "(" * 1_000 + "1" + " + 1)" * 1_000,
        "doc == " + "[" * 1_000 + "1" + "]" * 1_000,
        "(id > 0 and (small < 0 or " * 500 + "id == 1" + "))" * 500,
        "(" * 1_000 + "id == 1" + " and id > 0) or big < 0)" * 500,
        "not (id > 0 and " * 1_000 + "id == 1" + ")" * 1_000,
        " or ".join(f"id == {i}" for i in range(10_000)),
        " and ".join(f"(id != {i} or id < 0)" for i in range(2_000)),
    ],
    ids=[
        "parentheses",
        "negations",
        "signs",
        "sums",
        "sums in parentheses",
        "lists",
        "terms to the right",
        "terms to the left",
        "negated terms",
        "long or",
        "long and",
    ],
)
def test_a_thousand_levels_and_any_length_are_accepted(text: str) -> None:
    """A thousand levels and chains of any length compile, run, compare and print.

    In a thread, where the machine's stack may be smaller.
    """
    columns = columns_of(SCHEMA, [{"id": 1, "small": 1, "big": 1}])

    def use() -> bool:
        predicate = compile_filter(text, SCHEMA)
        again = compile_filter(f"{text} ", SCHEMA)
        assert str(predicate) and predicate == again and hash(predicate) == hash(again)
        assert predicate.fields and may_match(predicate, {})
        return bool(evaluate(predicate, columns)[0])

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(use).result() in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "not " * 5_000 + "id == 1",
        "id == " + "-" * 20_000 + "1",
        "[" * 20_000,
        "id == 1" + " + 1" * 20_000,
        "foo(" * 20_000,
        "(id == 1 or " * (EXPRESSION_DEPTH + 1)
        + "id == 2"
        + ")" * (EXPRESSION_DEPTH + 1),
    ],
    ids=["parentheses", "negations", "signs", "lists", "sums", "calls", "pairs"],
)
def test_deeper_nesting_is_refused_by_name(text: str) -> None:
    """Beyond the limit the error says so, and the interpreter's stack survives."""
    with pytest.raises(QueryPlanError, match="nesting depth"):
        compile_filter(text, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "id in [" + "1, " * 200_000,
        "[" + "1," * 100_000 + "x",
        '["' + "a" * 500_000,
        "'" + "\\'" * 300_000,
        "word == '" + "\\x41" * 200_000 + "'",
        "id == " + "9" * 200_000,
        "id == 1" + " " * 500_000,
        "{" * 100_000,
        "[[" * 50_000,
        "[1,[" * 50_000,
    ],
)
def test_hostile_texts_are_decided_in_bounded_time(text: str) -> None:
    """Unclosed, huge and repetitive texts cost time in proportion to their length."""
    outcome(text)


def test_the_message_holds_the_expression_and_the_reason() -> None:
    """The text is what Milvus' planner says, ready for the caller's prefix."""
    with pytest.raises(QueryPlanError) as caught:
        compile_filter("word > 1", SCHEMA)
    assert str(caught.value) == (
        "cannot parse expression: word > 1: comparisons between VarChar and Int64 "
        "are not supported: query plan failed: invalid parameter"
    )
    with pytest.raises(QueryPlanError) as caught:
        compile_filter("flag", SCHEMA)
    assert str(caught.value) == (
        "predicate is not a boolean expression: flag, data type: Bool: "
        "invalid parameter"
    )


def test_an_unknown_field_is_named() -> None:
    """Without a dynamic field, an unknown name is an error and not a missing key."""
    schema = schema_of(["id Int64 primary", "small Int8"])
    with pytest.raises(QueryPlanError) as caught:
        compile_filter("x == 1", schema)
    assert str(caught.value) == (
        "cannot parse expression: x == 1: field x not exist: invalid parameter"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"word like '{'_' * 100_000}'", "like pattern is too large, got 100000"),
        (f"word like '_{'a' * 1_000_000}%'", "like pattern is too large"),
        (f"word =~ '{'a' * 1_000_000}'", "pattern too large"),
        (f"word =~ '{'(' * 5_000}a{')' * 5_000}'", "expression nests too deeply"),
    ],
    ids=["wildcards", "like", "regex", "groups"],
)
def test_patterns_too_large_are_refused_before_any_row_is_read(
    text: str, complaint: str
) -> None:
    """What the library would not compile is our error, not its own."""
    with pytest.raises(QueryPlanError, match=complaint):
        compile_filter(text, SCHEMA)
    compile_filter(f"word like '%{'a_' * 5_000}'", SCHEMA)
    compile_filter(f"word =~ '{'(' * 900}a{')' * 900}'", SCHEMA)
