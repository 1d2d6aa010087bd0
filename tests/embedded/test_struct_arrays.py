"""Struct arrays through a Milvus client: what goes in comes out, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusException, RRFRanker
from pymilvus.client.embedding_list import EmbeddingList

import elanus
from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema, StructSchema

DIM = 4
NAME = "films"
VECTOR_PARTS = {
    "e": DataType.FLOAT_VECTOR,
    "h": DataType.FLOAT16_VECTOR,
    "i": DataType.INT8_VECTOR,
    "b": DataType.BINARY_VECTOR,
}
SCALAR_PARTS = {"x": DataType.INT64, "t": DataType.VARCHAR, "f": DataType.FLOAT}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    """A client of a database of its own."""
    opened = elanus.MilvusClient(str(tmp_path / "app.db"))
    yield opened
    opened.close()


def struct_of(client: Any, parts: dict[str, DataType]) -> Any:
    """A struct of these parts."""
    struct = client.create_struct_field_schema()
    for name, dtype in parts.items():
        if dtype is DataType.VARCHAR:
            struct.add_field(name, dtype, max_length=32)
        elif dtype in VECTOR_PARTS.values():
            bits = dtype is DataType.BINARY_VECTOR
            struct.add_field(name, dtype, dim=8 * DIM if bits else DIM)
        else:
            struct.add_field(name, dtype)
    return struct


def create(client: Any, parts: dict[str, DataType], *, nullable: bool = False) -> None:
    """A collection of a key, a vector and a struct array ``s``."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field(
        "s",
        DataType.ARRAY,
        element_type=DataType.STRUCT,
        struct_schema=struct_of(client, parts),
        max_capacity=8,
        nullable=nullable,
    )
    client.create_collection(NAME, schema=schema)


def load(client: Any, metrics: dict[str, str]) -> None:
    """Index every vector field and load the collection."""
    indexes = client.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="L2")
    for part, metric in metrics.items():
        indexes.add_index(f"s[{part}]", index_type="HNSW", metric_type=metric)
    client.create_index(NAME, indexes)
    client.load_collection(NAME)


def element(rng: np.random.Generator) -> dict[str, Any]:
    """One struct with every part."""
    number = int(rng.integers(1000))
    return {
        "x": number,
        "t": f"text {number}",
        "f": float(np.float32(rng.random())),
        "e": rng.random(DIM, np.float32).tolist(),
        "h": rng.random(DIM).astype(np.float16),
        "i": rng.integers(-128, 128, DIM).astype(np.int8),
        "b": rng.bytes(DIM),
    }


def comparable(value: list[dict[str, Any]] | None) -> Any:
    """Structs as plain lists, however their vectors came."""
    if value is None:
        return None
    return [{name: _plain(part) for name, part in struct.items()} for struct in value]


def _plain(part: Any) -> Any:
    if isinstance(part, list) and len(part) == 1 and isinstance(part[0], bytes):
        return part[0]
    return [float(v) for v in part] if isinstance(part, list | np.ndarray) else part


def test_rows_come_back_as_they_were(client: Any, tmp_path: Path) -> None:
    """From memory, from files, merged, after a restart; nulls and empty lists too."""
    rng = np.random.default_rng(5)
    create(client, SCALAR_PARTS | VECTOR_PARTS, nullable=True)
    rows: dict[int, Any] = {
        key: {"id": key, "v": [0.0] * DIM, "s": [element(rng) for _ in range(key % 4)]}
        for key in range(20)
    }
    rows[3]["s"] = None
    del rows[6]["s"]
    client.insert(NAME, list(rows.values()))
    metrics = {"e": "MAX_SIM_L2", "h": "COSINE", "i": "MAX_SIM_IP", "b": "HAMMING"}
    load(client, metrics)

    def check(client: Any) -> None:
        found = client.query(NAME, filter="id >= 0", output_fields=["*"])
        assert [row["id"] for row in found] == sorted(rows)
        for row in found:
            assert comparable(row["s"]) == comparable(rows[row["id"]].get("s"))
        some = client.query(NAME, ids=[3, 7], output_fields=["s[x]", "s[e]"])
        assert some[0]["s"] is None
        assert some[1]["s"] == [
            {"x": struct["x"], "e": struct["e"]} for struct in rows[7]["s"]
        ]
        hits = client.search(NAME, [[0.0] * DIM], "", 20, ["s"], anns_field="v")
        for hit in hits[0]:
            assert comparable(hit["s"]) == comparable(rows[hit["id"]].get("s"))

    check(client)
    client.flush(NAME)
    check(client)
    rows[1] = {"id": 1, "v": [0.0] * DIM, "s": []}
    rows[30] = {"id": 30, "v": [0.0] * DIM, "s": [element(rng)]}
    client.upsert(NAME, [rows[1], rows[30]])
    client.delete(NAME, ids=[5])
    del rows[5]
    check(client)
    client.flush(NAME)
    client.compact(NAME)
    check(client)
    client.close()
    with closing(elanus.MilvusClient(str(tmp_path / "app.db"))) as again:
        again.load_collection(NAME)
        check(again)


def test_a_struct_added_later_is_null_in_older_rows(client: Any) -> None:
    """It is told, filled, and dropped as a whole."""
    create(client, {"x": DataType.INT64})
    client.insert(NAME, [{"id": 1, "v": [0.0] * DIM, "s": [{"x": 7}]}])
    added = struct_of(client, {"y": DataType.INT64, "w": DataType.FLOAT_VECTOR})
    client.add_collection_struct_field(NAME, "more", added, max_capacity=4)
    told = client.describe_collection(NAME)["fields"][-1]
    assert (told["name"], told["nullable"], told["field_id"]) == ("more", True, 104)
    assert [part["name"] for part in told["struct_fields"]] == ["y", "w"]
    new = {"y": 2, "w": [1.0, 2.0, 3.0, 4.0]}
    client.insert(NAME, [{"id": 2, "v": [0.0] * DIM, "s": [], "more": [new]}])
    indexes = client.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="L2")
    indexes.add_index("more[w]", index_type="HNSW", metric_type="MAX_SIM")
    client.create_index(NAME, indexes)
    client.load_collection(NAME)
    found = client.query(NAME, filter="id > 0", output_fields=["more"])
    assert [row["more"] for row in found] == [None, [new]]
    client.drop_collection_field(NAME, "more")
    names = [field["name"] for field in client.describe_collection(NAME)["fields"]]
    assert names == ["id", "v", "s"]
    assert "more[w]" not in client.list_indexes(NAME)
    with pytest.raises(MilvusException, match="cannot drop sub-field of struct"):
        client.drop_collection_field(NAME, "s[x]")


def test_parameters_of_structs_and_their_fields_change(client: Any) -> None:
    """Mapping, by either spelling; a loaded collection has to be released first."""
    create(client, {"x": DataType.INT64, "e": DataType.FLOAT_VECTOR})
    for name in ("s", "s[e]"):
        client.alter_collection_field(NAME, name, {"mmap_enabled": True})
    told = client.describe_collection(NAME)["fields"][-1]
    assert told["struct_fields"][1]["params"] == {"dim": DIM, "mmap_enabled": True}
    with pytest.raises(MilvusException, match="does not allow update in collection"):
        client.alter_collection_field(NAME, "s", {"dim": 8})
    load(client, {"e": "MAX_SIM"})
    with pytest.raises(MilvusException, match="if collection loaded"):
        client.alter_collection_field(NAME, "s", {"mmap.enabled": False})


def sims(query: np.ndarray, stored: np.ndarray, metric: str) -> float:
    """What a pair of lists scores."""
    if metric == "MAX_SIM_L2":
        pairs = ((query[:, None] - stored[None]) ** 2).sum(axis=2)
        return float(pairs.min(axis=1).sum())
    if metric != "MAX_SIM_IP":
        query = query / np.linalg.norm(query, axis=1, keepdims=True)
        stored = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    return float((query @ stored.T).max(axis=1).sum())


@pytest.mark.parametrize("metric", ["MAX_SIM", "MAX_SIM_IP", "MAX_SIM_L2"])
def test_lists_are_searched_with_lists(client: Any, metric: str) -> None:
    """The rows that score best by the metric's definition, on files and in memory."""
    rng = np.random.default_rng(7)
    create(client, {"e": DataType.FLOAT_VECTOR})
    stored = {key: rng.normal(size=(key % 5, DIM)) for key in range(60)}
    rows = [
        {"id": key, "v": [0.0] * DIM, "s": [{"e": vector.tolist()} for vector in some]}
        for key, some in stored.items()
    ]
    client.insert(NAME, rows[:30])
    client.flush(NAME)
    client.insert(NAME, rows[30:])
    load(client, {"e": metric})
    queries = [rng.normal(size=(n, DIM)).astype(np.float32) for n in (1, 3)]
    asked = [EmbeddingList(list(query)) for query in queries]
    found = client.search(NAME, asked, "id != 14", 8, anns_field="s[e]")
    for query, hits in zip(queries, found, strict=True):
        scores = {
            key: sims(query, some.astype(np.float32), metric)
            for key, some in stored.items()
            if len(some) and key != 14
        }
        best = sorted(scores, key=scores.__getitem__, reverse=metric != "MAX_SIM_L2")
        assert [hit["id"] for hit in hits] == best[:8]
        told = [hit["distance"] for hit in hits]
        assert told == pytest.approx([scores[key] for key in best[:8]], rel=1e-4)
    everything = client.search(NAME, asked[:1], "", 100, anns_field="s[e]")
    assert len(everything[0]) == sum(len(some) > 0 for some in stored.values())


def test_searches_that_lists_do_not_take(client: Any) -> None:
    """Neither bounds, groups nor steps, by themselves or in a hybrid search."""
    create(client, {"e": DataType.FLOAT_VECTOR})
    client.insert(NAME, [{"id": 1, "v": [0.0] * DIM, "s": [{"e": [1.0] * DIM}]}])
    with pytest.raises(MilvusException, match="DiskANN only supports TokenANN"):
        indexes = client.prepare_index_params()
        params = {"emb_list_strategy": "muvera"}
        indexes.add_index("s[e]", "DISKANN", metric_type="MAX_SIM", params=params)
        client.create_index(NAME, indexes)
    load(client, {"e": "MAX_SIM"})
    query = EmbeddingList([np.ones(DIM, np.float32)])
    bounds = {"metric_type": "MAX_SIM", "params": {"radius": 0.1}}
    alone = "is not supported for multi-search-multi on embedding list fields"
    with pytest.raises(MilvusException, match=f"range search {alone}"):
        client.search(NAME, [query], anns_field="s[e]", search_params=bounds)
    with pytest.raises(MilvusException, match=f"group by {alone}"):
        client.search(NAME, [query], anns_field="s[e]", group_by_field="id")
    with pytest.raises(MilvusException, match=f"search iterator {alone}"):
        vectors = [np.ones(DIM, np.float32)]  # the client makes no list of it
        client.search_iterator(NAME, vectors, batch_size=2, anns_field="s[e]")
    beside = AnnSearchRequest([[0.0] * DIM], "v", {"metric_type": "L2"}, limit=3)
    lists = "is not supported for vector array .embedding-list. fields in hybrid search"
    for options, param, complaint in (
        ({}, bounds, "range search"),
        ({"group_by_field": "id"}, {"metric_type": "MAX_SIM"}, "group by search"),
    ):
        part = AnnSearchRequest([query], "s[e]", param, limit=3)
        with pytest.raises(MilvusException, match=f"{complaint} {lists}"):
            client.hybrid_search(NAME, [part, beside], RRFRanker(), 3, **options)
    part = AnnSearchRequest([query], "s[e]", {"metric_type": "MAX_SIM"}, limit=3)
    found = client.hybrid_search(NAME, [part, beside], RRFRanker(), limit=3)
    assert [hit["id"] for hit in found[0]] == [1]


def test_what_is_refused(client: Any) -> None:
    """Texts are Milvus', and nothing is left behind."""
    create(client, {"x": DataType.INT64, "e": DataType.FLOAT_VECTOR})
    row = {"id": 1, "v": [0.0] * DIM, "s": [{"x": 1, "e": [0.0] * DIM}] * 9}
    with pytest.raises(MilvusException, match="array length exceeds max capacity"):
        client.insert(NAME, [row])
    row["s"] = [{"x": 1, "e": [0.0] * DIM}]
    load(client, {"e": "MAX_SIM"})
    with pytest.raises(MilvusException, match="partial upsert is not supported for"):
        client.upsert(NAME, [row], partial_update=True)
    with pytest.raises(MilvusException, match="vector type must be the same"):
        client.search(NAME, [[0.0] * DIM], anns_field="s[e]")
    with pytest.raises(MilvusException, match="not supported for search by IDs"):
        client.search(NAME, ids=[1], anns_field="s[e]")
    assert client.query(NAME, output_fields=["count(*)"])[0]["count(*)"] == 0


def test_the_embedded_interface_takes_and_gives_structs(tmp_path: Path) -> None:
    """Rows with lists of mappings go in, Arrow lists of structs come out."""
    fields = (
        FieldSchema("id", elanus.DataType.INT64, is_primary=True),
        FieldSchema("v", elanus.DataType.FLOAT_VECTOR, dim=2),
        FieldSchema(
            "s[x]",
            elanus.DataType.ARRAY,
            element_type=elanus.DataType.INT64,
            max_capacity=4,
            struct="s",
        ),
        FieldSchema(
            "s[e]",
            elanus.DataType.ARRAY_OF_VECTOR,
            element_type=elanus.DataType.FLOAT_VECTOR,
            dim=2,
            max_capacity=4,
            struct="s",
        ),
    )
    schema = CollectionSchema(fields, structs=(StructSchema("s", nullable=True),))
    structs = [{"x": 1, "e": [1.0, 0.0]}, {"x": 2, "e": [0.0, 1.0]}]
    rows = [
        {"id": 1, "v": [0.0, 0.0], "s": structs},
        {"id": 2, "v": [0.0, 0.0], "s": []},
        {"id": 3, "v": [0.0, 0.0], "s": None},
        {"id": 4, "v": [0.0, 0.0], "s": structs[:1]},
    ]
    with elanus.open(tmp_path / "app.db") as db:
        films = db.create_collection(NAME, schema=schema)
        films.insert(rows)
        found = films.query("id > 0", output_fields=["s"])
        assert found["s"].to_pylist() == [row["s"] for row in rows]
        films.create_index("s[e]", index_type="HNSW", metric="L2")
        hits = films.search([0.0, 1.0], field="s[e]", limit=2, output_fields=["s[x]"])
        assert hits["id"].to_pylist()[0] == 1 and hits["element"].to_pylist()[0] == 1
        films.drop_index("s[e]")
        films.create_index("s[e]", index_type="HNSW", metric="MAX_SIM_IP")
        query = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
        hits = films.search(query, field="s[e]", limit=9)
        assert hits["id"].to_pylist() == [1, 4]
        assert hits["score"].to_pylist() == [2.0, 1.0]
        for wrong, complaint in (
            ({"s": [{"x": 1}]}, "should be a struct of"),
            ({"s": 5}, "should be a list of structs"),
            ({"s[x]": [1], "s[e]": []}, "inconsistent struct element count"),
            ({"s[x]": [1], "s[e]": None}, "sub-field ValidData mismatch"),
        ):
            with pytest.raises(InvalidParameter, match=complaint):
                films.insert([{"id": 9, "v": [0.0, 0.0], **wrong}])
        films.drop_field("s")
        assert [field.name for field in films.schema.visible] == ["id", "v"]
