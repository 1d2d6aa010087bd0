"""Queries: rows by filter, in order of the primary key, and counts."""

from __future__ import annotations

import re

import numpy as np

from elanus.engine.collection import Collection
from elanus.engine.read.plan import QueryRequest
from elanus.engine.version import Version
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema import limits
from elanus.schema.arrays import array_of
from elanus.schema.types import DataType
from elanus.service.core import Core
from elanus.service.output import COUNT, columns_of, shape_of
from elanus.service.reading import (
    check_iterated,
    partitions_to_read,
    refuse_unbuilt,
    session_ts,
    version_at,
    without_growing,
)
from elanus.service.replies import OutputColumn, QueryReply
from elanus.service.requests import Query, QueryOptions

_AGGREGATE = re.compile(r"\s*(sum|avg|min|max|count)\s*\(.*\)\s*\Z", re.IGNORECASE)
_UNBUILT = ("query_iter_last_element_offset",)
_WINDOW = "invalid max query result window"


def query(core: Core, request: Query) -> QueryReply:
    """Read the rows that match a filter.

    Raises:
        InvalidParameter, QueryPlanError: the request does not fit the collection.
        CollectionNotFound, CollectionNotLoaded, PartitionNotLoaded.
        UnsupportedOperation, CorruptionError.
    """
    collection = core.collection(request)
    definition, options = collection.definition, request.options
    _check_options(options)
    partitions = partitions_to_read(definition, request.partitions, "query")
    check_iterated(collection, options.collection_id if options.is_iterator else 0)
    bound = QueryRequest(
        filter=request.filter,
        filter_params=request.filter_params,
        limit=options.limit,
        offset=0 if options.limit is None else options.offset,
        partitions=partitions,
    )
    version = _version(collection, request)
    if any(name.lower().replace(" ", "") == COUNT for name in request.output_fields):
        return _count(core, request, version, bound)
    _check_window(request)
    shape = shape_of(definition.schema, request.output_fields, with_key=True)
    rows = collection.rows(version, collection.plan_query(bound))
    return QueryReply(
        collection=request.collection,
        primary_name=definition.schema.primary.name,
        columns=columns_of(version.views, rows.parts, rows.offsets, shape),
        output_fields=shape.names,
        session_ts=session_ts(core, version),
    )


def _check_options(options: QueryOptions) -> None:
    if options.order_by_fields:
        raise UnsupportedOperation("order_by_fields in a query")
    if options.group_by_fields:
        raise UnsupportedOperation("group_by_fields in a query")
    refuse_unbuilt(options.extra, _UNBUILT)


def _version(collection: Collection, request: Query) -> Version:
    if request.options.is_iterator:
        version = version_at(collection, request.consistency.guarantee_ts)
    else:
        version = collection.pin()
    return without_growing(version) if request.options.ignore_growing else version


def _check_window(request: Query) -> None:
    for name in request.output_fields:
        if _AGGREGATE.match(name):
            raise UnsupportedOperation(f"aggregate {name} in a query")
    limit, offset = request.options.limit, request.options.offset
    if limit is None:
        if not request.filter:
            raise InvalidParameter("empty expression should be used with limit")
        return
    if limit > 0 and offset >= 0 and limit + offset > limits.RESULT_WINDOW:
        raise InvalidParameter(
            f"{_WINDOW}, (offset+limit) should be in range "
            f"[1, {limits.RESULT_WINDOW}], but got {limit + offset}"
        )


def _count(
    core: Core, request: Query, version: Version, bound: QueryRequest
) -> QueryReply:
    if len(request.output_fields) > 1:
        raise UnsupportedOperation(f"{COUNT} together with other output fields")
    if bound.limit is not None:
        raise InvalidParameter("count entities with pagination is not allowed")
    collection = core.collection(request)
    found = array_of(np.array([collection.count(version, bound)], np.int64))
    return QueryReply(
        collection=request.collection,
        primary_name=collection.schema.primary.name,
        columns=(OutputColumn(COUNT, DataType.INT64, found),),
        output_fields=(COUNT,),
        session_ts=session_ts(core, version),
    )
