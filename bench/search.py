"""Search over an HNSW graph against the bare library, with one thread and with two."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import faiss
import numpy as np

from bench.figures import Figure
from bench.setup import DIM, HNSW, LIMIT, SEARCH, Setup, in_threads, indexed, recall

BAR = 0.8
Search = Callable[[np.ndarray], Any]


def measure(setup: Setup) -> list[Figure]:
    """Queries per second as a ratio to faiss at the same parameters, in turns."""
    vectors, queries = setup.vectors(), setup.queries()
    bare = _bare_search(vectors)
    with setup.open("search.db") as db:
        docs, _ = indexed(setup, db)
        ours = _our_search(docs)
        found = np.stack([ours(q)["id"].to_numpy() for q in queries])
        beside = np.stack([bare(q) for q in queries])
        true = _exact(vectors, queries)
        figures = [_compare(setup, queries, ours, bare, threads) for threads in (1, 2)]
    figures.append(
        Figure(
            "search",
            f"recall@{LIMIT} at ef={SEARCH['ef']}",
            recall(found, true),
            "",
            note=f"faiss {recall(beside, true):.3f}",
        )
    )
    return figures


def _compare(
    setup: Setup, queries: np.ndarray, ours: Search, bare: Search, threads: int
) -> Figure:
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(setup.scale.repeats):
        for name, search in (("ours", ours), ("bare", bare)):
            rates[name].append(_rate(search, queries, threads))
    our_rate, bare_rate = median(rates["ours"]), median(rates["bare"])
    plural = "s" if threads > 1 else ""
    return Figure(
        "search",
        f"HNSW, {threads} thread{plural}, one query a call",
        our_rate / bare_rate,
        "×",
        BAR,
        note=f"{our_rate:,.0f}/s; bare faiss {bare_rate:,.0f}/s",
        comparable=setup.scale.is_full,
    )


def _rate(search: Search, queries: np.ndarray, threads: int) -> float:
    def work(number: int) -> None:
        faiss.omp_set_num_threads(1)
        for query in queries[number::threads]:
            search(query)

    return len(queries) / in_threads(threads, work)


def _our_search(docs: Any) -> Search:
    def search(query: np.ndarray) -> Any:
        return docs.search(query, limit=LIMIT, params=SEARCH)

    return search


def _bare_search(vectors: np.ndarray) -> Search:
    """A faiss graph with the parameters of the collection's."""
    index = faiss.IndexHNSWFlat(DIM, HNSW["M"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = HNSW["efConstruction"]
    faiss.omp_set_num_threads(2)
    index.add(vectors)
    faiss.omp_set_num_threads(1)
    params = faiss.SearchParametersHNSW(efSearch=SEARCH["ef"])

    def search(query: np.ndarray) -> np.ndarray:
        return index.search(query[None], LIMIT, params=params)[1][0]

    return search


def _exact(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    return flat.search(queries, LIMIT)[1]
