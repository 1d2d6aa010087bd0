"""Running a search again, exactly, to see how much of the truth it found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.search import SearchHits, search
from elanus.engine.sampling import RecallSampler
from elanus.index.base import SearchParams
from elanus.schema.columns import Floats
from elanus.schema.vectors import VectorRows

_EXACT = SearchParams(recall_target=1.0)
# Scores of one pair may differ in the last bits when the rows were read another way.
_ROUNDING = 1e-5


def sample(
    sampler: RecallSampler,
    collection_id: int,
    plan: SearchPlan,
    queries: VectorRows,
    hits: SearchHits,
) -> None:
    """Have the recall of one query of a search measured, on the version it saw.

    Searches by groups, and those of random rows, are left out.
    """
    is_random = plan.predicate is not None and plan.predicate.sample is not None
    if is_random or plan.group is not None or not len(queries):
        return
    chosen = sampler.any_of(len(queries))
    end = int(hits.counts[: chosen + 1].sum())
    scores = hits.scores[end - int(hits.counts[chosen]) : end].copy()
    query = queries[chosen : chosen + 1]
    if isinstance(query, np.ndarray):
        query = query.copy()  # it may be a view of a request's bytes
    version = hits.version
    exactly = replace(plan, params=_EXACT, order=(), outputs=())

    def measure(rng: np.random.Generator) -> float | None:
        return _recall(plan, scores, search(version, exactly, query, rng).scores)

    sampler.offer(collection_id, measure)


def _recall(plan: SearchPlan, found: Floats, true: Floats) -> float | None:
    """Share of the true rows found; rows as near as the last of them count as such."""
    if not len(true):
        return None
    sign = 1.0 if plan.metric.row.larger_is_better else -1.0
    last = float((sign * true).min())
    least = last - _ROUNDING * max(1.0, abs(last))
    return min(1.0, int((sign * found >= least).sum()) / len(true))
