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
from dataclasses import dataclass

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
from elanus.index.calibration import lossy_candidates, walk_cost
from elanus.index.strategy import (
    SearchFacts,
    Strategy,
    StrategyKind,
    choose_strategy,
    default_effort,
    is_too_deep,
    raised_effort,
    unfiltered_strategy,
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
    if allowed is None:
        effort = _usual_effort(index, wanted, params)
        strategy = unfiltered_strategy(
            effort, wanted, index.full_effort, index.visits_lists
        )
        holds_rows = not index.visits_lists and index.raw_rows is not None
        if holds_rows and is_too_deep(strategy.effort, meta.rows, meta.dim):
            strategy = _TOO_DEEP
    else:
        strategy = choose_strategy(_facts(index, allowed, wanted, params))
    found = _run(vectors, ready, wanted, allowed, strategy)
    if found.fewest_rows() < wanted:
        found = _filled(vectors, ready, found, allowed, strategy)
    if wanted < limit:
        found = found.resized(limit)
    return found, strategy


def _usual_effort(index: VectorIndex, wanted: int, params: SearchParams) -> int:
    """The effort without a filter: what the user asked, else what was measured."""
    if params.effort:
        return params.effort
    measured = default_effort(index.meta.calibration, wanted, index.visits_lists)
    return params.level * measured


def _facts(
    index: VectorIndex, allowed: Allowed, wanted: int, params: SearchParams
) -> SearchFacts:
    meta = index.meta
    return SearchFacts(
        rows=meta.rows,
        allowed=allowed.count,
        limit=wanted,
        dim=meta.dim,
        effort=params.effort,
        usual_effort=_usual_effort(index, wanted, params),
        full_effort=index.full_effort,
        calibration=meta.calibration,
        has_sketch=index.sketch is not None,
        visits_lists=index.visits_lists,
        walk=walk_cost(meta.kind),
    )


def _run(
    vectors: SegmentVectors,
    queries: Floats,
    wanted: int,
    allowed: Allowed | None,
    strategy: Strategy,
) -> TopK:
    """Carry out a strategy; fewer than ``wanted`` rows may come back."""
    index = vectors.index
    assert index is not None
    if strategy.kind is StrategyKind.EXACT:
        return _exact(vectors.block(), queries, wanted, allowed)
    if strategy.kind is StrategyKind.SKETCH:
        assert allowed is not None
        return _sketched(vectors, queries, wanted, allowed, strategy.effort)
    if not index.is_lossy:
        return index.search(queries, wanted, strategy.effort, allowed)
    named = lossy_candidates(index, queries, wanted, strategy.effort, allowed)
    block = vectors.numbers()
    return nearest_candidates(queries, block, named, wanted)


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
    vectors: SegmentVectors,
    queries: Floats,
    found: TopK,
    allowed: Allowed | None,
    strategy: Strategy,
) -> TopK:
    """The same lists, those with empty places searched again until they are full."""
    assert vectors.index is not None
    wanted = found.k
    effort: int | None = strategy.effort
    full_effort = vectors.index.full_effort
    while True:
        short = np.flatnonzero(found.offsets[:, -1] < 0)
        if not len(short):
            return found
        again = np.ascontiguousarray(queries[short])
        effort = (
            raised_effort(effort, full_effort)
            if effort is not None and allowed is None
            else None
        )
        if effort is None:
            better = _exact(vectors.block(), again, wanted, allowed)
        else:
            harder = Strategy(StrategyKind.INDEX, effort, strategy.reason)
            better = _run(vectors, again, wanted, allowed, harder)
        found.offsets[short] = better.offsets
        found.distances[short] = better.distances


def _exact(block: Block, queries: Floats, limit: int, allowed: Allowed | None) -> TopK:
    if allowed is None:
        return block.nearest_all(queries, limit)
    return block.nearest_at(queries, allowed.offsets, limit)
