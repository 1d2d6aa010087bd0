"""Lists of vectors compared with lists, against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from elanus.distance import lists as module
from elanus.distance.block import block_of
from elanus.distance.kernels import prepared_queries
from elanus.distance.metrics import Metric
from elanus.schema.vector_lists import VectorLists, concat_lists

WIDTH = 8


def random_lists(rng: np.random.Generator, dtype: Any, lengths: Any) -> VectorLists:
    """Lists of so many vectors each, in the middle of a larger matrix."""
    total = int(np.sum(lengths))
    if dtype == np.uint8:
        matrix = rng.integers(0, 256, (total + 3, WIDTH), np.uint8)
    else:
        matrix = rng.normal(size=(total + 3, WIDTH)).astype(dtype)
    ends = np.concatenate([[2], 2 + np.cumsum(lengths)]).astype(np.int64)
    return VectorLists(ends, matrix)


def plain(query: np.ndarray, row: np.ndarray, metric: Metric) -> float:
    """The distance of two lists, pair by pair."""
    if not len(row):
        return float("inf")
    pairs = np.array([[_pair(q, r, metric.of_each) for r in row] for q in query])
    return float(pairs.min(axis=1).sum())


def _pair(one: np.ndarray, other: np.ndarray, metric: Metric) -> float:
    if metric in (Metric.HAMMING, Metric.JACCARD):
        bits, others = np.unpackbits(one), np.unpackbits(other)
        differ = int((bits != others).sum())
        return differ if metric is Metric.HAMMING else differ / (bits | others).sum()
    a, b = one.astype(np.float64), other.astype(np.float64)
    if metric is Metric.L2:
        return float(((a - b) ** 2).sum())
    scale = 1.0 if metric is Metric.IP else np.linalg.norm(a) * np.linalg.norm(b)
    return -float(a @ b) / scale


@pytest.mark.parametrize(
    ("metric", "dtype"),
    [
        (Metric.MAX_SIM, np.float32),
        (Metric.MAX_SIM_COSINE, np.float16),
        (Metric.MAX_SIM_IP, np.float32),
        (Metric.MAX_SIM_L2, np.float32),
        (Metric.MAX_SIM_HAMMING, np.uint8),
        (Metric.MAX_SIM_JACCARD, np.uint8),
    ],
)
def test_the_nearest_lists_are_those_of_the_definition(
    metric: Metric, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows or some, in pieces that end within them; rows without vectors never."""
    monkeypatch.setattr(module, "_CHUNK_VECTORS", 7)
    rng = np.random.default_rng(11)
    rows = random_lists(rng, dtype, rng.integers(0, 5, 40))
    queries = random_lists(rng, dtype, [1, 4])
    if dtype != np.uint8:
        queries = VectorLists(queries.ends, queries.matrix.astype(np.float32))
    block = block_of(rows, metric)
    ready = prepared_queries(queries, metric)
    expected = np.array(
        [
            [plain(queries[q : q + 1].vectors, rows[r : r + 1].vectors, metric)
             for r in range(len(rows))]
            for q in range(len(queries))
        ]
    )  # fmt: skip
    every = np.arange(len(rows))
    assert block.distances_at(ready, every) == pytest.approx(expected, rel=1e-4)
    some = np.array([1, 2, 5, 9, 10, 30, 39])
    for chosen in (every, some):
        found = block.nearest_at(ready, chosen, 6)
        for query in range(len(queries)):
            near = np.sort(expected[query, chosen])[:6]
            assert found.distances[query] == pytest.approx(near, rel=1e-4)
            there = found.offsets[query] >= 0
            assert set(found.offsets[query][there]) <= set(chosen.tolist())
    assert (block.nearest_all(ready, 3).offsets >= 0).all()


def test_lists_are_sliced_taken_and_joined() -> None:
    """Rows keep their vectors, wherever the first one begins."""
    rng = np.random.default_rng(2)
    rows = random_lists(rng, np.float32, [2, 0, 3, 1])
    held = [rows[i : i + 1].vectors.tolist() for i in range(4)]
    taken = rows[np.array([2, 0, 2, 1])]
    assert [taken[i : i + 1].vectors.tolist() for i in range(4)] == [
        held[i] for i in (2, 0, 2, 1)
    ]
    joined = concat_lists([rows[1:3], rows[3:]])
    assert joined.vectors.tolist() == held[1] + held[2] + held[3]
    assert joined.owners.tolist() == [1, 1, 1, 2]
    assert joined.nbytes == joined.ends.nbytes + 4 * 4 * WIDTH
