"""What a partial update may do to an array instead of replacing it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import RequestError
from elanus.schema.arrays import array_of, values_of
from elanus.schema.schema import FieldSchema

Lengths = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class FieldOp(IntEnum):
    """What the values given for a field do, with Milvus' numbers."""

    REPLACE = 0
    ARRAY_APPEND = 1
    ARRAY_REMOVE = 2


class ArrayTooLong(RequestError):
    """An array would hold more elements than its field takes; nothing was written."""

    code = 65535
    is_input_error = False


def appended(field: FieldSchema, stored: pa.Array, payload: pa.Array) -> pa.Array:
    """The payload's elements behind the stored ones, row by row.

    A null payload leaves the stored array; a null stored array counts as empty.

    Args:
        stored, payload: ``large_list`` of the field's element type, equally long.

    Raises:
        ArrayTooLong: a row would exceed the field's capacity.
    """
    first, second = _lengths(stored), _lengths(payload)
    lengths = first + second
    longest = int(lengths.max(initial=0))
    if field.max_capacity is not None and longest > field.max_capacity:
        raise ArrayTooLong(
            f"array length {longest} exceeds max_capacity {field.max_capacity}"
        )
    rows = np.concatenate([_rows(first), _rows(second)])
    order = np.argsort(rows, kind="stable")
    elements = pa.concat_arrays([stored.flatten(), payload.flatten()])
    is_null = _nulls(stored) & _nulls(payload)
    return _lists(field, elements.take(array_of(order)), lengths, is_null)


def removed(field: FieldSchema, stored: pa.Array, payload: pa.Array) -> pa.Array:
    """The stored elements that equal none of the payload's, row by row.

    Args:
        stored, payload: ``large_list`` of the field's element type, equally long.
    """
    elements = pa.concat_arrays([stored.flatten(), payload.flatten()])
    encoded = elements.dictionary_encode()
    codes = values_of(encoded.indices).astype(np.int64)
    rows = np.concatenate([_rows(_lengths(stored)), _rows(_lengths(payload))])
    # one number for a row and a value, so that rows are compared all at once
    pairs = rows * (len(encoded.dictionary) + 1) + codes
    n_stored = int(_lengths(stored).sum())
    kept = ~np.isin(pairs[:n_stored], pairs[n_stored:])
    lengths = np.bincount(rows[:n_stored][kept], minlength=len(stored))
    left = stored.flatten().take(array_of(np.flatnonzero(kept)))
    return _lists(field, left, lengths, _nulls(stored))


def _lengths(lists: pa.Array) -> Lengths:
    lengths: Lengths = values_of(pc.fill_null(pc.list_value_length(lists), 0))
    return lengths


def _rows(lengths: Lengths) -> Lengths:
    return np.repeat(np.arange(len(lengths)), lengths)


def _nulls(lists: pa.Array) -> Flags:
    flags: Flags = lists.is_null().to_numpy(zero_copy_only=False)
    return flags


def _lists(
    field: FieldSchema, elements: pa.Array, lengths: Lengths, is_null: Flags
) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    mask = None
    if is_null.any():
        bits = pa.py_buffer(np.packbits(is_null, bitorder="little"))
        mask = pa.Array.from_buffers(pa.bool_(), len(is_null), [None, bits])
    return pa.LargeListArray.from_arrays(
        array_of(offsets), elements, type=field.arrow_type, mask=mask
    )
