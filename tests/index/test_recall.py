"""Every index kind against flat search: recall floors, filters, exact distances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from elanus.distance.metrics import Metric
from elanus.index.base import IndexMeta, SearchParams
from elanus.index.calibration import recall
from elanus.index.search import SegmentVectors, search_rows
from elanus.index.strategy import StrategyKind
from index.segments import (
    BUILDS,
    EFFORT,
    METRICS,
    Sample,
    build,
    clustered,
    flat_search,
    gaussian,
    random_mask,
)

ROWS, DIM = 6_000, 32
# Recall@10 without a filter at the effort below; measured, with room for new versions.
FLOORS = {
    "FLAT": 1.0,
    "IVF_FLAT": 0.95,
    "IVF_SQ8": 0.95,
    "IVF_PQ": 0.80,
    "IVF_RABITQ": 0.80,
    "SCANN": 0.90,
    "HNSW": 0.97,
    "HNSW_SQ": 0.97,
    "HNSW_PQ": 0.88,
    "DISKANN": 0.94,
    "FAISS": 0.95,
    "AUTOINDEX": 0.97,
}
# Kinds whose codes are too coarse for the recall of the others.
COARSE = ("IVF_PQ", "IVF_RABITQ", "SCANN", "HNSW_PQ")
NPROBE = SearchParams(16)
CASES = [(kind, metric) for kind in BUILDS for metric in METRICS]

Built = tuple[str, Metric, IndexMeta, SegmentVectors]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Clustered rows, the same for every kind."""
    return clustered(ROWS, DIM)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, marks=pytest.mark.slow) if case[1] is Metric.IP else case
        for case in CASES
    ],
    ids=[f"{kind}-{metric}" for kind, metric in CASES],
)
def built(
    request: pytest.FixtureRequest,
    sample: Sample,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """One kind built and opened with one metric."""
    kind, metric = request.param
    path = Path(tmp_path_factory.mktemp("index")) / "vectors"
    yield kind, metric, *build(path, kind, sample.rows, metric)


def _effort(kind: str) -> SearchParams:
    return EFFORT if "HNSW" in kind or kind in ("FLAT", "AUTOINDEX") else NPROBE


def test_recall_without_a_filter(built: Built, sample: Sample) -> None:
    """Recall@10 does not fall below the kind's floor."""
    kind, metric, _, segment = built
    found, _ = search_rows(segment, sample.queries, 10, None, _effort(kind))
    truth = flat_search(sample, metric, 10, None)
    assert recall(found.offsets, truth.offsets) >= FLOORS[kind]


@pytest.mark.parametrize("share", [0.95, 0.5, 0.1, 0.01, 0.001])
def test_recall_with_a_filter(built: Built, sample: Sample, share: float) -> None:
    """A filter of any density leaves recall at 0.99, or at the codes' ceiling."""
    kind, metric, _, segment = built
    allowed = random_mask(ROWS, share)
    found, strategy = search_rows(segment, sample.queries, 10, allowed, _effort(kind))
    truth = flat_search(sample, metric, 10, allowed)
    floor = 0.99 if share <= 0.5 else FLOORS[kind]
    if kind in COARSE:
        floor = FLOORS[kind]
    assert recall(found.offsets, truth.offsets) >= floor, strategy
    assert allowed.mask[found.offsets[found.offsets >= 0]].all()


def test_distances_are_exact_and_ascending(built: Built, sample: Sample) -> None:
    """Every row comes with its true distance, lossy codes or not."""
    kind, metric, _, segment = built
    for allowed in (None, random_mask(ROWS, 0.3)):
        found, _ = search_rows(segment, sample.queries, 10, allowed, _effort(kind))
        truth = flat_search(sample, metric, 400, allowed)
        assert (np.diff(found.distances, axis=1) >= 0).all()
        for i in range(found.nq):
            known = dict(zip(truth.offsets[i], truth.distances[i], strict=True))
            same = [(d, known[o]) for o, d in _pairs(found, i) if o in known]
            mine, theirs = np.array(same).T
            np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-4)


def _pairs(found: object, query: int) -> Iterator[tuple[int, float]]:
    offsets, distances = found.offsets[query], found.distances[query]  # type: ignore[attr-defined]
    return zip(offsets, distances, strict=True)


def test_several_queries_equal_single_ones(built: Built, sample: Sample) -> None:
    """A query finds the same rows alone and in company."""
    kind, _, _, segment = built
    for allowed in (None, random_mask(ROWS, 0.2)):
        together, _ = search_rows(segment, sample.queries, 10, allowed, _effort(kind))
        for i in range(0, len(sample.queries), 9):
            query = sample.queries[i : i + 1]
            alone, _ = search_rows(segment, query, 10, allowed, _effort(kind))
            assert recall(alone.offsets, together.offsets[i : i + 1]) == 1.0


def test_the_meta_describes_the_build(built: Built) -> None:
    """The meta keeps what was asked, what was built, and survives JSON."""
    kind, metric, meta, segment = built
    assert (meta.index_type, meta.metric) == (kind, metric)
    assert (meta.rows, meta.dim) == (ROWS, DIM)
    assert dict(meta.params) == dict(BUILDS[kind])
    assert IndexMeta.from_dict(meta.to_dict()) == meta
    assert segment.index is not None
    raw = segment.index.raw_rows
    assert raw is None or not raw.vectors.flags.writeable


def test_a_walk_that_would_take_longer_than_a_scan_is_a_scan(tmp_path: Path) -> None:
    """A deep search is exact, and a shallow one of many rows walks the graph."""
    sample = gaussian(12_000, 16, 4)
    _, vectors = build(tmp_path / "vectors", "HNSW", sample.rows, Metric.L2)
    deep, strategy = search_rows(vectors, sample.queries, 4_000)
    assert strategy.kind is StrategyKind.EXACT
    true = flat_search(sample, Metric.L2, 4_000, None)
    assert np.array_equal(deep.offsets, true.offsets)
    assert search_rows(vectors, sample.queries, 10)[1].kind is StrategyKind.INDEX
