"""What operations answer: one frozen dataclass per kind of answer, for every wire.

Values are plain Python, NumPy or Arrow. An error is never a reply: it is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.engine.read.buckets import Bucket
from elanus.schema.columns import Column, Floats, Offsets
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType


class LoadState(IntEnum):
    """How far loading is, with Milvus' numbers."""

    NOT_EXIST = 0
    NOT_LOADED = 1
    LOADING = 2
    LOADED = 3


class IndexState(IntEnum):
    """How far an index build is, with Milvus' numbers."""

    NONE = 0
    UNISSUED = 1
    IN_PROGRESS = 2
    FINISHED = 3
    FAILED = 4


class SegmentState(IntEnum):
    """Where a segment is, with Milvus' numbers."""

    NOT_EXIST = 1
    GROWING = 2
    SEALED = 3
    FLUSHED = 4
    FLUSHING = 5


class CompactionState(IntEnum):
    """How far a compaction is, with Milvus' numbers."""

    EXECUTING = 1
    COMPLETED = 2


@dataclass(frozen=True, slots=True)
class Reply:
    """Base of every answer."""


class Done(Reply):
    """It is done; there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Flag(Reply):
    """Yes or no: it exists, it is flushed."""

    value: bool


@dataclass(frozen=True, slots=True)
class Timestamp(Reply):
    """A hybrid timestamp."""

    ts: int


@dataclass(frozen=True, slots=True)
class Statistics(Reply):
    """Named figures as text, ``row_count`` among them."""

    values: Mapping[str, str]


# --- the server ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected(Reply):
    """The client's number, and what the server is.

    Attributes:
        version: spelled as Milvus', with a leading ``v``.
    """

    client_id: int
    version: str
    build_time: str
    git_commit: str
    platform: str
    deploy_mode: str = "STANDALONE"


@dataclass(frozen=True, slots=True)
class Version(Reply):
    """The server's version, spelled as Milvus', with a leading ``v``."""

    version: str


@dataclass(frozen=True, slots=True)
class Health(Reply):
    """Whether the server is able to work, and why not."""

    is_healthy: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentStates(Reply):
    """The one part this server has."""

    node_id: int
    is_healthy: bool


@dataclass(frozen=True, slots=True)
class Metrics(Reply):
    """Figures as JSON text."""

    response: str
    component: str


# --- databases and collections ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DatabaseInfo(Reply):
    """One database; ``created_ts`` is a hybrid timestamp."""

    name: str
    id: int
    created_ts: int
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatabaseList(Reply):
    """All databases."""

    databases: tuple[DatabaseInfo, ...]


@dataclass(frozen=True, slots=True)
class CollectionInfo(Reply):
    """What a collection is like.

    Attributes:
        name: its real name.
        requested: the name or alias that was asked for.
        schema: with ids; ``$meta`` is told as a flag only.
        created_ts, updated_ts: hybrid timestamps.
        partitions: how many there are.
    """

    name: str
    requested: str
    id: int
    schema: CollectionSchema
    database: str
    database_id: int
    created_ts: int
    updated_ts: int
    aliases: tuple[str, ...] = ()
    shards: int = 1
    partitions: int = 1
    consistency_level: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectionEntry:
    """One line of a list of collections; ``loaded_percent`` only where asked for."""

    name: str
    id: int
    created_ts: int
    shards: int = 1
    loaded_percent: int | None = None


@dataclass(frozen=True, slots=True)
class CollectionList(Reply):
    """Collections of one database."""

    collections: tuple[CollectionEntry, ...]


@dataclass(frozen=True, slots=True)
class PartitionEntry:
    """One line of a list of partitions; ``loaded_percent`` only where asked for."""

    name: str
    id: int
    created_ts: int
    loaded_percent: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionList(Reply):
    """Partitions of one collection, in order of creation."""

    partitions: tuple[PartitionEntry, ...]


@dataclass(frozen=True, slots=True)
class Loaded(Reply):
    """How far loading is."""

    state: LoadState


@dataclass(frozen=True, slots=True)
class LoadingProgress(Reply):
    """Percent loaded, and percent of a refresh."""

    percent: int
    refresh_percent: int


@dataclass(frozen=True, slots=True)
class AliasInfo(Reply):
    """What an alias stands for."""

    alias: str
    collection: str
    database: str


@dataclass(frozen=True, slots=True)
class AliasList(Reply):
    """Aliases of a collection, or of a database with an empty collection."""

    aliases: tuple[str, ...]
    collection: str
    database: str


# --- indexes ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index.

    Attributes:
        params: as the user gave them, type and metric among them.
        failure: why the build failed; empty otherwise.
    """

    name: str
    id: int
    field: str
    params: Mapping[str, str]
    state: IndexState
    indexed_rows: int
    total_rows: int
    pending_rows: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class IndexList(Reply):
    """Indexes of a collection."""

    indexes: tuple[IndexInfo, ...]


@dataclass(frozen=True, slots=True)
class IndexBuild(Reply):
    """How far one index is."""

    state: IndexState
    indexed_rows: int
    total_rows: int
    failure: str = ""


# --- rows ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mutation(Reply):
    """What a write did.

    Attributes:
        keys: primary key of every row written, in their order; ``None`` for a delete.
        ts: the write's hybrid timestamp.
    """

    keys: pa.Array | None
    ts: int
    inserted: int = 0
    deleted: int = 0
    upserted: int = 0


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One column of an answer.

    Attributes:
        values: scalars as an Arrow array with its nulls in place; JSON as text.
        is_nullable: whether nulls can occur, and are marked even where none do.
    """

    name: str
    dtype: DataType
    values: Column
    element_type: DataType | None = None
    dim: int = 0
    field_id: int = 0
    is_dynamic: bool = False
    is_nullable: bool = False

    @classmethod
    def of(cls, field: FieldSchema, values: Column) -> OutputColumn:
        """A field's own column."""
        return cls(
            field.part,
            field.dtype,
            values,
            element_type=field.element_type,
            dim=field.dim or 0,
            field_id=field.id,
            is_dynamic=field.is_dynamic,
            is_nullable=field.nullable and field.default is None,
        )


@dataclass(frozen=True, slots=True)
class StructColumn:
    """A struct array of an answer: columns of its fields, or of some of them."""

    name: str
    parts: tuple[OutputColumn, ...]
    field_id: int = 0


AnyColumn: TypeAlias = OutputColumn | StructColumn


@dataclass(frozen=True, slots=True)
class SearchBuckets:
    """What an aggregated search tells instead of rows.

    Attributes:
        keys: names and field ids of the keys of each level.
        of_queries: the outermost buckets of each query.
        rows: the positions that the buckets' hits have, ascending; keys, scores and
            columns of the reply are of these rows.
    """

    keys: tuple[tuple[tuple[str, int], ...], ...]
    of_queries: tuple[tuple[Bucket, ...], ...]
    rows: Offsets


@dataclass(frozen=True, slots=True)
class Highlight:
    """Parts of the texts of one field, with what matches marked in them.

    Attributes:
        fragments: of each hit.
    """

    name: str
    fragments: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class SearchReply(Reply):
    """Rows found, all queries end to end, best first within each.

    Attributes:
        counts: hits per query, (nq,) int64.
        keys: primary key of each hit; integers may be a NumPy array.
        scores: in the metric's own sign, (hits,) float32.
        output_fields: names asked for, after expansion; dynamic keys as they are.
        session_ts: hybrid timestamp of the rows seen.
        iterator_token, iterator_bound: place of a walk; ``None`` outside of one.
        costs: what the client is told under ``extra_info``.
        group_columns: what the rows are grouped by, if they are.
        elements: which element of its row each hit is, where those are searched.
        buckets: of an aggregated search, which counts no hits.
        highlights: parts of texts, field by field.
    """

    collection: str
    primary_name: str
    counts: npt.NDArray[np.int64]
    keys: pa.Array | npt.NDArray[np.int64]
    scores: Floats
    columns: tuple[AnyColumn, ...]
    output_fields: tuple[str, ...]
    session_ts: int
    iterator_token: str | None = None
    iterator_bound: float = 0.0
    costs: Mapping[str, str] = field(default_factory=dict)
    group_columns: tuple[OutputColumn, ...] = ()
    elements: Offsets | None = None
    buckets: SearchBuckets | None = None
    highlights: tuple[Highlight, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryReply(Reply):
    """Rows read; there is at least one column, even without rows.

    Attributes:
        output_fields: names asked for, after expansion; dynamic keys as they are.
        session_ts: hybrid timestamp of the rows seen.
        elements: the elements of each row that match, where those are asked for.
    """

    collection: str
    primary_name: str
    columns: tuple[AnyColumn, ...]
    output_fields: tuple[str, ...]
    session_ts: int
    costs: Mapping[str, str] = field(default_factory=dict)
    elements: tuple[Offsets, ...] | None = None


# --- flush, compaction, segments ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlushedCollection:
    """What a flush did to one collection, under the name that was asked for.

    Attributes:
        sealed_ids, flushed_ids: segments being written, and written before.
        sealed_at_s: Unix time.
        ts: everything up to this hybrid timestamp will be written out.
    """

    name: str
    sealed_ids: tuple[int, ...]
    flushed_ids: tuple[int, ...]
    sealed_at_s: int
    ts: int


@dataclass(frozen=True, slots=True)
class Flushed(Reply):
    """What a flush did."""

    database: str
    collections: tuple[FlushedCollection, ...]


@dataclass(frozen=True, slots=True)
class CompactionStarted(Reply):
    """The number to ask for; -1 when there was nothing to do."""

    id: int
    plans: int


@dataclass(frozen=True, slots=True)
class CompactionProgress(Reply):
    """How far a compaction is, in parts."""

    state: CompactionState
    executing: int = 0
    completed: int = 0
    timed_out: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One segment."""

    id: int
    collection_id: int
    partition_id: int
    n_rows: int
    state: SegmentState
    mem_bytes: int = 0
    index_name: str = ""
    index_id: int = 0


@dataclass(frozen=True, slots=True)
class SegmentList(Reply):
    """Segments of one collection."""

    segments: tuple[SegmentInfo, ...]
