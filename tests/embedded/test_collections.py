"""What one sees of a collection in one's own process: rows in, tables out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import elanus
from elanus import CollectionSchema, DataType, FieldSchema, Settings
from elanus.embedded.collection import Collection

DIM = 8
RNG = np.random.default_rng(7)
VECTORS = RNG.normal(size=(200, DIM)).astype(np.float32)
IDS = np.arange(200)
TOPICS = IDS % 10


@pytest.fixture
def db(tmp_path: Path) -> Iterator[elanus.Database]:
    """An empty database."""
    with elanus.open(tmp_path / "app.db", settings=Settings(index_rows=50)) as opened:
        yield opened


@pytest.fixture
def docs(db: elanus.Database) -> Collection:
    """Two hundred rows with a dynamic column."""
    docs = db.create_collection("docs", dim=DIM, metric="COSINE")
    docs.insert({"id": IDS, "vector": VECTORS, "topic": TOPICS})
    return docs


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    """Create, insert, search with a filter, and find all of it after a reopen."""
    path = tmp_path / "app.db"
    with elanus.open(path) as db:
        docs = db.create_collection("docs", dim=DIM, metric="COSINE")
        keys = docs.insert({"id": IDS, "vector": VECTORS, "topic": TOPICS})
        assert keys.to_pylist() == IDS.tolist()
    with elanus.open(path) as db:
        hits = db["docs"].search(
            VECTORS[3], limit=10, filter="topic in [3, 7]", output_fields=["topic"]
        )
    assert isinstance(hits, pa.Table)
    assert hits.column_names == ["query", "id", "score", "topic"]
    assert hits.column("id")[0].as_py() == 3
    assert hits.column("score")[0].as_py() == pytest.approx(1.0)
    assert set(hits.column("topic").to_pylist()) == {3, 7}
    units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    scores = np.where(np.isin(TOPICS, [3, 7]), units @ units[3], -9)
    nearest = np.argsort(-scores)[:10]
    assert hits.column("id").to_pylist() == nearest.tolist()


ROWS = [
    {"id": 1, "vector": [1.0] * DIM, "color": "red", "size": 1},
    {"id": 2, "vector": [2.0] * DIM, "color": "blue"},
    {"id": 3, "vector": [3.0] * DIM, "size": 3},
]
FORMS = {
    "rows": lambda: ROWS,
    "tuple of rows": lambda: tuple(ROWS),
    "lists": lambda: {
        "id": [1, 2, 3],
        "vector": [[float(i)] * DIM for i in (1, 2, 3)],
        "color": ["red", "blue", None],
        "size": [1, None, 3],
    },
    "NumPy": lambda: {
        "id": np.array([1, 2, 3], np.int32),
        "vector": np.array([[i] * DIM for i in (1, 2, 3)], np.float64, order="F"),
        "color": np.array(["red", "blue", None], object),
        "size": [1, None, 3],
    },
    "integer vectors": lambda: {
        "id": range(1, 4),
        "vector": np.array([[i] * DIM for i in (1, 2, 3)]),
        "color": ("red", "blue", None),
        "size": (1, None, 3),
    },
    "Arrow table": lambda: pa.Table.from_pylist(ROWS),
    "Arrow table in chunks": lambda: pa.concat_tables(
        pa.Table.from_pylist([row], pa.Table.from_pylist(ROWS).schema) for row in ROWS
    ),
    "Arrow batch": lambda: pa.RecordBatch.from_pylist(ROWS),
    "DataFrame": lambda: pd.DataFrame(
        {
            "id": [1, 2, 3],
            "vector": [np.full(DIM, i, np.float32) for i in (1, 2, 3)],
            "color": ["red", "blue", None],
            "size": pd.array([1, None, 3], dtype=object),
        }
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["insert", "upsert"])
def test_forms_of_data(db: elanus.Database, form: str, method: str) -> None:
    """Columns and rows of every form give the same rows."""
    docs = db.create_collection("docs", dim=DIM)
    keys = getattr(docs, method)(FORMS[form]())
    assert keys.to_pylist() == [1, 2, 3]
    table = docs.query(output_fields=["vector", "$meta"])
    assert table.column("id").to_pylist() == [1, 2, 3]
    assert table.column("vector").to_pylist() == [[float(i)] * DIM for i in (1, 2, 3)]
    assert [json.loads(text) for text in table.column("$meta").to_pylist()] == [
        {"color": "red", "size": 1},
        {"color": "blue"},
        {"size": 3},
    ]


def test_a_single_row(db: elanus.Database) -> None:
    """One dict of values is one row, NumPy scalars included."""
    docs = db.create_collection("docs", dim=DIM)
    docs.insert({"id": 5, "vector": [1.0] * DIM, "color": "red"})
    docs.insert({"id": np.int64(6), "vector": np.ones(DIM), "tags": ["a", "b"]})
    found = docs.get([5, 6], output_fields=["color", "tags"]).to_pylist()
    assert found == [
        {"id": 5, "color": "red", "tags": None},
        {"id": 6, "color": None, "tags": '["a","b"]'},
    ]


def test_what_is_given_is_copied(db: elanus.Database) -> None:
    """Changing an array after the insert changes no row."""
    docs = db.create_collection("docs", dim=DIM)
    ids, vectors, sizes = np.arange(3), np.ones((3, DIM), np.float32), np.arange(3)
    docs.insert({"id": ids, "vector": vectors, "size": sizes})
    for array in (ids, vectors, sizes):
        array[:] = 77
    found = docs.query("size >= 0", output_fields=["vector", "size"]).to_pylist()
    assert found == [{"id": i, "vector": [1.0] * DIM, "size": i} for i in range(3)]


def test_ids_made_by_the_database(db: elanus.Database) -> None:
    """Auto ids are unique, ascend, and outlive a reopen."""
    docs = db.create_collection("docs", dim=DIM, auto_id=True)
    names = db.create_collection("names", dim=DIM, auto_id=True, id_type="str")
    keys = [docs.insert({"vector": VECTORS[:50]}).to_pylist() for _ in range(3)]
    flat = [key for batch in keys for key in batch]
    assert flat == sorted(set(flat))
    assert docs.query().column("id").to_pylist() == flat
    text_keys = names.insert({"vector": VECTORS[:2]}).to_pylist()
    assert all(isinstance(key, str) for key in text_keys)
    assert sorted(names.query().column("id").to_pylist()) == sorted(text_keys)


@pytest.mark.parametrize("id_type", ["int", "str"])
def test_an_upsert_of_made_ids_makes_new_ones(tmp_path: Path, id_type: str) -> None:
    """The rows of the given keys go, and stay gone; the new keys are returned."""
    with elanus.open(tmp_path / "db") as db:
        docs = db.create_collection("docs", dim=DIM, auto_id=True, id_type=id_type)
        old = docs.insert({"vector": VECTORS[:3], "n": [0, 1, 2]}).to_pylist()
        docs.flush()
        given = old[:2] + (["9"] if id_type == "str" else [9])
        new = docs.upsert({"id": given, "vector": VECTORS[:3], "n": [10, 11, 12]})
        changed = docs.upsert({"id": [old[2]], "n": [20]}, partial=True).to_pylist()
    with elanus.open(tmp_path / "db") as db:
        found = db["docs"].query(output_fields=["n"]).to_pylist()
    keys = [*new.to_pylist(), *changed]
    assert len({*old, *given, *keys}) == 8
    rows = sorted((row["n"], row["id"]) for row in found)
    assert rows == list(zip([10, 11, 12, 20], keys, strict=True))


def test_text_keys(db: elanus.Database) -> None:
    """VARCHAR keys can be got, deleted, upserted and filtered; order is by bytes."""
    docs = db.create_collection("docs", dim=DIM, id_type="str")
    keys = ["b", "a", "ü", "", "a\x00", "B", "10", "9"]
    docs.insert({"id": keys, "vector": VECTORS[: len(keys)], "n": range(len(keys))})
    docs.flush()
    ordered = sorted(keys, key=lambda key: key.encode())
    assert docs.query().column("id").to_pylist() == ordered
    assert docs.get("ü", output_fields=["n"]).to_pylist() == [{"id": "ü", "n": 2}]
    assert docs.get(["", "nope"]).column("id").to_pylist() == [""]
    assert docs.query('id > "a"').column("id").to_pylist() == ordered[5:]
    docs.upsert({"id": ["a"], "vector": VECTORS[:1], "n": [99]})
    assert docs.delete(["b", "nope"]) == 1
    assert docs.delete(filter='id in ["9", "10"]') == 2
    assert docs.query("n == 99").column("id").to_pylist() == ["a"]
    assert len(docs) == 5


def test_every_type_comes_back(db: elanus.Database) -> None:
    """Values of every type, nulls, defaults and extremes survive memory and files."""
    schema = CollectionSchema(
        (
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
            FieldSchema("b", DataType.BOOL, nullable=True),
            FieldSchema("i8", DataType.INT8, nullable=True),
            FieldSchema("i16", DataType.INT16, nullable=True),
            FieldSchema("i32", DataType.INT32, default=-5),
            FieldSchema("i64", DataType.INT64, nullable=True),
            FieldSchema("f", DataType.FLOAT, nullable=True),
            FieldSchema("d", DataType.DOUBLE, nullable=True, default=2.5),
            FieldSchema("s", DataType.VARCHAR, max_length=20, nullable=True),
            FieldSchema("j", DataType.JSON, nullable=True),
            FieldSchema(
                "a",
                DataType.ARRAY,
                element_type=DataType.VARCHAR,
                max_length=5,
                max_capacity=4,
                nullable=True,
            ),
        )
    )
    rows = [
        {"id": -(2**63), "vector": [0.5, -0.0], "b": True, "i8": -128, "i16": 32767,
         "i32": -(2**31), "i64": 2**63 - 1, "f": 0.25, "d": 1e300, "s": "é\x00'\"",
         "j": {"a": [1, None, "x"], "n": 2**53}, "a": ["x", ""]},
        {"id": 2**63 - 1, "vector": [1.0, 2.0], "b": None, "i8": None, "i16": None,
         "i32": -5, "i64": None, "f": None, "d": 2.5, "s": None, "j": None, "a": None},
        {"id": 0, "vector": [3.0, 4.0], "b": False, "i8": 0, "i16": 0, "i32": 0,
         "i64": 0, "f": 0.0, "d": 0.0, "s": "", "j": [], "a": []},
    ]  # fmt: skip
    left_out = [{k: v for k, v in row.items() if v is not None} for row in rows]
    del left_out[1]["i32"], left_out[1]["d"]
    docs = db.create_collection("docs", schema, metric="L2")
    docs.insert(left_out)
    expected = sorted(rows, key=lambda row: row["id"])
    for step in (docs.flush, docs.optimize, lambda: None):
        found = docs.query(output_fields=["*"]).to_pylist()
        for row in found:
            row["j"] = None if row["j"] is None else json.loads(row["j"])
        assert found == expected
        step()


def test_output_fields(docs: Collection) -> None:
    """Named fields, dynamic keys, everything, and what a row does not have."""
    docs.insert({"id": [900], "vector": VECTORS[:1], "other": [{"x": 1}]})
    assert docs.query("id == 5").to_pylist() == [{"id": 5}]
    every = docs.query("id == 5", output_fields=["*"])
    assert every.column_names == ["id", "vector", "$meta"]
    mixed = docs.query("id in [5, 900]", output_fields=["topic", "other", "absent"])
    assert mixed.to_pylist() == [
        {"id": 5, "topic": 5, "other": None, "absent": None},
        {"id": 900, "topic": None, "other": '{"x":1}', "absent": None},
    ]
    assert docs.query("id == 5", output_fields="topic").num_rows == 1
    hits = docs.search(VECTORS[5], limit=1, output_fields=["*"])
    assert hits.column_names == ["query", "id", "score", "vector", "$meta"]
    none = docs.query("id == -1", output_fields=["*", "topic"])
    assert none.num_rows == 0
    assert none.column_names == ["id", "vector", "$meta", "topic"]


def test_pages_and_several_queries(docs: Collection) -> None:
    """Offset and limit cut out a part; every query gets its own hits."""
    whole = docs.search(VECTORS[:3], limit=20)
    assert whole.column("query").to_pylist() == [0] * 20 + [1] * 20 + [2] * 20
    part = docs.search(VECTORS[:3], limit=5, offset=15)
    for query in range(3):
        mine = pa.compute.equal(whole.column("query"), query)
        theirs = pa.compute.equal(part.column("query"), query)
        assert (
            part.filter(theirs).column("id").to_pylist()
            == whole.filter(mine).column("id").to_pylist()[15:]
        )
    assert docs.search(VECTORS[0], limit=10, offset=195).num_rows == 5
    assert docs.search(VECTORS[0], limit=10, offset=500).num_rows == 0
    assert docs.query(limit=3, offset=198).column("id").to_pylist() == [198, 199]
    assert docs.query("topic == 3", limit=2, offset=1).column("id").to_pylist() == [
        13,
        23,
    ]


def test_a_filter_leaves_as_many_as_there_are(docs: Collection) -> None:
    """A query that has ``limit`` matching rows gets ``limit`` rows, indexed or not."""
    for _ in range(2):
        assert docs.search(VECTORS[0], limit=20, filter="topic == 3").num_rows == 20
        assert docs.search(VECTORS[0], limit=50, filter="topic == 3").num_rows == 20
        assert docs.search(VECTORS[0], limit=5, filter="topic > 99").num_rows == 0
        docs.create_index("vector", index_type="HNSW")
        docs.optimize()


def test_filters_take_parameters(docs: Collection) -> None:
    """``{name}`` in a filter stands for a value given beside it."""
    given = {"filter_params": {"wanted": [3, 4], "low": 100}}
    text = "topic in {wanted} and id >= {low}"
    assert docs.count(text, **given) == 20
    assert docs.query(text, **given).num_rows == 20
    assert docs.search(VECTORS[0], limit=50, filter=text, **given).num_rows == 20
    assert docs.delete(filter=text, **given) == 20
    assert len(docs) == 180


def test_partitions(docs: Collection) -> None:
    """Reads and deletes can be restricted; dropping one drops its rows."""
    docs.create_partition("new")
    docs.create_partition("new")
    docs.insert({"id": [5, 500], "vector": VECTORS[:2]}, partition="new")
    assert docs.partitions == ["_default", "new"]
    assert docs.count(partitions=["new"]) == 2
    assert len(docs) == 202
    assert docs.query("id == 5", partitions=["_default"]).num_rows == 1
    assert docs.query("id == 5").num_rows == 1
    assert docs.count("id == 5") == 2
    found = docs.search(VECTORS[0], limit=300, partitions=["new"])
    assert sorted(found.column("id").to_pylist()) == [5, 500]
    assert docs.get([5, 6, 500], partitions=["new"]).num_rows == 2
    assert docs.delete([5], partitions=["new"]) == 1
    assert docs.count("id == 5") == 1
    docs.upsert({"id": [6], "vector": VECTORS[:1]}, partition="new")
    assert docs.query("id == 6", partitions=["_default"]).num_rows == 0
    docs.drop_partition("new")
    docs.drop_partition("new")
    assert docs.partitions == ["_default"]
    assert len(docs) == 199


def test_deletes(docs: Collection) -> None:
    """By key of any integer kind, by filter, none at all, and everything."""
    assert docs.delete(7) == 1
    assert docs.delete(np.int64(8)) == 1
    assert docs.delete(np.array([9, 10, 9999])) == 2
    assert docs.delete([]) == 0
    assert docs.delete([7]) == 0
    assert docs.delete(filter="topic == 5 and id > 100") == 10
    assert docs.delete(filter="topic == 55") == 0
    assert docs.get([7, 8, 9, 10]).num_rows == 0
    assert docs.get(np.int64(11)).num_rows == 1
    assert len(docs) == 186
    docs.truncate()
    assert len(docs) == 0
    assert docs.search(VECTORS[0]).num_rows == 0
    docs.insert({"id": [1], "vector": VECTORS[:1]})
    assert len(docs) == 1


def test_iteration(docs: Collection) -> None:
    """All matching rows, at one moment, in tables of at most the size asked for."""
    docs.flush()
    docs.insert({"id": IDS + 1000, "vector": VECTORS, "topic": TOPICS})
    pages = docs.iterate("topic < 5", batch_size=30, output_fields=["topic"])
    first = next(pages)
    docs.truncate()
    tables = [first, *pages]
    assert max(table.num_rows for table in tables) <= 30
    ids = [key for table in tables for key in table.column("id").to_pylist()]
    wanted = [*IDS[TOPICS < 5].tolist(), *(IDS[TOPICS < 5] + 1000).tolist()]
    assert ids == wanted


def test_indexes_are_described(docs: Collection) -> None:
    """An index says what it is and how far it has come, from definition to drop."""
    assert docs.describe_index() == []
    docs.create_index("vector", index_type="HNSW", params={"M": 8}, name="mine")
    docs.create_index("vector", index_type="HNSW", params={"M": 8}, name="mine")
    with pytest.raises(elanus.ElanusError, match="at most one distinct index"):
        docs.create_index("vector", index_type="FLAT")
    docs.optimize()
    (entry,) = docs.describe_index("mine")
    assert (entry["field"], entry["index_type"], entry["metric"]) == (
        "vector",
        "HNSW",
        "COSINE",
    )
    assert entry["params"] == {"M": 8}
    assert (entry["state"], entry["reason"]) == ("Finished", "")
    assert (entry["indexed_rows"], entry["pending_rows"]) == (200, 0)
    assert docs.describe_index("other") == []
    (step,) = docs.explain.search(VECTORS[0], limit=3).segments
    assert (step.rows, step.visible, step.is_sealed) == (200, 200, True)
    assert step.search is not None and step.search.strategy == "index"
    (step,) = docs.explain.search(VECTORS[0], filter="id == 3").segments
    assert step.filter is not None and step.filter.matching == 1
    assert step.search is not None and step.search.strategy == "exact"
    docs.drop_index("mine")
    assert docs.describe_index() == []
    (step,) = docs.explain.search(VECTORS[0]).segments
    assert step.search is not None and step.search.strategy == "exact"


def test_statistics(db: elanus.Database, docs: Collection) -> None:
    """Statistics count live rows at once, and show segments and bytes."""
    docs.delete([1, 2])
    stats = docs.stats()
    assert stats["rows"] == len(docs) == 198
    assert [s["sealed"] for s in stats["segments"]] == [False]
    docs.flush()
    stats = db.stats()["docs"]
    assert [s["sealed"] for s in stats["segments"]] == [True]
    assert stats["rows"] == 198
    assert stats["column_bytes"] > VECTORS.nbytes
    assert stats["damages"] == []


def test_names(db: elanus.Database, docs: Collection) -> None:
    """Collections are listed, found, renamed and dropped by name."""
    other = db.create_collection("other", dim=2)
    assert db.list_collections() == ["docs", "other"]
    assert "docs" in db
    assert len(db.create_collection("docs", dim=DIM)) == 200
    db.rename_collection("docs", "papers")
    assert docs.name == "papers"
    assert len(db["papers"]) == len(docs) == 200
    db.drop_collection("other")
    db.drop_collection("other")
    assert db.list_collections() == ["papers"]
    with pytest.raises(elanus.ElanusError):
        other.count()
    assert repr(docs) == "<elanus.Collection 'papers'>"


def test_fields_may_have_the_names_of_our_own_columns(db: elanus.Database) -> None:
    """A field called score or query is returned, and ours step aside."""
    docs = db.create_collection("c", dim=2, metric="L2")
    docs.insert({"id": [1], "vector": [[0, 1]], "score": [7], "query": ["q"]})
    hits = docs.search([0, 1], output_fields=["score", "query"])
    assert hits.to_pylist() == [
        {"$query": 0, "id": 1, "$score": 0.0, "score": 7, "query": "q"}
    ]
