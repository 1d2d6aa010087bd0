"""What each remote procedure means: one line per method.

A method is built (``HANDLERS``), or answers that it is not; a few, which a client
tries and then does without, end the call with gRPC's UNIMPLEMENTED instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from elanus.server.grpc import admin_messages as admin
from elanus.server.grpc import decode as d
from elanus.server.grpc import decode_alter, decode_hybrid, decode_search, encode
from elanus.server.grpc import text_messages as text
from elanus.server.grpc.apart import parse_apart
from elanus.server.grpc.messages import METHODS, Message
from elanus.service import requests as r
from elanus.service import requests_admin as ra
from elanus.service.requests import Request


class Lane(Enum):
    """Which threads run a method.

    Reading keeps a processor busy, so there is one thread per core; everything else
    may wait for a disk or a lock, and must not keep readers waiting meanwhile. Reads
    that take many times as long as others have threads of their own, and so have those
    that wait for services elsewhere: no method names these lanes, the dispatcher moves
    them there.
    """

    READ = "read"
    LONG = "long"
    REMOTE = "remote"
    OTHER = "other"


def parse_whole(kind: type[Message], content: bytes) -> Message:
    """A message of a kind.

    Raises:
        DecodeError: it is none.
    """
    return kind.FromString(content)


@dataclass(frozen=True, slots=True)
class Handler:
    """How a method's request is read and its answer written.

    Attributes:
        parse: makes of the request's bytes what ``decode`` takes.
    """

    decode: Callable[[Any, str], Request]
    encode: Callable[[Any], bytes]
    lane: Lane = Lane.OTHER
    parse: Callable[[type[Message], bytes], Any] = parse_whole


HANDLERS: dict[str, Handler] = {
    # the server and databases
    "Connect": Handler(d.connect, encode.connected),
    "GetVersion": Handler(d.plain(r.GetVersion), encode.version),
    "AllocTimestamp": Handler(d.plain(r.AllocTimestamp), encode.timestamp),
    "CheckHealth": Handler(d.plain(r.CheckHealth), encode.health),
    "GetComponentStates": Handler(
        d.plain(r.GetComponentStates), encode.component_states
    ),
    "GetMetrics": Handler(d.get_metrics, encode.metrics),
    "CreateDatabase": Handler(d.create_database, encode.done),
    "DropDatabase": Handler(d.named_database(r.DropDatabase), encode.done),
    "ListDatabases": Handler(d.plain(r.ListDatabases), encode.databases),
    "DescribeDatabase": Handler(d.of_database(r.DescribeDatabase), encode.database),
    "AlterDatabase": Handler(decode_alter.alter_database, encode.done),
    # collections
    "CreateCollection": Handler(d.create_collection, encode.done),
    "DropCollection": Handler(d.of_collection(r.DropCollection), encode.done),
    "HasCollection": Handler(d.of_collection(r.HasCollection), encode.flag),
    "DescribeCollection": Handler(d.describe_collection, encode.collection),
    "BatchDescribeCollection": Handler(admin.batch_describe, admin.collection_infos),
    "ShowCollections": Handler(d.show_collections, encode.collections),
    "GetCollectionStatistics": Handler(
        d.of_collection(r.GetCollectionStatistics), encode.statistics
    ),
    "RenameCollection": Handler(d.rename_collection, encode.done),
    "TruncateCollection": Handler(
        d.of_collection(r.TruncateCollection), encode.nothing
    ),
    "LoadCollection": Handler(d.load_collection, encode.done),
    "ReleaseCollection": Handler(d.of_collection(r.ReleaseCollection), encode.done),
    "GetLoadState": Handler(d.of_partitions(r.GetLoadState), encode.load_state),
    "GetLoadingProgress": Handler(
        d.of_partitions(r.GetLoadingProgress), encode.loading_progress
    ),
    "AlterCollection": Handler(decode_alter.alter_collection, encode.done),
    "AlterCollectionField": Handler(decode_alter.alter_collection_field, encode.done),
    "AddCollectionField": Handler(decode_alter.add_collection_field, encode.done),
    "AddCollectionStructField": Handler(
        decode_alter.add_collection_struct_field, encode.done
    ),
    "AlterCollectionSchema": Handler(
        decode_alter.alter_collection_schema, encode.altered_schema
    ),
    "AddCollectionFunction": Handler(decode_alter.add_collection_function, encode.done),
    "AlterCollectionFunction": Handler(
        decode_alter.alter_collection_function, encode.done
    ),
    "DropCollectionFunction": Handler(
        decode_alter.drop_collection_function, encode.done
    ),
    # partitions
    "CreatePartition": Handler(d.of_partition(r.CreatePartition), encode.done),
    "DropPartition": Handler(d.of_partition(r.DropPartition), encode.done),
    "HasPartition": Handler(d.of_partition(r.HasPartition), encode.flag),
    "ShowPartitions": Handler(d.show_partitions, encode.partitions),
    "LoadPartitions": Handler(d.load_partitions, encode.done),
    "ReleasePartitions": Handler(d.of_partitions(r.ReleasePartitions), encode.done),
    "GetPartitionStatistics": Handler(
        d.of_partition(r.GetPartitionStatistics), encode.statistics
    ),
    # aliases
    "CreateAlias": Handler(d.of_alias_and_collection(r.CreateAlias), encode.done),
    "AlterAlias": Handler(d.of_alias_and_collection(r.AlterAlias), encode.done),
    "DropAlias": Handler(d.of_alias(r.DropAlias), encode.done),
    "DescribeAlias": Handler(d.of_alias(r.DescribeAlias), encode.alias),
    "ListAliases": Handler(d.of_collection(r.ListAliases), encode.aliases),
    # indexes
    "CreateIndex": Handler(d.create_index, encode.done),
    "DescribeIndex": Handler(d.describe_index, encode.indexes),
    "GetIndexState": Handler(d.of_index(r.GetIndexState), encode.index_state),
    "GetIndexBuildProgress": Handler(
        d.of_index(r.GetIndexBuildProgress), encode.index_progress
    ),
    "GetIndexStatistics": Handler(admin.get_index_statistics, encode.indexes),
    "ListIndexedSegment": Handler(admin.not_served("unimp"), encode.nothing),
    "DescribeSegmentIndexData": Handler(admin.not_served("unimp"), encode.nothing),
    "AlterIndex": Handler(decode_alter.alter_index, encode.done),
    "DropIndex": Handler(d.of_index(r.DropIndex), encode.done),
    # rows
    "Insert": Handler(d.insert, encode.mutation, parse=parse_apart),
    "Upsert": Handler(d.upsert, encode.mutation, parse=parse_apart),
    "Delete": Handler(d.delete, encode.mutation),
    "Search": Handler(decode_search.search, encode.search, Lane.READ),
    "HybridSearch": Handler(decode_hybrid.hybrid_search, encode.search, Lane.READ),
    "Query": Handler(decode_search.query, encode.query, Lane.READ),
    # analyzers
    "RunAnalyzer": Handler(text.run_analyzer, text.analyzed),
    "ComputePhraseMatchSlop": Handler(text.compute_slops, text.slops),
    # flush, compaction, segments
    "Flush": Handler(d.flush, encode.flushed),
    "GetFlushState": Handler(d.get_flush_state, encode.flushed_flag),
    "FlushAll": Handler(d.flush_all, encode.flushed_all),
    "GetFlushAllState": Handler(d.get_flush_all_state, encode.flushed_flag),
    "ManualCompaction": Handler(d.manual_compaction, encode.compaction),
    "GetCompactionState": Handler(d.get_compaction_state, encode.compaction_state),
    "GetCompactionStateWithPlans": Handler(
        admin.get_compaction_plans, admin.compaction_plans
    ),
    "GetPersistentSegmentInfo": Handler(
        d.of_segments(r.GetPersistentSegmentInfo), encode.persistent_segments
    ),
    "GetQuerySegmentInfo": Handler(
        d.of_segments(r.GetQuerySegmentInfo), encode.query_segments
    ),
    "CalcDistance": Handler(
        admin.not_served("CalcDistance deprecated"), encode.nothing
    ),
    # nodes
    "GetReplicas": Handler(admin.get_replicas, admin.replicas),
    "LoadBalance": Handler(admin.load_balance, encode.done),
    "CreateResourceGroup": Handler(admin.create_resource_group, encode.done),
    "DropResourceGroup": Handler(admin.drop_resource_group, encode.done),
    "ListResourceGroups": Handler(d.plain(ra.ListResourceGroups), admin.group_names),
    "DescribeResourceGroup": Handler(admin.describe_resource_group, admin.group_info),
    "UpdateResourceGroups": Handler(admin.update_resource_groups, encode.done),
    "TransferNode": Handler(admin.transfer_node, encode.done),
    "TransferReplica": Handler(admin.transfer_replica, encode.done),
}

# Milvus itself has these only in its protocol, or a client falls back without them.
ABSENT: frozenset[str] = frozenset(
    {
        "AddUserTags",
        "CreateNamespace",
        "CreateReplicateStream",
        "CreateRowPolicy",
        "DeleteUserTags",
        "DescribeNamespace",
        "DescribePrewarmTask",
        "DropNamespace",
        "DropRowPolicy",
        "Dummy",
        "DumpMessages",
        "ExportSnapshot",
        "GetExportSnapshotState",
        "GetNamespaceStats",
        "GetReplicateInfo",
        "GetUserTags",
        "HasNamespace",
        "ListNamespaces",
        "ListRowPolicies",
        "ListUsersWithTag",
        "Prewarm",
        "RestoreExternalSnapshot",
    }
)
UNIMPLEMENTED: frozenset[str] = frozenset(METHODS) - ABSENT - frozenset(HANDLERS)
