"""Conditions on the elements of struct arrays: which elements hold them, which rows.

The fields of a struct have lists of one length in each row, so one list's bounds are
those of all. A condition inside ``element_filter`` or ``match_*`` is evaluated on the
elements of all rows end to end, as any other is on rows. A null row has no elements.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.jsonpath import Path, PathColumn
from elanus.expr.kleene import Bools, Mask, unknown_of
from elanus.expr.source import ColumnSource, IndexedSource, fixed_width
from elanus.text.postings import Occurrences

Counts = npt.NDArray[np.int64]


class ElementSource(IndexedSource):
    """The elements of a struct array's rows, as rows of their own."""

    def __init__(self, rows: ColumnSource, field_id: int) -> None:
        self._rows = rows
        self._field_id = field_id

    @property
    def n_rows(self) -> int:
        """How many elements all rows have."""
        return int(lengths_of(self._rows, self._field_id).sum())

    def served(self, condition: p.Condition) -> Mask | None:
        """What an index answers, where that is quicker than a scan; or ``None``."""
        if isinstance(self._rows, IndexedSource):
            return self._rows.served_elements(condition)
        return None

    def serves(self, condition: p.Condition) -> bool:
        """Whether an index answers first; elements are asked in the order given."""
        return False

    def served_elements(self, condition: p.Condition) -> Mask | None:
        """Nothing: elements have no elements."""
        return None

    def column(self, field_id: int) -> pa.Array:
        """A field of the struct: its values in all rows, end to end."""
        return self._rows.column(field_id).flatten()

    def boxes(self, field_id: int) -> Boxes:
        """Never asked for: no element is a geometry."""
        raise InternalError("elements are no geometries")

    def json_path(self, field_id: int, path: Path) -> PathColumn:
        """Never asked for: no element is JSON."""
        raise InternalError("elements are no JSON")

    def texts(self, field_id: int) -> Occurrences:
        """Never asked for: no text of an element is cut."""
        raise InternalError("texts of elements are not cut")


def lengths_of(source: ColumnSource, field_id: int) -> Counts:
    """Elements of each row; none for null."""
    column = source.column(field_id)
    lengths: Counts = np.diff(fixed_width(column.offsets))
    unknown = unknown_of(column)
    if unknown is not None:
        lengths[unknown] = 0
    return lengths


def match_rows(condition: p.Match, source: ColumnSource, true: Bools) -> Mask:
    """Which rows have as many matching elements as a condition wants.

    Args:
        true: whether each element matches.
    """
    lengths = lengths_of(source, condition.field_id)
    ends = np.cumsum(lengths)
    counted = np.concatenate([[0], np.cumsum(true)])
    counts = counted[ends] - counted[ends - lengths]
    if condition.kind is p.MatchKind.ALL:
        return Mask(counts == lengths)
    if condition.kind is p.MatchKind.MOST:
        return Mask(counts <= condition.threshold)
    if condition.kind is p.MatchKind.EXACT:
        return Mask(counts == condition.threshold)
    return Mask(counts >= condition.threshold)
