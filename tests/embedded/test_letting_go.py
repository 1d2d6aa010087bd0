"""What was dropped goes at once, without the cyclic collector, and nothing adds up."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.app import World
from elanus.embedded.collection import Collection
from elanus.engine.write.jobs import InlineLauncher, JobFailed, Launcher
from elanus.segment.growing import GrowingSegment
from elanus.segment.sealed import SealedSegment
from model.worlds import TINY, inline_world, quick_folder

BATCH = 60
DIM = 8
PATIENCE_S = 20.0
QUIET = replace(inline_world(), background=False)

Segments = weakref.WeakSet[SealedSegment | GrowingSegment]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder where a sync costs little."""
    with quick_folder() as place:
        yield place


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Only counting references frees anything meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def made(db: elanus.Database) -> Collection:
    """An indexed collection with fields of several kinds."""
    fields = [
        elanus.FieldSchema("id", elanus.DataType.INT64, is_primary=True),
        elanus.FieldSchema("vector", elanus.DataType.FLOAT_VECTOR, dim=DIM),
        elanus.FieldSchema("rank", elanus.DataType.INT64, nullable=True),
        elanus.FieldSchema("text", elanus.DataType.VARCHAR, max_length=20),
        elanus.FieldSchema("doc", elanus.DataType.JSON),
    ]
    docs = db.create_collection("docs", schema=elanus.CollectionSchema(fields))
    docs.create_index("vector", index_type="HNSW", metric="COSINE")
    return docs


def write(docs: Collection, number: int) -> np.ndarray:
    """One sealed segment's rows more."""
    rng = np.random.default_rng(number)
    keys = range(number * BATCH, (number + 1) * BATCH)
    vectors = rng.normal(size=(BATCH, DIM)).astype(np.float32)
    docs.insert(
        {
            "id": list(keys),
            "vector": vectors,
            "rank": [key if key % 3 else None for key in keys],
            "text": [f"row {key}" for key in keys],
            "doc": [{"n": key} for key in keys],
        }
    )
    docs.flush()
    return vectors


def read(docs: Collection, vectors: np.ndarray) -> None:
    """Every way to read that makes something for a segment and keeps it there."""
    docs.search(vectors[:2], limit=5, output_fields=["*"])
    docs.search(vectors[0], limit=5, filter="rank >= 0 and doc['n'] < 1000")
    docs.query(filter="text like 'row 1%'", output_fields=["*"])
    docs.get([1, BATCH + 1], output_fields=["vector", "rank", "text"])
    assert docs.count(filter="doc['n'] >= 0") == docs.count()


def filled(db: elanus.Database) -> tuple[Collection, Segments]:
    """A collection of three segments that have been read, and weak references."""
    docs = made(db)
    seen: Segments = weakref.WeakSet()
    for number in range(3):
        read(docs, write(docs, number))
        seen.update(segments(docs))
    docs.optimize()
    read(docs, write(docs, 3))
    seen.update(segments(docs))
    return docs, seen


def segments(docs: Collection) -> list[SealedSegment | GrowingSegment]:
    """The segments that the collection has now."""
    return docs._engine.shard.segments()


def deleted_files(folder: Path) -> list[str]:
    """Files below ``folder`` that are open or mapped, but have no name any more."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:  # that of the listing itself
            continue
    with open("/proc/self/maps") as maps:
        found += [line.split(maxsplit=5)[-1].strip() for line in maps]
    return [n for n in found if n.startswith(str(folder)) and "(deleted)" in n]


def column_files(folder: Path) -> list[str]:
    """Files of segments and indexes on the disk."""
    return [str(p) for p in (folder / "db/collections").rglob("*") if p.is_file()]


def merge(docs: Collection) -> None:
    """Give the segments a reason to be merged, and merge them."""
    docs.delete(filter="id % 2 == 0")
    docs.flush()
    docs.compact()


CHANGES: list[tuple[str, Callable[[elanus.Database, Collection], None], bool]] = [
    ("merge", lambda db, docs: merge(docs), True),
    ("drop", lambda db, docs: db.drop_collection("docs"), False),
    ("truncate", lambda db, docs: docs.truncate(), False),
]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("change", "leaves_rows"),
    [pytest.param(change, rows, id=name) for name, change, rows in CHANGES],
)
def test_replaced_segments_are_freed_by_counting_references(
    folder: Path,
    without_collector: None,
    change: Callable[[elanus.Database, Collection], None],
    leaves_rows: bool,
) -> None:
    """No object, mapping, descriptor or file of theirs is left; handles hold none."""
    with elanus.open(folder / "db", world=QUIET) as db:
        docs, seen = filled(db)
        assert len(seen) == len(segments(docs)) > 1
        change(db, docs)
        assert bool(segments(docs)) == leaves_rows
        assert set(seen) <= set(segments(docs))
        assert deleted_files(folder) == []
        assert bool(column_files(folder)) == leaves_rows


def test_a_reader_holds_segments_no_longer_than_it_lives(
    folder: Path, without_collector: None
) -> None:
    """A snapshot reads what was merged since; then the files go."""
    with elanus.open(folder / "db", world=QUIET) as db:
        docs, seen = filled(db)
        snapshot = docs.snapshot()
        merge(docs)
        assert snapshot.count() == 4 * BATCH
        assert set(seen) - set(segments(docs))
        del snapshot
        assert set(seen) <= set(segments(docs))


def test_rows_that_expire_do_not_hold_older_segments(
    folder: Path, without_collector: None
) -> None:
    """What is remembered for reading with a time to live goes with its version."""
    with elanus.open(folder / "db", world=QUIET) as db:
        docs, seen = filled(db)
        docs._engine.shard.ttl_s = 3600
        assert docs.count() == 4 * BATCH
        merge(docs)
        assert set(seen) <= set(segments(docs))


def test_threads_that_wait_do_not_hold_a_dropped_collection(
    folder: Path, without_collector: None
) -> None:
    """Not even the last one, after which they find nothing else to look at."""
    world = World(settings=TINY, seed=0, make_launcher=lambda s, _: InlineLauncher(s))
    with elanus.open(folder / "db", world=world) as db:
        docs, _ = filled(db)
        gone = threading.Event()
        weakref.finalize(docs._engine, gone.set)
        db.drop_collection("docs")
        del docs
        assert gone.wait(PATIENCE_S)


class Failing:
    """A launcher whose indexes and merges all fail."""

    def run(self, *_: object) -> dict[str, object]:
        """See :class:`Launcher`."""
        raise JobFailed("as asked")

    def close(self) -> None:
        """Nothing to end."""


def test_failures_of_segments_that_are_gone_are_forgotten(folder: Path) -> None:
    """However many segments failed and went, those there are bound what is kept."""
    launcher: Launcher = Failing()
    world = replace(QUIET, make_launcher=lambda store, root: launcher)
    with elanus.open(folder / "db", world=world) as db:
        docs = made(db)
        failures = db._core.background.status.failures
        for number in range(12):
            write(docs, number)
            with pytest.raises(JobFailed):
                docs.optimize()
            present = {segment.id for segment in segments(docs)}
            assert {segment_id for _, segment_id, _ in failures} == present
            docs.truncate()


def test_a_life_of_changes_leaves_no_more_objects_than_its_beginning(
    folder: Path,
) -> None:
    """With a window of rows that moves, objects of the program do not add up."""
    counts = []
    with elanus.open(folder / "db", world=QUIET) as db:
        docs = made(db)
        for cycle in range(90):
            vectors = write(docs, cycle)
            docs.delete(filter=f"id < {(cycle - 4) * BATCH}")
            docs.search(vectors[0], limit=5, filter=f"rank >= {cycle % 10}")
            if cycle % 30 == 29:
                docs.optimize()
                docs.truncate()
                write(docs, cycle + 1)
                gc.collect()
                counts.append(_own_objects())
                docs.truncate()
    assert counts[2] == counts[1]


def _own_objects() -> Counter[str]:
    kinds = Counter(
        kind.__qualname__
        for kind in map(type, gc.get_objects())
        if str(kind.__module__).startswith("elanus.")
        and not str(kind.__module__).startswith("elanus.expr.")  # texts parsed lately
    )
    return kinds
