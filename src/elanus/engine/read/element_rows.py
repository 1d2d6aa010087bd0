"""Queries with ``element_filter``: the rows that match, and which elements of each.

What is counted off by ``limit`` and ``offset`` are elements; rows come in their order,
the elements of a row ascending.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from elanus.engine.read.filter import ViewSource
from elanus.engine.read.plan import QueryPlan
from elanus.engine.read.query import Rows, matching
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import SegmentView, Version, gather
from elanus.expr.elements import lengths_of
from elanus.expr.evaluate_elements import element_mask
from elanus.expr.predicate import Predicate
from elanus.schema.columns import Offsets
from elanus.segment.keys import Key


class Place(NamedTuple):
    """An element that an iterator has received: what comes after it is wanted."""

    key: Key
    element: int


@dataclass(frozen=True, slots=True)
class ElementRows:
    """Rows chosen from a version, and which elements of each match."""

    rows: Rows
    elements: tuple[Offsets, ...]


class _Matching(NamedTuple):
    """The elements of a segment that match.

    Attributes:
        elements: which of its row's each is; row after row.
        ends: (rows + 1,) where the elements of each row begin.
    """

    elements: Offsets
    ends: Offsets


def matching_elements(
    version: Version,
    plan: QueryPlan,
    rng: np.random.Generator,
    after: Place | None,
    recorder: Recorder | None = None,
) -> ElementRows:
    """Which rows and elements a plan returns, in its order.

    Args:
        after: the last element that the caller has, of a plan in key order.
    """
    predicate = plan.predicate
    assert predicate is not None
    rows = matching(version, replace(plan, limit=None, offset=0), rng, recorder)
    found = {
        position: _matching(version.views[position], predicate)
        for position in np.unique(rows.parts).tolist()
    }
    starts, ends = np.empty_like(rows.offsets), np.empty_like(rows.offsets)
    for position, matching_of in found.items():
        chosen = rows.parts == position
        starts[chosen] = matching_of.ends[rows.offsets[chosen]]
        ends[chosen] = matching_of.ends[rows.offsets[chosen] + 1]
    if after is not None:
        for row in range(_rows_of_key(version, rows, after.key)):
            matches = found[int(rows.parts[row])].elements[starts[row] : ends[row]]
            starts[row] += np.searchsorted(matches, after.element, "right")
    upto = np.cumsum(ends - starts)
    before = upto - (ends - starts)
    stop = upto[-1] if len(upto) else 0
    if plan.limit is not None:
        stop = min(stop, plan.offset + plan.limit)
    kept = np.flatnonzero((upto > plan.offset) & (before < stop) & (ends > starts))
    firsts = starts + np.maximum(plan.offset - before, 0)
    lasts = ends - np.maximum(upto - stop, 0)
    elements = tuple(
        found[int(rows.parts[row])].elements[firsts[row] : lasts[row]]
        for row in kept.tolist()
    )
    if recorder is not None:
        recorder.step("elements")
    return ElementRows(rows.take(kept), elements)


def _matching(view: SegmentView, predicate: Predicate) -> _Matching:
    source, found = ViewSource(view), predicate.element_filter
    assert found is not None
    lengths = lengths_of(source, found.field_id)
    row_ends = np.cumsum(lengths)
    places = np.arange(int(lengths.sum())) - np.repeat(row_ends - lengths, lengths)
    mask = element_mask(predicate.condition, source)
    counted = np.concatenate([[0], np.cumsum(mask)])
    ends = np.concatenate([[0], counted[row_ends]])
    return _Matching(places[mask], ends)


def _rows_of_key(version: Version, rows: Rows, key: Key) -> int:
    """How many rows in front have this primary key: one, or one in each partition."""
    first = rows.take(np.arange(min(len(rows.offsets), len(version.partitions))))
    if not len(first.offsets):
        return 0
    primary = version.schema.primary.id
    keys = gather(version.views, first.parts, first.offsets, primary)
    assert isinstance(keys, pa.Array)
    values: list[Key] = keys.to_pylist()
    return values.count(key)
