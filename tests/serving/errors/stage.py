"""What the error cases are provoked on: collections in every state, never changed."""

from __future__ import annotations

from typing import Any

from pymilvus import CollectionSchema, DataType, MilvusClient

DIM = 4
VECTOR = [1.0, 0.0, 0.0, 0.0]
BOOKS = "books"
LOOSE = "loose"
WIDE = "wide"
KEYED = "keyed"
MADE = "made"


def row(key: int, **changed: Any) -> dict[str, Any]:
    """A row of the collections here, with some of its values changed."""
    values: dict[str, Any] = {
        "id": key,
        "vector": [float(key), 1.0, 0.0, 0.0],
        "title": f"title {key}",
        "level": key,
        "price": key / 2,
        "flag": True,
        "info": {"n": key},
        "tags": [key],
        **changed,
    }
    return {name: value for name, value in values.items() if value is not ABSENT}


ABSENT = object()


def schema(client: MilvusClient, **options: Any) -> CollectionSchema:
    """One field of many kinds."""
    made = client.create_schema(**options)
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    made.add_field("title", DataType.VARCHAR, max_length=20)
    made.add_field("level", DataType.INT8)
    made.add_field("price", DataType.DOUBLE)
    made.add_field("flag", DataType.BOOL)
    made.add_field("info", DataType.JSON)
    made.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4)
    return made


def wide(client: MilvusClient) -> CollectionSchema:
    """Fields of the other kinds, none of which has to be given."""
    made = client.create_schema()
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    for name, kind, options in (
        ("bits", DataType.BINARY_VECTOR, {"dim": 16}),
        ("half", DataType.FLOAT16_VECTOR, {"dim": DIM}),
        ("brain", DataType.BFLOAT16_VECTOR, {"dim": DIM}),
        ("bytes", DataType.INT8_VECTOR, {"dim": DIM}),
        ("sparse", DataType.SPARSE_FLOAT_VECTOR, {}),
        ("note", DataType.INT64, {}),
        ("ratio", DataType.FLOAT, {}),
        ("when", DataType.TIMESTAMPTZ, {}),
        ("shape", DataType.GEOMETRY, {}),
        ("varchar", DataType.VARCHAR, {"max_length": 5}),
        ("small_limit", DataType.VARCHAR, {"max_length": 5}),
        ("geo", DataType.GEOMETRY, {}),
        ("text", DataType.TEXT, {}),
        ("shorts", DataType.ARRAY, {"element_type": DataType.INT16}),
        ("words", DataType.ARRAY, {"element_type": DataType.VARCHAR, "max_length": 5}),
    ):
        if kind is DataType.ARRAY:
            options = {**options, "max_capacity": 3}
        made.add_field(name, kind, nullable=True, **options)
    return made


def keyed(client: MilvusClient) -> CollectionSchema:
    """A key chooses the partition, another the order."""
    made = client.create_schema()
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    made.add_field("topic", DataType.INT64, is_partition_key=True)
    made.add_field("shelf", DataType.INT64, nullable=True, is_clustering_key=True)
    made.add_field("varchar", DataType.VARCHAR, max_length=9, nullable=True)
    made.add_field("json_field", DataType.JSON, nullable=True)
    made.add_field("geo", DataType.GEOMETRY, nullable=True)
    made.add_field("text", DataType.TEXT, nullable=True)
    kind = {"element_type": DataType.INT64, "max_capacity": 4}
    made.add_field("array_field", DataType.ARRAY, nullable=True, **kind)
    return made


def index(client: MilvusClient, field: str = "vector", **given: Any) -> Any:
    """Parameters for one index; HNSW with L2 unless told otherwise."""
    made = client.prepare_index_params()
    made.add_index(field, **{"index_type": "HNSW", "metric_type": "L2", **given})
    return made


def prepare(client: MilvusClient, other: MilvusClient) -> None:
    """Make everything; ``other`` is a client of the database shop."""
    client.create_collection(BOOKS, schema=schema(client))
    client.create_index(BOOKS, index(client), sync=False)
    client.load_collection(BOOKS)
    client.create_partition(BOOKS, "p")
    client.create_alias(BOOKS, "b")
    client.insert(BOOKS, [row(key) for key in range(10)])
    client.create_collection("bare", schema=schema(client))
    client.insert("bare", [row(1)])
    half = schema(client)
    half.add_field("second", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection("half", schema=half)
    client.create_index("half", index(client), sync=False)
    client.create_collection(LOOSE, schema=schema(client, enable_dynamic_field=True))
    client.create_index(LOOSE, index(client, metric_type="IP"), sync=False)
    client.load_collection(LOOSE)
    client.create_partition(LOOSE, "out")
    client.release_partitions(LOOSE, ["out"])
    client.create_collection(WIDE, schema=wide(client))
    client.create_collection(KEYED, schema=keyed(client), num_partitions=2)
    made = client.create_schema(auto_id=True)
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection(MADE, schema=made)
    for name in (WIDE, KEYED, MADE):
        client.create_index(name, index(client), sync=False)
    client.load_collection(KEYED)
    other.create_collection("wares", schema=schema(other))


def sketch(client: MilvusClient) -> list[Any]:
    """What of :func:`state` can be seen at once: names, and how many rows."""
    return [
        sorted(client.list_databases()),
        sorted(client.list_collections()),
        client.list_partitions(BOOKS),
        client.query(BOOKS, output_fields=["count(*)"])[0],
    ]


def state(client: MilvusClient, other: MilvusClient) -> list[Any]:
    """Everything that refused calls must leave as it is."""
    names = sorted(client.list_collections())
    found: list[Any] = [
        sorted(client.list_databases()),
        names,
        other.list_collections(),
    ]
    for name in names:
        found += [
            client.describe_collection(name),
            client.list_partitions(name),
            client.get_collection_stats(name),
            client.get_load_state(name),
            client.list_aliases(name),
            [client.describe_index(name, i) for i in client.list_indexes(name)],
        ]
    rows = client.query(BOOKS, filter="id >= 0", output_fields=["*"])
    return [*found, [dict(row) for row in rows]]
