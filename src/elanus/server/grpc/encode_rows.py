"""Columns of an answer as ``FieldData`` bytes.

Scalars have their full length, with a placeholder where they are null; vectors only
the rows that are not null: this is how clients read replies, unlike requests.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.schema.arrays import values_of
from elanus.schema.sparse import SparseRows, sparse_to_bytes
from elanus.schema.types import TYPES, DataType
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import VectorColumn
from elanus.server.grpc.messages import message_class
from elanus.server.grpc.packed import delimited, number, text
from elanus.service.replies import AnyColumn, Highlight, OutputColumn, StructColumn

# Field numbers of schema.proto.
_TYPE, _NAME, _SCALARS, _VECTORS, _ID, _IS_DYNAMIC, _VALID = 1, 2, 3, 4, 5, 6, 7
_INT_ID, _STR_ID = 1, 2
_DATA = 1
_ELEMENT_TYPE = 2

_INT64 = pa.int64()
_FLOAT4, _FLOAT8 = np.dtype("<f4"), np.dtype("<f8")
_Ints = message_class("schema.IntArray")
_Jsons = message_class("schema.JSONArray")
_Longs = message_class("schema.LongArray")
_Strings = message_class("schema.StringArray")
_SparseRows = message_class("schema.SparseFloatArray")
_SCALAR_SLOTS = {
    field.name: field.number
    for field in message_class("schema.ScalarField").DESCRIPTOR.fields
}
_VECTOR_FIELDS = message_class("schema.VectorField").DESCRIPTOR.fields_by_name
_DIM = _VECTOR_FIELDS["dim"].number
_VECTOR_ARRAY = _VECTOR_FIELDS["vector_array"].number
_ARRAY_OF_STRUCT, _STRUCTS, _STRUCT_FIELDS, _ROWS = 200, 8, 1, 2
_SLOT_NUMBERS = {
    row.vector.slot: _VECTOR_FIELDS[row.vector.slot].number
    for row in TYPES.values()
    if row.vector
}


_Highlights = message_class("common.HighlightResult")


def highlight_bytes(highlight: Highlight) -> bytes:
    """The fragments of one field as a ``HighlightResult``."""
    message = _Highlights(field_name=highlight.name)
    for fragments in highlight.fragments:
        message.datas.add(fragments=fragments)
    content: bytes = message.SerializeToString()
    return content


def column_bytes(column: AnyColumn) -> bytes:
    """A column as a ``FieldData``."""
    if isinstance(column, StructColumn):
        return _struct(column)
    values = column.values
    if isinstance(values, VectorColumn):
        payload = delimited(_VECTORS, _vectors(column, values))
        valid = values.valid
        if valid is None and column.is_nullable:
            valid = np.ones(len(values), np.bool_)
    else:
        assert isinstance(values, pa.Array)
        payload = delimited(_SCALARS, _scalars(column, values))
        valid = _validity(values) if column.is_nullable or values.null_count else None
    return b"".join(
        (
            number(_TYPE, column.dtype),
            text(_NAME, column.name),
            payload,
            number(_ID, column.field_id),
            number(_IS_DYNAMIC, column.is_dynamic),
            b"" if valid is None else delimited(_VALID, valid.tobytes()),
        )
    )


def keys_bytes(keys: pa.Array | npt.NDArray[np.int64]) -> bytes:
    """Primary keys as ``IDs``; without keys nothing, as clients expect."""
    if not len(keys):
        return b""
    if isinstance(keys, np.ndarray):
        return delimited(_INT_ID, long_array(keys))
    if keys.type == _INT64:
        return delimited(_INT_ID, long_array(values_of(keys)))
    return delimited(_STR_ID, _strings(keys))


def float_array(values: npt.NDArray[np.float32]) -> bytes:
    """Numbers as a ``FloatArray``."""
    return delimited(_DATA, np.ascontiguousarray(values, _FLOAT4).tobytes())


def long_array(values: npt.NDArray[Any]) -> bytes:
    """Numbers as a ``LongArray``."""
    content: bytes = _Longs(data=values.tolist()).SerializeToString()
    return content


def _struct(column: StructColumn) -> bytes:
    """A struct array as a ``FieldData``: one in it for each of its fields."""
    parts = (delimited(_STRUCT_FIELDS, column_bytes(part)) for part in column.parts)
    return b"".join(
        (
            number(_TYPE, _ARRAY_OF_STRUCT),
            text(_NAME, column.name),
            delimited(_STRUCTS, b"".join(parts)),
            number(_ID, column.field_id),
        )
    )


def _vector_lists(column: OutputColumn, values: VectorColumn) -> bytes:
    """A ``VectorField`` of lists: one of its own for each row, empty for a null."""
    element, lists = column.element_type, values.rows
    assert element is not None and isinstance(lists, VectorLists)
    vector, dim = element.vector, number(_DIM, column.dim)
    slot, vectors = _SLOT_NUMBERS[vector.slot], lists.vectors
    content = vectors.tobytes()
    ends = (lists.ends - lists.ends[0]) * vector.nbytes(column.dim)
    is_float = vector.numpy == _FLOAT4
    rows = []
    for start, end in pairwise(ends.tolist()):
        own = content[start:end]
        row = delimited(slot, delimited(_DATA, own) if is_float else own)
        rows.append(delimited(_ROWS, dim + row))
    if values.valid is not None:
        held, rows = iter(rows), []
        empty = delimited(_ROWS, dim + delimited(slot, b""))
        for is_valid in values.valid.tolist():
            rows.append(next(held) if is_valid else empty)
    array = b"".join((number(1, column.dim), *rows, number(3, element)))
    return dim + delimited(_VECTOR_ARRAY, array)


def _vectors(column: OutputColumn, values: VectorColumn) -> bytes:
    """A ``VectorField``, of the rows that have a vector."""
    if isinstance(values.rows, VectorLists):
        return _vector_lists(column, values)
    vector, rows = column.dtype.vector, values.rows
    if isinstance(rows, SparseRows):
        indices = rows.indices[rows.entries]
        dim = int(indices.max()) + 1 if len(indices) else 1
        content: bytes = _SparseRows(
            contents=sparse_to_bytes(rows), dim=dim
        ).SerializeToString()
    elif vector.numpy == _FLOAT4:
        dim, content = column.dim, float_array(rows.reshape(-1))
    else:
        dim, content = column.dim, rows.tobytes()
    return number(_DIM, dim) + delimited(_SLOT_NUMBERS[vector.slot], content)


def _validity(values: pa.Array) -> npt.NDArray[np.bool_]:
    if not values.null_count:
        return np.ones(len(values), np.bool_)
    return _bools(values.is_valid())


def _bools(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Bit-packed bools as one byte each, which is how protobuf packs them, too."""
    buffer = values.buffers()[1]
    bits = np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, "u1")
    end = values.offset + len(values)
    unpacked = np.unpackbits(bits, count=end, bitorder="little")
    return unpacked[values.offset : end].view(np.bool_)


# --- one function per data type: the bytes of its array message ---------------------


def _scalars(column: OutputColumn, values: pa.Array) -> bytes:
    """A ``ScalarField`` with the slot of the column's type, even without rows."""
    if column.dtype is DataType.ARRAY:
        assert column.element_type is not None
        slot = _SCALAR_SLOTS[column.dtype.row.slot]
        return delimited(slot, _arrays(values, column.element_type))
    if pa.types.is_null(values.type):
        values = pa.nulls(len(values), column.dtype.row.arrow)
    slot = column.dtype.row.slot
    return delimited(_SCALAR_SLOTS[slot], _ENCODERS[slot](values))


def _bool_array(values: pa.Array) -> bytes:
    bools = _bools(values)
    if values.null_count:
        bools = bools & _validity(values)
    return delimited(_DATA, bools.tobytes())


def _int_array(values: pa.Array) -> bytes:
    data = _numbers(values).tolist()
    content: bytes = _Ints(data=data).SerializeToString()
    return content


def _long_array(values: pa.Array) -> bytes:
    return long_array(_numbers(values))


def _float_array(values: pa.Array) -> bytes:
    return float_array(_numbers(values))


def _double_array(values: pa.Array) -> bytes:
    return delimited(_DATA, np.ascontiguousarray(_numbers(values), _FLOAT8).tobytes())


def _strings(values: pa.Array) -> bytes:
    content: bytes = _Strings(data=_filled(values, "")).SerializeToString()
    return content


def _jsons(values: pa.Array) -> bytes:
    stored = _filled(values.cast(pa.large_binary()), b"")
    content: bytes = _Jsons(data=stored).SerializeToString()
    return content


def _numbers(values: pa.Array) -> npt.NDArray[Any]:
    numbers = values_of(values)
    if values.null_count:
        return np.where(_validity(values), numbers, numbers.dtype.type(0))
    return numbers


def _filled(values: pa.Array, placeholder: str | bytes) -> list[Any]:
    plain: list[Any] = values.to_pylist()
    if values.null_count:
        return [placeholder if value is None else value for value in plain]
    return plain


def _arrays(lists: pa.Array, element_type: DataType) -> bytes:
    """An ``ArrayArray``: one ``ScalarField`` per row, empty for a null."""
    slot = _SCALAR_SLOTS[element_type.row.slot]
    encode = _ENCODERS[element_type.row.slot]
    if pa.types.is_null(lists.type):
        return delimited(_DATA, b"") * len(lists) + number(_ELEMENT_TYPE, element_type)
    flat = lists.flatten()
    lengths = values_of(pc.fill_null(pc.list_value_length(lists), 0))
    ends = np.cumsum(lengths).tolist()
    rows = []
    start = 0
    for end, is_valid in zip(ends, _validity(lists).tolist(), strict=True):
        content = encode(flat.slice(start, end - start)) if is_valid else None
        row = b"" if content is None else delimited(slot, content)
        rows.append(delimited(_DATA, row))
        start = end
    rows.append(number(_ELEMENT_TYPE, element_type))
    return b"".join(rows)


_ENCODERS: dict[str, Callable[[pa.Array], bytes]] = {
    "bool_data": _bool_array,
    "int_data": _int_array,
    "long_data": _long_array,
    "float_data": _float_array,
    "double_data": _double_array,
    "string_data": _strings,
    "geometry_wkt_data": _strings,
    "json_data": _jsons,
}
