"""Replies: every answer becomes the message that clients read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.server.grpc import encode
from elanus.server.grpc.handlers import HANDLERS
from elanus.server.grpc.messages import METHODS, message_class
from elanus.server.grpc.schemas import message_from_schema, schema_from_message
from elanus.service import replies as a
from server.fake_service import COLUMN, KEYS, REPLIES, TS, FakeService
from server.wire import asked, dispatching, status_of

PHYSICAL_MS = TS >> 18


@pytest.fixture
def replies() -> dict[str, Any]:
    """The reply message of every method to an empty request."""
    service = FakeService()
    out = {}
    with dispatching(service) as dispatcher:
        for method in HANDLERS:
            payload = b""
            if method == "AddCollectionField":
                field = message_class("schema.FieldSchema")(name="f", data_type=5)
                request = METHODS[method].request(schema=field.SerializeToString())
                payload = request.SerializeToString()
            if method == "Search":
                params = [{"key": "topk", "value": "2"}]
                request = METHODS[method].request(search_params=params)
                payload = request.SerializeToString()
            if method == "HybridSearch":
                params = [{"key": "limit", "value": "2"}]
                request = METHODS[method].request(rank_params=params)
                payload = request.SerializeToString()
            out[method] = asked(dispatcher, method, payload)
    return out


def test_success_is_said_with_zeros(replies: dict[str, Any]) -> None:
    """A reply of success has a status, and both of its codes are zero."""
    assert len(replies) == len(HANDLERS)
    for method, reply in replies.items():
        status = status_of(reply, method)
        assert (status.code, status.error_code) == (0, 0), method
        if METHODS[method].status_field:
            assert reply.HasField(METHODS[method].status_field), method


def test_every_reply_is_understood(replies: dict[str, Any]) -> None:
    """No byte of a reply is unknown to its message."""
    for method, reply in replies.items():
        content = reply.SerializeToString()
        reply.DiscardUnknownFields()
        assert reply.SerializeToString() == content, method


EXPECTED: dict[str, dict[str, Any]] = {
    "Connect": {"identifier": 5},
    "GetVersion": {"version": "v2.6.0"},
    "AllocTimestamp": {"timestamp": TS},
    "CheckHealth": {"isHealthy": False, "reasons": ["disk"]},
    "GetMetrics": {"response": "{}", "component_name": "proxy"},
    "ListDatabases": {
        "db_names": ["default"],
        "created_timestamp": [TS],
        "db_ids": [1],
    },
    "DescribeDatabase": {"db_name": "default", "dbID": 1, "created_timestamp": TS},
    "HasCollection": {"value": True},
    "HasPartition": {"value": False},
    "DescribeCollection": {
        "collectionID": 9,
        "created_timestamp": TS,
        "created_utc_timestamp": PHYSICAL_MS,
        "update_timestamp": TS + 1,
        "update_timestamp_str": str(TS + 1),
        "shards_num": 1,
        "num_partitions": 1,
        "collection_name": "b",
        "db_name": "default",
        "db_id": 1,
        "aliases": ["b"],
    },
    "ShowCollections": {
        "collection_names": ["books"],
        "collection_ids": [9],
        "created_timestamps": [TS],
        "created_utc_timestamps": [PHYSICAL_MS],
        "inMemory_percentages": [100],
        "query_service_available": [True],
        "shards_num": [1],
    },
    "GetLoadState": {"state": 3},
    "GetLoadingProgress": {"progress": 100, "refresh_progress": 50},
    "ShowPartitions": {
        "partition_names": ["_default"],
        "partitionIDs": [10],
        "created_timestamps": [TS],
        "created_utc_timestamps": [PHYSICAL_MS],
        "inMemory_percentages": [100],
    },
    "DescribeAlias": {"alias": "b", "collection": "books", "db_name": "default"},
    "ListAliases": {
        "aliases": ["b"],
        "collection_name": "books",
        "db_name": "default",
    },
    "GetIndexState": {"state": 4, "fail_reason": "no"},
    "GetIndexBuildProgress": {"indexed_rows": 1, "total_rows": 2},
    "Insert": {"insert_cnt": 2, "timestamp": TS, "succ_index": [0, 1]},
    "Upsert": {"insert_cnt": 2, "delete_cnt": 2, "upsert_cnt": 2},
    "Delete": {"delete_cnt": 3, "timestamp": TS, "succ_index": []},
    "Search": {"collection_name": "books", "session_ts": TS},
    "Query": {
        "collection_name": "books",
        "session_ts": TS,
        "output_fields": ["id"],
        "primary_field_name": "id",
    },
    "GetFlushState": {"flushed": True},
    "FlushAll": {"flush_all_ts": TS},
    "GetFlushAllState": {"flushed": True},
    "ManualCompaction": {"compactionID": -1, "compactionPlanCount": 0},
    "GetCompactionState": {"state": 2, "failedPlanNo": 1},
}


def test_answers_stand_in_their_places(replies: dict[str, Any]) -> None:
    """Every value of an answer is in the field that clients read."""
    for method, fields in EXPECTED.items():
        for name, expected in fields.items():
            found = getattr(replies[method], name)
            found = list(found) if isinstance(expected, list) else found
            assert found == expected, f"{method}.{name}"


def test_nested_answers_stand_in_their_places(replies: dict[str, Any]) -> None:
    """So do the values of inner messages and maps."""
    assert replies["Connect"].server_info.build_tags == "v2.6.0"
    assert replies["GetComponentStates"].state.state_code == 1
    (stat,) = replies["GetCollectionStatistics"].stats
    assert (stat.key, stat.value) == ("row_count", "5")
    (index,) = replies["DescribeIndex"].index_descriptions
    assert (index.index_name, index.indexID, index.state) == ("vector", 7, 3)
    assert (index.params[0].key, index.params[0].value) == ("index_type", "HNSW")
    flush = replies["Flush"]
    assert list(flush.coll_segIDs) == ["b"]
    assert list(flush.flush_coll_segIDs["b"].data) == [11]
    assert (flush.coll_seal_times["b"], flush.coll_flush_ts["b"]) == (17, TS)
    (segment,) = replies["GetQuerySegmentInfo"].infos
    assert (segment.segmentID, segment.num_rows, segment.state) == (11, 100, 4)
    assert list(replies["Insert"].IDs.int_id.data) == KEYS.to_pylist()


def test_described_schemas_hide_the_dynamic_field(replies: dict[str, Any]) -> None:
    """It shows as a flag; fields have the ids and parameters clients look for."""
    schema = replies["DescribeCollection"].schema
    assert [f.name for f in schema.fields] == ["id", "title", "vector"]
    assert [f.fieldID for f in schema.fields] == [100, 101, 102]
    assert schema.enable_dynamic_field
    assert schema.name == "books"
    assert not schema.fields[0].HasField("default_value")
    (param,) = schema.fields[2].type_params
    assert (param.key, param.value) == ("dim", "4")


def test_a_schema_survives_both_ways() -> None:
    """What was declared is what is described, defaults of every type included."""
    defaults = {
        DataType.BOOL: False,
        DataType.INT8: -5,
        DataType.INT64: 2**60,
        DataType.FLOAT: 0.5,
        DataType.DOUBLE: 0.25,
        DataType.VARCHAR: "",
    }
    fields = [
        FieldSchema("id", DataType.INT64, id=100, is_primary=True, auto_id=True),
        FieldSchema("v", DataType.FLOAT_VECTOR, id=101, dim=8, description="d"),
        FieldSchema(
            "a",
            DataType.ARRAY,
            id=102,
            element_type=DataType.VARCHAR,
            max_capacity=4,
            max_length=9,
            nullable=True,
        ),
        FieldSchema("j", DataType.JSON, id=103, properties={"mmap.enabled": "true"}),
    ]
    for number, (dtype, default) in enumerate(defaults.items()):
        fields.append(
            FieldSchema(f"d{number}", dtype, id=104 + number, default=default)
        )
    schema = CollectionSchema(tuple(fields), description="all")
    declared = schema_from_message(message_from_schema(schema, "c"))
    assert declared.name == "c"
    assert declared.schema.with_ids() == schema
    assert not declared.is_dynamic


# --- search and query -----------------------------------------------------------------


def found(**values: Any) -> Any:
    """The message of a search's answer."""
    reply = a.SearchReply(
        **{
            "collection": "c",
            "primary_name": "id",
            "counts": np.array([2, 0, 1]),
            "keys": pa.array(["x", "y", "z"], pa.large_string()),
            "scores": np.array([3, 2, 1], np.float32),
            "columns": (),
            "output_fields": ("a", "b"),
            "session_ts": TS,
            **values,
        }
    )
    return message_class("milvus.SearchResults").FromString(encode.search(reply))


def test_hits_are_counted_by_query() -> None:
    """Clients walk ``topks``: one count per query, empty ones included."""
    results = found().results
    assert (results.num_queries, results.top_k) == (3, 2)
    assert list(results.topks) == [2, 0, 1]
    assert list(results.ids.str_id.data) == ["x", "y", "z"]
    assert list(results.scores) == [3, 2, 1]
    assert list(results.output_fields) == ["a", "b"]
    assert results.primary_field_name == "id"


def test_integer_keys_may_be_of_either_kind() -> None:
    """An Arrow array and a NumPy array of keys read the same."""
    keys = np.array([2**62, -1, 0])
    for given in (keys, pa.array(keys)):
        results = found(keys=given).results
        assert list(results.ids.int_id.data) == keys.tolist()


def test_groups_are_told_beside_the_hits() -> None:
    """One column has a field of its own, several another."""
    columns = tuple(
        a.OutputColumn(name, DataType.INT64, pa.array([1, None, 2])) for name in "ab"
    )
    assert not found().results.HasField("group_by_field_value")
    one = found(group_columns=columns[:1]).results.group_by_field_value
    assert (one.field_name, list(one.valid_data)) == ("a", [True, False, True])
    assert list(one.scalars.long_data.data)[::2] == [1, 2]
    several = found(group_columns=columns).results
    assert not several.HasField("group_by_field_value")
    assert [c.field_name for c in several.group_by_field_values] == ["a", "b"]


def test_no_hits_leave_the_keys_unset() -> None:
    """Without a hit there is a count of zero for every query and no key."""
    results = found(
        counts=np.array([0, 0]),
        keys=pa.nulls(0, pa.int64()),
        scores=np.empty(0, np.float32),
    ).results
    assert list(results.topks) == [0, 0]
    assert results.top_k == 0
    assert results.ids.WhichOneof("id_field") is None


def test_an_iterator_is_told_its_place() -> None:
    """Token and bound are there on a walk, and only then, even when zero."""
    assert not found().results.HasField("search_iterator_v2_results")
    place = found(
        iterator_token="t", iterator_bound=0.0
    ).results.search_iterator_v2_results
    assert (place.token, place.last_bound) == ("t", 0.0)
    place = found(iterator_token="t", iterator_bound=-2.5).results
    assert place.search_iterator_v2_results.last_bound == -2.5


def test_costs_are_told_beside_success() -> None:
    """They are in the status, whose codes stay zero."""
    status = found(costs={"report_value": "7", "x": ""}).status
    assert dict(status.extra_info) == {"report_value": "7", "x": ""}
    assert status.code == 0


def test_columns_come_in_their_order() -> None:
    """Of searches and of queries."""
    results = found(columns=(COLUMN, COLUMN)).results
    assert [c.field_name for c in results.fields_data] == ["id", "id"]
    reply = REPLIES[next(k for k in REPLIES if k.__name__ == "Query")]
    assert isinstance(reply, a.QueryReply)
    query = message_class("milvus.QueryResults").FromString(encode.query(reply))
    assert list(query.fields_data[0].scalars.long_data.data) == [3, 1]
    assert query.fields_data[0].field_id == 100
