"""Building one index of one segment, in the worker, and publishing it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from elanus.engine.shard import LocalShard
from elanus.engine.write.jobs import BuildJob, Runner
from elanus.errors import CorruptionError, StorageError, UnknownOutcome
from elanus.index.dense.symphony import loaded_bytes
from elanus.segment.attached import attached
from elanus.segment.sealed import SealedSegment
from elanus.storage.columnar import FileStamp
from elanus.storage.manifest import IndexEntry, index_folder

Definition = Mapping[str, Any]
BuildTarget = tuple[int, Definition]


def definitions_by_slot(shard: LocalShard) -> dict[int, Definition]:
    """What indexes the collection should have, the most urgent first."""
    definitions = shard.index_definitions
    return {slot: definitions[slot] for slot in by_urgency(definitions)}


def by_urgency(definitions: Mapping[int, Definition]) -> list[int]:
    """Slots in the order of building: searches need indexes more than filters do."""
    return sorted(definitions, key=lambda slot: (not definitions[slot]["metric"], slot))


def build(shard: LocalShard, segment_id: int, slot: int, runner: Runner) -> bool:
    """Build and publish an index; false if segment or definition has gone meanwhile.

    Raises:
        JobFailed: the worker could not do it; nothing changed.
        Cancelled, StorageError, DiskFull: nothing changed.
    """
    definition = shard.index_definitions.get(slot)
    segment = find_sealed(shard, segment_id)
    if definition is None or segment is None:
        return False
    entry = run_build(shard, (segment_id, definition), runner)
    published = False
    try:
        published = _publish(shard, segment, slot, entry)
    except UnknownOutcome:
        published = True  # perhaps; the next start knows which files are named
        raise
    finally:
        if not published:
            shard.node.trash.add(index_folder(shard.id, entry.index_id))
    return published


def find_sealed(shard: LocalShard, segment_id: int) -> SealedSegment | None:
    """The sealed segment of this id, if it is still there."""
    with shard.state_lock:
        return next((s for s in shard.sealed if s.id == segment_id), None)


def run_build(shard: LocalShard, target: BuildTarget, runner: Runner) -> IndexEntry:
    """Have the worker build one index; nothing is published.

    Raises:
        JobFailed, Cancelled: its files are on their way to the trash.
    """
    segment_id, definition = target
    index_id = shard.node.ids.next()
    job = BuildJob(
        shard.id,
        shard.schema.to_dict(),
        segment_id,
        definition["field_id"],
        index_id,
        dict(definition),
        shard.node.settings.worker_threads or os.cpu_count() or 1,
        shard.node.settings.graph_room - loaded_bytes(),
    )
    try:
        result = runner.run(job)
    except BaseException:
        shard.node.trash.add(index_folder(shard.id, index_id))
        raise
    files = {key: FileStamp.from_json(stamp) for key, stamp in result["files"].items()}
    return IndexEntry(index_id, definition, result["description"], files)


def _publish(
    shard: LocalShard, segment: SealedSegment, slot: int, entry: IndexEntry
) -> bool:
    with shard.manifest_lock:
        known = shard.entry(segment.id)
        is_wanted = shard.index_definitions.get(slot) == entry.definition
        if known is None or not is_wanted or find_sealed(shard, segment.id) is None:
            return False
        index = attached(shard.node.store, entry, is_verified=True)
        replaced = known.indexes.get(slot)
        set_index(shard, segment.id, slot, entry)
        segment.attach(slot, index)
        if replaced is not None:
            shard.node.trash.add(index_folder(shard.id, replaced.index_id))
    return True


def set_index(
    shard: LocalShard, segment_id: int, slot: int, entry: IndexEntry | None
) -> None:
    """Commit a manifest in which the segment has this index, or none."""
    with shard.manifest_lock:
        entries = []
        for known in shard.manifest.segments:
            if known.segment_id == segment_id:
                indexes = {k: v for k, v in known.indexes.items() if k != slot}
                if entry is not None:
                    indexes[slot] = entry
                known = replace(known, indexes=indexes)
            entries.append(known)
        manifest = shard.commit(replace(shard.manifest, segments=tuple(entries)))
        with shard.state_lock:
            shard.manifest = manifest


def attach_known(shard: LocalShard) -> None:
    """Verify and open every index the manifest names; drop those that are damaged.

    Called after a restart. Until an index is attached its segment is scanned exactly.
    """
    for entry in shard.manifest.segments:
        segment = find_sealed(shard, entry.segment_id)
        for slot, index in entry.indexes.items():
            if segment is None or slot in segment.indexed_fields():
                continue
            if shard.index_definitions.get(slot) != index.definition:
                drop_index(shard, segment, slot)
                continue
            try:
                opened = attached(shard.node.store, index)
            except (CorruptionError, StorageError) as error:
                shard.damages.append(str(error))
                drop_index(shard, segment, slot)
                continue
            segment.attach(slot, opened)


def drop_index(shard: LocalShard, segment: SealedSegment, slot: int) -> None:
    """Forget one index of one segment; it is scanned exactly then."""
    segment.detach(slot)
    if shard.node.store.read_only:
        return
    known = shard.entry(segment.id)
    entry = None if known is None else known.indexes.get(slot)
    if entry is None:
        return
    set_index(shard, segment.id, slot, None)
    shard.node.trash.add(index_folder(shard.id, entry.index_id))
