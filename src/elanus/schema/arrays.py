"""Arrow arrays from NumPy and plain Python values without ``pa.array``.

``pa.array`` and ``pa.scalar`` import pandas wherever that is installed: a second of
time and 30 MiB of memory in a process that may never need it. These build the buffers
themselves, which is faster for numbers, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def array_of(values: npt.NDArray[Any]) -> pa.Array:
    """A one-dimensional NumPy array of numbers as an Arrow array that shares memory."""
    values = np.ascontiguousarray(values)
    buffers = [None, pa.py_buffer(values)]
    return pa.Array.from_buffers(
        _arrow_type_of(values.dtype), len(values), buffers, null_count=0
    )


@lru_cache(maxsize=32)
def _arrow_type_of(dtype: np.dtype[Any]) -> pa.DataType:
    return pa.from_numpy_dtype(dtype)


def values_of(array: pa.Array) -> npt.NDArray[Any]:
    """The values of a fixed-width Arrow array of numbers, read-only, without a copy.

    What stands in the place of a null is arbitrary.
    """
    buffer = array.buffers()[1]
    dtype = _numpy_type_of(array.type)
    if buffer is None or not len(array):
        return np.zeros(len(array), dtype)
    return np.frombuffer(buffer, dtype, len(array), array.offset * dtype.itemsize)


@lru_cache(maxsize=32)
def _numpy_type_of(arrow_type: pa.DataType) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(arrow_type.to_pandas_dtype())
    return dtype


def array_of_bools(values: npt.NDArray[np.bool_]) -> pa.Array:
    """A NumPy array of bools as an Arrow array, bit-packed."""
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, packed], null_count=0)


def array_of_texts(
    values: Sequence[str | bytes | None], arrow_type: pa.DataType
) -> pa.Array:
    """Strings or bytes as a ``large_string`` or ``large_binary`` array."""
    valid = None
    if None in values:
        known = np.fromiter((v is not None for v in values), np.bool_, len(values))
        valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    content, lengths = _end_to_end(values)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(content)]
    return pa.Array.from_buffers(arrow_type, len(values), buffers)


def _end_to_end(
    values: Sequence[str | bytes | None],
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Strings or bytes one after another, and the bytes of each."""
    try:
        joined = "".join(values)  # type: ignore[arg-type]
    except TypeError:
        parts = [_encoded(value) for value in values]
    else:
        if joined.isascii():  # a letter is a byte
            lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
            return joined.encode(), lengths
        parts = [_encoded(value) for value in values]
    return b"".join(parts), np.fromiter(map(len, parts), np.int64, len(parts))


def _encoded(value: str | bytes | None) -> bytes:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value


def scalar_of_text(value: str | bytes, arrow_type: pa.DataType) -> pa.Scalar:
    """One string or bytes as an Arrow scalar."""
    return array_of_texts([value], arrow_type)[0]


def array_of_plain(values: Sequence[Any]) -> pa.Array:
    """A list of Python values of one kind, ``None`` for null, in its natural type.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError, OverflowError: kinds that do not mix.
    """
    kinds = set(map(type, values))
    if kinds == {int}:
        return array_of(np.array(values, np.int64))
    if kinds in ({float}, {int, float}):
        return array_of(np.array(values, np.float64))
    if kinds and kinds <= {str, type(None)} and str in kinds:
        return array_of_texts(values, pa.large_string())
    if kinds == {bool}:
        return array_of_bools(np.array(values, np.bool_))
    return pa.array(values)


def repeated(value: Any, n_rows: int, arrow_type: pa.DataType) -> pa.Array:
    """``n_rows`` times the same value (``None`` for null)."""
    if value is None:
        return pa.nulls(n_rows, arrow_type)
    if isinstance(value, str | bytes):
        part = _encoded(value)
        offsets = np.arange(n_rows + 1, dtype=np.int64) * len(part)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(part * n_rows)]
        return pa.Array.from_buffers(arrow_type, n_rows, buffers, null_count=0)
    if isinstance(value, bool):
        return array_of_bools(np.full(n_rows, value))
    return array_of(np.full(n_rows, value, arrow_type.to_pandas_dtype()))
