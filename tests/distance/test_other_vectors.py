"""Narrow numbers, bits and sparse rows, measured against the plainest NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.distance.block import Block, block_of
from elanus.distance.kernels import prepared_queries
from elanus.distance.metrics import Metric
from elanus.index.base import Allowed, BuildRequest
from elanus.index.registry import index_kind
from elanus.schema.sparse import SparseRows, sparse_from_values
from elanus.schema.vectors import as_floats, from_floats

ROWS = 700
DTYPES = [np.dtype("<f2"), np.dtype("<u2"), np.dtype("i1")]
NUMERIC = [Metric.L2, Metric.IP, Metric.COSINE]


def rows_of(dtype: np.dtype[Any], dim: int, seed: int = 0) -> np.ndarray:
    """Random rows as they are stored, two of them alike, one zero."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "i":
        rows = rng.integers(-128, 128, (ROWS, dim)).astype(dtype)
    else:
        rows = from_floats(rng.normal(size=(ROWS, dim)), dtype)
    rows[5], rows[6] = rows[4], 0
    return rows


def twin(metric: Metric, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Distances, smaller is nearer, the long way."""
    wide, one = rows.astype(np.float64), query.astype(np.float64)
    if metric is Metric.L2:
        return ((wide - one) ** 2).sum(axis=1)
    products = wide @ one
    if metric is Metric.IP:
        return -products
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(one)
    return -np.divide(products, lengths, out=np.zeros(len(rows)), where=lengths > 0)


def bits_twin(metric: Metric, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The same of bits, one Python integer at a time."""
    one = int.from_bytes(query.tobytes(), "little")
    found = []
    for row in rows:
        other = int.from_bytes(row.tobytes(), "little")
        differ, either = (one ^ other).bit_count(), (one | other).bit_count()
        share = differ / either if either else 1.0
        found.append(differ if metric is Metric.HAMMING else share)
    return np.array(found, np.float64)


def check_nearest(block: Block, queries: Any, twins: list[np.ndarray]) -> None:
    """Nearest of all and of some are what the twins say, ties by offset."""
    some = np.flatnonzero(np.random.default_rng(1).random(block.rows) < 0.3)
    ready = prepared_queries(queries, block.metric)
    for k in (1, 10, block.rows + 3):
        everything = block.nearest_all(ready, k)
        part = block.nearest_at(ready, some, k)
        for query, truth in enumerate(twins):
            check(everything.offsets[query], everything.distances[query], truth, k)
            narrowed = np.full(len(truth), np.inf)
            narrowed[some] = truth[some]
            check(part.offsets[query], part.distances[query], narrowed, k)
    measured = block.distances_at(ready, some)
    for query, truth in enumerate(twins):
        np.testing.assert_allclose(measured[query], truth[some], rtol=1e-4, atol=1e-3)


def check(
    offsets: np.ndarray, distances: np.ndarray, truth: np.ndarray, k: int
) -> None:
    """One list: as many as there are, ascending, each at its distance."""
    n_real = min(k, int(np.isfinite(truth).sum()))
    assert (offsets[:n_real] >= 0).all()
    assert (offsets[n_real:] == -1).all()
    assert len(set(offsets[:n_real].tolist())) == n_real
    best = np.sort(truth)[:n_real]
    np.testing.assert_allclose(distances[:n_real], best, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        distances[:n_real], truth[offsets[:n_real]], rtol=1e-4, atol=1e-3
    )
    tied = np.diff(distances[:n_real]) == 0
    assert (np.diff(offsets[:n_real])[tied] > 0).all()


@pytest.mark.parametrize("metric", NUMERIC)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nq", [1, 25])
def test_narrow_rows(dtype: np.dtype[Any], metric: Metric, nq: int) -> None:
    """Rows of one or two bytes a value are compared as the float32 that they are."""
    rows = rows_of(dtype, 900)  # more than one piece at a time
    queries = as_floats(rows_of(dtype, 900, 1)[:nq])
    wide = as_floats(rows)
    twins = [twin(metric, wide, query) for query in queries]
    check_nearest(block_of(rows, metric), queries, twins)


@pytest.mark.parametrize("metric", [Metric.HAMMING, Metric.JACCARD])
@pytest.mark.parametrize("width", [1, 2, 4, 7, 16])
def test_bits(metric: Metric, width: int) -> None:
    """Of every width, all of zeros included."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (ROWS, width)).astype(np.uint8)
    rows[:3] = 0
    queries = np.concatenate([rows[:1], rows[9:11], rows[20:21] ^ 1])
    twins = [bits_twin(metric, rows, query) for query in queries]
    check_nearest(block_of(rows, metric), queries, twins)


def sparse_twin(rows: list[dict[int, float]], query: dict[int, float]) -> np.ndarray:
    """Negated inner products; infinite where nothing is in common."""
    found = []
    for row in rows:
        common = row.keys() & query.keys()
        product = sum(float(row[i]) * float(query[i]) for i in sorted(common))
        found.append(-product if product else np.inf)
    return np.array(found)


def sparse_rows(seed: int, count: int) -> list[dict[int, float]]:
    """Rows of up to nine entries among few indices, some of them large."""
    rng = np.random.default_rng(seed)
    return [
        {
            int(index) * 80_000_000: float(np.float32(rng.random()))
            for index in rng.choice(50, rng.integers(0, 10), replace=False)
        }
        for _ in range(count)
    ]


def test_sparse_rows() -> None:
    """Only rows with an index in common are found."""
    rows, queries = sparse_rows(0, ROWS), [*sparse_rows(1, 5), {}, {17: 1.0}]
    twins = [sparse_twin(rows, query) for query in queries]
    block = block_of(sparse_from_values(rows), Metric.IP)
    check_nearest(block, sparse_from_values(queries), twins)


@given(seed=st.integers(0, 1000), count=st.integers(0, 40))
def test_an_inverted_file_is_exact(
    seed: int, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It has the same rows at the very same distances as a scan, filtered or not."""
    path: Path = tmp_path_factory.mktemp("sparse") / "main"
    rows = sparse_from_values(sparse_rows(seed, count))
    queries = sparse_from_values(sparse_rows(seed + 1, 3))
    kind = index_kind("SPARSE_INVERTED_INDEX")
    meta = kind.build(BuildRequest(rows, Metric.IP), path)
    index = kind.open(meta, path)
    block = block_of(rows, Metric.IP)
    mask = np.random.default_rng(seed).random(count) < 0.5
    for allowed in (None, Allowed(mask)):
        found = index.search(queries, 7, 0, allowed)
        offsets = np.arange(count) if allowed is None else allowed.offsets
        truth = block.nearest_at(queries, offsets, 7)
        assert np.array_equal(found.offsets, truth.offsets)
        assert np.array_equal(found.distances, truth.distances)


def test_parts_of_sparse_rows_are_rows() -> None:
    """A slice that shares its entries is compared as the rows it stands for."""
    rows = sparse_from_values(sparse_rows(3, 30))
    part = rows[10:20]
    assert isinstance(part, SparseRows)
    queries = sparse_from_values(sparse_rows(4, 2))
    whole = block_of(rows, Metric.IP).distances_at(queries, np.arange(30))
    some = block_of(part, Metric.IP).distances_at(queries, np.arange(10))
    assert np.array_equal(whole[:, 10:20], some)
