"""Schemas that are refused: on creation, and when fields are added or dropped."""

from __future__ import annotations

from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from serving.errors.case import Call, Case
from serving.errors.raw import create, field, pairs, send
from serving.errors.stage import BOOKS, KEYED

D = DataType
LONG = "a" * 256
ID = field("id", D.INT64, is_primary_key=True)
V = field("v", D.FLOAT_VECTOR, params={"dim": 4})


def _create(*fields: Any, name: str = "new", **more: Any) -> Call:
    request = create(name, fields, **more)
    return lambda c: send(c, "CreateCollection", request)


def _with(name: str, kind: int, **options: Any) -> Call:
    return _create(ID, V, field(name, kind, **options))


def _default(
    kind: DataType, params: dict[str, Any] | None = None, **value: Any
) -> Call:
    wanted = field("f", kind, params=params or {})
    wanted.default_value.CopyFrom(schema_pb2.ValueField(**value))
    return _create(ID, V, wanted)


def _properties(**values: str) -> Call:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return _create(ID, V, properties=named)


def _twice(kind: str) -> Call:
    """A field of vectors that says its dimension twice."""
    wanted = field(kind, D.FLOAT_VECTOR, params={"dim": 4})
    wanted.type_params.extend(pairs(dim=5))
    return _create(ID, wanted)


def _add(name: str, kind: int, collection: str = "bare", **options: Any) -> Call:
    wanted = field(name, kind, **options)
    request = milvus_pb2.AddCollectionFieldRequest(
        collection_name=collection, schema=wanted.SerializeToString()
    )
    return lambda c: send(c, "AddCollectionField", request)


def _drop(collection: str = BOOKS, **named: Any) -> Call:
    request = milvus_pb2.AlterCollectionSchemaRequest(collection_name=collection)
    request.action.drop_request.SetInParent()
    for key, value in named.items():
        setattr(request.action.drop_request, key, value)
    return lambda c: send(c, "AlterCollectionSchema", request)


def _index(name: str) -> Call:
    request = milvus_pb2.CreateIndexRequest(
        collection_name="bare",
        field_name="vector",
        index_name=name,
        extra_params=pairs(index_type="FLAT", metric_type="L2"),
    )
    return lambda c: send(c, "CreateIndex", request)


def _partition(name: str) -> Call:
    request = milvus_pb2.CreatePartitionRequest(
        collection_name=BOOKS, partition_name=name
    )
    return lambda c: send(c, "CreatePartition", request)


def _database(name: str) -> Call:
    request = milvus_pb2.CreateDatabaseRequest(db_name=name)
    return lambda c: send(c, "CreateDatabase", request)


def _alias(name: str) -> Call:
    request = milvus_pb2.CreateAliasRequest(collection_name=BOOKS, alias=name)
    return lambda c: send(c, "CreateAlias", request)


def _garbage(client: MilvusClient) -> object:
    request = milvus_pb2.CreateCollectionRequest(collection_name="new", schema=b"\xff")
    return send(client, "CreateCollection", request)


def _described(length: int) -> Call:
    return _create(ID, V, schema={"description": "a" * length})


def _keyword(word: str) -> Case:
    text = f"Invalid field name: {word}. {word} is keyword in milvus.: field name invalid[field={word}]"
    return Case(1701, text, _with(word, D.INT64))


def _reserved(name: str) -> Case:
    text = f'field name "{name}" is reserved for internal use and cannot be used in user schemas: field name invalid[field={name}]'
    return Case(1701, text, _with(name, D.INT64))


KEYWORDS = [
    "$meta",
    "like",
    "exists",
    "EXISTS",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "JSON_CONTAINS",
    "json_contains_all",
    "JSON_CONTAINS_ALL",
    "json_contains_any",
    "array_contains",
    "ARRAY_CONTAINS_ANY",
    "array_length",
    "ARRAY_LENGTH",
    "text_match",
    "TEXT_MATCH",
    "phrase_match",
    "PHRASE_MATCH",
    "random_sample",
    "RANDOM_SAMPLE",
    "true",
    "True",
    "TRUE",
    "false",
    "False",
    "FALSE",
]
KEY: dict[str, Any] = {"is_partition_key": True}
CLUSTER: dict[str, Any] = {"is_clustering_key": True}

# One line each, with the whole message: a table to search in.
# fmt: off
CREATION = [
    Case(1100, "failed to parse the schema", _garbage),
    Case(1100, "maximum shards's number should be limited to 16", _create(ID, V, shards_num=17)),
    Case(1100, "maximum field's number should be limited to 64", _create(ID, V, *[field(f"f{n}", D.INT64) for n in range(63)])),
    Case(1100, "maximum vector field's number should be limited to 10", _create(ID, *[field(f"v{n}", D.FLOAT_VECTOR, params={"dim": 4}) for n in range(11)])),
    Case(1100, "schema does not contain vector field", _create(ID)),
    Case(1100, "the length of a collection description must not exceed 1024 bytes", _described(1025)),
    Case(1101, "primary key is not specified: missing parameter", _create(field("a", D.INT64), V)),
    Case(1100, "there are more than one primary key, field name = id, id2", _with("id2", D.INT64, is_primary_key=True)),
    Case(1100, "the data type of primary key should be Int64 or VarChar", _create(field("id", D.FLOAT, is_primary_key=True), V)),
    Case(1100, "cannot explicitly set a field as a dynamic field", _with("x", D.JSON, is_dynamic=True)),
    Case(1100, "only primary field can speficy AutoID with true, field name = a", _with("a", D.INT64, autoID=True)),
    Case(1100, "string data type not supported yet, please use VarChar type instead", _with("s", 20)),
    Case(1100, "data type None is not valid", _with("s", 0)),
    Case(1100, "invalid parameter[expected=Invalid field][actual=field data type: 999 is not supported]", _with("s", 999)),
    Case(1100, "element data type None is not valid", _with("a", D.ARRAY, params={"max_capacity": 4})),
    Case(1100, "element type JSON is not supported", _with("a", D.ARRAY, element_type=D.JSON, params={"max_capacity": 4})),
    Case(1100, "element type Array is not supported", _with("a", D.ARRAY, element_type=D.ARRAY, params={"max_capacity": 4})),
    Case(1100, "element type FloatVector is not supported", _with("a", D.ARRAY, element_type=D.FLOAT_VECTOR, params={"max_capacity": 4})),
    Case(1100, "there are more than one partition key, field name = a, b", _create(ID, V, field("a", D.INT64, **KEY), field("b", D.INT64, **KEY))),
    Case(1100, "the partition key field must not be primary field", _create(field("id", D.INT64, is_primary_key=True, **KEY), V)),
    Case(1100, "partition key field not support nullable: invalid parameter", _with("a", D.INT64, nullable=True, **KEY)),
    Case(1100, "the data type of partition key should be Int64 or VarChar", _with("a", D.FLOAT, **KEY)),
    Case(1100, "the specified partitions should be greater than 0 if partition key is used", _create(ID, V, field("a", D.INT64, **KEY), num_partitions=-1)),
    Case(1100, "partition number (1025) exceeds max configuration (1024)", _create(ID, V, field("a", D.INT64, **KEY), num_partitions=1025)),
    Case(1100, "num_partitions should only be specified with partition key field enabled", _create(ID, V, num_partitions=5)),
    Case(105, "partition key isolation mode is enabled but no partition key field is set. Please set the partition key first: illegal collection schema[collection=new]", _properties(partitionkey__isolation="true")),
    Case(1100, "failed to parse partition key isolation: ", _properties(partitionkey__isolation="x")),
    Case(1100, 'invalid query_mode value "invalid_mode", valid values: [large_topk]', _properties(query_mode="invalid_mode")),
    Case(1100, 'invalid property key "Query_Mode", did you mean "query_mode"?', _properties(Query_Mode="large_topk")),
    Case(1100, "namespace.sharding.enabled", _properties(namespace__sharding__enabled="x")),
    Case(1100, "unknown or invalid IANA Time Zone ID: Mars/X", _properties(timezone="Mars/X")),
    Case(1100, "collection ttl property value not valid, parse error: {}collection TTL is not a valid positive integer", _properties(collection__ttl__seconds="x")),
    Case(1100, "collection TTL is out of range, expect [-1, 3155760000], got 3155760001", _properties(collection__ttl__seconds="3155760001")),
    Case(1100, "warmup key 'warmup' is only allowed at field level, use warmup.scalarField/warmup.scalarIndex/warmup.vectorField/warmup.vectorIndex at collection level", _properties(warmup="sync")),
    Case(1100, "invalid warmup value for key warmup.vectorField: invalid warmup policy: x, must be 'disable', 'sync' or 'async'", _properties(warmup__vectorField="x")),
    Case(105, "clustering key field f has unsupported data type Bool: illegal collection schema[collection=new]", _with("f", D.BOOL, **CLUSTER)),
    Case(105, "there are more than one clustering key, field name = a, b: illegal collection schema[collection=new]", _create(ID, V, field("a", D.INT64, **CLUSTER), field("b", D.INT64, **CLUSTER))),
    Case(107, "vector clustering key not allowed[collection=new]", _with("w", D.FLOAT_VECTOR, params={"dim": 4}, **CLUSTER)),
    Case(1101, "dimension is not defined in field type params of field w, check type param `dim` for vector field: missing parameter", _with("w", D.FLOAT_VECTOR)),
    Case(1100, "invalid dimension: 1. should be in range 2 ~ 32768", _with("w", D.FLOAT_VECTOR, params={"dim": 1})),
    Case(1100, "invalid dimension: 0. should be in range 2 ~ 32768", _with("w", D.BINARY_VECTOR, params={"dim": 0})),
    Case(1100, "invalid dimension: 32769 of field w. float vector dimension should be in range 2 ~ 32768", _with("w", D.FLOAT_VECTOR, params={"dim": 32769})),
    Case(1100, "invalid dimension: 9 of field w. binary vector dimension should be multiple of 8.", _with("w", D.BINARY_VECTOR, params={"dim": 9})),
    Case(1100, "invalid dimension: 262152 of field w. binary vector dimension should be in range 2 ~ 262144", _with("w", D.BINARY_VECTOR, params={"dim": 262152})),
    Case(1100, "dim should not be specified for sparse vector field w({})", _with("w", D.SPARSE_FLOAT_VECTOR, params={"dim": 8})),
    Case(1101, "type param(max_length) should be specified for the field(s) of collection new: missing parameter", _with("s", D.VARCHAR)),
    Case(1101, "type param(max_length) should be specified for the field(s) of collection new", _with("s", D.ARRAY, element_type=D.VARCHAR, params={"max_capacity": 4})),
    Case(1100, "the maximum length specified for the field(s) should be in (0, 65535], but got 0 instead", _with("s", D.VARCHAR, params={"max_length": 0})),
    Case(1100, "the maximum length specified for the field(s) should be in (0, 65535], but got 65536 instead", _with("s", D.ARRAY, element_type=D.VARCHAR, params={"max_capacity": 4, "max_length": 65536})),
    Case(1101, "type param(max_capacity) should be specified for array field a of collection new: missing parameter", _with("a", D.ARRAY, element_type=D.INT64)),
    Case(1100, "the maximum capacity specified for a Array should be in (0, 4096]", _with("a", D.ARRAY, element_type=D.INT64, params={"max_capacity": 4097})),
    Case(1100, "the maximum capacity specified for a Array should be in (0, 4096]", _with("a", D.ARRAY, element_type=D.INT64, params={"max_capacity": 0})),
    Case(1100, "the value for max_capacity of field array_field must be an integer", _with("array_field", D.ARRAY, element_type=D.INT64, params={"max_capacity": "x"})),
    Case(1100, "invalid warmup policy for field f: invalid warmup policy: x, must be 'disable', 'sync' or 'async'", _with("f", D.INT64, params={"warmup": "x"})),
    Case(1100, "duplicated field name x found", _create(ID, V, field("x", D.INT64), field("x", D.INT64))),
    Case(1100, "Primary key field id cannot skip loading", _create(field("id", D.INT64, is_primary_key=True, params={"field__skipLoad": "true"}), V)),
    Case(1100, "Partition Key field a cannot skip loading", _with("a", D.INT64, params={"field__skipLoad": "true"}, **KEY)),
    Case(1100, "Clustering Key field a cannot skip loading", _with("a", D.INT64, params={"field__skipLoad": "true"}, **CLUSTER)),
    Case(1100, "cannot config all vector field(s) skip loading", _create(ID, field("v", D.FLOAT_VECTOR, params={"dim": 4, "field__skipLoad": "true"}))),
    Case(1100, "collection name = new, schema.Name=old: invalid parameter[expected=collection name matches schema name][actual=don't match]", _create(ID, V, schema={"name": "old"})),
    Case(1100, 'duplicated type param key "dim"', _twice("v")),
    Case(1601, "please choose a unique name: alias and collection name conflict[database=default][alias=b]", _create(ID, V, name="b")),
    Case(1100, "create duplicate collection with different parameters, collection: bare", _create(ID, V, name="bare")),
]

DEFAULTS = [
    Case(1100, "type (Int64) of field (f) is not equal to the type(DataType_VarChar) of default_value", _default(D.INT64, string_data="x")),
    Case(1100, "type (Bool) of field (f) is not equal to the type(DataType_Int) of default_value", _default(D.BOOL, int_data=1)),
    Case(1100, "type (Int8) of field (f) is not equal to the type(DataType_Int64) of default_value", _default(D.INT8, long_data=3)),
    Case(1100, "type (Float) of field (f) is not equal to the type(DataType_Double) of default_value", _default(D.FLOAT, double_data=3)),
    Case(1100, "type (Double) of field (f) is not equal to the type(DataType_Float) of default_value", _default(D.DOUBLE, float_data=3)),
    Case(1100, "type (VarChar) of field (f) is not equal to the type(DataType_Bool) of default_value", _default(D.VARCHAR, {"max_length": 2}, bool_data=True)),
    Case(1100, "default value out of range: invalid parameter[300 out of range -128 <= value <= 127]", _default(D.INT8, int_data=300)),
    Case(1100, "default value out of range: invalid parameter[-32769 out of range -32768 <= value <= 32767]", _default(D.INT16, int_data=-32769)),
    Case(1100, "the length (3) of string exceeds max length (2): invalid parameter[expected=valid length string][actual=string length exceeds max length]", _default(D.VARCHAR, {"max_length": 2}, string_data="abc")),
    Case(1100, "value 'NaN' is not a number or infinity", _default(D.FLOAT, float_data=float("nan"))),
    Case(1100, "type not support default_value, type:JSON, name:f", _default(D.JSON, bytes_data=b"{}")),
    Case(1100, "type not support default_value, type:FloatVector, name:f", _default(D.FLOAT_VECTOR, {"dim": 4}, long_data=1)),
    Case(1100, "primary field not support null, type:Int64, name:id", _create(field("id", D.INT64, is_primary_key=True, nullable=True), V)),
]

CHANGES = [
    Case(1100, "duplicated field name title", _add("title", D.INT64, nullable=True)),
    Case(1100, "added field must be nullable, please check it, field name = f", _add("f", D.INT64)),
    Case(1100, "not support to add system field, field name = RowID", _add("RowID", D.INT64, nullable=True)),
    Case(1100, "not support to add system field, field name = $meta", _add("$meta", D.JSON, nullable=True)),
    Case(1100, "not support to add system field, field name = $namespace_id", _add("$namespace_id", D.INT64, nullable=True)),
    Case(1100, "not support to add pk field, field name = f: invalid parameter", _add("f", D.INT64, nullable=True, is_primary_key=True)),
    Case(1100, "only primary field can speficy AutoID with true, field name = f", _add("f", D.INT64, nullable=True, autoID=True)),
    Case(1100, "not support to add partition key field, field name  = f: invalid parameter", _add("f", D.INT64, nullable=True, **KEY)),
    Case(1100, "already has another clustering key field, field name: f", _add("f", D.INT64, KEYED, nullable=True, **CLUSTER)),
    Case(1100, "vector field must have dimension specified, field name = f", _add("f", D.FLOAT_VECTOR, nullable=True)),
    Case(1100, "field not found: f", _drop(field_name="f")),
    Case(1100, "field not found with id: 999", _drop(field_id=999)),
    Case(1100, "function not found: f", _drop(function_name="f")),
    Case(1100, "cannot drop primary key field: id", _drop(field_name="id")),
    Case(1100, "cannot drop partition key field: topic", _drop(KEYED, field_name="topic")),
    Case(1100, "cannot drop clustering key field: shelf", _drop(KEYED, field_name="shelf")),
    Case(1100, "cannot drop system field: RowID", _drop(field_name="RowID")),
    Case(1100, "cannot drop dynamic field: $meta, use AlterCollection to disable dynamic schema instead", _drop("loose", field_name="$meta")),
    Case(1100, "cannot drop the last vector field: vector", _drop(field_name="vector")),
    Case(1101, "drop request must specify field_name, field_id, or function_name", _drop()),
    Case(1100, "action is nil in alter schema task", lambda c: send(c, "AlterCollectionSchema", milvus_pb2.AlterCollectionSchemaRequest(collection_name=BOOKS))),
]

NAMES = [
    *map(_reserved, ("RowID", "Timestamp", "__virtual_pk__")),
    *map(_keyword, KEYWORDS),
    Case(1701, "Invalid field name: 1x. The first character of a field name must be an underscore or letter.: field name invalid[field=1x]", _with("1x", D.INT64)),
    Case(1701, "Invalid field name: $x. The first character of a field name must be an underscore or letter.", _with("$x", D.INT64)),
    Case(1701, "Invalid field name: a-b. Field name can only contain numbers, letters, and underscores.: field name invalid[field=a-b]", _with("a-b", D.INT64)),
    Case(1701, "field name should not be empty: field name invalid[field=]", _with(" ", D.INT64)),
    Case(1701, "The length of a field name must be less than 255 characters.", _with(LONG, D.INT64)),
    Case(1100, "collection name should not be empty", _create(ID, V, name="")),
    Case(1100, "Invalid collection name: 1x. the first character of a collection name must be an underscore or letter", _create(ID, V, name="1x")),
    Case(1100, "Invalid collection name:  a. the first character of a collection name must be an underscore or letter", _create(ID, V, name=" a")),
    Case(1100, "Invalid collection name: a-b. collection name can only contain numbers, letters and underscores", _create(ID, V, name="a-b")),
    Case(1100, "Invalid collection name: {}. the length of a collection name must be less than 255 characters", _create(ID, V, name=LONG)),
    Case(1100, "Invalid partition name: . Partition name should not be empty.", _partition("")),
    Case(1100, "Invalid partition name: -p. The first character of a partition name must be an underscore or letter.", _partition("-p")),
    Case(1100, "Invalid partition name: p$. Partition name can only contain numbers, letters and underscores.", _partition("p$")),
    Case(1100, "Invalid partition name: {}. The length of a partition name must be less than 255 characters.", _partition(LONG)),
    Case(1100, "Invalid index name: 1 x. The first character of a index name must be an underscore or letter.", _index("1 x")),
    Case(1100, "Invalid index name: a b. Index name can only contain numbers, letters, and underscores.", _index("a b")),
    Case(1100, "Invalid index name: {}. The length of a index name must be less than 255 characters.", _index(LONG)),
    Case(802, "database name couldn't be empty", _database("")),
    Case(802, "the first character of a database name must be an underscore or letter: invalid database name[database=1a]", _database("1a")),
    Case(802, "database name can only contain numbers, letters and underscores", _database("a-b")),
    Case(802, "the length of a database name must be less than 255 characters", _database(LONG)),
    Case(1100, "collection alias should not be empty", _alias("")),
    Case(1100, "Invalid collection alias: 1a. the first character of a collection alias must be an underscore or letter", _alias("1a")),
    Case(1100, "Invalid collection alias: a-b. collection alias can only contain numbers, letters and underscores", _alias("a-b")),
    Case(1100, "Invalid collection alias: {}. the length of a collection alias must be less than 255 characters", _alias(LONG)),
]
# fmt: on

SCHEMAS = [*CREATION, *DEFAULTS, *CHANGES, *NAMES]
