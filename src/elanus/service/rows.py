"""Operations on rows: insert, upsert, delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from elanus.engine.collection import Collection
from elanus.engine.definition import DEFAULT_PARTITION
from elanus.errors import (
    ElanusError,
    InvalidParameter,
    PartitionNotFound,
    SchemaMismatch,
)
from elanus.schema.names import check_partition_name
from elanus.service import requests as r
from elanus.service.columns import column_values, named_columns
from elanus.service.core import Core
from elanus.service.field_ops import checked_ops
from elanus.service.reading import partitions_to_read
from elanus.service.replies import Mutation
from elanus.service.struct_columns import without_structs


def insert(core: Core, request: r.Insert) -> Mutation:
    """Add rows; all or none.

    Raises:
        CollectionNotFound, SchemaMismatch, PartitionNotFound, InvalidParameter.
        RateLimited, DiskFull, ReadOnlyError, StorageError, UnknownOutcome.
    """
    with _refusing(request):
        return _insert(core, request)


def _insert(core: Core, request: r.Insert) -> Mutation:
    collection = _writable(core, request)
    request = _without_structs(collection, request)
    schema = collection.schema
    columns = named_columns(
        schema, request, upsert=False, takes_ids=collection.definition.takes_ids
    )
    partition = _partition(collection, request)
    values = column_values(schema, columns, request.n_rows)
    keys, outcome = collection.insert(values, partition)
    return Mutation(keys, outcome.ts, inserted=len(keys))


def upsert(core: Core, request: r.Upsert) -> Mutation:
    """Add rows, replacing those of the same keys; all or none.

    Raises: as :func:`insert`; and of a partial update
        CollectionNotLoaded, PartitionNotLoaded: it reads what it changes.
    """
    with _refusing(request):
        return _upsert(core, request)


def _upsert(core: Core, request: r.Upsert) -> Mutation:
    collection = _writable(core, request)
    if request.is_partial or any(operation for _, operation in request.field_ops):
        return _update(collection, request)
    written = _without_structs(collection, request)
    schema = collection.schema
    columns = named_columns(schema, written, upsert=True)
    partition = _partition(collection, request)
    values = column_values(schema, columns, request.n_rows)
    keys, outcome = collection.upsert(values, partition)
    n_rows = len(keys)
    return Mutation(keys, outcome.ts, n_rows, n_rows, n_rows)


def _update(collection: Collection, request: r.Upsert) -> Mutation:
    """Change the columns that a request brings."""
    definition = collection.definition
    schema = definition.schema
    if schema.structs:
        raise InvalidParameter(
            "partial upsert is not supported for collections with struct array fields"
        )
    ops = checked_ops(schema, request)
    columns = named_columns(schema, request, upsert=True, is_partial=True)
    names: tuple[str, ...] = ()
    if request.partition:
        names = (_partition(collection, request),)
    values = column_values(schema, columns, request.n_rows)
    partitions_to_read(definition, names, "query")
    keys, outcome = collection.update(values, request.partition, ops)
    n_rows = len(keys)
    return Mutation(keys, outcome.ts, n_rows, outcome.deleted, n_rows)


@contextmanager
def _refusing(request: r.Insert) -> Iterator[None]:
    """Errors tell how many rows they are about: of those claimed, those sent."""
    try:
        yield
    except ElanusError as error:
        sent = max((column.n_rows for column in request.columns), default=0)
        error.rows_refused = max(0, min(request.n_rows, sent))
        raise


def _writable(core: Core, request: r.Insert) -> Collection:
    core.database.need_writable()
    collection = core.collection(request)
    known = request.schema_ts
    if known and known != collection.definition.updated_ts:
        raise SchemaMismatch(collection.definition.name)
    return collection


def _without_structs(collection: Collection, request: r.Insert) -> r.Insert:
    columns = without_structs(collection.schema, request.columns)
    return request if columns is request.columns else replace(request, columns=columns)


def _partition(collection: Collection, request: r.PartitionRequest) -> str:
    if not request.partition:
        return DEFAULT_PARTITION
    name = check_partition_name(request.partition)
    collection.definition.refuse_partition_names((name,))
    collection.definition.partition_id(name)
    return name


def delete(core: Core, request: r.Delete) -> Mutation:
    """Delete the rows that match a filter; by key they need not be loaded.

    Raises:
        CollectionNotFound, PartitionNotFound, CollectionNotLoaded.
        QueryPlanError, InvalidParameter: the filter is wrong, or restricts nothing.
        RateLimited, DiskFull, ReadOnlyError, StorageError, UnknownOutcome.
    """
    core.database.need_writable()
    collection = core.collection(request)
    partitions: tuple[str, ...] = (request.partition,) if request.partition else ()
    collection.definition.refuse_partition_names(partitions)
    for name in partitions:
        try:
            collection.definition.partition_id(name)
        except PartitionNotFound as error:
            raise error.within("Failed to get partition id") from error
    predicate = collection.bind_delete(request.filter, dict(request.filter_params))
    keys = predicate.primary_keys()
    if keys is None:
        partitions = partitions_to_read(collection.definition, partitions, "query")
    outcome = collection.delete_matching(predicate, partitions)
    deleted = outcome.deleted if keys is None else len(set(keys))
    return Mutation(None, outcome.ts or core.now(), deleted=deleted)
