"""Which partition a row goes to by the value of its partition key.

Durable: rows that are written lie where this says, so it must never say otherwise; it
is specified in ``docs/formats/segment.md``.

Source of the hash of integers: Steele, Lea and Flood, "Fast Splittable Pseudorandom
Number Generators", 2014 (the finaliser of SplitMix64).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.schema.columns import Column, Offsets
from elanus.segment.keys import codes_of

_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def places(keys: Column, partitions: Sequence[int]) -> int | Offsets:
    """The partition of every row, (n,) int64; one number when it is the same for all.

    Args:
        keys: the partition key's column, no nulls.
        partitions: ids, in order of creation.
    """
    assert isinstance(keys, pa.Array)
    slots = _hashes(keys) % np.uint64(len(partitions))
    chosen: Offsets = np.array(partitions, np.int64)[slots.astype(np.int64)]
    if len(chosen) and (chosen == chosen[0]).all():
        return int(chosen[0])
    return chosen


def _hashes(keys: pa.Array) -> npt.NDArray[np.uint64]:
    codes = codes_of(keys).view(np.uint64)
    if not pa.types.is_integer(keys.type):
        return codes
    mixed = (codes ^ (codes >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    hashes: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return hashes
