"""Queries: rows by filter, in order of the primary key or of their values."""

from __future__ import annotations

from elanus.engine.collection import Collection
from elanus.engine.read.element_rows import Place
from elanus.engine.read.plan import QueryRequest
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import Version
from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType
from elanus.service.aggregates import Read, aggregates, asks_for_aggregates
from elanus.service.core import Core
from elanus.service.loaded_fields import check_filter_loaded, readable_names
from elanus.service.output import columns_of, shape_of
from elanus.service.reading import (
    check_iterated,
    partitions_to_read,
    session_ts,
    version_at,
    without_growing,
)
from elanus.service.replies import QueryReply
from elanus.service.requests import Query, QueryOptions
from elanus.service.times import time_form

_LAST_KEY, _LAST_ELEMENT = "query_iter_last_pk", "query_iter_last_element_offset"
_WINDOW = "invalid max query result window"


def query(core: Core, request: Query, recorder: Recorder | None = None) -> QueryReply:
    """Read the rows that match a filter, or aggregates of them.

    Raises:
        InvalidParameter, QueryPlanError: the request does not fit the collection.
        CollectionNotFound, CollectionNotLoaded, PartitionNotLoaded.
        UnsupportedOperation, CorruptionError.
    """
    collection = core.collection(request)
    definition, options = collection.definition, request.options
    partitions = partitions_to_read(definition, request.partitions, "query")
    check_iterated(collection, options.collection_id if options.is_iterator else 0)
    times = time_form(definition, options.extra)
    bound = QueryRequest(
        filter=request.filter,
        filter_params=request.filter_params,
        limit=options.limit,
        offset=0 if options.limit is None else options.offset,
        partitions=partitions,
        zone=times.zone,
    )
    version = _version(collection, request)
    _check_order(options)
    _check_window(options, definition.largest_limit)
    if asks_for_aggregates(request):
        return aggregates(core, request, Read(version, bound, times, recorder))
    if options.limit is None and not request.filter:
        raise InvalidParameter("empty expression should be used with limit")
    names = readable_names(definition, request.output_fields)
    shape = shape_of(definition.schema, names, times, with_key=True)
    plan = collection.plan_query(bound._replace(order_by=options.order_by_fields))
    check_filter_loaded(definition, plan.predicate, request.filter)
    if recorder is not None:
        recorder.planned(version, plan)
    elements = None
    if plan.predicate is not None and plan.predicate.element_filter is not None:
        place = _place(definition.schema, options)
        found = collection.element_rows(version, plan, place, recorder)
        rows, elements = found.rows, found.elements
    else:
        rows = collection.rows(version, plan, recorder)
    primary = definition.schema.primary
    known = {} if rows.keys is None else {primary.id: rows.keys}
    return QueryReply(
        collection=request.collection,
        primary_name=primary.name,
        columns=columns_of(version.views, rows.parts, rows.offsets, shape, known),
        output_fields=shape.names,
        session_ts=session_ts(core, version),
        elements=elements,
    )


def _place(schema: CollectionSchema, options: QueryOptions) -> Place | None:
    """The last element that an iterator has received."""
    if _LAST_ELEMENT not in options.extra:
        return None
    key = options.extra.get(_LAST_KEY, "")
    try:
        element = int(options.extra[_LAST_ELEMENT])
        is_text = schema.primary.dtype is DataType.VARCHAR
        return Place(key if is_text else int(key), element)
    except ValueError:
        raise InvalidParameter(
            f"the place of an iterator is no element: {key}, "
            f"{options.extra[_LAST_ELEMENT]}"
        ) from None


def _check_order(options: QueryOptions) -> None:
    if not options.order_by_fields:
        return
    if options.is_iterator:
        raise InvalidParameter("ORDER BY with iterator is not supported")
    if options.limit is None:
        raise InvalidParameter("ORDER BY requires explicit limit")


def _version(collection: Collection, request: Query) -> Version:
    if request.options.is_iterator:
        version = version_at(collection, request.consistency.guarantee_ts)
    else:
        version = collection.pin()
    return without_growing(version) if request.options.ignore_growing else version


def _check_window(options: QueryOptions, largest: int) -> None:
    limit, offset = options.limit, options.offset
    if limit is not None and limit > 0 and offset >= 0 and limit + offset > largest:
        raise InvalidParameter(
            f"{_WINDOW}, (offset+limit) should be in range "
            f"[1, {largest}], but got {limit + offset}"
        )
