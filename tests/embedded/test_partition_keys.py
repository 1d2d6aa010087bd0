"""Rows spread by a partition key, compared with a plain dictionary."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.app import World
from elanus.config import Settings
from elanus.embedded.database import Database
from elanus.engine.write.jobs import InlineLauncher
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

TINY = Settings(growing_bytes=4_000, index_rows=32, merge_factor=2, worker_threads=1)
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("tenant", DataType.VARCHAR, max_length=9, is_partition_key=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
]
STEPS = 80


def _open(folder: Path) -> Database:
    world = World(
        settings=TINY,
        make_launcher=lambda store, root: InlineLauncher(store),
        background=False,
    )
    return elanus.open(folder, world=world)


def _columns(ids: list[int], tenants: list[str]) -> dict[str, object]:
    vectors = np.array([[i, 1] for i in ids], np.float32)
    return {"id": ids, "tenant": tenants, "vector": vectors}


def _check(db: Database, model: dict[int, str]) -> None:
    docs = db["docs"]
    rows = docs.query(output_fields=["tenant"])
    found = zip(rows["id"].to_pylist(), rows["tenant"].to_pylist(), strict=True)
    assert list(found) == sorted(model.items())
    for tenant in ("t0", "t3"):
        wanted = sorted(i for i, t in model.items() if t == tenant)
        allowed = docs.query(f"tenant == '{tenant}'")["id"].to_pylist()
        assert allowed == wanted
        hits = docs.search([1, 1], limit=200, filter=f"tenant == '{tenant}'")
        assert sorted(hits["id"].to_pylist()) == wanted
    place: dict[str, str] = {}
    for name in docs.partitions:
        shown = docs.query(partitions=[name], output_fields=["tenant"])
        for tenant in set(shown["tenant"].to_pylist()):
            assert place.setdefault(tenant, name) == name


@pytest.mark.parametrize("seed", range(3))
def test_it_shows_what_a_dictionary_holds(tmp_path: Path, seed: int) -> None:
    """Whatever is written: keys again, in one batch too, with another tenant."""
    rng = random.Random(seed)
    db = _open(tmp_path / "db")
    db.create_collection("docs", FIELDS, metric="L2", partitions=5)
    model: dict[int, str] = {}
    for _ in range(STEPS):
        docs = db["docs"]
        act = rng.choice(
            ["insert"] * 4 + ["upsert"] * 3 + ["delete", "flush", "reopen"]
        )
        ids = [rng.randrange(60) for _ in range(rng.randrange(1, 25))]
        if act == "upsert":
            ids = sorted(set(ids))
        tenants = [f"t{rng.randrange(7)}" for _ in ids]
        if act in ("insert", "upsert"):
            getattr(docs, act)(_columns(ids, tenants))
            model.update(zip(ids, tenants, strict=True))
        elif act == "delete":
            docs.delete(ids[:5])
            model = {i: t for i, t in model.items() if i not in ids[:5]}
        elif act == "flush":
            rng.choice([docs.flush, docs.compact])()
        else:
            db.close()
            db = _open(tmp_path / "db")
        _check(db, model)
    db.close()
