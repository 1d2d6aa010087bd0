"""From elements that a search found to the rows they belong to, each once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from elanus.distance.metrics import Metric
from elanus.engine.read.search import SearchHits
from elanus.schema.arrays import array_of
from elanus.schema.columns import Floats, Offsets


class Strategy(StrEnum):
    """How the scores of a row's elements become one."""

    MAX = "max"  # the nearest element's
    SUM = "sum"
    AVG = "avg"
    TOPK_SUM = "topk_sum"
    TOPK_AVG = "topk_avg"


@dataclass(frozen=True, slots=True)
class Collapse:
    """How elements become rows.

    Attributes:
        topk: how many elements of a row count, the nearest; of strategies that say so.
    """

    strategy: Strategy = Strategy.MAX
    topk: int = 0

    @property
    def adds(self) -> bool:
        """Whether scores are added up, which makes sense of similarities only."""
        return self.strategy in (Strategy.SUM, Strategy.TOPK_SUM)


def collapsed(hits: SearchHits, metric: Metric, how: Collapse) -> SearchHits:
    """The rows of the elements found, best first within each query.

    Rows of one score stand in the order of their nearest elements.
    """
    if not len(hits.offsets):
        return hits._replace(elements=None)
    nq = len(hits.counts)
    query = np.repeat(np.arange(nq), hits.counts)
    parts = np.zeros_like(query) if hits.parts is None else hits.parts
    names = np.stack([query, parts, hits.offsets], axis=1)
    _, first, which = np.unique(names, axis=0, return_index=True, return_inverse=True)
    scores = _scores(hits.scores, first, which.reshape(-1), how)
    sign = -1.0 if metric.row.larger_is_better else 1.0
    order = np.lexsort((first, sign * scores, query[first]))
    kept = first[order]
    assert hasattr(hits.keys, "take")
    return hits._replace(
        counts=np.bincount(query[kept], minlength=nq).astype(np.int64),
        parts=parts[kept],
        offsets=hits.offsets[kept],
        scores=scores[order],
        keys=hits.keys.take(array_of(kept)),
        elements=None,
    )


def _scores(scores: Floats, first: Offsets, which: Offsets, how: Collapse) -> Floats:
    """The score of each row, (rows,) float32.

    Args:
        first: the nearest element of each row.
        which: the row of each element.
    """
    if how.strategy is Strategy.MAX:
        return scores[first]
    counted = np.ones(len(which), np.bool_)
    if how.strategy in (Strategy.TOPK_SUM, Strategy.TOPK_AVG):
        counted = _within(which) < how.topk
    weights = scores[counted].astype(np.float64)
    sums = np.bincount(which[counted], weights, len(first)).astype(np.float64)
    if not how.adds:
        sums /= np.bincount(which[counted], minlength=len(first))
    return sums.astype(np.float32)


def _within(which: Offsets) -> Offsets:
    """How many elements of its row come before each."""
    order = np.argsort(which, kind="stable")
    sizes = np.bincount(which)
    ranks = np.empty(len(which), np.int64)
    starts = np.cumsum(sizes) - sizes
    ranks[order] = np.arange(len(which)) - np.repeat(starts, sizes)
    return ranks
