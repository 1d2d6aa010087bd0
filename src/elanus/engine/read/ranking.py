"""Searches that measure every allowed row: within bounds, and whole rankings.

Both are exact, so neither can come back short: a graph can be asked for the nearest
rows, not for those between two distances, nor for the ten thousandth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.distance.block import Block
from elanus.distance.kernels import prepared_queries
from elanus.distance.metrics import scores_from_distances
from elanus.distance.topk import TopK, select
from elanus.engine.read.elements import allowed_elements, rows_of_elements
from elanus.engine.read.filter import allowed_rows
from elanus.engine.read.lexical import lexical_vectors
from elanus.engine.read.plan import Bounds, SearchPlan
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import SegmentView, Version, gather
from elanus.index.base import Allowed, VectorIndex
from elanus.index.search import SegmentVectors
from elanus.index.strategy import Strategy, StrategyKind
from elanus.schema.arrays import values_of
from elanus.schema.columns import Column, Floats, Offsets
from elanus.schema.vectors import VectorRows

AllowedByView: TypeAlias = Sequence[Allowed | None]
_EVERY_ROW = Strategy(StrategyKind.EXACT, 0, "every row is ranked")


def segment_vectors(view: SegmentView, plan: SearchPlan) -> SegmentVectors:
    """The vectors of one segment that a plan compares."""
    if plan.scoring is not None:
        return lexical_vectors(view, plan)
    segment, field_id, metric = view.segment, plan.field.id, plan.metric
    index: VectorIndex | None = segment.index(field_id)
    key = ("vectors", field_id, metric)
    known: tuple[VectorIndex | None, SegmentVectors] | None = view.cache.get(key)
    if known is not None and known[0] is index:
        return known[1]
    n_rows = view.n_rows  # the view itself would be a cycle through its cache

    def rows() -> Block:
        return segment.block(field_id, metric, n_rows)

    # a snapshot may hold an index of an older definition
    is_usable = index is not None and index.meta.metric is metric
    present = None
    # single elements are found under their own numbers
    if plan.field.nullable and not plan.finds_elements:
        present = segment.vectors(field_id, n_rows).present
    vectors = SegmentVectors(rows, index if is_usable else None, present)
    view.cache[key] = (index, vectors)
    return vectors


def search_within(
    vectors: SegmentVectors,
    queries: VectorRows,
    limit: int,
    allowed: Allowed | None,
    bounds: Bounds,
) -> TopK:
    """The nearest rows whose distance lies within bounds, (nq, limit) places."""
    block = vectors.block()
    ready = prepared_queries(queries, block.metric)
    offsets = _offsets(block, vectors.allowed_vectors(allowed))
    found = TopK.empty(len(queries), limit)
    for query in range(len(queries)):
        distances = block.distances_at(ready[query : query + 1], offsets)
        kept = (distances[0] >= bounds.low) & (distances[0] < bounds.high)
        nearest = select(distances[:, kept], limit, offsets[kept])
        found.offsets[query] = vectors.rows_of(nearest.offsets[0])
        found.distances[query] = nearest.distances[0]
    return found


def beyond_removed(found: TopK, high: float) -> TopK:
    """The same lists without the rows whose distance is not below ``high``."""
    outside = found.distances >= high
    if not outside.any():
        return found
    return TopK(
        np.where(outside, -1, found.offsets),
        np.where(outside, np.float32(np.inf), found.distances),
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Every row that a search could return, nearest first, equal ones by key.

    Attributes:
        distances: (rows,) float32, ascending.
        parts: (rows,) position in ``version.views``.
        offsets: (rows,) row offset in its segment.
        elements: which element of its row each is, of a plan that finds elements; a
            row may be there several times then.
    """

    version: Version
    plan: SearchPlan
    distances: Floats
    parts: Offsets
    offsets: Offsets
    elements: Offsets | None = None

    @property
    def n_rows(self) -> int:
        """How many rows are ranked."""
        return len(self.offsets)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        arrays = (self.distances, self.parts, self.offsets, self.elements)
        return sum(int(array.nbytes) for array in arrays if array is not None)

    def scores(self, start: int, end: int) -> Floats:
        """Scores of the rows at these ranks, in the metric's own sign."""
        return scores_from_distances(self.distances[start:end], self.plan.metric)

    def scores_at(self, ranks: Offsets) -> Floats:
        """Scores of the rows at these ranks, in the metric's own sign."""
        return scores_from_distances(self.distances[ranks], self.plan.metric)

    def keys_at(self, ranks: Offsets) -> Column:
        """Primary keys of the rows at these ranks."""
        return _keys(self.version, self.parts[ranks], self.offsets[ranks])

    def keys(self, start: int, end: int) -> Column:
        """Primary keys of the rows at these ranks."""
        return _keys(self.version, self.parts[start:end], self.offsets[start:end])


def rank_all(
    version: Version, plan: SearchPlan, query: VectorRows, rng: np.random.Generator
) -> Ranking:
    """Measure every row that a plan allows; the plan's limits are not looked at.

    Args:
        query: one query.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    return rank_allowed(version, plan, query, allowed_by_view(version, plan, rng))


def allowed_by_view(
    version: Version,
    plan: SearchPlan,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> AllowedByView:
    """The rows that a plan may return, for each view; ``None`` means all of it.

    Of a plan that finds elements, the elements.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    allowed: list[Allowed | None] = []
    for position, view in enumerate(version.views):
        rows = None
        if view.n_rows:
            rows = allowed_rows(version, position, plan.partitions, plan.predicate, rng)
        allowed.append(rows)
        if recorder is not None:
            recorder.filter_ran(position, rows)
    if not plan.finds_elements:
        return allowed
    return [
        allowed_elements(view, plan.field.id, rows, plan.predicate)
        for view, rows in zip(version.views, allowed, strict=True)
    ]


def rank_allowed(
    version: Version,
    plan: SearchPlan,
    query: VectorRows,
    allowed: AllowedByView,
    recorder: Recorder | None = None,
) -> Ranking:
    """The same of rows that are known already.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    distances: list[Floats] = [np.empty(0, np.float32)]
    parts: list[Offsets] = [np.empty(0, np.int64)]
    offsets: list[Offsets] = [np.empty(0, np.int64)]
    for position, view in enumerate(version.views):
        if not view.n_rows:
            continue
        vectors = segment_vectors(view, plan)
        block = vectors.block()
        chosen = _offsets(block, vectors.allowed_vectors(allowed[position]))
        ready = prepared_queries(query, block.metric)
        measured = block.distances_at(ready, chosen)[0]
        if not block.matches_all:
            matching = measured < np.inf
            measured, chosen = measured[matching], chosen[matching]
        distances.append(measured)
        parts.append(np.full(len(chosen), position, np.int64))
        offsets.append(vectors.rows_of(chosen))
        if recorder is not None:
            recorder.search_ran(position, _EVERY_ROW)
    of_views, found = np.concatenate(parts), np.concatenate(offsets)
    elements = None
    if plan.finds_elements:
        found, elements = rows_of_elements(
            version.views, of_views, found, plan.field.id
        )
    measured = np.concatenate(distances)
    # of millions of rows each copy is tens of megabytes, and sorting makes more
    del distances, parts, offsets
    return _sorted(
        _within(
            Ranking(version, plan, measured, of_views, found, elements), plan.bounds
        )
    )


def _offsets(block: Block, allowed: Allowed | None) -> Offsets:
    if allowed is None:
        return np.arange(block.rows, dtype=np.int64)
    return allowed.offsets


def _within(ranking: Ranking, bounds: Bounds | None) -> Ranking:
    if bounds is None:
        return ranking
    distances = ranking.distances
    kept = np.flatnonzero((distances >= bounds.low) & (distances < bounds.high))
    return _taken(ranking, kept)


def _sorted(ranking: Ranking) -> Ranking:
    ranking = _taken(ranking, np.argsort(ranking.distances, kind="stable"))
    distances = ranking.distances
    same = distances[1:] == distances[:-1]
    if not same.any():
        return ranking
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    keys = _keys(ranking.version, ranking.parts[tied], ranking.offsets[tied])
    by_key = values_of(pc.sort_indices(keys)).astype(np.int64)
    rank = np.empty(len(tied), np.int64)
    rank[by_key] = np.arange(len(tied))
    order = np.arange(ranking.n_rows)
    order[tied] = tied[np.lexsort((rank, distances[tied]))]
    return _taken(ranking, order)


def _taken(ranking: Ranking, order: npt.NDArray[np.intp]) -> Ranking:
    return Ranking(
        ranking.version,
        ranking.plan,
        ranking.distances[order],
        ranking.parts[order],
        ranking.offsets[order],
        None if ranking.elements is None else ranking.elements[order],
    )


def _keys(version: Version, parts: Offsets, offsets: Offsets) -> Column:
    if not len(offsets):
        return pa.nulls(0, version.schema.primary.arrow_type)
    return gather(version.views, parts, offsets, version.schema.primary.id)
