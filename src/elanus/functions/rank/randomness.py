"""Random numbers that belong to rows: the same row has the same number again.

MurmurHash3 by Austin Appleby (public domain), x64 128-bit variant for a key of eight
bytes, of which the first half is taken, as Milvus takes it.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.schema.arrays import values_of

Doubles = npt.NDArray[np.float64]
_Words = npt.NDArray[np.uint64]
_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_MIX1, _MIX2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_LENGTH = np.uint64(8)
_SHIFT, _MANTISSA = np.uint64(11), 2.0**-53


def uniform(keys: pa.Array, seed: int) -> Doubles:
    """A number for each key, (rows,) float64, evenly spread in [0, 1).

    Args:
        keys: whole numbers or texts without nulls; equal ones have equal numbers.
    """
    if pa.types.is_integer(keys.type):
        words = values_of(keys).astype(np.int64).view(np.uint64)
    else:
        sums = (_word(text) for text in keys.to_pylist())
        words = np.fromiter(sums, np.uint64, len(keys))
    with np.errstate(over="ignore"):
        hashed = _hashed(words, np.uint64(seed % (1 << 64)))
    return (hashed >> _SHIFT).astype(np.float64) * _MANTISSA


def _word(text: str) -> int:
    content = text.encode()
    return zlib.crc32(content) << 32 | zlib.adler32(content)


def _hashed(words: _Words, seed: np.uint64) -> _Words:
    first = _rotated(words * _C1, 31) * _C2 ^ seed ^ _LENGTH
    second = np.full_like(words, seed ^ _LENGTH)
    first = first + second
    second = second + first
    return _mixed(first) + _mixed(second)


def _rotated(words: _Words, by: int) -> _Words:
    return (words << np.uint64(by)) | (words >> np.uint64(64 - by))


def _mixed(words: _Words) -> _Words:
    for factor in (_MIX1, _MIX2):
        words = (words ^ (words >> np.uint64(33))) * factor
    return words ^ (words >> np.uint64(33))
