"""From memory to files: growing segments become sealed ones, deletes become files.

Order of a flush: files with names of their own → synced → their folders synced → one
metadata transaction → publish → the log may be trimmed. A crash between any two steps
loses nothing: before the transaction the log still has every record, after it the files
do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from elanus.engine.shard import Frozen, LocalShard
from elanus.errors import StorageError, UnknownOutcome
from elanus.schema.columns import Batch, Offsets
from elanus.segment.files import SegmentRows, write_segment
from elanus.segment.growing import GrowingSegment
from elanus.segment.sealed import SealedSegment
from elanus.storage.columnar import write_columns
from elanus.storage.manifest import (
    Manifest,
    SegmentEntry,
    collection_folder,
    deletes_file,
    segment_folder,
)

DELETE_FILES = 8


@dataclass(frozen=True, slots=True)
class _Flushed:
    """A growing segment and what it became; ``place[i]`` is row ``i``'s new offset."""

    growing: GrowingSegment
    sealed: SealedSegment
    place: Offsets | None


def flush_next(shard: LocalShard) -> bool:
    """Flush the oldest frozen segment, and all deletes; false if there was none.

    Raises:
        StorageError, DiskFull: nothing changed; the rows stay in memory and log.
    """
    with shard.manifest_lock:
        with shard.state_lock:
            frozen = shard.frozen[0] if shard.frozen else None
        if frozen is None:
            return False
        # after an open outcome a manifest may name what would be written over
        shard.node.meta.check_sound()
        flushed = _write(shard, frozen)
        _commit(shard, flushed, frozen.last_seq)
    return True


def flush_all(shard: LocalShard) -> None:
    """Flush everything that is applied now.

    Raises:
        StorageError, DiskFull: what was not flushed stays in memory and log.
    """
    with shard.manifest_lock:
        with shard.state_lock:
            shard.freeze(shard.applied_seq)
        while flush_next(shard):
            pass
        with shard.state_lock:
            checkpoint = shard.applied_seq
            grown = shard.growing is not None or bool(shard.frozen)
        if not grown and checkpoint > shard.manifest.checkpoint_seq:
            _commit(shard, None, checkpoint)


def _write(shard: LocalShard, frozen: Frozen) -> _Flushed:
    growing, schema = frozen.segment, shard.schema
    n_rows = growing.n_rows
    columns = {f.id: growing.vectors(f.id, n_rows) for f in schema.vectors}
    scalars = {f.id: growing.column(f.id, n_rows) for f in schema.scalars}
    rows = SegmentRows(
        Batch({**columns, **scalars}, n_rows),
        growing.row_ts(n_rows),
        growing.partition_at(np.arange(n_rows)),
    )
    order = rows.partition_order()
    if order is not None:
        rows = rows.take(order)
    folder = segment_folder(shard.id, growing.id)
    shard.node.store.delete_folder(folder)  # left by a flush that failed
    meta = write_segment(shard.node.store, folder, growing.id, schema, rows)
    shard.node.store.sync_folder(f"{collection_folder(shard.id)}/segments")
    sealed = SealedSegment(shard.node.store, folder, meta, schema)
    return _Flushed(growing, sealed, None if order is None else np.argsort(order))


def _commit(shard: LocalShard, flushed: _Flushed | None, checkpoint: int) -> None:
    with shard.state_lock:
        sizes = {s.id: s.hidden.size for s in shard.sealed}
        if flushed is not None:
            _carry_hidden(flushed)
            sizes[flushed.sealed.id] = flushed.sealed.hidden.size
    segments = [*shard.sealed, *([] if flushed is None else [flushed.sealed])]
    manifest = _commit_manifest(shard, segments, sizes, checkpoint)
    with shard.state_lock:
        if flushed is not None:
            _carry_hidden(flushed)
        removed = [] if flushed is None else [flushed.growing]
        added = [] if flushed is None else [flushed.sealed]
        shard.replace_segments(removed, added, manifest)
        shard.persisted.update(sizes)


def _commit_manifest(
    shard: LocalShard,
    segments: list[SealedSegment],
    sizes: dict[int, int],
    checkpoint: int,
) -> Manifest:
    entries: list[SegmentEntry] = []
    try:
        for segment in segments:
            entries.append(with_deletes(shard, segment, sizes[segment.id]))
        ordered = tuple(sorted(entries, key=lambda entry: entry.segment_id))
        return shard.commit(
            replace(shard.manifest, segments=ordered, checkpoint_seq=checkpoint)
        )
    except UnknownOutcome:
        raise  # the next start knows which files are named
    except StorageError:
        known = {stamp for e in shard.manifest.segments for stamp in e.deletes}
        for stamp in {stamp for e in entries for stamp in e.deletes} - known:
            shard.node.trash.add_file(stamp.name)
        raise


def _carry_hidden(flushed: _Flushed) -> None:
    """Bring entries on the growing segment over to its sealed form, in order."""
    source, target = flushed.growing.hidden, flushed.sealed.hidden
    offsets, ts, shadowed = source.entries(target.size, source.size)
    if flushed.place is not None:
        offsets = flushed.place[offsets]
    target.extend(offsets, ts, shadowed.astype(np.uint8), flushed.sealed.n_rows)


def with_deletes(shard: LocalShard, segment: SealedSegment, size: int) -> SegmentEntry:
    """The segment's manifest entry, its first ``size`` hidden rows on files.

    Hold ``manifest_lock``. Several small files become one now and then.
    """
    entry = shard.entry(segment.id) or SegmentEntry(segment.id, rows=segment.n_rows)
    done = shard.persisted.get(segment.id, 0) if entry.deletes else 0
    if size <= done:
        return entry
    kept = entry.deletes
    if len(kept) >= DELETE_FILES:
        kept, done = (), 0
    store = shard.node.store
    name = deletes_file(shard.id, segment.id, shard.node.ids.next())
    stamp = write_columns(store, name, segment.hidden.to_arrow(done, size))
    store.sync_folder(segment_folder(shard.id, segment.id))
    return replace(entry, deletes=(*kept, stamp))
