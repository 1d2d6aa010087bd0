"""The distinct values of a column in order, and where a constant would stand in them.

Numbers are int64, float32 or float64, as evaluation compares them; strings are ordered
by their bytes, as Arrow compares them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.expr.kleene import mask_from_arrow
from elanus.expr.membership import Members
from elanus.schema.arrays import array_of, values_of

Places: TypeAlias = npt.NDArray[np.int64]
"""Positions in a dictionary, ascending."""

_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1
_FEW_MEMBERS: Final = 8
# Arrow has it from version 22 on; without it each constant is searched for alone.
_SEARCH_SORTED = getattr(pc, "search_sorted", None)
_PROBE_US: Final = 0.5
"""What one comparison of strings costs in a binary search."""


class Dictionary(Protocol):
    """Distinct values, ascending."""

    @property
    def values(self) -> pa.Array:
        """The values."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def below(self, value: Any) -> int:
        """How many are less than a constant."""
        ...

    def through(self, value: Any) -> int:
        """How many are less than or equal to a constant."""
        ...

    def places(self, members: Members) -> Places:
        """Where those stand that are members."""
        ...

    def search_us(self, members: int) -> float:
        """Estimated microseconds of searching so many constants."""
        ...


class NumberDictionary:
    """Distinct numbers, ascending; no NaN, and one zero."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        self._numbers: npt.NDArray[Any] = values_of(values)
        self._is_whole = self._numbers.dtype.kind == "i"

    def __len__(self) -> int:
        return len(self._numbers)

    def below(self, value: Any) -> int:
        """See :class:`Dictionary`."""
        return self._search(value, "left")

    def through(self, value: Any) -> int:
        """See :class:`Dictionary`."""
        return self._search(value, "right")

    def _search(self, value: Any, side: Any) -> int:
        if self._is_whole:
            if not _LEAST <= value <= _GREATEST:
                return 0 if value < 0 else len(self._numbers)
            value = np.int64(value)
        elif self._numbers.dtype == np.float32:
            with np.errstate(over="ignore"):
                value = np.float32(value)
        return int(self._numbers.searchsorted(value, side))

    def places(self, members: Members) -> Places:
        """See :class:`Dictionary`."""
        if self._is_whole:
            wanted: npt.NDArray[Any] = distinct(members.integers)
        else:
            with np.errstate(over="ignore"):
                wanted = distinct(members.doubles.astype(self._numbers.dtype))
        found = self._numbers.searchsorted(wanted)
        inside = found < len(self._numbers)
        found, wanted = found[inside], wanted[inside]
        places: Places = found[self._numbers[found] == wanted]
        return places

    def search_us(self, members: int) -> float:
        """See :class:`Dictionary`."""
        return 5.0 + 0.07 * members


class StringDictionary:
    """Distinct strings in the order of their bytes."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        _, offsets, content = values.buffers()
        self._offsets = memoryview(b"" if offsets is None else offsets).cast("q")
        self._content = memoryview(b"" if content is None else content)
        self._range = range(len(values))

    def __len__(self) -> int:
        return len(self._range)

    def _at(self, place: int) -> bytes:
        start, end = self._offsets[place], self._offsets[place + 1]
        return bytes(self._content[start:end])

    def below(self, value: Any) -> int:
        """See :class:`Dictionary`."""
        return bisect_left(self._range, value.encode(), key=self._at)

    def through(self, value: Any) -> int:
        """See :class:`Dictionary`."""
        return bisect_right(self._range, value.encode(), key=self._at)

    def prefixed(self, prefix: str) -> tuple[int, int]:
        """First and past-the-last place of the strings that begin so."""
        start = prefix.encode()
        if not start:
            return 0, len(self)
        # no byte of UTF-8 is 0xff, so the last one can be raised
        end = start[:-1] + bytes([start[-1] + 1])
        first = bisect_left(self._range, start, key=self._at)
        return first, bisect_left(self._range, end, key=self._at, lo=first)

    def places(self, members: Members) -> Places:
        """See :class:`Dictionary`."""
        if _SEARCH_SORTED is not None and len(members.values) > _FEW_MEMBERS:
            wanted = members.strings
            near = values_of(_SEARCH_SORTED(self.values, wanted)).astype(np.int64)
            inside = np.flatnonzero(near < len(self))
            near, wanted = near[inside], wanted.take(array_of(inside))
            same = pc.equal(self.values.take(array_of(near)), wanted)
            return distinct(near[mask_from_arrow(same).true])
        found = []
        first = 0
        for wanted in sorted({member.encode() for member in members.values}):
            first = bisect_left(self._range, wanted, key=self._at, lo=first)
            if first == len(self):
                break
            if self._at(first) == wanted:
                found.append(first)
        return np.array(found, np.int64)

    def search_us(self, members: int) -> float:
        """See :class:`Dictionary`."""
        if _SEARCH_SORTED is not None and members > _FEW_MEMBERS:
            return _FEW_MEMBERS * 10 + members * 0.8
        return members * len(self).bit_length() * _PROBE_US


def distinct(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct numbers, ascending.

    By sorting: ``np.unique`` hashes, and takes sixty times as long for millions.
    """
    ordered = np.sort(numbers)
    keep = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    found: npt.NDArray[Any] = ordered[keep]
    return found


def open_dictionary(values: pa.Array) -> NumberDictionary | StringDictionary:
    """The dictionary of values that are distinct and in order."""
    if pa.types.is_large_string(values.type):
        return StringDictionary(values)
    return NumberDictionary(values)


def in_order(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Values without nulls in order, equal ones as they came, and where each was."""
    if pa.types.is_large_string(values.type):
        order: npt.NDArray[np.int64] = values_of(pc.sort_indices(values)).astype(
            np.int64
        )
        return values.take(array_of(order)), order
    numbers = values_of(values)
    order = np.argsort(numbers, kind="stable")
    return array_of(numbers[order]), order


def firsts_of(ordered: pa.Array) -> Places:
    """Where each distinct value of an ordered array begins."""
    if len(ordered) == 0:
        return np.empty(0, np.int64)
    if pa.types.is_large_string(ordered.type):
        differs = pc.not_equal(ordered[1:], ordered[:-1])
        changes = mask_from_arrow(differs).true
    else:
        numbers = values_of(ordered)
        changes = numbers[1:] != numbers[:-1]
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def comparable(column: pa.Array) -> pa.Array | None:
    """A column without nulls in the type of a dictionary; ``None`` if it holds NaN."""
    kind = column.type
    if pa.types.is_large_string(kind):
        return column
    if pa.types.is_boolean(kind):
        return array_of(mask_from_arrow(column).true.astype(np.int64))
    numbers = values_of(column)
    if numbers.dtype.kind != "f":
        return array_of(numbers.astype(np.int64, copy=False))
    if np.isnan(numbers).any():
        return None
    return array_of(numbers + numbers.dtype.type(0))  # one zero


def members_of(values: Sequence[Any]) -> Members:
    """Constants prepared for :meth:`Dictionary.places`."""
    return Members(values)
