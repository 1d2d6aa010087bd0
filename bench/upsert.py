"""Upserts of random keys in a large collection against those in a small one."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from bench.figures import Figure
from bench.setup import BATCH, Setup, ranked_schema, seconds

BAR = 0.8
DIM = 8
LOAD_BATCH = 10_000
BATCHES_PER_ROUND = 50


def measure(setup: Setup) -> list[Figure]:
    """Both rates, measured in turns in one process, as a ratio."""
    scale = setup.scale
    rng = np.random.default_rng(4)
    with setup.open("many.db") as large, setup.open("few.db") as small:
        many = _loaded(large, scale.many_rows, rng)
        few = _loaded(small, scale.few_rows, rng)
        rates: dict[int, list[float]] = {scale.many_rows: [], scale.few_rows: []}
        for _ in range(scale.repeats):
            for docs, rows in ((many, scale.many_rows), (few, scale.few_rows)):
                rates[rows].append(_rate(docs, rows, rng))
    slow, fast = median(rates[scale.many_rows]), median(rates[scale.few_rows])
    return [
        Figure(
            "upsert",
            f"random keys at {scale.many_rows:,} rows against {scale.few_rows:,}",
            slow / fast,
            "×",
            BAR,
            note=f"{slow:,.0f} rows/s against {fast:,.0f}, batches of {BATCH:,}",
            comparable=scale.is_full,
        )
    ]


def _columns(keys: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    vectors = rng.random((len(keys), DIM), np.float32)
    return {"id": keys, "vector": vectors, "rank": keys}


def _loaded(db: Any, rows: int, rng: np.random.Generator) -> Any:
    docs = db.create_collection("docs", schema=ranked_schema(DIM))
    for start in range(0, rows, LOAD_BATCH):
        docs.insert(_columns(np.arange(start, min(start + LOAD_BATCH, rows)), rng))
    docs.optimize()
    return docs


def _rate(docs: Any, rows: int, rng: np.random.Generator) -> float:
    batches = [
        _columns(rng.choice(rows, BATCH, replace=False), rng)
        for _ in range(BATCHES_PER_ROUND)
    ]
    return (
        BATCHES_PER_ROUND * BATCH / seconds(lambda: [docs.upsert(b) for b in batches])
    )
