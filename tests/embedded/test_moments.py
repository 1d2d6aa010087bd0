"""Snapshots, older handles and background work: every reader keeps its moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.embedded.collection import Collection
from elanus.errors import ClosedError
from model.worlds import TINY, inline_world, no_background_threads

RNG = np.random.default_rng(3)


def vectors(count: int) -> np.ndarray:
    """Random vectors, (count, 4) float32."""
    return RNG.normal(size=(count, 4)).astype(np.float32)


def fill(collection: Collection, start: int, count: int, batch: str) -> None:
    """Insert ``count`` rows of consecutive keys."""
    ids = np.arange(start, start + count)
    collection.insert({"id": ids, "vector": vectors(count), "batch": [batch] * count})


def shown(collection: Collection) -> list[str]:
    """The batch of every row that reads show."""
    return collection.query(output_fields=["batch"]).column("batch").to_pylist()


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_an_older_row_is_hidden_from_the_next_segment(
    tmp_path: Path, batches: int
) -> None:
    """A repeated key shows its newest row, also when a new segment begins with it."""
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=inline_world()) as db,
    ):
        docs = db.create_collection("docs", dim=4)
        for number in range(batches + 1):
            fill(docs, 0, 100, str(number))
        assert docs.stats()["segments"][0]["rows"] == 100  # each batch fills one
        assert shown(docs) == [str(batches)] * 100
        assert len(docs) == 100 * (batches + 1)
        docs.optimize()
        assert shown(docs) == [str(batches)] * 100


def test_deletes_alone_can_be_flushed(tmp_path: Path) -> None:
    """A flush with nothing but deletes of keys that never were is no error."""
    with elanus.open(tmp_path / "a.db") as db:
        docs = db.create_collection("docs", dim=4)
        assert docs.delete([1, 2]) == 0
        docs.flush()
    with elanus.open(tmp_path / "a.db") as db:
        assert len(db["docs"]) == 0


def test_merging_ends_when_history_is_kept(tmp_path: Path) -> None:
    """Deleted rows that are still readable at an older time cause no endless work."""
    world = inline_world(keeps_history=True)
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=world) as db,
    ):
        docs = db.create_collection("docs", dim=4)
        fill(docs, 0, 60, "a")
        docs.flush()
        docs.delete(list(range(30)))
        before = docs._engine.pin().ts
        fill(docs, 100, 60, "b")
        docs.optimize()
        assert db._core.background.next_action(docs._engine, eager=False) is None
        assert len(docs) == 90
        past = elanus.Snapshot(
            docs._core, docs._engine, docs._engine.pin().as_of(before)
        )
        assert len(past) == 30


def test_a_dropped_collection_does_not_come_back(tmp_path: Path) -> None:
    """A flush of a handle whose collection was dropped leaves the database whole."""
    world = inline_world()
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=world) as db,
    ):
        docs = db.create_collection("docs", dim=4)
        fill(docs, 0, 100, "a")
        engine = docs._engine
        db.drop_collection("docs")
        with pytest.raises(ClosedError):
            engine.flush()
        with pytest.raises(ClosedError):
            docs.flush()
    with elanus.open(tmp_path / "a.db", world=world) as db:
        assert db.list_collections() == []


def test_a_stale_handle_leaves_its_successor_alone(tmp_path: Path) -> None:
    """After drop and create, the former handle works on nothing."""
    with elanus.open(tmp_path / "a.db") as db:
        old = db.create_collection("docs", dim=4)
        fill(old, 0, 5, "old")
        db.drop_collection("docs")
        new = db.create_collection("docs", dim=4)
        fill(new, 0, 5, "new")
        calls: list[Callable[[], object]] = [
            old.truncate,
            lambda: old.create_partition("p"),
            lambda: old.drop_partition("p"),
            lambda: old.create_index("vector"),
            lambda: old.drop_index("vector"),
            old.describe_index,
            old.stats,
            old.flush,
            old.optimize,
            lambda: fill(old, 9, 1, "x"),
            lambda: old.delete([1]),
            lambda: old.delete(filter='batch == "new"'),
            old.count,
            old.snapshot,
        ]
        for call in calls:
            with pytest.raises(ClosedError):
                call()
        assert shown(new) == ["new"] * 5
        assert new.partitions == ["_default"]
        assert new.describe_index() == []


def test_a_snapshot_keeps_its_moment(tmp_path: Path) -> None:
    """Whatever happens afterwards, a snapshot shows what there was."""
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=inline_world()) as db,
    ):
        docs = db.create_collection("docs", dim=4, metric="L2")
        docs.create_partition("p")
        fill(docs, 0, 70, "a")
        docs.flush()
        fill(docs, 70, 10, "a")
        docs.create_index("vector", index_type="HNSW")
        docs.optimize()
        query = vectors(2)
        snapshot = docs.snapshot()
        rows = snapshot.query(output_fields=["*"])
        hits = snapshot.search(query, limit=5)
        assert snapshot.ts > 0

        def steps() -> list[Callable[[], object]]:
            return [
                lambda: docs.delete(list(range(40))),
                lambda: fill(docs, 0, 30, "b"),
                docs.optimize,
                lambda: docs.drop_index("vector"),
                lambda: docs.create_index("vector", index_type="FLAT"),
                docs.truncate,
                lambda: docs.drop_partition("p"),
                lambda: db.rename_collection("docs", "other"),
                lambda: db.drop_collection("other"),
            ]

        for step in steps():
            step()
            assert len(snapshot) == 80
            assert snapshot.query(output_fields=["*"]).equals(rows)
            assert snapshot.search(query, limit=5).equals(hits)
            assert sum(t.num_rows for t in snapshot.iterate(batch_size=9)) == 80


def test_a_snapshot_does_not_search_an_index_of_another_metric(tmp_path: Path) -> None:
    """An index that a snapshot still holds is not used for a metric it was not for."""
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=inline_world()) as db,
    ):
        docs = db.create_collection("docs", dim=4, metric="L2")
        fill(docs, 0, 70, "a")
        docs.create_index("vector", index_type="HNSW", metric="L2")
        docs.optimize()
        snapshot = docs.snapshot()
        fill(docs, 100, 70, "b")
        docs.optimize()  # the snapshot's segment is retired with its index
        docs.drop_index("vector")
        docs.create_index("vector", index_type="HNSW", metric="IP")
        query = vectors(1)[0]
        matrix = np.array(
            snapshot.query(output_fields=["vector"]).column("vector").to_pylist()
        )
        hits = snapshot.search(query, limit=70)
        expected = np.sort(matrix @ query)[::-1]
        np.testing.assert_allclose(hits.column("score"), expected, rtol=1e-4, atol=1e-5)


def test_nothing_works_on_a_closed_database(tmp_path: Path) -> None:
    """After close every call raises, snapshots and iterations included."""
    db = elanus.open(tmp_path / "a.db", world=inline_world(replace(TINY)))
    docs = db.create_collection("docs", dim=4)
    fill(docs, 0, 30, "a")
    docs.flush()
    fill(docs, 30, 5, "a")
    snapshot = docs.snapshot()
    pages = docs.iterate(batch_size=3)
    next(pages)
    db.close()
    db.close()
    calls: list[Callable[[], object]] = [
        lambda: list(pages),
        docs.count,
        snapshot.count,
        snapshot.query,
        lambda: snapshot.search([1, 2, 3, 4]),
        lambda: list(snapshot.iterate()),
        lambda: docs.search([1, 2, 3, 4]),
        lambda: docs.get(1),
        lambda: docs.explain.search([1, 2, 3, 4]),
        lambda: fill(docs, 50, 1, "b"),
        lambda: docs.upsert({"id": [1], "vector": vectors(1)}),
        lambda: docs.delete(1),
        lambda: docs.delete(filter="id > 3"),
        docs.truncate,
        docs.flush,
        docs.compact,
        docs.optimize,
        docs.stats,
        docs.snapshot,
        docs.describe_index,
        lambda: docs.create_index("vector"),
        lambda: docs.create_partition("p"),
        db.list_collections,
        db.stats,
        db.flush,
        lambda: db["docs"],
        lambda: db.create_collection("other", dim=4),
        lambda: db.drop_collection("docs"),
        lambda: db.rename_collection("docs", "other"),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(ClosedError):
            pytest.fail(f"call {number} gave {call()}")
    with elanus.open(tmp_path / "a.db") as again:
        assert len(again["docs"]) == 35
