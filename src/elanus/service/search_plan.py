"""What of a search depends on its parameters only: checked once, then remembered.

Programs send the same parameters again and again, with other vectors and other filters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from elanus.engine.collection import Collection
from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.aggregate import is_aggregate
from elanus.engine.read.bucket_plan import BucketPlan
from elanus.engine.read.group_plan import GroupRequest, names_of
from elanus.engine.read.plan import (
    SearchPlan,
    SearchRequest,
    bind_filter,
    check_elements,
    vector_field,
)
from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.service.boosts import boosts_of
from elanus.service.core import Core
from elanus.service.highlighting import Highlighting, highlighting_of
from elanus.service.isolation import check_isolated, is_isolated
from elanus.service.loaded_fields import (
    check_filter_loaded,
    check_searched_loaded,
    readable_names,
)
from elanus.service.output import Shape, shape_of
from elanus.service.reading import (
    check_field_loaded,
    check_iterated,
    partitions_to_read,
)
from elanus.service.requests import Search, SearchOptions
from elanus.service.rescoring import NOTHING, Rescoring, rescoring_of
from elanus.service.search_buckets import bucketed
from elanus.service.search_iterator import check_walk
from elanus.service.times import time_form, zone_of


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A search without its vectors and its filter.

    Attributes:
        buckets: what becomes of the rows found, of an aggregated search.
        definition, options: what it was made of; it holds for these objects only.
        rescoring: what is done with the rows found.
        highlighting: what is marked in the answer.
        is_isolated: whether its filter has to name one value of the partition key.
    """

    definition: CollectionDefinition
    options: SearchOptions
    plan: SearchPlan
    shape: Shape
    rescoring: Rescoring = NOTHING
    buckets: BucketPlan | None = None
    highlighting: Highlighting | None = None
    is_isolated: bool = False


def find_plan(core: Core, collection: Collection, request: Search) -> PlannedSearch:
    """The plan of a search, its filter left out.

    Raises:
        InvalidParameter, CollectionNotLoaded, PartitionNotLoaded.
        UnsupportedOperation: it asks for what Elanus does not do.
    """
    definition, options = collection.definition, request.options
    # by identity: wires keep the options of equal texts as one object
    key = (
        definition.id,
        id(options),
        request.partitions,
        request.output_fields,
        request.score,
        request.chains,
        request.aggregation,
        request.highlighter,
    )
    known: PlannedSearch | None = core.search_plans.find(key)
    if (
        known is not None
        and known.options is options
        and known.definition is definition
    ):
        return known
    # before the rest, as Milvus complains of it first
    marks = highlighting_of(definition, request)
    planned = _planned(collection, definition, request)
    rescoring = rescoring_of(definition, request, core.services)
    planned = replace(planned, rescoring=rescoring, highlighting=marks)
    core.search_plans.keep(key, planned)
    return planned


def with_filter(planned: PlannedSearch, request: Search) -> SearchPlan:
    """The whole plan of a search.

    Raises:
        QueryPlanError: the filter does not parse or bind.
    """
    plan, definition = planned.plan, planned.definition
    if planned.is_isolated and not request.filter:
        check_isolated(definition, None)
    if not request.filter and request.score is None:
        return plan
    zone = zone_of(definition, planned.options.extra)
    if request.score is not None:
        boosts = boosts_of(definition, request.score, request.filter_params, zone)
        plan = replace(plan, boosts=boosts)
    if not request.filter:
        return plan
    schema = definition.schema
    predicate = bind_filter(schema, request.filter, request.filter_params, zone)
    check_filter_loaded(definition, predicate, request.filter)
    check_elements(predicate, plan.field, plan.metric)
    if planned.is_isolated:
        check_isolated(definition, predicate)
    return replace(plan, predicate=predicate)


def _planned(
    collection: Collection, definition: CollectionDefinition, request: Search
) -> PlannedSearch:
    options = request.options
    _check_options(options)
    name = options.anns_field
    try:
        field = vector_field(definition.schema, name)
    except InvalidParameter as error:
        if name and name not in definition.schema.by_name:
            raise error.within("failed to create query plan") from error
        raise
    partitions = partitions_to_read(definition, request.partitions, "search")
    check_field_loaded(definition, field)
    if any(map(is_aggregate, request.output_fields)):
        raise InvalidParameter("aggregates are not supported in search request")
    times = time_form(definition, options.extra)
    check_searched_loaded(definition, field)
    names = readable_names(definition, request.output_fields)
    shape = shape_of(definition.schema, names, times, with_key=False)
    metric = definition.metric_of(field)
    if options.metric_type and options.metric_type.upper() != metric:
        raise InvalidParameter(
            "metric type not match", expected=metric, actual=options.metric_type
        )
    limit = options.limit
    if options.iterator is not None:
        check_iterated(collection, options.collection_id)
        limit = min(limit, limits.LIMIT)
    plan = collection.plan_search(
        SearchRequest(
            limit=limit,
            offset=options.offset,
            field=field.name,
            partitions=partitions,
            params=options.params,
            order_by=options.order_by_fields,
            group=group_request(options),
        )
    )
    isolated = is_isolated(definition)
    if request.aggregation is None:
        return PlannedSearch(definition, options, plan, shape, is_isolated=isolated)
    plan, buckets = bucketed(definition, plan, request)
    return PlannedSearch(
        definition, options, plan, shape, buckets=buckets, is_isolated=isolated
    )


def group_request(options: SearchOptions) -> GroupRequest | None:
    """What a search is to be grouped by; ``None`` for rows without groups.

    Raises:
        InvalidParameter: the groups cannot be put in order.
    """
    extra = options.extra
    if options.group_by_field:
        names: tuple[str, ...] = (options.group_by_field,)
    else:
        names = tuple(names_of(extra.get("group_by_fields", "")))
    if not names:
        return None
    if len(names) > 1 and options.order_by_fields:
        raise InvalidParameter(
            "order_by_fields is not supported with multi-field group_by_fields"
        )
    size = options.group_size
    return GroupRequest(
        names,
        1 if size is None else size,
        options.strict_group_size,
        extra.get("json_path", ""),
        extra.get("json_type", ""),
        extra.get("strict_cast", "").lower() == "true",
    )


def _check_options(options: SearchOptions) -> None:
    if not -1 <= options.round_decimal <= 6:
        raise InvalidParameter(
            f"round_decimal [{options.round_decimal}] is invalid, should be -1 or an "
            f"integer in range [0, 6]"
        )
    if options.iterator is not None and (
        options.group_by_field or options.extra.get("group_by_fields")
    ):
        raise InvalidParameter("Not allowed to do groupBy when doing iteration")
    if options.order_by_fields and options.iterator is not None:
        raise InvalidParameter("order_by is not supported when using search iterator")
    if options.iterator is not None and options.iterator.is_v2:
        check_walk(options.iterator, options.offset)
