"""The narrow waist: one frozen dataclass per operation, whatever wire it came by.

Values are plain Python, NumPy or Arrow; names are as the caller wrote them, unresolved
and unchecked. What they are made of, in :mod:`elanus.service.request_parts`, and what
they have in common, in :mod:`elanus.service.request_base`, can be had from here, too;
answers are in :mod:`elanus.service.replies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from elanus.engine.read.bucket_plan import AggregationRequest
from elanus.schema.schema import CollectionSchema
from elanus.service.request_base import (
    CollectionRequest as CollectionRequest,
)
from elanus.service.request_base import (
    DatabaseRequest as DatabaseRequest,
)
from elanus.service.request_base import (
    IndexRequest as IndexRequest,
)
from elanus.service.request_base import (
    PartitionRequest as PartitionRequest,
)
from elanus.service.request_base import (
    PartitionsRequest as PartitionsRequest,
)
from elanus.service.request_base import (
    Request as Request,
)
from elanus.service.request_base import (
    RequestContext as RequestContext,
)
from elanus.service.request_base import (
    Service as Service,
)
from elanus.service.request_base import (
    Work as Work,
)
from elanus.service.request_functions import (
    FunctionChain as FunctionChain,
)
from elanus.service.request_functions import (
    FunctionScore as FunctionScore,
)
from elanus.service.request_functions import (
    Highlighter as Highlighter,
)
from elanus.service.request_parts import (
    ColumnData as ColumnData,
)
from elanus.service.request_parts import (
    Consistency as Consistency,
)
from elanus.service.request_parts import (
    HybridOptions as HybridOptions,
)
from elanus.service.request_parts import (
    LoadOptions as LoadOptions,
)
from elanus.service.request_parts import (
    Queries as Queries,
)
from elanus.service.request_parts import (
    QueryOptions as QueryOptions,
)
from elanus.service.request_parts import (
    SearchIterator as SearchIterator,
)
from elanus.service.request_parts import (
    SearchOptions as SearchOptions,
)

# --- the server ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect(DatabaseRequest):
    """The first call of a client; says who it is."""

    client: Mapping[str, str]


class GetVersion(Request):
    """Ask for the server's version."""


class AllocTimestamp(Request):
    """Ask for a hybrid timestamp newer than every one before."""


class CheckHealth(Request):
    """Ask whether the server is able to work."""


class GetComponentStates(Request):
    """Ask which parts of the server run."""


@dataclass(frozen=True, slots=True)
class GetMetrics(Request):
    """Ask for figures; ``query`` is JSON text such as ``{"metric_type": ...}``."""

    query: str


# --- databases ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateDatabase(DatabaseRequest):
    """Create a database."""

    properties: Mapping[str, str]


class DropDatabase(DatabaseRequest):
    """Drop an empty database."""


class ListDatabases(Request):
    """Ask for all databases."""


class DescribeDatabase(DatabaseRequest):
    """Ask for one database's properties."""


# --- collections --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateCollection(CollectionRequest):
    """Create a collection.

    Attributes:
        schema: as declared: no ids, and no ``$meta`` field.
        schema_name: the name inside the schema, which should be the collection's.
        is_dynamic: whether columns that the schema does not name are taken.
        shards: 0 for the default.
        partitions: how many, with a partition key; 0 for the default.
        consistency_level: Milvus' number.
    """

    schema: CollectionSchema
    schema_name: str = ""
    is_dynamic: bool = False
    shards: int = 0
    partitions: int = 0
    consistency_level: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


class DropCollection(CollectionRequest):
    """Drop a collection and its rows."""


class HasCollection(CollectionRequest):
    """Ask whether a collection exists."""


@dataclass(frozen=True, slots=True)
class DescribeCollection(CollectionRequest):
    """Ask what a collection is like; by id when the name is empty."""

    collection_id: int = 0


@dataclass(frozen=True, slots=True)
class ShowCollections(DatabaseRequest):
    """List collections; only loaded ones with ``in_memory``; all without names."""

    in_memory: bool
    names: tuple[str, ...]


class GetCollectionStatistics(CollectionRequest):
    """Ask how many rows there are."""


@dataclass(frozen=True, slots=True)
class RenameCollection(CollectionRequest):
    """Give a collection another name, or move it; an empty database keeps it."""

    new_name: str
    new_database: str


class TruncateCollection(CollectionRequest):
    """Remove every row."""


@dataclass(frozen=True, slots=True)
class LoadCollection(CollectionRequest):
    """Make a collection searchable."""

    options: LoadOptions


class ReleaseCollection(CollectionRequest):
    """Let go of a loaded collection's memory."""


class GetLoadState(PartitionsRequest):
    """Ask whether a collection, or all partitions named, are loaded."""


class GetLoadingProgress(PartitionsRequest):
    """Ask how much of a collection, or of the partitions named, is loaded."""


# --- partitions ---------------------------------------------------------------------


class CreatePartition(PartitionRequest):
    """Add a partition."""


class DropPartition(PartitionRequest):
    """Drop a partition and its rows."""


class HasPartition(PartitionRequest):
    """Ask whether a partition exists."""


@dataclass(frozen=True, slots=True)
class ShowPartitions(PartitionsRequest):
    """List partitions; only loaded ones with ``in_memory``; all without names."""

    in_memory: bool
    collection_id: int = 0


@dataclass(frozen=True, slots=True)
class LoadPartitions(PartitionsRequest):
    """Make partitions searchable."""

    options: LoadOptions


class ReleasePartitions(PartitionsRequest):
    """Let go of partitions' memory."""


class GetPartitionStatistics(PartitionRequest):
    """Ask how many rows a partition has; without a name, the collection."""


# --- aliases ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateAlias(CollectionRequest):
    """Give a collection a second name."""

    alias: str


@dataclass(frozen=True, slots=True)
class AlterAlias(CollectionRequest):
    """Point an alias at another collection."""

    alias: str


@dataclass(frozen=True, slots=True)
class DropAlias(DatabaseRequest):
    """Remove an alias."""

    alias: str


@dataclass(frozen=True, slots=True)
class DescribeAlias(DatabaseRequest):
    """Ask what an alias stands for."""

    alias: str


class ListAliases(CollectionRequest):
    """List the aliases of a collection; of the database when it has no name."""


# --- indexes ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateIndex(IndexRequest):
    """Define the index of a field.

    Attributes:
        index_type, metric_type: empty when not given.
        params: build parameters, flat; values are strings or JSON's.
        given: every parameter as the user gave it, to be told back.
    """

    index_type: str = ""
    metric_type: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DescribeIndex(IndexRequest):
    """Ask what indexes there are and how far they are built."""

    ts: int = 0


class GetIndexState(IndexRequest):
    """Ask whether an index is built (clients up to 2.2)."""


class GetIndexBuildProgress(IndexRequest):
    """Ask how many rows are indexed (clients up to 2.2)."""


class GetIndexStatistics(IndexRequest):
    """Ask how many rows are indexed, those in memory counted."""


class DropIndex(IndexRequest):
    """Remove an index."""


# --- rows ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Insert(PartitionRequest):
    """Add rows.

    Attributes:
        n_rows: rows that every column should have.
        schema_ts: the schema the client knew, by its timestamp; 0 when not said.
    """

    columns: tuple[ColumnData, ...]
    n_rows: int
    schema_ts: int = 0


@dataclass(frozen=True, slots=True)
class Upsert(Insert):
    """Add rows, replacing those of the same key.

    Attributes:
        is_partial: columns that are absent keep their values.
        field_ops: Milvus' operation number by field name.
    """

    is_partial: bool = False
    field_ops: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(PartitionRequest):
    """Delete the rows that match a filter.

    Attributes:
        filter_params: values of ``{name}`` templates in the filter.
    """

    filter: str
    filter_params: Mapping[str, Any]
    consistency_level: int = 0


# --- reading ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search(PartitionsRequest):
    """Find the rows nearest to each query.

    Attributes:
        nq: queries announced; 0 when not said.
        queries: ``None`` when ``query_keys`` names the rows to search with.
        query_keys: primary keys whose vectors are the queries.
        filter_params: values of ``{name}`` templates in the filter.
        score: functions that change the scores.
        chains: what is done with the rows found; not together with ``score``.
        aggregation: the levels of buckets that are told instead of rows.
        highlighter: how words are marked in the texts of the answer.
    """

    nq: int
    queries: Queries | None
    filter: str
    filter_params: Mapping[str, Any]
    output_fields: tuple[str, ...]
    options: SearchOptions
    consistency: Consistency
    query_keys: pa.Array | None = None
    score: FunctionScore | None = None
    chains: tuple[FunctionChain, ...] = ()
    aggregation: AggregationRequest | None = None
    highlighter: Highlighter | None = None


@dataclass(frozen=True, slots=True)
class HybridSearch(PartitionsRequest):
    """Find the rows that several searches together place best.

    Attributes:
        searches: partitions, output fields and consistency of theirs do not count.
        score: the ranker as a function; the one of the options without it.
    """

    searches: tuple[Search, ...]
    output_fields: tuple[str, ...]
    options: HybridOptions
    consistency: Consistency
    score: FunctionScore | None = None


@dataclass(frozen=True, slots=True)
class Query(PartitionsRequest):
    """Read the rows that match a filter.

    Attributes:
        filter_params: values of ``{name}`` templates in the filter.
    """

    filter: str
    filter_params: Mapping[str, Any]
    output_fields: tuple[str, ...]
    options: QueryOptions
    consistency: Consistency


# --- flush, compaction, segments ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flush(DatabaseRequest):
    """Write out what is in memory."""

    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetFlushState(CollectionRequest):
    """Ask whether segments, and all rows up to ``ts``, are written out."""

    segment_ids: tuple[int, ...]
    ts: int


@dataclass(frozen=True, slots=True)
class FlushAll(DatabaseRequest):
    """Write out everything, or the collections named by database."""

    targets: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class GetFlushAllState(FlushAll):
    """Ask whether everything up to ``ts`` is written out."""

    ts: int


@dataclass(frozen=True, slots=True)
class ManualCompaction(CollectionRequest):
    """Merge segments; by id when the name is empty.

    Attributes:
        target_mb: size of the segments wanted; 0 for the default.
        partition_id: only this one; 0 for all.
        segment_ids: only these; empty for all.
    """

    collection_id: int = 0
    is_major: bool = False
    is_l0: bool = False
    target_mb: int = 0
    partition_id: int = 0
    segment_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GetCompactionState(Request):
    """Ask how far a compaction is."""

    compaction_id: int


class GetPersistentSegmentInfo(CollectionRequest):
    """List the segments on disk."""


class GetQuerySegmentInfo(CollectionRequest):
    """List the segments that reads look at."""
