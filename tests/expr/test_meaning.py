"""Evaluation against a plain row-by-row interpreter, over random rows with nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate, truth
from elanus.expr.parser import parse
from elanus.expr.prune import may_match
from elanus.schema.types import DataType
from expr.columns import Columns, columns_of, schema_of
from expr.reference import (
    EXPRESSIONS,
    FIELDS,
    LEAVES,
    ROW,
    Sample,
    kleene_and,
    kleene_not,
)

SCHEMA = schema_of(FIELDS)
ROWS = st.lists(ROW, max_size=8)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with primary keys."""
    return [{"id": number, **row} for number, row in enumerate(rows)]


def ranges_of(columns: Columns) -> dict[int, tuple[Any, Any, int]]:
    """Least, greatest and NULL count of every plain column."""
    ranges = {}
    for field in SCHEMA.scalars:
        if field.dtype in (DataType.JSON, DataType.ARRAY, DataType.GEOMETRY):
            continue
        values = columns.column(field.id).to_pylist()
        known = [value for value in values if value is not None]
        ends = (min(known), max(known)) if known else (None, None)
        ranges[field.id] = (*ends, len(values) - len(known))
    return ranges


def check(sample: Sample, rows: list[dict[str, Any]], pad: int) -> None:
    """Mask, unknown rows and pruning agree with the row-by-row answers."""
    rows = numbered(rows)
    columns = columns_of(SCHEMA, rows, pad)
    predicate = compile_filter(sample.text, SCHEMA, sample.params)
    answers = [sample.decide(row) for row in rows]
    matching = evaluate(predicate, columns)
    assert matching.dtype == np.bool_
    assert matching.tolist() == [answer is True for answer in answers]
    unknown = truth(predicate.condition, columns).unknown
    unknown_rows = [False] * len(rows) if unknown is None else unknown.tolist()
    assert unknown_rows == [answer is None for answer in answers]
    if matching.any():
        assert may_match(predicate, ranges_of(columns))


@settings(max_examples=150)
@given(LEAVES, ROWS, st.integers(0, 9))
def test_one_condition_means_what_it_says_of_each_row(
    sample: Sample, rows: list[dict[str, Any]], pad: int
) -> None:
    """A single condition is true, false or unknown exactly where the definition is."""
    check(sample, rows, pad)


@settings(max_examples=200)
@given(EXPRESSIONS, ROWS, st.integers(0, 9))
def test_conditions_combine_by_strong_kleene_logic(
    sample: Sample, rows: list[dict[str, Any]], pad: int
) -> None:
    """Any nesting of and, or and not follows the three-valued tables."""
    check(sample, rows, pad)


@settings(max_examples=60)
@given(LEAVES, LEAVES, st.lists(ROW, min_size=1, max_size=6), st.integers(0, 3))
def test_rows_that_cheap_conditions_rule_out_change_nothing(
    first: Sample, second: Sample, rows: list[dict[str, Any]], kept: int
) -> None:
    """A conjunction that leaves few rows to its costly parts answers the same."""
    many = numbered(rows * 20)
    columns = columns_of(SCHEMA, many)
    text = f"id <= {kept} and ({first.text}) and not ({second.text})"
    params = {**first.params, **second.params}
    condition = compile_filter(text, SCHEMA, params).condition
    answer = truth(condition, columns)
    unknown = np.zeros_like(answer.true) if answer.unknown is None else answer.unknown
    for row in many:
        second_truth = kleene_not(second.decide(row))
        expected = kleene_and([row["id"] <= kept, first.decide(row), second_truth])
        assert bool(answer.true[row["id"]]) == (expected is True)
        assert bool(unknown[row["id"]]) == (expected is None)


@settings(max_examples=200)
@given(EXPRESSIONS)
def test_printing_and_parsing_again_changes_nothing(sample: Sample) -> None:
    """A tree prints as text that parses to an equal tree and binds to equal nodes."""
    tree = parse(sample.text)
    assert parse(str(tree)) == tree
    assert str(parse(str(tree))) == str(tree)
    bound = compile_filter(sample.text, SCHEMA, sample.params)
    assert compile_filter(str(tree), SCHEMA, sample.params) == bound
    again = compile_filter(str(bound), SCHEMA)
    assert str(again) == str(bound)
