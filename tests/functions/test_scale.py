"""Scores on one scale: Milvus' formulas, metric by metric."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elanus.distance.metrics import Metric
from elanus.functions.rank.scale import descending, normalised, rounded_down

SCORES = [-3.0, -0.5, 0.0, 0.25, 1.0, 40.0]


def plain(score: float, metric: Metric) -> float:
    """The formula of a metric."""
    if metric is Metric.COSINE:
        return (1 + score) / 2
    if metric in (Metric.L2, Metric.HAMMING, Metric.JACCARD) or metric.endswith(
        ("_L2", "_HAMMING", "_JACCARD")
    ):
        return 1 - 2 * math.atan(score) / math.pi
    if metric is Metric.BM25:
        return 2 * math.atan(score) / math.pi
    return 0.5 + math.atan(score) / math.pi


@pytest.mark.parametrize("metric", list(Metric))
def test_every_metric_has_its_formula(metric: Metric) -> None:
    """Those of lists too, whose similarities are no cosines of one pair."""
    scores = np.array(SCORES, np.float32)
    found = normalised(scores, metric)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([plain(s, metric) for s in SCORES], abs=1e-6)
    turned = descending(scores, metric)
    assert (turned is scores) == metric.row.larger_is_better


def test_halves_are_rounded_upwards() -> None:
    """Of negative numbers, too."""
    numbers = np.array([0.25, -0.25, 1.75, 0.125])
    assert rounded_down(numbers, 1).tolist() == [0.3, -0.2, 1.8, 0.1]
    assert rounded_down(numbers, -1) is numbers
