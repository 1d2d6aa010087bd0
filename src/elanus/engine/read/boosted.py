"""Searches whose scores are boosted before the best rows are chosen.

Rows with one and the same boost stay in the order of their distance, so each such share
of a segment is searched like any other set of allowed rows, as well as the index does
it. Where that does not hold, as of boosts that are a row's own, every row is measured.
No row misses the answer because it was not near enough before its boost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from elanus.distance.kernels import prepared_queries
from elanus.distance.topk import TopK, select
from elanus.engine.read.elements import owners_of
from elanus.engine.read.filter import matching_rows
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.ranking import allowed_by_view, segment_vectors
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.search import (
    SearchHits,
    reduced,
    search_view,
)
from elanus.engine.version import SegmentView, Version
from elanus.functions.rank.boost import Boost, Boosts
from elanus.functions.rank.randomness import uniform
from elanus.index.base import Allowed
from elanus.index.strategy import Strategy, StrategyKind
from elanus.schema.vectors import VectorRows

Doubles = npt.NDArray[np.float64]

_OWN = Strategy(StrategyKind.EXACT, 0, "boosts of their own")
# Searches of one segment; with more boosts than that, measuring is cheaper.
_MOST_SHARES = 8


class _Share(NamedTuple):
    """Rows of a segment with one boost.

    Attributes:
        boost: ``None`` for rows that no function matches.
    """

    rows: Allowed | None
    boost: float | None


def search_boosted(
    version: Version,
    plan: SearchPlan,
    queries: VectorRows,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> SearchHits:
    """Find the rows of each query with the best scores after their boosts.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    boosts = plan.boosts
    assert boosts is not None
    allowed = allowed_by_view(version, plan, rng, recorder)
    found: list[tuple[int, TopK]] = []
    for position, view in enumerate(version.views):
        if not view.n_rows:
            continue
        given = _boosts_of(version, view, plan, rng)
        if recorder is not None:
            recorder.step("boosts")
        for top, strategy in _searched(view, plan, queries, allowed[position], given):
            found.append((position, top))
            if recorder is not None:
                recorder.search_ran(position, strategy)
    hits = reduced(version, plan, len(queries), found)
    if recorder is not None:
        recorder.step("merge")
    return hits


def _boosts_of(
    version: Version, view: SegmentView, plan: SearchPlan, rng: np.random.Generator
) -> Doubles:
    """The boost of every row, or element; NaN for none."""
    boosts = plan.boosts
    assert boosts is not None
    masks, weights = [], []
    for function in boosts.functions:
        mask: npt.NDArray[np.bool_] | None = np.ones(view.n_rows, np.bool_)
        if function.predicate is not None:
            everywhere = version.partitions
            mask = matching_rows(version, view, function.predicate, everywhere, rng)
        masks.append(np.zeros(view.n_rows, np.bool_) if mask is None else mask)
        weights.append(_weights(version, view, function))
    given = boosts.combined(weights, masks)
    if plan.finds_elements:
        given = given[owners_of(view, plan.field.id)]
    return given


def _weights(version: Version, view: SegmentView, boost: Boost) -> Doubles:
    if boost.random is None:
        return np.full(view.n_rows, boost.weight)
    field = boost.random.field or version.schema.primary
    keys = view.segment.column(field.id, view.n_rows)
    if keys.null_count:
        keys = pc.fill_null(keys, 0)
    return boost.weight * uniform(keys, boost.random.seed)


def _searched(
    view: SegmentView,
    plan: SearchPlan,
    queries: VectorRows,
    allowed: Allowed | None,
    given: Doubles,
) -> Iterator[tuple[TopK, Strategy]]:
    """The best rows of one segment, in one list or several."""
    boosts = plan.boosts
    assert boosts is not None
    wanted = plan.limit + plan.offset
    shares, own = _shares(boosts, allowed, given)
    for share in shares:
        top, strategy = search_view(view, plan, queries, wanted, share.rows)
        if top is None or strategy is None:
            continue
        if share.boost is not None:
            top = TopK(top.offsets, boosts.distances(top.distances, share.boost))
        yield top, strategy
    if own is not None:
        yield _measured(view, plan, queries, own, given), _OWN


def _shares(
    boosts: Boosts, allowed: Allowed | None, given: Doubles
) -> tuple[list[_Share], Allowed | None]:
    """Sets of allowed rows that stay in their order, and what is left."""
    mask = np.ones(len(given), np.bool_) if allowed is None else allowed.mask
    is_plain = np.isnan(given)
    if is_plain.all():
        return [_Share(allowed, None)], None
    values = np.unique(given[mask & ~is_plain])
    shares = [_Share(Allowed(mask & is_plain), None)]
    own = mask & ~is_plain
    if len(values) <= _MOST_SHARES:
        for value in values.tolist():
            if boosts.keeps_order(value):
                rows = mask & (given == value)
                is_all = allowed is None and bool(rows.all())
                shares.append(_Share(None if is_all else Allowed(rows), value))
                own &= ~rows
    return shares, Allowed(own) if own.any() else None


def _measured(
    view: SegmentView,
    plan: SearchPlan,
    queries: VectorRows,
    rows: Allowed,
    given: Doubles,
) -> TopK:
    """The best of rows that are all measured."""
    boosts, bounds = plan.boosts, plan.bounds
    assert boosts is not None
    wanted = plan.limit + plan.offset
    vectors = segment_vectors(view, plan)
    block = vectors.block()
    inside = vectors.allowed_vectors(rows)
    chosen = np.arange(block.rows) if inside is None else inside.offsets
    ready = prepared_queries(queries, block.metric)
    found = TopK.empty(len(queries), wanted)
    for query in range(len(queries)):
        distances = block.distances_at(ready[query : query + 1], chosen)[0]
        kept = distances < np.inf
        if bounds is not None:
            kept &= (distances >= bounds.low) & (distances < bounds.high)
        offsets = vectors.rows_of(chosen[kept])
        boosted = boosts.distances(distances[kept], given[offsets])
        best = select(boosted[None, :], wanted, offsets)
        found.offsets[query], found.distances[query] = best.offsets, best.distances
    return found
