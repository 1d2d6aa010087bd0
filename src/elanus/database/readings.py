"""What a running database tells a monitor; nothing is opened for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from elanus.database.database import Database
from elanus.database.reports import collection_stats, index_states
from elanus.engine.collection import Collection
from elanus.errors import ElanusError
from elanus.telemetry.metrics import Reading


def database_readings(database: Database) -> Iterator[Reading]:
    """The log, background jobs, and each collection's rows, segments and memory."""
    log, status = database.node.log, database.background.status
    yield Reading("log_bytes", "Size of the log on disk.", log.size_bytes)
    syncs = log.syncs
    yield Reading(
        "log_syncs", "Syncs of the log to the disk.", syncs.count, is_counter=True
    )
    yield Reading(
        "log_sync_seconds", "Time of these syncs.", syncs.seconds, is_counter=True
    )
    yield Reading(
        "job_running", "Whether a build or merge runs.", float(bool(status.current))
    )
    yield Reading("job_progress", "Share of it that is done.", status.progress)
    for (kind, outcome), count in list(status.ended.items()):
        yield Reading(
            "jobs",
            "Builds and merges that have ended.",
            count,
            {"kind": kind, "outcome": outcome},
            is_counter=True,
        )
    live = database.collections()
    used = [collection for collection in live if collection.lazy.opened]
    yield Reading("collections", "Collections that there are.", len(live))
    yield Reading("collections_open", "Those used since the start.", len(used))
    for collection in used:
        try:
            yield from _collection_readings(database, collection)
        except ElanusError:
            continue  # dropped meanwhile


def _collection_readings(
    database: Database, collection: Collection
) -> Iterator[Reading]:
    status = database.background.status
    stats = collection_stats(collection, status)
    definition = collection.definition
    name = {
        "database": database.directory.database_of(collection).name,
        "collection": definition.name,
    }
    yield Reading("rows", "Rows, exactly.", stats["rows"], name)
    yield from _recall_readings(database, collection, name)
    yield Reading("segments", "Segments.", len(stats["segments"]), name)
    pending = sum(s["pending_rows"] for s in index_states(collection, status))
    yield Reading("unindexed_rows", "Rows that an index still lacks.", pending, name)
    for kind, size in (
        (
            "mapped",
            stats["column_bytes"] + stats["index_bytes"] - stats["sketch_bytes"],
        ),
        (
            "anonymous",
            stats["backlog_bytes"] + stats["growing_bytes"] + stats["sketch_bytes"],
        ),
    ):
        yield Reading(
            "memory_bytes",
            "Mapped: column and index files, kept in memory as they are used. "
            "Anonymous: rows that are not in such files yet, and indexes' sketches.",
            size,
            {**name, "kind": kind},
        )


def _recall_readings(
    database: Database, collection: Collection, name: Mapping[str, str]
) -> Iterator[Reading]:
    sampler = database.node.sampler
    measured = None if sampler is None else sampler.measured(collection.id)
    if measured is None:
        return
    yield Reading(
        "search_recall",
        "Share of the true rows found by the last searches that were run again.",
        measured.mean,
        name,
    )
    yield Reading(
        "search_recall_samples",
        "Searches that were run again exactly.",
        measured.count,
        name,
        is_counter=True,
    )
