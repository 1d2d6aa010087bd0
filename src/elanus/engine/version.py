"""What a reader sees: segments as they were at one moment, immutable.

The only thing reading and writing share. A writer publishes a new :class:`Version` at
one point; a reader keeps the one it began with, and with it every segment in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

import numpy as np

from elanus.engine.expiry import Expiry, Unexpired, unexpired_rows
from elanus.schema.arrays import array_of_plain
from elanus.schema.columns import Column, Offsets, concat, take
from elanus.schema.schema import CollectionSchema
from elanus.segment.base import Segment
from elanus.segment.deletes import Mask
from elanus.segment.keys import Key, Keys

CACHED_MASKS = 256
_UNEXPIRED = "unexpired"


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment up to a number of rows and hidden-row entries.

    Attributes:
        n_rows: rows that existed.
        n_hidden: entries of ``segment.hidden`` that existed.
        max_ts: rows newer than this are not seen; ``None`` when there are none.
        min_ts: rows older than this have expired; 0 when there are none.
        unexpired: rows that have not expired by a field of theirs, (n_rows,) bool;
            ``None`` when that is every row.
    """

    segment: Segment
    n_rows: int
    n_hidden: int
    max_ts: int | None = None
    min_ts: int = 0
    unexpired: Mask | None = None
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def visible(self, partitions: frozenset[int]) -> Mask | None:
        """Rows that reads show, (n_rows,) bool; ``None`` when that is every row."""
        mask = self.segment.in_partitions(partitions, self.n_rows)
        if self.n_hidden:
            shown = self.segment.hidden.visible(self.n_hidden, self.n_rows)
            mask = shown if mask is None else mask & shown
        return self._of_its_time(mask)

    def counted(self, partitions: frozenset[int]) -> Mask | None:
        """Rows that ``count(*)`` counts; ``None`` when that is every row."""
        mask = self.segment.in_partitions(partitions, self.n_rows)
        if self.segment.hidden.deleted_in(self.n_hidden):
            alive = self.segment.hidden.counted(self.n_hidden, self.n_rows)
            mask = alive if mask is None else mask & alive
        return self._of_its_time(mask)

    def _of_its_time(self, mask: Mask | None) -> Mask | None:
        if self.unexpired is not None:
            mask = self.unexpired if mask is None else mask & self.unexpired
        if self.max_ts is None and not self.min_ts:
            return mask
        stamps = self.segment.row_ts(self.n_rows)
        shown: Mask = stamps >= self.min_ts
        if self.max_ts is not None:
            shown &= stamps <= self.max_ts
        return shown if mask is None else mask & shown

    def since(self, ts: int) -> SegmentView:
        """The same view without rows older than ``ts``."""
        if not self.n_rows or self.segment.oldest_ts() >= ts:
            return self
        # kept beside the masks, since the next version has this view, too
        known: SegmentView | None = self.cache.get(_UNEXPIRED)
        if known is None or known.min_ts != ts:
            known = self.cache[_UNEXPIRED] = replace(self, min_ts=ts, cache={})
        return known

    def unexpired_by(self, expiry: Expiry) -> SegmentView:
        """The same view without rows whose value of a field has passed."""
        # as above; never the view itself, which would keep itself alive
        known: tuple[Unexpired, SegmentView | None] | None = self.cache.get(
            expiry.field_id
        )
        if known is None or not known[0].holds_at(expiry.now_us):
            rows = unexpired_rows(self.segment, self.n_rows, expiry)
            view = None
            if rows.mask is not None:
                view = replace(self, unexpired=rows.mask, cache={})
            known = self.cache[expiry.field_id] = rows, view
        return known[1] or self


@dataclass(frozen=True, slots=True)
class Version:
    """The state of a collection at one timestamp.

    Attributes:
        ts: every write up to here is in, none after it.
        number: counts published versions; equal numbers mean the same state.
        partitions: ids of the partitions that exist.
        repeated_keys: primary keys with rows in more than one partition.
    """

    number: int
    ts: int
    schema: CollectionSchema
    views: tuple[SegmentView, ...]
    partitions: frozenset[int]
    repeated_keys: frozenset[Key] = frozenset()
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def as_of(self, ts: int) -> Version:
        """The same collection as it was at an older timestamp.

        Rows that a compaction removed since are gone; see ``Settings.history_s``.
        """
        if ts >= self.ts:
            return self
        views = tuple(_view_as_of(view, ts) for view in self.views)
        return Version(
            self.number, ts, self.schema, views, self.partitions, self.repeated_keys
        )

    def since(self, ts: int) -> Version:
        """The same collection without rows older than a timestamp: they expired."""
        # kept here, so that it goes with this version and holds no segment longer
        known: tuple[int, Version] | None = self.cache.get(_UNEXPIRED)
        if known is None or known[0] != ts:
            views = tuple(view.since(ts) for view in self.views)
            known = self.cache[_UNEXPIRED] = ts, replace(self, views=views, cache={})
        return known[1]

    def unexpired_by(self, expiry: Expiry) -> Version:
        """The same collection without rows whose value of a field has passed."""
        views = tuple(view.unexpired_by(expiry) for view in self.views)
        if all(map(is_, views, self.views)):
            return self
        known: Version | None = self.cache.get(expiry.field_id)
        if known is None or not all(map(is_, views, known.views)):
            known = self.cache[expiry.field_id] = replace(self, views=views, cache={})
        return known

    def visible(self, position: int, partitions: frozenset[int]) -> Mask | None:
        """Rows of the view at ``position`` that reads show; shared, do not write.

        Of the rows of one key, reads show the newest only; inside a partition the
        segments know, across partitions it depends on which are read.
        """
        key = (position, partitions)
        if key in self.cache:
            mask: Mask | None = self.cache[key]
            return mask
        view = self.views[position]
        mask = view.visible(partitions)
        if self.repeated_keys and len(partitions) > 1:
            older = self._older_repeats(partitions)[position]
            if len(older):
                mask = np.ones(view.n_rows, np.bool_) if mask is None else mask.copy()
                mask[older] = False
        if len(self.cache) > CACHED_MASKS:
            self.cache.clear()
        self.cache[key] = mask
        return mask

    def _older_repeats(self, partitions: frozenset[int]) -> list[Offsets]:
        """By view, the rows of repeated keys that a newer row hides."""
        key = ("repeats", partitions)
        known: list[Offsets] | None = self.cache.get(key)
        if known is not None:
            return known
        values = sorted(self.repeated_keys)
        keys = Keys.of(array_of_plain(values))
        newest: dict[int, tuple[int, int, int]] = {}
        older: list[list[int]] = [[] for _ in self.views]
        for position, view in enumerate(self.views):
            which, offsets = view.segment.find(keys, view.n_rows)
            mask = view.visible(partitions)
            shown = np.ones(len(offsets), np.bool_) if mask is None else mask[offsets]
            stamps = view.segment.row_ts_at(offsets)
            for i in np.flatnonzero(shown).tolist():
                row = (int(stamps[i]), position, int(offsets[i]))
                rival = newest.get(int(which[i]))
                if rival is not None:
                    rival, row = sorted((rival, row))
                    older[rival[1]].append(rival[2])
                newest[int(which[i])] = row
        known = [np.array(sorted(rows), np.int64) for rows in older]
        self.cache[key] = known
        return known


def _view_as_of(view: SegmentView, ts: int) -> SegmentView:
    segment = view.segment
    n_hidden = min(view.n_hidden, segment.hidden.size_at(ts))
    stamps = segment.row_ts(view.n_rows)
    if not segment.is_sealed:
        n_rows = int(np.searchsorted(stamps, ts, "right"))
        unexpired = None if view.unexpired is None else view.unexpired[:n_rows]
        return SegmentView(
            segment, n_rows, n_hidden, min_ts=view.min_ts, unexpired=unexpired
        )
    newest = int(stamps.max()) if len(stamps) else 0
    max_ts = ts if newest > ts else None
    return SegmentView(
        segment, view.n_rows, n_hidden, max_ts, view.min_ts, view.unexpired
    )


def gather(
    views: Sequence[SegmentView], parts: Offsets | None, offsets: Offsets, field_id: int
) -> Column:
    """The values of a field at rows of several segments, in the order given.

    Args:
        parts: position in ``views`` of each row; ``None`` when all are of the first.
        offsets: row offset in its segment.
    """
    if parts is None or len(views) == 1:
        return views[0].segment.take(field_id, offsets)
    columns, rows = [], []
    for position in np.unique(parts).tolist():
        chosen = np.flatnonzero(parts == position)
        columns.append(views[position].segment.take(field_id, offsets[chosen]))
        rows.append(chosen)
    if len(columns) == 1:
        return columns[0]
    order = np.argsort(np.concatenate(rows), kind="stable")
    return take(concat(columns), order)
