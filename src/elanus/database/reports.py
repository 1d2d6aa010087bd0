"""What a database says about itself: statistics, index states, damages."""

from __future__ import annotations

from typing import Any

from elanus.database.jobs import JobStatus
from elanus.engine.collection import Collection
from elanus.index.base import is_sketch


def collection_stats(collection: Collection, status: JobStatus) -> dict[str, Any]:
    """Rows, segments, bytes and background work of one collection."""
    shard = collection.shard
    version = collection.pin()
    segments: list[dict[str, Any]] = []
    for view in version.views:
        segment = view.segment
        segments.append(
            {
                "id": segment.id,
                "sealed": segment.is_sealed,
                "rows": view.n_rows,
                "deleted": segment.hidden.deleted_in(view.n_hidden),
                "indexed": [
                    collection.schema.by_id[f].name
                    for f in sorted(shard.index_definitions)
                    if segment.index(f) is not None
                ],
            }
        )
    growing = shard.growing
    index_files = [
        stamp
        for entry in shard.manifest.segments
        for index in entry.indexes.values()
        for stamp in index.files.values()
    ]
    counted = sum(s["rows"] - s["deleted"] for s in segments)
    return {
        "rows": counted,
        "ts": version.ts,
        "segments": segments,
        "backlog_bytes": shard.backlog_bytes(),
        "growing_bytes": 0 if growing is None else growing.nbytes,
        "column_bytes": sum(s.meta.nbytes for s in shard.sealed),
        "index_bytes": sum(stamp.size for stamp in index_files),
        "sketch_bytes": sum(
            stamp.size for stamp in index_files if is_sketch(stamp.name)
        ),
        "log_bytes": shard.node.log.size_bytes,
        "background": status.current,
        "progress": status.progress,
        "flush_error": status.flush_error,
        "damages": list(shard.damages),
    }


def index_states(collection: Collection, status: JobStatus) -> list[dict[str, Any]]:
    """Every index definition, how far it is built, and why not if it failed."""
    shard = collection.shard
    segments = list(shard.sealed)
    total = sum(segment.n_rows for segment in segments)
    present = {segment.id for segment in segments}
    least = shard.node.settings.index_rows
    states = []
    for index in collection.definition.all_indexes:
        if not index.is_built:
            done, reasons = total, []
        else:
            done = sum(
                segment.n_rows
                for segment in segments
                if segment.n_rows < least or index.slot in segment.indexed_fields()
            )
            reasons = [
                why[-1]
                for (owner, segment_id, field_id), why in list(status.failures.items())
                if owner == shard.id
                and segment_id in present
                and field_id == index.slot
            ]
        state = "Finished" if done == total else "Failed" if reasons else "InProgress"
        states.append(
            {
                "id": index.id,
                "name": index.name,
                "field": collection.schema.by_id[index.field_id].name,
                "index_type": index.index_type,
                "metric": index.metric,
                "params": dict(index.params),
                "total_rows": total,
                "indexed_rows": done,
                "pending_rows": total - done,
                "state": state,
                "reason": reasons[0] if reasons else "",
            }
        )
    return states
