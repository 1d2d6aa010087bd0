"""pymilvus' own clients on a folder: elanus.MilvusClient and elanus.install()."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import elanus
from elanus.embedded.lite import server_manager_instance
from elanus.errors import FormatError, InvalidParameter, LockedError

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import (
    AnnSearchRequest,
    Collection,
    DataType,
    FieldOp,
    Function,
    FunctionType,
    MilvusClient,
    MilvusException,
    RRFRanker,
    WeightedRanker,
    connections,
)

ROWS = [{"id": i, "vector": [1.0, i, 0.0, 0.0], "topic": i % 3} for i in range(30)]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Names ending in ``.db`` are Elanus' for pymilvus; undone after."""
    for name in ("milvus_lite", "milvus_lite.server_manager"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.delitem(sys.modules, name)
    elanus.install()
    yield
    server_manager_instance.release_all()
    for name in ("milvus_lite", "milvus_lite.server_manager"):
        del sys.modules[name]


def fill(client: MilvusClient) -> None:
    """A collection with :data:`ROWS`."""
    client.create_collection("docs", dimension=4, metric_type="L2")
    client.insert("docs", ROWS)


def nearest(client: MilvusClient) -> list[int]:
    """What the tests search for: the ids nearest to row 7 among those of topic 1."""
    found = client.search("docs", [ROWS[7]["vector"]], filter="topic == 1", limit=3)
    return [hit["id"] for hit in found[0]]


def test_the_everyday_calls(tmp_path: Path) -> None:
    """Rows inserted through pymilvus are found by it, and by elanus.open later."""
    client = elanus.MilvusClient(uri=tmp_path / "app.db")
    assert isinstance(client, MilvusClient)
    fill(client)
    assert nearest(client) in ([7, 4, 10], [7, 10, 4])
    client.upsert("docs", [{"id": 7, "vector": [9.0, 9, 9, 9], "topic": 2}])
    client.delete("docs", filter="id == 4")
    assert nearest(client)[0] == 10
    assert client.get("docs", [7], output_fields=["topic"])[0]["topic"] == 2
    client.close()
    with elanus.open(tmp_path / "app.db") as db:
        assert db["docs"].count() == 29


def test_clients_of_one_folder_share_it(tmp_path: Path) -> None:
    """A folder stays open until its last client closes."""
    first = elanus.MilvusClient(tmp_path / "app.db")
    second = elanus.MilvusClient(tmp_path / "." / "app.db")
    fill(first)
    first.close()
    first.close()
    assert nearest(second)[0] == 7
    with pytest.raises(LockedError):
        elanus.open(tmp_path / "app.db")
    second.close()
    elanus.open(tmp_path / "app.db").close()


def test_a_forgotten_client_does_not_keep_its_folder(tmp_path: Path) -> None:
    """A client that nobody holds is closed when another one comes or goes."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    fill(client)
    del client
    gc.collect()
    elanus.MilvusClient(tmp_path / "other.db").close()
    elanus.open(tmp_path / "app.db").close()


def test_a_new_channel_keeps_the_folder_open(tmp_path: Path) -> None:
    """A client that makes its channel anew goes on, and gives the folder back once."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    fill(client)
    client._handler.reconnect()
    gc.collect()
    elanus.MilvusClient(tmp_path / "other.db").close()
    assert nearest(client)[0] == 7
    client.close()
    elanus.open(tmp_path / "app.db").close()


def test_the_async_client(tmp_path: Path) -> None:
    """AsyncMilvusClient sees what MilvusClient wrote, many calls at a time."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    fill(client)

    async def ask() -> list[int]:
        async with elanus.AsyncMilvusClient(tmp_path / "app.db") as asking:
            queries = [asking.query("docs", filter=f"id < {n}") for n in range(1, 21)]
            return [len(rows) for rows in await asyncio.gather(*queries)]

    assert asyncio.run(ask()) == list(range(1, 21))
    client.close()
    elanus.open(tmp_path / "app.db").close()


def test_errors_are_those_of_a_server(tmp_path: Path) -> None:
    """A failed call raises pymilvus' error with Milvus' code."""
    from pymilvus.exceptions import MilvusException

    client = elanus.MilvusClient(tmp_path / "app.db")
    with pytest.raises(MilvusException) as caught:
        client.query("nothing", filter="id > 0")
    assert caught.value.code == 100
    client.close()


def test_files_of_others_are_left_alone(tmp_path: Path, installed: None) -> None:
    """A Milvus Lite file or a folder with something else is refused and unchanged."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.execute("create table t (x)")
    old.close()
    before = path.read_bytes()
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "folder.db" / "letter.txt").write_text("dear")
    for name in ("old.db", "folder.db"):
        for opening in (elanus.MilvusClient, MilvusClient):
            with pytest.raises(FormatError, match="left"):
                opening(str(tmp_path / name))
    assert path.read_bytes() == before
    assert [p.name for p in (tmp_path / "folder.db").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("uri", ["http://localhost:19530", "unix:/run/x.sock"])
def test_an_address_is_no_folder(uri: str) -> None:
    """The address of a server is refused, with what to use."""
    with pytest.raises(InvalidParameter, match=r"pymilvus\.MilvusClient"):
        elanus.MilvusClient(uri)


def test_without_pymilvus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what to install, and nothing is created."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(ImportError, match=r"elanus\[milvus\]"):
        elanus.MilvusClient(tmp_path / "app.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*ORM-style")
def test_pymilvus_opens_elanus_once_installed(tmp_path: Path, installed: None) -> None:
    """Its own client and the ORM open a folder, and share it with ours."""
    path = str(tmp_path / "app.db")
    elanus.install()
    client = MilvusClient(path)
    fill(client)
    ours = elanus.MilvusClient(path)
    assert nearest(client) == nearest(ours)
    connections.connect("orm", uri=path)
    docs = Collection("docs", using="orm")
    assert [row["id"] for row in docs.query("id in [3, 5]")] == [3, 5]
    connections.disconnect("orm")
    ours.close()
    client.close()
    server_manager_instance.release_server(path)
    elanus.open(path).close()


def test_install_refuses_beside_milvus_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the real one is imported it is too late, and it is left in place."""
    real = ModuleType("milvus_lite")
    monkeypatch.setitem(sys.modules, "milvus_lite", real)
    with pytest.raises(ImportError, match="imported already"):
        elanus.install()
    assert sys.modules["milvus_lite"] is real


def test_partial_updates_through_the_client(tmp_path: Path) -> None:
    """``partial_update`` keeps what is not given; ``field_ops`` change arrays."""
    client = elanus.MilvusClient(uri=tmp_path / "app.db")
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field(
        "tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4
    )
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    client.create_collection("docs", schema=schema, index_params=index)
    client.insert("docs", [{"id": 1, "vector": [1.0] * 4, "tags": [1], "color": "red"}])
    reply = client.upsert("docs", [{"id": 1, "size": 3}], partial_update=True)
    assert reply["upsert_count"] == 1
    client.upsert(
        "docs", [{"id": 1, "tags": [2]}], field_ops={"tags": FieldOp.array_append()}
    )
    (found,) = client.get("docs", [1], output_fields=["tags", "color", "size"])
    assert (list(found["tags"]), found["color"], found["size"]) == ([1, 2], "red", 3)
    client.close()


def test_order_and_aggregates_through_the_client(tmp_path: Path) -> None:
    """``order_by_fields`` of searches and queries, ``group_by_fields`` of queries."""
    client = elanus.MilvusClient(uri=tmp_path / "app.db")
    fill(client)  # topic is a key of the dynamic field
    (hits,) = client.search(
        "docs",
        [ROWS[7]["vector"]],
        limit=6,
        order_by_fields=[{"field": "topic", "order": "desc"}],
        output_fields=["topic"],
    )
    topics = [hit["entity"]["topic"] for hit in hits]
    assert topics == sorted(topics, reverse=True)
    rows = client.query(
        "docs",
        filter="id < 9",
        limit=3,
        order_by_fields=[{"field": "id", "order": "desc"}],
    )
    assert [row["id"] for row in rows] == [8, 7, 6]
    (found,) = client.query(
        "docs", filter="id < 9", output_fields=["count(*)", "sum(id)", "avg(id)"]
    )
    assert (found["count(*)"], found["sum(id)"], found["avg(id)"]) == (9, 36, 4.0)
    client.close()


def test_groups_and_hybrid_searches(tmp_path: Path) -> None:
    """Through ``MilvusClient``: groups of a search, two rankers, an ORM collection."""
    client = elanus.MilvusClient(uri=tmp_path / "app.db")
    fill(client)
    query = [ROWS[7]["vector"]]
    found = client.search("docs", query, limit=2, group_by_field="topic", group_size=2)
    topics = [hit["id"] % 3 for hit in found[0]]
    assert len(set(topics)) == 2 and topics == sorted(topics, key=topics.index)
    parts = [
        AnnSearchRequest(query, "vector", {}, limit, expr=text)
        for limit, text in ((6, "topic == 1"), (4, "id < 8"))
    ]
    for ranker in (RRFRanker(), WeightedRanker(0.4, 0.6)):
        found = client.hybrid_search(
            "docs", parts, ranker, limit=3, output_fields=["topic"]
        )
        assert found[0][0]["id"] == 7
        assert found[0][0]["entity"] == {"topic": 1}
    function = Function(
        name="rank",
        input_field_names=[],
        function_type=FunctionType.RERANK,
        params={"reranker": "weighted", "weights": [0.4, 0.6], "norm_score": True},
    )
    same = client.hybrid_search("docs", parts, function, limit=3)
    assert [hit["id"] for hit in same[0]] == [hit["id"] for hit in found[0]]
    grouped = client.hybrid_search(
        "docs", parts, RRFRanker(), limit=3, group_by_field="topic"
    )
    assert sorted(hit["id"] % 3 for hit in grouped[0]) == [0, 1, 2]
    with pytest.raises(MilvusException, match="order_by is not supported for hybrid"):
        client.hybrid_search(
            "docs", parts, RRFRanker(), limit=3, order_by_fields="topic"
        )
    client.close()
