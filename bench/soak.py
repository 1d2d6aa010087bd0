"""A long run of inserts, deletes, upserts and searches that must not grow."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.figures import Figure
from bench.footprint import MIB, folder_bytes, tree_memory
from bench.setup import BATCH, LIMIT, Setup, ranked_schema
from examples import sentences

LIVE_BATCHES = 20
SAMPLE_S = 0.5
# The second quarter is the yardstick: caches are warm, and a leak has yet to show.
BARS = {"memory": 1.15, "disk": 1.25, "file descriptors": 1.15}


@dataclass(frozen=True)
class Sample:
    """What the process held at one moment, in bytes; ``descriptors`` is a count."""

    memory: int
    disk: int
    descriptors: int


def measure(setup: Setup) -> list[Figure]:
    """The largest of the last quarter against the largest of the second quarter."""
    with setup.open("soak.db") as db:
        docs = db.create_collection("docs", schema=ranked_schema())
        docs.create_index("vector", index_type="HNSW", metric="COSINE")
        samples, cycles = _run(setup, docs)
        live = docs.count()
    assert live == LIVE_BATCHES * BATCH, f"{live} rows, not {LIVE_BATCHES * BATCH}"
    series = {
        "memory": [s.memory / MIB for s in samples],
        "disk": [s.disk / MIB for s in samples],
        "file descriptors": [float(s.descriptors) for s in samples],
    }
    return [_figure(setup, name, values, cycles) for name, values in series.items()]


def _figure(setup: Setup, name: str, values: list[float], cycles: int) -> Figure:
    quarter = len(values) // 4
    second, last = max(values[quarter : 2 * quarter]), max(values[-quarter:])
    return Figure(
        "soak",
        f"{name}, last quarter against second",
        last / second,
        "×",
        BARS[name],
        at_least=False,
        note=f"{last:,.0f} against {second:,.0f}"
        f"{'' if name == 'file descriptors' else ' MiB'}; {setup.scale.soak_s:,.0f} s, "
        f"{cycles:,} cycles",
        comparable=setup.scale.is_full,
    )


def _run(setup: Setup, docs: Any) -> tuple[list[Sample], int]:
    """Turn over a window of rows until the time is up; samples and cycles."""
    real = sentences.load().vectors
    folder = setup.folder / "soak.db"
    begin = time.perf_counter()
    samples: list[Sample] = []
    cycle = 0
    while cycle < LIVE_BATCHES or time.perf_counter() - begin < setup.scale.soak_s:
        _turn(docs, cycle, sentences.mixed(real, BATCH, seed=cycle))
        cycle += 1
        if time.perf_counter() - begin > SAMPLE_S * len(samples):
            descriptors = len(os.listdir("/proc/self/fd"))
            samples.append(Sample(tree_memory()[0], folder_bytes(folder), descriptors))
    return samples, cycle


def _turn(docs: Any, cycle: int, vectors: np.ndarray) -> None:
    """Insert a batch, delete the oldest, upsert every second row of one, search."""
    keys = np.arange(cycle * BATCH, (cycle + 1) * BATCH)
    docs.insert({"id": keys, "vector": vectors, "rank": keys})
    oldest = cycle - LIVE_BATCHES
    if oldest >= 0:
        docs.delete(filter=f"{oldest * BATCH} <= rank < {(oldest + 1) * BATCH}")
    changed = keys[::2]
    docs.upsert({"id": changed, "vector": vectors[1::2], "rank": changed})
    for query in vectors[:20]:
        hits = docs.search(query, limit=LIMIT, filter=f"rank >= {keys[0]}")
        assert hits.num_rows == LIMIT and min(hits["id"].to_pylist()) >= keys[0]
