"""What ``text_match`` and its like make of their arguments."""

from __future__ import annotations

import pytest

from elanus.errors import QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.text_condition import TextMatch
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.text.match import Phrase, Similar, Words

_MATCHED = {"enable_analyzer": "true", "enable_match": "true"}
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("t", DataType.TEXT, properties=_MATCHED),
        FieldSchema(
            "s",
            DataType.VARCHAR,
            max_length=99,
            properties={**_MATCHED, "analyzer_params": '{"type": "english"}'},
        ),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
    )
).with_ids()


def condition(text: str, **params: object) -> TextMatch:
    """The condition of a filter that is one call."""
    bound = compile_filter(text, SCHEMA, params).condition
    assert isinstance(bound, TextMatch)
    return bound


def test_words_are_cut_by_the_analyzer_of_the_field() -> None:
    """Stems of the english analyzer, words of the standard one; templates, too."""
    assert condition('text_match(s, "The Running dogs")').query == Words(("run", "dog"))
    assert condition('TEXT_MATCH(t, "Running dogs")').query == Words(
        ("running", "dogs")
    )
    assert condition("text_match(t, {x})", x="a b").query == Words(("a", "b"))


def test_options() -> None:
    """How many words, how far apart, how similar."""
    asked = condition('text_match(t, "a a b", minimum_should_match=2)')
    assert asked.query == Words(("a", "a", "b"), 2)
    assert condition('phrase_match(t, "a b")').query == Phrase((("a", 0), ("b", 1)))
    # a stop word keeps its place
    asked = condition('PHRASE_MATCH(s, "bread and butter", 3)')
    assert asked.query == Phrase((("bread", 0), ("butter", 2)), 3)
    asked = condition('text_match_fuzzy(t, "word", max_edit_distance=1)')
    assert asked.query == Similar(("word",), 1)


def test_conditions_print_as_written() -> None:
    """A printed condition is an expression that means the same."""
    for text in (
        'text_match(s, "a \\"b\\"")',
        'text_match(s, "a b", minimum_should_match=2)',
        'phrase_match(t, "a b", 7)',
    ):
        asked = condition(text)
        assert condition(str(asked)) == asked


REFUSED = [
    ('text_match(t, "a", minimum_should_match=0)', "should be >= 1, got 0"),
    ('text_match(t, "a", minimum_should_match=1001)', "should be <= 1000, got 1001"),
    ('text_match(t, "a", minimum_should_match="x")', "should be a const integer"),
    ('text_match(t, "a", slop=1)', "unknown argument slop"),
    ("text_match(t, 1)", "should be a string literal or template variable, got: 1"),
    ('text_match(v, "a")', "text match operation on non-string is unsupported"),
    ('text_match(x, "a")', "field x not exist"),
    ('phrase_match(t, "a b", -1)', '"slop" should not be a negative interger'),
    ('phrase_match(t, "a b", 4294967296)', '"slop" exceeds the range of "uint32"'),
    ('phrase_match(t, "a b", 1.5)', '"slop" should be a const integer expression'),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_refused(text: str, reason: str) -> None:
    """What is wrong is told in Milvus' words."""
    with pytest.raises(QueryPlanError) as caught:
        compile_filter(text, SCHEMA)
    assert reason in str(caught.value)
