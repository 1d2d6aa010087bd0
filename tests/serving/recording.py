"""Valid calls of the real client, as bytes: what a fuzzer changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from pymilvus import DataType, MilvusClient

NAME = "docs"
DIM = 4


class _Recorder(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Keeps every request that passes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        """Keep the request and pass it on."""
        method = client_call_details.method.rpartition("/")[2]
        self.calls.append((method, request.SerializeToString()))
        return continuation(client_call_details, request)


def recorded(address: str) -> list[tuple[str, bytes]]:
    """What the client sends in a session that uses most of it: method and message."""
    recorder = _Recorder()
    channel = grpc.intercept_channel(grpc.insecure_channel(address), recorder)
    client = MilvusClient(f"http://{address}", dedicated=True, channel=channel)
    try:
        _session(client)
    finally:
        client.close()
        channel.close()
    return recorder.calls


def _session(client: MilvusClient) -> None:
    _define(client)
    _write(client)
    _read(client)
    client.flush(NAME)
    client.compact(NAME)
    client.flush_all()
    client.list_persistent_segments(NAME)
    client.list_loaded_segments(NAME)
    client.refresh_load(NAME)
    client.truncate_collection(NAME)
    client.release_collection(NAME)
    client.drop_index(NAME, "vector")
    client.drop_alias("alias")
    client.drop_partition(NAME, "part")
    client.rename_collection(NAME, "other")
    client.drop_collection("other")
    client.drop_database("shop")


def make_collection(client: MilvusClient) -> None:
    """A loaded collection with fields of many kinds."""
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("title", DataType.VARCHAR, max_length=64, nullable=True)
    schema.add_field("level", DataType.INT8, nullable=True)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("info", DataType.JSON)
    schema.add_field(
        "tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8
    )
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="HNSW", metric_type="L2", M=8)
    client.create_collection(NAME, schema=schema)
    client.create_index(NAME, indexes, sync=False)
    client.load_collection(NAME)


def _define(client: MilvusClient) -> None:
    client.create_database("shop")
    client.list_databases()
    client.describe_database("shop")
    make_collection(client)
    client.create_partition(NAME, "part")
    client.list_partitions(NAME)
    client.has_partition(NAME, "part")
    client.create_alias(NAME, "alias")
    client.alter_alias(NAME, "alias")
    client.describe_alias("alias")
    client.list_aliases(NAME)
    client.list_collections()
    client.has_collection(NAME)
    client.describe_collection(NAME)
    client.list_indexes(NAME)
    client.describe_index(NAME, "vector")
    client.get_load_state(NAME)
    client.get_partition_stats(NAME, "part")
    client.release_partitions(NAME, ["part"])
    client.load_partitions(NAME, ["part"])
    client.get_server_version(detail=True)


def row(key: int) -> dict[str, Any]:
    """One row."""
    return {
        "id": key,
        "vector": [float(key), 1.0, 0.0, 0.0],
        "title": None if key % 2 else f"title {key}",
        "price": key / 3,
        "flag": bool(key % 2),
        "info": {"n": key, "deep": {"s": "x"}},
        "tags": [key, key + 1],
        "color": "red",
    }


def _write(client: MilvusClient) -> None:
    client.insert(NAME, [row(key) for key in range(20)])
    client.insert(NAME, [row(20)], partition_name="part")
    client.upsert(NAME, [row(3)])
    client.upsert(NAME, [{"id": 4, "tags": [9]}], partial_update=True)
    client.delete(NAME, ids=[1, 2])
    client.delete(NAME, filter="level > 100")
    client.get_collection_stats(NAME)


def _read(client: MilvusClient) -> None:
    wanted: dict[str, Any] = {"output_fields": ["*"], "limit": 5}
    client.search(NAME, [[1.0, 0, 0, 0]] * 2, filter='info["n"] > 3', **wanted)
    client.search(
        NAME,
        [[1.0, 0, 0, 0]],
        search_params={"params": {"ef": 64, "radius": 100.0, "range_filter": 0.0}},
        **wanted,
    )
    client.query(NAME, filter="array_contains(tags, {t})", filter_params={"t": 3})
    client.query(NAME, filter="", output_fields=["count(*)"])
    client.get(NAME, [3, 4])
    for pages in (
        client.query_iterator(NAME, batch_size=5, filter="flag == true"),
        client.search_iterator(NAME, data=[[1.0, 0, 0, 0]], batch_size=5),
    ):
        while pages.next():
            continue
        pages.close()
