"""A service that knows an answer to every request and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import pyarrow as pa

from elanus.database.resource_groups import GroupConfig
from elanus.errors import CollectionNotFound, ElanusError
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import replies as a
from elanus.service import replies_admin as an
from elanus.service import replies_text as at
from elanus.service import requests as r
from elanus.service import requests_admin as rn
from elanus.service import requests_text as rt

TS = 458_000_000_000_000_000
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("title", DataType.VARCHAR, max_length=64, nullable=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
        FieldSchema("$meta", DataType.JSON, nullable=True, is_dynamic=True),
    ),
    description="books",
).with_ids()
DATABASE = a.DatabaseInfo("default", 1, TS, {"k": "v"})
INDEX = a.IndexInfo(
    "vector", 7, "vector", {"index_type": "HNSW"}, a.IndexState.FINISHED, 5, 5
)
SEGMENT = a.SegmentInfo(11, 12, 13, 100, a.SegmentState.FLUSHED)
KEYS = pa.array([3, 1], pa.int64())
COLUMN = a.OutputColumn.of(SCHEMA.fields[0], KEYS)

REPLIES: dict[type[r.Request], a.Reply] = {
    r.Connect: a.Connected(5, "v2.6.0", "today", "abc", "Python 3"),
    r.GetVersion: a.Version("v2.6.0"),
    r.AllocTimestamp: a.Timestamp(TS),
    r.CheckHealth: a.Health(False, ("disk",)),
    r.GetComponentStates: a.ComponentStates(1, True),
    r.GetMetrics: a.Metrics("{}", "proxy"),
    r.ListDatabases: a.DatabaseList((DATABASE,)),
    r.DescribeDatabase: DATABASE,
    r.HasCollection: a.Flag(True),
    r.DescribeCollection: a.CollectionInfo(
        "books", "b", 9, SCHEMA, "default", 1, TS, TS + 1, ("b",), properties={"p": "1"}
    ),
    r.ShowCollections: a.CollectionList(
        (a.CollectionEntry("books", 9, TS, loaded_percent=100),)
    ),
    r.GetCollectionStatistics: a.Statistics({"row_count": "5"}),
    r.GetLoadState: a.Loaded(a.LoadState.LOADED),
    r.GetLoadingProgress: a.LoadingProgress(100, 50),
    r.HasPartition: a.Flag(False),
    r.ShowPartitions: a.PartitionList((a.PartitionEntry("_default", 10, TS, 100),)),
    r.GetPartitionStatistics: a.Statistics({"row_count": "5"}),
    r.DescribeAlias: a.AliasInfo("b", "books", "default"),
    r.ListAliases: a.AliasList(("b",), "books", "default"),
    r.DescribeIndex: a.IndexList((INDEX,)),
    r.GetIndexStatistics: a.IndexList((INDEX,)),
    rn.BatchDescribeCollection: an.CollectionInfos((CollectionNotFound("x"),)),
    rn.GetReplicas: an.ReplicaList((an.ReplicaInfo(9, 9, (10,), 1, 1, "rg"),)),
    rn.GetCompactionPlans: an.CompactionPlans(
        a.CompactionState.COMPLETED, (an.Merge((3, 4), 5),)
    ),
    rn.ListResourceGroups: an.GroupNames(("rg",)),
    rn.DescribeResourceGroup: an.GroupInfo(
        "rg", GroupConfig(1, 2, ("a",), ("b",), {"k": "v"}), (1,), {"books": 1}
    ),
    rt.RunAnalyzer: at.AnalyzedTexts(((at.AnalyzedToken("word", 0, 4),), ())),
    rt.ComputePhraseMatchSlop: at.PhraseSlops((0, None)),
    r.GetIndexState: a.IndexBuild(a.IndexState.FAILED, 1, 2, "no"),
    r.GetIndexBuildProgress: a.IndexBuild(a.IndexState.FINISHED, 1, 2),
    r.Insert: a.Mutation(KEYS, TS, inserted=2),
    r.Upsert: a.Mutation(KEYS, TS, inserted=2, deleted=2, upserted=2),
    r.Delete: a.Mutation(None, TS, deleted=3),
    r.Search: a.SearchReply(
        "books",
        "id",
        np.array([2]),
        KEYS,
        np.array([0.5, 0.25], np.float32),
        (COLUMN,),
        ("id",),
        TS,
    ),
    r.HybridSearch: a.SearchReply(
        "books",
        "id",
        np.array([2]),
        KEYS,
        np.array([0.5, 0.25], np.float32),
        (COLUMN,),
        ("id",),
        TS,
    ),
    r.Query: a.QueryReply("books", "id", (COLUMN,), ("id",), TS),
    r.Flush: a.Flushed("default", (a.FlushedCollection("b", (), (11,), 17, TS),)),
    r.GetFlushState: a.Flag(True),
    r.FlushAll: a.Timestamp(TS),
    r.GetFlushAllState: a.Flag(True),
    r.ManualCompaction: a.CompactionStarted(-1, 0),
    r.GetCompactionState: a.CompactionProgress(a.CompactionState.COMPLETED, failed=1),
    r.GetPersistentSegmentInfo: a.SegmentList((SEGMENT,)),
    r.GetQuerySegmentInfo: a.SegmentList((SEGMENT,)),
}


class FakeService:
    """Answers at once, or when ``gate`` opens; raises ``error`` if there is one."""

    def __init__(self) -> None:
        self.asked: list[tuple[r.Request, r.RequestContext]] = []
        self.error: BaseException | None = None
        self.together: list[int] = []
        self.all_are_short = False
        self.key: Callable[[r.Request], Hashable | None] = lambda request: None
        self.long: Callable[[r.Request], r.Work | None] = lambda request: None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.answer: Callable[[r.Request], a.Reply] = lambda request: REPLIES.get(
            type(request), a.Done()
        )

    def handle(self, request: r.Request, context: r.RequestContext) -> a.Reply:
        """The canned answer."""
        self.asked.append((request, context))
        self.entered.release()
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return self.answer(request)

    def steps(self, request: r.Request, context: r.RequestContext) -> r.Work | None:
        """What ``long`` says; nothing is long unless a test wants it."""
        return self.long(request)

    def waits(self, request: r.Request) -> bool:
        """No read of these does."""
        return False

    def is_long(self, request: r.Request) -> bool:
        """Whether there would be steps."""
        return self.long(request) is not None

    def is_short(self, request: r.Request, count: int = 1) -> bool:
        """As told, but never of more than two."""
        return self.all_are_short and count <= 2

    def plan_key(self, request: r.Request) -> Hashable | None:
        """What ``key`` says; nothing shares a plan unless a test wants it."""
        return self.key(request)

    def handle_together(
        self, requests: Sequence[r.Request], contexts: Sequence[r.RequestContext]
    ) -> list[a.Reply | ElanusError]:
        """An answer to each, and a note of how many came together."""
        self.together.append(len(requests))
        answers: list[a.Reply | ElanusError] = []
        for request, context in zip(requests, contexts, strict=True):
            try:
                answers.append(self.handle(request, context))
            except ElanusError as error:
                answers.append(error)
        return answers

    @property
    def last(self) -> r.Request:
        """The newest request."""
        return self.asked[-1][0]
