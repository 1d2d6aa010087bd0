"""Primary keys prepared for lookups: every key as one sortable 64-bit code.

An INT64 key is its own code; a VARCHAR key's code is its XXH3 hash, so that one sorted
int64 array serves both, and a hit on a hash is confirmed against the stored string.

Source of the hash: Collet, "xxHash", 2019 (XXH3, 64 bits, seed 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from elanus.schema.arrays import values_of
from elanus.schema.columns import Offsets

Codes = npt.NDArray[np.int64]
Key = int | str


def codes_of(keys: pa.Array) -> Codes:
    """The code of every key, (n,) int64, in the keys' own order."""
    if pa.types.is_integer(keys.type):
        whole: Codes = values_of(keys)
        return whole
    digest = xxhash.xxh3_64_intdigest
    unsigned = np.fromiter(
        (digest(key.encode()) for key in keys.to_pylist()), np.uint64, len(keys)
    )
    return unsigned.view(np.int64)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one request.

    Attributes:
        values: the keys as given, in order.
        codes: their codes, ascending, (n,) int64.
        order: position in ``values`` of each code.
    """

    values: Sequence[Key]
    codes: Codes
    order: Offsets

    @classmethod
    def of(cls, column: pa.Array) -> Keys:
        """Prepare a primary-key column (no nulls)."""
        codes = codes_of(column)
        order = np.argsort(codes, kind="stable")
        return cls(column.to_pylist(), codes[order], order)

    def __len__(self) -> int:
        return len(self.values)

    def within(self, low: int, high: int) -> slice:
        """The part of ``codes`` that lies in ``[low, high]``."""
        start = int(np.searchsorted(self.codes, low, "left"))
        stop = int(np.searchsorted(self.codes, high, "right"))
        return slice(start, stop)


def matches_in(sorted_codes: Codes, wanted: Codes) -> tuple[Offsets, Offsets]:
    """Where ascending ``wanted`` codes occur in ascending ``sorted_codes``.

    Returns:
        Index into ``wanted`` and position in ``sorted_codes`` of every match, also of
        duplicates in ``sorted_codes``.
    """
    left = np.searchsorted(sorted_codes, wanted, "left")
    inside = left < len(sorted_codes)
    hit = np.flatnonzero(inside)
    hit = hit[sorted_codes[left[hit]] == wanted[hit]]
    if not len(hit):
        return hit, hit
    first = left[hit]
    following = first + 1
    again = following < len(sorted_codes)
    again[again] = sorted_codes[following[again]] == wanted[hit[again]]
    if not again.any():
        return hit, first
    counts = np.searchsorted(sorted_codes, wanted[hit], "right") - first
    which = np.repeat(hit, counts)
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    return which, starts + np.arange(len(which))
