"""What is refused of structs, geometries and points in time."""

from __future__ import annotations

from typing import Any

from pymilvus import DataType
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from serving.errors.case import Call, Case
from serving.errors.raw import create, field, pairs, scalars, send, vectors
from serving.errors.stage import VECTOR, WIDE

D = DataType
ID = field("id", D.INT64, is_primary_key=True)
V = field("v", D.FLOAT_VECTOR, params={"dim": 4})
LISTS = 106  # arrays of vectors


def _create(*fields: Any, properties: dict[str, str] | None = None) -> Call:
    request = create("new", [ID, V, *fields], properties=properties)
    return lambda c: send(c, "CreateCollection", request)


def _part(name: str, element: int, kind: int = D.ARRAY, **options: Any) -> Any:
    """A field of a struct."""
    params: dict[str, Any] = {"max_capacity": 4, **options.pop("params", {})}
    return field(name, kind, element_type=element, params=params, **options)


def _struct(name: str, *parts: Any, **options: Any) -> Any:
    return schema_pb2.StructArrayFieldSchema(name=name, fields=parts, **options)


def _create_struct(*parts: Any, name: str = "s", **options: Any) -> Call:
    structs = [_struct(name, *parts, **options)]
    request = create("new", [ID, V], schema={"struct_array_fields": structs})
    return lambda c: send(c, "CreateCollection", request)


def _add_struct(*parts: Any, name: str = "s", **options: Any) -> Call:
    request = milvus_pb2.AddCollectionStructFieldRequest(collection_name="bare")
    request.struct_array_field_schema.CopyFrom(_struct(name, *parts, **options))
    return lambda c: send(c, "AddCollectionStructField", request)


def _wide(*columns: Any) -> Call:
    """Two rows of the collection whose fields can be null."""
    request = milvus_pb2.InsertRequest(
        collection_name=WIDE,
        fields_data=[
            scalars("id", D.INT64, "long_data", [1, 2]),
            vectors("vector", D.FLOAT_VECTOR, "float_vector", VECTOR * 2, 4),
            *columns,
        ],
        num_rows=2,
    )
    return lambda c: send(c, "Insert", request)


def _default(kind: int, **value: Any) -> Call:
    wanted = field("f", kind)
    wanted.default_value.CopyFrom(schema_pb2.ValueField(**value))
    return _create(wanted)


def _index(name: str, **params: Any) -> Call:
    request = milvus_pb2.CreateIndexRequest(
        collection_name=WIDE, field_name=name, extra_params=pairs(**params)
    )
    return lambda c: send(c, "CreateIndex", request)


X = _part("x", D.INT64)
E = _part("e", D.FLOAT_VECTOR, LISTS, params={"dim": 4})
TTL = {"collection.ttl.seconds": "5", "ttl_field": "when"}
WHEN = field("when", 26, nullable=True)

# One line each, with the whole message: a table to search in.
# fmt: off
STRUCTS = [
    Case(1100, "struct array field s has no sub-fields", _create_struct()),
    Case(1100, "fields in StructArrayField must be Array or ArrayOfVector, field name = x, field type = JSON", _create_struct(field("x", D.JSON))),
    Case(1100, "element type JSON is not supported", _create_struct(_part("x", D.JSON))),
    Case(1100, "element type Geometry is not supported", _create_struct(_part("x", 24))),
    Case(1100, "nested array is not supported x", _create_struct(_part("x", D.ARRAY))),
    Case(1100, "Unsupported element type SparseFloatVector of ArrayOfVector field e, only fixed dimension vector types are supported", _create_struct(_part("e", D.SPARSE_FLOAT_VECTOR, LISTS))),
    Case(1100, "all sub-fields in struct array field must have the same max_capacity: structName=s, subFieldName=y, max_capacity=5, expected=4", _create_struct(X, _part("y", D.INT64, params={"max_capacity": 5}))),
    Case(1100, "sub-field in non-nullable struct cannot be nullable individually, set nullable on the struct instead: structName=s, subFieldName=x", _create_struct(_part("x", D.INT64, nullable=True))),
    Case(1100, "primary key is not supported for struct field, field name = x", _create_struct(_part("x", D.INT64, is_primary_key=True))),
    Case(1100, "array of vector can only be in the struct array field, field name: e", _create(_part("e", D.FLOAT_VECTOR, LISTS, params={"dim": 4}))),
    Case(1100, "added struct field must be nullable, please check it, struct field name = s", _add_struct(X)),
    Case(1100, "duplicated field name title", _add_struct(X, name="title", nullable=True)),
]

TIMES = [
    Case(1100, "got invalid timestamptz string 'x': invalid timezone name; must be a valid IANA Time Zone ID (e.g., 'Asia/Shanghai' or 'UTC'): invalid parameter", _wide(scalars("when", 26, "string_data", ["2025-01-01T00:00:00Z", "x"]))),
    Case(1100, "timestamptz field data must be a string array", _wide(scalars("when", 26, "long_data", [1, 2]))),
    Case(1100, "invalid timestamp string: 'timestamp'. Does not match any known format", _default(26, string_data="timestamp")),
    Case(1100, "invalid timestamp string: '1234'. Does not match any known format", _default(26, string_data="1234")),
    Case(1100, "type (Timestamptz) of field (f) is not equal to the type(DataType_Int64) of default_value", _default(26, long_data=1)),
    Case(1100, "INVERTED are not supported on Timestamptz field", _index("when", index_type="INVERTED")),
    Case(1100, "the num_rows (0) of field (when) is not equal to passed num_rows (2): invalid parameter[expected=2][actual=0]", _wide(scalars("when", 26, "string_data", []))),
    Case(1100, "ttl field must be timestamptz, field name = int_field: invalid parameter", _create(field("int_field", D.INT64), properties={"ttl_field": "int_field"})),
    Case(1100, "ttl field name nonexistent_field not found in schema: invalid parameter", _create(WHEN, properties={"ttl_field": "nonexistent_field"})),
    Case(1100, "collection TTL and ttl field cannot be set at the same time: invalid parameter", _create(WHEN, properties=TTL)),
]

SHAPES = [
    Case(1100, "invalid Geometry data, transform to wkb failed: ", _wide(scalars("shape", 24, "geometry_wkt_data", ["POINT (1 1)", "POINT (1)"]))),
    Case(1100, "invalid default value for geometry field", _default(24, string_data="x")),
    Case(1100, "INVERTED are not supported on Geometry field", _index("shape", index_type="INVERTED")),
    Case(1100, "RTREE index can only be built on geometry field", _index("note", index_type="RTREE")),
]
# fmt: on

KINDS = [*STRUCTS, *TIMES, *SHAPES]
