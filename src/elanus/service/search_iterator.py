"""Search iterators whose place the server keeps: every row once, nearest first."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from elanus.distance.metrics import Metric
from elanus.engine.collection import Collection
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.ranking import Ranking
from elanus.engine.version import Version
from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.columns import Column, Floats, Offsets
from elanus.schema.vectors import VectorRows
from elanus.service.core import Core
from elanus.service.cursors import Cursor
from elanus.service.requests import SearchIterator

_FAILED = "parse iterator v2 info failed"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk over the rows of a version, in the order of their distance.

    Attributes:
        query: one query.
    """

    collection: Collection
    version: Version
    plan: SearchPlan
    query: VectorRows


@dataclass(frozen=True, slots=True)
class Batch:
    """The next rows of a walk.

    Attributes:
        bound: score of the last row.
        elements: which element of its row each is, of a plan that finds elements.
    """

    version: Version
    parts: Offsets
    offsets: Offsets
    keys: Column
    scores: Floats
    token: str
    bound: float
    elements: Offsets | None = None


def check_walk(iterator: SearchIterator, offset: int) -> None:
    """Raise unless a step of a walk says all that it must.

    Raises:
        InvalidParameter: the message says what is missing or wrong.
    """
    if offset > 0:
        raise InvalidParameter(
            f"{_FAILED}: Setting an offset is not permitted when using a search "
            f"iterator v2"
        )
    size = iterator.batch_rows
    if size is None:
        raise InvalidParameter(f"{_FAILED}: batch size is required")
    if not 0 < size <= limits.LIMIT:
        raise InvalidParameter(
            f"{_FAILED}: batch size is invalid, it should be in range "
            f"[1, {limits.LIMIT}], but got {size}"
        )
    if iterator.token:
        try:
            uuid.UUID(iterator.token)
        except ValueError:
            raise InvalidParameter(f"{_FAILED}: invalid token format") from None


def next_batch(core: Core, walk: Walk, iterator: SearchIterator) -> Batch:
    """The next rows; none at the end, with the bound that the client had.

    A place that the server has forgotten, as after a restart, is found again from the
    client's bound: rows of exactly that score count as received.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    if iterator.batch_rows == 1 and not iterator.token:
        return _probe(core, walk)
    now_ms = core.database.node.clock.now_ms()
    size, bound = iterator.batch_rows or 0, iterator.last_bound
    token = iterator.token or core.new_token()
    cursor = core.cursors.find(token, walk.collection.id, now_ms)
    if cursor is None:
        ranking = walk.collection.rank(walk.version, walk.plan, walk.query)
        start = 0 if bound is None else _after(ranking, bound)
    else:
        ranking, start = cursor.ranking, cursor.position
        if bound is not None and not _is_last(ranking, start, bound):
            start = _after(ranking, bound)  # the last answer was lost on its way
    end = min(start + size, ranking.n_rows)
    if start < end:
        core.cursors.keep(token, Cursor(walk.collection.id, ranking, end), now_ms)
    else:
        core.cursors.forget(token)
    scores = ranking.scores(start, end)
    return Batch(
        ranking.version,
        ranking.parts[start:end],
        ranking.offsets[start:end],
        ranking.keys(start, end),
        scores,
        token,
        float(scores[-1]) if len(scores) else _at_the_end(ranking, bound),
        None if ranking.elements is None else ranking.elements[start:end],
    )


def _probe(core: Core, walk: Walk) -> Batch:
    """One row. Clients ask for it first, only to see whether walks are possible."""
    hits = walk.collection.search(walk.version, walk.plan, walk.query)
    end = min(1, len(hits.offsets))
    offsets, scores = hits.offsets[:end], hits.scores[:end]
    parts = np.zeros(end, np.int64) if hits.parts is None else hits.parts[:end]
    metric = walk.plan.metric
    bound = float(scores[0]) if end else _worst_bound(metric)
    keys = hits.keys[:end]
    token = core.new_token()
    elements = None if hits.elements is None else hits.elements[:end]
    return Batch(walk.version, parts, offsets, keys, scores, token, bound, elements)


def _is_last(ranking: Ranking, end: int, bound: float) -> bool:
    """Whether ``bound`` is the score of the row before ``end``."""
    return not end or bool(ranking.scores(end - 1, end)[0] == np.float32(bound))


def _after(ranking: Ranking, bound: float) -> int:
    """The first rank whose score is worse than ``bound``."""
    sign = -1.0 if ranking.plan.metric.row.larger_is_better else 1.0
    distance = np.float32(sign * bound)
    return int(np.searchsorted(ranking.distances, distance, "right"))


def _at_the_end(ranking: Ranking, bound: float | None) -> float:
    if bound is not None:
        return bound
    return _worst_bound(ranking.plan.metric)


def _worst_bound(metric: Metric) -> float:
    return _LARGEST if metric.row.larger_is_better else -_LARGEST
