"""Queries for aggregates: ``count(*)``, and what is computed of groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from elanus.engine.collection import Collection
from elanus.engine.read.aggregate import (
    AggregatePlan,
    Output,
    is_aggregate,
    plan_aggregates,
)
from elanus.engine.read.order import Ordered, SortKey, parse_order
from elanus.engine.read.plan import QueryRequest
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import Version
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema.arrays import array_of
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service.core import Core
from elanus.service.loaded_fields import check_filter_loaded, readable_names
from elanus.service.output import COUNT
from elanus.service.reading import session_ts
from elanus.service.replies import OutputColumn, QueryReply
from elanus.service.requests import Query
from elanus.service.times import TimeForm, as_told


def asks_for_aggregates(request: Query) -> bool:
    """Whether a query wants groups or aggregates instead of rows."""
    grouped = bool(request.options.group_by_fields)
    return grouped or any(map(is_aggregate, request.output_fields))


@dataclass(frozen=True, slots=True)
class Read:
    """What is read for aggregates.

    Attributes:
        times: how points in time are told.
    """

    version: Version
    bound: QueryRequest
    times: TimeForm
    recorder: Recorder | None = None


def aggregates(core: Core, request: Query, read: Read) -> QueryReply:
    """Compute what a query asks of the rows that match its filter.

    Raises:
        InvalidParameter, AggregateMismatch: the request does not fit the collection.
        UnsupportedOperation, CorruptionError.
    """
    if request.options.is_iterator:
        raise UnsupportedOperation("aggregates with a query iterator")
    if _is_count(request):
        return _count(core, request, read)
    collection = core.collection(request)
    schema = collection.schema
    keys = [name.strip() for name in request.options.group_by_fields.split(",")]
    plan = plan_aggregates(schema, list(filter(None, keys)), request.output_fields)
    order = _order(schema, request.options.order_by_fields, plan.keys)
    plan = replace(plan, order=order)
    _check_loaded(collection, request, read.bound, plan.fields)
    columns = _grouped(collection, read, plan)
    return QueryReply(
        collection=request.collection,
        primary_name=schema.primary.name,
        columns=tuple(
            as_told(column, read.times)
            for column in map(_column, plan.outputs, columns)
        ),
        output_fields=tuple(output.name for output in plan.outputs),
        session_ts=session_ts(core, read.version),
    )


def _check_loaded(
    collection: Collection,
    request: Query,
    bound: QueryRequest,
    fields: Sequence[FieldSchema],
) -> None:
    definition = collection.definition
    if definition.loaded is None or not definition.loaded.fields:
        return
    readable_names(definition, tuple(field.name for field in fields))
    predicate = collection.plan_query(bound).predicate
    check_filter_loaded(definition, predicate, request.filter)


def _grouped(collection: Collection, read: Read, plan: AggregatePlan) -> list[pa.Array]:
    version, bound, recorder = read.version, read.bound, read.recorder
    everything = replace(collection.plan_query(bound), limit=None, offset=0)
    if recorder is not None:
        recorder.planned(version, everything)
    columns = collection.aggregates(version, plan, everything, recorder)
    if recorder is not None:
        recorder.step("aggregate")
    if bound.limit is None:
        return columns
    return [column.slice(bound.offset, bound.limit) for column in columns]


def _is_count(request: Query) -> bool:
    """Whether a query wants nothing but the number of rows."""
    names = [name.lower().replace(" ", "") for name in request.output_fields]
    return names == [COUNT] and not request.options.group_by_fields


def _count(core: Core, request: Query, read: Read) -> QueryReply:
    """How many rows there are, as the one row of an answer."""
    collection = core.collection(request)
    _order(collection.schema, request.options.order_by_fields, ())
    if read.bound.limit is not None:
        raise InvalidParameter("count entities with pagination is not allowed")
    _check_loaded(collection, request, read.bound, ())
    found = collection.count(read.version, read.bound, read.recorder)
    values = array_of(np.array([found], np.int64))
    return QueryReply(
        collection=request.collection,
        primary_name=collection.schema.primary.name,
        columns=(OutputColumn(COUNT, DataType.INT64, values),),
        output_fields=(COUNT,),
        session_ts=session_ts(core, read.version),
    )


def _order(
    schema: CollectionSchema, text: str, keys: Sequence[FieldSchema]
) -> tuple[SortKey, ...]:
    if not text:
        return ()
    names = [spec.split(":")[0].strip() for spec in text.split(",") if spec]
    known = {field.name for field in keys}
    for name in names:
        if is_aggregate(name):
            raise InvalidParameter(
                f"ORDER BY on aggregate expression '{name}' is not yet supported"
            )
        if name not in known:
            raise InvalidParameter(
                f"ORDER BY field '{name}' is not valid: when using GROUP BY or "
                f"aggregates, ORDER BY can only reference GROUP BY columns"
            )
    return parse_order(schema, text, Ordered.QUERY)


def _column(output: Output, values: pa.Array) -> OutputColumn:
    if isinstance(output, FieldSchema):
        return OutputColumn.of(output, values)
    return OutputColumn(
        output.name, output.dtype, values, is_nullable=values.null_count > 0
    )
