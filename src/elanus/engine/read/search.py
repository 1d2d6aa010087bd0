"""Running a search plan: each segment by itself, then the best of all."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.distance.metrics import scores_from_distances
from elanus.distance.topk import TopK, merge
from elanus.engine.read.elements import rows_of_elements
from elanus.engine.read.order import SortKey, sorted_rows
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.ranking import (
    AllowedByView,
    allowed_by_view,
    beyond_removed,
    search_within,
    segment_vectors,
)
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import SegmentView, Version, gather
from elanus.index.base import Allowed
from elanus.index.search import search_rows
from elanus.index.strategy import Strategy, StrategyKind
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Column, Floats, Offsets
from elanus.schema.vectors import VectorRows

_WITHIN = Strategy(StrategyKind.EXACT, 0, "between two distances")


class SearchHits(NamedTuple):
    """Rows found, all queries end to end, nearest first within each.

    Attributes:
        counts: hits per query, (nq,).
        parts: position in ``version.views`` of each hit; ``None`` if all are of view 0.
        offsets: row offset in its segment, (hits,) int64.
        scores: in the metric's own sign, (hits,) float32.
        keys: primary key of each hit.
        elements: which element of its row each hit is, of a plan that finds elements; a
            row may be hit several times then.
    """

    version: Version
    counts: npt.NDArray[np.int64]
    parts: Offsets | None
    offsets: Offsets
    scores: Floats
    keys: Column
    elements: Offsets | None = None


def search(
    version: Version,
    plan: SearchPlan,
    queries: VectorRows,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> SearchHits:
    """Find the rows nearest to each query.

    A query that has ``limit`` matching rows gets ``limit`` rows. Rows without a vector
    match nothing.

    Args:
        queries: float32 for a field of numbers, else as the field stores them.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    allowed = allowed_by_view(version, plan, rng, recorder)
    return search_allowed(version, plan, queries, allowed, recorder)


def search_allowed(
    version: Version,
    plan: SearchPlan,
    queries: VectorRows,
    allowed: AllowedByView,
    recorder: Recorder | None = None,
) -> SearchHits:
    """The same among rows that are known already.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    wanted = plan.limit + plan.offset
    found: list[tuple[int, TopK]] = []
    for position, view in enumerate(version.views):
        if not view.n_rows:
            continue
        top, strategy = search_view(view, plan, queries, wanted, allowed[position])
        if recorder is not None:
            recorder.search_ran(position, strategy)
        if top is not None:
            found.append((position, top))
    hits = reduced(version, plan, len(queries), found)
    if recorder is not None:
        recorder.step("merge")
    return hits


def search_view(
    view: SegmentView,
    plan: SearchPlan,
    queries: VectorRows,
    wanted: int,
    allowed: Allowed | None,
) -> tuple[TopK | None, Strategy | None]:
    """The rows of one segment nearest to each query; ``None`` if none may be found.

    Args:
        wanted: rows per query; the plan's window does not count.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    if allowed is not None and not allowed.count:
        return None, None
    vectors, bounds = segment_vectors(view, plan), plan.bounds
    if bounds is not None and bounds.low > -math.inf:
        top = search_within(vectors, queries, wanted, allowed, bounds)
        strategy: Strategy = _WITHIN
    else:
        top, strategy = search_rows(vectors, queries, wanted, allowed, plan.params)
        if bounds is not None:
            top = beyond_removed(top, bounds.high)
    return top, strategy


def reduced(
    version: Version,
    plan: SearchPlan,
    nq: int,
    found: list[tuple[int, TopK]],
) -> SearchHits:
    """The plan's window of the best of several lists.

    Args:
        nq: queries asked.
        found: lists, each with the place of its segment among the views.
    """
    wanted = plan.limit + plan.offset
    parts: Offsets | None = None
    if not found:
        top = TopK.empty(nq, 0)
    elif len(found) == 1:
        top = found[0][1]
        if found[0][0]:
            parts = np.full(top.offsets.shape, found[0][0], np.int64)
    else:
        merged = merge([part for _, part in found], wanted)
        positions = np.array([position for position, _ in found], np.int64)
        top, parts = merged.rows, positions[merged.parts]
    if plan.offset:
        top = TopK(top.offsets[:, plan.offset :], top.distances[:, plan.offset :])
        parts = None if parts is None else parts[:, plan.offset :]
    k = top.offsets.shape[1]
    if top.fewest_rows() == k:
        counts = _equal_counts(nq, k)
        offsets, distances = top.offsets.reshape(-1), top.distances.reshape(-1)
        parts = None if parts is None else parts.reshape(-1)
    else:
        real = top.offsets >= 0
        counts = real.sum(axis=1)
        offsets, distances = top.offsets[real], top.distances[real]
        parts = None if parts is None else parts[real]
    scores = scores_from_distances(distances, plan.metric)
    elements = None
    if plan.finds_elements:
        offsets, elements = rows_of_elements(
            version.views, parts, offsets, plan.field.id
        )
    if not len(offsets):
        keys: Column = pa.nulls(0, version.schema.primary.arrow_type)
        return SearchHits(version, counts, None, offsets, scores, keys, elements)
    keys = gather(version.views, parts, offsets, version.schema.primary.id)
    hits = SearchHits(version, counts, parts, offsets, scores, keys, elements)
    hits = _ties_by_key(hits, distances)
    return _in_order(hits, plan.order) if plan.order else hits


@lru_cache(maxsize=64)
def _equal_counts(nq: int, k: int) -> npt.NDArray[np.int64]:
    counts = np.full(nq, k, np.int64)
    counts.flags.writeable = False
    return counts


def _ties_by_key(hits: SearchHits, distances: Floats) -> SearchHits:
    """Equal distances of one query in ascending order of the primary key."""
    if len(set(distances.tolist())) == len(distances):
        return hits  # at most a tie across queries, which the order below leaves alone
    assert isinstance(hits.keys, pa.Array)
    queries = _query_of(hits)
    rank = np.empty(len(distances), np.int64)
    by_key = values_of(pc.sort_indices(hits.keys))
    rank[by_key] = np.arange(len(by_key))
    return _taken(hits, np.lexsort((rank, distances, queries)))


def _in_order(hits: SearchHits, keys: tuple[SortKey, ...]) -> SearchHits:
    """The hits of each query in the order of the keys, equal ones nearest first."""
    first = [_query_of(hits)]
    views = hits.version.views
    return _taken(hits, sorted_rows(views, hits.parts, hits.offsets, keys, first))


def _query_of(hits: SearchHits) -> npt.NDArray[np.int64]:
    """The position of its query for every hit."""
    return np.repeat(np.arange(len(hits.counts)), hits.counts)


def _taken(hits: SearchHits, order: Offsets) -> SearchHits:
    assert isinstance(hits.keys, pa.Array)
    return SearchHits(
        hits.version,
        hits.counts,
        None if hits.parts is None else hits.parts[order],
        hits.offsets[order],
        hits.scores[order],
        hits.keys.take(array_of(order)),
        None if hits.elements is None else hits.elements[order],
    )
