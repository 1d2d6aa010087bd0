"""Scores of different metrics on one scale; the arithmetic is Milvus', in float32."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats, Metric

_PI = np.float32(math.pi)
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)


class ScoreMode(StrEnum):
    """How the scores that one row has of several searches become one."""

    MAX = "max"
    SUM = "sum"
    AVG = "avg"


def normalised(scores: Floats, metric: Metric) -> Floats:
    """Scores of a metric in the range 0 to 1, larger being nearer."""
    if metric is Metric.COSINE:
        return (_ONE + scores) * _HALF
    turn = np.arctan(scores.astype(np.float64)).astype(np.float32)
    if metric is Metric.BM25:  # of which no score is below zero
        return _TWO * turn / _PI
    if metric.row.larger_is_better:
        return _HALF + turn / _PI
    return _ONE - _TWO * turn / _PI


def descending(scores: Floats, metric: Metric) -> Floats:
    """Scores of which larger ones are nearer: distances normalised, others as told."""
    return scores if metric.row.larger_is_better else normalised(scores, metric)


def rounded_down(
    scores: npt.NDArray[np.floating], places: int
) -> npt.NDArray[np.floating]:
    """Scores rounded to decimal places, halves upwards; unchanged for -1."""
    if places < 0:
        return scores
    scale = 10.0**places
    rounded = np.floor(scores.astype(np.float64) * scale + 0.5) / scale
    return rounded.astype(scores.dtype)
