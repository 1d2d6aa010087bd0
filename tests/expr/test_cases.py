"""Expressions and what they mean, as text: ``cases/*.txt`` over ``cases/main.data``.

A case is a line ``filter TEXT``, perhaps a line ``params JSON`` before it, and then
``rows`` with the numbers of the matching rows, or ``error`` with a part of the message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from elanus.errors import QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.schema.schema import CollectionSchema
from expr.columns import Columns, columns_of, read_data

CASES = Path(__file__).parent / "cases"


class Case(NamedTuple):
    """One expectation."""

    text: str
    params: dict[str, Any]
    rows: list[int] | None
    error: str | None


def read_cases(path: Path) -> Iterator[Any]:
    """The cases of one file; ``<newline>`` in a filter stands for a line break."""
    text, params = "", {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, _, rest = line.partition(" ")
        if word == "params":
            params = json.loads(rest)
        elif word == "filter":
            text = rest.replace("<newline>", "\n")
        elif word in ("rows", "error"):
            rows = [int(n) for n in rest.split()] if word == "rows" else None
            case = Case(text, params, rows, rest if word == "error" else None)
            yield pytest.param(case, id=f"{path.stem}:{number}")
            params = {}
        else:
            assert not word or word.startswith("#"), f"{path.name}:{number}: {line}"


@cache
def data(pad: int) -> tuple[CollectionSchema, Columns]:
    """The data set; with ``pad``, in Arrow arrays that begin at an odd offset."""
    schema, rows = read_data(CASES / "main.data")
    return schema, columns_of(schema, rows, pad)


ALL_CASES = [case for path in sorted(CASES.glob("*.txt")) for case in read_cases(path)]


@pytest.mark.parametrize("case", ALL_CASES)
def test_an_expression_means_what_its_case_says(case: Case) -> None:
    """Each case selects exactly its rows, or is refused with its words."""
    schema, columns = data(0)
    if case.error is not None:
        with pytest.raises(QueryPlanError) as caught:
            compile_filter(case.text, schema, case.params)
        assert case.error in str(caught.value)
        assert str(caught.value).endswith(": invalid parameter")
        return
    predicate = compile_filter(case.text, schema, case.params)
    assert np.flatnonzero(evaluate(predicate, columns)).tolist() == case.rows


@pytest.mark.parametrize("case", [c for c in ALL_CASES if c.values[0].rows is not None])
def test_columns_may_be_slices_of_larger_arrays(case: Case) -> None:
    """The answer does not depend on where in its buffers a column begins."""
    schema, columns = data(3)
    predicate = compile_filter(case.text, schema, case.params)
    assert np.flatnonzero(evaluate(predicate, columns)).tolist() == case.rows
