"""What a predicate tells besides its rows: fields, keys, constants, samples, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from elanus.errors import InternalError, QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.expr.prune import may_match
from expr.columns import columns_of, schema_of
from expr.reference import FIELDS

SCHEMA = schema_of(FIELDS)
IDS = {field.name: field.id for field in SCHEMA.fields}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("id == 1", ["id"]),
        ("small > 1 and (word == 'a' or not flag == true)", ["small", "word", "flag"]),
        ("dyn == 1 or doc['x'] == 1", ["$meta", "doc"]),
        ("nums[0] == 1 and array_length(tags) == 1", ["nums", "tags"]),
        ("word == text", ["word", "text"]),
        ("exists dyn and small is null", ["$meta", "small"]),
        ("array_contains(nums, 1) and 1 < big < 3", ["nums", "big"]),
        ("big + 1 == 2 and word like 'a%'", ["big", "word"]),
        ("true or id > 1", []),
    ],
)
def test_a_predicate_names_the_fields_it_reads(text: str, names: list[str]) -> None:
    """Exactly the columns that evaluation asks its source for."""
    assert compile_filter(text, SCHEMA).fields == {IDS[name] for name in names}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("id == 7", [7]),
        ("7 == id", [7]),
        ("(id) in [3, 1, 2]", [3, 1, 2]),
        ("id in []", []),
        ("id not in [1]", None),
        ("id != 7", None),
        ("not (id == 7)", None),
        ("id == 7 and small == 1", None),
        ("id == 7 or id == 8", [7, 8]),
        ("(id == 7 or id in [8, 9]) or id == 1", [7, 8, 9, 1]),
        ("id == 7 or small == 8", None),
        ("id != 7 and id != 8", None),
        ("small == 7", None),
        ("dyn in [1]", None),
        ("id == 7 and random_sample(0.5)", None),
        ("", None),
    ],
)
def test_a_filter_on_nothing_but_keys_gives_the_keys(
    text: str, keys: list[int] | None
) -> None:
    """Deletes use the keys without a scan, so only exact key filters may give them."""
    assert compile_filter(text, SCHEMA).primary_keys() == keys


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("small == 1 or small == 2", "small in [1, 2]"),
        ("small == 1 or big == 2 or 3 == small", "small in [1, 3] or big == 2"),
        ("small != 1 and small not in [2, 3]", "small not in [1, 2, 3]"),
        ("not (small == 1 or small == 2)", "small not in [1, 2]"),
        ("word == 'a' or (flag == true or word == 'b')", None),
        ("real == 1 or real == 2.5", "real in [1, 2.5]"),
        ("nums[0] == 1 or nums[1] == 1 or nums[0] == 2", None),
        ("doc['x'] == 1 or doc['x'] == 2", "doc['x'] in [1, 2]"),
        ("doc['x'] != 'a' and doc['x'] != 'b'", "doc['x'] not in ['a', 'b']"),
    ],
)
def test_equalities_of_one_operand_are_one_look_up(text: str, same: str | None) -> None:
    """A chain is bound as the list that says the same."""
    bound = compile_filter(text, SCHEMA)
    if same is not None:
        assert bound == compile_filter(same, SCHEMA)
    assert " in [" in str(bound)


@pytest.mark.parametrize(
    "text",
    [
        "doc['x'] == 1 or doc['x'] == 'a'",  # unknown of either where it is the other
        "doc['x'] == 1 or doc['x'] == 1.5",  # exact of one, doubles of the other
        "doc['x'] == [1] or doc['x'] == [2]",
        "nums == [1] or nums == [2]",
        "small == 1 or small != 2",
        "small == 1 and small == 2",
        "small != 1 or small != 2",
        "array_length(nums) == 1 or array_length(nums) == 2",
        "small + 1 == 1 or small + 1 == 2",
    ],
)
def test_what_no_list_says_stays_a_chain(text: str) -> None:
    """Only what a list means exactly becomes one."""
    assert " in [" not in str(compile_filter(text, SCHEMA))


def test_string_keys_are_given_as_strings() -> None:
    """The same for a VarChar primary key."""
    schema = schema_of(["name VarChar primary"])
    assert compile_filter("name in ['a', 'b']", schema).primary_keys() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "is_true", "is_false"),
    [
        ("", True, False),
        ("  \n", True, False),
        ("true", True, False),
        ("1 == 2", False, True),
        ("true or id > 0", True, False),
        ("id > 0 and false", False, True),
        ("id is null", False, True),
        ("id is not null", True, False),
        ("array_contains_all(nums, [])", True, False),
        ("id > 0", False, False),
        ("random_sample(0.5)", False, False),
        ("false and random_sample(0.5)", False, True),
    ],
)
def test_constant_filters_are_recognised(
    text: str, is_true: bool, is_false: bool
) -> None:
    """Filters that no row can change are known before any row is read."""
    predicate = compile_filter(text, SCHEMA)
    assert (predicate.is_always_true, predicate.is_always_false) == (is_true, is_false)


def test_random_sample_draws_exactly_its_share_of_the_matching_rows() -> None:
    """Max(1, floor(n × p)) distinct matching rows; the same ones for the same seed."""
    columns = columns_of(SCHEMA, [{"id": i, "big": i % 2} for i in range(1000)])
    predicate = compile_filter("big == 1 and random_sample(0.3)", SCHEMA)
    drawn = evaluate(predicate, columns, np.random.default_rng(7))
    assert np.count_nonzero(drawn) == 150
    assert not drawn[0::2].any()
    again = evaluate(predicate, columns, np.random.default_rng(7))
    assert np.array_equal(drawn, again)
    other = evaluate(predicate, columns, np.random.default_rng(8))
    assert not np.array_equal(drawn, other)


def test_random_sample_gives_at_least_one_row_if_any_matches() -> None:
    """A tiny share still draws one row; no match draws none."""
    columns = columns_of(SCHEMA, [{"id": i, "big": i} for i in range(5)])
    rng = np.random.default_rng(0)
    one = evaluate(compile_filter("random_sample(0.001)", SCHEMA), columns, rng)
    assert np.count_nonzero(one) == 1
    none = compile_filter("big > 9 and random_sample(0.9)", SCHEMA)
    assert not evaluate(none, columns, rng).any()


@pytest.mark.parametrize(
    ("rows", "factor", "drawn"),
    [(10, 0.3, 3), (10, 0.99, 9), (3, 0.6, 2), (100, 0.75, 75), (1, 0.9, 1)],
)
def test_a_sample_of_all_rows_leaves_out_what_milvus_does(
    rows: int, factor: float, drawn: int
) -> None:
    """Of more than half of them, the rest is what is rounded down, to at least one."""
    columns = columns_of(SCHEMA, [{"id": i} for i in range(rows)])
    predicate = compile_filter(f"random_sample({factor})", SCHEMA)
    mask = evaluate(predicate, columns, np.random.default_rng(1))
    assert np.count_nonzero(mask) == drawn


def test_random_sample_asks_for_its_randomness() -> None:
    """Without a generator it is an error of ours, never a hidden source."""
    columns = columns_of(SCHEMA, [{"id": 1}])
    with pytest.raises(InternalError):
        evaluate(compile_filter("random_sample(0.5)", SCHEMA), columns)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("small == 5", True),
        ("small == 11", False),
        ("small == -1", False),
        ("small != 5", True),
        ("small < 0", False),
        ("small <= 0", True),
        ("small > 10", False),
        ("small >= 10", True),
        ("11 <= small <= 20", False),
        ("-5 < small < 0", False),
        ("small in [11, 12, 5]", True),
        ("small in [11, 12]", False),
        ("small not in [11]", True),
        ("not (small >= 0)", False),
        ("not (small < 5)", True),
        ("small == 11 or big == 7", True),
        ("small == 11 or big == 8", False),
        ("small == 5 and big == 8", False),
        ("big == 7", True),
        ("big != 7", False),
        ("big not in [7, 8]", False),
        ("not (big == 7)", False),
        ("big is null", False),
        ("small is null", True),
        ("word is null", False),
        ("word == 'zebra'", False),
        ("word > 'apple'", True),
        ("starts_with(word, 'm')", True),
        ("starts_with(word, 'z')", False),
        ("starts_with(word, 'appl')", True),
        ("wide > 2.5", False),
        ("wide != 1.0", True),
        ("not (wide > 0.0)", True),
        ("false", False),
        ("text == 'unknown statistics'", True),
        ("doc['x'] == 1", True),
        ("small + 1 == 100", True),
    ],
)
def test_statistics_rule_out_segments_but_never_a_match(
    text: str, expected: bool
) -> None:
    """A segment is skipped only when its ranges leave no row to match."""
    ranges: dict[int, tuple[Any, Any, int]] = {
        IDS["small"]: (0, 10, 2),
        IDS["big"]: (7, 7, 0),
        IDS["word"]: ("apple", "mango", 0),
        IDS["wide"]: (1.0, 2.0, 0),
        IDS["text"]: (None, None, 0),
    }
    assert may_match(compile_filter(text, SCHEMA), ranges) is expected


def test_equal_predicates_select_the_same_rows() -> None:
    """On JSON, 1, 1.0, true and "1" are different constants."""
    texts = ["doc['x'] == 1", "doc['x'] == true", "doc['x'] == 1.0", "doc['x'] == '1'"]
    predicates = [compile_filter(text, SCHEMA) for text in texts]
    assert len(set(predicates)) == len(texts)
    assert compile_filter(texts[0], SCHEMA) == predicates[0]
    assert hash(compile_filter(texts[0], SCHEMA)) == hash(predicates[0])


def test_an_answer_belongs_to_its_caller() -> None:
    """Writing into a mask changes no later answer."""
    rows = [{"id": i, "doc": {"x": i}, "flag": i % 2 == 0} for i in range(4)]
    columns = columns_of(SCHEMA, rows)
    for text in ("exists doc['x']", "flag == true", "doc is null", "doc['x'] >= 0", ""):
        predicate = compile_filter(text, SCHEMA)
        first = evaluate(predicate, columns)
        expected = first.copy()
        first[:] = ~first
        assert np.array_equal(evaluate(predicate, columns), expected)


def test_no_rows_give_an_empty_mask() -> None:
    """Every kind of condition takes columns without rows."""
    columns = columns_of(SCHEMA, [])
    for text in ("big == 1", "word like 'a%b_'", "doc['x'] in [1]", "nums[1] == 1"):
        assert evaluate(compile_filter(text, SCHEMA), columns).shape == (0,)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("big >= 3 and big < 9", "3 <= big < 9"),
        ("big < 9 and wide > 1.5 and big > 3", "(3 < big < 9) and (wide > 1.5)"),
        ("big > 3 and big > 5", "(big > 3) and (big > 5)"),
        ("big > 5 and big < 3", "(big > 5) and (big < 3)"),
        ("doc['x'] > 1 and doc['x'] <= 1.5", '1 < doc["x"] <= 1.5'),
        ("doc['x'] > 1 and doc['x'] < 'b'", '(doc["x"] > 1) and (doc["x"] < "b")'),
        ("flag > false and flag < true", "(flag > false) and (flag < true)"),
    ],
)
def test_two_bounds_are_a_range(text: str, meaning: str) -> None:
    """A lower and an upper bound of one column are looked up at once."""
    assert str(compile_filter(text, SCHEMA)) == meaning


def test_a_filter_is_bound_once_for_each_schema() -> None:
    """The same text means other fields elsewhere, and another time in another zone."""
    schema = schema_of(["id Int64 primary", "small VarChar", "when Timestamptz"])
    assert compile_filter("id > 1", SCHEMA) is compile_filter("id > 1", SCHEMA)
    with pytest.raises(QueryPlanError):
        compile_filter("small > 1", schema)
    assert compile_filter("small > 1", SCHEMA)
    with pytest.raises(QueryPlanError):
        compile_filter("small > 1", schema)
    noon = "when == ISO '2025-01-01 12:00:00'"
    here, there = (compile_filter(noon, schema, zone=z) for z in ("UTC", "Asia/Tokyo"))
    assert here != there
    one, two = (compile_filter("id > {x}", SCHEMA, {"x": x}) for x in (1, 2))
    assert one != two
