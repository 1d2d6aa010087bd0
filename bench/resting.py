"""What collections cost that nobody uses: memory, a start, a list of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np

from bench.figures import Figure
from bench.setup import Setup
from elanus.app import World, open_database
from elanus.config import Settings
from elanus.database.creation import NewCollection
from elanus.database.database import Database
from elanus.database.databases import create_database
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

MEMORY_BAR_KB = 20.0
OPEN_BAR_S = 3.0
DIM = 128
PER_DATABASE = 10
FILLED_EVERY = 10
ROWS = 10
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("color", DataType.VARCHAR, max_length=64),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)
OPEN = """
import json, sys, time
from pathlib import Path
import psutil
from elanus.app import open_database
before = psutil.Process().memory_info().rss
begin = time.perf_counter()
opened = open_database(Path(sys.argv[1]))
opened_s = time.perf_counter() - begin
live = opened.database.collections()
time.sleep(1.0)
rss = psutil.Process().memory_info().rss - before
begin = time.perf_counter()
count = live[0].count(live[0].pin(), __import__(
    "elanus.engine.read.plan", fromlist=["QueryRequest"]).QueryRequest())
first_s = time.perf_counter() - begin
print(json.dumps([opened_s, rss, len(live), count, first_s]))
opened.close()
"""


def measure(setup: Setup) -> list[Figure]:
    """Create them in many databases, a tenth with flushed rows, and start anew."""
    number = setup.scale.collections
    create_ms = _create(setup, number)
    opened_s, rss, found, rows, first_s = _open(setup)
    assert (found, rows) == (number, ROWS), (found, rows)
    what = f"{number:,} collections in {number // PER_DATABASE:,} databases"
    full = setup.scale.is_full
    return [
        Figure(
            "resting",
            f"start with {what}",
            opened_s,
            "s",
            OPEN_BAR_S,
            at_least=False,
            note=f"{create_ms:.1f} ms each to create; the first use of one "
            f"{first_s * 1e3:.0f} ms",
            comparable=full,
        ),
        Figure(
            "resting",
            "memory of each",
            rss / number / 1024,
            "KiB",
            MEMORY_BAR_KB,
            at_least=False,
            comparable=full,
        ),
    ]


def _create(setup: Setup, number: int) -> float:
    settings = Settings(max_databases=number)
    opened = open_database(setup.folder / "resting.db", World(settings=settings))
    begin = time.perf_counter()
    for i in range(number):
        if i % PER_DATABASE == 0:
            create_database(opened.database, _database(i), {})
        new = NewCollection(f"docs_{i}", SCHEMA, dynamic=True, database=_database(i))
        collection = opened.database.create_collection(new)
        if i % FILLED_EVERY == 0:
            collection.insert(_rows(i), "_default")
            _flush(opened.database, i)
    created_s = time.perf_counter() - begin
    opened.close()
    return created_s / number * 1e3


def _database(i: int) -> str:
    return f"tenant_{i // PER_DATABASE}"


def _rows(seed: int) -> dict[str, object]:
    vectors = np.random.default_rng(seed).random((ROWS, DIM), np.float32)
    return {"id": np.arange(ROWS), "color": ["red"] * ROWS, "vector": vectors}


def _flush(database: Database, i: int) -> None:
    database.flush(database.directory.resolve(f"docs_{i}", _database(i)))


def _open(setup: Setup) -> list[float]:
    folder = str(setup.folder / "resting.db")
    output = subprocess.run(
        [sys.executable, "-c", OPEN, folder], check=True, capture_output=True, text=True
    ).stdout
    return list(json.loads(output))
