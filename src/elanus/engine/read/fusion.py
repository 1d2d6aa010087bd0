"""Hybrid searches: one ranking made of those of several searches.

The arithmetic is Milvus', in float32, so that equal requests have equal scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.fusion_plan import (
    RRF,
    Decayed,
    FusionPlan,
    GroupScorer,
    Judged,
    Weighted,
)
from elanus.engine.read.grouping import Codes, group_codes
from elanus.engine.read.search import SearchHits
from elanus.engine.version import SegmentView, Version, gather
from elanus.functions.rank.scale import ScoreMode, descending, normalised
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Column, Floats, Offsets, concat

_ONE = np.float32(1)


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
    rows = _reread(version.views, plan, _scored(version, plan, found), nq)
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
        None if found[0].elements is None else rows.elements,
    )


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
    ends = np.cumsum([len(name) for name in names])
    slots = [
        which[end - len(name) : end] for end, name in zip(ends, names, strict=True)
    ]
    scores = _merged(plan, found, queries, slots, len(unique))
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


def _merged(
    plan: FusionPlan,
    found: Sequence[SearchHits],
    queries: Sequence[Offsets],
    slots: Sequence[Offsets],
    n_rows: int,
) -> Floats:
    """The score of each row, of what every path says of it.

    Args:
        slots: which row each hit of a path is; a path has a row once.
    """
    mode = plan.ranker.mode if isinstance(plan.ranker, Decayed) else ScoreMode.SUM
    is_max = mode is ScoreMode.MAX
    scores = np.full(n_rows, -np.inf if is_max else 0, np.float32)
    times = np.zeros(n_rows, np.float32)
    for path, hits in enumerate(found):
        told, places = _contribution(plan, path, hits, queries[path]), slots[path]
        if is_max:
            scores[places] = np.maximum(scores[places], told)
        else:
            scores[places] += told
        times[places] += 1
    return scores / times if mode is ScoreMode.AVG else scores


def _contribution(
    plan: FusionPlan, path: int, hits: SearchHits, query: Offsets
) -> Floats:
    """What one path says of each of its rows."""
    ranker = plan.ranker
    if isinstance(ranker, RRF):
        rank = (_within(query) + 1).astype(np.float32)
        return _ONE / (np.float32(ranker.k) + rank)
    metric, scores = plan.paths[path].metric, hits.scores
    if isinstance(ranker, Judged):
        return scores
    if ranker.norm_score:
        scores = normalised(scores, metric)
    elif not plan.is_ascending:
        scores = descending(scores, metric)
    if isinstance(ranker, Weighted):
        return np.float32(ranker.weights[path]) * scores
    return scores


def _reread(
    views: Sequence[SegmentView], plan: FusionPlan, rows: _Rows, nq: int
) -> _Rows:
    """The rows with the scores that their values make of those they have."""
    ranker = plan.ranker
    if isinstance(ranker, RRF | Weighted):
        return rows
    values = gather(views, rows.parts, rows.offsets, ranker.field.id)
    assert isinstance(values, pa.Array)
    if isinstance(ranker, Decayed):
        scores = rows.scores * ranker.decay.factors(values)
        return rows._replace(scores=scores.astype(np.float32))
    texts = pc.fill_null(values, "").to_pylist()
    bounds = np.searchsorted(rows.query, np.arange(nq + 1)).tolist()
    asked = [texts[bounds[query] : bounds[query + 1]] for query in range(nq)]
    return rows._replace(scores=np.concatenate(ranker.scorer.scores(asked)))


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
