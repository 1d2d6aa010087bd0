"""Searches whose rows come in groups: the nearest groups, and the nearest rows of each.

An index can be asked for rows, not for groups. So the search goes deeper until the
groups wanted are there, and where that does not pay any more, every row is measured:
the answer never has fewer groups than there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from elanus.engine.read.group_plan import GroupBy, GroupKey
from elanus.engine.read.order import sorted_rows
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.ranking import (
    AllowedByView,
    allowed_by_view,
    rank_allowed,
)
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.search import SearchHits, search_allowed
from elanus.engine.version import SegmentView, Version, gather
from elanus.expr.jsonpath import values_at
from elanus.schema.arrays import array_of, array_of_texts, values_of
from elanus.schema.columns import Column, Floats, Offsets, concat
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorRows

Codes = npt.NDArray[np.int64]

_LEAST_DEPTH = 64
_DEEPER = 8
# Walking an index deeper costs more than measuring every row: at its measured effort
# 10 ms for 64 rows of 100,000 x 64, two seconds for 4096, and 40 ms for every row.
_DEEPEST = 512
_SHARE = 64
_BITS = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}


class _Found(NamedTuple):
    """The rows of one query, in their order."""

    parts: Offsets
    offsets: Offsets
    scores: Floats
    keys: Column
    elements: Offsets | None = None


class Chosen(NamedTuple):
    """Which rows of a ranking are returned.

    Attributes:
        rows: positions in the ranking, group after group.
        is_complete: whether rows further down could not change the answer.
    """

    rows: Offsets
    is_complete: bool


def search_groups(
    version: Version,
    plan: SearchPlan,
    queries: VectorRows,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> SearchHits:
    """Find the ``limit`` nearest groups of each query, ``offset`` groups left out.

    Groups stand in the order of their nearest rows, the rows of a group together.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    group = plan.group
    assert group is not None
    allowed = allowed_by_view(version, plan, rng, recorder)
    available = sum(
        view.n_rows if rows is None else rows.count
        for view, rows in zip(version.views, allowed, strict=True)
    )
    found: dict[int, _Found] = {}
    left = np.arange(len(queries))
    depth = max(_LEAST_DEPTH, 2 * (plan.limit + plan.offset) * group.size)
    while len(left) and depth <= max(_LEAST_DEPTH, min(_DEEPEST, available // _SHARE)):
        rows = replace(plan, limit=depth, offset=0, order=(), group=None)
        hits = search_allowed(version, rows, queries[left], allowed, recorder)
        found.update(_complete(hits, plan, left, depth))
        left = np.array([query for query in left if query not in found], np.int64)
        depth *= _DEEPER
    if len(left):
        asked = {query: queries[query : query + 1] for query in left.tolist()}
        found.update(_measured(version, plan, asked, allowed, recorder))
    hits = _in_order(_hits(version, found), plan)
    if recorder is not None:
        recorder.step("group")
    return hits


def choose(codes: Codes, group: GroupBy, start: int, end: int) -> Chosen:
    """The groups of ranks ``start`` to ``end`` in a ranking.

    Args:
        codes: the group of each row, best row first.
    """
    if not len(codes):
        return Chosen(np.empty(0, np.int64), is_complete=False)
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    rank_of_group = np.empty(len(first), np.int64)
    rank_of_group[np.argsort(first)] = np.arange(len(first))
    ranks = rank_of_group[which]
    order = np.argsort(ranks, kind="stable")
    sizes = np.bincount(ranks)
    within = np.arange(len(ranks)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = (ranks[order] >= start) & (ranks[order] < end) & (within < group.size)
    is_complete = len(first) >= end
    if group.size > 1 and is_complete:
        if group.is_strict:
            is_complete = bool(sizes[start:end].min(initial=group.size) >= group.size)
        else:
            # enough groups: what comes after the last of them is not looked at
            kept &= order <= np.sort(first)[end - 1]
    return Chosen(order[kept].astype(np.int64, copy=False), is_complete)


def group_codes(
    views: Sequence[SegmentView], parts: Offsets | None, offsets: Offsets, by: GroupBy
) -> Codes:
    """A number per row, the same for rows of one group; it holds for one call."""
    codes = np.zeros(len(offsets), np.int64)
    if not len(offsets):
        return codes
    for key in by.keys:
        values = group_values(views, parts, offsets, key, is_exact=True)
        encoded = values.dictionary_encode(null_encoding="encode")
        dense = values_of(encoded.indices).astype(np.int64)
        if len(by.keys) == 1:
            return dense
        _, codes = np.unique(codes * (len(codes) + 1) + dense, return_inverse=True)
    return codes


def group_values(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    key: GroupKey,
    *,
    is_exact: bool = False,
) -> pa.Array:
    """What rows are grouped by.

    Args:
        is_exact: whether JSON values come as JSON text, so that those of different
            types differ; otherwise texts come as they are.
    """
    if not len(offsets):
        return pa.nulls(0, key.dtype.row.arrow)
    column = gather(views, parts, offsets, key.field.id)
    assert isinstance(column, pa.Array)
    if not key.is_json:
        return column
    values = values_at(column, key.path)
    if key.cast is not None:
        values = [_cast(value, key) for value in values]
        if not is_exact:
            return pa.array(values, key.cast.row.arrow)
    texts = [_text(value, is_exact=is_exact) for value in values]
    return array_of_texts(texts, pa.large_string())


def _cast(value: Any, key: GroupKey) -> Any:
    """A JSON value as one of the key's type; ``None`` where it is of another."""
    dtype = key.cast
    assert dtype is not None
    if dtype is DataType.BOOL:
        return value if isinstance(value, bool) else None
    if dtype is DataType.VARCHAR:
        return value if isinstance(value, str) else None
    if isinstance(value, float) and value.is_integer() and not key.is_exact_type:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    bound = 1 << (_BITS[dtype] - 1)
    return value if -bound <= value < bound else None


def _text(value: Any, *, is_exact: bool) -> str | None:
    if value is None or (isinstance(value, str) and not is_exact):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _complete(
    hits: SearchHits, plan: SearchPlan, asked: Offsets, depth: int
) -> dict[int, _Found]:
    """The answers to those queries for which the search went deep enough."""
    assert plan.group is not None
    codes = group_codes(hits.version.views, hits.parts, hits.offsets, plan.group)
    done: dict[int, _Found] = {}
    ends = np.cumsum(hits.counts)
    for query, end, count in zip(asked.tolist(), ends, hits.counts, strict=True):
        start = end - count
        chosen = choose(
            codes[start:end], plan.group, plan.offset, plan.offset + plan.limit
        )
        # a list with empty places holds every row there is
        if chosen.is_complete or count < depth:
            rows = start + chosen.rows
            parts = np.zeros(len(rows), np.int64)
            done[query] = _Found(
                parts if hits.parts is None else hits.parts[rows],
                hits.offsets[rows],
                hits.scores[rows],
                hits.keys.take(array_of(rows)),
                None if hits.elements is None else hits.elements[rows],
            )
    return done


def _measured(
    version: Version,
    plan: SearchPlan,
    asked: Mapping[int, VectorRows],
    allowed: AllowedByView,
    recorder: Recorder | None,
) -> dict[int, _Found]:
    """The answers to queries, by their number, for which every row is measured."""
    assert plan.group is not None
    if plan.finds_elements:
        allowed_of_rows: AllowedByView = [None] * len(version.views)
    else:
        allowed_of_rows = allowed
    codes, starts = _codes_of_all(version, plan.group, allowed_of_rows)
    found = {}
    for query, vector in asked.items():
        ranking = rank_allowed(version, plan, vector, allowed, recorder)
        ranked = codes[starts[ranking.parts] + ranking.offsets]
        rows = choose(ranked, plan.group, plan.offset, plan.offset + plan.limit).rows
        found[query] = _Found(
            ranking.parts[rows],
            ranking.offsets[rows],
            ranking.scores_at(rows),
            ranking.keys_at(rows),
            None if ranking.elements is None else ranking.elements[rows],
        )
    return found


def _codes_of_all(
    version: Version, group: GroupBy, allowed: AllowedByView
) -> tuple[Codes, Offsets]:
    """The group of every row that may be returned, and where each view's rows begin."""
    sizes = np.array([view.n_rows for view in version.views], np.int64)
    starts = np.cumsum(sizes) - sizes
    chosen = [
        np.arange(view.n_rows) if rows is None else rows.offsets
        for view, rows in zip(version.views, allowed, strict=True)
    ]
    parts = np.repeat(np.arange(len(chosen)), [len(rows) for rows in chosen])
    offsets = np.concatenate([np.empty(0, np.int64), *chosen])
    codes = np.zeros(int(sizes.sum()), np.int64)
    codes[starts[parts] + offsets] = group_codes(version.views, parts, offsets, group)
    return codes, starts


def _hits(version: Version, found: dict[int, _Found]) -> SearchHits:
    answers = [found[query] for query in range(len(found))]
    return SearchHits(
        version,
        np.array([len(answer.offsets) for answer in answers], np.int64),
        np.concatenate([answer.parts for answer in answers]),
        np.concatenate([answer.offsets for answer in answers]),
        np.concatenate([answer.scores for answer in answers]),
        concat([answer.keys for answer in answers]),
        joined_elements([answer.elements for answer in answers]),
    )


def joined_elements(parts: Sequence[Offsets | None]) -> Offsets | None:
    """The elements of several answers as one; ``None`` where rows are found."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _in_order(hits: SearchHits, plan: SearchPlan) -> SearchHits:
    """The groups of each query in the order asked for, by their nearest rows."""
    if not plan.order or not len(hits.offsets):
        return hits
    assert plan.group is not None and hits.parts is not None
    views = hits.version.views
    codes = group_codes(views, hits.parts, hits.offsets, plan.group)
    query = np.repeat(np.arange(len(hits.counts)), hits.counts)
    changes = (np.diff(codes) != 0) | (np.diff(query) != 0)
    heads = np.flatnonzero(np.insert(changes, 0, True))
    order = sorted_rows(
        views, hits.parts[heads], hits.offsets[heads], plan.order, [query[heads]]
    )
    place = np.empty(len(heads), np.int64)
    place[order] = np.arange(len(heads))
    sizes = np.diff(np.append(heads, len(codes)))
    rows = np.argsort(np.repeat(place, sizes), kind="stable")
    return hits._replace(
        parts=hits.parts[rows],
        offsets=hits.offsets[rows],
        scores=hits.scores[rows],
        keys=hits.keys.take(array_of(rows)),
        elements=None if hits.elements is None else hits.elements[rows],
    )
