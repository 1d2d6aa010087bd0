"""Threads that create, drop, rename, truncate, write and merge the same collections.

No answer can be foreseen; but only errors a caller may expect come out, what one thread
has for itself is right, and the database opens again with what it had at the end.
``ELANUS_SEED=<seed>`` repeats the choices, though not the interleaving.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import elanus
from elanus.errors import (
    ClosedError,
    CollectionNotFound,
    IndexNotFound,
    InvalidParameter,
    PartitionNotFound,
)
from elanus.schema.types import DataType
from model.crew import Crew
from model.driver import seeds
from model.oracle import Oracle, schema_of
from model.rows import columns_of, draw_filter, draw_keys, draw_rows
from model.worlds import inline_world, quick_folder

NAMES = ("a", "b", "c")
EXPECTED = (
    ClosedError,
    CollectionNotFound,
    IndexNotFound,
    InvalidParameter,
    PartitionNotFound,
)


class Vandal:
    """One thread's random choices."""

    def __init__(self, db: elanus.Database, seed: list[int]) -> None:
        self.db = db
        self.rng = np.random.default_rng(seed)
        self.oracle = Oracle()
        self.done = 0

    def run(self, steps: int, crew: Crew) -> None:
        """Do ``steps`` things, most of which may be refused."""
        for _ in range(steps):
            if crew.stop.is_set():
                return
            try:
                self._choose()()
                self.done += 1
            except EXPECTED:
                continue

    def _name(self) -> str:
        return NAMES[self.rng.integers(len(NAMES))]

    def _choose(self) -> Callable[[], object]:
        db, name = self.db, self._name()
        choices = (
            *[self._insert] * 6,
            *[self._upsert] * 3,
            *[self._read] * 4,
            *[self._create] * 3,
            lambda: db.drop_collection(name),
            lambda: db.rename_collection(name, self._name()),
            lambda: db[name].truncate(),
            lambda: db[name].flush(),
            lambda: db[name].optimize(),
            lambda: db[name].compact(),
            lambda: db[name].create_partition("p"),
            lambda: db[name].drop_partition("p"),
            lambda: db[name].create_index("vector", index_type="HNSW"),
            lambda: db[name].drop_index("vector"),
            lambda: db[name].delete(filter=self._filter()),
            lambda: db[name].delete(draw_keys(self.rng, DataType.INT64, 5)),
            db.stats,
        )
        return choices[self.rng.integers(len(choices))]

    def _create(self) -> None:
        self.db.create_collection(
            self._name(), schema_of(DataType.INT64), metric="L2", dynamic=True
        )

    def _rows(self) -> tuple[dict[str, object], str]:
        keys = draw_keys(self.rng, DataType.INT64, int(self.rng.integers(1, 40)))
        rows = draw_rows(self.rng, self.oracle, list(dict.fromkeys(keys)), "")
        return columns_of(rows), ("_default", "p")[self.rng.integers(2)]

    def _insert(self) -> None:
        columns, partition = self._rows()
        self.db[self._name()].insert(columns, partition=partition)

    def _upsert(self) -> None:
        columns, partition = self._rows()
        self.db[self._name()].upsert(columns, partition=partition)

    def _filter(self) -> str:
        return draw_filter(self.rng, DataType.INT64).text

    def _read(self) -> None:
        snapshot = self.db[self._name()].snapshot()
        text = self._filter()
        found = snapshot.query(text, output_fields=["*"])
        keys = found.column("id").to_pylist()
        assert keys == sorted(set(keys))
        assert snapshot.count(text) >= len(keys)
        pages = snapshot.iterate(text, batch_size=10, output_fields=["id"])
        assert [key for page in pages for key in page["id"].to_pylist()] == keys
        hits = snapshot.search(
            np.ones(4), limit=100, filter=text, params={}, output_fields=["label"]
        )
        assert sorted(hits.column("id").to_pylist()) == keys
        assert snapshot.query(text, output_fields=["*"]).equals(found)


def run(seed: int, threads: int, steps: int) -> None:
    """Let the threads loose, then compare the end with what a reopen shows."""
    with quick_folder() as folder:
        world = inline_world()
        crew = Crew()
        with elanus.open(folder / "a.db", world=world) as db:
            vandals = [Vandal(db, [seed, number]) for number in range(threads)]
            crew.join([crew.add(lambda v=v: v.run(steps, crew)) for v in vandals])
            assert all(vandal.done > steps / 10 for vandal in vandals)
            before = contents(db)
        with elanus.open(folder / "a.db", world=world) as db:
            assert contents(db) == before


def contents(db: elanus.Database) -> dict[str, object]:
    """Everything that reads show."""
    return {
        name: (
            len(db[name]),
            db[name].partitions,
            db[name].query(output_fields=["*"]).to_pylist(),
        )
        for name in db.list_collections()
    }


@pytest.mark.parametrize("seed", seeds(1))
def test_disorder_leaves_a_database_in_order(seed: int) -> None:
    """Two threads in each other's way do no harm."""
    run(seed, threads=2, steps=120)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(5))
def test_long_disorder_leaves_a_database_in_order(seed: int) -> None:
    """As above, with four threads and for longer."""
    run(seed, threads=4, steps=400)
