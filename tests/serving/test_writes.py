"""What writes answer through the real client, and who sees them when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import Collection, DataType, MilvusClient, connections
from pymilvus.grpc_gen import milvus_pb2

from model.worlds import quick_folder
from serving.errors.raw import scalars, vectors
from serving.process import serve

DIM = 2
D = DataType


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """A server."""
    with ExitStack() as stack:
        folder = stack.enter_context(quick_folder())
        yield f"http://{stack.enter_context(serve(folder / 'db')).address}"


@pytest.fixture
def client(uri: str) -> Iterator[MilvusClient]:
    """A client of a server without collections."""
    client = MilvusClient(uri, dedicated=True)
    yield client
    for name in client.list_collections():
        client.drop_collection(name)
    client.close()


def create(client: MilvusClient, name: str = "books", **options: Any) -> None:
    """A loaded collection of keys, vectors and what can be left out."""
    schema = client.create_schema(auto_id=options.pop("auto_id", False), **options)
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("vector", D.FLOAT_VECTOR, dim=DIM)
    schema.add_field("topic", D.INT64, default_value=7)
    schema.add_field("note", D.VARCHAR, max_length=20, nullable=True)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(
        name, schema=schema, index_params=index, consistency_level="Strong"
    )


def row(key: int, **values: Any) -> dict[str, Any]:
    """A row of it."""
    return {"id": key, "vector": [float(key), 1.0], **values}


def columns(*keys: int) -> list[Any]:
    """The same rows as columns."""
    flat = [value for key in keys for value in (float(key), 1.0)]
    return [
        vectors("vector", D.FLOAT_VECTOR, "float_vector", flat, DIM),
        scalars("id", D.INT64, "long_data", list(keys)),
    ]


def ask(client: MilvusClient, method: str, **fields: Any) -> Any:
    """The whole reply to a write."""
    kind = getattr(milvus_pb2, f"{method}Request")
    request = kind(collection_name="books", **fields)
    return getattr(client._get_connection()._stub, method)(request)


def count(client: MilvusClient, filter: str = "", **more: Any) -> int:
    """How many rows match."""
    found = client.query("books", filter=filter, output_fields=["count(*)"], **more)
    counted: int = found[0]["count(*)"]
    return counted


def test_replies_tell_keys_places_counts_and_a_time(client: MilvusClient) -> None:
    """Of every row in their order; each write has a later time than the one before."""
    create(client)
    inserted = ask(client, "Insert", fields_data=columns(3, 1, 2), num_rows=3)
    upserted = ask(client, "Upsert", fields_data=columns(2, 9), num_rows=2)
    partial = ask(
        client, "Upsert", fields_data=columns(9, 8), num_rows=2, partial_update=True
    )
    named = ask(client, "Delete", expr="id in [1, 1, 77]")
    matched = ask(client, "Delete", expr="id > 8")
    nothing = ask(client, "Delete", expr="topic == 100")
    replies = [inserted, upserted, partial, named, matched, nothing]
    assert [reply.status.code for reply in replies] == [0] * 6
    keys = [list(reply.IDs.int_id.data) for reply in replies]
    assert keys == [[3, 1, 2], [2, 9], [9, 8], [], [], []]
    places = [list(reply.succ_index) for reply in replies]
    assert places == [[0, 1, 2], [0, 1], [0, 1], [], [], []]
    counts = [(r.insert_cnt, r.delete_cnt, r.upsert_cnt) for r in replies]
    assert counts == [(3, 0, 0), (2, 2, 2), (2, 1, 2), (0, 2, 0), (0, 1, 0), (0, 0, 0)]
    times = [reply.timestamp for reply in replies]
    assert times[:5] == sorted(set(times[:5]))
    assert times[5] >= times[4]
    assert sorted(row["id"] for row in client.query("books", filter="id >= 0")) == [
        2,
        3,
        8,
    ]


def test_a_refused_write_names_every_row(client: MilvusClient) -> None:
    """None was written."""
    create(client)
    for method in ("Insert", "Upsert"):
        reply = ask(
            client, method, fields_data=columns(1, 2), num_rows=2, partition_name="none"
        )
        assert reply.status.code == 200
        assert list(reply.err_index) == [0, 1]
        assert list(reply.succ_index) == []
    assert count(client) == 0


def test_what_is_not_given_is_completed(client: MilvusClient) -> None:
    """By defaults and nulls, on insert and on an upsert that replaces; columns may come
    in any order.
    """
    create(client)
    client.insert("books", [row(1), row(2, topic=None, note="a"), row(3, topic=0)])
    ask(client, "Insert", fields_data=columns(4), num_rows=1)
    client.upsert("books", [row(2)])
    found = client.query("books", filter="id > 0", output_fields=["topic", "note"])
    told = [(row["id"], row["topic"], row["note"]) for row in found]
    assert told == [(1, 7, None), (2, 7, None), (3, 0, None), (4, 7, None)]
    assert client.get("books", [4, 99, 1], output_fields=["topic"]) == [
        {"id": 1, "topic": 7},
        {"id": 4, "topic": 7},
    ]


@pytest.mark.filterwarnings("ignore:.*ORM-style PyMilvus API")
def test_columns_of_the_older_interface(client: MilvusClient, uri: str) -> None:
    """Lists in the order of the schema."""
    create(client)
    connections.connect("older", uri=uri)
    try:
        books = Collection("books", using="older")
        result = books.insert([[5, 6], [[5.0, 1.0], [6.0, 1.0]], [1, 2], ["a", None]])
        assert (list(result.primary_keys), result.insert_count) == ([5, 6], 2)
        assert list(result.succ_index) == [0, 1]
        assert result.timestamp > 0
        assert books.delete("id in [5]").delete_count == 1
    finally:
        connections.disconnect("older")
    assert [row["note"] for row in client.query("books", filter="id > 0")] == [None]


def test_made_ids(client: MilvusClient) -> None:
    """Given ones are refused unless a property allows them; an upsert makes new ones,
    in a partial update, too.
    """
    create(client, auto_id=True)
    plain = {"vector": [1.0, 1.0]}
    first = list(client.insert("books", [plain, plain])["ids"])
    assert first == [first[0], first[0] + 1]
    client.alter_collection_properties("books", {"allow_insert_auto_id": "true"})
    assert client.insert("books", [row(5), row(6)])["ids"] == [5, 6]
    second = list(client.upsert("books", [row(5), row(99)])["ids"])
    third = list(
        client.upsert("books", [{"id": 6, "topic": 1}], partial_update=True)["ids"]
    )
    assert first < second < third
    found = client.query("books", filter="id > 0", output_fields=["topic", "vector"])
    assert [row["id"] for row in found] == [*first, *second, *third]
    (changed,) = [row for row in found if row["id"] in third]
    assert (changed["topic"], list(changed["vector"])) == (1, [6.0, 1.0])


def test_keys_that_come_twice(client: MilvusClient) -> None:
    """Within a batch and across batches: reads show the newest, one delete ends all."""
    create(client)
    client.insert("books", [row(1, note="a"), row(1, note="b")])
    client.insert("books", [row(1, note="c")])
    assert [row["note"] for row in client.query("books", filter="id == 1")] == ["c"]
    assert len(client.search("books", [[1.0, 1.0]], limit=3)[0]) == 1
    assert client.delete("books", ids=[1])["delete_count"] == 1
    assert count(client) == 0
    client.insert("books", [row(1, note="d")])
    assert [row["note"] for row in client.query("books", filter="id == 1")] == ["d"]


def test_deletes_keep_to_their_partition(client: MilvusClient) -> None:
    """By key and by filter; without one they reach all."""
    create(client)
    client.create_partition("books", "old")
    client.load_collection("books")
    client.insert("books", [row(key) for key in range(4)])
    client.insert("books", [row(key) for key in range(4, 8)], partition_name="old")
    client.delete("books", ids=[1, 5], partition_name="old")
    assert client.delete("books", filter="topic == 7 and id < 7", partition_name="old")
    assert [row["id"] for row in client.query("books", filter="id >= 0")] == [
        *range(4),
        7,
    ]
    assert client.delete("books", filter="topic == 7")["delete_count"] == 5
    assert count(client) == 0


def test_an_upsert_moves_a_row_to_its_partition(client: MilvusClient) -> None:
    """There is one row of a key afterwards, wherever it was."""
    create(client)
    client.create_partition("books", "old")
    client.insert("books", [row(1, note="a")])
    client.upsert("books", [row(1, note="b")], partition_name="old")
    assert count(client) == 1
    assert count(client, partition_names=["_default"]) == 0
    assert count(client, "note == 'b'", partition_names=["old"]) == 1


@pytest.mark.parametrize("level", ["Strong", "Session", "Bounded", "Eventually"])
def test_another_client_sees_an_acknowledged_write(
    client: MilvusClient, uri: str, level: str
) -> None:
    """At every level, and none waits, not even for a time to come."""
    create(client)
    other = MilvusClient(uri, dedicated=True)
    try:
        for key in range(3):
            client.insert("books", [row(key)])
            assert count(other, consistency_level=level) == key + 1
            client.upsert("books", [row(key, note=level)])
            wanted = f"note == '{level}'"
            assert count(other, wanted, consistency_level=level) == key + 1
        found = other.search("books", [[0.0, 1.0]], limit=9, consistency_level=level)
        assert len(found[0]) == 3
        ahead = {"consistency_level": "Customized", "guarantee_timestamp": 1 << 62}
        assert count(other, **ahead) == 3
    finally:
        other.close()


def test_a_client_with_an_old_schema_learns_the_new_one(
    client: MilvusClient, uri: str
) -> None:
    """Its write is refused once (109); it asks again and repeats it."""
    create(client)
    other = MilvusClient(uri, dedicated=True)
    try:
        other.insert("books", [row(1)])
        client.add_collection_field("books", "extra", D.INT64, nullable=True)
        other.insert("books", [row(2)])
        stale = ask(
            client, "Insert", fields_data=columns(3), num_rows=1, schema_timestamp=1
        )
    finally:
        other.close()
    assert (stale.status.code, stale.status.error_code) == (109, 62)
    assert count(client) == 2
