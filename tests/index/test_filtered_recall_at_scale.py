"""Filtered search over 100,000 rows: recall at every density, on easy and hard data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elanus.distance.metrics import Metric
from elanus.index.base import Allowed
from elanus.index.calibration import recall
from elanus.index.search import SegmentVectors, search_rows
from index.segments import EFFORT, Sample, build, clustered, flat_search, gaussian

ROWS, DIM, QUERIES = 100_000, 128, 60
PARAMS = {"M": 16, "efConstruction": 200}
SHARES = (0.5, 0.1, 0.01, 0.001)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Segment = tuple[Sample, SegmentVectors]


@pytest.fixture(scope="module", params=[gaussian, clustered], ids=["gaussian", "text"])
def segment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Segment:
    """A built HNSW index; gaussian rows have no structure that an index could use."""
    sample = request.param(ROWS, DIM, QUERIES)
    path = Path(tmp_path_factory.mktemp("scale")) / "vectors"
    options = {"params": PARAMS, "threads": 2}
    return sample, build(path, "HNSW", sample.rows, Metric.L2, **options)[1]


@pytest.mark.parametrize("share", SHARES)
def test_recall_under_random_filters(segment: Segment, share: float) -> None:
    """With ef = 64 as floor and a new filter per query, recall@10 is 0.99 or more."""
    sample, vectors = segment
    rng = np.random.default_rng(11)
    recalls = []
    for query in sample.queries:
        allowed = Allowed(rng.random(ROWS) < share)
        recalls.append(_recall(sample, vectors, query, allowed))
    assert np.mean(recalls) >= 0.99


@pytest.mark.parametrize("share", SHARES)
def test_recall_under_filters_that_follow_the_vectors(
    segment: Segment, share: float
) -> None:
    """A filter that keeps only rows away from the query is served as well."""
    sample, vectors = segment
    recalls = []
    for query in sample.queries[:20]:
        away = ((sample.rows - query) ** 2).sum(axis=1)
        allowed = Allowed(away >= np.quantile(away, 1 - share))
        recalls.append(_recall(sample, vectors, query, allowed))
    assert np.mean(recalls) >= 0.99


def _recall(
    sample: Sample, vectors: SegmentVectors, query: np.ndarray, allowed: Allowed
) -> float:
    one = Sample(sample.rows, query[None])
    found, _ = search_rows(vectors, one.queries, 10, allowed, EFFORT)
    return recall(found.offsets, flat_search(one, Metric.L2, 10, allowed).offsets)
