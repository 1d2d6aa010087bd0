"""Filtered search at four selectivities, a different literal in each filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.figures import Figure
from bench.setup import LIMIT, SEARCH, Setup, in_threads, indexed, recall

SELECTIVITIES = (0.5, 0.1, 0.01, 0.001)
RATE_BAR = 2_000
RECALL_BAR = 0.99


def measure(setup: Setup) -> list[Figure]:
    """Queries per second of one thread and of two, and recall, at each selectivity."""
    vectors, queries = setup.vectors(), setup.queries()
    with setup.open("filtered.db") as db:
        docs, rank = indexed(setup, db)
        figures = []
        for share in SELECTIVITIES:
            case = _Case(setup, docs, queries, max(LIMIT, round(len(rank) * share)))
            figures += case.figures(share, vectors, rank)
    return figures


class _Case:
    """Searches whose filter lets ``width`` rows pass, each time others."""

    def __init__(
        self, setup: Setup, docs: Any, queries: np.ndarray, width: int
    ) -> None:
        self._setup = setup
        self._docs = docs
        self._queries = queries
        self._width = width
        # Distinct within a pass and between passes, as no cache may help.
        rng = np.random.default_rng(width)
        wanted = (len(queries) + 1) * (2 * setup.scale.repeats + 1)
        self._starts = iter(rng.integers(0, setup.scale.rows - width + 1, wanted))

    def figures(
        self, share: float, vectors: np.ndarray, rank: np.ndarray
    ) -> list[Figure]:
        """Two rates and the recall of one selectivity."""
        repeats = range(self._setup.scale.repeats)
        found = self._recall(vectors, rank)
        one = float(np.median([self._rate(1) for _ in repeats]))
        two = float(np.median([self._rate(2) for _ in repeats]))
        label = f"{share:.1%} of the rows pass"
        full = self._setup.scale.is_full
        return [
            Figure(
                "filtered search",
                f"{label}: rate",
                two,
                "queries/s",
                RATE_BAR,
                note=f"2 threads; 1 thread {one:,.0f}/s",
                comparable=full,
            ),
            Figure(
                "filtered search",
                f"{label}: recall@{LIMIT}",
                found,
                "",
                RECALL_BAR,
                note=f"ef={SEARCH['ef']} as a floor; exact search over what passes",
                comparable=full,
            ),
        ]

    def _search(self, query: np.ndarray, start: int) -> np.ndarray:
        hits = self._docs.search(
            query,
            limit=LIMIT,
            filter=f"{start} <= rank < {start + self._width}",
            params=SEARCH,
        )
        return hits["id"].to_numpy()

    def _rate(self, threads: int) -> float:
        starts = [int(next(self._starts)) for _ in self._queries]
        pairs = list(zip(self._queries, starts, strict=True))

        def work(number: int) -> None:
            for query, start in pairs[number::threads]:
                self._search(query, start)

        return len(pairs) / in_threads(threads, work)

    def _recall(self, vectors: np.ndarray, rank: np.ndarray) -> float:
        row_of_rank = np.argsort(rank)
        found, true = [], []
        for query in self._queries:
            start = int(next(self._starts))
            found.append(self._search(query, start))
            rows = row_of_rank[start : start + self._width]
            nearest = np.argsort(-(vectors[rows] @ query), kind="stable")[:LIMIT]
            true.append(rows[nearest])
        return recall(np.stack(found), np.stack(true))
