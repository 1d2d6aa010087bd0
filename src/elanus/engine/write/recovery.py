"""From files and log back to a shard: what a restart does.

State = the manifest's segments and deletes, then every log record after its checkpoint,
applied in order by the same code that applied it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from elanus.engine.node import Node
from elanus.engine.shard import LocalShard
from elanus.engine.write.records import decode
from elanus.errors import CorruptionError
from elanus.schema.arrays import values_of
from elanus.schema.schema import CollectionSchema
from elanus.segment.files import read_meta
from elanus.segment.sealed import SealedSegment
from elanus.storage.columnar import ColumnFile
from elanus.storage.files import FileStore
from elanus.storage.manifest import (
    Manifest,
    SegmentEntry,
    index_folder,
    segment_folder,
)


def open_shard(
    node: Node,
    schema: CollectionSchema,
    partitions: frozenset[int],
    manifest: Manifest,
) -> LocalShard:
    """A shard with its sealed segments; the log is not replayed yet.

    Raises:
        CorruptionError: a segment's description or deletes are missing or damaged.
    """
    shard = LocalShard(node, schema, partitions, manifest)
    for entry in manifest.segments:
        segment = _open_sealed(node.store, shard.id, entry, schema)
        shard.sealed.append(segment)
        shard.persisted[segment.id] = segment.hidden.size
        node.clock.advance_to(segment.meta.ts_range[1])
    node.clock.advance_to(manifest.floor_ts)
    with shard.state_lock:
        newest = [segment.meta.ts_range[1] for segment in shard.sealed]
        shard.applied_ts = max([manifest.floor_ts, *newest, *_hidden_ts(shard)])
        node.clock.advance_to(shard.applied_ts)
        shard.publish()
    return shard


def _hidden_ts(shard: LocalShard) -> list[int]:
    stamps = [s.hidden.entries(0, s.hidden.size)[1] for s in shard.sealed]
    return [int(ts.max()) for ts in stamps if len(ts)]


def _open_sealed(
    store: FileStore, collection_id: int, entry: SegmentEntry, schema: CollectionSchema
) -> SealedSegment:
    folder = segment_folder(collection_id, entry.segment_id)
    segment = SealedSegment(store, folder, read_meta(store, folder), schema)
    for stamp in entry.deletes:
        file = ColumnFile(store, stamp)
        segment.hidden.extend(
            values_of(file.column("offset")),
            values_of(file.column("ts")),
            values_of(file.column("reason")),
            segment.n_rows,
        )
        file.close()
    return segment


def replay(
    node: Node,
    manifests: Iterable[Manifest],
    shard_of: Callable[[int], LocalShard],
    *,
    trimmed_seq: int,
) -> int:
    """Apply every log record that the manifests do not cover; returns how many.

    Args:
        manifests: of every collection.
        shard_of: opens the shard of a collection that has records.
        trimmed_seq: records up to here are gone, since no manifest needs them.

    Raises:
        CorruptionError: a record is intact but makes no sense.
    """
    known = {manifest.collection_id: manifest for manifest in manifests}
    checkpoints = [manifest.checkpoint_seq for manifest in known.values()]
    applied = 0
    after = max(trimmed_seq, min(checkpoints, default=node.log.last_seq))
    for frame in node.log.replay(after):
        node.clock.advance_to(frame.ts)
        manifest = known.get(frame.stream)
        if manifest is None or frame.seq <= manifest.checkpoint_seq:
            continue  # of a dropped collection, or flushed
        if frame.ts <= manifest.floor_ts:
            continue  # truncated away
        shard = shard_of(frame.stream)
        record = decode(frame.kind, frame.payload, shard.schema)
        shard.apply(record, frame.seq, frame.ts)
        applied += 1
    return applied


def named_folders(manifests: Iterable[Manifest]) -> set[str]:
    """Every segment and index folder that a manifest names."""
    names = set()
    for manifest in manifests:
        owner = manifest.collection_id
        for entry in manifest.segments:
            names.add(segment_folder(owner, entry.segment_id))
            for index in entry.indexes.values():
                names.add(index_folder(owner, index.index_id))
    return names


def remove_orphans(store: FileStore, manifests: Iterable[Manifest]) -> list[str]:
    """Delete files that no manifest names; returns what was deleted.

    They were left by work that a crash cut off before its commit.
    """
    manifests = list(manifests)
    folders = named_folders(manifests)
    deletes = {
        stamp.name
        for manifest in manifests
        for entry in manifest.segments
        for stamp in entry.deletes
    }
    removed, gone = [], set()
    for name in [*store.list("collections"), *store.list("jobs")]:
        folder, _, file = name.rpartition("/")
        if folder not in folders:
            gone.add(folder)
        elif not file.startswith("deletes-") or name in deletes:
            continue
        else:
            store.delete(name)
        removed.append(name)
    for folder in sorted(gone):
        store.delete_folder(folder)
    return removed


def check_present(store: FileStore, shard: LocalShard) -> None:
    """Make sure that no column file is missing or cut short.

    Raises:
        CorruptionError: names the first file that is.
    """
    for segment in shard.sealed:
        for stamp in segment.meta.files.values():
            name = stamp.name
            if not store.exists(name):
                raise CorruptionError(name, "file is missing")
            if store.size(name) != stamp.size:
                raise CorruptionError(
                    name, f"has {store.size(name)} bytes, {stamp.size} were written"
                )
