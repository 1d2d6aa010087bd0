"""Array columns as wholes: what they contain and what they equal.

All elements of a column lie in one flat Arrow array; rows are ranges of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr.kleene import Bools, Mask, unknown_of, where_known
from elanus.expr.membership import Members, is_among
from elanus.expr.predicate import Value
from elanus.expr.source import fixed_width
from elanus.schema.arrays import array_of

_MANY_HITS = 32
"""Counting all elements is quicker than finding the rows of one hit in so many."""


def array_contains(
    column: pa.Array, values: tuple[Value, ...], needs_all: bool
) -> Mask:
    """Which rows of a large_list hold all, or any, of the values."""
    offsets = fixed_width(column.offsets)
    elements = column.values
    if needs_all:
        true = rows_with_hits(offsets, _equals(elements, values[0]))
        for value in values[1:]:
            true &= rows_with_hits(offsets, _equals(elements, value))
    else:
        true = _rows_with_any(offsets, elements, values)
    return where_known(true, unknown_of(column))


def _rows_with_any(
    offsets: npt.NDArray[np.int64], elements: pa.Array, values: tuple[Value, ...]
) -> Bools:
    """Which rows hold at least one of the values."""
    mixes_numbers = pa.types.is_integer(elements.type) and float in map(type, values)
    if mixes_numbers:
        found = _equals(elements, values[0])
        for value in values[1:]:
            found |= _equals(elements, value)
        return rows_with_hits(offsets, found)
    return rows_with_hits(offsets, _among(elements, Members(values)))


def array_equals(column: pa.Array, wanted: tuple[Value, ...]) -> Mask:
    """Which rows of a large_list are exactly this list."""
    offsets = fixed_width(column.offsets)
    unknown = unknown_of(column)
    true = where_known(np.diff(offsets) == len(wanted), unknown).true
    rows = np.flatnonzero(true)
    for i, value in enumerate(wanted):
        if not rows.size:
            break
        elements = column.values.take(array_of(offsets[rows] + i))
        rows = rows[_equals(elements, value)]
    matching = np.zeros(len(column), np.bool_)
    matching[rows] = True
    return Mask(matching, unknown)


def rows_with_hits(offsets: npt.NDArray[np.int64], hits: Bools) -> Bools:
    """Which rows have a hit among their elements ``offsets[i]`` to ``offsets[i+1]``."""
    if np.count_nonzero(hits) * _MANY_HITS > len(hits):
        counted = np.zeros(len(hits) + 1, np.int64)
        np.cumsum(hits, out=counted[1:])
        ends = counted[offsets]
        found: Bools = ends[1:] > ends[:-1]
        return found
    places = np.flatnonzero(hits[offsets[0] : offsets[-1]]) + offsets[0]
    rows = np.zeros(len(offsets) - 1, np.bool_)
    rows[np.searchsorted(offsets, places, side="right") - 1] = True
    return rows


def _equals(elements: pa.Array, value: Value) -> Bools:
    if pa.types.is_integer(elements.type) and isinstance(value, float):
        return _known(fixed_width(elements) == value, elements)
    return _among(elements, Members((value,)))


def _among(elements: pa.Array, members: Members) -> Bools:
    if pa.types.is_large_string(elements.type):
        return is_among(elements, members)
    return _known(is_among(fixed_width(elements), members), elements)


def _known(found: Bools, elements: pa.Array) -> Bools:
    return where_known(found, unknown_of(elements)).true
