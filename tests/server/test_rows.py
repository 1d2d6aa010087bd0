"""Columns on the wire: what clients send becomes columns, and columns come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import InvalidParameter
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn, no_vectors
from elanus.server.grpc import decode_lists
from elanus.server.grpc.decode_rows import column_from_message
from elanus.server.grpc.encode_rows import column_bytes
from elanus.service.replies import OutputColumn
from server.wire import message, message_class

FieldData = message_class("schema.FieldData")

SLOT = {
    DataType.BOOL: "bool_data",
    DataType.INT8: "int_data",
    DataType.INT16: "int_data",
    DataType.INT32: "int_data",
    DataType.INT64: "long_data",
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.VARCHAR: "string_data",
    DataType.JSON: "json_data",
}
VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT8: st.integers(-(2**7), 2**7 - 1),
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.INT64: st.integers(-(2**63), 2**63 - 1),
    DataType.FLOAT: st.floats(width=32, allow_nan=False),
    DataType.DOUBLE: st.floats(allow_nan=False),
    DataType.VARCHAR: st.text(max_size=5),
    DataType.JSON: st.sampled_from([b"{}", b'{"a":1}', b"[]"]),
}
STORED = {dtype: dtype.row.arrow for dtype in SLOT}


def sent(dtype: DataType, values: list[Any], *, compact: bool = True) -> Any:
    """A column as a client packs it: nulls left out, and said in ``valid_data``."""
    present = [v for v in values if v is not None]
    if not compact:
        present = [VALUES_FOR_NULL[dtype] if v is None else v for v in values]
    array = message(f"schema.{ARRAYS[SLOT[dtype]]}", data=present)
    scalars = message("schema.ScalarField", **{SLOT[dtype]: array})
    valid = [v is not None for v in values] if None in values else []
    return FieldData(type=int(dtype), field_name="f", scalars=scalars, valid_data=valid)


ARRAYS = {
    "bool_data": "BoolArray",
    "int_data": "IntArray",
    "long_data": "LongArray",
    "float_data": "FloatArray",
    "double_data": "DoubleArray",
    "string_data": "StringArray",
    "json_data": "JSONArray",
}
VALUES_FOR_NULL = {d: b"" if d is DataType.JSON else "" for d in (DataType.JSON,)}
VALUES_FOR_NULL |= {d: 0 for d in SLOT if d not in (DataType.JSON, DataType.VARCHAR)}
VALUES_FOR_NULL |= {DataType.VARCHAR: ""}


@pytest.mark.parametrize("dtype", SLOT)
@settings(max_examples=25)
@given(data=st.data())
def test_a_scalar_column_is_read_as_sent(dtype: DataType, data: st.DataObject) -> None:
    """Whatever is sent, nulls left out or with placeholders, is the column read."""
    values = data.draw(st.lists(st.none() | VALUES[dtype], max_size=6))
    compact = data.draw(st.booleans())
    column = column_from_message(sent(dtype, values, compact=compact))
    assert column.values is not None
    assert column.values.to_pylist() == values
    assert (column.name, column.type_number, column.slot) == ("f", dtype, SLOT[dtype])
    assert column.n_rows == len(values)


@pytest.mark.parametrize("dtype", SLOT)
@settings(max_examples=25)
@given(data=st.data())
def test_a_scalar_column_is_written_at_full_length(
    dtype: DataType, data: st.DataObject
) -> None:
    """A reply has a value for every row, and says which are null if any can be."""
    values = data.draw(st.lists(st.none() | VALUES[dtype], max_size=6))
    nullable = data.draw(st.booleans())
    array = pa.array(values, STORED[dtype])
    start = data.draw(st.integers(0, len(values)))
    column = OutputColumn("f", dtype, array[start:], is_nullable=nullable)
    reply = FieldData.FromString(column_bytes(column))
    kept = values[start:]
    data_sent = list(getattr(reply.scalars, SLOT[dtype]).data)
    assert len(data_sent) == len(kept)
    assert [v for v, k in zip(data_sent, kept, strict=True) if k is not None] == [
        k for k in kept if k is not None
    ]
    if nullable or None in kept:
        assert list(reply.valid_data) == [k is not None for k in kept]
    else:
        assert not reply.valid_data


ELEMENTS = [d for d in SLOT if d is not DataType.JSON]


@pytest.mark.parametrize("element", ELEMENTS)
@settings(max_examples=25)
@given(data=st.data())
def test_arrays_survive_both_ways(element: DataType, data: st.DataObject) -> None:
    """Rows of elements, empty and null ones among them, come back as they were."""
    rows = data.draw(
        st.lists(st.none() | st.lists(VALUES[element], max_size=3), max_size=5)
    )
    array = pa.array(rows, pa.large_list(STORED[element]))
    start = data.draw(st.integers(0, len(rows)))
    column = OutputColumn("f", DataType.ARRAY, array[start:], element_type=element)
    reply = FieldData.FromString(column_bytes(column))
    assert reply.scalars.array_data.element_type == element
    read = column_from_message(reply)
    assert read.values is not None
    assert read.values.to_pylist() == rows[start:]


@given(data=st.data())
def test_vectors_survive_both_ways(data: st.DataObject) -> None:
    """A matrix comes back bit for bit; rows that are null are not sent."""
    dim = data.draw(st.integers(1, 5))
    valid = np.array(data.draw(st.lists(st.booleans(), max_size=5)), np.bool_)
    flat = data.draw(
        st.lists(
            st.floats(width=32),
            min_size=int(valid.sum()) * dim,
            max_size=int(valid.sum()) * dim,
        )
    )
    matrix = np.array(flat, np.float32).reshape(-1, dim)
    some = None if valid.all() else valid
    held = VectorColumn(matrix, some)
    column = OutputColumn("v", DataType.FLOAT_VECTOR, held, dim=dim)
    reply = FieldData.FromString(column_bytes(column))
    assert reply.vectors.dim == dim
    read = column_from_message(reply)
    assert isinstance(read.values, VectorColumn)
    assert isinstance(read.values.rows, np.ndarray)
    assert read.values.rows.tobytes() == matrix.tobytes()
    assert read.values.rows.shape == matrix.shape
    assert read.n_rows == len(valid)


@pytest.mark.parametrize("dtype", set(DataType) - {DataType.ARRAY_OF_VECTOR})
def test_a_column_without_rows_keeps_its_kind(dtype: DataType) -> None:
    """Clients look at the payload of an empty column, so it is there."""
    values: Any = pa.nulls(0)
    if dtype.is_vector:
        values = no_vectors(dtype.vector, 8)
    column = OutputColumn("f", dtype, values, element_type=DataType.INT8, dim=8)
    reply = FieldData.FromString(column_bytes(column))
    if dtype.is_vector:
        assert reply.vectors.WhichOneof("data") == dtype.vector.slot
        assert reply.vectors.dim == (1 if dtype.vector.is_sparse else 8)
    else:
        assert reply.scalars.WhichOneof("data") == dtype.row.slot


def test_older_protobuf_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where repeated numbers are no buffers, another path reads the same values."""
    columns = [
        sent(dtype, [0, 1, 0, 1]) for dtype in ELEMENTS if dtype is not DataType.VARCHAR
    ]
    fast = [column_from_message(column).values for column in columns]
    monkeypatch.setattr(decode_lists, "_HAS_ARRAYS", False)
    slow = [column_from_message(column).values for column in columns]
    assert [v.to_pylist() for v in fast] == [v.to_pylist() for v in slow]
    assert sum(len(v) for v in fast) == 4 * len(columns)
    empty = column_from_message(sent(DataType.FLOAT, []))
    assert empty.n_rows == 0


def test_a_column_of_nulls_may_lack_its_payload() -> None:
    """A client that has no value to send leaves the payload out."""
    column = column_from_message(
        FieldData(field_name="f", type=5, valid_data=[False, False])
    )
    assert column.values is not None
    assert column.values.to_pylist() == [None, None]


def test_a_column_without_payload_has_no_values() -> None:
    """What was not sent is not made up; whoever needs it can say what is missing."""
    column = column_from_message(FieldData(field_name="f", type=5))
    assert (column.slot, column.values, column.n_rows) == ("", None, 0)


def _vector(dim: int, values: list[float]) -> Any:
    field = message("schema.VectorField", dim=dim)
    field.float_vector.data.extend(values)
    return FieldData(field_name="v", type=101, vectors=field)


def _halves(content: bytes) -> Any:
    field = message("schema.VectorField", dim=4, float16_vector=content)
    return FieldData(field_name="v", type=102, vectors=field)


def test_values_that_no_dimension_divides_are_left_to_the_schema() -> None:
    """They come as one row, whose length the schema can tell to be wrong."""
    values = column_from_message(_vector(3, [1.0] * 4)).values
    assert isinstance(values, VectorColumn)
    assert np.shape(values.rows) == (1, 4)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (_halves(b"123"), "the length(3) of float16 data should divide the dim(4)"),
        (_vector(0, [1.0]), "invalid dimension: 0"),
        (_vector(-4, [1.0] * 4), "invalid dimension: -4"),
        (_vector(2**62, []), f"invalid dimension: {2**62}"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(column: Any, text: str) -> None:
    """A dimension is a small number, and a value has all of its bytes."""
    with pytest.raises(InvalidParameter) as info:
        column_from_message(column)
    assert text in str(info.value)


def test_a_wrong_count_of_values_is_refused() -> None:
    """Neither as many values as rows nor as many as rows that are not null."""
    column = sent(DataType.INT64, [1, None, 3, None])
    column.scalars.long_data.data.append(4)
    with pytest.raises(InvalidParameter, match="the length of field is wrong"):
        column_from_message(column)


def test_rows_of_different_kinds_are_refused() -> None:
    """One array field holds elements of one type."""
    array = message("schema.ArrayArray")
    array.data.add().long_data.data.append(1)
    array.data.add().string_data.data.append("x")
    column = FieldData(field_name="a", type=22)
    column.scalars.array_data.CopyFrom(array)
    with pytest.raises(InvalidParameter, match="insert data does not match"):
        column_from_message(column)


def test_dynamic_columns_say_so() -> None:
    """Other clients send the dynamic column without a name, but marked."""
    column = FieldData(type=23, is_dynamic=True)
    column.scalars.json_data.data.append(b"{}")
    assert column_from_message(column).is_dynamic
