"""A database and its oracle side by side: every operation goes to both, then compare.

The state machine and the seeded driver differ only in who draws the arguments.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

import elanus
from elanus.app import World
from elanus.embedded.collection import Collection
from elanus.embedded.reader import Reader, Snapshot
from elanus.errors import RequestError
from elanus.schema.types import DataType
from model.oracle import (
    DIM,
    STORED,
    Filter,
    Key,
    Oracle,
    Row,
    Update,
    schema_of,
    scores,
)
from model.rows import columns_of, with_default

EVERYWHERE = Filter()
INDEXES: dict[str, dict[str, Any]] = {
    "FLAT": {},
    "HNSW": {"M": 8, "efConstruction": 64},
    "IVF_FLAT": {"nlist": 4},
}
# Effort at which an index of this size misses nothing.
EFFORT: dict[str, dict[str, Any]] = {
    "HNSW": {"ef": 2048},
    "IVF_FLAT": {"nprobe": 4},
}


@dataclass
class Pinned:
    """A reader of a moment in the past, and what it has to show."""

    reader: Reader
    oracle: Oracle
    metric: str


@dataclass
class Harness:
    """One collection under test.

    Attributes:
        world: how the database is opened.
        scope: restricts every comparison to the rows of one owner.
    """

    folder: Path
    world: World = field(default_factory=World)
    key_type: DataType = DataType.INT64
    metric: str = "L2"
    scope: Filter = EVERYWHERE
    oracle: Oracle = field(default_factory=Oracle)
    pinned: list[Pinned] = field(default_factory=list)
    moments: list[tuple[int, Oracle]] = field(default_factory=list)
    index: str = ""
    name: str = "rows"
    copies: int = 0
    refusal: ClassVar[type[Exception]] = RequestError

    def __post_init__(self) -> None:
        self.db = elanus.open(self.folder / "db-0", world=self.world)
        self.create()

    def shared_with(self, scope: Filter) -> Harness:
        """The same database, with an oracle for the rows of one owner."""
        mine = copy.copy(self)
        mine.scope = scope
        mine.oracle = Oracle(partitions=set(self.oracle.partitions))
        mine.pinned, mine.moments = [], []
        return mine

    @property
    def collection(self) -> Collection:
        """The collection under its present name."""
        return self.db[self.name]

    # --- writing ----------------------------------------------------------------------

    def insert(self, rows: list[Row], *, use_default: bool = False) -> None:
        """Insert rows of one partition."""
        columns = columns_of(rows, use_default=use_default)
        keys = self.collection.insert(columns, partition=rows[0].partition)
        assert keys.to_pylist() == [row.key for row in rows]
        self.oracle.insert(with_default(rows) if use_default else rows)

    def upsert(self, rows: list[Row]) -> None:
        """Upsert rows of one partition, keys distinct."""
        self.collection.upsert(columns_of(rows), partition=rows[0].partition)
        self.oracle.upsert(rows)

    def update(self, update: Update) -> None:
        """Upsert some columns of rows; what lacks a field or room is refused whole."""
        columns = columns_of(update.rows)
        given = {name: columns[name] for name in ("id", *update.names)}
        ops = {"tags": update.tags_op} if update.tags_op else None
        expected = self.oracle.updated(update)
        if expected is None:
            with pytest.raises(self.refusal):
                self.collection.upsert(
                    given, partition=update.partition, partial=True, field_ops=ops
                )
            return
        self.collection.upsert(
            given, partition=update.partition, partial=True, field_ops=ops
        )
        self.oracle.upsert(expected)

    def delete_keys(self, keys: list[Key], partitions: Sequence[str] = ()) -> None:
        """Delete by key; the number of rows that went has to be right."""
        deleted = self.collection.delete(keys, partitions=list(partitions))
        assert deleted == self.oracle.delete(keys, partitions)

    def delete_where(self, where: Filter, partitions: Sequence[str] = ()) -> None:
        """Delete the keys that a filter shows in the partitions read."""
        keys = [row.key for row in self.oracle.visible(where, partitions)]
        deleted = self.collection.delete(filter=where.text, partitions=list(partitions))
        assert deleted == self.oracle.delete(keys, partitions), where.text

    def truncate(self) -> None:
        """Remove every row."""
        self.collection.truncate()
        self.oracle.truncate()
        self.moments.clear()

    # --- definitions ------------------------------------------------------------------

    def create(self) -> None:
        """Create the collection, empty."""
        self.db.create_collection(
            self.name, schema_of(self.key_type), metric=self.metric, dynamic=True
        )
        self.oracle = Oracle(counter=self.oracle.counter)
        self.index = ""
        self.moments.clear()

    def drop(self) -> None:
        """Drop the collection; an older handle knows, a new one begins empty."""
        stale = self.collection
        self.db.drop_collection(self.name)
        assert self.name not in self.db
        self.create()
        _refuses(stale)

    def rename(self) -> None:
        """Give the collection another name."""
        target = "other" if self.name == "rows" else "rows"
        self.db.rename_collection(self.name, target)
        self.name = target

    def create_partition(self, name: str) -> None:
        """Add a partition."""
        self.collection.create_partition(name)
        self.oracle.partitions.add(name)

    def drop_partition(self, name: str) -> None:
        """Drop a partition and its rows; moments before are not kept."""
        self.collection.drop_partition(name)
        self.oracle.drop_partition(name)
        self.moments.clear()

    def define_index(self, kind: str) -> None:
        """Replace the index by one of another kind."""
        self.drop_index()
        self.collection.create_index("vector", index_type=kind, params=INDEXES[kind])
        self.index = kind

    def drop_index(self) -> None:
        """Search exactly from now on."""
        if self.index:
            self.collection.drop_index("vector")
        self.index = ""

    # --- upkeep and time --------------------------------------------------------------

    def flush(self) -> None:
        """Write rows to files."""
        self.collection.flush()

    def compact(self) -> None:
        """Merge segments."""
        self.collection.compact()

    def optimize(self) -> None:
        """Merge segments and build indexes; nothing is left to do then."""
        self.collection.optimize()
        if self.scope is not EVERYWHERE:
            return  # others write meanwhile
        for entry in self.collection.describe_index():
            assert entry["state"] == "Finished", entry

    def pin(self) -> None:
        """Keep a snapshot, to be compared again later."""
        snapshot = self.collection.snapshot()
        self.pinned.append(Pinned(snapshot, self.oracle.copy(), self.metric))
        del self.pinned[:-3]

    def note_moment(self) -> None:
        """Remember what there is at the present timestamp, if compaction keeps it."""
        if not self.world.settings.history_s:
            return
        ts = self.collection.snapshot().ts
        self.moments = [m for m in self.moments if m[0] != ts][-5:]
        self.moments.append((ts, self.oracle.copy()))

    def reopen(self) -> None:
        """Close and open again."""
        self.pinned.clear()
        self.db.close()
        self.db = elanus.open(self.db.path, world=self.world)

    def crash(self) -> None:
        """Go on from the files as they lie, without a close."""
        self.pinned.clear()
        self.db._core.background.close()  # nothing may move while it is copied
        self.copies += 1
        left = self.db.path
        target = self.folder / f"db-{self.copies}"
        shutil.copytree(left, target, ignore=shutil.ignore_patterns("LOCK"))
        self.db.close()
        shutil.rmtree(left)
        self.db = elanus.open(target, world=self.world)

    def close(self) -> None:
        """Close the database."""
        self.pinned.clear()
        self.db.close()

    # --- comparing --------------------------------------------------------------------

    def read(self) -> Pinned:
        """The present, as something to compare."""
        return Pinned(self.collection, self.oracle, self.metric)

    def past(self) -> list[Pinned]:
        """Every moment that must still be readable, pinned or by timestamp."""
        core = self.collection
        engine = core._engine
        return self.pinned + [
            Pinned(
                Snapshot(core._core, engine, engine.pin().as_of(ts)),
                oracle,
                self.metric,
            )
            for ts, oracle in self.moments
        ]

    def compare_all(self, rng: np.random.Generator, where: Filter) -> None:
        """Compare the present and every remembered moment through all reads."""
        partitions = _some_partitions(rng, self.oracle)
        compare(self, self.read(), rng, where, partitions)
        for moment in self.past():
            compare(self, moment, rng, where, ())


def _some_partitions(rng: np.random.Generator, oracle: Oracle) -> list[str]:
    names = sorted(oracle.partitions)
    if len(names) == 1 or rng.random() < 0.5:
        return []
    return sorted(
        rng.choice(names, rng.integers(1, len(names)), replace=False).tolist()
    )


def _refuses(stale: Collection) -> None:
    """A handle of a dropped collection does nothing, and nothing to its successor."""
    calls = (
        stale.count,
        stale.truncate,
        stale.flush,
        lambda: stale.delete([1]),
        lambda: stale.create_partition("late"),
        stale.stats,
    )
    for call in calls:
        try:
            call()
        except elanus.ElanusError:
            continue
        raise AssertionError(f"{call} worked on a dropped collection")


def compare(
    harness: Harness,
    moment: Pinned,
    rng: np.random.Generator,
    where: Filter,
    partitions: Sequence[str],
) -> None:
    """Counts, queries, searches and iteration of one moment against its oracle."""
    scope = harness.scope
    both = Filter(
        f"{scope.text} and ({where.text})"
        if scope.text and where.text
        else scope.text or where.text,
        lambda v: scope.passes(v) and where.passes(v),
    )
    limits: dict[str, Any] = {"partitions": list(partitions)} if partitions else {}
    _compare_counts(moment, scope, both, partitions, limits)
    expected = moment.oracle.visible(both, partitions)
    _compare_query(moment.reader, rng, both.text, expected, limits)
    _compare_get(moment, rng, scope, partitions, limits)
    _compare_search(harness, moment, rng, both, partitions)
    _compare_iteration(moment.reader, both.text, expected, limits)


def _compare_counts(
    moment: Pinned,
    scope: Filter,
    both: Filter,
    partitions: Sequence[str],
    limits: dict[str, Any],
) -> None:
    reader, oracle = moment.reader, moment.oracle
    assert reader.count(scope.text) == oracle.count(scope)
    counted = reader.count(both.text, **limits)
    assert counted == oracle.count(both, partitions), both.text
    if scope is EVERYWHERE:
        assert len(reader) == len(oracle.rows)


def _compare_query(
    reader: Reader,
    rng: np.random.Generator,
    text: str,
    expected: list[Row],
    limits: dict[str, Any],
) -> None:
    found = reader.query(text, output_fields=["*", "color"], **limits)
    assert found.column("id").to_pylist() == [row.key for row in expected], text
    assert_rows(found, expected)
    limit, offset = int(rng.integers(1, 12)), int(rng.integers(0, 6))
    page = reader.query(text, limit=limit, offset=offset, **limits)
    wanted = [row.key for row in expected[offset : offset + limit]]
    assert page.column("id").to_pylist() == wanted, text


def _compare_get(
    moment: Pinned,
    rng: np.random.Generator,
    scope: Filter,
    partitions: Sequence[str],
    limits: dict[str, Any],
) -> None:
    rows = moment.oracle.visible(scope, partitions)
    if rows:
        chosen = rng.choice(len(rows), min(3, len(rows)), replace=False)
        wanted = [rows[i] for i in sorted(chosen.tolist())]
        found = moment.reader.get([r.key for r in wanted], **limits)
        assert_rows(found, wanted)
    gone: Key = "no such key" if rows and isinstance(rows[0].key, str) else 10**12
    if moment.reader.schema.primary.dtype is DataType.VARCHAR:
        gone = "no such key"
    assert moment.reader.get(gone, **limits).num_rows == 0


def _compare_search(
    harness: Harness,
    moment: Pinned,
    rng: np.random.Generator,
    where: Filter,
    partitions: Sequence[str],
) -> None:
    visible = moment.oracle.visible(where, partitions)
    rows = [row for row in visible if row.vector is not None]
    queries = rng.normal(size=(int(rng.integers(1, 3)), DIM)).astype(np.float32)
    limit, offset = int(rng.integers(1, 20)), int(rng.choice([0, 0, 3]))
    hits = moment.reader.search(
        queries,
        limit=limit,
        offset=offset,
        filter=where.text,
        partitions=list(partitions) or None,
        params=EFFORT.get(harness.index, {}),
        output_fields=["*", "color"],
    )
    sign = 1 if moment.metric == "L2" else -1
    by_key = {row.key: row for row in rows}
    for number, query in enumerate(queries):
        part = hits.filter(pa.compute.equal(hits.column("query"), number))
        keys = part.column("id").to_pylist()
        got = part.column("score").to_numpy()
        assert len(set(keys)) == len(keys)
        assert set(keys) <= by_key.keys(), where.text
        found = [by_key[key] for key in keys]
        assert_rows(part, found)
        vectors = np.stack([r.vector for r in rows]) if rows else np.empty((0, DIM))
        best = sign * np.sort(sign * scores(moment.metric, vectors, query))
        np.testing.assert_allclose(
            got, best[offset : offset + limit], rtol=1e-4, atol=1e-4, err_msg=where.text
        )
        if found:
            own = scores(moment.metric, np.stack([r.vector for r in found]), query)
            np.testing.assert_allclose(got, own, rtol=1e-4, atol=1e-4)


def _compare_iteration(
    reader: Reader, text: str, expected: list[Row], limits: dict[str, Any]
) -> None:
    tables = list(
        reader.iterate(text, batch_size=7, output_fields=["id", "topic"], **limits)
    )
    assert all(0 < table.num_rows <= 7 for table in tables)
    found = [row for table in tables for row in table.to_pylist()]
    if expected and isinstance(expected[0].key, str):
        found.sort(key=lambda row: row["id"])  # they come in the order of their hash
    wanted = [{"id": r.key, "topic": r.values["topic"]} for r in expected]
    assert found == wanted, text


def assert_rows(table: pa.Table, expected: list[Row]) -> None:
    """The table holds these rows, every value of them, in this order."""
    got = table.to_pylist()
    assert len(got) == len(expected)
    for values, row in zip(got, expected, strict=True):
        assert values["id"] == row.key
        if row.vector is None:
            assert values["vector"] is None
        else:
            np.testing.assert_array_equal(np.float32(values["vector"]), row.vector)
        for name in STORED:
            value = values[name]
            if name == "info" and value is not None:
                value = json.loads(value)
            assert value == row.values[name], name
        color = row.values["color"]
        assert json.loads(values["$meta"]) == ({"color": color} if color else {})
        assert values.get("color", color) == color
