"""Requests: the bytes of every method become the request they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from elanus.schema.types import DataType
from elanus.server.grpc.handlers import ABSENT, HANDLERS, UNIMPLEMENTED
from elanus.server.grpc.messages import METHODS
from elanus.service import requests as r
from server.fake_service import TS, FakeService
from server.wire import asked, dispatching, message, status_of

VECTOR = np.arange(4, dtype="<f4")


def pairs(**values: str) -> list[Any]:
    """Key-value messages."""
    return [message("common.KeyValuePair", key=k, value=v) for k, v in values.items()]


def decoded(method: str, metadata: Any = (), **values: Any) -> r.Request:
    """What the service is asked when a client sends such a message."""
    service = FakeService()
    with dispatching(service) as dispatcher:
        payload = METHODS[method].request(**values).SerializeToString()
        reply = asked(dispatcher, method, payload, metadata=metadata)
    assert status_of(reply, method).code == 0, status_of(reply, method).reason
    return service.last


def refusal(method: str, **values: Any) -> Any:
    """The status of a request that is refused before the service sees it."""
    service = FakeService()
    with dispatching(service) as dispatcher:
        payload = METHODS[method].request(**values).SerializeToString()
        reply = asked(dispatcher, method, payload)
    assert not service.asked
    return status_of(reply, method)


def placeholder(*queries: bytes, kind: int = 101) -> bytes:
    """A serialized placeholder group."""
    value = message("common.PlaceholderValue", tag="$0", type=kind, values=queries)
    group: bytes = message(
        "common.PlaceholderGroup", placeholders=[value]
    ).SerializeToString()
    return group


def test_every_method_is_accounted_for() -> None:
    """Each of the protocol's methods is built, says that it is not, or is absent."""
    assert len(METHODS) == 144
    assert set(HANDLERS) | ABSENT | UNIMPLEMENTED == set(METHODS)
    assert not set(HANDLERS) & ABSENT
    streaming = {name for name, method in METHODS.items() if method.is_streaming}
    without_status = {n for n, m in METHODS.items() if m.status_field is None}
    assert streaming | without_status <= ABSENT


def test_the_database_comes_from_the_message_then_the_metadata() -> None:
    """Older clients name it in the message, newer ones in the metadata."""
    method = "HasCollection"
    named = decoded(method, (("dbname", "meta"),), db_name="own", collection_name="c")
    assert named == r.HasCollection("own", "c")
    by_call = decoded(method, (("dbname", "meta"),), collection_name="c")
    assert by_call == r.HasCollection("meta", "c")
    empty = decoded(method, (("dbname", ""),), collection_name="c")
    assert empty == r.HasCollection("default", "c")


NAMED = [
    ("DropCollection", r.DropCollection),
    ("HasCollection", r.HasCollection),
    ("ReleaseCollection", r.ReleaseCollection),
    ("GetCollectionStatistics", r.GetCollectionStatistics),
    ("TruncateCollection", r.TruncateCollection),
    ("ListAliases", r.ListAliases),
]
PARTITION = [
    ("CreatePartition", r.CreatePartition),
    ("DropPartition", r.DropPartition),
    ("HasPartition", r.HasPartition),
    ("GetPartitionStatistics", r.GetPartitionStatistics),
]
PARTITIONS = [
    ("ReleasePartitions", r.ReleasePartitions),
    ("GetLoadState", r.GetLoadState),
    ("GetLoadingProgress", r.GetLoadingProgress),
]
INDEX = [
    ("GetIndexState", r.GetIndexState),
    ("GetIndexBuildProgress", r.GetIndexBuildProgress),
    ("DropIndex", r.DropIndex),
]


@pytest.mark.parametrize(("method", "kind"), NAMED)
def test_requests_on_a_collection(method: str, kind: Any) -> None:
    """They carry the collection's name."""
    assert decoded(method, collection_name="c") == kind("default", "c")


@pytest.mark.parametrize(("method", "kind"), PARTITION)
def test_requests_on_a_partition(method: str, kind: Any) -> None:
    """They carry both names."""
    request = decoded(method, collection_name="c", partition_name="p")
    assert request == kind("default", "c", "p")


@pytest.mark.parametrize(("method", "kind"), PARTITIONS)
def test_requests_on_partitions(method: str, kind: Any) -> None:
    """They carry every partition's name."""
    request = decoded(method, collection_name="c", partition_names=["p", "q"])
    assert request == kind("default", "c", ("p", "q"))


@pytest.mark.parametrize(("method", "kind"), INDEX)
def test_requests_on_an_index(method: str, kind: Any) -> None:
    """They carry the field's name and the index's."""
    request = decoded(method, collection_name="c", field_name="f", index_name="i")
    assert request == kind("default", "c", "f", "i")


OTHERS: list[tuple[str, dict[str, Any], r.Request]] = [
    ("GetVersion", {}, r.GetVersion()),
    ("AllocTimestamp", {}, r.AllocTimestamp()),
    ("CheckHealth", {}, r.CheckHealth()),
    ("GetComponentStates", {}, r.GetComponentStates()),
    ("GetMetrics", {"request": "{}"}, r.GetMetrics("{}")),
    ("ListDatabases", {}, r.ListDatabases()),
    ("DropDatabase", {"db_name": "d"}, r.DropDatabase("d")),
    ("DropDatabase", {}, r.DropDatabase("")),
    ("DescribeDatabase", {}, r.DescribeDatabase("default")),
    (
        "CreateDatabase",
        {"db_name": "d", "properties": pairs(a="1")},
        r.CreateDatabase("d", {"a": "1"}),
    ),
    (
        "DescribeCollection",
        {"collectionID": 7},
        r.DescribeCollection("default", "", 7),
    ),
    (
        "ShowCollections",
        {"type": 1, "collection_names": ["a"]},
        r.ShowCollections("default", True, ("a",)),
    ),
    (
        "RenameCollection",
        {"oldName": "a", "newName": "b", "newDBName": "d"},
        r.RenameCollection("default", "a", "b", "d"),
    ),
    (
        "LoadCollection",
        {"collection_name": "c", "replica_number": 2, "load_fields": ["f"]},
        r.LoadCollection("default", "c", r.LoadOptions(2, fields=("f",))),
    ),
    (
        "LoadPartitions",
        {"collection_name": "c", "partition_names": ["p"], "refresh": True},
        r.LoadPartitions("default", "c", ("p",), r.LoadOptions(refresh=True)),
    ),
    (
        "ShowPartitions",
        {"collection_name": "c", "type": 1},
        r.ShowPartitions("default", "c", (), True, 0),
    ),
    (
        "CreateAlias",
        {"collection_name": "c", "alias": "a"},
        r.CreateAlias("default", "c", "a"),
    ),
    (
        "AlterAlias",
        {"collection_name": "c", "alias": "a"},
        r.AlterAlias("default", "c", "a"),
    ),
    ("DropAlias", {"alias": "a"}, r.DropAlias("default", "a")),
    ("DescribeAlias", {"alias": "a"}, r.DescribeAlias("default", "a")),
    (
        "DescribeIndex",
        {"collection_name": "c", "timestamp": 9},
        r.DescribeIndex("default", "c", "", "", 9),
    ),
    ("Flush", {"collection_names": ["a", "b"]}, r.Flush("default", ("a", "b"))),
    (
        "GetFlushState",
        {"segmentIDs": [1, 2], "flush_ts": 3, "collection_name": "c"},
        r.GetFlushState("default", "c", (1, 2), 3),
    ),
    ("FlushAll", {}, r.FlushAll("default", ())),
    (
        "GetFlushAllState",
        {"flush_all_ts": TS},
        r.GetFlushAllState("default", (), TS),
    ),
    (
        "ManualCompaction",
        {"collection_name": "c", "majorCompaction": True, "target_size": 5},
        r.ManualCompaction("default", "c", is_major=True, target_mb=5),
    ),
    ("GetCompactionState", {"compactionID": -1}, r.GetCompactionState(-1)),
    (
        "GetPersistentSegmentInfo",
        {"collectionName": "c"},
        r.GetPersistentSegmentInfo("default", "c"),
    ),
    (
        "GetQuerySegmentInfo",
        {"dbName": "d", "collectionName": "c"},
        r.GetQuerySegmentInfo("d", "c"),
    ),
]


@pytest.mark.parametrize(("method", "values", "request_"), OTHERS)
def test_other_requests(method: str, values: dict[str, Any], request_: Any) -> None:
    """Each field of the message stands in its place."""
    assert decoded(method, **values) == request_


def test_connect_says_who_the_client_is() -> None:
    """The client's own description comes along."""
    info = message("common.ClientInfo", sdk_type="Python", sdk_version="3.0.2")
    request = decoded("Connect", (("dbname", "d"),), client_info=info)
    assert isinstance(request, r.Connect)
    assert request.database == "d"
    assert request.client["sdk_version"] == "3.0.2"


# --- schema and index -----------------------------------------------------------------


def field(name: str, kind: int, **values: Any) -> Any:
    """A field of a schema."""
    params = pairs(**values.pop("params", {}))
    return message(
        "schema.FieldSchema", name=name, data_type=kind, type_params=params, **values
    )


def create(*fields: Any, **values: Any) -> dict[str, Any]:
    """The fields of a request to create a collection."""
    schema = message("schema.CollectionSchema", name="c", fields=fields, **values)
    return {"collection_name": "c", "schema": schema.SerializeToString()}


def test_a_collection_is_declared_in_full() -> None:
    """Types, sizes, flags, defaults and properties arrive."""
    default = message("schema.ValueField", string_data="x")
    values = create(
        field("id", 5, is_primary_key=True, autoID=True),
        field("v", 101, params={"dim": "8", "mmap.enabled": "true"}),
        field("s", 21, params={"max_length": "9"}, default_value=default),
        field("a", 22, element_type=5, params={"max_capacity": "3"}, nullable=True),
        enable_dynamic_field=True,
        description="d",
    )
    request = decoded(
        "CreateCollection",
        **values,
        shards_num=2,
        num_partitions=3,
        consistency_level=2,
        properties=pairs(p="1"),
    )
    assert isinstance(request, r.CreateCollection)
    assert (request.shards, request.partitions, request.is_dynamic) == (2, 3, True)
    assert (request.consistency_level, request.properties) == (2, {"p": "1"})
    pk, vector, text, array = request.schema.fields
    assert (pk.is_primary, pk.auto_id, pk.dtype) == (True, True, DataType.INT64)
    assert (vector.dim, vector.properties) == (8, {"mmap.enabled": "true"})
    assert (text.max_length, text.default) == (9, "x")
    assert (array.element_type, array.max_capacity) == (DataType.INT64, 3)
    assert array.nullable


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        (create(field("x", 999)), 1100, "field data type: 999 is not supported"),
        (create(field("x", 20)), 1100, "string data type not supported yet"),
        (create(field("x", 0)), 1100, "data type None is not valid"),
        (create(field("x", 106)), 0, ""),
        (create(field("x", 22, element_type=23)), 0, ""),
        (create(field("x", 22, element_type=106)), 0, ""),
        (create(field("x", 27)), 3000, "data type Mol of field x"),
        (create(field("x", 22, element_type=27)), 1100, "Mol is not"),
        (create(enable_namespace=True), 3000, "namespaces"),
        ({"schema": b"\xff\xff"}, 1100, "failed to parse the schema"),
        (
            create(
                field(
                    "f", 5, default_value=message("schema.ValueField", string_data="x")
                )
            ),
            1100,
            "type (Int64) of field (f) is not equal to the type(DataType_VarChar) of "
            "default_value",
        ),
    ],
)
def test_schemas_that_cannot_be(values: dict[str, Any], code: int, text: str) -> None:
    """A schema we cannot represent is refused with the reason."""
    if not code:
        decoded("CreateCollection", **values)
        return
    status = refusal("CreateCollection", **values)
    assert status.code == code
    assert text in status.reason


def test_a_repeated_parameter_is_refused() -> None:
    """Two values for one name leave open which is meant."""
    twice = field("v", 101)
    twice.type_params.extend(pairs(dim="4") + pairs(dim="8"))
    status = refusal("CreateCollection", **create(twice))
    assert 'duplicated type param key "dim"' in status.reason
    status = refusal("CreateIndex", extra_params=pairs(M="4") + pairs(M="8"))
    assert status.reason.startswith("duplicated index param (key=M) (value=8) found")


def test_index_parameters_are_made_flat() -> None:
    """Parameters given as JSON and those given flat end in one place."""
    request = decoded(
        "CreateIndex",
        collection_name="c",
        field_name="v",
        extra_params=pairs(
            index_type="HNSW", metric_type="L2", params='{"M": 8}', efConstruction="64"
        ),
    )
    assert isinstance(request, r.CreateIndex)
    assert (request.index_type, request.metric_type) == ("HNSW", "L2")
    assert request.params == {"M": 8, "efConstruction": "64"}
    assert request.given["params"] == '{"M": 8}'
    for text in ("{", "[1]", "7"):
        status = refusal("CreateIndex", extra_params=pairs(params=text))
        assert status.code == 1100


# --- rows -----------------------------------------------------------------------------


def longs(name: str, *values: int) -> Any:
    """An Int64 column."""
    column = message("schema.FieldData", type=5, field_name=name)
    column.scalars.long_data.data.extend(values)
    return column


def test_writes_carry_their_columns() -> None:
    """Columns, row count, partition and the schema's timestamp arrive."""
    values = {
        "collection_name": "c",
        "partition_name": "p",
        "fields_data": [longs("id", 1, 2)],
        "num_rows": 2,
        "schema_timestamp": 7,
    }
    request = decoded("Insert", **values)
    assert isinstance(request, r.Insert)
    assert (request.partition, request.n_rows, request.schema_ts) == ("p", 2, 7)
    (column,) = request.columns
    assert column.values is not None
    assert column.values.to_pylist() == [1, 2]
    op = message("schema.FieldPartialUpdateOp", field_name="tags", op=1)
    request = decoded("Upsert", **values, partial_update=True, field_ops=[op])
    assert isinstance(request, r.Upsert)
    assert (request.is_partial, request.field_ops) == (True, (("tags", 1),))


def test_a_namespace_is_refused() -> None:
    """What would be ignored is refused."""
    for method in ("Insert", "Upsert", "Delete", "Search", "Query"):
        assert refusal(method, namespace="tenant").code == 3000


def test_templates_bring_their_values() -> None:
    """Numbers, texts and nested lists, by name."""
    value = message("schema.TemplateValue")
    value.array_val.array_data.data.add().long_data.data.extend([1, 2])
    templates = {
        "b": message("schema.TemplateValue", bool_val=True),
        "i": message("schema.TemplateValue", int64_val=-5),
        "f": message("schema.TemplateValue", float_val=0.5),
        "s": message("schema.TemplateValue", string_val="x"),
        "a": value,
        "nothing": message("schema.TemplateValue"),
    }
    request = decoded("Delete", expr="id in {a}", expr_template_values=templates)
    assert isinstance(request, r.Delete)
    assert request.filter_params == {
        "b": True,
        "i": -5,
        "f": 0.5,
        "s": "x",
        "a": [[1, 2]],
        "nothing": None,
    }


# --- search and query -----------------------------------------------------------------


def search(*queries: bytes, kind: int = 101, **params: str) -> dict[str, Any]:
    """The fields of a search."""
    return {
        "collection_name": "c",
        "placeholder_group": placeholder(*queries, kind=kind),
        "search_params": pairs(**{"topk": "3", **params}),
    }


def test_a_search_arrives_whole() -> None:
    """Vectors, filter, parameters, names and consistency stand in their places."""
    request = decoded(
        "Search",
        **search(
            VECTOR.tobytes(),
            (VECTOR * 2).tobytes(),
            offset="2",
            anns_field="v",
            metric_type="L2",
            params='{"ef": 9}',
            round_decimal="3",
            ignore_growing="True",
            other="x",
        ),
        nq=2,
        dsl="a > 1",
        output_fields=["a"],
        partition_names=["p"],
        consistency_level=2,
        guarantee_timestamp=7,
    )
    assert isinstance(request, r.Search)
    assert request.queries is not None
    assert request.queries.vectors is not None
    assert request.queries.vectors.tolist() == [[0, 1, 2, 3], [0, 2, 4, 6]]
    assert (request.nq, request.queries.nq, request.filter) == (2, 2, "a > 1")
    assert (request.partitions, request.output_fields) == (("p",), ("a",))
    assert request.consistency == r.Consistency(2, 7)
    assert request.options == r.SearchOptions(
        limit=3,
        offset=2,
        anns_field="v",
        metric_type="L2",
        params={"ef": 9},
        round_decimal=3,
        ignore_growing=True,
        extra={"other": "x"},
    )


def test_equal_parameters_are_read_once() -> None:
    """Searches of one program share their options, so plans can be found by them."""
    first, second = (decoded("Search", **search(VECTOR.tobytes())) for _ in range(2))
    assert isinstance(first, r.Search)
    assert isinstance(second, r.Search)
    assert first.options is second.options
    assert hash(first.options) == hash(second.options)


def test_what_searches_share_is_not_mixed_up() -> None:
    """Searches that differ in one thing, or in their database only, stay different."""
    values = search(VECTOR.tobytes(), params='{"ef": 9}')
    plain = decoded("Search", **values, nq=1)
    again = decoded(
        "Search", **search((VECTOR + 1).tobytes(), params='{"ef": 9}'), nq=1
    )
    assert isinstance(plain, r.Search)
    assert isinstance(again, r.Search)
    assert plain.queries is not None
    assert again.queries is not None
    assert plain.queries.vectors is not None
    assert again.queries.vectors is not None
    assert plain.queries.vectors.tolist() == [[0, 1, 2, 3]]
    assert again.queries.vectors.tolist() == [[1, 2, 3, 4]]
    long_filter = "id in [" + ", ".join(map(str, range(3000))) + "]"
    for change in (
        {"dsl": "a > 1"},
        {"dsl": long_filter},
        {"collection_name": "other"},
        {"output_fields": ["x"]},
        {"guarantee_timestamp": 5},
        {"expr_template_values": {"a": message("schema.TemplateValue", int64_val=1)}},
        {"nq": 7},
    ):
        other = decoded("Search", **{**values, "nq": 1, **change})
        assert isinstance(other, r.Search)
        assert replace(other, queries=None) != replace(plain, queries=None), change
    elsewhere = decoded("Search", (("dbname", "d"),), **values, nq=1)
    assert isinstance(elsewhere, r.Search)
    assert (elsewhere.database, plain.database) == ("d", "default")


def test_the_collections_own_consistency_can_be_asked_for() -> None:
    """The level is left to the collection when the client names none."""
    request = decoded(
        "Search", **search(VECTOR.tobytes()), use_default_consistency=True
    )
    assert isinstance(request, r.Search)
    assert request.consistency.level is None


def test_a_search_by_keys_names_them() -> None:
    """Primary keys take the place of vectors."""
    values = search()
    del values["placeholder_group"]
    request = decoded("Search", **values, ids={"str_id": {"data": ["a", "b"]}}, dsl="x")
    assert isinstance(request, r.Search)
    assert request.queries is None
    assert request.query_keys is not None
    assert request.query_keys.to_pylist() == ["a", "b"]


def test_texts_are_passed_on() -> None:
    """Queries of another type stay as they were sent."""
    request = decoded("Search", **search(b"hello", kind=21))
    assert isinstance(request, r.Search)
    assert request.queries == r.Queries(21, None, (b"hello",))


def test_an_iterator_says_where_it_is() -> None:
    """The place of a walk arrives as numbers."""
    request = decoded(
        "Search",
        **search(
            VECTOR.tobytes(),
            iterator="True",
            search_iter_v2="true",
            search_iter_batch_size="5",
            search_iter_last_bound="0.25",
            search_iter_id="abc",
            collection_id="12",
        ),
    )
    assert isinstance(request, r.Search)
    assert request.options.iterator == r.SearchIterator(True, 5, 0.25, "abc")
    assert request.options.collection_id == 12


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"topk": "x"}, "topk [x] is invalid"),
        ({"topk": str(2**70)}, f"topk [{2**70}] is invalid"),
        ({"offset": "1.5"}, "offset [1.5] is invalid"),
        ({"round_decimal": "z"}, "round_decimal [z] is invalid, should be -1 or"),
        ({"params": "{"}, "failed to parse search params"),
        ({"params": "[]"}, "search params are not a JSON object"),
        ({"search_iter_v2": "True"}, "both iterator and search_iter_v2 must be set"),
        (
            {"iterator": "True", "search_iter_last_bound": "x"},
            "failed to parse input last bound",
        ),
    ],
)
def test_search_parameters_of_the_wrong_type(params: dict[str, str], text: str) -> None:
    """They are refused by name."""
    status = refusal("Search", **search(VECTOR.tobytes(), **params))
    assert (status.code, status.error_code) == (1100, 5)
    assert text in status.reason


def test_a_search_without_a_limit_is_refused() -> None:
    """How many rows are wanted must be said."""
    status = refusal("Search", placeholder_group=placeholder(VECTOR.tobytes()))
    assert "topk is required" in status.reason


@pytest.mark.parametrize(
    "group",
    [
        placeholder(b"123"),
        placeholder(VECTOR.tobytes(), VECTOR.tobytes()[:8]),
        b"\xff\xff",
        message(
            "common.PlaceholderGroup", placeholders=[{"type": 101}, {"type": 101}]
        ).SerializeToString(),
    ],
)
def test_vectors_that_make_no_matrix_are_refused(group: bytes) -> None:
    """Query vectors are whole and of one length."""
    values = {**search(), "placeholder_group": group}
    assert refusal("Search", **values).code == 1100


def test_a_query_arrives_whole() -> None:
    """Filter, window, names and consistency stand in their places."""
    request = decoded(
        "Query",
        collection_name="c",
        expr="a > 1",
        output_fields=["*"],
        query_params=pairs(limit="5", offset="2", iterator="True", x="y"),
        use_default_consistency=True,
        guarantee_timestamp=1,
    )
    assert request == r.Query(
        "default",
        "c",
        (),
        "a > 1",
        {},
        ("*",),
        r.QueryOptions(5, 2, is_iterator=True, extra={"x": "y"}),
        r.Consistency(None, 1),
    )
    status = refusal("Query", query_params=pairs(limit="many"))
    assert "limit [many] is invalid" in status.reason


def hybrid(*parts: Any, **ranking: str) -> dict[str, Any]:
    """The contents of a hybrid search; the limit is 4 if not told otherwise."""
    told = {"limit": "4", **ranking}
    return {
        "collection_name": "c",
        "requests": parts,
        "rank_params": pairs(**{key: text for key, text in told.items() if text}),
    }


def part(**options: str) -> Any:
    """One search of a hybrid one."""
    return message(
        "milvus.SearchRequest",
        placeholder_group=placeholder(VECTOR.tobytes()),
        search_params=pairs(**options),
        dsl="a > 1",
        nq=1,
    )


def test_a_hybrid_search_arrives_whole() -> None:
    """Groups, names and freshness are those of the whole, limits of each its own."""
    request = decoded(
        "HybridSearch",
        **hybrid(
            part(topk="9", anns_field="v", offset="7", group_by_field="b"),
            part(topk="None", anns_field="w"),
            offset="2",
            strategy="weighted",
            params='{"weights": [0.5, 1], "norm_score": true}',
            round_decimal="3",
            group_by_field='"g"',
            group_size="2",
            strict_group_size="True",
            rank_group_scorer="sum",
        ),
        partition_names=["p"],
        output_fields=["a"],
        consistency_level=2,
        guarantee_timestamp=7,
    )
    assert isinstance(request, r.HybridSearch)
    assert (request.collection, request.partitions) == ("c", ("p",))
    assert (request.output_fields, request.consistency) == (
        ("a",),
        r.Consistency(2, 7),
    )
    assert request.options == r.HybridOptions(
        4,
        2,
        3,
        "weighted",
        params={"weights": [0.5, 1], "norm_score": True},
        group_scorer="sum",
    )
    grouped = {
        "group_by_field": "g",
        "group_size": 2,
        "strict_group_size": True,
    }
    first, second = request.searches
    assert first.options == r.SearchOptions(9, anns_field="v", **grouped)
    assert second.options == r.SearchOptions(6, anns_field="w", **grouped)
    assert first.queries is not None and first.queries.vectors is not None
    assert first.queries.vectors.tolist() == [[0, 1, 2, 3]]
    assert (first.filter, first.partitions) == ("a > 1", ("p",))


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        (hybrid(part(), limit=""), 1100, "limit not found in rank_params"),
        (hybrid(part(), limit="x"), 1100, "limit [x] is invalid"),
        (hybrid(part(), params="[1]"), 1100, "rank params are not a JSON object"),
        (
            hybrid(
                message(
                    "milvus.SearchRequest",
                    highlighter=message("common.Highlighter"),
                )
            ),
            1100,
            "not support hybrid search with highlight now",
        ),
        (
            {**hybrid(part()), "function_chains": [{"name": "c"}]},
            3000,
            "function_chains in a hybrid search",
        ),
    ],
)
def test_hybrid_searches_that_are_refused_unseen(
    values: dict[str, Any], code: int, text: str
) -> None:
    """What is missing, damaged, or not built."""
    status = refusal("HybridSearch", **values)
    assert status.code == code
    assert text in status.reason
