"""What is refused: its code, its text, and that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import ElanusError
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import (
    DEFAULT,
    DIM,
    SCHEMA,
    Stage,
    book_columns,
    column,
    query_request,
    search_request,
    vectors,
)

QUERY = vectors(1)
NO_OPTIONS = r.LoadOptions()


def _create(name: str = "new", schema: CollectionSchema = SCHEMA, **more: Any) -> Any:
    return r.CreateCollection(DEFAULT, name, schema, name, **more)


def _index(field: str, kind: str, metric: str = "L2", **given: Any) -> Any:
    name = given.pop("name", "")
    return r.CreateIndex(DEFAULT, "bare", field, name, kind, metric, given, {})


def _insert(*columns: r.ColumnData, n_rows: int = 1, **more: Any) -> Any:
    return r.Insert(
        DEFAULT, "books", more.pop("partition", ""), columns, n_rows, **more
    )


def _books(**changed: r.ColumnData | None) -> tuple[r.ColumnData, ...]:
    columns = {c.name: c for c in book_columns([1])}
    columns.update({k: v for k, v in changed.items() if v is not None})
    return tuple(c for k, c in columns.items() if changed.get(k, c) is not None)


def _field(**changed: Any) -> CollectionSchema:
    extra = FieldSchema(**{"name": "x", "dtype": DataType.INT64, **changed})
    return CollectionSchema((*SCHEMA.fields, extra))


NULL_TOPIC = replace(
    column("topic", DataType.INT64, [None]), values=pa.array([None], pa.int64())
)
CREATION = [
    (_create("1x"), 1100, "Invalid collection name: 1x. the first character of a "),
    (_create(""), 1100, "collection name should not be empty: invalid parameter"),
    (_create("a" * 256), 1100, "the length of a collection name must be less than 255"),
    (_create("a-b"), 1100, "collection name can only contain numbers, letters and un"),
    (_create(consistency_level=9), 1100, "invalid consistency level: 9"),
    (_create(consistency_level=-1), 1100, "invalid consistency level: -1"),
    (_create(shards=17), 1100, "maximum shards's number should be limited to 16"),
    (_create(partitions=4), 1100, "num_partitions should only be specified with par"),
    (
        r.CreateCollection(DEFAULT, "a", SCHEMA, "b"),
        1100,
        "collection name = a, schema.Name=b: invalid parameter[expected=collection "
        "name matches schema name][actual=don't match]",
    ),
    (_create("books", is_dynamic=True), 1100, "create duplicate collection with diff"),
    (_create("b"), 1601, "please choose a unique name: alias and collection name con"),
    (_create(properties={"query_mode": "x"}), 1100, 'invalid query_mode value "x", va'),
    (_create(schema=_field(name="in")), 1701, "Invalid field name: in. in is keyword"),
    (_create(schema=_field(dtype=DataType.VARCHAR)), 1101, "type param(max_length) "),
    (_create(properties={"timezone": "Mars/X"}), 1100, "unknown or invalid IANA Time"),
    (_create(properties={"collection.ttl.seconds": "x"}), 1100, "collection ttl pro"),
    (_create(properties={"collection.ttl.seconds": "-9"}), 1100, "collection TTL is"),
    (_create(properties={"partitionkey.isolation": "true"}), 105, "partition key is"),
    (r.CreateCollection("zz", "c", SCHEMA), 800, "database not found[database=zz]"),
    (r.CreateDatabase("1a", {}), 802, "the first character of a database name must"),
    (r.CreateDatabase("", {}), 802, "database name couldn't be empty"),
    (r.CreateDatabase(DEFAULT, {}), 1100, "database already exist: default"),
    (r.DropDatabase(DEFAULT), 1100, "can not drop default database"),
    (r.DropDatabase("shop"), 1100, "database:shop not empty, must drop all collecti"),
    (r.DescribeDatabase("zz"), 800, "database not found[database=zz]"),
    (r.Connect("zz", {}), 800, "database not found[database=zz]"),
]
COLLECTIONS = [
    (
        r.DescribeCollection(DEFAULT, "x"),
        100,
        "can't find collection[database=default]",
    ),
    (r.DescribeCollection(DEFAULT, "", 9), 100, "collection not found[collection=9]"),
    (
        r.LoadCollection(DEFAULT, "x", NO_OPTIONS),
        100,
        "collection not found[database=default][collection=x]",
    ),
    (r.LoadCollection(DEFAULT, "bare", NO_OPTIONS), 700, "index not found[collection="),
    (
        r.LoadCollection(DEFAULT, "half", NO_OPTIONS),
        1100,
        "there is no vector index on field: [other], please create index firstly",
    ),
    (
        r.LoadCollection(DEFAULT, "books", r.LoadOptions(replicas=3)),
        12,
        "call query coordinator LoadCollection: when load 3 replica count: service "
        "resource insufficient[currentStreamingNode=1][expectedStreamingNode=3]",
    ),
    (
        r.LoadCollection(DEFAULT, "books", r.LoadOptions(resource_groups=("rg",))),
        300,
        "resource group not found[rg=rg]",
    ),
    (
        r.LoadCollection(DEFAULT, "books", r.LoadOptions(fields=("vector",))),
        1100,
        "load field list [vector] does not contain primary key field id",
    ),
    (
        r.LoadCollection(DEFAULT, "books", r.LoadOptions(fields=("id",))),
        1100,
        "load field list [id] does not contain vector field",
    ),
    (r.DropCollection(DEFAULT, "b"), 1100, "cannot drop the collection via alias = b"),
    (r.DropCollection(DEFAULT, "books"), 1100, "has associated aliases [b], please"),
    (r.RenameCollection(DEFAULT, "books", "", ""), 1100, "new collection name should"),
    (r.RenameCollection(DEFAULT, "books", "1", ""), 1100, "Invalid collection name: 1"),
    (r.RenameCollection(DEFAULT, "books", "books", ""), 1100, "collection name or da"),
    (r.RenameCollection(DEFAULT, "books", "bare", ""), 1100, "duplicated new collecti"),
    (r.RenameCollection(DEFAULT, "bare", "b", ""), 1601, "alias and collection name "),
    (r.RenameCollection(DEFAULT, "b", "c", ""), 1100, "unsupported use an alias to"),
    (r.RenameCollection(DEFAULT, "x", "y", ""), 100, "collection not found"),
    (r.RenameCollection(DEFAULT, "bare", "y", "zz"), 800, "database not found"),
    (r.RenameCollection(DEFAULT, "books", "y", "shop"), 1100, "fail to rename db na"),
    (r.GetLoadingProgress(DEFAULT, "bare", ()), 101, "collection not loaded[collecti"),
    (r.GetLoadState(DEFAULT, "books", ("x",)), 200, "partition not found[partition=x]"),
    (r.ShowCollections(DEFAULT, True, ("bare",)), 101, "not loaded[collection=bare]"),
    (r.CreateAlias(DEFAULT, "books", "1"), 1100, "Invalid collection alias: 1. the f"),
    (r.CreateAlias(DEFAULT, "books", ""), 1100, "collection alias should not be emp"),
    (r.CreateAlias(DEFAULT, "x", "y"), 100, "collection not found[database=default]"),
    (r.CreateAlias(DEFAULT, "1x", "y"), 1100, "Invalid collection name: 1x. the firs"),
    (r.AlterAlias(DEFAULT, "1x", "y"), 1100, "Invalid collection name: 1x. the first"),
    (r.CreateAlias(DEFAULT, "books", "bare"), 1601, "alias and collection name confl"),
    (
        r.CreateAlias(DEFAULT, "bare", "b"),
        1602,
        "b is alias to another collection: books: alias already exist"
        "[database=default][alias=b]",
    ),
    (r.AlterAlias(DEFAULT, "books", "y"), 1600, "alias not found[database=default]"),
    (r.AlterAlias(DEFAULT, "x", "b"), 100, "collection not found[collection=x]"),
    (r.DescribeAlias(DEFAULT, "y"), 1600, "alias not found[database=default][alias=y]"),
    (r.ListAliases(DEFAULT, "x"), 100, "collection not found[collection=x]"),
    (r.CreatePartition(DEFAULT, "books", "p 1"), 1100, "Invalid partition name: p 1."),
    (r.DropPartition(DEFAULT, "books", "_default"), 1100, "default partition cannot b"),
    (r.DropPartition(DEFAULT, "books", "p"), 1100, "partition cannot be dropped, part"),
    (r.HasPartition(DEFAULT, "x", "p"), 100, "collection not found"),
    (
        r.LoadPartitions(DEFAULT, "books", (), NO_OPTIONS),
        1100,
        "failed to load partition, due to no partition specified",
    ),
    (
        r.LoadPartitions(DEFAULT, "books", ("p",), r.LoadOptions(replicas=2)),
        1100,
        "can't change the replica number for loaded partitions: invalid parameter"
        "[expected=1][actual=2]",
    ),
    (r.ReleasePartitions(DEFAULT, "books", ("x",)), 200, "partition not found"),
    (r.GetPartitionStatistics(DEFAULT, "books", "x"), 200, "partition not found"),
]
INDEXES = [
    (_index("zz", "HNSW"), 1100, "cannot create index on non-exist field: zz"),
    (
        r.CreateIndex(DEFAULT, "%$#", "v", "", "HNSW", "L2", {}, {}),
        100,
        "collection not found[database=default][collection=%$#]",
    ),
    (_index("vector", "hnsw"), 1100, "invalid index type: hnsw"),
    (_index("vector", "HNSW", ""), 1100, "metric type not set for vector index: inva"),
    (_index("vector", "HNSW", "HAMMING"), 1100, "float vector index does not support"),
    (_index("vector", "HNSW", M="1"), 1100, "Out of range in json: param 'M' (1) sho"),
    (_index("vector", "BIN_FLAT"), 1100, "data type FloatVector can't build with thi"),
    (_index("vector", "INVERTED"), 1100, "data type FloatVector can't build with thi"),
    (_index("vector", "AISAQ"), 3000, "index type AISAQ: unsupported operation"),
    (_index("vector", "", M="16"), 1100, "only metric type can be passed when use Aut"),
    (_index("vector", "FLAT", name="1 x"), 1100, "Invalid index name: 1 x. The first"),
    (_index("topic", "HNSW"), 1100, "data type Int64 can't build with this index HNSW"),
    (_index("topic", "Trie"), 1100, "TRIE are only supported on varchar field"),
    (_index("id", "BITMAP"), 1100, "create bitmap index on primary key not supported"),
    (_index("title", "NGRAM"), 1100, "Ngram index must specify both min_gram and max"),
    (
        _index("title", "NGRAM", min_gram="3", max_gram="2"),
        1100,
        "invalid min_gram or max_gram value for Ngram index, min_gram: 3, max_gram: 2",
    ),
    (r.DescribeIndex(DEFAULT, "bare", "", ""), 700, "index not found[collection=bare]"),
    (r.DescribeIndex(DEFAULT, "books", "", "z"), 700, "index not found[indexName=z]"),
    (r.GetIndexState(DEFAULT, "bare", "vector", ""), 700, "index not found"),
    (
        r.DropIndex(DEFAULT, "books", "", "vector"),
        1100,
        "vector index cannot be dropped on loaded collection: ",
    ),
]
WRITES = [
    (_insert(*_books(), n_rows=0), 1100, "num_rows should be greater than 0: invalid"),
    (
        _insert(*_books(), n_rows=2),
        1100,
        "the num_rows (1) of field (id) is not equal to passed num_rows (2): invalid "
        "parameter[expected=2][actual=1]",
    ),
    (_insert(*_books(), schema_ts=5), 109, "collection schema mismatch[collection=b"),
    (_insert(*_books(), partition="x"), 200, "partition not found[partition=x]"),
    (_insert(*_books(topic=None)), 1100, "fieldSchema(topic) has no corresponding fi"),
    (
        _insert(*_books(), column("zz", DataType.INT64, [1])),
        1100,
        "fieldName zz not exist in collection schema, fieldType Int64, fieldId 0",
    ),
    (_insert(*_books(), column("topic", DataType.INT64, [1])), 1100, "duplicated fie"),
    (
        _insert(*_books(topic=column("topic", DataType.VARCHAR, ["a"]))),
        1100,
        "field 'topic' is illegal, array type mismatch: invalid parameter"
        "[expected=need long array][actual=got nil]",
    ),
    (
        _insert(*_books(vector=r.ColumnData("vector", 101, "", None))),
        1100,
        "float vector field 'vector' is illegal, array type mismatch: invalid "
        "parameter[expected=need float vector][actual=got nil]",
    ),
    (
        _insert(*_books(vector=column("vector", DataType.FLOAT_VECTOR, [[1.0] * 5]))),
        1100,
        "the length(5) of float data should divide the dim(4)",
    ),
    (
        _insert(*_books(vector=column("vector", DataType.FLOAT_VECTOR, [[1.0] * 8]))),
        1100,
        "the dim (8) of field data(vector) is not equal to schema dim (4): invalid "
        "parameter[expected=4][actual=8]",
    ),
    (
        _insert(
            *_books(vector=column("vector", DataType.FLOAT_VECTOR, [[np.nan] * DIM]))
        ),
        1100,
        "value 'NaN' is not a number or infinity",
    ),
    (_insert(*_books(topic=NULL_TOPIC)), 1100, "the length of valid_data of field(top"),
    (
        _insert(*_books(title=column("title", DataType.VARCHAR, ["a" * 21]))),
        1100,
        "length of varchar field title exceeds max length, row number: 0, length: 21, "
        "max length: 20",
    ),
    (
        r.Upsert(DEFAULT, "books", "", book_columns([1, 1]), 2),
        1100,
        "duplicate primary keys are not allowed in the same batch",
    ),
    (
        r.Upsert(DEFAULT, "books", "", book_columns([1])[1:], 1),
        1100,
        "must assign pk when upsert, primary field: id",
    ),
    (
        r.Upsert(DEFAULT, "books", "", book_columns([1])[1:], 1, is_partial=True),
        1100,
        "must assign pk when upsert, primary field: id",
    ),
    (r.Delete(DEFAULT, "books", "", "", {}), 1100, "delete plan can't be empty or alw"),
    (r.Delete(DEFAULT, "books", "x", "id > 1", {}), 200, "partition not found"),
    (
        r.Delete(DEFAULT, "books", "", "id >", {}),
        1100,
        "failed to create delete plan: cannot parse expression: id >",
    ),
    (r.Delete(DEFAULT, "bare", "", "id > 1", {}), 101, "failed to query: collection "),
    (r.Flush(DEFAULT, ("x",)), 100, "collection not found"),
    (r.ManualCompaction(DEFAULT, "x"), 100, "collection not found"),
    (
        r.ManualCompaction(DEFAULT, "books", target_mb=512),
        1100,
        "targetSize 512 MB should be greater than or equal to configMaxSize 1024 MB",
    ),
]
READS = [
    (search_request(QUERY, collection="bare", anns_field="zz"), 1100, "failed to get"),
    (search_request(QUERY, collection="x"), 100, "collection not found[database=def"),
    (search_request(QUERY, collection="bare"), 101, "failed to search: collection no"),
    (search_request(QUERY, partitions=("x",)), 1100, "partition name x not found"),
    (
        search_request(QUERY, collection="bare", partitions=("x",)),
        1100,
        "partition name x not found",
    ),
    (search_request(QUERY, limit=0), 1100, "topk [0] is invalid, it should be in rang"),
    (search_request(QUERY, limit=16385), 1100, "topk [16385] is invalid"),
    (search_request(QUERY, offset=-1), 1100, "offset [-1] is invalid, it should be i"),
    (search_request(QUERY, offset=16384), 1100, "offset+topk [16389] is invalid"),
    (
        search_request(np.empty((0, DIM), "f4")),
        1100,
        "nq [0] is invalid, nq (number of",
    ),
    (search_request(None), 1100, "nq [0] is invalid, nq (number of search vector per"),
    (
        search_request(vectors(1)[:, :2]),
        1100,
        "vector dimension mismatch, expected vector size(byte) 16, actual 8.",
    ),
    (
        search_request(r.Queries(100, None, (b"ab",))),
        1100,
        "vector type must be the same, field vector - type VECTOR_FLOAT, search info "
        "type VECTOR_BINARY",
    ),
    (search_request(QUERY * np.nan), 1100, "value 'NaN' is not a number or infinity"),
    (search_request(QUERY, round_decimal=7), 1100, "round_decimal [7] is invalid, sh"),
    (search_request(QUERY, metric_type="IP"), 1100, "metric type not match: invalid p"),
    (search_request(QUERY, anns_field="zz"), 1100, "failed to get field schema by nam"),
    (search_request(QUERY, anns_field="topic"), 1100, "field (topic) to search is not"),
    (search_request(QUERY, output_fields=("zz",)), 1100, "field zz not exist"),
    (search_request(QUERY, output_fields=("count(*)",)), 1100, "aggregates are not su"),
    (search_request(QUERY, filter="id >"), 1100, "failed to create query plan: cannot"),
    (search_request(QUERY, group_by_field="vector"), 1100, "unsupported data type VE"),
    (
        search_request(QUERY, params={"ef": 2}),
        65535,
        "ef(2) should be larger than k(5)",
    ),
    (search_request(QUERY, params={"range_filter": 1}), 1100, "range_filter requires"),
    (
        search_request(QUERY, params={"radius": 10, "range_filter": 20}),
        1100,
        "metric type (L2), range_filter(20) must be less than radius(10)",
    ),
    (search_request(QUERY, params={"radius": "x"}), 1100, "Type conflict in json: par"),
    (
        search_request(None, query_keys=pa.array([777, 1], pa.int64())),
        1100,
        "some of the provided primary key IDs do not exist: missing IDs [777]",
    ),
    (query_request(collection="bare", limit=1), 101, "failed to query: collection not"),
    (query_request(), 1100, "empty expression should be used with limit"),
    (query_request("id > 0", limit=0), 1100, "limit [0] is invalid, should be greater"),
    (query_request("id > 0", limit=1, offset=-1), 1100, "offset [-1] is invalid, sho"),
    (
        query_request("id > 0", limit=16384, offset=1),
        1100,
        "invalid max query result window, (offset+limit) should be in range "
        "[1, 16384], but got 16385",
    ),
    (query_request("id > 0", output_fields=("zz",)), 1100, "field zz not exist"),
    (query_request("zz > 0"), 1100, "failed to create query plan: cannot parse expre"),
    (query_request(limit=1, output_fields=("count(*)",)), 1100, "count entities with "),
    (query_request("id > 0", order_by_fields="id"), 1100, "ORDER BY requires explicit"),
    (query_request("id > 0", partitions=("x",)), 1100, "partition name x not found"),
    (r.GetMetrics("nonsense"), 1100, "failed to decode the metrics request"),
]
INPUT_FAULTS = (100, 109, 200, 800, 1100, 1101)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A loaded collection with rows, partition and alias; others without indexes.

    Shared: no test may change it, which is what they test.
    """
    stage = Stage(tmp_path_factory.mktemp("busy") / "db")
    stage.ready()
    stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
    stage.ask(r.CreateAlias(DEFAULT, "books", "b"))
    stage.insert(list(range(10)))
    stage.create("bare")
    other = FieldSchema("other", DataType.FLOAT_VECTOR, dim=DIM)
    stage.create("half", CollectionSchema((*SCHEMA.fields, other)))
    stage.index("half")
    stage.ask(r.CreateDatabase("shop", {}))
    stage.create("wares", database="shop")
    yield stage
    stage.close()


@pytest.mark.parametrize(
    ("request_", "code", "text"), CREATION + COLLECTIONS + INDEXES + WRITES + READS
)
def test_refusals(busy: Stage, request_: r.Request, code: int, text: str) -> None:
    """Code and text are Milvus', and nothing has changed."""
    before = _state(busy)
    with pytest.raises(ElanusError) as caught:
        busy.ask(request_)
    assert text in str(caught.value)
    assert caught.value.code == code
    if code in INPUT_FAULTS:
        assert caught.value.is_input_error
    assert _state(busy) == before


def _state(stage: Stage) -> list[object]:
    databases = stage.ask(r.ListDatabases())
    names = [(d.name, e.name) for d in databases.databases for e in _listed(stage, d)]
    return [
        databases,
        [stage.ask(r.DescribeCollection(*name)) for name in names],
        [stage.ask(r.ShowPartitions(*name, (), False)) for name in names],
        [stage.ask(r.GetCollectionStatistics(*name)) for name in names],
        [stage.ask(r.GetLoadState(*name, ())) for name in names],
        stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")),
        stage.core.database.node.log.applied_seq,
    ]


def _listed(stage: Stage, database: Any) -> Any:
    return stage.ask(r.ShowCollections(database.name, False, ())).collections


IDEMPOTENT = [
    r.DropCollection(DEFAULT, "x"),
    r.DropCollection("zz", "x"),
    r.DropAlias(DEFAULT, "x"),
    r.DropPartition(DEFAULT, "books", "x"),
    r.DropIndex(DEFAULT, "books", "", "x"),
    r.DropDatabase("zz"),
    r.CreateAlias(DEFAULT, "books", "b"),
    r.CreatePartition(DEFAULT, "books", "p"),
    _create("books"),
    r.CreateIndex(
        DEFAULT, "books", "vector", "", "HNSW", "L2", {}, {"index_type": "HNSW"}
    ),
    r.ReleaseCollection(DEFAULT, "bare"),
    r.LoadCollection(DEFAULT, "books", NO_OPTIONS),
]


@pytest.mark.parametrize("request_", IDEMPOTENT)
def test_what_is_so_already_is_no_error(busy: Stage, request_: r.Request) -> None:
    """Repeats, and drops of what is not there, succeed and change nothing."""
    before = _state(busy)
    busy.ask(request_)
    assert _state(busy) == before
