"""A search that asks for a recall gets it, whatever the index and the filter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elanus.distance.binary import BinaryBlock
from elanus.distance.metrics import Metric
from elanus.index.base import (
    Allowed,
    BuildRequest,
    Calibration,
    IndexMeta,
    SearchParams,
)
from elanus.index.calibration import recall
from elanus.index.curve import TARGETS, Curve, depth_under
from elanus.index.registry import index_kind, open_index
from elanus.index.search import SegmentVectors, search_rows
from elanus.index.strategy import SearchFacts, StrategyKind, choose_strategy
from index.segments import (
    BUILDS,
    Sample,
    build,
    clustered,
    flat_search,
    random_mask,
)

ROWS, DIM = 5_000, 16
PARAMS = {**BUILDS, "HNSW": {"M": "12", "efConstruction": "60"}}
CURVE = Curve((3, 10, 100), (0.9, 0.99), ((8, 16), (16, 64), (100, 0)))
GRAPH = SearchFacts(
    rows=100_000,
    allowed=100_000,
    limit=10,
    dim=384,
    effort=0,
    full_effort=100_000,
    calibration=Calibration(curve=CURVE),
    recall_target=0.99,
)


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Clustered rows, the same for every kind."""
    return clustered(ROWS, DIM, 100)


@pytest.mark.parametrize(
    "kind",
    [
        "HNSW",
        "IVF_FLAT",
        "SCANN",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in BUILDS
            if kind not in ("HNSW", "IVF_FLAT", "SCANN")
        ),
    ],
)
def test_targets_are_met(kind: str, sample: Sample, tmp_path: Path) -> None:
    """No more than a hundredth is missed, for any limit, with a filter or without."""
    params = {"params": PARAMS[kind]}
    _, vectors = build(tmp_path / "vectors", kind, sample.rows, Metric.L2, **params)
    for allowed in (None, random_mask(ROWS, 0.4)):
        truth = flat_search(sample, Metric.L2, 100, allowed)
        for target in (0.9, 0.99):
            for limit in (1, 10, 100):
                found, strategy = search_rows(
                    vectors,
                    sample.queries,
                    limit,
                    allowed,
                    SearchParams(recall_target=target),
                )
                share = recall(found.offsets, truth.offsets[:, :limit])
                assert share >= target - 0.01, (target, limit, strategy)


def test_targets_are_met_for_bits(tmp_path: Path) -> None:
    """Lists of bits are calibrated as those of numbers are."""
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 256, (40, 8), np.uint8)
    noise = np.packbits(rng.random((ROWS + 40, 64)) < 0.15, axis=1)
    points = centres[rng.integers(0, 40, ROWS + 40)] ^ noise
    rows, queries = points[:ROWS], points[ROWS:]
    kind, path = index_kind("BIN_IVF_FLAT"), tmp_path / "vectors"
    request = BuildRequest(rows, Metric.HAMMING, {"nlist": 64}, "BIN_IVF_FLAT")
    meta = IndexMeta.from_dict(kind.build(request, path).to_dict())
    block = BinaryBlock(rows, Metric.HAMMING)
    vectors = SegmentVectors(lambda: block, open_index(meta, path))
    truth = block.nearest_all(queries, 10)
    efforts = []
    for target in (0.8, 0.95):
        params = SearchParams(recall_target=target)
        found, strategy = search_rows(vectors, queries, 10, None, params)
        assert recall(found.offsets, truth.offsets) >= target - 0.01
        efforts.append(strategy.effort)
    assert 0 < efforts[0] <= efforts[1] < 64


def test_an_index_that_cannot_is_not_asked(sample: Sample, tmp_path: Path) -> None:
    """1.0 is exact; so is what no effort reached, and what was never measured."""
    meta, vectors = build(tmp_path / "vectors", "IVF_FLAT", sample.rows, Metric.L2)
    truth = flat_search(sample, Metric.L2, 10, None)
    full = SearchParams(recall_target=1.0)
    found, strategy = search_rows(vectors, sample.queries, 10, None, full)
    assert strategy.kind is StrategyKind.EXACT
    assert strategy.reason == "recall target 1"
    assert np.array_equal(found.offsets, truth.offsets)
    older = IndexMeta.from_dict(
        {**meta.to_dict(), "calibration": {"efforts": [], "candidates": []}}
    )
    vectors = replace(vectors, index=open_index(older, tmp_path / "vectors"))
    params = SearchParams(recall_target=0.9)
    found, strategy = search_rows(vectors, sample.queries, 10, None, params)
    assert strategy.kind is StrategyKind.EXACT
    assert np.array_equal(found.offsets, truth.offsets)


def test_a_lower_target_costs_less(sample: Sample, tmp_path: Path) -> None:
    """The efforts of a curve rise with the target, and are those of the build."""
    meta, _ = build(tmp_path / "vectors", "IVF_FLAT", sample.rows, Metric.L2)
    curve = meta.calibration.curve
    assert curve is not None
    assert curve.targets == TARGETS
    for row in curve.efforts:
        assert list(row) == sorted(row)
    assert curve.efforts[1][0] < curve.efforts[1][-1]
    again, _ = build(tmp_path / "again", "IVF_FLAT", sample.rows, Metric.L2)
    assert again.calibration == meta.calibration


def test_a_curve_is_read_to_the_safe_side() -> None:
    """Between two measurements the harder one counts; beyond, efforts grow."""
    assert CURVE.effort(3, 0.9) == 8
    assert CURVE.effort(4, 0.9) == 16
    assert CURVE.effort(10, 0.95) == 64
    assert CURVE.effort(10, 0.995) is None
    assert CURVE.effort(11, 0.99) is None
    assert CURVE.effort(250, 0.9) == 250
    assert Curve.from_dict(
        {
            "depths": [3],
            "targets": [0.9],
            "efforts": [[8]],
            "names": 4,
        }
    ) == Curve((3,), (0.9,), ((8,),), 4)


def test_a_filter_is_searched_as_deep_as_it_makes_necessary() -> None:
    """Enough rows are looked at for the filter to let ``limit`` of them pass."""
    assert depth_under(10, 1.0) == 10
    rng = np.random.default_rng(1)
    for share in (0.9, 0.5, 0.1, 0.02):
        depth = depth_under(10, share)
        passed = rng.binomial(depth, share, 10_000)
        assert (passed >= 10).mean() > 0.995
        assert depth < 30 / share


def test_the_reason_names_the_target() -> None:
    """EXPLAIN shows what was asked for, and the effort that it took."""
    text = str(choose_strategy(GRAPH))
    assert text.startswith("index(64): recall target 0.99; exact ")
    beyond = choose_strategy(replace(GRAPH, recall_target=0.999))
    assert beyond.kind is StrategyKind.EXACT


def test_a_graph_is_searched_past_the_filter() -> None:
    """Rows that pass are kept of more than are wanted; the effort is that depth's."""
    chosen = choose_strategy(replace(GRAPH, allowed=50_000, recall_target=0.9))
    assert (chosen.kind, chosen.depth) == (StrategyKind.INDEX, depth_under(10, 0.5))
    assert chosen.effort == 100


@pytest.mark.parametrize("kind", ["HNSW", "IVF_FLAT"])
def test_a_filter_that_keeps_what_is_far(
    kind: str, sample: Sample, tmp_path: Path
) -> None:
    """What was measured without a pattern is not trusted where there is one."""
    params = {"params": PARAMS[kind]}
    _, vectors = build(tmp_path / "vectors", kind, sample.rows, Metric.L2, **params)
    for query in sample.queries[:20]:
        one = Sample(sample.rows, query[None])
        away = ((sample.rows - query) ** 2).sum(axis=1)
        for share in (0.95, 0.5, 0.2):
            allowed = Allowed(away >= np.quantile(away, 1 - share))
            truth = flat_search(one, Metric.L2, 10, allowed)
            for asked in (SearchParams(recall_target=0.95), SearchParams(16)):
                found, way = search_rows(vectors, one.queries, 10, allowed, asked)
                assert recall(found.offsets, truth.offsets) >= 0.9, way
