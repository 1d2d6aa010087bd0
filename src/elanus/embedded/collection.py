"""A collection in your own process: NumPy, pandas or Arrow in, Arrow tables out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
import pyarrow as pa

from elanus.database.alteration import add_field, drop_field, drop_struct
from elanus.database.database import Database as Core
from elanus.database.lifetimes import set_ttl, set_ttl_field, set_zone
from elanus.distance.metrics import Metric
from elanus.embedded.hybrid import (
    HybridOptions,
    SubSearch,
    check_queries,
    grouped,
    plan_hybrid,
)
from elanus.embedded.rows import columns_from, queries_from
from elanus.embedded.tables import hits_table
from elanus.engine.collection import Collection as Engine
from elanus.engine.definition import DEFAULT_PARTITION, IndexDefinition
from elanus.engine.read.fusion import fuse
from elanus.engine.read.fusion_plan import RRF, Ranker
from elanus.engine.read.plan import (
    QueryRequest,
    SearchRequest,
    outputs_of,
    vector_field,
)
from elanus.engine.version import Version
from elanus.engine.write.array_ops import FieldOp
from elanus.errors import ClosedError, InvalidParameter
from elanus.index.registry import index_kind_for
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.service.index_rules import vector_index

Progress = Callable[[float], None]


class QueryOptions(TypedDict, total=False):
    """Further choices of a query.

    Attributes:
        offset: rows to skip; only together with a limit.
        partitions: names of the partitions to read; all when not given.
        filter_params: values of ``{name}`` templates in the filter.
        order_by: fields to put the rows in order by, with direction and place of nulls:
            ``"price:asc,rating:desc:nulls_first"``. Of a search, the rows found, which
            may be told to be ordered by keys of JSON fields too.
    """

    offset: int
    partitions: Sequence[str]
    filter_params: Mapping[str, Any]
    order_by: str


class SearchOptions(QueryOptions, total=False):
    """Further choices of a search.

    Attributes:
        field: the vector field, where there are several.
        metric: checked against the field's.
        group_by: fields whose values make groups, or one place in a JSON field such as
            ``info["author"]``, or one dynamic key. Limit and offset count groups then,
            which come in the order of their nearest rows; nulls are a group, too.
        group_size: rows of each group, the nearest, 1 to 10; 1 when not given.
        strict_group_size: whether groups are filled up. Otherwise what is farther than
            the nearest row of the last group is left out.
    """

    field: str
    metric: str
    group_by: str | Sequence[str]
    group_size: int
    strict_group_size: bool


class Reader:
    """The reading half: on a collection as it is now, or on a snapshot of it."""

    def __init__(self, core: Core, engine: Engine, version: Version | None) -> None:
        self._core = core
        self._engine = engine
        self._pinned = version

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._engine.definition.name

    @property
    def schema(self) -> CollectionSchema:
        """The collection's fields, ``$meta`` included where it is dynamic."""
        return self._engine.schema

    def _version(self) -> Version:
        if self._pinned is None:
            return self._engine.pin()
        if self._core.is_closed:
            raise ClosedError("the database")
        return self._pinned

    def search(
        self,
        query: Any,
        *,
        limit: int = 10,
        filter: str = "",
        output_fields: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **options: Unpack[SearchOptions],
    ) -> pa.Table:
        """The rows nearest to each query vector.

        Args:
            query: (dim,) or (nq, dim), anything NumPy takes as numbers; for bits also
                ``bytes``, for sparse vectors a dict of value by index; or a list of
                these.
            limit: rows per query, 1 to 16384. A query that has ``limit`` matching rows
                gets ``limit`` rows.
            filter: an expression such as ``"topic in [3, 7]"``.
            output_fields: fields to return; ``"*"`` for all.
            params: search parameters of the index, such as ``{"ef": 64}``; a floor.
            options: see :class:`SearchOptions`.

        Returns:
            One row per hit: ``query`` (position of the query, int32), the primary key,
            ``score`` (float32, the metric's own sign), and the output fields. Nearest
            first within each query, equal scores by ascending key. Where a field is
            called ``query`` or ``score``, ours are ``$query`` and ``$score``.

        Raises:
            InvalidParameter, QueryPlanError: the message says what to change.
            CorruptionError: a column file is damaged; the message names it.
        """
        request = _search_request(
            options,
            limit=limit,
            filter=filter,
            output_fields=_names(output_fields) if output_fields else (),
            params=params,
        )
        plan = self._engine.plan_search(request)
        queries = queries_from(plan.asked, query)
        check_queries(queries)
        hits = self._engine.search(self._version(), plan, queries)
        return hits_table(hits, self.schema.primary.name, plan.outputs)

    def hybrid_search(
        self,
        searches: Sequence[SubSearch],
        *,
        ranker: Ranker | None = None,
        limit: int = 10,
        output_fields: Sequence[str] = (),
        **options: Unpack[HybridOptions],
    ) -> pa.Table:
        """The rows that several searches together place best.

        Args:
            searches: each on a vector field, perhaps the same, for as many queries.
            ranker: :class:`RRF` or :class:`Weighted`; ``RRF()`` when not given.
            options: see :class:`HybridOptions`.

        Returns:
            As of :meth:`search`; ``score`` is the ranker's.

        Raises:
            InvalidParameter, QueryPlanError: the message says what to change.
            CorruptionError: a column file is damaged; the message names it.
        """
        plan, queries = plan_hybrid(
            self._engine, searches, ranker or RRF(), limit, options
        )
        outputs = outputs_of(self.schema, tuple(_names(output_fields)))
        version = self._version()
        found = [
            self._engine.search(version, path, vectors)
            for path, vectors in zip(plan.paths, queries, strict=True)
        ]
        hits = fuse(version, plan, found)
        return hits_table(hits, self.schema.primary.name, outputs)

    def query(
        self,
        filter: str = "",
        *,
        output_fields: Sequence[str] = (),
        limit: int | None = None,
        **options: Unpack[QueryOptions],
    ) -> pa.Table:
        """The rows that match a filter, ascending by primary key if not told otherwise.

        Args:
            options: see :class:`QueryOptions`.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(
            filter=filter, limit=limit, output_fields=_names(output_fields), **options
        )
        return self._engine.query(self._version(), request)

    def get(
        self,
        ids: Any,
        *,
        output_fields: Sequence[str] = ("*",),
        partitions: Sequence[str] | None = None,
    ) -> pa.Table:
        """The rows of these primary keys, ascending; missing ones are skipped.

        Raises:
            InvalidParameter: the keys are not of the primary key's type.
        """
        request = QueryRequest(
            output_fields=_names(output_fields), partitions=partitions
        )
        keys = [ids] if isinstance(ids, int | str | np.integer) else ids
        return self._engine.get(self._version(), keys, request)

    def count(self, filter: str = "", **options: Unpack[QueryOptions]) -> int:
        """How many rows match; exact, and rows of a repeated key count each.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(filter=filter, **options)
        return self._engine.count(self._version(), request)

    def iterate(
        self,
        filter: str = "",
        *,
        batch_size: int = 1000,
        output_fields: Sequence[str] = ("*",),
        **options: Unpack[QueryOptions],
    ) -> Iterator[pa.Table]:
        """All matching rows as of now, in tables of up to ``batch_size`` rows.

        Memory stays bounded by the batch, and writes meanwhile change nothing.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(
            filter=filter, output_fields=_names(output_fields), **options
        )
        return self._engine.iterate(self._version(), request, batch_size)

    def explain(
        self,
        query: Any,
        *,
        limit: int = 10,
        filter: str = "",
        params: Mapping[str, Any] | None = None,
        **options: Unpack[SearchOptions],
    ) -> list[dict[str, Any]]:
        """How a search was done in each segment: strategy, numbers and reason."""
        request = _search_request(options, limit=limit, filter=filter, params=params)
        plan = self._engine.plan_search(request)
        queries = queries_from(plan.asked, query)
        hits = self._engine.search(self._version(), plan, queries)
        return [
            {
                "segment": trace.view.segment.id,
                "sealed": trace.view.segment.is_sealed,
                "rows": trace.view.n_rows,
                "allowed": trace.allowed,
                "strategy": "none" if trace.strategy is None else str(trace.strategy),
            }
            for trace in hits.traces
        ]

    def __len__(self) -> int:
        return self.count()


class Snapshot(Reader):
    """A collection as it was when the snapshot was taken; costs nothing to hold.

    Files that it needs stay on disk until it is let go.
    """

    @property
    def ts(self) -> int:
        """The hybrid timestamp it shows."""
        return self._version().ts


class Collection(Reader):
    """An open collection. Safe to use from many threads."""

    def __init__(self, core: Core, engine: Engine) -> None:
        super().__init__(core, engine, None)

    def snapshot(self) -> Snapshot:
        """The collection as it is now, unmoved by later writes."""
        return Snapshot(self._core, self._engine, self._engine.pin())

    # --- writing ----------------------------------------------------------------------

    def insert(self, data: Any, *, partition: str = DEFAULT_PARTITION) -> pa.Array:
        """Add rows and return their primary keys, once they are durable.

        Args:
            data: a dict of columns, an Arrow table, a DataFrame or a list of dicts.
                Names that are no field go into the dynamic field.

        Raises:
            InvalidParameter, PartitionNotFound: nothing was written.
            RateLimited, DiskFull, ReadOnlyError, StorageError: nothing was written.
            UnknownOutcome: a sync failed; reopen and look.
        """
        self._core.need_writable()
        return self._engine.insert(columns_from(data), partition)[0]

    def upsert(
        self,
        data: Any,
        *,
        partition: str = "",
        partial: bool = False,
        field_ops: Mapping[str, str] | None = None,
    ) -> pa.Array:
        """Replace the rows of the given keys, or add them; readers see all or none.

        Returns the keys of the rows: where the collection makes the ids, new ones.

        Args:
            data: as for :meth:`insert`, the primary keys among it.
            partition: where the rows go, the default partition when empty. A partial
                update that names one changes its rows only; keys elsewhere are new.
            partial: keep the fields, and the keys of the dynamic field, that ``data``
                does not name. Keys that there are not yet become rows.
            field_ops: ``ARRAY_APPEND`` or ``ARRAY_REMOVE`` by array field: what to do
                with its elements instead of replacing them. Makes the update partial.

        Raises: as :meth:`insert`.
        """
        self._core.need_writable()
        if partial or field_ops:
            ops = {name: _field_op(name, op) for name, op in (field_ops or {}).items()}
            return self._engine.update(columns_from(data), partition, ops)[0]
        target = partition or DEFAULT_PARTITION
        return self._engine.upsert(columns_from(data), target)[0]

    def delete(
        self,
        ids: Any = None,
        *,
        filter: str = "",
        filter_params: dict[str, Any] | None = None,
        partitions: Sequence[str] | None = None,
    ) -> int:
        """Delete rows by primary key or by filter; returns how many went.

        Raises:
            InvalidParameter: neither or both were given, or the filter restricts
                nothing (use ``truncate``).
            and as :meth:`insert`.
        """
        self._core.need_writable()
        if (ids is None) == (not filter):
            raise InvalidParameter("delete takes either ids or a filter")
        if ids is None:
            return self._engine.delete_where(filter, filter_params, partitions).deleted
        keys = [ids] if isinstance(ids, int | str | np.integer) else ids
        return self._engine.delete_keys(keys, partitions).deleted

    def truncate(self) -> None:
        """Remove every row."""
        self._core.truncate(self._live_name())

    # --- fields -----------------------------------------------------------------------

    def add_field(self, field: FieldSchema) -> None:
        """Add a nullable scalar field; rows that are there have its default, or null.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
        """
        self._live_name()
        add_field(self._core, self._engine, field)

    def drop_field(self, name: str) -> None:
        """Drop a field, or a struct array, with its values and indexes.

        Raises:
            InvalidParameter: there is none by this name, or it is indispensable.
        """
        self._live_name()
        if name in self.schema.parts:
            drop_struct(self._core, self._engine, name)
            return
        field = self.schema.by_name.get(name)
        if field is None:
            raise InvalidParameter(f"field not found: {name}")
        drop_field(self._core, self._engine, field.id)

    def set_ttl(self, seconds: int = 0, *, field: str | None = None) -> None:
        """Let rows vanish so many seconds after they were written; 0 for never.

        Args:
            field: instead, the name of a field of points in time: rows vanish when
                theirs has come, those without one never. Empty for no field.

        Raises:
            InvalidParameter: the number is too large, it is no such field, or the other
                of the two is in use.
        """
        self._live_name()
        if field is None:
            set_ttl(self._core, self._engine, seconds)
        else:
            set_ttl_field(self._core, self._engine, field)

    def set_timezone(self, name: str) -> None:
        """Take points in time that name no zone in this one, UTC at first.

        Raises:
            InvalidParameter: give an IANA name such as Asia/Shanghai.
        """
        self._live_name()
        set_zone(self._core, self._engine, name)

    # --- partitions and indexes -------------------------------------------------------

    @property
    def partitions(self) -> list[str]:
        """Names of all partitions, sorted."""
        return sorted(self._engine.definition.partitions)

    def create_partition(self, name: str) -> None:
        """Add a partition; nothing happens if it exists."""
        self._core.create_partition(self._live_name(), name)

    def drop_partition(self, name: str) -> None:
        """Drop a partition and its rows; nothing happens if there is none."""
        self._core.drop_partition(self._live_name(), name)

    def create_index(
        self,
        field: str = "",
        *,
        index_type: str = "AUTOINDEX",
        metric: str = "",
        params: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> None:
        """Define the index of a vector field; it is built in the background.

        Searches scan exactly until then. :meth:`optimize` waits for it.

        Args:
            index_type: AUTOINDEX for all vectors; of numbers FLAT, IVF_FLAT, IVF_SQ8,
                IVF_PQ, IVF_RABITQ, SCANN, HNSW, HNSW_SQ, HNSW_PQ; of bits BIN_FLAT,
                BIN_IVF_FLAT; of sparse vectors SPARSE_INVERTED_INDEX. Int8 vectors
                take those that begin with HNSW.
            metric: L2, IP or COSINE; of bits HAMMING or JACCARD, of sparse vectors IP;
                the collection's when empty.
            params: build parameters, such as ``{"M": 16, "efConstruction": 200}``.

        Raises:
            InvalidParameter: the type, metric or a parameter is not allowed.
        """
        chosen = vector_field(self.schema, field)
        metric = metric or self._engine.definition.metric_of(chosen)
        if chosen.is_vector_list:
            index = vector_index(
                name or chosen.name, chosen, index_type, metric, dict(params or {})
            )
            self._core.create_index(self._live_name(), index)
            return
        kind = index_kind_for(index_type, chosen.dtype)
        given = dict(params or {})
        kind.resolve(given, 0, chosen.dim or 0)
        self._core.create_index(
            self._live_name(),
            IndexDefinition(
                name=name or chosen.name,
                field_id=chosen.id,
                index_type=kind.name,
                metric=Metric.from_name(metric, chosen.dtype).value,
                params=given,
            ),
        )

    def drop_index(self, name: str) -> None:
        """Remove an index; its field is searched exactly then.

        Raises:
            IndexNotFound: there is none by this name.
        """
        self._core.drop_index(self._live_name(), name)

    def describe_index(self, name: str = "") -> list[dict[str, Any]]:
        """Each index with its parameters, progress and, if a build failed, why."""
        return [
            entry
            for entry in self._core.describe_indexes(self._live_name())
            if not name or entry["name"] == name
        ]

    # --- upkeep -----------------------------------------------------------------------

    def flush(self) -> None:
        """Write rows from memory to column files. Never needed for safety.

        Raises:
            StorageError, DiskFull: rows stay in memory and log.
        """
        self._live_name()
        self._core.flush(self._engine)

    def compact(self, progress: Progress | None = None) -> None:
        """Merge segments and drop the space of deleted rows; waits.

        Raises:
            JobFailed, StorageError.
        """
        self.flush()
        self._core.background.optimize(
            self._engine, progress or _silent, merges_only=True
        )

    def optimize(self, progress: Progress | None = None) -> None:
        """Flush, merge and build every index; waits until nothing is left to do.

        Args:
            progress: called with the share done of each step, 0 to 1.

        Raises:
            JobFailed: an index could not be built; the message says why.
            StorageError.
        """
        self.flush()
        self._core.background.optimize(self._engine, progress or _silent)

    def stats(self) -> dict[str, Any]:
        """Rows, segments, bytes, background work and damages found."""
        return self._core.stats(self._live_name())

    def _live_name(self) -> str:
        """The name, as long as it is not that of a successor of the same name.

        Raises:
            ClosedError: the collection was dropped or its database closed.
        """
        self._engine.pin()
        return self.name

    def __repr__(self) -> str:
        return f"<elanus.Collection {self.name!r}>"


def _search_request(options: SearchOptions, **named: Any) -> SearchRequest:
    rest: dict[str, Any] = dict(options)
    group = grouped(rest)
    return SearchRequest(**named, **rest, group=group)


def _field_op(field: str, name: str) -> FieldOp:
    try:
        return FieldOp[name]
    except KeyError:
        known = ", ".join(FieldOp.__members__)
        raise InvalidParameter(
            f'unknown partial-update op for field "{field}"',
            expected=known,
            actual=name,
        ) from None


def _silent(share: float) -> None:
    return None


def _names(names: Any) -> Sequence[str]:
    if isinstance(names, str):
        return (names,)
    return tuple(names)
