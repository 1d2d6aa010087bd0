"""Columns of a write from ``FieldData`` messages.

In requests a column with nulls holds only the values that are not null, and
``valid_data`` says where they belong; columns of full length are taken, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of, array_of_bools, array_of_texts
from elanus.schema.sparse import sparse_from_bytes
from elanus.schema.types import TYPES, VectorRow
from elanus.schema.vectors import VectorColumn, VectorRows
from elanus.server.grpc.apart import Apart, Run
from elanus.server.grpc.decode_lists import MAX_DIM, numbers, vector_lists
from elanus.server.grpc.messages import Message
from elanus.service.requests import ColumnData

_VECTORS = {row.vector.slot: row.vector for row in TYPES.values() if row.vector}
_Valid = npt.NDArray[np.bool_]


def columns_from_message(write: Apart) -> tuple[ColumnData, ...]:
    """The columns of a write, in its order.

    Raises:
        InvalidParameter: a column contradicts itself.
    """
    return tuple(
        column_from_message(column, write.runs.get(number))
        for number, column in enumerate(write.message.fields_data)
    )


def column_from_message(message: Message, run: Run | None = None) -> ColumnData:
    """One column as sent, not compared with any schema.

    Args:
        run: its vectors, if they were cut out of the message. The column shares this
            memory, in which a number may begin at any byte.

    Raises:
        InvalidParameter: it contradicts itself.
    """
    flags = message.valid_data
    valid = np.array(flags, np.bool_) if len(flags) else None
    if valid is not None and valid.all():
        valid = None
    slot, values = _payload(message, valid, run)
    parts = message.struct_arrays.fields if slot == "struct_arrays" else ()
    return ColumnData(
        message.field_name,
        message.type,
        slot,
        values,
        is_dynamic=message.is_dynamic,
        parts=tuple(map(column_from_message, parts)),
        n_flags=len(flags),
    )


def _payload(
    message: Message, valid: _Valid | None, run: Run | None
) -> tuple[str, pa.Array | VectorColumn | None]:
    """The kind of payload, and its values."""
    kind = message.WhichOneof("field")
    name = message.field_name
    if kind == "scalars":
        slot = message.scalars.WhichOneof("data") or ""
        convert = _SLOTS.get(slot)
        if convert is None:
            return slot, _nothing(valid)
        values = convert(getattr(message.scalars, slot))
        return slot, values if valid is None else _spread(values, valid, name)
    if kind == "vectors":
        slot = message.vectors.WhichOneof("data") or ""
        if slot == "vector_array":
            lists = vector_lists(message.vectors.vector_array, name)
            return slot, _vector_column(lists, valid, name)
        vector = _VECTORS.get(slot)
        if vector is None:
            return slot, None if slot else _nothing(valid)
        rows = _vector_rows(message.vectors, vector, name, run)
        return slot, _vector_column(rows, valid, name)
    return kind or "", _nothing(valid)


def keys_from_message(message: Message) -> pa.Array | None:
    """Primary keys from ``IDs``; ``None`` when there are none."""
    kind = message.WhichOneof("id_field")
    if kind == "int_id":
        return _longs(message.int_id)
    if kind == "str_id":
        return _strings(message.str_id)
    return None


def _nothing(valid: _Valid | None) -> pa.Array | None:
    """A column of nulls, where a client has left out the empty payload."""
    if valid is None or valid.any():
        return None
    return pa.nulls(len(valid))


def _spread(values: pa.Array, valid: _Valid, name: str) -> pa.Array:
    """A full column with nulls from the values that are not null."""
    n_valid = int(np.count_nonzero(valid))
    if len(values) == len(valid):
        places = np.arange(len(valid), dtype=np.int64)
    elif len(values) == n_valid:
        places = np.cumsum(valid, dtype=np.int64) - 1
    else:
        raise _wrong_length(name, n_valid, len(values))
    known = pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [known, pa.py_buffer(places)]
    return values.take(pa.Array.from_buffers(pa.int64(), len(valid), buffers))


def _wrong_length(name: str, expected: int, actual: int) -> InvalidParameter:
    return InvalidParameter(
        f"field {name}: the length of field is wrong", expected=expected, actual=actual
    )


def _vector_column(rows: VectorRows, valid: _Valid | None, name: str) -> VectorColumn:
    if valid is None:
        return VectorColumn(rows)
    n_valid = int(np.count_nonzero(valid))
    if len(rows) == len(valid):
        rows = rows[np.flatnonzero(valid)]
    elif len(rows) != n_valid:
        raise _wrong_length(name, n_valid, len(rows))
    return VectorColumn(rows, valid)


def _vector_rows(
    message: Message, vector: VectorRow, name: str, run: Run | None
) -> VectorRows:
    """The vectors of a payload, as they are stored."""
    if vector.numpy is None:
        return sparse_from_bytes(list(getattr(message, vector.slot).contents))
    dim = message.dim
    if not 0 < dim <= MAX_DIM:
        raise InvalidParameter(f"invalid dimension: {dim} of field {name}")
    if run is None and vector.slot == "float_vector":
        values = numbers(message.float_vector, "<f4")
    else:
        content = getattr(message, vector.slot) if run is None else run
        if len(content) % vector.numpy.itemsize:
            what = vector.slot.removesuffix("_vector")
            raise InvalidParameter(
                f"the length({len(content)}) of {what} data should divide the "
                f"dim({dim})"
            )
        values = np.frombuffer(content, vector.numpy)
    if dim % vector.dims_per_value or len(values) % vector.width(dim):
        return values.reshape(1, -1)  # not the schema's dimension either, or it lies
    return values.reshape(-1, vector.width(dim))


# --- one function per slot ----------------------------------------------------------


def _bools(message: Message) -> pa.Array:
    return array_of_bools(numbers(message, "?"))


def _ints(message: Message) -> pa.Array:
    return array_of(numbers(message, "<i4"))


def _longs(message: Message) -> pa.Array:
    return array_of(numbers(message, "<i8"))


def _floats(message: Message) -> pa.Array:
    return array_of(numbers(message, "<f4"))


def _doubles(message: Message) -> pa.Array:
    return array_of(numbers(message, "<f8"))


def _strings(message: Message) -> pa.Array:
    return array_of_texts(list(message.data), pa.large_string())


def _jsons(message: Message) -> pa.Array:
    return array_of_texts(list(message.data), pa.large_binary())


def _arrays(message: Message) -> pa.Array:
    """Rows of elements; a row without a payload is an empty one."""
    slot = ""
    lengths = []
    flat: list[Any] = []
    for row in message.data:
        kind = row.WhichOneof("data")
        if kind is None:
            lengths.append(0)
            continue
        if kind not in _ELEMENTS or kind != (slot or kind):
            raise InvalidParameter(
                "insert data does not match",
                expected=f"{slot.removesuffix('_data') or 'scalar'} array",
                actual=f"{kind.removesuffix('_data')} array",
            )
        slot = kind
        data = getattr(row, kind).data
        lengths.append(len(data))
        flat.extend(data)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    elements = _ELEMENTS[slot](flat) if slot else pa.nulls(0)
    return pa.LargeListArray.from_arrays(array_of(offsets), elements)


_SLOTS: dict[str, Callable[[Message], pa.Array]] = {
    "bool_data": _bools,
    "int_data": _ints,
    "long_data": _longs,
    "float_data": _floats,
    "double_data": _doubles,
    "string_data": _strings,
    "json_data": _jsons,
    "geometry_wkt_data": _strings,
    "array_data": _arrays,
}
_ELEMENTS: dict[str, Callable[[list[Any]], pa.Array]] = {
    "bool_data": lambda values: array_of_bools(np.array(values, np.bool_)),
    "int_data": lambda values: array_of(np.array(values, np.int32)),
    "long_data": lambda values: array_of(np.array(values, np.int64)),
    "float_data": lambda values: array_of(np.array(values, np.float32)),
    "double_data": lambda values: array_of(np.array(values, np.float64)),
    "string_data": lambda values: array_of_texts(values, pa.large_string()),
}
