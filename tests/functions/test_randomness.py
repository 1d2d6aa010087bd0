"""Random numbers of rows: published hash values, spread, and no surprise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from elanus.functions.rank.randomness import uniform

MASK = (1 << 64) - 1


def plain(key: int, seed: int) -> float:
    """MurmurHash3 x64 of the eight bytes of a key, in whole numbers of Python."""
    word = key & MASK
    word = word * 0x87C37B91114253D5 & MASK
    word = (word << 31 | word >> 33) & MASK
    word = word * 0x4CF5AD432745937F & MASK
    first, second = seed ^ word ^ 8, seed ^ 8
    first = first + second & MASK
    second = second + first & MASK
    mixed = []
    for half in (first, second):
        half = (half ^ half >> 33) * 0xFF51AFD7ED558CCD & MASK
        half = (half ^ half >> 33) * 0xC4CEB9FE1A85EC53 & MASK
        mixed.append(half ^ half >> 33)
    return ((mixed[0] + mixed[1] & MASK) >> 11) * 2.0**-53


def test_numbers_hash_as_published() -> None:
    """Whole columns as single keys, negative ones and seeds among them."""
    keys = [0, 1, -1, 7, 2**63 - 1, -(2**63)]
    for seed in (0, 126, -5):
        found = uniform(pa.array(keys, pa.int64()), seed)
        assert found.tolist() == [plain(key, seed & MASK) for key in keys]


@pytest.mark.parametrize(
    "keys", [list(range(20_000)), [f"k{i}" for i in range(20_000)]]
)
def test_they_are_spread_evenly(keys: list[int] | list[str]) -> None:
    """Every tenth of [0, 1) has its share, equal keys have equal numbers."""
    array = pa.array(keys)
    found = uniform(array, 1)
    shares = np.histogram(found, 10, (0.0, 1.0))[0]
    assert shares.sum() == len(keys) and shares.min() > 1800
    assert (found == uniform(array, 1)).all()
    assert (found != uniform(array, 2)).mean() > 0.99
