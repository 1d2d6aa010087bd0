"""Hybrid searches: one ranking made of those of several searches.

The arithmetic is Milvus', in float32, so that equal requests have equal scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.distance.metrics import Metric
from elanus.engine.read.group_plan import GroupBy
from elanus.engine.read.grouping import Codes, group_codes
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.search import SearchHits
from elanus.engine.version import Version
from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Column, Floats, Offsets, concat

_RRF_K_END = 16384
_PI = np.float32(math.pi)
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)


@dataclass(frozen=True, slots=True)
class RRF:
    """Reciprocal rank fusion: the sum of ``1 / (k + rank)``, ranks from 1.

    Attributes:
        k: how little the first ranks count for more than later ones.
    """

    k: float = 60.0


@dataclass(frozen=True, slots=True)
class Weighted:
    """The weighted sum of the scores; a search that lacks a row adds nothing.

    Attributes:
        weights: one for each search, 0 to 1.
        norm_score: whether scores are brought to the range 0 to 1 first, larger being
            nearer. Otherwise that is done only to distances, and only beside
            similarities.
    """

    weights: tuple[float, ...]
    norm_score: bool = True


Ranker: TypeAlias = RRF | Weighted


class GroupScorer(StrEnum):
    """How the rows of a group make its score."""

    MAX = "max"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """How the answers of several searches become one.

    Attributes:
        limit, offset: ranks ``offset`` to ``offset + limit`` of each query are wanted;
            of groups, where there are any.
        group: as in the plan of each search.
    """

    paths: tuple[SearchPlan, ...]
    ranker: Ranker
    limit: int
    offset: int = 0
    group: GroupBy | None = None
    scorer: GroupScorer = GroupScorer.MAX

    @property
    def is_ascending(self) -> bool:
        """Whether smaller scores are better: distances are added as they are."""
        ranker = self.ranker
        if isinstance(ranker, RRF) or ranker.norm_score:
            return False
        return not any(path.metric.row.larger_is_better for path in self.paths)


class _Rows(NamedTuple):
    """The rows of all queries, each once per query; or their elements.

    Attributes:
        query: the query it was found for.
        elements: which element of its row each is; zeros where rows are found.
        key_rank: its place among all by primary key.
    """

    query: Offsets
    parts: Offsets
    offsets: Offsets
    keys: Column
    key_rank: Offsets
    scores: Floats
    elements: Offsets

    def take(self, order: Offsets) -> _Rows:
        """The rows at ``order``."""
        return _Rows(
            self.query[order],
            self.parts[order],
            self.offsets[order],
            self.keys.take(array_of(order)),
            self.key_rank[order],
            self.scores[order],
            self.elements[order],
        )


def check_ranker(ranker: Ranker, searches: int) -> None:
    """Raise unless a ranker fits a number of searches.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    if isinstance(ranker, RRF):
        if not _is_number(ranker.k):
            raise InvalidParameter("the type of rank param k should be float")
        if not 0 < ranker.k < _RRF_K_END:
            raise InvalidParameter(
                f"The rank params k should be in range (0, {_RRF_K_END})"
            )
        return
    for weight in ranker.weights:
        if not _is_number(weight):
            raise InvalidParameter("the type of rank param weight should be float")
        if not 0 <= weight <= 1:
            raise InvalidParameter("rank param weight should be in range [0, 1]")
    if len(ranker.weights) != searches:
        raise InvalidParameter(
            "the length of weights param mismatch with ann search requests",
            expected=searches,
            actual=len(ranker.weights),
        )


def fuse(version: Version, plan: FusionPlan, found: Sequence[SearchHits]) -> SearchHits:
    """One answer of those of the paths, for as many queries.

    Equal scores stand in ascending order of the primary key.

    Args:
        found: what each path found, in rows of ``version``.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    nq = len(found[0].counts)
    if not any(len(hits.offsets) for hits in found):
        return found[0]._replace(version=version)
    rows = _scored(version, plan, found)
    sign = np.float32(1 if plan.is_ascending else -1)
    order = (rows.elements, rows.key_rank, sign * rows.scores, rows.query)
    rows = rows.take(np.lexsort(order))
    if plan.group is None:
        rank = _within(rows.query)
        kept = (rank >= plan.offset) & (rank < plan.offset + plan.limit)
        rows = rows.take(np.flatnonzero(kept))
    else:
        codes = group_codes(version.views, rows.parts, rows.offsets, plan.group)
        rows = rows.take(_grouped(plan, rows, codes, nq))
    counts = np.bincount(rows.query, minlength=nq).astype(np.int64)
    return SearchHits(
        version,
        counts,
        rows.parts,
        rows.offsets,
        rows.scores,
        rows.keys,
        (),
        None if found[0].elements is None else rows.elements,
    )


def rounded_down(scores: Floats, places: int) -> Floats:
    """Scores rounded to decimal places, halves upwards; unchanged for -1."""
    if places < 0:
        return scores
    scale = 10.0**places
    return (np.floor(scores.astype(np.float64) * scale + 0.5) / scale).astype(
        np.float32
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scored(version: Version, plan: FusionPlan, found: Sequence[SearchHits]) -> _Rows:
    """Every row that was found, with its score, in no order."""
    sizes = np.array([view.n_rows for view in version.views], np.int64)
    starts = np.cumsum(sizes) - sizes
    queries = [np.repeat(np.arange(len(h.counts)), h.counts) for h in found]
    parts = [
        np.zeros(len(h.offsets), np.int64) if h.parts is None else h.parts
        for h in found
    ]
    offsets = [h.offsets for h in found]
    elements = [
        np.zeros_like(h.offsets) if h.elements is None else h.elements for h in found
    ]
    width = 1 + max(int(places.max(initial=0)) for places in elements)
    names = [
        (query * int(sizes.sum()) + starts[part] + offset) * width + place
        for query, part, offset, place in zip(
            queries, parts, offsets, elements, strict=True
        )
    ]
    unique, first, which = np.unique(
        np.concatenate(names), return_index=True, return_inverse=True
    )
    scores = np.zeros(len(unique), np.float32)
    ends = np.cumsum([len(name) for name in names])
    for path, hits in enumerate(found):
        # a path has a row once, so that no addition is lost
        slots = which[ends[path] - len(hits.offsets) : ends[path]]
        scores[slots] += _contribution(plan, path, hits, queries[path])
    keys = concat([h.keys for h in found]).take(array_of(first))
    assert isinstance(keys, pa.Array)
    return _Rows(
        np.concatenate(queries)[first],
        np.concatenate(parts)[first],
        np.concatenate(offsets)[first],
        keys,
        _key_ranks(keys),
        scores,
        np.concatenate(elements)[first],
    )


def _key_ranks(keys: pa.Array) -> Offsets:
    """The rank of each key among all; equal ones have one rank."""
    order = values_of(pc.sort_indices(keys)).astype(np.int64)
    ordered = keys.take(array_of(order))
    is_new = np.ones(len(keys), np.int64)
    if len(keys) > 1:
        same = pc.equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
        is_new[1:] = ~same
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.cumsum(is_new)
    return ranks


def _contribution(
    plan: FusionPlan, path: int, hits: SearchHits, query: Offsets
) -> Floats:
    """What one path adds to the score of each of its rows."""
    ranker = plan.ranker
    if isinstance(ranker, RRF):
        rank = (_within(query) + 1).astype(np.float32)
        return _ONE / (np.float32(ranker.k) + rank)
    metric, scores = plan.paths[path].metric, hits.scores
    weight = np.float32(ranker.weights[path])
    if ranker.norm_score:
        return weight * normalised(scores, metric)
    is_converted = not (plan.is_ascending or metric.row.larger_is_better)
    return weight * (normalised(scores, metric) if is_converted else scores)


def normalised(scores: Floats, metric: Metric) -> Floats:
    """Scores of a metric in the range 0 to 1, larger being nearer."""
    if metric is Metric.COSINE:
        return (_ONE + scores) * _HALF
    turn = np.arctan(scores.astype(np.float64)).astype(np.float32)
    if metric.row.larger_is_better:
        return _HALF + turn / _PI
    return _ONE - _TWO * turn / _PI


def _within(query: Offsets) -> Offsets:
    """The rank of each row in its query; queries ascend."""
    changes = np.flatnonzero(np.diff(query, prepend=-1))
    sizes = np.diff(np.append(changes, len(query)))
    return np.arange(len(query)) - np.repeat(changes, sizes)


def _grouped(plan: FusionPlan, rows: _Rows, codes: Codes, nq: int) -> Offsets:
    """Positions of the rows kept, group after group, of sorted rows."""
    kept: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    bounds = np.searchsorted(rows.query, np.arange(nq + 1))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        groups = _groups_of(plan, rows, codes, range(start, end))
        kept += groups[plan.offset : plan.offset + plan.limit]
    return np.concatenate(kept)


def _groups_of(
    plan: FusionPlan, rows: _Rows, codes: Codes, places: range
) -> list[npt.NDArray[np.int64]]:
    """The groups of one query, best first, as positions of their rows."""
    assert plan.group is not None
    members: dict[int, list[int]] = {}
    for place in places:
        group = members.setdefault(int(codes[place]), [])
        if len(group) < plan.group.size:
            group.append(place)
    sign = 1.0 if plan.is_ascending else -1.0

    def order(group: list[int]) -> tuple[float, int, int]:
        score = _group_score(rows.scores[group], plan.scorer)
        return sign * score, -len(group), int(rows.key_rank[group[0]])

    return [np.array(group, np.int64) for group in sorted(members.values(), key=order)]


def _group_score(scores: Floats, scorer: GroupScorer) -> float:
    if scorer is GroupScorer.MAX:
        return float(scores[0])  # the rows of a group stand best first
    total = np.float32(0)
    for score in scores:
        total += score
    return float(
        total if scorer is GroupScorer.SUM else total / np.float32(len(scores))
    )
