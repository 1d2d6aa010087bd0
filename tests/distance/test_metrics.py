"""Metrics: names, signs, and the one conversion between scores and distances."""

from __future__ import annotations

import numpy as np
import pytest

from elanus.distance.metrics import (
    Metric,
    distances_from_scores,
    scores_from_distances,
)
from elanus.errors import InvalidParameter


@pytest.mark.parametrize("name", ["l2", "L2", "Cosine", "COSINE", "ip"])
def test_names_are_taken_in_any_case(name: str) -> None:
    """A metric name is found in any case and echoed upper-case."""
    assert Metric.from_name(name).value == name.upper()


def test_other_metrics_are_refused_with_milvus_text() -> None:
    """A metric for other vectors is refused as Milvus refuses it."""
    with pytest.raises(InvalidParameter) as caught:
        Metric.from_name("HAMMING")
    assert str(caught.value) == (
        "float vector index does not support metric type: HAMMING: invalid parameter"
        "[expected=valid index params][actual=invalid index params]"
    )


@pytest.mark.parametrize("metric", list(Metric))
def test_scores_sort_the_metrics_own_way(metric: Metric) -> None:
    """Ascending distances become scores best first, and turn back unchanged."""
    distances = np.array([[-1.5, 0.0, 2.0, np.inf]], np.float32)
    scores = scores_from_distances(distances, metric)
    steps = np.sign(np.diff(scores[0]))
    assert (steps == (-1 if metric.row.larger_is_better else 1)).all()
    np.testing.assert_array_equal(distances_from_scores(scores, metric), distances)


def test_a_score_of_zero_has_no_sign() -> None:
    """A similarity of 0 prints as 0.0, never as -0.0."""
    score = scores_from_distances(np.zeros((1, 1), np.float32), Metric.IP)
    assert not np.signbit(score[0, 0])
