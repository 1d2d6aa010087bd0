"""From a request to its operation: one line per kind of request.

Every credential is accepted. Errors that are not ours never reach a wire: they become
one :class:`InternalError`, whose cause goes to the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from elanus.errors import (
    AccessDisabled,
    Cancelled,
    DeadlineExceeded,
    ElanusError,
    InternalError,
    UnsupportedOperation,
)
from elanus.service import (
    admin,
    aliases,
    alterations,
    altered_index,
    analyzers,
    collections,
    databases,
    explain,
    flush,
    functions,
    hybrid,
    indexes,
    nodes,
    partitions,
    query,
    rows,
    search,
)
from elanus.service import requests as r
from elanus.service import requests_admin as rn
from elanus.service import requests_alter as ra
from elanus.service import requests_explain as rx
from elanus.service import requests_text as rt
from elanus.service.core import Core
from elanus.service.denials import check_permitted
from elanus.service.pace import Pace
from elanus.service.replies import Reply
from elanus.service.requests import Request, RequestContext
from elanus.service.rescoring import waits_for_others
from elanus.service.search_batch import plan_key, search_together
from elanus.service.search_pieces import SearchInPieces, is_long
from elanus.service.steps import Stepwise

Operation = Callable[[Core, Any], Reply]
_LOG = logging.getLogger(__name__)

OPERATIONS: dict[type[Request], Operation] = {
    r.Connect: admin.connect,
    r.GetVersion: admin.get_version,
    r.AllocTimestamp: admin.alloc_timestamp,
    r.CheckHealth: admin.check_health,
    r.GetComponentStates: admin.get_component_states,
    r.GetMetrics: admin.get_metrics,
    r.CreateDatabase: databases.create_database,
    r.DropDatabase: databases.drop_database,
    r.ListDatabases: databases.list_databases,
    r.DescribeDatabase: databases.describe_database,
    ra.AlterDatabase: databases.alter_database,
    r.CreateCollection: collections.create_collection,
    r.DropCollection: collections.drop_collection,
    r.HasCollection: collections.has_collection,
    r.DescribeCollection: collections.describe_collection,
    rn.BatchDescribeCollection: collections.batch_describe,
    r.ShowCollections: collections.show_collections,
    r.GetCollectionStatistics: collections.collection_statistics,
    r.RenameCollection: collections.rename_collection,
    r.TruncateCollection: collections.truncate_collection,
    r.LoadCollection: collections.load_collection,
    r.ReleaseCollection: collections.release_collection,
    r.GetLoadState: collections.get_load_state,
    r.GetLoadingProgress: collections.get_loading_progress,
    ra.AlterCollection: alterations.alter_collection,
    ra.AlterCollectionField: alterations.alter_collection_field,
    ra.AlterIndex: altered_index.alter_index,
    ra.AddCollectionField: alterations.add_collection_field,
    ra.AddCollectionStruct: alterations.add_collection_struct,
    ra.AddToSchema: alterations.add_to_schema,
    ra.AddCollectionFunction: functions.add_collection_function,
    ra.AlterCollectionFunction: functions.alter_collection_function,
    ra.DropCollectionFunction: functions.drop_collection_function,
    ra.DropFromSchema: alterations.drop_from_schema,
    ra.AlterSchemaByNothing: alterations.alter_schema_by_nothing,
    r.CreatePartition: partitions.create_partition,
    r.DropPartition: partitions.drop_partition,
    r.HasPartition: partitions.has_partition,
    r.ShowPartitions: partitions.show_partitions,
    r.LoadPartitions: partitions.load_partitions,
    r.ReleasePartitions: partitions.release_partitions,
    r.GetPartitionStatistics: partitions.partition_statistics,
    r.CreateAlias: aliases.create_alias,
    r.AlterAlias: aliases.alter_alias,
    r.DropAlias: aliases.drop_alias,
    r.DescribeAlias: aliases.describe_alias,
    r.ListAliases: aliases.list_aliases,
    r.CreateIndex: indexes.create_index,
    r.DescribeIndex: indexes.describe_index,
    r.GetIndexState: indexes.get_index_state,
    r.GetIndexBuildProgress: indexes.get_index_build_progress,
    r.GetIndexStatistics: indexes.get_index_statistics,
    r.DropIndex: indexes.drop_index,
    r.Insert: rows.insert,
    r.Upsert: rows.upsert,
    r.Delete: rows.delete,
    r.Search: search.search,
    r.HybridSearch: hybrid.hybrid_search,
    r.Query: query.query,
    rt.RunAnalyzer: analyzers.run_analyzer,
    rt.ComputePhraseMatchSlop: analyzers.compute_slops,
    r.Flush: flush.flush,
    r.GetFlushState: flush.get_flush_state,
    r.FlushAll: flush.flush_all,
    r.GetFlushAllState: flush.get_flush_all_state,
    r.ManualCompaction: flush.manual_compaction,
    r.GetCompactionState: flush.get_compaction_state,
    r.GetPersistentSegmentInfo: flush.get_persistent_segments,
    r.GetQuerySegmentInfo: flush.get_query_segments,
    rn.GetCompactionPlans: flush.get_compaction_plans,
    rn.GetReplicas: nodes.get_replicas,
    rn.LoadBalance: nodes.load_balance,
    rx.Explain: explain.explain,
    rn.NotServed: nodes.not_served,
    rn.CreateResourceGroup: nodes.create_resource_group,
    rn.DropResourceGroup: nodes.drop_resource_group,
    rn.ListResourceGroups: nodes.list_resource_groups,
    rn.DescribeResourceGroup: nodes.describe_resource_group,
    rn.UpdateResourceGroups: nodes.update_resource_groups,
    rn.TransferNode: nodes.transfer_node,
    rn.TransferReplica: nodes.transfer_replica,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One operation that has ended, for counters and logs.

    Attributes:
        name: of the request's class.
        code: of the error that ended it; 0 for success.
    """

    name: str
    seconds: float
    code: int
    context: RequestContext


Observer = Callable[[Call], None]


class LocalService:
    """The operations on a database in this process.

    Call :meth:`wait` after the database has closed, for threads that still end.
    """

    def __init__(
        self,
        core: Core,
        observe: Observer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        observe: told of every operation that ends, by the thread that did it.
        monotonic: the clock of deadlines, in seconds.
        """
        self.core = core
        self._observe = observe
        self._monotonic = monotonic
        self._pace = Pace()

    def handle(self, request: Request, context: RequestContext) -> Reply:
        """Do what is asked. Called by many threads at once.

        Raises:
            Cancelled, DeadlineExceeded: nothing was done.
            ElanusError: anything that went wrong.
        """
        started = self._monotonic()
        code = InternalError.code
        try:
            self._check_wanted(context, started)
            operation = OPERATIONS.get(type(request))
            if operation is None:
                raise UnsupportedOperation(type(request).__name__)
            check_permitted(self.core, request)
            reply = operation(self.core, request)
            code = 0
            return reply
        except ElanusError as error:
            code = error.code
            raise
        except Exception as error:
            name = type(request).__name__
            _LOG.exception("%s of %s failed", name, context.peer)
            raise InternalError(f"{name}: {type(error).__name__}: {error}") from error
        finally:
            seconds = self._monotonic() - started
            if isinstance(request, r.Search | r.Query):
                self._pace.note(request, seconds)
            if self._observe is not None:
                self._observe(Call(type(request).__name__, seconds, code, context))

    def is_short(self, request: Request, count: int = 1) -> bool:
        """Whether it is a read, of which so many are short, and no write waits.

        Reads may have to wait for writes that are on their way to the disk.
        """
        is_short = self._pace.is_short(request, count)
        return is_short and self.core.database.node.log.is_settled

    def is_long(self, request: Request) -> bool:
        """Whether it is a search of many queries, which is done in :meth:`steps`."""
        return isinstance(request, r.Search) and is_long(request)

    def waits(self, request: Request) -> bool:
        """Whether it waits for a model elsewhere."""
        return waits_for_others(request)

    def plan_key(self, request: Request) -> Hashable | None:
        """Requests of equal keys may be handled together; ``None`` for alone."""
        return plan_key(request) if isinstance(request, r.Search) else None

    def steps(self, request: Request, context: RequestContext) -> Stepwise | None:
        """A long request as steps; ``None`` for those that are handled at once."""
        if not isinstance(request, r.Search) or not is_long(request):
            return None
        started = self._monotonic()

        def begin() -> SearchInPieces:
            self._check_wanted(context, started)
            check_permitted(self.core, request)
            return SearchInPieces(self.core, request, self._monotonic)

        def tell(code: int) -> None:
            if self._observe is not None:
                seconds = self._monotonic() - started
                self._observe(Call("Search", seconds, code, context))

        return Stepwise("Search", begin, tell)

    def handle_together(
        self, requests: Sequence[Request], contexts: Sequence[RequestContext]
    ) -> list[Reply | ElanusError]:
        """Answers to requests of one :meth:`plan_key`: what each would have alone.

        Raises:
            InternalError: of all of them.
        """
        searches = [request for request in requests if isinstance(request, r.Search)]
        if len(searches) < len(requests) or len(requests) == 1:
            pairs = zip(requests, contexts, strict=True)
            return [self._answer(request, context) for request, context in pairs]
        started = self._monotonic()
        errors: dict[int, ElanusError] = {}
        for position, context in enumerate(contexts):
            try:
                self._check_wanted(context, started)
            except ElanusError as error:
                errors[position] = error
        wanted = [s for i, s in enumerate(searches) if i not in errors]
        found = iter(self._search_together(wanted))
        answers = [errors.get(i) or next(found) for i in range(len(requests))]
        self._tell(contexts, answers, self._monotonic() - started)
        return answers

    def _answer(self, request: Request, context: RequestContext) -> Reply | ElanusError:
        try:
            return self.handle(request, context)
        except ElanusError as error:
            return error

    def _search_together(
        self, searches: list[r.Search]
    ) -> Sequence[Reply | ElanusError]:
        try:
            if searches:  # all of one database
                check_permitted(self.core, searches[0])
            return search_together(self.core, searches)
        except AccessDisabled as error:
            return [error] * len(searches)
        except Exception as error:
            _LOG.exception("%d searches failed", len(searches))
            raise InternalError(f"Search: {type(error).__name__}: {error}") from error

    def _tell(
        self,
        contexts: Sequence[RequestContext],
        answers: Sequence[Reply | ElanusError],
        seconds: float,
    ) -> None:
        if self._observe is None:
            return
        for context, answer in zip(contexts, answers, strict=True):
            code = answer.code if isinstance(answer, ElanusError) else 0
            self._observe(Call("Search", seconds, code, context))

    def _check_wanted(self, context: RequestContext, now: float) -> None:
        if context.is_cancelled():
            raise Cancelled("context canceled")
        if context.deadline is not None and now >= context.deadline:
            raise DeadlineExceeded("context deadline exceeded")

    def wait(self) -> None:
        """Wait for the threads of operations that have been answered already."""
        self.core.compactions.wait()
