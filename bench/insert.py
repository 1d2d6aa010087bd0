"""Acknowledged inserts: the rate of one writer, and what sixteen gain together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.figures import Figure
from bench.setup import BATCH, DIM, Setup, in_threads, ranked_schema, seconds

RATE_BAR = 100_000
GROUP_BAR = 8.0
WRITERS = 16
SYNC_S = 0.005
SMALL_DIM = 8
WRITES = 40


def measure(setup: Setup) -> list[Figure]:
    """Rows per second in batches of 1,000, and the gain of group commit."""
    return [_rate(setup), _group_commit(setup)]


def _rate(setup: Setup) -> Figure:
    parts = list(setup.batches())
    with setup.open("insert.db") as db:
        docs = db.create_collection("docs", schema=ranked_schema())

        def insert() -> None:
            for number, part in enumerate(parts):
                rows = np.arange(number * BATCH, number * BATCH + len(part))
                docs.insert({"id": rows, "vector": part, "rank": rows})

        rate = setup.scale.rows / seconds(insert)
    bare = setup.scale.rows / seconds(lambda: _bare(setup.folder / "bare.bin", parts))
    return Figure(
        "insert",
        f"{DIM} dimensions, batches of {BATCH:,}, each synced",
        rate,
        "rows/s",
        RATE_BAR,
        note=f"write and fdatasync of the vectors alone {bare:,.0f}/s",
        comparable=setup.scale.is_full,
    )


def _bare(path: Path, parts: list[np.ndarray]) -> None:
    """The same bytes as fast as the disk takes them, one sync per batch."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        for part in parts:
            os.write(descriptor, part)
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()


@contextmanager
def _slow_syncs() -> Iterator[None]:
    """Every sync of this process takes 5 ms longer, as on a slow disk."""
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync")}

    def slowed(sync: Callable[[int], None]) -> Callable[[int], None]:
        def sync_slowly(descriptor: int) -> None:
            time.sleep(SYNC_S)
            sync(descriptor)

        return sync_slowly

    for name, sync in real.items():
        setattr(os, name, slowed(sync))
    try:
        yield
    finally:
        for name, sync in real.items():
            setattr(os, name, sync)


def _group_commit(setup: Setup) -> Figure:
    with setup.open("group.db") as db:
        docs = db.create_collection("docs", schema=ranked_schema(SMALL_DIM))
        with _slow_syncs():
            alone = _writes_per_s(docs, 1, 0)
            together = _writes_per_s(docs, WRITERS, 1)
    return Figure(
        "insert",
        f"{WRITERS} writers against one, 5 ms added to each sync",
        together / alone,
        "×",
        GROUP_BAR,
        note=f"{together:,.0f} writes/s against {alone:,.0f}",
        comparable=setup.scale.is_full,
    )


def _writes_per_s(docs: Any, writers: int, series: int) -> float:
    """Acknowledged one-row inserts per second."""
    vector = np.ones((1, SMALL_DIM), np.float32)

    def work(writer: int) -> None:
        for number in range(WRITES):
            row = (series * WRITERS + writer) * WRITES + number
            docs.insert({"id": [row], "vector": vector, "rank": [row]})

    return writers * WRITES / in_threads(writers, work)
