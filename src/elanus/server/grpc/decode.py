"""Requests from their messages: one function per kind of request message.

Every function takes the message and the database that the call's metadata names, which
counts where the message itself names none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from elanus.errors import InvalidParameter
from elanus.server.grpc.apart import Apart
from elanus.server.grpc.decode_rows import columns_from_message
from elanus.server.grpc.decode_search import refuse_namespace, template_values
from elanus.server.grpc.messages import DecodeError, Message, message_class
from elanus.server.grpc.schemas import schema_from_message, unique
from elanus.service import requests
from elanus.service.requests import LoadOptions, Request

Decode = Callable[[Message, str], Request]

_IN_MEMORY = 1


def plain(kind: Callable[[], Request]) -> Decode:
    """Decodes a request that says nothing."""
    return lambda message, database: kind()


def of_database(kind: Callable[[str], Request]) -> Decode:
    """Decodes a request that names a database."""
    return lambda message, database: kind(message.db_name or database)


def of_collection(kind: Callable[[str, str], Request]) -> Decode:
    """Decodes a request that names a collection."""
    return lambda message, database: kind(
        message.db_name or database, message.collection_name
    )


def of_partition(kind: Callable[[str, str, str], Request]) -> Decode:
    """Decodes a request that names a partition."""
    return lambda message, database: kind(
        message.db_name or database, message.collection_name, message.partition_name
    )


def of_partitions(kind: Callable[[str, str, tuple[str, ...]], Request]) -> Decode:
    """Decodes a request that names partitions."""
    return lambda message, database: kind(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
    )


def of_alias(kind: Callable[[str, str], Request]) -> Decode:
    """Decodes a request that names an alias."""
    return lambda message, database: kind(message.db_name or database, message.alias)


def of_alias_and_collection(kind: Callable[[str, str, str], Request]) -> Decode:
    """Decodes a request that names an alias and a collection."""
    return lambda message, database: kind(
        message.db_name or database, message.collection_name, message.alias
    )


def of_index(kind: Callable[[str, str, str, str], Request]) -> Decode:
    """Decodes a request that names an index."""
    return lambda message, database: kind(
        message.db_name or database,
        message.collection_name,
        message.field_name,
        message.index_name,
    )


def of_segments(kind: Callable[[str, str], Request]) -> Decode:
    """Decodes a request for segments, whose fields are spelled otherwise."""
    return lambda message, database: kind(
        message.dbName or database, message.collectionName
    )


# --- the server and databases -------------------------------------------------------


def connect(message: Message, database: str) -> Request:
    """``ConnectRequest``."""
    info = message.client_info
    client = {
        "sdk_type": info.sdk_type,
        "sdk_version": info.sdk_version,
        "local_time": info.local_time,
        "user": info.user,
        "host": info.host,
    }
    return requests.Connect(database, client)


def get_metrics(message: Message, database: str) -> Request:
    """``GetMetricsRequest``."""
    return requests.GetMetrics(message.request)


def create_database(message: Message, database: str) -> Request:
    """``CreateDatabaseRequest``."""
    properties = unique(message.properties, "property")
    return requests.CreateDatabase(message.db_name, properties)


def named_database(kind: Callable[[str], Request]) -> Decode:
    """Decodes a request about the database that it names, perhaps with no name."""
    return lambda message, database: kind(message.db_name)


# --- collections and partitions -----------------------------------------------------


def create_collection(message: Message, database: str) -> Request:
    """``CreateCollectionRequest``.

    Raises:
        InvalidParameter, UnsupportedOperation: the schema cannot be.
    """
    try:
        schema = message_class("schema.CollectionSchema").FromString(message.schema)
    except DecodeError as error:
        raise InvalidParameter(f"failed to parse the schema: {error}") from error
    declared = schema_from_message(schema)
    return requests.CreateCollection(
        message.db_name or database,
        message.collection_name,
        schema=declared.schema,
        schema_name=declared.name,
        is_dynamic=declared.is_dynamic,
        shards=message.shards_num,
        partitions=message.num_partitions,
        consistency_level=message.consistency_level,
        properties=unique(message.properties, "property"),
    )


def describe_collection(message: Message, database: str) -> Request:
    """``DescribeCollectionRequest``."""
    return requests.DescribeCollection(
        message.db_name or database, message.collection_name, message.collectionID
    )


def show_collections(message: Message, database: str) -> Request:
    """``ShowCollectionsRequest``."""
    return requests.ShowCollections(
        message.db_name or database,
        message.type == _IN_MEMORY,
        tuple(message.collection_names),
    )


def rename_collection(message: Message, database: str) -> Request:
    """``RenameCollectionRequest``."""
    return requests.RenameCollection(
        message.db_name or database,
        message.oldName,
        message.newName,
        message.newDBName,
    )


def load_collection(message: Message, database: str) -> Request:
    """``LoadCollectionRequest``."""
    return requests.LoadCollection(
        message.db_name or database, message.collection_name, _load_options(message)
    )


def load_partitions(message: Message, database: str) -> Request:
    """``LoadPartitionsRequest``."""
    return requests.LoadPartitions(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
        _load_options(message),
    )


def _load_options(message: Message) -> LoadOptions:
    return LoadOptions(
        message.replica_number,
        tuple(message.resource_groups),
        message.refresh,
        tuple(message.load_fields),
        message.skip_load_dynamic_field,
        dict(message.load_params),
    )


def show_partitions(message: Message, database: str) -> Request:
    """``ShowPartitionsRequest``."""
    return requests.ShowPartitions(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
        message.type == _IN_MEMORY,
        message.collectionID,
    )


# --- indexes ------------------------------------------------------------------------


def create_index(message: Message, database: str) -> Request:
    """``CreateIndexRequest``.

    Raises:
        InvalidParameter: a parameter is there twice, or ``params`` is not JSON.
    """
    given: dict[str, str] = {}
    for pair in message.extra_params:
        if pair.key in given:
            raise InvalidParameter(
                f"duplicated index param (key={pair.key}) (value={pair.value}) found"
            )
        given[pair.key] = pair.value
    params: dict[str, Any] = {**given, **_index_params(given.get("params", ""))}
    params.pop("params", None)
    return requests.CreateIndex(
        message.db_name or database,
        message.collection_name,
        message.field_name,
        message.index_name,
        index_type=str(params.pop("index_type", "")),
        metric_type=str(params.pop("metric_type", "")),
        params=params,
        given=given,
    )


def _index_params(text: str) -> dict[str, Any]:
    try:
        params = orjson.loads(text) if text else {}
    except ValueError as error:
        raise InvalidParameter(f"index params are not JSON: {error}") from error
    if not isinstance(params, dict):
        raise InvalidParameter(
            "index params are not a JSON object", expected="object", actual=text
        )
    return params


def describe_index(message: Message, database: str) -> Request:
    """``DescribeIndexRequest``."""
    return requests.DescribeIndex(
        message.db_name or database,
        message.collection_name,
        message.field_name,
        message.index_name,
        message.timestamp,
    )


# --- rows ---------------------------------------------------------------------------


def insert(write: Apart, database: str) -> Request:
    """``InsertRequest``.

    Raises:
        InvalidParameter: a column contradicts itself.
    """
    message = write.message
    refuse_namespace(message)
    return requests.Insert(
        message.db_name or database,
        message.collection_name,
        message.partition_name,
        columns_from_message(write),
        message.num_rows,
        message.schema_timestamp,
    )


def upsert(write: Apart, database: str) -> Request:
    """``UpsertRequest``.

    Raises:
        InvalidParameter: a column contradicts itself.
    """
    message = write.message
    refuse_namespace(message)
    return requests.Upsert(
        message.db_name or database,
        message.collection_name,
        message.partition_name,
        columns_from_message(write),
        message.num_rows,
        message.schema_timestamp,
        is_partial=message.partial_update,
        field_ops=tuple((op.field_name, op.op) for op in message.field_ops),
    )


def delete(message: Message, database: str) -> Request:
    """``DeleteRequest``."""
    refuse_namespace(message)
    return requests.Delete(
        message.db_name or database,
        message.collection_name,
        message.partition_name,
        message.expr,
        template_values(message.expr_template_values),
        message.consistency_level,
    )


# --- flush, compaction, segments ----------------------------------------------------


def flush(message: Message, database: str) -> Request:
    """``FlushRequest``."""
    return requests.Flush(message.db_name or database, tuple(message.collection_names))


def get_flush_state(message: Message, database: str) -> Request:
    """``GetFlushStateRequest``."""
    return requests.GetFlushState(
        message.db_name or database,
        message.collection_name,
        tuple(message.segmentIDs),
        message.flush_ts,
    )


def flush_all(message: Message, database: str) -> Request:
    """``FlushAllRequest``."""
    return requests.FlushAll(database, _targets(message))


def get_flush_all_state(message: Message, database: str) -> Request:
    """``GetFlushAllStateRequest``."""
    return requests.GetFlushAllState(
        message.db_name or database, _targets(message), message.flush_all_ts
    )


def _targets(message: Message) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (target.db_name, tuple(target.collection_names))
        for target in message.flush_targets
    )


def manual_compaction(message: Message, database: str) -> Request:
    """``ManualCompactionRequest``."""
    return requests.ManualCompaction(
        message.db_name or database,
        message.collection_name,
        collection_id=message.collectionID,
        is_major=message.majorCompaction,
        is_l0=message.l0Compaction,
        target_mb=message.target_size,
        partition_id=message.partition_id,
        segment_ids=tuple(message.segment_ids),
    )


def get_compaction_state(message: Message, database: str) -> Request:
    """``GetCompactionStateRequest``."""
    return requests.GetCompactionState(message.compactionID)
