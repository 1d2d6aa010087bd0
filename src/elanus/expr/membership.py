"""Which values are among a given set: the kernel behind ``in`` and ``contains``.

Measured on 100,000 rows: comparing with each member wins up to a handful of members, a
table of flags while they lie close together (0.06-0.1 ms however many), and Arrow's
hash set beyond (1.2 ms for 10,000 members; a sorted search takes 7.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.expr.kleene import Bools, unpack_bits
from elanus.schema.arrays import array_of

_FEW_MEMBERS = 4
_FEW_STRINGS = 2
_TABLE_FLAGS = 1 << 20
"""Widest table of flags: one byte each."""
_KEPT_FLAGS = 1 << 16


class Members:
    """A set of constants of one family, prepared once for many columns."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self._table: npt.NDArray[np.bool_] | None = None

    @cached_property
    def strings(self) -> pa.Array:
        """The members as a large_string array."""
        return pa.array(dict.fromkeys(self.values), pa.large_string())

    @cached_property
    def integers(self) -> npt.NDArray[np.int64]:
        """The members, in the order given."""
        return np.array(self.values, np.int64)

    @cached_property
    def doubles(self) -> npt.NDArray[np.float64]:
        """The distinct members, ascending; one zero, no NaN."""
        distinct = np.unique(np.array(self.values, np.float64) + 0.0)
        return distinct[~np.isnan(distinct)]

    @cached_property
    def lie_close(self) -> bool:
        """Whether integers are so near each other that a table decides."""
        return self.table is not None

    def table(self) -> npt.NDArray[np.bool_] | None:
        """Flags of the integers from one below the least to one above the greatest.

        A large one is made anew each time, since predicates may be kept for long.
        """
        if self._table is not None:
            return self._table
        span = int(self.integers.max()) - self.least + 3
        if span > _TABLE_FLAGS:
            return None
        flags = np.zeros(span, np.bool_)
        flags[self.integers - self.least + 1] = True
        if span <= _KEPT_FLAGS:
            self._table = flags
        return flags

    @cached_property
    def least(self) -> int:
        """The smallest integer."""
        return int(self.integers.min())


class MixedMembers:
    """A set of constants of any family, which never meet those of another."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.types = frozenset(map(type, values))
        self._values = values

    @cached_property
    def numbers(self) -> Members:
        """Integers and floats."""
        return self._of(int, float)

    @cached_property
    def strings(self) -> Members:
        """Strings."""
        return self._of(str)

    @cached_property
    def bools(self) -> Members:
        """Bools as 0 and 1."""
        return Members([int(value) for value in self._of(bool).values])

    @cached_property
    def lists(self) -> Sequence[tuple[Any, ...]]:
        """Lists, as they are."""
        return self._of(tuple).values

    def _of(self, *types: type) -> Members:
        if self.types <= set(types):
            return Members(self._values)
        return Members([value for value in self._values if type(value) in types])


def is_among(values: npt.NDArray[Any] | pa.Array, members: Members) -> Bools:
    """Which values are members; a null is not.

    ``values`` is a NumPy array of numbers or bools, or an Arrow array of strings. The
    answer is a fresh array.
    """
    if not len(members.values):
        return np.zeros(len(values), np.bool_)
    if isinstance(values, pa.Array):
        return _strings_among(values, members)
    if values.dtype.kind == "b":
        return _each(values, sorted(set(members.values)))
    if values.dtype.kind == "f":
        return _floats_among(values, members)
    return _integers_among(values, members)


def _each(values: npt.NDArray[Any], members: Sequence[Any]) -> Bools:
    found: Bools = values == members[0]
    for member in members[1:]:
        found |= values == member
    return found


def _integers_among(values: npt.NDArray[Any], members: Members) -> Bools:
    if len(members.values) <= _FEW_MEMBERS:
        return _each(values, members.values)
    table = members.table()
    if table is not None:
        # The difference may wrap round, but never into the table: it is one-to-one.
        places = np.subtract(values, np.int64(members.least), dtype=np.int64)
        places += 1
        found: Bools = table.take(places, mode="clip")
        return found
    limits = np.iinfo(values.dtype)
    fits = (members.integers >= limits.min) & (members.integers <= limits.max)
    return _hashed(values, members.integers[fits].astype(values.dtype))


def _floats_among(values: npt.NDArray[Any], members: Members) -> Bools:
    wanted = members.doubles.astype(values.dtype)
    if not len(wanted):
        return np.zeros(len(values), np.bool_)
    if len(wanted) <= _FEW_MEMBERS:
        return _each(values, wanted.tolist())
    return _hashed(values + values.dtype.type(0), wanted)


def _hashed(values: npt.NDArray[Any], members: npt.NDArray[Any]) -> Bools:
    answer = pc.is_in(array_of(values), value_set=array_of(members))
    return unpack_bits(answer.buffers()[1], answer.offset, len(answer))


def _strings_among(values: pa.Array, members: Members) -> Bools:
    wanted = members.strings
    if len(wanted) > _FEW_STRINGS:
        answer = pc.is_in(values, value_set=wanted)
        return unpack_bits(answer.buffers()[1], answer.offset, len(answer))
    found = _equal_to(values, wanted[0])
    for member in wanted[1:]:
        found |= _equal_to(values, member)
    return found


def _equal_to(values: pa.Array, member: pa.Scalar) -> Bools:
    answer = pc.equal(values, member)
    found = unpack_bits(answer.buffers()[1], answer.offset, len(answer))
    if answer.null_count:
        found &= unpack_bits(answer.buffers()[0], answer.offset, len(answer))
    return found
