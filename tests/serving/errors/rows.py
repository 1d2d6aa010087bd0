"""Rows that are refused: what columns, values and messages have to be."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from pymilvus import DataType
from pymilvus.grpc_gen import milvus_pb2

from serving.errors.case import Call, Case
from serving.errors.raw import arrays, dynamic, scalars, send, vectors
from serving.errors.stage import ABSENT, BOOKS, KEYED, LOOSE, MADE, VECTOR, WIDE, row

NAN, INF = float("nan"), float("inf")
D = DataType


def _books(**changed: Any) -> list[Any]:
    """Columns of two rows of the collections that have one field of many kinds."""
    columns = {
        "id": scalars("id", D.INT64, "long_data", [1, 2]),
        "vector": vectors("vector", D.FLOAT_VECTOR, "float_vector", VECTOR * 2, 4),
        "title": scalars("title", D.VARCHAR, "string_data", ["a", "b"]),
        "level": scalars("level", D.INT8, "int_data", [1, 2]),
        "price": scalars("price", D.DOUBLE, "double_data", [1.0, 2.0]),
        "flag": scalars("flag", D.BOOL, "bool_data", [True, False]),
        "info": scalars("info", D.JSON, "json_data", [b"{}", b"{}"]),
        "tags": arrays("tags", "long_data", [[1], [2]]),
        **changed,
    }
    return [column for column in columns.values() if column is not ABSENT]


def _insert(columns: list[Any], collection: str = BOOKS, **more: Any) -> Call:
    wanted = {"num_rows": 2, **more}
    request = milvus_pb2.InsertRequest(
        collection_name=collection, fields_data=columns, **wanted
    )
    return lambda c: send(c, "Insert", request)


def _upsert(columns: list[Any], collection: str = BOOKS, **more: Any) -> Call:
    request = milvus_pb2.UpsertRequest(
        collection_name=collection, fields_data=columns, num_rows=2, **more
    )
    return lambda c: send(c, "Upsert", request)


def _wide(*columns: Any) -> Call:
    """Two rows of the collection whose fields can be null, but for its keys."""
    return _insert(
        [
            scalars("id", D.INT64, "long_data", [1, 2]),
            vectors("vector", D.FLOAT_VECTOR, "float_vector", VECTOR * 2, 4),
            *columns,
        ],
        WIDE,
    )


def _sparse(*row_bytes: bytes) -> Any:
    return vectors("sparse", D.SPARSE_FLOAT_VECTOR, "sparse_float_vector", row_bytes, 9)


def _pairs(*pairs: tuple[int, float]) -> bytes:
    return b"".join(struct.pack("<If", index, value) for index, value in pairs)


def _halves(value: float) -> Any:
    values = np.full(8, value, np.float16).tobytes()
    return vectors("half", D.FLOAT16_VECTOR, "float16_vector", values, 4)


def _floats(count: int, dim: int = 4, name: str = "vector") -> Any:
    return vectors(name, D.FLOAT_VECTOR, "float_vector", [1.0] * count, dim)


def _delete(filter: str, collection: str = BOOKS, **more: Any) -> Call:
    request = milvus_pb2.DeleteRequest(collection_name=collection, expr=filter, **more)
    return lambda c: send(c, "Delete", request)


MISMATCH = "illegal, array type mismatch: invalid parameter"
NAMED = (
    "not support manually specifying the partition names if partition key mode is used"
)
ONE = scalars("id", D.INT64, "long_data", [1])
THREE = scalars("id", D.INT64, "long_data", [1, 2, 3])

# One line each, with the whole message: a table to search in.
# fmt: off
COLUMNS = [
    Case(1100, "the num_rows (3) of field (id) is not equal to passed num_rows (2): invalid parameter[expected=2][actual=3]", _insert(_books(id=THREE))),
    Case(1100, "the num_rows (1) of field (id) is not equal to passed num_rows (2): invalid parameter[expected=2][actual=1]", _insert(_books(id=ONE))),
    Case(1100, "the num_rows (3) of field (vector) is not equal to passed num_rows (2): invalid parameter[expected=2][actual=3]", _insert(_books(vector=_floats(12)))),
    Case(1100, "num_rows should be greater than 0: invalid parameter[expected=invalid num_rows][actual=0]", _insert(_books(), num_rows=0)),
    Case(1100, "duplicated field id found", _insert([*_books(), ONE])),
    Case(1100, "fieldName zz not exist in collection schema, fieldType Int64, fieldId 0", _insert([*_books(), scalars("zz", D.INT64, "long_data", [1, 2])])),
    Case(1100, "fieldName $meta not exist in collection schema, fieldType JSON, fieldId 0", _insert([*_books(), dynamic(b"{}", b"{}")])),
    Case(1100, "fieldSchema(title) has no corresponding fieldData pass in: invalid parameter", _insert(_books(title=ABSENT))),
    Case(1100, "fieldSchema(vector) has no corresponding fieldData pass in: invalid parameter", lambda c: c.upsert(BOOKS, [{"id": 99, "level": 1}], partial_update=True)),
    Case(1100, "more fieldData has pass in: invalid parameter[expected=1][actual=2]", lambda c: c.insert(MADE, [{"id": 1, "vector": VECTOR}])),
    Case(1100, "must assign pk when upsert, primary field: id", _upsert(_books(id=ABSENT))),
    Case(109, "collection schema mismatch[collection=books]", _insert([], schema_timestamp=7)),
    Case(109, "collection schema mismatch[collection=books]", _upsert([], schema_timestamp=7)),
    Case(1100, "fieldSchema(title) has no corresponding", _insert(_books(title=ABSENT, id=THREE), partition_name="z")),
    Case(200, "partition not found[partition=z]", _insert(_books(id=THREE), partition_name="z")),
    Case(1100, "Invalid partition name: p 1. Partition name can only contain numbers, letters and underscores.", _insert(_books(), partition_name="p 1")),
    Case(1100, "Invalid partition name: . Partition name should not be empty.", _insert(_books(), partition_name=" ")),
    Case(1100, NAMED, lambda c: c.insert(KEYED, [{"id": 1, "topic": 1, "vector": VECTOR}], partition_name="_default_0")),
    Case(1100, NAMED, lambda c: c.upsert(KEYED, [{"id": 1, "topic": 1, "vector": VECTOR}], partition_name="_default_0")),
    Case(1100, NAMED, lambda c: c.delete(KEYED, filter="id in [1]", partition_name="_default_0")),
    Case(1100, NAMED, lambda c: c.query(KEYED, filter="id in [1]", partition_names=["_default_0"])),
]

SLOTS = [
    Case(1100, f"field 'flag' is {MISMATCH}[expected=need bool array][actual=got nil]", _insert(_books(flag=scalars("flag", D.BOOL, "long_data", [1, 2])))),
    Case(1100, f"field 'level' is {MISMATCH}[expected=need int array][actual=got nil]", _insert(_books(level=scalars("level", D.INT8, "long_data", [1, 2])))),
    Case(1100, f"field 'level' is {MISMATCH}[expected=need int array][actual=got nil]", _insert(_books(level=scalars("level", D.INT8, "int_data", [])))),
    Case(1100, f"field 'level' is {MISMATCH}[expected=need int array][actual=got nil]", _insert(_books(level=scalars("level", D.INT8, "int_data", None)))),
    Case(1100, f"field 'id' is {MISMATCH}[expected=need long array][actual=got nil]", _insert(_books(id=scalars("id", D.INT64, "int_data", [1, 2])))),
    Case(1100, f"field 'price' is {MISMATCH}[expected=need double array][actual=got nil]", _insert(_books(price=scalars("price", D.DOUBLE, "float_data", [1.0, 2.0])))),
    Case(1100, f"varchar field 'title' is {MISMATCH}[expected=need string array][actual=got nil]", _insert(_books(title=scalars("title", D.VARCHAR, "long_data", [1, 2])))),
    Case(1100, f"json field 'info' is {MISMATCH}", _insert(_books(info=scalars("info", D.JSON, "string_data", ["{}", "{}"])))),
    Case(1100, f"field 'tags' is {MISMATCH}", _insert(_books(tags=scalars("tags", D.ARRAY, "long_data", [1, 2])))),
    Case(1100, "insert data does not match: invalid parameter[expected=long array]", _insert(_books(tags=arrays("tags", "string_data", [["a"], ["b"]])))),
    Case(1100, "insert data does not match: invalid parameter[expected=string array]", _wide(arrays("words", "long_data", [[1], [2]]))),
    Case(1100, f"float vector field 'vector' is {MISMATCH}[expected=need float vector][actual=got nil]", _insert(_books(vector=vectors("vector", D.FLOAT_VECTOR, "binary_vector", b"\0\0", 8)))),
    Case(1100, f"binary vector field 'bits' is {MISMATCH}", _wide(vectors("bits", D.BINARY_VECTOR, "float_vector", [1.0] * 32, 16))),
    Case(1100, f"float16 vector field 'half' is {MISMATCH}", _wide(vectors("half", D.FLOAT16_VECTOR, "bfloat16_vector", b"\0" * 16, 4))),
    Case(1100, f"sparse float vector field 'sparse' is {MISMATCH}", _wide(_floats(8, name="sparse"))),
    Case(1100, f"int8 vector field 'bytes' is {MISMATCH}", _wide(_floats(8, name="bytes"))),
    Case(1100, "the length(11) of float data should divide the dim(4)", _insert(_books(vector=_floats(11)))),
    Case(1100, "the length(11) of float data should divide the dim(4)", _insert(_books(vector=_floats(11, dim=5)))),
    Case(1100, "the dim (5) of field data(vector) is not equal to schema dim (4): invalid parameter[expected=4][actual=5]", _insert(_books(vector=_floats(20, dim=5)))),
    Case(1100, "the num(24) of all bits should divide the dim(16)", _wide(vectors("bits", D.BINARY_VECTOR, "binary_vector", b"\0" * 3, 16))),
    Case(1100, "the dim (8) of field data(bits) is not equal to schema dim (16): invalid parameter[expected=16][actual=8]", _wide(vectors("bits", D.BINARY_VECTOR, "binary_vector", b"\0" * 2, 8))),
    Case(1100, "the length(7) of int8 data should divide the dim(4)", _wide(vectors("bytes", D.INT8_VECTOR, "int8_vector", b"\0" * 7, 4))),
    Case(1100, "the length(14) of float16 data should divide the dim(4)", _wide(vectors("half", D.FLOAT16_VECTOR, "float16_vector", b"\0" * 14, 4))),
    Case(1100, "the length of field is wrong: invalid parameter[expected=1][actual=3]", _wide(scalars("note", D.INT64, "long_data", [1, 2, 3], [True, False]))),
    Case(1100, "the length of valid_data of field(note) is wrong: invalid parameter[expected=2][actual=3]", _wide(scalars("note", D.INT64, "long_data", [1], [True, False, False]))),
    Case(1100, "the length of valid_data of field(note) is wrong: invalid parameter[expected=2][actual=1]", _wide(scalars("note", D.INT64, "long_data", [1, 2], [True]))),
    Case(1100, "the length of valid_data of field(title) is wrong: invalid parameter[expected=0][actual=2]", _insert(_books(title=scalars("title", D.VARCHAR, "string_data", ["a", "b"], [True, True])))),
    Case(1100, "the length of valid_data of field(vector) is wrong: invalid parameter[expected=0][actual=2]", _insert(_books(vector=vectors("vector", D.FLOAT_VECTOR, "float_vector", VECTOR, 4, valid_data=[True, False])))),
]

VALUES = [
    Case(1100, "length of varchar field title exceeds max length, row number: 1, length: 22, max length: 20", _insert(_books(title=scalars("title", D.VARCHAR, "string_data", ["a", "ü" * 11])))),
    Case(1100, "length of varchar field small_limit exceeds max length", _wide(scalars("small_limit", D.VARCHAR, "string_data", ["a", "aaaaaa"]))),
    Case(1100, "length of varchar field varchar exceeds max length", _wide(scalars("varchar", D.VARCHAR, "string_data", ["a", "aaaaaa"]))),
    Case(1100, "the 1th element (300) out of range: [-128, 127]: invalid parameter[expected=integer doesn't overflow][actual=out of range]", _insert(_books(level=scalars("level", D.INT8, "int_data", [1, 300])))),
    Case(1100, "out of range: [-32768, 32767]: invalid parameter[expected=integer doesn't overflow][actual=out of range]", _wide(arrays("shorts", "int_data", [[1], [2, 40_000]]))),
    Case(1100, "value 'NaN' is not a number or infinity", _insert(_books(price=scalars("price", D.DOUBLE, "double_data", [1.0, NAN])))),
    Case(1100, "value '-Inf' is not a number or infinity", _wide(scalars("ratio", D.FLOAT, "float_data", [1.0, -INF]))),
    Case(1100, "value 'NaN' is not a number or infinity", _wide(_halves(NAN))),
    Case(1100, "value '+Inf' is not a number or infinity", _wide(_halves(INF))),
    Case(1100, "value '-Inf' is not a number or infinity", _wide(vectors("brain", D.BFLOAT16_VECTOR, "bfloat16_vector", b"\x80\xff" * 8, 4))),
    Case(1100, "the length (5) of 1th array exceeds max capacity (4): invalid parameter[expected=valid length array][actual=array length exceeds max capacity]", _insert(_books(tags=arrays("tags", "long_data", [[1], [1] * 5])))),
    Case(1100, 'length of Array array field "words" exceeds max length, row number: 1, array index: 1, length: 6, max length: 5', _wide(arrays("words", "string_data", [["a"], ["a", "aaaaaa"]]))),
    Case(1100, "the length (65537) of json field (info) exceeds max length (65536): invalid parameter[expected=valid length json string][actual=length exceeds max length]", _insert(_books(info=scalars("info", D.JSON, "json_data", [b"1", b'"' + b"a" * 65535 + b'"'])))),
    Case(1100, "value 'NaN' is not a number or infinity", _wide(_sparse(_pairs((1, NAN)), b""))),
    Case(1100, "negative value in sparse float vector", _wide(_sparse(_pairs((1, -1.0)), b""))),
    Case(1100, "invalid index in sparse float vector: must be less than 2^32-1", _wide(_sparse(_pairs((2**32 - 1, 1.0)), b""))),
    Case(1100, "invalid data length in sparse float vector: 7", _wide(_sparse(b"1234567", b""))),
    Case(1100, "unsorted or same indices in sparse float vector", _wide(_sparse(_pairs((2, 1.0), (1, 1.0)), b""))),
    Case(1100, "unsorted or same indices in sparse float vector", _wide(_sparse(_pairs((1, 1.0), (1, 1.0)), b""))),
]

DYNAMIC = [
    Case(1100, "invalid dynamic field data, only json map is supported: json: cannot unmarshal array into Go value of type map[string]interface {}", _insert([*_books(), dynamic(b"[]", b"{}")], LOOSE)),
    Case(1100, "invalid dynamic field data, only json map is supported: json: cannot unmarshal number", _insert([*_books(), dynamic(b"{}", b"1")], LOOSE)),
    Case(1100, "invalid dynamic field data, only json map is supported: ", _insert([*_books(), dynamic(b"{}", b"{")], LOOSE)),
    Case(1100, "cannot set json key to: $meta", _insert([*_books(), dynamic(b'{"$meta": 1}', b"{}")], LOOSE)),
    Case(1100, "dynamic field name cannot include the static field name: title", _insert([*_books(), dynamic(b'{"title": 1}', b"{}")], LOOSE)),
    Case(1100, "dynamic field name cannot include the static field name: title", _upsert([*_books(), dynamic(b'{"title": 1}', b"{}")], LOOSE)),
    Case(1100, "exceeds max length (65536): invalid parameter[expected=valid length dynamic field][actual=length exceeds max length]", _insert([*_books(), dynamic(b'{"a": "' + b"a" * 65536 + b'"}', b"{}")], LOOSE)),
    Case(1100, "the num_rows (1) of field ($meta) is not equal to passed num_rows (2)", _insert([*_books(), dynamic(b"{}")], LOOSE)),
]

DELETES = [
    Case(1100, "delete plan can't be empty or always true : ", _delete("")),
    Case(1100, "delete plan can't be empty or always true : 1 == 1", _delete("1 == 1")),
    Case(200, "Failed to get partition id: partition not found[partition=z]", _delete("id in [1]", partition_name="z")),
    Case(201, "failed to query: partition not loaded[partition={}]", _delete("level > 1", LOOSE, partition_name="out")),
    Case(1100, 'duplicate partial-update op for field "tags"', _upsert(_books(), field_ops=[{"field_name": "tags", "op": 1}] * 2)),
    Case(1100, 'partial-update op field "tags" payload is not an Array', _upsert(_books(tags=scalars("tags", D.ARRAY, "long_data", [1, 2])), field_ops=[{"field_name": "tags", "op": 1}])),
    Case(1100, 'field "tags" expects element type Int64 but request provides VarChar', _upsert(_books(tags=arrays("tags", "string_data", [["a"], ["b"]])), field_ops=[{"field_name": "tags", "op": 1}])),
    Case(1100, 'ARRAY_APPEND payload for field "tags" row 0 has length 5 exceeding max_capacity 4', lambda c: c.upsert(BOOKS, [{"id": 1, "tags": [1] * 5}], field_ops={"tags": "array_append"})),
    Case(1100, "duplicate primary keys are not allowed in the same batch", lambda c: c.upsert(MADE, [{"id": 1, "vector": VECTOR}] * 2)),
    Case(101, "failed to query: collection not loaded", lambda c: c.upsert("bare", [row(1)], partial_update=True)),
]
# fmt: on

ROWS = [*COLUMNS, *SLOTS, *VALUES, *DYNAMIC, *DELETES]
