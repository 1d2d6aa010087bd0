"""Crashes while fields come and go, and while a partition key spreads rows."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import elanus
from elanus.app import check_database
from elanus.embedded.database import Database
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from faults.workload import abandon, columns_of, open_plain, plain_world, unnamed_files
from storage.faults import FaultStore, SimulatedCrash

SAMPLES = 30
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("value", DataType.INT64, is_partition_key=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
]
PAGES = FieldSchema("pages", DataType.INT64, nullable=True)
TONGUE = FieldSchema(
    "tongue", DataType.VARCHAR, max_length=9, nullable=True, default="en"
)
Act = Callable[[Database], object]


def _rows(keys: range, **more: Any) -> dict[str, Any]:
    data = columns_of(keys, 0, is_text=False)
    data["value"] = [key % 7 for key in keys]
    return {**data, **{name: [value] * len(keys) for name, value in more.items()}}


def _create(db: Database) -> None:
    db.create_collection("docs", FIELDS, metric="L2", partitions=4)


def _upsert_elsewhere(db: Database) -> None:
    """Every row changes its key, and mostly its partition."""
    data = _rows(range(5, 30), pages=4)
    data["value"] = [value + 1 for value in data["value"]]
    db["docs"].upsert(data)


LIFE: list[Act] = [
    _create,
    lambda db: db["docs"].insert(_rows(range(20))),
    lambda db: db["docs"].flush(),
    lambda db: db["docs"].insert(_rows(range(20, 40))),
    lambda db: db["docs"].add_field(PAGES),
    lambda db: db["docs"].insert(_rows(range(40, 50), pages=3)),
    lambda db: db["docs"].add_field(TONGUE),
    _upsert_elsewhere,
    lambda db: db["docs"].flush(),
    lambda db: db["docs"].insert(_rows(range(50, 60), tongue="it")),
    lambda db: db["docs"].drop_field("pages"),
    lambda db: db["docs"].insert(_rows(range(60, 70), tongue="fr")),
    lambda db: db["docs"].delete(filter="value == 3"),
    lambda db: db["docs"].set_ttl(1_000_000),
    lambda db: db["docs"].optimize(),
    lambda db: db["docs"].add_field(PAGES),
    lambda db: db["docs"].insert(_rows(range(70, 75), pages=9, tongue="la")),
]


def _seen(db: Database) -> Any:
    if "docs" not in db:
        return None
    docs = db["docs"]
    names = [field.name for field in docs.schema.fields if field.name != "vector"]
    return {
        "fields": [(field.name, field.id) for field in docs.schema.fields],
        "rows": docs.query(output_fields=names).to_pylist(),
        "by partition": {
            name: docs.query(partitions=[name])["id"].to_pylist()
            for name in docs.partitions
        },
        "english": docs.count("tongue == 'en'") if "tongue" in names else None,
        "unknown": docs.count("pages is null") if "pages" in names else None,
        "ttl": docs._engine.definition.ttl_s,
    }


def _states(folder: Path) -> list[Any]:
    """What is seen after each operation, that of nothing first."""
    with open_plain(folder) as db:
        states = [_seen(db)]
        for act in LIFE:
            act(db)
            states.append(_seen(db))
    return states


def _live(store: FaultStore) -> int:
    """How many operations were done before a crash, or all."""
    done, db = 0, None
    try:
        db = elanus.open(store.root, world=plain_world(lambda *_: store, store.step))
        for act in LIFE:
            act(db)
            done += 1
        db.close()
    except SimulatedCrash:
        if db is not None:
            abandon(db)
    return done


def _crash_at(step: int, folder: Path, states: list[Any]) -> None:
    store = FaultStore(folder / "live", seed=step, crash_at=step)
    done = _live(store)
    allowed = states[done : done + 2]
    lost = folder / "lost"
    store.materialise(lost, random.Random(step))
    for root in (lost, folder / "live"):
        with open_plain(root) as db:
            found = _seen(db)
            assert found in allowed, f"step {step}, after operation {done}"
            assert unnamed_files(db) == [], step
            rest = LIFE[done if found == states[done] else done + 1 :]
            for act in rest:
                act(db)
            assert _seen(db) == states[-1], step
        assert check_database(root, lambda name: None) == [], step
        shutil.rmtree(root)


def _steps(folder: Path) -> int:
    store = FaultStore(folder)
    assert _live(store) == len(LIFE)
    return store.steps


def test_every_change_is_seen_as_it_was_before_a_restart(quick: Path) -> None:
    """After each operation, closing and opening again changes nothing."""
    states = _states(quick / "once")
    assert states[1] != states[2]
    for act, state in zip(LIFE, states[1:], strict=True):
        with open_plain(quick / "db") as db:
            act(db)
            assert _seen(db) == state
        with open_plain(quick / "db") as db:
            assert _seen(db) == state


def test_a_crash_leaves_a_schema_change_done_or_not_done(quick: Path) -> None:
    """At an even sample of all steps, and what is left to do can be done then."""
    states = _states(quick / "once")
    steps = _steps(quick / "whole")
    for step in range(1, steps, max(1, steps // SAMPLES)):
        _crash_at(step, quick, states)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_crash_at_every_step_leaves_it_done_or_not_done(quick: Path) -> None:
    """The same at every step."""
    states = _states(quick / "once")
    for step in range(1, _steps(quick / "whole") + 1):
        _crash_at(step, quick, states)
