"""Merging sealed segments into one, without the rows that are dead.

The merge runs in the worker, on a snapshot of what was deleted. Rows deleted meanwhile
are carried over when the result is published, under the state lock. If the sources are
indexed, so is the result before it is published, so that no query ever falls back to
scanning what it searched by index a moment ago.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.clock import physical_ms, ts_at
from elanus.engine.expiry import Expiry, unexpired_rows
from elanus.engine.shard import LocalShard
from elanus.engine.write.build import definitions_by_slot, run_build
from elanus.engine.write.flush import with_deletes
from elanus.engine.write.jobs import (
    CompactJob,
    Runner,
    kept_rows,
    merge_order,
)
from elanus.errors import UnknownOutcome
from elanus.schema.arrays import array_of
from elanus.schema.columns import Offsets
from elanus.segment.attached import Attached, attached
from elanus.segment.files import read_meta
from elanus.segment.sealed import SealedSegment
from elanus.storage.columnar import FileStamp, write_columns
from elanus.storage.manifest import (
    IndexEntry,
    SegmentEntry,
    index_folder,
    segment_folder,
)


@dataclass(frozen=True, slots=True)
class _Source:
    """One segment to merge.

    Attributes:
        dropped: offsets of rows to leave out.
        place: new offset of each row, -1 for a row left out.
    """

    segment: SealedSegment
    dropped: Offsets
    place: Offsets


@dataclass(slots=True)
class Merged:
    """A merged segment that is not published yet."""

    segment: SealedSegment
    indexes: dict[int, IndexEntry]
    carried: int = 0


def compact(
    shard: LocalShard,
    segment_ids: Sequence[int],
    runner: Runner,
    *,
    is_eager: bool = False,
) -> bool:
    """Merge these segments; false if one of them has gone meanwhile.

    Args:
        is_eager: leave out every expired row, those of late, too.

    Raises:
        JobFailed: the worker could not do it; nothing changed.
        Cancelled, StorageError, DiskFull: nothing changed.
    """
    sources = _plan(shard, segment_ids, is_eager=is_eager)
    if sources is None:
        return False
    merged = None
    if any(len(s.dropped) < s.segment.n_rows for s in sources):
        merged = _merge(shard, sources, runner)
    published = False
    try:
        published = _publish(shard, sources, merged)
    except UnknownOutcome:
        published = True  # perhaps; the next start knows which files are named
        raise
    finally:
        if not published and merged is not None:
            _discard(shard, merged)
    return published


def drop_dead_segments(shard: LocalShard) -> bool:
    """Let go of segments none of whose rows can be asked for; needs no worker.

    A merge or build of such a segment under way comes to nothing when it ends.

    Raises:
        StorageError, DiskFull: nothing changed.
    """
    with shard.state_lock:
        segments, partitions = list(shard.sealed), shard.partitions
        horizon = horizon_of(shard, is_eager=False)
    dead = [
        segment.id
        for segment in segments
        if len(dead_rows(segment, segment.hidden.size, horizon, partitions))
        == segment.n_rows
    ]
    sources = _plan(shard, dead, is_eager=False) if dead else None
    return sources is not None and _publish(shard, sources, None)


def _plan(
    shard: LocalShard, segment_ids: Sequence[int], *, is_eager: bool
) -> list[_Source] | None:
    with shard.state_lock:
        wanted = set(segment_ids)
        segments = [s for s in shard.sealed if s.id in wanted]
        sizes = [segment.hidden.size for segment in segments]
        partitions = shard.partitions
        horizon = horizon_of(shard, is_eager=is_eager)
    if len(segments) < len(wanted):
        return None
    dropped = [
        dead_rows(segment, size, horizon, partitions)
        for segment, size in zip(segments, sizes, strict=True)
    ]
    kept = [
        kept_rows(segment.n_rows, gone)
        for segment, gone in zip(segments, dropped, strict=True)
    ]
    order = merge_order([segment.meta for segment in segments], kept)
    total = sum(len(rows) for rows in kept)
    places = np.arange(total) if order is None else np.argsort(order)
    sources, start = [], 0
    for segment, rows, gone in zip(segments, kept, dropped, strict=True):
        place = np.full(segment.n_rows, -1, np.int64)
        place[rows] = places[start : start + len(rows)]
        start += len(rows)
        sources.append(_Source(segment, gone, place))
    return sources


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to when rows need not be kept for older readers.

    Attributes:
        deleted_ts: those deleted up to here.
        expired_ts: those written before.
        expiry: those whose value of a field has passed then; ``None`` without one.
    """

    deleted_ts: int
    expired_ts: int
    expiry: Expiry | None = None


def horizon_of(shard: LocalShard, *, is_eager: bool) -> Horizon:
    """Which rows need not be kept.

    Args:
        is_eager: whether rows go that expired of late, and would be seen again with a
            longer time to live.
    """
    settings = shard.node.settings
    history_ms = int(settings.history_s * 1000)
    kept_ms = max(history_ms, 0 if is_eager else int(settings.expired_s * 1000))
    expired = max(0, physical_ms(shard.expiry_ts()) - kept_ms)
    expiry = shard.expiry()
    if expiry is not None:
        expiry = replace(expiry, now_us=expiry.now_us - kept_ms * 1000)
    deleted = shard.applied_ts
    if history_ms:
        deleted = ts_at(max(0, physical_ms(deleted) - history_ms))
    return Horizon(deleted, ts_at(expired), expiry)


def dead_rows(
    segment: SealedSegment, size: int, horizon: Horizon, partitions: frozenset[int]
) -> Offsets:
    """Offsets of rows that no reader can ask for any more."""
    offsets, ts, shadowed = segment.hidden.entries(0, size)
    dead = np.zeros(segment.n_rows, np.bool_)
    dead[offsets[~shadowed & (ts <= horizon.deleted_ts)]] = True
    if segment.meta.ts_range[0] < horizon.expired_ts:
        dead |= segment.row_ts(segment.n_rows) < horizon.expired_ts
    if horizon.expiry is not None:
        unexpired = unexpired_rows(segment, segment.n_rows, horizon.expiry).mask
        if unexpired is not None:
            dead |= ~unexpired
    for partition, (start, end) in segment.meta.partitions.items():
        if partition not in partitions:
            dead[start:end] = True
    return np.flatnonzero(dead)


def _merge(shard: LocalShard, sources: list[_Source], runner: Runner) -> Merged:
    node = shard.node
    segment_id = node.ids.next()
    folder = segment_folder(shard.id, segment_id)
    definitions = definitions_by_slot(shard)
    indexed = {f for s in sources for f in s.segment.indexed_fields()}
    indexes: dict[int, IndexEntry] = {}
    try:
        _run_merge(shard, sources, segment_id, runner.part(0.0, 0.3))
        meta = read_meta(node.store, folder)
        segment = SealedSegment(node.store, folder, meta, shard.schema)
        merged = Merged(segment, indexes)
        if meta.n_rows >= node.settings.index_rows:
            for slot, definition in definitions.items():
                if slot in indexed:
                    target = (segment_id, definition)
                    part = runner.part(0.3, 1.0)
                    indexes[slot] = run_build(shard, target, part)
    except BaseException:
        node.trash.add(folder)
        for entry in indexes.values():
            node.trash.add(index_folder(shard.id, entry.index_id))
        raise
    return merged


def _run_merge(
    shard: LocalShard, sources: list[_Source], segment_id: int, runner: Runner
) -> None:
    """Have the worker write the segment; what it is to leave out goes in files."""
    stamps: list[FileStamp | None] = []
    try:
        for source in sources:
            stamps.append(_write_dropped(shard, source))
        runner.run(
            CompactJob(
                shard.id,
                shard.schema.to_dict(),
                segment_id,
                tuple(source.segment.id for source in sources),
                tuple(None if stamp is None else stamp.to_json() for stamp in stamps),
            )
        )
    finally:
        for stamp in stamps:
            if stamp is not None:
                shard.node.trash.add_file(stamp.name)


def _write_dropped(shard: LocalShard, source: _Source) -> FileStamp | None:
    if not len(source.dropped):
        return None
    name = f"jobs/{shard.node.ids.next()}.arrow"
    batch = pa.RecordBatch.from_arrays([array_of(source.dropped)], names=["offset"])
    return write_columns(shard.node.store, name, batch)


def _publish(shard: LocalShard, sources: list[_Source], merged: Merged | None) -> bool:
    with shard.manifest_lock:
        with shard.state_lock:
            present = {id(segment) for segment in shard.sealed}
            if any(id(source.segment) not in present for source in sources):
                return False
            carried = [0] * len(sources)
            if merged is not None:
                _drop_unwanted_indexes(shard, merged)
                carried = _carry(sources, merged, carried)
                size = merged.segment.hidden.size
        gone = {source.segment.id for source in sources}
        entries = [e for e in shard.manifest.segments if e.segment_id not in gone]
        if merged is not None:
            entry = with_deletes(shard, merged.segment, size)
            entries.append(replace(entry, indexes=dict(merged.indexes)))
        entries.sort(key=lambda entry: entry.segment_id)
        old = [e for e in shard.manifest.segments if e.segment_id in gone]
        # opened first: nothing may fail between the commit and its publication
        attached = {} if merged is None else open_built(shard, merged.indexes)
        manifest = shard.commit(replace(shard.manifest, segments=tuple(entries)))
        with shard.state_lock:
            if merged is not None:
                _carry(sources, merged, carried)
                for field_id, index in attached.items():
                    merged.segment.attach(field_id, index)
            added = [] if merged is None else [merged.segment]
            shard.replace_segments([s.segment for s in sources], added, manifest)
            if merged is not None:
                shard.persisted[merged.segment.id] = size
        retire(shard, [source.segment for source in sources], old)
    return True


def _drop_unwanted_indexes(shard: LocalShard, merged: Merged) -> None:
    """Leave out indexes whose definition was changed while they were built."""
    for field_id, entry in list(merged.indexes.items()):
        if shard.index_definitions.get(field_id) != entry.definition:
            del merged.indexes[field_id]
            shard.node.trash.add(index_folder(shard.id, entry.index_id))


def _carry(sources: list[_Source], merged: Merged, done: list[int]) -> list[int]:
    """Bring hidden rows of the sources over, in order of ts; returns entries seen."""
    offsets, stamps, reasons, seen = [], [], [], []
    for source, start in zip(sources, done, strict=True):
        hidden = source.segment.hidden
        rows, ts, shadowed = hidden.entries(start, hidden.size)
        place = source.place[rows]
        kept = place >= 0
        offsets.append(place[kept])
        stamps.append(ts[kept])
        reasons.append(shadowed[kept].astype(np.uint8))
        seen.append(hidden.size)
    all_ts = np.concatenate(stamps)
    order = np.argsort(all_ts, kind="stable")
    merged.segment.hidden.extend(
        np.concatenate(offsets)[order],
        all_ts[order],
        np.concatenate(reasons)[order],
        merged.segment.n_rows,
    )
    return seen


def open_built(
    shard: LocalShard, entries: Mapping[int, IndexEntry]
) -> dict[int, Attached]:
    """Open indexes that the worker just wrote and checksummed."""
    return {
        field_id: attached(shard.node.store, entry, is_verified=True)
        for field_id, entry in entries.items()
    }


def retire(
    shard: LocalShard, segments: list[SealedSegment], entries: list[SegmentEntry]
) -> None:
    """Have the files of segments deleted once no reader holds them."""
    by_id = {entry.segment_id: entry for entry in entries}
    for segment in segments:
        folders = [segment.folder]
        entry = by_id.get(segment.id)
        indexes: Mapping[int, Any] = {} if entry is None else entry.indexes
        folders += [index_folder(shard.id, i.index_id) for i in indexes.values()]
        shard.node.trash.retire(segment, folders)


def _discard(shard: LocalShard, merged: Merged) -> None:
    shard.node.trash.add(merged.segment.folder)
    for entry in merged.indexes.values():
        shard.node.trash.add(index_folder(shard.id, entry.index_id))
