"""A live collection: its definition, and the shard that holds its rows.

Routes writes to the shard, pins versions for readers, and knows which index each
field should have. Durable changes of the definition are the database's business.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.engine.definition import DEFAULT_PARTITION, CollectionDefinition
from elanus.engine.lazy import LazyShard
from elanus.engine.node import Node
from elanus.engine.read.aggregate import AggregatePlan, aggregated
from elanus.engine.read.boosted import search_boosted
from elanus.engine.read.element_rows import ElementRows, Place, matching_elements
from elanus.engine.read.grouping import search_groups
from elanus.engine.read.lexical import weighted
from elanus.engine.read.plan import (
    QueryPlan,
    QueryRequest,
    SearchPlan,
    SearchRequest,
    bind_filter,
    plan_query,
    plan_search,
)
from elanus.engine.read.query import Rows, count, iterate, matching, query
from elanus.engine.read.ranking import Ranking, rank_all
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.sampling import sample
from elanus.engine.read.search import SearchHits, search
from elanus.engine.shard import LocalShard, Outcome
from elanus.engine.version import Version
from elanus.engine.write.flush import flush_all
from elanus.engine.write.ingest import (
    Columns,
    Writing,
    delete_record,
    rows_record,
)
from elanus.engine.write.partial import FieldOps, merged_record, partial_rows
from elanus.engine.write.records import RowsRecord
from elanus.errors import ClosedError, InvalidParameter, QueryPlanError
from elanus.expr.predicate import Predicate
from elanus.schema.schema import CollectionSchema
from elanus.schema.sparse import SparseRows
from elanus.schema.timestamptz import in_zone
from elanus.schema.vectors import VectorRows
from elanus.storage.manifest import Manifest

CACHED_PLANS = 512


class Collection:
    """One open collection. Safe to use from many threads."""

    def __init__(
        self,
        node: Node,
        definition: CollectionDefinition,
        manifest: Manifest,
        rng: np.random.Generator,
    ) -> None:
        self.node = node
        self.lazy = LazyShard(node, definition, manifest)
        self._rng = rng
        self._definition = definition
        self._plans: dict[Any, SearchPlan] = {}
        self._lock = threading.Lock()

    @property
    def id(self) -> int:
        """The collection's number, never given again."""
        return self._definition.id

    @property
    def shard(self) -> LocalShard:
        """What holds the rows; opened now if nothing has asked for it before.

        Raises:
            CorruptionError: a file is damaged or missing; it is named.
            ClosedError: the collection was dropped, or its database closed.
        """
        return self.lazy.opened or self.lazy.open()

    @property
    def definition(self) -> CollectionDefinition:
        """Name, schema, partitions and indexes as they are now."""
        return self._definition

    @property
    def schema(self) -> CollectionSchema:
        """The schema as it is now."""
        return self._definition.schema

    def redefine(self, definition: CollectionDefinition) -> None:
        """Take over a definition that is durable already.

        With another schema, hold the shard's ``order_lock``, settled.
        """
        self.lazy.redefine(definition)
        self._definition = definition
        with self._lock:
            self._plans = {}

    # --- writing --------------------------------------------------------------------

    def insert(self, columns: Columns, partition: str) -> tuple[pa.Array, Outcome]:
        """Add rows; returns their primary keys.

        Raises:
            InvalidParameter, PartitionNotFound: nothing was written.
            RateLimited, DiskFull, ReadOnlyError, StorageError: nothing was written.
            UnknownOutcome: a sync failed; reopen and look.
        """
        return self._write_rows(columns, partition, upsert=False)

    def upsert(self, columns: Columns, partition: str) -> tuple[pa.Array, Outcome]:
        """Replace the rows of the given keys, or add them, at one timestamp.

        Raises: as :meth:`insert`.
        """
        return self._write_rows(columns, partition, upsert=True)

    def update(
        self, columns: Columns, partition: str, ops: FieldOps
    ) -> tuple[pa.Array, Outcome]:
        """Change the given columns of the rows of the given keys, at one timestamp.

        Columns that are not given stay as they are. Keys that there are not become
        rows, if every field that has to be given is.

        Args:
            partition: where the rows go, and whose rows are changed; when empty, rows
                of all partitions are changed and go to the default one.
            ops: what to do with arrays instead of replacing them, by field name.

        Raises: as :meth:`insert`.
        """
        definition = self._definition
        columns = in_zone(definition.schema, columns, definition.zone)
        rows = partial_rows(definition.schema, columns, ops)
        targets = definition.partitions_for(partition or DEFAULT_PARTITION)

        def merged() -> RowsRecord:
            is_same = self.schema is definition.schema
            return merged_record(
                rows if is_same else partial_rows(self.schema, columns, ops),
                self.pin(),
                self.node.clock,
                partitions=targets,
                read=frozenset(targets) if partition else None,
            )

        record, outcome = self.shard.write_after_reading(merged)
        return record.batch.columns[definition.schema.primary.id], outcome

    def _write_rows(
        self, columns: Columns, partition: str, *, upsert: bool
    ) -> tuple[pa.Array, Outcome]:
        definition = self._definition
        record = rows_record(
            definition.schema,
            in_zone(definition.schema, columns, definition.zone),
            self.node.clock,
            Writing(
                definition.partitions_for(partition),
                upsert,
                takes_ids=upsert or definition.takes_ids,
            ),
        )
        outcome = self.shard.write(record)
        return record.batch.columns[definition.schema.primary.id], outcome

    def delete_keys(self, keys: Any, partitions: Sequence[str] | None) -> Outcome:
        """Delete the rows of these primary keys.

        Raises: as :meth:`insert`.
        """
        record = delete_record(self.schema, keys, self._named_partitions(partitions))
        return self.shard.write(record) if len(record.keys) else Outcome()

    def delete_where(
        self,
        text: str,
        params: dict[str, Any] | None,
        partitions: Sequence[str] | None,
    ) -> Outcome:
        """Delete the rows that match a filter, as of this call's place in the log.

        Raises: as :meth:`insert` and :meth:`bind_delete`.
        """
        return self.delete_matching(self.bind_delete(text, params), partitions)

    def bind_delete(self, text: str, params: dict[str, Any] | None) -> Predicate:
        """The filter of a delete, bound.

        Raises:
            QueryPlanError: the filter does not parse.
            InvalidParameter: it restricts nothing.
        """
        try:
            predicate = bind_filter(self.schema, text, params, self._definition.zone)
        except QueryPlanError as error:
            raise QueryPlanError(_of_delete(str(error))) from error
        if predicate is None:
            raise InvalidParameter(
                f"delete plan can't be empty or always true : {text}"
            )
        return predicate

    def delete_matching(
        self, predicate: Predicate, partitions: Sequence[str] | None
    ) -> Outcome:
        """Delete the rows that match, as of this call's place in the log.

        Raises: as :meth:`insert`.
        """
        named = self._named_partitions(partitions)
        keys = predicate.primary_keys()
        if keys is not None:
            return self.shard.write(delete_record(self.schema, keys, named))
        with self.shard.order_lock:
            # nothing may come between looking and deleting
            self.shard.settle()
            version = self.pin()
            plan = QueryPlan(None, 0, predicate, named, ())
            rows = matching(version, plan, self._rng_for(predicate))
            if not len(rows.offsets):
                return Outcome(ts=version.ts)
            column = pa.chunked_array(
                [
                    version.views[p].segment.take(
                        self.schema.primary.id, rows.offsets[rows.parts == p]
                    )
                    for p in np.unique(rows.parts).tolist()
                ]
            ).combine_chunks()
            record = delete_record(self.schema, column, named)
            ticket, outcome = self.shard.submit(record)
        self.node.log.wait(ticket)
        return outcome

    def _named_partitions(self, names: Sequence[str] | None) -> frozenset[int] | None:
        if not names:
            return None
        self._definition.refuse_partition_names(names)
        return frozenset(self._definition.partition_id(name) for name in names)

    # --- reading --------------------------------------------------------------------

    def pin(self) -> Version:
        """The newest version: every acknowledged write is in it, what expired is not.

        Raises:
            ClosedError: the collection was dropped or its database closed.
        """
        version = self.shard.version  # before the look: a closed shard shows nothing
        if self.shard.is_closed:
            raise ClosedError(f"collection {self._definition.name}")
        horizon, expiry = self.shard.expiry_ts(), self.shard.expiry()
        if horizon:
            version = version.since(horizon)
        return version if expiry is None else version.unexpired_by(expiry)

    def plan_search(self, request: SearchRequest) -> SearchPlan:
        """The plan of a search; requests alike share one.

        Raises:
            InvalidParameter, QueryPlanError: the request does not fit the collection.
        """
        key = _plan_key(request)
        plan = self._plans.get(key) if key is not None else None
        if plan is None:
            plan = plan_search(self._definition, request)
            if key is not None and not request.filter:
                with self._lock:
                    if len(self._plans) >= CACHED_PLANS:
                        self._plans.clear()
                    self._plans[key] = plan
        return plan

    def search(
        self,
        version: Version,
        plan: SearchPlan,
        queries: VectorRows,
        recorder: Recorder | None = None,
    ) -> SearchHits:
        """Run a search; queries as :func:`elanus.engine.read.search.search` has it.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        if plan.scoring is not None:
            assert isinstance(queries, SparseRows)
            plan, queries = weighted(version, plan, queries)
        rng = self._rng_for(plan.predicate)
        if plan.group is not None:
            return search_groups(version, plan, queries, rng, recorder)
        if plan.boosts is not None:
            asked = [function.predicate for function in plan.boosts.functions]
            rng = self._rng_for(plan.predicate, *asked)
            return search_boosted(version, plan, queries, rng, recorder)
        hits = search(version, plan, queries, rng, recorder)
        sampler = self.node.sampler
        if sampler is not None and sampler.wants():
            sample(sampler, self.id, plan, queries, hits)
        return hits

    def query(
        self, version: Version, request: QueryRequest, recorder: Recorder | None = None
    ) -> pa.Table:
        """Rows by filter, in the order asked for, else ascending by primary key.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        plan = plan_query(self._definition, request)
        if recorder is not None:
            recorder.planned(version, plan)
        return query(version, plan, self._rng_for(plan.predicate), recorder)

    def rank(self, version: Version, plan: SearchPlan, query: VectorRows) -> Ranking:
        """Every row that a search could return, nearest first, for one query.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        if plan.scoring is not None:
            assert isinstance(query, SparseRows)
            plan, query = weighted(version, plan, query)
        return rank_all(version, plan, query, self._rng_for(plan.predicate))

    def plan_query(self, request: QueryRequest) -> QueryPlan:
        """The plan of a query.

        Raises:
            InvalidParameter, QueryPlanError: the request does not fit the collection.
        """
        return plan_query(self._definition, request)

    def rows(
        self, version: Version, plan: QueryPlan, recorder: Recorder | None = None
    ) -> Rows:
        """Which rows a query returns, in its order.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        return matching(version, plan, self._rng_for(plan.predicate), recorder)

    def aggregates(
        self,
        version: Version,
        plan: AggregatePlan,
        rows: QueryPlan,
        recorder: Recorder | None = None,
    ) -> list[pa.Array]:
        """What is computed of the rows of a query; its limit does not count.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        rng = self._rng_for(rows.predicate)
        return aggregated(version, plan, rows, rng, recorder)

    def element_rows(
        self,
        version: Version,
        plan: QueryPlan,
        after: Place | None,
        recorder: Recorder | None = None,
    ) -> ElementRows:
        """Which rows and elements a query with an element filter returns.

        Args:
            after: the last element that the caller has.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        rng = self._rng_for(plan.predicate)
        return matching_elements(version, plan, rng, after, recorder)

    def get(self, version: Version, keys: Any, request: QueryRequest) -> pa.Table:
        """Rows of these primary keys, ascending; missing ones are skipped.

        Raises:
            InvalidParameter: the keys are not of the primary key's type.
        """
        column = delete_record(self.schema, keys, None).column
        primary = self.schema.primary
        plan = plan_query(
            self._definition,
            request._replace(
                filter=f"{primary.name} in {{keys}}",
                filter_params={"keys": column.to_pylist()},
            ),
        )
        return query(version, plan, self._rng_for(plan.predicate))

    def count(
        self, version: Version, request: QueryRequest, recorder: Recorder | None = None
    ) -> int:
        """How many rows match.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        plan = plan_query(self._definition, request)
        if recorder is not None:
            recorder.planned(version, plan)
        rng = self._rng_for(plan.predicate)
        return count(version, plan.predicate, plan.partitions, rng, recorder)

    def iterate(
        self, version: Version, request: QueryRequest, batch_rows: int
    ) -> Iterator[pa.Table]:
        """All matching rows of one version, in tables of up to ``batch_rows``.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        if batch_rows < 1:
            raise InvalidParameter(f"batch size [{batch_rows}] should be at least 1")
        plan = plan_query(self._definition, request)
        if plan.order:
            raise InvalidParameter("ORDER BY with iterator is not supported")
        return iterate(version, plan, batch_rows, self._rng_for(plan.predicate))

    def _rng_for(self, *predicates: Predicate | None) -> np.random.Generator:
        """Randomness for one request; threads must not share a generator."""
        if all(p is None or p.sample is None for p in predicates):
            return self._rng  # not drawn from
        with self._lock:
            return np.random.default_rng(int(self._rng.integers(1 << 62)))

    # --- upkeep ---------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything in memory to column files.

        Raises:
            StorageError, DiskFull: rows stay in memory and log.
        """
        flush_all(self.shard)

    def close(self) -> None:
        """Refuse writes and new readers."""
        self.lazy.close()


def _of_delete(message: str) -> str:
    return message.removesuffix(": invalid parameter").replace(
        "failed to create query plan", "failed to create delete plan"
    )


def _plan_key(request: SearchRequest) -> Any:
    if request.filter:
        return None
    params = request.params
    return (
        request.limit,
        request.offset,
        request.field,
        request.metric,
        tuple(request.partitions or ()),
        tuple(request.output_fields),
        request.order_by,
        request.group,
        None if not params else repr(params),
    )
