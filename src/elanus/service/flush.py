"""Operations on files: flush, compaction, segments.

A flush is complete when it is answered, so every flush asked about is done.
"""

from __future__ import annotations

from elanus.clock import physical_ms
from elanus.engine.collection import Collection
from elanus.errors import InvalidParameter
from elanus.service import requests as r
from elanus.service import requests_admin as rn
from elanus.service.core import Core
from elanus.service.replies import (
    CompactionProgress,
    CompactionStarted,
    Flag,
    Flushed,
    FlushedCollection,
    SegmentInfo,
    SegmentList,
    SegmentState,
    Timestamp,
)
from elanus.service.replies_admin import CompactionPlans

ALL_PARTITIONS = -1
SEGMENT_MB = 1024  # Milvus' dataCoord.segment.maxSize


def flush(core: Core, request: r.Flush) -> Flushed:
    """Write out what is in memory, and answer when it is written.

    Raises:
        DatabaseNotFound, CollectionNotFound, StorageError, DiskFull.
    """
    chosen = [
        (name, core.named(name, request.database)) for name in request.collections
    ]
    return Flushed(
        request.database,
        tuple(_flushed(core, name, collection) for name, collection in chosen),
    )


def _flushed(core: Core, name: str, collection: Collection) -> FlushedCollection:
    before = {segment.id for segment in list(collection.shard.sealed)}
    core.database.flush(collection)
    after = {segment.id for segment in list(collection.shard.sealed)}
    ts = core.now()
    return FlushedCollection(
        name,
        sealed_ids=tuple(sorted(after - before)),
        flushed_ids=tuple(sorted(after & before)),
        sealed_at_s=physical_ms(ts) // 1000,
        ts=ts,
    )


def get_flush_state(core: Core, request: r.GetFlushState) -> Flag:
    """Whether a flush is complete.

    Raises:
        DatabaseNotFound, CollectionNotFound.
    """
    if request.collection:
        core.collection(request)
    return Flag(True)


def flush_all(core: Core, request: r.FlushAll) -> Timestamp:
    """Write out everything, or the collections named.

    Raises:
        DatabaseNotFound, CollectionNotFound, StorageError, DiskFull.
    """
    chosen: list[Collection] = []
    for database, names in request.targets:
        chosen += [core.named(name, database or request.database) for name in names]
    for collection in chosen or core.database.collections():
        core.database.flush(collection)
    return Timestamp(core.now())


def get_flush_all_state(core: Core, request: r.GetFlushAllState) -> Flag:
    """Whether a flush of everything is complete."""
    return Flag(True)


def manual_compaction(core: Core, request: r.ManualCompaction) -> CompactionStarted:
    """Begin to merge segments.

    Raises:
        DatabaseNotFound, CollectionNotFound.
        InvalidParameter: smaller segments than Milvus makes are asked for.
    """
    core.database.need_writable()
    if not request.collection and request.collection_id:
        collection = core.numbered(request.collection_id)
    else:
        collection = core.collection(request)
    if 0 < request.target_mb < SEGMENT_MB:
        raise InvalidParameter(
            f"targetSize {request.target_mb} MB should be greater than or equal to "
            f"configMaxSize {SEGMENT_MB} MB"
        )
    return core.compactions.start(core.database, collection, request.target_mb << 20)


def get_compaction_state(
    core: Core, request: r.GetCompactionState
) -> CompactionProgress:
    """How far a compaction is."""
    return core.compactions.state(request.compaction_id)


def get_compaction_plans(core: Core, request: rn.GetCompactionPlans) -> CompactionPlans:
    """What a compaction has merged."""
    return core.compactions.plans(request.compaction_id)


def get_persistent_segments(
    core: Core, request: r.GetPersistentSegmentInfo
) -> SegmentList:
    """The segments on files.

    Raises:
        DatabaseNotFound, CollectionNotFound.
    """
    return SegmentList(tuple(_segments(core.collection(request), is_read=False)))


def get_query_segments(core: Core, request: r.GetQuerySegmentInfo) -> SegmentList:
    """The sealed segments that reads look at; none while nothing is loaded.

    Raises:
        DatabaseNotFound, CollectionNotFound.
    """
    collection = core.collection(request)
    if collection.definition.loaded is None:
        return SegmentList(())
    return SegmentList(tuple(_segments(collection, is_read=True)))


def _segments(collection: Collection, *, is_read: bool) -> list[SegmentInfo]:
    definition = collection.definition
    sizes = {s.id: s.meta.nbytes for s in list(collection.shard.sealed)}
    indexes = [i for i in definition.indexes.values() if i.metric]
    partitions = list(definition.partitions.values())
    partition = partitions[0] if len(partitions) == 1 else ALL_PARTITIONS
    infos = []
    for view in collection.pin().views:
        segment = view.segment
        if not segment.is_sealed:
            continue
        index = next((i for i in indexes if segment.index(i.field_id)), None)
        infos.append(
            SegmentInfo(
                segment.id,
                definition.id,
                partition,
                view.n_rows,
                SegmentState.SEALED if is_read else SegmentState.FLUSHED,
                sizes.get(segment.id, 0),
                "" if index is None else index.name,
                0 if index is None else index.id,
            )
        )
    return infos
