"""What is refused of single types: geometries, texts, arrays, functions."""

from __future__ import annotations

from typing import Any

from pymilvus import DataType
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from serving.errors.case import Call, Case
from serving.errors.raw import arrays, create, field, pairs, scalars, send, vectors
from serving.errors.stage import BOOKS, KEYED, VECTOR, WIDE

D = DataType
ID = field("id", D.INT64, is_primary_key=True)
V = field("v", D.FLOAT_VECTOR, params={"dim": 4})
NO_WKT = "invalid Geometry data, transform to wkb failed: syntax error"
ONLY_TEXT = "filter on text field (text) is not supported yet"
CAPACITY = {"max_capacity": 4}


def _wide(column: Any) -> Call:
    """Two rows of the collection whose fields can be null, but for its keys."""
    keys = scalars("id", D.INT64, "long_data", [1, 2])
    rows = vectors("vector", D.FLOAT_VECTOR, "float_vector", VECTOR * 2, 4)
    request = milvus_pb2.InsertRequest(
        collection_name=WIDE, fields_data=[keys, rows, column], num_rows=2
    )
    return lambda c: send(c, "Insert", request)


def _geo(*texts: str) -> Call:
    return _wide(scalars("geo", D.GEOMETRY, "geometry_wkt_data", texts))


def _query(filter: str) -> Call:
    return lambda c: c.query(KEYED, filter=filter)


def _create(kind: DataType, default: dict[str, Any], **options: Any) -> Call:
    wanted = field("f", kind, **options)
    if default:
        wanted.default_value.CopyFrom(schema_pb2.ValueField(**default))
    request = create("new", (ID, V, wanted))
    return lambda c: send(c, "CreateCollection", request)


def _key(kind: DataType) -> Call:
    request = create("new", (field("f", kind, is_primary_key=True), V))
    return lambda c: send(c, "CreateCollection", request)


def _add(kind: DataType, default: dict[str, Any]) -> Call:
    wanted = field("f", kind, nullable=True)
    wanted.default_value.CopyFrom(schema_pb2.ValueField(**default))
    request = milvus_pb2.AddCollectionFieldRequest(
        collection_name="bare", schema=wanted.SerializeToString()
    )
    return lambda c: send(c, "AddCollectionField", request)


def _index(name: str, kind: str, collection: str = WIDE) -> Call:
    request = milvus_pb2.CreateIndexRequest(
        collection_name=collection,
        field_name=name,
        extra_params=pairs(index_type=kind),
    )
    return lambda c: send(c, "CreateIndex", request)


def _function(method: str, kind: int, **more: Any) -> Call:
    function = schema_pb2.FunctionSchema(name="f", type=kind)
    request = getattr(milvus_pb2, f"{method}Request")(
        collection_name="bare", functionSchema=function, **more
    )
    return lambda c: send(c, method, request)


# fmt: off
GEOMETRIES = [
    *(Case(1100, NO_WKT, _geo("POINT (1 2)", text)) for text in ("INVALID", "POINT ()", "POINT (abc def)", "POLYGON ((0 0, 1 1))", "LINESTRING (0 0)", "POINT (1 2 3 4 5)", "POLYGON ((0 0, 1 0, 1 1, 0 1))", "", "POINT (nan 1)", "GEOMETRYCOLLECTION (" * 50_000)),
    Case(1100, "geometry field 'geo' is illegal, array type mismatch: invalid parameter[expected=need geometry array][actual=got nil]", _wide(scalars("geo", D.GEOMETRY, "string_data", ["POINT (1 2)"] * 2))),
    Case(1100, "invalid default value for geometry field", _create(D.GEOMETRY, {"string_data": "POINT (1)"})),
    Case(1100, "type (Geometry) of field (f) is not equal to the type(DataType_Int64) of default_value", _create(D.GEOMETRY, {"long_data": 1})),
    Case(1100, "the data type of primary key should be Int64 or VarChar", _key(D.GEOMETRY)),
    Case(1100, "the data type of partition key should be Int64 or VarChar", _create(D.GEOMETRY, {}, is_partition_key=True)),
    Case(105, "clustering key field f has unsupported data type Geometry", _create(D.GEOMETRY, {}, is_clustering_key=True)),
    Case(1100, "element type Geometry is not supported", _create(D.ARRAY, {}, element_type=D.GEOMETRY, params=CAPACITY)),
    Case(1100, "INVERTED are not supported on Geometry field", _index("geo", "INVERTED")),
    Case(1100, "STL_SORT are only supported on numeric, varchar or timestamptz field, got Geometry", _index("geo", "STL_SORT")),
    Case(1100, "bitmap index are only supported on bool, int, string and array field", _index("geo", "BITMAP")),
    Case(1100, "RTREE index can only be built on geometry field, got VarChar", _index("title", "RTREE", BOOKS)),
    Case(1100, "failed to create query plan: cannot parse expression: st_within(title, 'POINT (1 2)'): spatial operation are only supported on geometry fields now, got: st_within(title,'POINT (1 2)')", lambda c: c.query(BOOKS, filter="st_within(title, 'POINT (1 2)')")),
    Case(1100, "function st_intersect(Geometry, VarChar) not found", _query("st_intersect(geo, 'POINT (1 2)')")),
    Case(1100, "distance parameter must be non-negative, got: -1", _query("st_dwithin(geo, 'POINT (1 2)', -1)")),
]

TEXTS = [
    Case(1100, "text field 'text' is illegal, array type mismatch: invalid parameter[expected=need string array][actual=got nil]", _wide(scalars("text", D.TEXT, "long_data", [1, 2]))),
    Case(1100, "the data type of primary key should be Int64 or VarChar", _key(D.TEXT)),
    Case(1100, "the data type of partition key should be Int64 or VarChar", _create(D.TEXT, {}, is_partition_key=True)),
    Case(105, "clustering key field f has unsupported data type Text", _create(D.TEXT, {}, is_clustering_key=True)),
    Case(1100, "type not support default_value, type:Text, name:f", _create(D.TEXT, {"string_data": "x"})),
    Case(1100, "element type Text is not supported", _create(D.ARRAY, {}, element_type=D.TEXT, params=CAPACITY)),
    Case(1100, "the maximum length specified for the field(f) should be in (0, 2097152], but got 2097153 instead", _create(D.TEXT, {}, params={"max_length": 2097153})),
    Case(1100, "default value is not supported when adding TEXT field, field name = f", _add(D.TEXT, {"string_data": "x"})),
    Case(1100, "TEXT field does not support user-created scalar index", _index("text", "INVERTED")),
    Case(1100, "TEXT field does not support user-created scalar index", _index("text", "")),
    *(Case(1100, ONLY_TEXT, _query(text)) for text in ("text == 'a'", "text like 'a%'", "text in ['a']", "text is null")),
]

ARRAYS = [
    Case(1100, "type not support default_value, type:Array, name:f", _create(D.ARRAY, {"long_data": 1}, element_type=D.INT64, params=CAPACITY)),
    *(Case(1100, f"element type {kind} is not supported", _create(D.ARRAY, {}, element_type=number, params=CAPACITY)) for kind, number in (("JSON", D.JSON), ("Array", D.ARRAY), ("FloatVector", D.FLOAT_VECTOR))),
    Case(1100, "element data type None is not valid", _create(D.ARRAY, {}, params=CAPACITY)),
    Case(1100, "the 1th element (-32769) out of range: [-32768, 32767]: invalid parameter[expected=integer doesn't overflow][actual=out of range]", _wide(arrays("shorts", "int_data", [[], [1, -32769]]))),
]

FUNCTIONS = [
    Case(1100, "currently does not support adding BM25 function", _function("AddCollectionFunction", 1)),
    Case(3000, "function f in collection bare", _function("AddCollectionFunction", 2)),
    Case(1100, "currently does not support alter BM25 function", _function("AlterCollectionFunction", 1, function_name="f")),
    Case(1100, "invalid function config, name not match", _function("AlterCollectionFunction", 2, function_name="g")),
    Case(1100, "function f not found", _function("AlterCollectionFunction", 2, function_name="f")),
    Case(1100, "function f not found", lambda c: send(c, "DropCollectionFunction", milvus_pb2.DropCollectionFunctionRequest(collection_name="bare", function_name="f"))),
]
# fmt: on

TYPES = [*GEOMETRIES, *TEXTS, *ARRAYS, *FUNCTIONS]
