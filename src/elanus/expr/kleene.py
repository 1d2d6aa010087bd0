"""Row masks of Strong Kleene's three-valued logic, and Arrow bitmaps as such masks.

Source: S. C. Kleene, "Introduction to Metamathematics", 1952, §64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bools: TypeAlias = npt.NDArray[np.bool_]


class Mask(NamedTuple):
    """What a condition says about each row. No row is both true and unknown.

    Attributes:
        true: (n,) bool, owned by this mask, so that it may be written over.
        unknown: (n,) bool or None when no row is unknown; may be shared.
    """

    true: Bools
    unknown: Bools | None = None


def constant_mask(value: bool, n_rows: int) -> Mask:
    """The same answer for every row."""
    return Mask(np.full(n_rows, value))


def where_known(true: Bools, unknown: Bools | None) -> Mask:
    """``true`` with the unknown rows taken out; writes over ``true``."""
    if unknown is not None:
        true &= ~unknown
    return Mask(true, unknown)


def invert(mask: Mask) -> Mask:
    """True becomes false and back; unknown stays."""
    np.logical_not(mask.true, out=mask.true)
    return where_known(mask.true, mask.unknown)


def conjunction(masks: Iterable[Mask]) -> Mask:
    """True where all are true, unknown where none is false and some is unknown.

    Takes one mask at a time, so that a chain of thousands needs room for two.
    """
    remaining = iter(masks)
    true, unknown = next(remaining)
    possible = None if unknown is None else true | unknown
    for mask in remaining:
        if mask.unknown is not None:
            possible = true.copy() if possible is None else possible
            possible &= mask.true | mask.unknown
        elif possible is not None:
            possible &= mask.true
        true &= mask.true
    return Mask(true) if possible is None else Mask(true, possible & ~true)


def disjunction(masks: Iterable[Mask]) -> Mask:
    """True where some is true, unknown where none is true and some is unknown.

    Takes one mask at a time, as :func:`conjunction` does.
    """
    remaining = iter(masks)
    true, unknown = next(remaining)
    for mask in remaining:
        true |= mask.true
        if mask.unknown is not None:
            unknown = mask.unknown if unknown is None else unknown | mask.unknown
    return Mask(true) if unknown is None else Mask(true, unknown & ~true)


def mask_from_arrow(answer: pa.BooleanArray) -> Mask:
    """An Arrow answer, its nulls as unknown."""
    n_rows = len(answer)
    true = unpack_bits(answer.buffers()[1], answer.offset, n_rows)
    return where_known(true, unknown_of(answer))


def unknown_of(array: pa.Array) -> Bools | None:
    """Which rows of an Arrow array are NULL; None when none is."""
    if array.null_count == 0:
        return None
    valid = unpack_bits(array.buffers()[0], array.offset, len(array))
    return np.logical_not(valid, out=valid)


def unpack_bits(buffer: pa.Buffer, offset: int, count: int) -> Bools:
    """``count`` bits of a bitmap from bit ``offset`` on, as a fresh bool array."""
    first = offset >> 3
    packed = np.frombuffer(buffer, np.uint8, (offset + count + 7 >> 3) - first, first)
    bits = np.unpackbits(packed, bitorder="little")
    start = offset & 7
    return bits[start : start + count].view(np.bool_)
