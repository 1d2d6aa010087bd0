"""Rows that say themselves until when they are seen; fields of points in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elanus
from elanus.app import World
from elanus.embedded.collection import Collection
from elanus.engine.write.jobs import InlineLauncher
from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from model.worlds import TINY, no_background_threads, quick_folder

START = datetime(2025, 6, 1, tzinfo=UTC)
FIELDS = (
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("until", DataType.TIMESTAMPTZ, nullable=True),
    FieldSchema("batch", DataType.INT64, nullable=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
)


class Clock:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        return int(self.now.timestamp() * 1000)

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until it is moved."""
    return Clock()


@pytest.fixture
def docs(tmp_path: Path, clock: Clock) -> Iterator[Collection]:
    """A collection whose rows are seen up to their ``until``."""
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=world_of(clock)) as db,
    ):
        found = db.create_collection("docs", FIELDS)
        found.set_ttl(field="until")
        yield found


def world_of(clock: Callable[[], int], **changes: Any) -> World:
    """Tiny segments, jobs in the calling thread."""
    return World(
        settings=replace(TINY, **changes),
        now_ms=clock,
        make_launcher=lambda store, root: InlineLauncher(store),
        seed=0,
    )


def moment(seconds: float | None) -> datetime | None:
    """So many seconds after :data:`START`."""
    return None if seconds is None else START + timedelta(seconds=seconds)


def fill(docs: Collection, untils: list[float | None], start: int = 0) -> None:
    """A row for each, seen for so many seconds from :data:`START`."""
    n_rows = len(untils)
    docs.insert(
        {
            "id": list(range(start, start + n_rows)),
            "until": [moment(until) for until in untils],
            "vector": np.eye(4, dtype=np.float32)[np.arange(n_rows) % 4],
        }
    )


def seen(docs: Collection) -> list[int]:
    """The keys that every way of reading shows."""
    ids: list[int] = docs.query(output_fields=["id"]).column("id").to_pylist()
    assert len(docs) == docs.count() == len(ids)
    assert docs.query("id >= 0", output_fields=["id"]).column("id").to_pylist() == ids
    hits = docs.search(np.ones(4, np.float32), limit=100).column("id").to_pylist()
    assert sorted(hits) == ids
    filtered = docs.search(np.ones(4, np.float32), limit=100, filter="id >= 0")
    assert sorted(filtered.column("id").to_pylist()) == ids
    assert docs.get(list(range(60))).column("id").to_pylist() == ids
    walked = [table.column("id").to_pylist() for table in docs.iterate(batch_size=3)]
    assert [key for keys in walked for key in keys] == ids
    return ids


def test_rows_are_seen_while_their_time_lies_ahead(
    docs: Collection, clock: Clock
) -> None:
    """In memory, on files and in both; a row without one is seen for ever."""
    fill(docs, [5, None, -1, 0, 10])
    assert seen(docs) == [0, 1, 4]
    docs.flush()
    fill(docs, [5.5, None, 20], start=10)
    assert seen(docs) == [0, 1, 4, 10, 11, 12]
    clock.after(5)
    assert seen(docs) == [1, 4, 10, 11, 12]
    clock.after(0.5)
    assert seen(docs) == [1, 4, 11, 12]
    clock.after(1_000_000)
    assert seen(docs) == [1, 11]


def test_another_field_none_or_an_age(docs: Collection, clock: Clock) -> None:
    """A change acts at once, and what is not removed yet can be seen again."""
    fill(docs, [5, None, 10])
    docs.flush()
    clock.after(7)
    assert seen(docs) == [1, 2]
    docs.set_ttl(field="")
    assert seen(docs) == [0, 1, 2]
    docs.set_ttl(6)
    assert seen(docs) == []
    with pytest.raises(InvalidParameter, match="collection TTL is already set"):
        docs.set_ttl(field="until")


def test_what_cannot_be(docs: Collection) -> None:
    """Other fields, both ways at once, or to drop the field."""
    with pytest.raises(InvalidParameter, match="ttl field is already exists"):
        docs.set_ttl(5)
    with pytest.raises(InvalidParameter, match="must be timestamptz, field name = bat"):
        docs.set_ttl(field="batch")
    with pytest.raises(InvalidParameter, match="field name nope not found in schema"):
        docs.set_ttl(field="nope")
    with pytest.raises(InvalidParameter, match="referenced by collection property"):
        docs.drop_field("until")
    with pytest.raises(InvalidParameter, match="unknown or invalid IANA"):
        docs.set_timezone("Mars/Olympus")


def test_updates_renew_shorten_and_keep_the_time(
    docs: Collection, clock: Clock
) -> None:
    """An upsert brings its own; a partial update without the field leaves it."""
    fill(docs, [5, 5, 5, None])
    docs.flush()
    later = START + timedelta(seconds=20)
    docs.upsert({"id": [0], "until": [later], "vector": np.ones((1, 4))})
    docs.upsert({"id": [3], "until": [START], "vector": np.ones((1, 4))})
    docs.upsert({"id": [1], "batch": [7]}, partial=True)
    docs.upsert({"id": [2], "until": ["2025-06-01 00:00:20"]}, partial=True)
    assert seen(docs) == [0, 1, 2]
    clock.after(6)
    assert seen(docs) == [0, 2]
    with pytest.raises(InvalidParameter, match="vector"):
        docs.upsert(
            {"id": [1], "batch": [8]}, partial=True
        )  # its row is gone, so this is a new one
    fill(docs, [100], start=1)
    assert seen(docs) == [0, 1, 2]


def test_a_field_that_came_later(docs: Collection, clock: Clock) -> None:
    """Rows from before have its default, or none and are seen for ever."""
    fill(docs, [None, None])
    docs.flush()
    docs.add_field(
        FieldSchema(
            "end",
            DataType.TIMESTAMPTZ,
            nullable=True,
            default="2025-06-01T00:00:05Z",
        )
    )
    docs.set_ttl(field="end")
    assert seen(docs) == [0, 1]
    clock.after(5)
    assert seen(docs) == []
    docs.set_ttl(field="until")
    assert seen(docs) == [0, 1]


def test_only_a_compaction_removes_what_has_expired(
    tmp_path: Path, clock: Clock
) -> None:
    """One that is asked for, at once; in the background, after a while."""
    world = world_of(clock, expired_s=100)
    with (
        no_background_threads(),
        elanus.open(tmp_path / "a.db", world=world) as db,
    ):
        docs = db.create_collection("docs", FIELDS)
        docs.set_ttl(field="until")
        fill(docs, [5] * 30)
        docs.flush()
        clock.after(50)
        assert seen(docs) == []
        work = db._core.background
        assert work.next_action(docs._engine, eager=False) is None
        docs.set_ttl(field="")
        assert len(seen(docs)) == 30
        docs.set_ttl(field="until")
        clock.after(100)
        assert work.next_action(docs._engine, eager=False) is not None
        docs.optimize()
        docs.set_ttl(field="")
        assert seen(docs) == []
        assert docs.stats()["segments"] == []


def test_it_lasts(tmp_path: Path, clock: Clock) -> None:
    """After a restart the same rows are seen, from the log and from files."""
    with elanus.open(tmp_path / "a.db", world=world_of(clock)) as db:
        docs = db.create_collection("docs", FIELDS)
        docs.set_ttl(field="until")
        docs.set_timezone("Asia/Shanghai")
        fill(docs, [5, None])
        docs.flush()
        fill(docs, [5, None], start=10)
    clock.after(5)
    with elanus.open(tmp_path / "a.db", world=world_of(clock)) as db:
        assert seen(db["docs"]) == [1, 11]
        row = {"id": [5], "until": ["2030-01-01 08:00:00"], "vector": np.ones((1, 4))}
        db["docs"].insert(row)
        found = db["docs"].query("until > ISO '2030-01-01 07:59:59'")
        assert found.column("id").to_pylist() == [5]


UNTILS = st.lists(st.none() | st.integers(-3, 12), min_size=1, max_size=8)
STEPS = st.lists(
    st.tuples(st.sampled_from(["insert", "upsert", "flush", "merge"]), UNTILS),
    max_size=8,
)


@settings(max_examples=15)
@given(STEPS)
def test_the_same_as_a_plain_filter(steps: list[tuple[str, list[int | None]]]) -> None:
    """Whatever was done, rows are seen whose time lies ahead."""
    clock = Clock()
    with (
        quick_folder() as folder,
        no_background_threads(),
        elanus.open(folder / "a.db", world=world_of(clock)) as db,
    ):
        docs = db.create_collection("docs", FIELDS)
        docs.set_ttl(field="until")
        model: dict[int, int | None] = {}
        for second, (step, untils) in enumerate(steps):
            if step == "insert":
                start = max(model, default=-1) + 1
                fill(docs, list(untils), start=start)
                model.update(enumerate(untils, start))
            elif step == "upsert":
                ends = [
                    u if u is None else START + timedelta(seconds=u) for u in untils
                ]
                vectors = np.ones((len(untils), 4))
                ids = list(range(len(untils)))
                docs.upsert({"id": ids, "until": ends, "vector": vectors})
                model.update(enumerate(untils))
            else:
                docs.flush() if step == "flush" else docs.optimize()
            for _ in range(2):
                now = (clock.now - START).total_seconds()
                ahead = [k for k, u in sorted(model.items()) if u is None or u > now]
                assert seen(docs) == ahead, second
                clock.after(0.5)


def test_points_in_time_come_back_as_arrow_has_them(docs: Collection) -> None:
    """To the microsecond, with nulls, ordered, from searches and queries alike."""
    docs.set_ttl(field="")
    moments = [
        datetime(2030, 1, 1, 12, 30, 1, 123456, tzinfo=UTC),
        None,
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]
    docs.insert({"id": [1, 2, 3], "until": moments, "vector": np.ones((3, 4))})
    for _ in range(2):
        table = docs.query(output_fields=["until"], order_by="until:asc")
        assert table.schema.field("until").type == pa.timestamp("us", "UTC")
        assert table.column("until").to_pylist() == [moments[2], moments[0], None]
        hits = docs.search(np.ones(4, np.float32), output_fields=["until"])
        assert hits.column("until").to_pylist() == moments
        found = docs.query("until == ISO '2030-01-01T12:30:01.123456Z'")
        assert found.column("id").to_pylist() == [1]
        groups = docs.search(
            np.ones(4, np.float32), group_by="until", output_fields=["until"]
        )
        assert groups.num_rows == 3
        again = docs.query(output_fields=["id", "until", "vector"])
        docs.upsert(again)
        docs.optimize()
