"""A search with enough matching rows always fills its limit, and small ones work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Metric
from elanus.distance.topk import TopK
from elanus.index.base import Allowed, IndexMeta, SearchParams
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
)

KINDS = list(BUILDS)


def _filled(found: TopK) -> list[int]:
    return (found.offsets >= 0).sum(axis=1).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [2, 3, 7])
def test_few_rows_and_odd_dims(
    kind: str, metric: Metric, dim: int, tmp_path: Path
) -> None:
    """Segments of 0, 1, 2 and 20 rows build, open and answer in full."""
    params = {**BUILDS[kind], **({"m": dim} if kind.endswith("_PQ") else {})}
    for count in (0, 1, 2, 20):
        sample = clustered(count, dim, nq=3)
        path = tmp_path / str(count)
        _, segment = build(path, kind, sample.rows, metric, params=params)
        found, _ = search_rows(segment, sample.queries, 5, None, EFFORT)
        truth = flat_search(sample, metric, 5, None)
        assert _filled(found) == _filled(truth)
        assert found.k == 5
        first = Allowed(np.arange(count) == 0)
        found, _ = search_rows(segment, sample.queries, 5, first, EFFORT)
        assert _filled(found) == [min(1, count)] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_allowed_rows_far_from_the_query(kind: str, tmp_path: Path) -> None:
    """Rows that only a scan would reach are all found."""
    sample = clustered(5_000, 16, nq=6)
    _, segment = build(tmp_path / "i", kind, sample.rows, Metric.L2)
    for query in sample.queries:
        one = Sample(sample.rows, query[None])
        order = flat_search(one, Metric.L2, 5_000, None).offsets[0]
        for count in (4, 12, 600):
            allowed = Allowed.at(order[-count:], 5_000)
            found, strategy = search_rows(segment, query[None], 10, allowed, EFFORT)
            truth = flat_search(one, Metric.L2, 10, allowed)
            assert _filled(found) == [min(10, count)], strategy
            assert allowed.mask[found.offsets[found.offsets >= 0]].all()
            if strategy.kind is StrategyKind.EXACT:
                np.testing.assert_array_equal(found.offsets, truth.offsets)


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_beyond_the_index_effort(kind: str, tmp_path: Path) -> None:
    """A limit that the effort does not cover is filled all the same."""
    sample = clustered(4_500, 16, nq=4)
    _, segment = build(tmp_path / "i", kind, sample.rows, Metric.L2)
    for limit in (1_000, 4_500, 6_000):
        found, _ = search_rows(segment, sample.queries, limit, None, SearchParams(1))
        assert _filled(found) == [min(limit, 4_500)] * 4
        for offsets in found.offsets:
            rows = offsets[offsets >= 0]
            assert len(np.unique(rows)) == len(rows)


def test_equally_far_rows_are_not_left_to_the_sketch(tmp_path: Path) -> None:
    """Where codes cannot tell the allowed rows apart, the rows are measured."""
    sample = gaussian(8_000, 64, nq=8)
    params = {"M": 8, "efConstruction": 40}
    path = tmp_path / "i"
    _, segment = build(path, "HNSW", sample.rows, Metric.L2, params=params)
    for query in sample.queries:
        one = Sample(sample.rows, query[None])
        away = ((sample.rows - query) ** 2).sum(axis=1)
        allowed = Allowed(away > np.median(away))
        found, strategy = search_rows(segment, one.queries, 10, allowed, EFFORT)
        assert strategy.kind is StrategyKind.SKETCH
        truth = flat_search(one, Metric.L2, 10, allowed)
        np.testing.assert_array_equal(found.offsets, truth.offsets)


def test_an_empty_filter_finds_nothing(tmp_path: Path) -> None:
    """No allowed row, no result, whatever the index."""
    sample = clustered(300, 8, nq=2)
    _, segment = build(tmp_path / "i", "HNSW", sample.rows, Metric.IP)
    nothing = Allowed(np.zeros(300, np.bool_))
    found, _ = search_rows(segment, sample.queries, 5, nothing, EFFORT)
    assert _filled(found) == [0, 0]


class _ForgetfulIndex:
    """Finds nothing until it is asked hard enough."""

    sketch = None
    raw_rows = None
    visits_lists = True
    is_lossy = False
    is_exact = False
    full_effort = 16

    def __init__(self, rows: int, enough: int) -> None:
        self.meta = IndexMeta("IVF_FLAT", "IVF_FLAT", Metric.L2, rows, 4)
        self.enough = enough
        self.efforts: list[int] = []

    def search(
        self, queries: np.ndarray, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """Rows for queries that start above 0; for all of them from ``enough`` on."""
        self.efforts.append(effort)
        found = TopK.empty(len(queries), limit)
        served = (queries[:, 0] > 0) | (effort >= self.enough)
        found.offsets[served] = np.arange(limit)
        found.distances[served] = np.arange(limit)
        return found


@pytest.mark.parametrize(("enough", "tried"), [(16, [1, 4, 16]), (99, [1, 4, 16])])
def test_effort_is_raised_and_then_all_rows_are_scanned(
    enough: int, tried: list[int]
) -> None:
    """An index that finds too few is asked harder, then the rows are measured."""
    rows = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    rows[:3, 0] = [1, -1, 2]
    index = _ForgetfulIndex(40, enough)
    segment = SegmentVectors(lambda: VectorBlock.of(rows, Metric.L2), index)
    found, _ = search_rows(segment, rows[:3], 5, None, SearchParams(1))
    assert _filled(found) == [5, 5, 5]
    assert index.efforts == tried
    assert found.offsets[0].tolist() == [0, 1, 2, 3, 4]
    if enough == 99:
        assert found.offsets[1, 0] == 1
        assert found.distances[1, 0] == 0.0
