"""Work done outside the serving process: building an index, merging segments.

A job is plain data, so that it can cross a pipe. Running one only writes files with
names of their own; the shard decides afterwards whether to publish them. The output of
a job that failed, was cancelled or lost its worker is a folder that nothing names.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from elanus.distance.metrics import Metric
from elanus.errors import Cancelled, DiskFull, ElanusError
from elanus.index.base import BuildRequest
from elanus.index.registry import index_kind
from elanus.index.scalar.base import ScalarBuild
from elanus.index.scalar.file import write_parts
from elanus.index.scalar.json_path import keys_of
from elanus.index.scalar.layouts import build_scalar
from elanus.schema.arrays import values_of
from elanus.schema.columns import Batch, Offsets, concat, take
from elanus.schema.schema import CollectionSchema
from elanus.schema.vectors import one_by_one
from elanus.segment.files import SegmentMeta, SegmentRows, read_meta, write_segment
from elanus.segment.sealed import SealedSegment
from elanus.storage.checksums import checksum_file
from elanus.storage.columnar import ColumnFile, FileStamp
from elanus.storage.files import FileStore
from elanus.storage.manifest import collection_folder, index_folder, segment_folder

Progress = Callable[[float], None]
IsCancelled = Callable[[], bool]


class JobFailed(ElanusError):
    """A background job did not finish; the message says why. It may be tried again."""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """Build one index over one field of one segment, or over a place in its JSON."""

    collection_id: int
    schema: Mapping[str, Any]
    segment_id: int
    field_id: int
    index_id: int
    definition: Mapping[str, Any]
    threads: int
    graph_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CompactJob:
    """Write the kept rows of several segments as one new segment.

    Attributes:
        sources: segment ids, in row order.
        dropped: by source, the stamp of a file of row offsets to leave out, or None.
    """

    collection_id: int
    schema: Mapping[str, Any]
    segment_id: int
    sources: tuple[int, ...]
    dropped: tuple[Mapping[str, Any] | None, ...]


Job = BuildJob | CompactJob


class Launcher(Protocol):
    """Runs jobs somewhere."""

    def run(
        self, job: Job, progress: Progress, is_cancelled: IsCancelled
    ) -> Mapping[str, Any]:
        """Run a job to its end and return its result.

        Raises:
            JobFailed: it failed, or its process died.
            DiskFull: try again when there is space.
            Cancelled: ``is_cancelled`` became true.
        """

    def close(self) -> None:
        """End all processes; jobs under way are cancelled."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A launcher with whom to tell of progress and how to know of cancellation."""

    launcher: Launcher
    progress: Progress
    is_cancelled: IsCancelled

    def run(self, job: Job) -> Mapping[str, Any]:
        """Run a job; see :meth:`Launcher.run`."""
        return self.launcher.run(job, self.progress, self.is_cancelled)

    def part(self, start: float, end: float) -> Runner:
        """The same for a part of the work, from one share done to another."""
        span = end - start
        return Runner(
            self.launcher,
            lambda share: self.progress(start + span * share),
            self.is_cancelled,
        )


class InlineLauncher:
    """Runs jobs in the calling thread: for tests, and where no process can start."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def run(
        self, job: Job, progress: Progress, is_cancelled: IsCancelled
    ) -> Mapping[str, Any]:
        """See :class:`Launcher`."""
        return run_job(self._store, job, progress, is_cancelled)

    def close(self) -> None:
        """Nothing to end."""


def job_to_dict(job: Job) -> dict[str, Any]:
    """The job as plain JSON values."""
    return {"kind": type(job).__name__, **asdict(job)}


def job_from_dict(data: Mapping[str, Any]) -> Job:
    """The inverse of :func:`job_to_dict`."""
    fields = {key: value for key, value in data.items() if key != "kind"}
    if data["kind"] == BuildJob.__name__:
        return BuildJob(**fields)
    fields["sources"] = tuple(fields["sources"])
    fields["dropped"] = tuple(fields["dropped"])
    return CompactJob(**fields)


def run_job(
    store: FileStore, job: Job, progress: Progress, is_cancelled: IsCancelled
) -> Mapping[str, Any]:
    """Do the work of a job and return its result as plain values.

    Raises:
        JobFailed: with the reason.
        DiskFull: which is no fault of the job; try again when there is space.
        Cancelled: ``is_cancelled`` became true.
    """
    try:
        if isinstance(job, BuildJob):
            return _run_build(store, job, progress, is_cancelled)
        return _run_compact(store, job, progress, is_cancelled)
    except (Cancelled, DiskFull, JobFailed):
        raise
    except (ElanusError, MemoryError, OSError, RuntimeError, ValueError) as error:
        if os.strerror(errno.ENOSPC) in str(error):  # a native writer's words
            raise DiskFull(str(error)) from error
        raise JobFailed(f"{type(error).__name__}: {error}") from error


def _open_segment(
    store: FileStore, collection_id: int, segment_id: int, schema: CollectionSchema
) -> SealedSegment:
    folder = segment_folder(collection_id, segment_id)
    return SealedSegment(store, folder, read_meta(store, folder), schema)


def _run_build(
    store: FileStore, job: BuildJob, progress: Progress, is_cancelled: IsCancelled
) -> Mapping[str, Any]:
    schema = CollectionSchema.from_dict(job.schema)
    segment = _open_segment(store, job.collection_id, job.segment_id, schema)
    folder = index_folder(job.collection_id, job.index_id)
    store.delete_folder(folder)
    built = _build_scalar if not job.definition["metric"] else _build_vectors
    try:
        description, files = built(store, job, segment, (progress, is_cancelled))
    finally:
        segment.close()
    if files:
        store.sync_folder(folder)
        store.sync_folder(f"{collection_folder(job.collection_id)}/indexes")
    stamps = {short: stamp.to_json() for short, stamp in files.items()}
    return {"description": description, "files": stamps}


_Watch = tuple[Progress, IsCancelled]
_Built = tuple[Mapping[str, Any], dict[str, FileStamp]]


def _build_scalar(
    store: FileStore, job: BuildJob, segment: SealedSegment, watch: _Watch
) -> _Built:
    field = segment.schema.by_id[job.field_id]
    request = ScalarBuild(
        field=field,
        column=segment.column(field.id, segment.n_rows),
        kind=job.definition["index_type"],
        params=job.definition["params"],
        path=keys_of(job.definition.get("path", "")),
        progress=watch[0],
        is_cancelled=watch[1],
    )
    meta, parts = build_scalar(request)
    files = {}
    if parts:
        name = f"{index_folder(job.collection_id, job.index_id)}/main"
        files["main"] = write_parts(store, name, parts)
    return meta.to_dict(), files


def _build_vectors(
    store: FileStore, job: BuildJob, segment: SealedSegment, watch: _Watch
) -> _Built:
    folder = index_folder(job.collection_id, job.index_id)
    main = f"{folder}/main"
    path = store.local_path(main)
    path.parent.mkdir(parents=True, exist_ok=True)
    request = BuildRequest(
        vectors=one_by_one(segment.vectors(job.field_id, segment.n_rows).rows),
        metric=Metric(job.definition["metric"]),
        params=job.definition["params"],
        index_type=job.definition["index_type"],
        threads=job.threads,
        graph_bytes=job.graph_bytes,
        progress=watch[0],
        is_cancelled=watch[1],
    )
    meta = index_kind(request.index_type).build(request, path)
    files = {}
    for file in meta.paths(path):
        name = f"{folder}/{file.name}"
        store.adopt(name)
        short = "main" if file == path else file.name
        files[short] = FileStamp(name, checksum_file(store, name))
    return meta.to_dict(), files


def _run_compact(
    store: FileStore, job: CompactJob, progress: Progress, is_cancelled: IsCancelled
) -> Mapping[str, Any]:
    schema = CollectionSchema.from_dict(job.schema)
    sources = [
        _open_segment(store, job.collection_id, source, schema)
        for source in job.sources
    ]
    kept = [
        kept_rows(segment.n_rows, _dropped(store, stamp))
        for segment, stamp in zip(sources, job.dropped, strict=True)
    ]
    rows = _merged(sources, kept, schema, is_cancelled)
    progress(0.5)
    folder = segment_folder(job.collection_id, job.segment_id)
    store.delete_folder(folder)
    write_segment(store, folder, job.segment_id, schema, rows)
    store.sync_folder(f"{collection_folder(job.collection_id)}/segments")
    for segment in sources:
        segment.close()
    progress(1.0)
    return {}


def _dropped(store: FileStore, stamp: Mapping[str, Any] | None) -> Offsets:
    if stamp is None:
        return np.empty(0, np.int64)
    file = ColumnFile(store, FileStamp.from_json(stamp))
    offsets: Offsets = values_of(file.column("offset")).copy()
    file.close()
    return offsets


def kept_rows(n_rows: int, dropped: Offsets) -> Offsets:
    """The offsets that are not in ``dropped``, ascending."""
    keep = np.ones(n_rows, np.bool_)
    keep[dropped] = False
    return np.flatnonzero(keep)


def _merged(
    sources: list[SealedSegment],
    kept: list[Offsets],
    schema: CollectionSchema,
    is_cancelled: IsCancelled,
) -> SegmentRows:
    order = merge_order([segment.meta for segment in sources], kept)
    columns = {}
    for f in schema.fields:
        if is_cancelled():
            raise Cancelled("compaction cancelled")
        parts = [
            take(s.vectors(f.id, s.n_rows) if f.is_vector else s.column(f.id, 0), rows)
            for s, rows in zip(sources, kept, strict=True)
        ]
        column = concat(parts)
        columns[f.id] = column if order is None else take(column, order)
    ts = np.concatenate(
        [s.row_ts(s.n_rows)[rows] for s, rows in zip(sources, kept, strict=True)]
    )
    partitions = np.concatenate(
        [s.partition_at(rows) for s, rows in zip(sources, kept, strict=True)]
    )
    if order is not None:
        ts, partitions = ts[order], partitions[order]
    return SegmentRows(Batch(columns, len(ts)), ts, partitions)


def merge_order(metas: list[SegmentMeta], kept: list[Offsets]) -> Offsets | None:
    """Row order of the merged segment over its sources' kept rows, end to end.

    Sorted by partition, otherwise as the sources stand; ``None`` for no change. The
    worker writes in this order and the shard maps offsets by it, so both call this.
    """
    parts = [meta.partition_at(rows) for meta, rows in zip(metas, kept, strict=True)]
    partitions = np.concatenate(parts)
    if (np.diff(partitions) >= 0).all():
        return None
    return np.argsort(partitions, kind="stable")
