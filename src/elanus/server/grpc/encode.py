"""Answers as reply bytes: one function per kind of reply message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from elanus.clock import physical_ms
from elanus.schema.columns import Offsets
from elanus.server.grpc import packed
from elanus.server.grpc.encode_buckets import buckets_bytes
from elanus.server.grpc.encode_rows import (
    column_bytes,
    highlight_bytes,
    keys_bytes,
    long_array,
)
from elanus.server.grpc.messages import Message, message_class
from elanus.server.grpc.schemas import message_from_schema, pairs
from elanus.service import replies

# Field numbers of milvus.proto and schema.proto, for messages written by hand.
_STATUS = 1
_EXTRA_INFO = 6
_OK = packed.delimited(_STATUS, b"")
_HEALTHY, _ABNORMAL = 1, 2
_FLOAT = np.dtype("<f4")


def reply_message(name: str, **values: object) -> Message:
    """A reply of success; its status is there, though it says nothing."""
    message = message_class(f"milvus.{name}")(**values)
    message.status.SetInParent()
    return message


def reply_bytes(message: Message) -> bytes:
    """A reply as it travels."""
    content: bytes = message.SerializeToString()
    return content


def _status_with(costs: Mapping[str, str]) -> bytes:
    if not costs:
        return _OK
    entries = (packed.text(1, key) + packed.text(2, costs[key]) for key in costs)
    return packed.delimited(
        _STATUS, b"".join(packed.delimited(_EXTRA_INFO, entry) for entry in entries)
    )


# --- the server and databases -------------------------------------------------------


def done(reply: replies.Reply) -> bytes:
    """Success, as a bare status."""
    return b""


def connected(reply: replies.Connected) -> bytes:
    """``ConnectResponse``."""
    message = reply_message("ConnectResponse", identifier=reply.client_id)
    info = message.server_info
    info.build_tags = reply.version
    info.build_time = reply.build_time
    info.git_commit = reply.git_commit
    info.go_version = reply.platform
    info.deploy_mode = reply.deploy_mode
    return reply_bytes(message)


def version(reply: replies.Version) -> bytes:
    """``GetVersionResponse``."""
    return reply_bytes(reply_message("GetVersionResponse", version=reply.version))


def timestamp(reply: replies.Timestamp) -> bytes:
    """``AllocTimestampResponse``."""
    return reply_bytes(reply_message("AllocTimestampResponse", timestamp=reply.ts))


def health(reply: replies.Health) -> bytes:
    """``CheckHealthResponse``."""
    return reply_bytes(
        reply_message(
            "CheckHealthResponse", isHealthy=reply.is_healthy, reasons=reply.reasons
        )
    )


def component_states(reply: replies.ComponentStates) -> bytes:
    """``ComponentStates``."""
    message = reply_message("ComponentStates")
    message.state.nodeID = reply.node_id
    message.state.role = "proxy"
    message.state.state_code = _HEALTHY if reply.is_healthy else _ABNORMAL
    return reply_bytes(message)


def metrics(reply: replies.Metrics) -> bytes:
    """``GetMetricsResponse``."""
    return reply_bytes(
        reply_message(
            "GetMetricsResponse",
            response=reply.response,
            component_name=reply.component,
        )
    )


def databases(reply: replies.DatabaseList) -> bytes:
    """``ListDatabasesResponse``."""
    return reply_bytes(
        reply_message(
            "ListDatabasesResponse",
            db_names=[database.name for database in reply.databases],
            created_timestamp=[database.created_ts for database in reply.databases],
            db_ids=[database.id for database in reply.databases],
        )
    )


def database(reply: replies.DatabaseInfo) -> bytes:
    """``DescribeDatabaseResponse``."""
    return reply_bytes(
        reply_message(
            "DescribeDatabaseResponse",
            db_name=reply.name,
            dbID=reply.id,
            created_timestamp=reply.created_ts,
            properties=pairs(reply.properties),
        )
    )


# --- collections, partitions, aliases -----------------------------------------------


def flag(reply: replies.Flag) -> bytes:
    """``BoolResponse``."""
    return reply_bytes(reply_message("BoolResponse", value=reply.value))


def flushed_flag(reply: replies.Flag) -> bytes:
    """``GetFlushStateResponse`` and ``GetFlushAllStateResponse``, which agree."""
    return reply_bytes(reply_message("GetFlushStateResponse", flushed=reply.value))


def nothing(reply: replies.Reply) -> bytes:
    """A reply with a status and nothing else."""
    return _OK


def altered_schema(reply: replies.Reply) -> bytes:
    """``AlterCollectionSchemaResponse``."""
    return _OK


def collection(reply: replies.CollectionInfo) -> bytes:
    """``DescribeCollectionResponse``."""
    message = reply_message(
        "DescribeCollectionResponse",
        collectionID=reply.id,
        virtual_channel_names=channels(reply.id, reply.shards),
        physical_channel_names=channels(reply.id, reply.shards),
        created_timestamp=reply.created_ts,
        created_utc_timestamp=physical_ms(reply.created_ts),
        update_timestamp=reply.updated_ts,
        update_timestamp_str=str(reply.updated_ts),
        shards_num=reply.shards,
        aliases=reply.aliases,
        consistency_level=reply.consistency_level,
        collection_name=reply.requested,
        properties=pairs(reply.properties),
        db_name=reply.database,
        db_id=reply.database_id,
        num_partitions=reply.partitions,
    )
    message.schema.CopyFrom(message_from_schema(reply.schema, reply.name))
    return reply_bytes(message)


def channels(collection_id: int, shards: int) -> list[str]:
    """Names for the streams of writes that Milvus would have."""
    return [f"{collection_id}_{shard}" for shard in range(shards)]


def collections(reply: replies.CollectionList) -> bytes:
    """``ShowCollectionsResponse``."""
    entries = reply.collections
    message = reply_message(
        "ShowCollectionsResponse",
        collection_names=[entry.name for entry in entries],
        collection_ids=[entry.id for entry in entries],
        created_timestamps=[entry.created_ts for entry in entries],
        created_utc_timestamps=[physical_ms(entry.created_ts) for entry in entries],
        shards_num=[entry.shards for entry in entries],
    )
    for entry in entries:
        if entry.loaded_percent is not None:
            message.inMemory_percentages.append(entry.loaded_percent)
            message.query_service_available.append(entry.loaded_percent == 100)
    return reply_bytes(message)


def statistics(reply: replies.Statistics) -> bytes:
    """Of a collection and of a partition, which agree."""
    stats = pairs(reply.values)
    return reply_bytes(reply_message("GetCollectionStatisticsResponse", stats=stats))


def load_state(reply: replies.Loaded) -> bytes:
    """``GetLoadStateResponse``."""
    return reply_bytes(reply_message("GetLoadStateResponse", state=int(reply.state)))


def loading_progress(reply: replies.LoadingProgress) -> bytes:
    """``GetLoadingProgressResponse``."""
    return reply_bytes(
        reply_message(
            "GetLoadingProgressResponse",
            progress=reply.percent,
            refresh_progress=reply.refresh_percent,
        )
    )


def partitions(reply: replies.PartitionList) -> bytes:
    """``ShowPartitionsResponse``."""
    entries = reply.partitions
    percents = [entry.loaded_percent for entry in entries]
    return reply_bytes(
        reply_message(
            "ShowPartitionsResponse",
            partition_names=[entry.name for entry in entries],
            partitionIDs=[entry.id for entry in entries],
            created_timestamps=[entry.created_ts for entry in entries],
            created_utc_timestamps=[physical_ms(entry.created_ts) for entry in entries],
            inMemory_percentages=[value for value in percents if value is not None],
        )
    )


def alias(reply: replies.AliasInfo) -> bytes:
    """``DescribeAliasResponse``."""
    return reply_bytes(
        reply_message(
            "DescribeAliasResponse",
            db_name=reply.database,
            alias=reply.alias,
            collection=reply.collection,
        )
    )


def aliases(reply: replies.AliasList) -> bytes:
    """``ListAliasesResponse``."""
    return reply_bytes(
        reply_message(
            "ListAliasesResponse",
            db_name=reply.database,
            collection_name=reply.collection,
            aliases=reply.aliases,
        )
    )


# --- indexes ------------------------------------------------------------------------


def indexes(reply: replies.IndexList) -> bytes:
    """``DescribeIndexResponse``."""
    description = message_class("milvus.IndexDescription")
    return reply_bytes(
        reply_message(
            "DescribeIndexResponse",
            index_descriptions=[
                description(
                    index_name=index.name,
                    indexID=index.id,
                    params=pairs(index.params),
                    field_name=index.field,
                    indexed_rows=index.indexed_rows,
                    total_rows=index.total_rows,
                    state=int(index.state),
                    index_state_fail_reason=index.failure,
                    pending_index_rows=index.pending_rows,
                )
                for index in reply.indexes
            ],
        )
    )


def index_state(reply: replies.IndexBuild) -> bytes:
    """``GetIndexStateResponse``."""
    return reply_bytes(
        reply_message(
            "GetIndexStateResponse", state=int(reply.state), fail_reason=reply.failure
        )
    )


def index_progress(reply: replies.IndexBuild) -> bytes:
    """``GetIndexBuildProgressResponse``."""
    return reply_bytes(
        reply_message(
            "GetIndexBuildProgressResponse",
            indexed_rows=reply.indexed_rows,
            total_rows=reply.total_rows,
        )
    )


# --- rows ---------------------------------------------------------------------------


def mutation(reply: replies.Mutation) -> bytes:
    """``MutationResult``."""
    n_rows = 0 if reply.keys is None else len(reply.keys)
    keys = b"" if reply.keys is None else packed.delimited(2, keys_bytes(reply.keys))
    head = reply_bytes(
        reply_message(
            "MutationResult",
            insert_cnt=reply.inserted,
            delete_cnt=reply.deleted,
            upsert_cnt=reply.upserted,
            timestamp=reply.ts,
        )
    )
    return b"".join((head, keys, _all_succeeded(n_rows)))


@lru_cache(maxsize=16)
def _all_succeeded(n_rows: int) -> bytes:
    """``succ_index`` of a write of so many rows; most writes of a client are alike."""
    result = message_class("milvus.MutationResult")(succ_index=range(n_rows))
    return reply_bytes(result)


def search(reply: replies.SearchReply) -> bytes:
    """``SearchResults``."""
    counts = reply.counts.tolist()
    if reply.buckets is not None:
        zeros = packed.delimited(6, bytes(len(counts)))
        found = (packed.number(1, len(counts)), zeros, buckets_bytes(reply))
        return _search_results(reply, b"".join(found))
    parts = [
        packed.number(1, len(counts)),
        packed.number(2, max(counts, default=0)),
        *(packed.delimited(3, column_bytes(column)) for column in reply.columns),
        packed.delimited(4, np.ascontiguousarray(reply.scores, _FLOAT).tobytes()),
        packed.delimited(5, keys_bytes(reply.keys)),
        packed.delimited(6, b"".join(map(packed.varint, counts))),
        _names(reply.output_fields, 7),
        packed.text(13, reply.primary_name),
    ]
    slot = 8 if len(reply.group_columns) == 1 else 17
    for column in reply.group_columns:
        parts.append(packed.delimited(slot, column_bytes(column)))
    if reply.elements is not None:
        parts.append(packed.delimited(15, long_array(reply.elements)))
    for highlight in reply.highlights:
        parts.append(packed.delimited(14, highlight_bytes(highlight)))
    if reply.iterator_token is not None:
        bound = np.array([reply.iterator_bound], "<f4").tobytes()
        place = packed.text(1, reply.iterator_token) + b"\x15" + bound
        parts.append(packed.delimited(11, place))
    return _search_results(reply, b"".join(parts))


def _search_results(reply: replies.SearchReply, found: bytes) -> bytes:
    return b"".join(
        (
            _status_with(reply.costs),
            packed.delimited(2, found),
            packed.text(3, reply.collection),
            packed.number(4, reply.session_ts),
        )
    )


def query(reply: replies.QueryReply) -> bytes:
    """``QueryResults``."""
    return b"".join(
        (
            _status_with(reply.costs),
            *(packed.delimited(2, column_bytes(column)) for column in reply.columns),
            packed.text(3, reply.collection),
            _names(reply.output_fields, 4),
            packed.number(5, reply.session_ts),
            packed.text(6, reply.primary_name),
            *map(_element_indices, reply.elements or ()),
        )
    )


def _element_indices(elements: Offsets) -> bytes:
    """Which elements of one row match, as an ``ElementIndices``."""
    return packed.delimited(7, packed.delimited(1, long_array(elements)))


@lru_cache(maxsize=1024)
def _names(names: tuple[str, ...], field: int) -> bytes:
    return b"".join(packed.delimited(field, name.encode()) for name in names)


# --- flush, compaction, segments ----------------------------------------------------


def flushed(reply: replies.Flushed) -> bytes:
    """``FlushResponse``; every collection asked for is in each of its maps."""
    message = reply_message("FlushResponse", db_name=reply.database)
    for entry in reply.collections:
        _fill_ids(message.coll_segIDs[entry.name], entry.sealed_ids)
        _fill_ids(message.flush_coll_segIDs[entry.name], entry.flushed_ids)
        message.coll_seal_times[entry.name] = entry.sealed_at_s
        message.coll_flush_ts[entry.name] = entry.ts
    return reply_bytes(message)


def _fill_ids(message: Message, ids: Sequence[int]) -> None:
    message.data.extend(ids)
    message.SetInParent()


def flushed_all(reply: replies.Timestamp) -> bytes:
    """``FlushAllResponse``."""
    return reply_bytes(reply_message("FlushAllResponse", flush_all_ts=reply.ts))


def compaction(reply: replies.CompactionStarted) -> bytes:
    """``ManualCompactionResponse``."""
    return reply_bytes(
        reply_message(
            "ManualCompactionResponse",
            compactionID=reply.id,
            compactionPlanCount=reply.plans,
        )
    )


def compaction_state(reply: replies.CompactionProgress) -> bytes:
    """``GetCompactionStateResponse``."""
    return reply_bytes(
        reply_message(
            "GetCompactionStateResponse",
            state=int(reply.state),
            executingPlanNo=reply.executing,
            timeoutPlanNo=reply.timed_out,
            completedPlanNo=reply.completed,
            failedPlanNo=reply.failed,
        )
    )


def persistent_segments(reply: replies.SegmentList) -> bytes:
    """``GetPersistentSegmentInfoResponse``."""
    info = message_class("milvus.PersistentSegmentInfo")
    infos = [info(**_segment(segment)) for segment in reply.segments]
    return reply_bytes(reply_message("GetPersistentSegmentInfoResponse", infos=infos))


def query_segments(reply: replies.SegmentList) -> bytes:
    """``GetQuerySegmentInfoResponse``."""
    info = message_class("milvus.QuerySegmentInfo")
    infos = [
        info(
            **_segment(segment),
            mem_size=segment.mem_bytes,
            index_name=segment.index_name,
            indexID=segment.index_id,
            nodeIds=[_NODE_ID],
        )
        for segment in reply.segments
    ]
    return reply_bytes(reply_message("GetQuerySegmentInfoResponse", infos=infos))


_NODE_ID = 1


def _segment(segment: replies.SegmentInfo) -> dict[str, int]:
    return {
        "segmentID": segment.id,
        "collectionID": segment.collection_id,
        "partitionID": segment.partition_id,
        "num_rows": segment.n_rows,
        "state": int(segment.state),
    }
