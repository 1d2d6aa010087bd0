"""Costly conditions on the few rows that cheaper ones have left.

A pattern over 100,000 strings takes milliseconds, a comparison of numbers 0.02; in a
conjunction the pattern need only see the rows that the comparison has not ruled out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.jsonpath import Path, PathColumn
from elanus.expr.kleene import Mask, conjunction
from elanus.expr.source import ColumnSource
from elanus.expr.text_condition import TextMatch
from elanus.schema.arrays import array_of, values_of
from elanus.schema.types import DataType
from elanus.text.postings import Occurrences

FEW_ROWS_LEFT: Final = 8
"""Narrowing pays when at most one row in so many is left: taking rows costs, too."""


class NarrowedSource:
    """Some rows of another source, in order; without its JSON paths."""

    def __init__(self, source: ColumnSource, rows: npt.NDArray[np.int64]) -> None:
        self._source = source
        self._rows = array_of(rows)

    @property
    def n_rows(self) -> int:
        """How many rows are left."""
        return len(self._rows)

    def column(self, field_id: int) -> pa.Array:
        """A column's rows that are left."""
        return self._source.column(field_id).take(self._rows)

    def boxes(self, field_id: int) -> Boxes:
        """The boxes of a column of geometries, of the rows that are left."""
        return self._source.boxes(field_id).take(values_of(self._rows))

    def json_path(self, field_id: int, path: Path) -> PathColumn:
        """Never asked for: no condition on JSON counts as costly."""
        raise InternalError("JSON paths are cached whole and are not narrowed")

    def texts(self, field_id: int) -> Occurrences:
        """Never asked for: no condition on tokens counts as costly."""
        raise InternalError("indexes of texts are not narrowed")


def is_costly(condition: p.Condition) -> bool:
    """Whether a condition reads strings, geometries or whole arrays, and no JSON."""
    if isinstance(condition, p.Not):
        return is_costly(condition.part)
    if isinstance(condition, p.Spatial | p.Match):
        return True
    if isinstance(condition, TextMatch):
        return False
    if isinstance(condition, p.Contains):
        return isinstance(condition.array, p.Column)
    operand: Any = getattr(condition, "operand", None)
    if not isinstance(operand, (p.Column, p.Element)):
        return False
    return operand.dtype in (DataType.VARCHAR, DataType.ARRAY)


def rows_left(mask: Mask) -> npt.NDArray[np.int64]:
    """The rows that are not false."""
    return np.flatnonzero(
        mask.true if mask.unknown is None else mask.true | mask.unknown
    )


def conjunction_at(mask: Mask, rows: npt.NDArray[np.int64], inner: Mask) -> Mask:
    """``mask`` and an answer for ``rows`` alone; all others are false in ``mask``."""
    unknown = None if mask.unknown is None else mask.unknown[rows]
    both = conjunction([Mask(mask.true[rows], unknown), inner])
    true = np.zeros_like(mask.true)
    true[rows] = both.true
    if both.unknown is None:
        return Mask(true)
    scattered = np.zeros_like(mask.true)
    scattered[rows] = both.unknown
    return Mask(true, scattered)
