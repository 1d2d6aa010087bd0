"""Searching one segment's vectors: choose a way, run it, and never come back short.

The one entry for the engine. Whatever the index does, ``min(limit, allowed rows)`` rows
come back for every query: an index that found fewer is asked to try harder, then the
allowed rows are measured one by one.

All distances returned are exact. Kinds that keep lossy codes (IVF_SQ8, IVF_PQ) name a
few candidates more than wanted, which are measured on the rows themselves: their order
is better than that of Milvus' codes, and agrees with other segments of the collection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.distance.block import Block
from elanus.distance.kernels import (
    VectorBlock,
    nearest_candidates,
    prepared_queries,
)
from elanus.distance.metrics import Floats
from elanus.distance.topk import Offsets, TopK
from elanus.index.base import Allowed, SearchParams, VectorIndex
from elanus.index.calibration import lossy_candidates
from elanus.index.curve import PLAIN_TARGET
from elanus.index.sieve import lies_deep, sieved
from elanus.index.strategy import (
    SearchFacts,
    Strategy,
    StrategyKind,
    choose_strategy,
    default_effort,
    is_too_deep,
    raised_effort,
    unfiltered_strategy,
    without_index,
)
from elanus.schema.vectors import VectorRows

# Standard deviations of the sketch's error between the last candidate and the last row
# wanted: enough, and too few for more candidates to help.
_ENOUGH_MARGIN = 3.0
_HOPELESS_MARGIN = 2.0
_MORE_CANDIDATES = 4

RowSource = Callable[[], Block]
_ASKED_NOTHING = SearchParams()
_TOO_DEEP = Strategy(StrategyKind.EXACT, 0, "the walk would take longer")
_TOO_FEW = Strategy(StrategyKind.EXACT, 0, "the index found too few")
_NO_INDEX = Strategy(StrategyKind.EXACT, 0, "no index")
_EXACT_INDEX = Strategy(StrategyKind.INDEX, 0, "the index is exact")


@dataclass(frozen=True, slots=True)
class SegmentVectors:
    """One vector field of one segment, as a search sees it.

    Attributes:
        rows: gives the segment's rows; called only where the index does not hold them.
        index: the open index, if one is built.
        present: row of the segment that each vector belongs to, ascending; ``None``
            when every row has a vector. Block and index number the vectors.
    """

    rows: RowSource
    index: VectorIndex | None = None
    present: Offsets | None = None

    def block(self) -> Block:
        """The rows from wherever they are already in memory."""
        held = None if self.index is None else self.index.raw_rows
        return self.rows() if held is None else held

    def numbers(self) -> VectorBlock:
        """The same of a field of numbers, which every lossy kind is of."""
        block = self.block()
        assert isinstance(block, VectorBlock)
        return block

    def allowed_vectors(self, allowed: Allowed | None) -> Allowed | None:
        """The vectors of the rows that may be returned; ``None`` means all."""
        if allowed is None or self.present is None:
            return allowed
        return Allowed(allowed.mask[self.present])

    def rows_of(self, vectors: Offsets) -> Offsets:
        """Which rows these vectors belong to; -1 stays."""
        if self.present is None:
            return vectors
        if not len(self.present):
            return np.full(vectors.shape, -1, np.int64)
        return np.where(vectors < 0, -1, self.present[vectors])


def search_rows(
    vectors: SegmentVectors,
    queries: VectorRows,
    limit: int,
    allowed: Allowed | None = None,
    params: SearchParams = _ASKED_NOTHING,
) -> tuple[TopK, Strategy]:
    """The rows of one segment nearest to each query, and how they were found.

    Args:
        vectors: the segment's rows and index.
        queries: as the field compares them, finite; not normalised.
        limit: rows wanted per query, at least 1.
        allowed: rows that may be returned; ``None`` means all.
        params: the user's effort.

    Returns:
        Lists of exactly ``limit`` places; ``min(limit, allowed rows)`` are filled, of
        sparse rows those that match.
    """
    if vectors.present is None:
        return _search(vectors, queries, limit, allowed, params)
    inside = vectors.allowed_vectors(allowed)
    found, strategy = _search(vectors, queries, limit, inside, params)
    return TopK(vectors.rows_of(found.offsets), found.distances), strategy


def _search(
    vectors: SegmentVectors,
    queries: VectorRows,
    limit: int,
    allowed: Allowed | None,
    params: SearchParams,
) -> tuple[TopK, Strategy]:
    index = vectors.index
    if index is None:
        block = vectors.rows()
        ready = prepared_queries(queries, block.metric)
        return _exact(block, ready, limit, allowed), _NO_INDEX
    meta = index.meta
    ready = prepared_queries(queries, meta.metric)
    if index.is_exact:
        return index.search(ready, limit, 0, allowed), _EXACT_INDEX
    available = meta.rows if allowed is None else allowed.count
    wanted = min(limit, available)
    if wanted == 0:
        return TopK.empty(len(queries), limit), Strategy(
            StrategyKind.EXACT, 0, "no rows"
        )
    asked = _Asked(ready, wanted, allowed, params)
    strategy = _strategy(index, asked)
    found = _run(vectors, asked, strategy)
    if found.fewest_rows() < wanted:
        found = _filled(vectors, asked, found, strategy)
    if allowed is not None and _may_be_deceived(index, strategy):
        found = _undeceived(vectors, asked, found)
    if wanted < limit:
        found = found.resized(limit)
    return found, strategy


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search of one segment.

    Attributes:
        queries: prepared.
        wanted: rows per query, no more than are allowed.
        allowed: rows that may be returned; ``None`` means all.
    """

    queries: Any
    wanted: int
    allowed: Allowed | None
    params: SearchParams

    def of(self, some: Offsets) -> _Asked:
        """The same for some of the queries."""
        return replace(self, queries=np.ascontiguousarray(self.queries[some]))


def _strategy(index: VectorIndex, asked: _Asked) -> Strategy:
    meta, params, wanted = index.meta, asked.params, asked.wanted
    if asked.allowed is not None or params.recall_target:
        return choose_strategy(_facts(index, asked))
    curve = meta.calibration.curve
    is_measured = curve is None or curve.effort(wanted, PLAIN_TARGET) is not None
    if not params.effort and not is_measured:
        return choose_strategy(_facts(index, asked))
    strategy = unfiltered_strategy(
        _usual_effort(index, asked), wanted, index.full_effort, index.visits_lists
    )
    holds_rows = not index.visits_lists and index.raw_rows is not None
    if holds_rows and is_too_deep(strategy.effort, meta.rows, meta.dim):
        return _TOO_DEEP
    return strategy


def _usual_effort(index: VectorIndex, asked: _Asked) -> int:
    """The effort without a filter: what the user asked, else what was measured."""
    params = asked.params
    if params.effort:
        return params.effort
    measured = default_effort(index.meta.calibration, asked.wanted, index.visits_lists)
    return params.level * measured


def _facts(index: VectorIndex, asked: _Asked) -> SearchFacts:
    meta = index.meta
    return SearchFacts(
        rows=meta.rows,
        allowed=meta.rows if asked.allowed is None else asked.allowed.count,
        limit=asked.wanted,
        dim=meta.dim,
        effort=asked.params.effort,
        usual_effort=_usual_effort(index, asked),
        full_effort=index.full_effort,
        calibration=meta.calibration,
        has_sketch=index.sketch is not None,
        visits_lists=index.visits_lists,
        is_lossy=index.is_lossy,
        kind=meta.kind,
        recall_target=asked.params.recall_target,
    )


def _run(vectors: SegmentVectors, asked: _Asked, strategy: Strategy) -> TopK:
    """Carry out a strategy; fewer rows than wanted may come back."""
    index, allowed = vectors.index, asked.allowed
    assert index is not None
    if strategy.kind is StrategyKind.EXACT:
        return _exact(vectors.block(), asked.queries, asked.wanted, allowed)
    if strategy.kind is StrategyKind.SKETCH:
        if allowed is None:
            allowed = Allowed(np.ones(index.meta.rows, np.bool_))
        return _sketched(vectors, asked.queries, asked.wanted, allowed, strategy.effort)
    queries, effort, names = asked.queries, strategy.effort, strategy.names
    if strategy.depth:
        assert allowed is not None
        found = index.search(queries, names or strategy.depth, effort, None)
        if not index.is_lossy:
            return sieved(found, allowed, asked.wanted)
        named = sieved(found, allowed, found.k)
    elif not index.is_lossy:
        return index.search(queries, asked.wanted, effort, allowed)
    elif names:
        named = index.search(queries, names, effort, allowed)
    else:
        named = lossy_candidates(index, queries, asked.wanted, effort, allowed)
    return nearest_candidates(queries, vectors.numbers(), named, asked.wanted)


def _may_be_deceived(index: VectorIndex, strategy: Strategy) -> bool:
    """Whether too few lists may have been read for a filter that has a pattern."""
    is_told = index.visits_lists and strategy.kind is StrategyKind.INDEX
    return is_told and strategy.effort < index.full_effort


def _undeceived(vectors: SegmentVectors, asked: _Asked, found: TopK) -> TopK:
    """The same, searched exactly where a filter keeps only what lies far away."""
    block, allowed = vectors.block(), asked.allowed
    assert allowed is not None
    share = allowed.count / allowed.rows
    deep = np.flatnonzero(lies_deep(block, asked.queries, found, share))
    if len(deep):
        better = _exact(block, asked.of(deep).queries, found.k, allowed)
        found.offsets[deep] = better.offsets
        found.distances[deep] = better.distances
    return found


def _sketched(
    vectors: SegmentVectors,
    queries: Floats,
    wanted: int,
    allowed: Allowed,
    count: int,
) -> TopK:
    """The best of the sketch's candidates; exact where it cannot tell rows apart.

    A filter may leave only rows that are all about equally far from the query. Then the
    nearest lie anywhere among the candidates, and so beyond them too.
    """
    found, margins = _measured(vectors, queries, wanted, allowed, count)
    for query in np.flatnonzero(margins < _ENOUGH_MARGIN):
        one = queries[query : query + 1]
        more = min(_MORE_CANDIDATES * count, allowed.count)
        is_settled = False
        if margins[query] >= _HOPELESS_MARGIN:
            better, again = _measured(vectors, one, wanted, allowed, more)
            is_settled = again[0] >= _ENOUGH_MARGIN
        if not is_settled:
            better = _exact(vectors.block(), one, wanted, allowed)
        found.offsets[query] = better.offsets[0]
        found.distances[query] = better.distances[0]
    return found


def _measured(
    vectors: SegmentVectors,
    queries: Floats,
    wanted: int,
    allowed: Allowed,
    count: int,
) -> tuple[TopK, npt.NDArray[np.float64]]:
    """The best of ``count`` candidates, and how sure it is that no other row is better.

    A row left out looks at least as far as the last candidate. It belongs among the
    best only if the sketch is wrong about it by the distance from there to the last row
    wanted. How wrong the sketch is shows on the candidates, measured as they all are.

    Returns:
        The rows; and per query, (nq,) float64, that distance in standard deviations of
        the sketch's error: infinite when every allowed row was a candidate.
    """
    assert vectors.index is not None and vectors.index.sketch is not None
    named = vectors.index.sketch.candidates(queries, count, allowed)
    block = vectors.numbers()
    measured = nearest_candidates(queries, block, named, count)
    margins = np.full(len(queries), np.inf)
    if count < allowed.count:
        for query in range(len(queries)):
            margins[query] = _margin(named, measured, query, wanted)
    return measured.resized(wanted), margins


def _margin(named: TopK, measured: TopK, query: int, wanted: int) -> float:
    """The margin of one query; 0 where it cannot be told."""
    rough, exact = named.distances[query], measured.distances[query]
    if named.offsets[query, -1] < 0:
        return 0.0
    by_rough, by_exact = (
        named.offsets[query].argsort(),
        measured.offsets[query].argsort(),
    )
    errors = rough[by_rough] - exact[by_exact]
    spread = float(errors.std())
    if spread == 0.0:
        return math.inf
    return float(rough[-1] - exact[wanted - 1] - errors.mean()) / spread


def _filled(
    vectors: SegmentVectors, asked: _Asked, found: TopK, strategy: Strategy
) -> TopK:
    """The same lists, those with empty places searched again until they are full."""
    assert vectors.index is not None
    while True:
        short = np.flatnonzero(found.offsets[:, -1] < 0)
        if not len(short):
            return found
        strategy = _harder(vectors.index, asked, strategy)
        better = _run(vectors, asked.of(short), strategy)
        found.offsets[short] = better.offsets
        found.distances[short] = better.distances


def _harder(index: VectorIndex, asked: _Asked, strategy: Strategy) -> Strategy:
    """The way to go on where one found too few rows; a scan is the last."""
    if strategy.depth:
        return without_index(_facts(index, asked))
    if asked.allowed is None and strategy.kind is StrategyKind.INDEX:
        effort = raised_effort(strategy.effort, index.full_effort)
        if effort is not None:
            return replace(strategy, effort=effort)
    return _TOO_FEW


def _exact(block: Block, queries: Floats, limit: int, allowed: Allowed | None) -> TopK:
    if allowed is None:
        return block.nearest_all(queries, limit)
    return block.nearest_at(queries, allowed.offsets, limit)
