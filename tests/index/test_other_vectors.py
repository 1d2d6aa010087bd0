"""Indexes over narrow numbers and bits: found as by a scan, kept as narrowly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elanus.distance.block import block_of
from elanus.distance.kernels import prepared_queries
from elanus.distance.metrics import Metric
from elanus.index.base import Allowed, BuildRequest, SearchParams
from elanus.index.calibration import recall
from elanus.index.registry import index_kind, open_index
from elanus.index.search import SegmentVectors, search_rows
from elanus.schema.vectors import VectorRows, as_floats, from_floats

ROWS, DIM = 5_000, 32
NARROW = [np.dtype("<f2"), np.dtype("<u2"), np.dtype("i1")]
NUMERIC = [Metric.L2, Metric.IP, Metric.COSINE]
WITH_IP_SLOW = [
    pytest.param(metric, marks=pytest.mark.slow) if metric is Metric.IP else metric
    for metric in NUMERIC
]


def clustered(dtype: np.dtype[Any], count: int, seed: int) -> np.ndarray:
    """Rows around common centres, as real ones are, in a stored dtype."""
    centres = np.random.default_rng(7).normal(size=(50, DIM))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, 50, count)] + 0.4 * rng.normal(size=(count, DIM))
    if dtype.kind == "i":
        return np.clip(np.rint(rows * 40), -128, 127).astype(dtype)
    return from_floats(rows, dtype)


def built(
    rows: VectorRows, metric: Metric, kind: str, params: dict[str, int], path: Path
) -> SegmentVectors:
    """An index on its file, and the rows beside it."""
    meta = index_kind(kind).build(BuildRequest(rows, metric, params), path)
    block = block_of(rows, metric)
    return SegmentVectors(lambda: block, open_index(meta, path))


def masks() -> list[Allowed | None]:
    """Without a filter, and with some of different density."""
    rng = np.random.default_rng(3)
    shares = (0.95, 0.5, 0.1, 0.002)
    return [None, *(Allowed(rng.random(ROWS) < share) for share in shares)]


def check(segment: SegmentVectors, queries: Any, metric: Metric, floor: float) -> None:
    """Enough of the nearest rows are found, at exact distances, and never too few."""
    block = segment.rows()
    ready = prepared_queries(queries, metric)
    every = np.arange(ROWS)
    for allowed in masks():
        chosen = every if allowed is None else allowed.offsets
        truth = block.nearest_at(ready, chosen, 10)
        found, strategy = search_rows(segment, queries, 10, allowed, SearchParams())
        wanted = min(10, len(chosen))
        assert found.fewest_rows() == wanted, str(strategy)
        assert recall(found.offsets, truth.offsets) >= floor, str(strategy)
        for query in range(len(queries)):
            real = found.offsets[query][:wanted]
            own = block.distances_at(ready[query : query + 1], real)[0]
            np.testing.assert_allclose(found.distances[query][:wanted], own, rtol=1e-5)


@pytest.mark.parametrize("metric", WITH_IP_SLOW)
@pytest.mark.parametrize("dtype", NARROW)
def test_graphs_of_narrow_rows(
    dtype: np.dtype[Any], metric: Metric, tmp_path: Path
) -> None:
    """HNSW finds what a scan finds, filtered or not."""
    rows = clustered(dtype, ROWS, 0)
    queries = as_floats(clustered(dtype, 30, 1))
    params = {"M": 16, "efConstruction": 100}
    segment = built(rows, metric, "HNSW", params, tmp_path / "main")
    check(segment, queries, metric, 0.97)


@pytest.mark.parametrize("metric", WITH_IP_SLOW)
@pytest.mark.parametrize("dtype", NARROW[:2])
@pytest.mark.parametrize("kind", ["IVF_FLAT", "IVF_SQ8"])
def test_lists_of_narrow_rows(
    kind: str, dtype: np.dtype[Any], metric: Metric, tmp_path: Path
) -> None:
    """IVF kinds find what a scan finds, filtered or not."""
    rows = clustered(dtype, ROWS, 0)
    queries = as_floats(clustered(dtype, 30, 1))
    segment = built(rows, metric, kind, {"nlist": 32}, tmp_path / "main")
    check(segment, queries, metric, 0.97)


@pytest.mark.parametrize("metric", NUMERIC)
def test_files_are_as_narrow_as_the_rows(metric: Metric, tmp_path: Path) -> None:
    """Two bytes a value, or one, where float32 takes four; links come on top."""
    params = {"M": 2, "efConstruction": 10}
    sizes = {}
    for name in ("<f4", "<f2", "<u2", "i1"):
        dtype = np.dtype(name)
        path = tmp_path / name.strip("<")
        built(clustered(dtype, 2_000, 0), metric, "HNSW", params, path)
        sizes[name] = path.stat().st_size
    assert sizes["<f4"] - sizes["<f2"] > 1.9 * 2_000 * DIM
    assert sizes["<f4"] - sizes["<u2"] > 1.9 * 2_000 * DIM
    assert sizes["<f4"] - sizes["i1"] > 2.8 * 2_000 * DIM


@pytest.mark.parametrize("metric", [Metric.HAMMING, Metric.JACCARD])
@pytest.mark.parametrize("kind", ["BIN_FLAT", "BIN_IVF_FLAT"])
def test_lists_of_bits(kind: str, metric: Metric, tmp_path: Path) -> None:
    """Lists of bits never come back short; one list, or a filter, is exact."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (20, 16)).astype(np.uint8)
    noise = rng.integers(0, 256, (ROWS, 16)) & rng.integers(0, 256, (ROWS, 16))
    noise &= rng.integers(0, 256, (ROWS, 16))
    rows = centres[rng.integers(0, 20, ROWS)] ^ noise.astype(np.uint8)
    params = {"nlist": 16} if kind == "BIN_IVF_FLAT" else {}
    segment = built(rows, metric, kind, params, tmp_path / "main")
    check(segment, rows[:100] ^ np.uint8(1), metric, 0.97)
