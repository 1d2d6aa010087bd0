"""Single elements of the lists in struct arrays: which may be found, and whose.

A search for vectors of lists, one by one, is a search of a table of elements. Elements
of a segment are numbered row after row, as its block and its index number vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from elanus.engine.read.filter import ViewSource
from elanus.engine.version import SegmentView
from elanus.expr.evaluate_elements import element_mask
from elanus.expr.predicate import Predicate
from elanus.index.base import Allowed
from elanus.schema.columns import Offsets
from elanus.schema.vector_lists import VectorLists


def owners_of(view: SegmentView, field_id: int) -> Offsets:
    """The row of each vector of a field of lists, ascending."""
    key = ("owners", field_id)
    known: Offsets | None = view.cache.get(key)
    if known is None:
        column = view.segment.vectors(field_id, view.n_rows)
        assert isinstance(column.rows, VectorLists)
        known = column.rows.owners
        if column.present is not None:
            known = column.present[known]
        view.cache[key] = known
    return known


def allowed_elements(
    view: SegmentView, field_id: int, rows: Allowed | None, predicate: Predicate | None
) -> Allowed | None:
    """The elements of rows that may be found; ``None`` when that is all of them.

    Args:
        rows: rows that may be returned; ``None`` means all.
        predicate: what the rows match; it may ask for some of their elements only.
    """
    owners = owners_of(view, field_id)
    mask: npt.NDArray[np.bool_] | None = None if rows is None else rows.mask[owners]
    if predicate is not None and predicate.element_filter is not None:
        matching = element_mask(predicate.condition, ViewSource(view))
        mask = matching if mask is None else mask & matching
    return None if mask is None else Allowed(mask)


def rows_of_elements(
    views: Sequence[SegmentView], parts: Offsets | None, numbers: Offsets, field_id: int
) -> tuple[Offsets, Offsets]:
    """The rows that elements belong to, and which of a row's elements each is.

    Args:
        parts: position in ``views`` of each; ``None`` when all are of the first.
        numbers: of the elements, each in its segment.
    """
    rows, places = np.empty_like(numbers), np.empty_like(numbers)
    for position in [0] if parts is None else np.unique(parts).tolist():
        chosen: slice | npt.NDArray[np.bool_] = slice(None)
        if parts is not None:
            chosen = parts == position
        if not len(numbers[chosen]):
            continue
        owners = owners_of(views[position], field_id)
        rows[chosen] = owners[numbers[chosen]]
        first = np.searchsorted(owners, rows[chosen])
        places[chosen] = numbers[chosen] - first
    return rows, places
