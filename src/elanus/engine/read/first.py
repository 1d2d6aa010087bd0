"""The first rows of a segment in an order, without ranking the others.

One pass over the first value finds which rows can be among them; only those that it
leaves equal are told apart by the next value, at last by primary key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.order import SortKey
from elanus.engine.version import SegmentView
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Offsets


def first_rows(
    view: SegmentView,
    rows: Offsets,
    order: Sequence[SortKey],
    count: int,
    primary: int,
) -> Offsets:
    """The ``count`` first of these rows, in no order.

    Args:
        rows: row offsets.
        order: none of a place inside JSON; equal rows ascend by primary key.
        primary: id of the primary key's field.
    """
    if len(rows) <= count:
        return rows
    if not order:
        return rows[smallest(values_at(view, rows, primary), count)]
    better, tied = _split(values_at(view, rows, order[0].field.id), order[0], count)
    rest = first_rows(view, rows[tied], order[1:], count - len(better), primary)
    return np.concatenate([rows[better], rest])


def values_at(view: SegmentView, rows: Offsets, field_id: int) -> pa.Array:
    """A scalar field's values at row offsets of a view."""
    if len(rows) * 4 < view.n_rows:
        column = view.segment.take(field_id, rows)
        assert isinstance(column, pa.Array)
        return column
    column = view.segment.column(field_id, view.n_rows)
    return column if len(rows) == view.n_rows else column.take(array_of(rows))


def smallest(values: pa.Array, count: int) -> Offsets:
    """Positions of the ``count`` smallest values, in no order; none of them null."""
    if pa.types.is_integer(values.type):
        part = np.argpartition(values_of(values), count - 1)[:count]
        return part.astype(np.int64, copy=False)
    chosen = pc.select_k_unstable(values, count, [("", "ascending")])
    found: Offsets = values_of(chosen).astype(np.int64)
    return found


def _split(values: pa.Array, key: SortKey, count: int) -> tuple[Offsets, Offsets]:
    """Positions before the value at rank ``count``, and positions of that value.

    There are fewer than ``count`` of the former, and at least ``count`` of both.
    """
    if not values.null_count:
        return _split_known(values, key.is_descending, count)
    is_known = values.is_valid().to_numpy(zero_copy_only=False)
    known, null = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    first, last = (null, known) if key.nulls_first else (known, null)
    if count > len(first) and last is null:
        return known, null
    if count <= len(first) and first is null:
        return np.empty(0, np.int64), null
    left = count - len(null) if key.nulls_first else count
    better, tied = _split_known(values.drop_null(), key.is_descending, left)
    before = null if key.nulls_first else null[:0]
    return np.concatenate([before, known[better]]), known[tied]


def _split_known(
    values: pa.Array, is_descending: bool, count: int
) -> tuple[Offsets, Offsets]:
    if pa.types.is_large_string(values.type) or pa.types.is_string(values.type):
        direction = "descending" if is_descending else "ascending"
        chosen = pc.select_k_unstable(values, count, [("", direction)])
        bound = values[chosen[count - 1].as_py()]
        compare = pc.greater if is_descending else pc.less
        is_better = compare(values, bound).to_numpy(zero_copy_only=False)
        is_tied = pc.equal(values, bound).to_numpy(zero_copy_only=False)
        return np.flatnonzero(is_better), np.flatnonzero(is_tied)
    numbers = _numbers(values, is_descending)
    limit = np.partition(numbers, count - 1)[count - 1]
    return np.flatnonzero(numbers < limit), np.flatnonzero(numbers == limit)


def _numbers(values: pa.Array, is_descending: bool) -> npt.NDArray[np.generic]:
    """Numbers that ascend as the values do in their order."""
    if pa.types.is_boolean(values.type):
        flags: npt.NDArray[np.bool_] = values.to_numpy(zero_copy_only=False)
        ascending: npt.NDArray[np.bool_] = flags != is_descending
        return ascending
    numbers = values_of(values)
    if numbers.dtype.kind == "f":
        return -numbers if is_descending else numbers
    # -x - 1, which the smallest integer has, too
    return ~numbers if is_descending else numbers
