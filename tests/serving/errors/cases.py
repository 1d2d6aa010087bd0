"""How each error is provoked through the real client: code, text, and the call.

Rows and schemas have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pymilvus import (
    AnnSearchRequest,
    CollectionSchema,
    DataType,
    MilvusClient,
    RRFRanker,
    WeightedRanker,
)
from pymilvus.grpc_gen import milvus_pb2

from serving.errors.case import Call, Case
from serving.errors.kinds import KINDS
from serving.errors.ranks import RANKS
from serving.errors.raw import pairs, send
from serving.errors.rows import ROWS
from serving.errors.schemas import SCHEMAS
from serving.errors.situations import SITUATIONS
from serving.errors.stage import BOOKS, KEYED, LOOSE, VECTOR, index, row, schema
from serving.errors.types import TYPES


def _create(name: str = "new", given: Any = None, **more: Any) -> Call:
    return lambda c: c.create_collection(
        name, schema=schema(c) if given is None else given(c), **more
    )


def _field(name: str, kind: DataType, **options: Any) -> Callable[[Any], Any]:
    def made(client: MilvusClient) -> CollectionSchema:
        wanted = schema(client)
        wanted.add_field(name, kind, **options)
        return wanted

    return made


def _index(collection: str = "bare", field: str = "vector", **given: Any) -> Call:
    return lambda c: c.create_index(collection, index(c, field, **given), sync=False)


def _insert(collection: str = BOOKS, partition: str = "", **changed: Any) -> Call:
    return lambda c: c.insert(
        collection, [row(50, **changed)], partition_name=partition
    )


def _hybrid(ranker: Any = None, field: str = "vector", count: int = 2) -> Call:
    parts = [AnnSearchRequest([VECTOR], field, {}, 3) for _ in range(count)]
    chosen = RRFRanker() if ranker is None else ranker
    return lambda c: c.hybrid_search(BOOKS, parts, chosen, limit=3)


def _search(collection: str = BOOKS, data: Any = None, **more: Any) -> Call:
    wanted = {"limit": 3, "anns_field": "vector", **more}
    return lambda c: c.search(collection, [VECTOR] if data is None else data, **wanted)


def _query(filter: str = "id > 0", collection: str = BOOKS, **more: Any) -> Call:
    return lambda c: c.query(collection, filter=filter, **more)


def _delete(filter: str, collection: str = BOOKS, **more: Any) -> Call:
    return lambda c: c.delete(collection, filter=filter, **more)


LONG = "a" * 256
COLLECTION = "collection not found[database=default][collection=x]"
UNKNOWN = "can't find collection[database=default][collection=x]"

# One line each, with the whole message: a table to search in.
# fmt: off
NAMES = [
    Case(1100, "Invalid collection name: 1x. the first character of a collection name must be an underscore or letter: invalid parameter", _create("1x")),
    Case(1100, "Invalid collection name: {}. the length of a collection name must be less than 255 characters: invalid parameter", _create(LONG)),
    Case(1100, "collection name can only contain numbers, letters and underscores", _create("a-b")),
    Case(1100, "Invalid partition name: -p. The first character of a partition name must be an underscore or letter.", lambda c: c.create_partition(BOOKS, "-p")),
    Case(1100, "Invalid partition name: {}. The length of a partition name must be less than 255 characters.", lambda c: c.create_partition(BOOKS, LONG)),
    Case(1100, "Partition name can only contain numbers, letters and underscores.", lambda c: c.create_partition(BOOKS, "p q")),
    Case(1100, "Invalid collection alias: 1a. the first character of a collection alias must be an underscore or letter", lambda c: c.create_alias(BOOKS, "1a")),
    Case(1100, "the length of a collection alias must be less than 255 characters", lambda c: c.create_alias(BOOKS, LONG)),
    Case(1100, "Invalid index name", _index(index_name="1 x")),
    Case(802, "the first character of a database name must be an underscore or letter: invalid database name[database=1d]", lambda c: c.create_database("1d")),
    Case(802, "invalid database name", lambda c: c.create_database("d$")),
    Case(1701, "Invalid field name: 1x. The first character of a field name must be an underscore or letter.: field name invalid[field=1x]", _create(given=_field("1x", DataType.INT64))),
    Case(1701, "in is keyword in milvus.", _create(given=_field("in", DataType.INT64))),
]

LOOKUPS = [
    Case(100, UNKNOWN, lambda c: c.describe_collection("x")),
    Case(100, UNKNOWN, _insert("x")),
    Case(100, UNKNOWN, lambda c: c.upsert("x", [row(1)])),
    Case(100, UNKNOWN, lambda c: c.get("x", [1])),
    Case(100, COLLECTION, _search("x")),
    Case(100, "collection not found[database=default][collection=12-s]", _search("12-s")),
    Case(100, COLLECTION, _query(collection="x")),
    Case(100, COLLECTION, _delete("id > 1", "x")),
    Case(100, COLLECTION, lambda c: c.load_collection("x")),
    Case(100, COLLECTION, lambda c: c.release_collection("x")),
    Case(100, COLLECTION, lambda c: c.create_partition("x", "p")),
    Case(100, COLLECTION, lambda c: c.drop_partition("x", "p")),
    Case(100, COLLECTION, lambda c: c.list_partitions("x")),
    Case(100, COLLECTION, lambda c: c.has_partition("x", "p")),
    Case(100, COLLECTION, lambda c: c.get_partition_stats("x", "p")),
    Case(100, COLLECTION, lambda c: c.create_alias("x", "y")),
    Case(100, COLLECTION, lambda c: c.get_collection_stats("x")),
    Case(100, COLLECTION, lambda c: c.flush("x")),
    Case(100, COLLECTION, lambda c: c.compact("x")),
    Case(100, COLLECTION, lambda c: c.truncate_collection("x")),
    Case(100, COLLECTION, lambda c: c.rename_collection("x", "y")),
    Case(100, "collection not found", lambda c: c.alter_alias("x", "b")),
    Case(100, "collection not found", lambda c: c.list_aliases("x")),
    Case(100, "collection not found", lambda c: c.list_indexes("x")),
    Case(800, "database not found[database=z]", lambda c: c.describe_database("z")),
    Case(800, "database not found[database=z]", lambda c: c.use_database("z")),
    Case(200, "partition not found[partition=z]", _insert(partition="z")),
    Case(200, "partition not found[partition=z]", lambda c: c.upsert(BOOKS, [row(1)], partition_name="z")),
    Case(200, "partition not found[partition=z]", _delete("id in [1]", partition_name="z")),
    Case(200, "partition not found[partition=z]", lambda c: c.load_partitions(BOOKS, ["z"])),
    Case(200, "partition not found[partition=z]", lambda c: c.release_partitions(BOOKS, ["z"])),
    Case(200, "partition not found[partition=z]", lambda c: c.get_partition_stats(BOOKS, "z")),
    Case(200, "partition not found[partition=z]", lambda c: c.get_load_state(BOOKS, "z")),
    Case(1100, "partition name z not found", _search(partition_names=["z"])),
    Case(1100, "partition name z not found", _query(partition_names=["z"])),
    Case(1600, "alias not found[database=default][alias=z]", lambda c: c.describe_alias("z")),
    Case(1600, "alias not found[database=default][alias=z]", lambda c: c.alter_alias(BOOKS, "z")),
    Case(700, "index not found[indexName=z]", lambda c: c._get_connection().get_index_state("bare", "z")),
    Case(1100, "field zz not exist", _query(output_fields=["zz"])),
    Case(1100, "field zz not exist", _search(output_fields=["zz"])),
    Case(1100, "failed to get field schema by name: fieldName(zz) not found: invalid parameter", _search(anns_field="zz")),
]

STATES = [
    Case(101, "failed to search: collection not loaded[collection={}]", _search("bare")),
    Case(101, "failed to query: collection not loaded[collection={}]", _query(collection="bare")),
    Case(101, "failed to query: collection not loaded", _delete("level > 1", "bare")),
    Case(201, "failed to search: partition not loaded[partition={}]", _search("loose", partition_names=["out"])),
    Case(201, "failed to query: partition not loaded", _query(collection="loose", partition_names=["out"])),
    Case(700, "index not found[collection=bare]", lambda c: c.load_collection("bare")),
    Case(1100, "there is no vector index on field: [second], please create index firstly", lambda c: c.load_collection("half")),
    Case(1100, "vector index cannot be dropped on loaded collection: {}", lambda c: c.drop_index(BOOKS, "vector")),
    Case(1100, "partition cannot be dropped, partition is loaded, please release it first", lambda c: c.drop_partition(BOOKS, "p")),
    Case(1100, "default partition cannot be deleted", lambda c: c.drop_partition("bare", "_default")),
    Case(12, "call query coordinator LoadCollection: when load 3 replica count: service resource insufficient[currentStreamingNode=1][expectedStreamingNode=3]", lambda c: c.load_collection(BOOKS, replica_number=3)),
    Case(300, "resource group not found[rg=rg]", lambda c: c.load_collection(BOOKS, resource_groups=["rg"])),
    Case(1100, "load field list [vector] does not contain primary key field id", lambda c: c.load_collection(BOOKS, load_fields=["vector"])),
    Case(1100, "load field list [id] does not contain vector field", lambda c: c.load_collection(BOOKS, load_fields=["id"])),
    Case(1100, "due to no partition specified", lambda c: c.load_partitions(BOOKS, [])),
    Case(1100, "can't change the replica number for loaded partitions: invalid parameter[expected=1][actual=2]", lambda c: c.load_partitions(BOOKS, ["p"], replica_number=2)),
    Case(1100, "targetSize 1 MB should be greater than or equal to configMaxSize", lambda c: c.compact(BOOKS, target_size=1)),
]

DEFINITIONS = [
    Case(1100, "create duplicate collection with different parameters, collection: bare", _create("bare", lambda c: schema(c, enable_dynamic_field=True))),
    Case(1601, "alias and collection name conflict[database=default][alias=b]", _create("b")),
    Case(1602, "b is alias to another collection: books: alias already exist[database=default][alias=b]", lambda c: c.create_alias("bare", "b")),
    Case(1601, "alias and collection name conflict[database=default][alias=bare]", lambda c: c.create_alias(BOOKS, "bare")),
    Case(1100, "cannot drop the collection via alias = b", lambda c: c.drop_collection("b")),
    Case(1100, "has associated aliases [b], please remove all aliases before dropping", lambda c: c.drop_collection(BOOKS)),
    Case(1100, "duplicated new collection name default:bare with other collection name or alias", lambda c: c.rename_collection(BOOKS, "bare")),
    Case(1100, "collection name or database name should be different", lambda c: c.rename_collection("bare", "bare")),
    Case(1100, "Invalid collection name: 1x.", lambda c: c.rename_collection("bare", "1x")),
    Case(1601, "alias and collection name conflict", lambda c: c.rename_collection("bare", "b")),
    Case(1100, "unsupported use an alias to rename collection, alias:b", lambda c: c.rename_collection("b", "c")),
    Case(800, "database not found[database=z]", lambda c: c.rename_collection("bare", "y", target_db="z")),
    Case(1100, "must drop all aliases of this collection before rename", lambda c: c.rename_collection(BOOKS, "y", target_db="shop")),
    Case(1100, "database already exist: shop", lambda c: c.create_database("shop")),
    Case(1100, "can not drop default database", lambda c: c.drop_database("default")),
    Case(1100, "database:shop not empty, must drop all collections before drop database", lambda c: c.drop_database("shop")),
    Case(1100, "maximum shards's number should be limited to 16", _create(num_shards=17)),
    Case(1100, "maximum field's number should be limited to 64", _create(given=lambda c: _many(c, 60))),
    Case(1100, "maximum vector field's number should be limited to {}", _create(given=lambda c: _many(c, 10, DataType.FLOAT_VECTOR))),
    Case(1100, "invalid dimension: 1. should be in range 2 ~ 32768", _create(given=_field("v", DataType.FLOAT_VECTOR, dim=1))),
    Case(1100, "invalid dimension: 32769 of field v. float vector dimension should be in range 2 ~ 32768", _create(given=_field("v", DataType.FLOAT_VECTOR, dim=32769))),
    Case(1100, "the maximum length specified for the field(s) should be in (0, 65535], but got 65536 instead: invalid parameter", _create(given=_field("s", DataType.VARCHAR, max_length=65536))),
    Case(1101, "type param(max_length) should be specified for the field(s) of collection new", _create(given=_field("s", DataType.VARCHAR))),
    Case(1100, "the maximum capacity specified for a Array should be in (0, 4096]", _create(given=_field("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=5000))),
    Case(1100, "collection TTL is out of range, expect [-1, 3155760000], got -9", _create(properties={"collection.ttl.seconds": -9})),
    Case(1100, "collection ttl property value not valid, parse error: {}", _create(properties={"collection.ttl.seconds": "x"})),
    Case(1100, "unknown or invalid IANA Time Zone ID: Mars/X", _create(properties={"timezone": "Mars/X"})),
    Case(1100, "schema does not contain vector field: invalid parameter", _create(given=lambda c: _scalars(c))),
    Case(1100, "duplicated field name", _create(given=_field("title", DataType.INT64))),
    Case(1100, "type not support default_value, type:FloatVector", _create(given=_field("f", DataType.FLOAT_VECTOR, dim=4, default_value=5))),
    Case(1100, "primary field not support null", _create(given=lambda c: _primary(c, nullable=True))),
    Case(1100, "primary field not support default_value", _create(given=lambda c: _primary(c, default_value=1))),
    Case(1100, "type (VarChar) of field (s) is not equal to the type(DataType_Int64) of default_value", _create(given=_field("s", DataType.VARCHAR, max_length=9, default_value=5))),
    Case(1100, "the length (9) of string exceeds max length (3): invalid parameter[expected=valid length string][actual=string length exceeds max length]", _create(given=_field("s", DataType.VARCHAR, max_length=3, default_value="a" * 9))),
]

INDEXES = [
    Case(1100, "cannot create index on non-exist field: zz", _index(field="zz")),
    Case(1100, "invalid index type: ANNOY", _index(index_type="ANNOY")),
    Case(1100, "float vector index does not support metric type: BM25", _index(metric_type="BM25")),
    Case(1100, "float vector index does not support metric type: HAMMING", _index(metric_type="HAMMING")),
    Case(1100, "metric type not set for vector index", _index(metric_type="")),
    Case(1100, "data type FloatVector can't build with this index BIN_FLAT", _index(index_type="BIN_FLAT")),
    Case(1100, "data type FloatVector can't build with this index INVERTED", _index(index_type="INVERTED")),
    Case(1100, "data type Int8 can't build with this index HNSW", _index(field="level")),
    Case(1100, "TRIE are only supported on varchar field", _index(field="level", index_type="Trie")),
    Case(1100, "create bitmap index on primary key not supported", _index(field="id", index_type="BITMAP")),
    Case(1100, "Out of range in json: param 'M' (1) should be in range [2, 2048]", _index(params={"M": 1})),
    Case(1100, "param 'M' (-1) should be in range [2, 2048]", _index(params={"M": -1})),
    Case(1100, "invalid integer value, key: 'M', value: 'True': invalid parameter", _index(params={"M": True})),
    Case(1100, "wrong data type in json, key: 'M', value: '16.0': invalid parameter", _index(params={"M": 16.0})),
    Case(1100, "param 'efConstruction' (0) should be in range [1, 2147483647]", _index(params={"efConstruction": 0})),
    Case(1100, "Out of range in json: param 'nlist' (65537) should be in range [1, 65536]", _index(index_type="IVF_FLAT", params={"nlist": 65537})),
    Case(1100, "The dimension of a vector (dim) should be a multiple of the number of subquantizers (m).", _index(index_type="IVF_PQ", params={"nlist": 8, "m": 3})),
    Case(1100, "Ngram index must specify both min_gram and max_gram", _index(field="title", index_type="NGRAM")),
    Case(1100, "invalid min_gram or max_gram value for Ngram index", _index(field="title", index_type="NGRAM", params={"min_gram": 3, "max_gram": 2})),
    Case(1100, "only metric type can be passed when use AutoIndex", _index(index_type="AUTOINDEX", params={"M": 8})),
    Case(1100, "param 'M' (2049) should be in range [2, 2048]", _index(params={"M": 2049})),
    Case(1100, "invalid integer value, key: 'M', value: '[16]': invalid parameter", _index(params={"M": [16]})),
    Case(1100, "invalid integer value, key: 'efConstruction', value: 'True': invalid parameter", _index(params={"efConstruction": True})),
    Case(1100, "at most one distinct index is allowed per field", _index(BOOKS, index_type="FLAT", index_name="other")),
]

WRITES = [
    Case(1100, "length of varchar field title exceeds max length, row number: 0, length: 21, max length: 20", _insert(title="a" * 21)),
    Case(1100, "the 0th element (300) out of range: [-128, 127]", _insert(level=300)),
    Case(65535, "array length 5 exceeds max_capacity 4", lambda c: c.upsert(BOOKS, [{"id": 1, "tags": [1, 2, 3, 4]}], field_ops={"tags": "array_append"})),
    Case(1100, "the length(5) of float data should divide the dim(4)", _insert(vector=[0.0] * 5)),
    Case(1100, "value 'NaN' is not a number or infinity", _insert(vector=[float("nan")] * 4)),
    Case(1100, "value '+Inf' is not a number or infinity", _insert(vector=[float("inf")] * 4)),
    Case(1100, "duplicate primary keys are not allowed in the same batch", lambda c: c.upsert(BOOKS, [row(1), row(1)])),
    Case(1100, "failed to create delete plan: cannot parse expression: id >", _delete("id >")),
    Case(1100, "failed to create delete plan: cannot parse expression: title == 1: comparisons between VarChar and Int64 are not supported", _delete("title == 1")),
    Case(1100, "array length exceeds max capacity", _insert(tags=[1] * 5)),
]

READS = [
    Case(1100, "topk [16385] is invalid, it should be in range [1, 16384], but got 16385", _search(limit=16385)),
    Case(1100, "offset [-1] is invalid, it should be in range [1, 16384]", _search(search_params={"offset": -1})),
    Case(1100, "offset+topk [{}] is invalid, it should be in range [1, 16384]", _search(search_params={"offset": 16384})),
    Case(1100, "nq [16385] is invalid, nq (number of search vector per search request) should be in range [1, 16384], but got 16385", _search(data=[VECTOR] * 16385)),
    Case(1100, "vector dimension mismatch", _search(data=[[1.0] * 5])),
    Case(1100, "metric type not match: invalid parameter[expected=L2][actual=IP]", _search(search_params={"metric_type": "IP"})),
    Case(65535, "ef(1) should be larger than k(10)", _search(limit=10, search_params={"params": {"ef": 1}})),
    Case(65535, "param 'ef' (-1) should be in range [1, 2147483647]", _search(search_params={"params": {"ef": -1}})),
    Case(65535, "Type conflict in json: param 'ef' (true) should be integer", _search(search_params={"params": {"ef": True}})),
    Case(65535, "param 'ef' ([32]) should be integer", _search(search_params={"params": {"ef": [32]}})),
    Case(1100, "must be less than radius", _search(search_params={"params": {"radius": 1, "range_filter": 2}})),
    Case(1100, "failed to create query plan: cannot parse expression: id >", _search(filter="id >")),
    Case(1100, "failed to create query plan: cannot parse expression: int64 inn [1, 2]", _query("int64 inn [1, 2]")),
    Case(1100, "comparisons between VarChar and Int64 are not supported", _query("title == 1")),
    Case(1100, "predicate is not a boolean expression", _query("level + 1")),
    Case(1100, "'and' can only be used between boolean expressions", _query("id and true")),
    Case(1100, "value 'float_val:1.5' in list cannot be casted to Int64", _query("id in [1.5]")),
    Case(1100, "the right-hand side of 'in' must be a list", _query("id in 5")),
    Case(1100, "ContainsAny operation element must be an array", _query('json_contains_any(info["a"], 1)')),
    Case(1100, "by zero", _query("level / 0 == 1")),
    Case(1100, "the value of expression template variable name {a} is not found", _query("level == {a}")),
    Case(1100, "the value of term expression template variable {a} is not array", _query("level in {a}", filter_params={"a": 1})),
    Case(1100, "empty expression should be used with limit", _query("")),
    Case(1100, "invalid max query result window, limit [-1] is invalid, should be greater than 0", _query(limit=-1)),
    Case(1100, "invalid max query result window, offset [-1] is invalid, should be gte than 0", _query(limit=1, offset=-1)),
    Case(1100, "invalid max query result window, (offset+limit) should be in range [1, 16384], but got 16385", _query(limit=16385)),
    Case(1100, "count entities with pagination is not allowed", _query(output_fields=["count(*)"], limit=3)),
    Case(1100, "field (level) to search is not of vector data type", _search(anns_field="level")),
    Case(1100, "delete plan can't be empty or always true : true", _delete("true")),
    Case(1100, "range_filter requires radius to be set", _search(search_params={"params": {"range_filter": 1}})),
    Case(1100, "like operation on non-string or no-json field is unsupported", _query('level like "a%"')),
    Case(1100, "multiple anns_fields exist, please specify a anns_field in search_params", _search("half", anns_field="")),
]


LATER = [
    Case(1100, "order_by field 'zz' does not exist in collection schema", _query(limit=3, order_by_fields=["zz:asc"])),
    Case(1100, "order_by field 'vector' has type FloatVector which is not sortable", _query(limit=3, order_by_fields=["vector:asc"])),
    Case(1100, "order_by field 'info' has type JSON which is not sortable", _query(limit=3, order_by_fields=["info:asc"])),
    Case(1100, "order_by field 'tags' has type Array which is not sortable", _query(limit=3, order_by_fields=["tags:asc"])),
    Case(1100, "invalid order direction 'up' for field 'price', must be 'asc' or 'desc'", _query(limit=3, order_by_fields=["price:up"])),
    Case(1100, "ORDER BY requires explicit limit", _query(order_by_fields=["price:asc"])),
    Case(1100, "group by field vector has unsupported data type FloatVector", _query(group_by_fields=["vector"], output_fields=["vector", "count(*)"])),
    Case(1100, "group by field price has unsupported data type Double", _query(group_by_fields=["price"], output_fields=["price", "count(*)"])),
    Case(1100, "group by field info has unsupported data type JSON", _query(group_by_fields=["info"], output_fields=["info", "count(*)"])),
    Case(1100, "group by field tags has unsupported data type Array", _query(group_by_fields=["tags"], output_fields=["tags", "count(*)"])),
    Case(65535, "aggregation operator sum does not support data type VarChar", _query(group_by_fields=["level"], output_fields=["level", "sum(title)"])),
    Case(1100, "output field 'price' is not allowed", _query(group_by_fields=["level"], output_fields=["price"])),
    Case(1100, "does not exist in collection schema", _search(order_by_fields=[{"field": "zz", "order": "asc"}])),
    Case(1100, "order_by field 'vector' has unsortable type FloatVector", _search(order_by_fields=[{"field": "vector", "order": "asc"}])),
    Case(1100, 'op ARRAY_APPEND requires Array field, but field "title" is VarChar', lambda c: c.upsert(BOOKS, [{"id": 1, "title": "a"}], field_ops={"title": "array_append"})),
    Case(1100, "is the primary key and cannot carry a partial-update op", lambda c: c.upsert(BOOKS, [{"id": 1}], field_ops={"id": "array_append"})),
    Case(1100, "nonexistent_field", lambda c: c.upsert(BOOKS, [{"id": 1, "tags": [1]}], field_ops={"nonexistent_field": "array_append"})),
    Case(1100, 'partial-update op targets field "tags" not present in fields_data', lambda c: c.upsert(BOOKS, [{"id": 1, "level": 1}], field_ops={"tags": "array_append"})),
    Case(802, "the length of a database name must be less than 255 characters", lambda c: c.create_database(LONG)),
    Case(1100, "not op can only be applied on boolean expression", _query("not level")),
    Case(1100, "ContainsAll operation element must be an array", _query('json_contains_all(info["a"], 1)')),
    Case(1100, "IsNull/IsNotNull operations are not supported on vector fields", _query("vector is null")),
    Case(1100, "IsNull/IsNotNull operations are not supported on array element access", _query("tags[0] is null")),
    Case(1100, "json index must specify cast type: missing parameter", _index(field="info", index_type="INVERTED", params={"json_path": "info['a']"})),
    Case(1101, "dimension is not defined in field type params", _create(given=_field("v", DataType.FLOAT_VECTOR))),
    Case(1100, "float vector index does not support metric type: invalid: invalid parameter", _index(metric_type="invalid")),
    Case(1100, "ngram index can only be created on VARCHAR or JSON field", _index(field="level", index_type="NGRAM", params={"min_gram": 2, "max_gram": 3})),
    Case(1100, "value 'int64_val:0' in list cannot be casted to Bool", _query("flag in [0]")),
    Case(1100, "the sample factor should be between 0 and 1 and not too close to 0 or 1", _query("random_sample(5)")),
    Case(1100, "added field must be nullable, please check it, field name = n: invalid parameter", lambda c: c.add_collection_field("bare", "n", DataType.INT64)),
    Case(1100, "duplicated field name", lambda c: c.add_collection_field("bare", "title", DataType.INT64, nullable=True)),
    Case(1100, "not support to add pk field", lambda c: c.add_collection_field("bare", "n", DataType.INT64, nullable=True, is_primary=True)),
]
# fmt: on


def _many(c: MilvusClient, count: int, kind: DataType = DataType.INT64) -> Any:
    made = schema(c)
    options = {"dim": 4} if kind is DataType.FLOAT_VECTOR else {}
    for number in range(count):
        made.add_field(f"more_{number}", kind, **options)
    return made


def _scalars(c: MilvusClient) -> CollectionSchema:
    made = c.create_schema()
    made.add_field("id", DataType.INT64, is_primary=True)
    return made


def _primary(c: MilvusClient, **options: Any) -> CollectionSchema:
    made = c.create_schema()
    made.add_field("id", DataType.INT64, is_primary=True, **options)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    return made


GROUPS = [
    Case(
        1100,
        "input group size:0 is negative",
        _search(group_by_field="level", group_size=0),
    ),
    Case(
        1100,
        "input group size:11 exceeds configured max group size:10",
        _search(group_by_field="level", group_size=11),
    ),
    Case(
        1100,
        "Not allowed to do range-search when doing search-group-by",
        _search(group_by_field="level", search_params={"params": {"radius": 9}}),
    ),
    Case(
        1100,
        "Not allowed to do groupBy when doing iteration",
        lambda c: c.search_iterator(
            BOOKS, [VECTOR], batch_size=2, anns_field="vector", group_by_field="level"
        ),
    ),
    Case(1100, "cannot parse identifier", _search("loose", group_by_field=21)),
    Case(
        1700,
        "groupBy field not found in schema: field not found[field=21]",
        _search(group_by_field=21),
    ),
    Case(
        1100,
        "unsupported data type VECTOR_FLOAT for group by operator",
        _search(group_by_field="vector"),
    ),
    Case(
        1100,
        "failed to create query plan: failed to get field schema by name: fieldName(zz) not found: invalid parameter",
        _hybrid(field="zz"),
    ),
    Case(
        1100,
        "rank param weight should be in range [0, 1]",
        _hybrid(WeightedRanker(0.1, 2)),
    ),
    Case(1100, "rank params k should be in range (0, 16384)", _hybrid(RRFRanker(0))),
    Case(1100, "maximum of ann search requests is 1024", _hybrid(count=1025)),
    Case(
        1100,
        "the length of weights param mismatch with ann search requests: invalid parameter[expected=2][actual=3]",
        _hybrid(WeightedRanker(0.2, 0.4, 0.8)),
    ),
]

# fmt: off
MORE = [
    Case(1100, "parse ignore growing field failed", _search(search_params={"ignore_growing": "x"})),
    Case(1100, "parse ignore growing field failed", _query(ignore_growing=2.3)),
    Case(1100, "type must be number", _search(search_params={"params": {"radius": "x"}})),
    Case(1100, "invalid parameter[expected=any partition][actual=empty partition list]", lambda c: c.release_partitions(BOOKS, [])),
    Case(1100, "no properties or delete keys provided", lambda c: send(c, "AlterCollection", milvus_pb2.AlterCollectionRequest(collection_name=BOOKS))),
    Case(1100, "cannot provide both DeleteKeys and ExtraParams", lambda c: send(c, "AlterCollection", milvus_pb2.AlterCollectionRequest(collection_name=BOOKS, properties=pairs(a=1), delete_keys=["a"]))),
    Case(1100, "field invalid_field not exist", _query("invalid_field in [1, 2]")),
    Case(1100, "field int not exist", _query(output_fields=["id", "int"])),
    Case(1100, "field int63 not exist", _search(output_fields=["int63"])),
    Case(1100, "parse output field name failed: *%", _query(collection=LOOSE, output_fields=["*%"])),
    Case(1100, "partition name search_partition_0 not found", _search(partition_names=["search_partition_0"])),
    Case(1100, "metric type (IP), range_filter(1) must be greater than radius(2)", _search(LOOSE, search_params={"params": {"radius": 2, "range_filter": 1}})),
    Case(1100, "value '(mn)' in list cannot be a non-const expression", _query("id in (mn)", LOOSE)),
    Case(1100, "failed to create query plan: cannot parse expression: varchar >= 0", _query("varchar >= 0", KEYED)),
    Case(1100, "invalid order direction 'invalid' for field 'price', expected 'asc' or 'desc'", _search(order_by_fields=[{"field": "price", "order": "invalid"}])),
    Case(1100, "order_by field 'info' has unsortable type JSON; supported types: bool, int8/16/32/64, float, double, string, varchar; for JSON fields use path syntax like field[\"key\"]", _search(order_by_fields=[{"field": "info", "order": "asc"}])),
    Case(1100, "order_by is not supported when using search iterator", lambda c: c.search_iterator(BOOKS, [VECTOR], batch_size=2, anns_field="vector", order_by_fields=[{"field": "price", "order": "asc"}])),
    Case(1100, "ORDER BY with iterator is not supported", lambda c: c.query_iterator(BOOKS, batch_size=2, filter="id > 0", order_by_fields=["price:asc"])),
    Case(1100, "ORDER BY can only reference GROUP BY columns", _query(group_by_fields=["level"], output_fields=["level", "count(*)"], order_by_fields=["price:asc"], limit=3)),
    Case(1100, "group by field json_field has unsupported data type JSON", _query(collection=KEYED, group_by_fields=["json_field"], output_fields=["json_field", "count(*)"])),
    Case(1100, "group by field array_field has unsupported data type Array", _query(collection=KEYED, group_by_fields=["array_field"], output_fields=["array_field", "count(*)"])),
    Case(1100, "database already exist: default", lambda c: c.create_database("default")),
    Case(1100, "vector type must be the same, field vector - type VECTOR_FLOAT, search info type VECTOR_BINARY", _search(data=[np.zeros(2, np.uint8)])),
]
# fmt: on

CASES = [
    *NAMES,
    *LOOKUPS,
    *STATES,
    *DEFINITIONS,
    *INDEXES,
    *WRITES,
    *READS,
    *LATER,
    *GROUPS,
    *MORE,
    *ROWS,
    *SCHEMAS,
    *SITUATIONS,
    *KINDS,
    *TYPES,
    *RANKS,
]
