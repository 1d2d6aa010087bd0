"""A request as one frozen value: names resolved, limits checked, the filter bound.

Running a plan takes no flags and makes no further checks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from elanus.distance.lexical import Scoring
from elanus.distance.metrics import Metric
from elanus.engine.definition import CollectionDefinition, IndexDefinition
from elanus.engine.read.group_plan import GroupBy, GroupRequest, parse_groups
from elanus.engine.read.order import Ordered, SortKey, parse_order
from elanus.errors import InvalidParameter, QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.predicate import Predicate
from elanus.functions.rank.boost import Boosts
from elanus.index.base import SearchParams
from elanus.index.params import parse_search_params
from elanus.schema.schema import DYNAMIC_FIELD, CollectionSchema, FieldSchema
from elanus.schema.vector_codecs import one_of


@dataclass(frozen=True, slots=True)
class Output:
    """One column of an answer: a field, a key of the dynamic field, or a struct.

    Attributes:
        parts: of a struct array, its fields, of which ``field`` is the first.
    """

    name: str
    field: FieldSchema
    key: str | None = None
    parts: tuple[FieldSchema, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which rows a range search wants: ``low <= distance < high``, smaller is nearer.

    As float32 numbers, which is what distances are.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A nearest-neighbour search.

    Attributes:
        bounds: of a range search.
        order: what the rows found are put in order by; by score alone without it.
        group: what the rows come in groups by; ``limit`` and ``offset`` count groups
            then.
        limit, offset: ranks ``offset`` to ``offset + limit`` of each query are wanted.
        predicate: which rows count; ``None`` for all.
        partitions: ids of the partitions searched; ``None`` for all.
        boosts: what changes the scores before the best rows are chosen.
        scoring: of a search for words.
    """

    field: FieldSchema
    metric: Metric
    limit: int
    offset: int
    predicate: Predicate | None
    partitions: frozenset[int] | None
    params: SearchParams
    outputs: tuple[Output, ...]
    bounds: Bounds | None = None
    order: tuple[SortKey, ...] = ()
    group: GroupBy | None = None
    boosts: Boosts | None = None
    scoring: Scoring | None = None

    @property
    def compares_lists(self) -> bool:
        """Whether a query is a list of vectors, and so is what it is compared with."""
        return self.metric.of_each is not self.metric

    @property
    def asked(self) -> FieldSchema:
        """A field of such values as a query has."""
        return one_of(self.field) if self.finds_elements else self.field

    @property
    def finds_elements(self) -> bool:
        """Whether single vectors of a row's list are found, each for itself."""
        return self.field.is_vector_list and not self.compares_lists


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A filtered read.

    Attributes:
        limit: rows wanted; ``None`` for all.
        order: what the rows are put in order by; equal ones, and all without it,
            ascend by primary key.
    """

    limit: int | None
    offset: int
    predicate: Predicate | None
    partitions: frozenset[int] | None
    outputs: tuple[Output, ...]
    order: tuple[SortKey, ...] = ()


class SearchRequest(NamedTuple):
    """What a caller asks of a search, names unresolved.

    Attributes:
        field: the vector field; empty when there is only one.
        metric: checked against the field's when given.
        filter_params: values of ``{name}`` templates in the filter.
        order_by: such as ``"price:asc,rating:desc:nulls_first"``.
        group: what the rows come in groups by.
        zone: of points in time in the filter that name none; the collection's when
            empty.
    """

    limit: int = 10
    offset: int = 0
    field: str = ""
    metric: str = ""
    filter: str = ""
    filter_params: Mapping[str, Any] | None = None
    partitions: Sequence[str] | None = None
    params: Mapping[str, Any] | None = None
    output_fields: Sequence[str] = ()
    order_by: str = ""
    group: GroupRequest | None = None
    zone: str = ""


class QueryRequest(NamedTuple):
    """What a caller asks of a query, names unresolved; see :class:`SearchRequest`."""

    filter: str = ""
    filter_params: Mapping[str, Any] | None = None
    limit: int | None = None
    offset: int = 0
    partitions: Sequence[str] | None = None
    output_fields: Sequence[str] = ()
    order_by: str = ""
    zone: str = ""


def plan_search(definition: CollectionDefinition, request: SearchRequest) -> SearchPlan:
    """Resolve a search against a collection.

    Raises:
        InvalidParameter, QueryPlanError, PartitionNotFound: the request does not fit
            the collection; the message says where.
    """
    schema = definition.schema
    field = vector_field(schema, request.field)
    metric = Metric(definition.metric_of(field))
    if request.metric and request.metric.upper() != metric:
        raise InvalidParameter(
            "metric type not match", expected=metric.value, actual=request.metric
        )
    _check_window(request.limit, request.offset, definition.largest_limit)
    index = definition.indexes.get(field.id)
    group, bounds = request.group, _bounds(metric, request.params or {})
    if group is not None and bounds is not None:
        raise InvalidParameter(
            "Not allowed to do range-search when doing search-group-by"
        )
    zone = request.zone or definition.zone
    predicate = bind_filter(schema, request.filter, request.filter_params, zone)
    check_elements(predicate, field, metric)
    return SearchPlan(
        field=field,
        metric=metric,
        limit=request.limit,
        offset=request.offset,
        predicate=predicate,
        partitions=_partition_ids(definition, request.partitions),
        params=parse_search_params(
            "FLAT" if index is None or index.is_scanned else index.index_type,
            request.params or {},
            # groups are looked for as deep as it takes: an effort for rows says nothing
            request.limit + request.offset if group is None else 1,
        ),
        outputs=outputs_of(schema, tuple(request.output_fields)),
        bounds=bounds,
        order=parse_order(schema, request.order_by, Ordered.SEARCH),
        group=None if group is None else parse_groups(schema, field, group),
        scoring=_scoring(index) if metric is Metric.BM25 else None,
    )


def _scoring(index: IndexDefinition | None) -> Scoring:
    """How texts are scored, by the parameters of an index."""
    given = {} if index is None else index.params
    usual = Scoring()
    k1, b = given.get("bm25_k1", usual.k1), given.get("bm25_b", usual.b)
    return Scoring(float(k1), float(b))


def plan_query(definition: CollectionDefinition, request: QueryRequest) -> QueryPlan:
    """Resolve a query against a collection.

    Raises:
        InvalidParameter, QueryPlanError, PartitionNotFound: the request does not fit
            the collection; the message says where.
    """
    schema = definition.schema
    window = "invalid max query result window"
    if request.limit is not None and (not _is_int(request.limit) or request.limit <= 0):
        raise InvalidParameter(
            f"{window}, limit [{request.limit}] is invalid, should be greater than 0"
        )
    if not _is_int(request.offset) or request.offset < 0:
        raise InvalidParameter(
            f"{window}, offset [{request.offset}] is invalid, should be gte than 0"
        )
    outputs = outputs_of(schema, tuple(request.output_fields))
    primary = schema.primary
    if all(output.field is not primary for output in outputs):
        outputs = (Output(primary.name, primary), *outputs)
    return QueryPlan(
        request.limit,
        request.offset,
        bind_filter(
            schema,
            request.filter,
            request.filter_params,
            request.zone or definition.zone,
        ),
        _partition_ids(definition, request.partitions),
        outputs,
        parse_order(schema, request.order_by, Ordered.QUERY),
    )


def vector_field(schema: CollectionSchema, name: str) -> FieldSchema:
    """The vector field called ``name``, or the only one when the name is empty.

    Raises:
        InvalidParameter: there is none, it is no vector, or several could be meant.
    """
    if not name:
        if len(schema.vectors) > 1:
            raise InvalidParameter(
                "multiple anns_fields exist, please specify a anns_field in "
                "search_params"
            )
        return schema.vectors[0]
    field = schema.by_name.get(name)
    if field is None:
        raise InvalidParameter(
            f"failed to get field schema by name: fieldName({name}) not found"
        )
    if not field.is_vector:
        raise InvalidParameter(f"field ({name}) to search is not of vector data type")
    return field


def bind_filter(
    schema: CollectionSchema,
    text: str,
    params: Mapping[str, Any] | None,
    zone: str,
) -> Predicate | None:
    """The bound filter; ``None`` when it lets every row pass.

    Raises:
        QueryPlanError: the text does not parse or bind.
    """
    if not text:
        return None
    if not isinstance(text, str):
        raise InvalidParameter(f"a filter is a string, got {type(text).__name__}")
    try:
        predicate = compile_filter(text, schema, params, zone)
    except QueryPlanError as error:
        raise error.within("failed to create query plan") from error
    return None if predicate.is_always_true else predicate


def check_elements(
    predicate: Predicate | None, field: FieldSchema, metric: Metric
) -> None:
    """Raise if a filter leaves out elements that a search does not look for.

    Raises:
        InvalidParameter: ask for rows with such elements.
    """
    found = None if predicate is None else predicate.element_filter
    if found is None:
        return
    if field.struct != found.subject or metric.of_each is not metric:
        raise InvalidParameter(
            "element_filter is only supported for element-level search on vector "
            "sub-fields of the same struct array; use MATCH_ANY/MATCH_* for row-level "
            "vector search"
        )


def _bounds(metric: Metric, params: Mapping[str, Any]) -> Bounds | None:
    """The bounds of a range search, from scores in the metric's own sign."""
    radius = _bound(params, "radius")
    inner = _bound(params, "range_filter")
    if radius is None:
        if inner is not None:
            raise InvalidParameter(
                "range_filter requires radius to be set; range_filter alone is not a "
                "valid range search parameter"
            )
        return None
    sign = -1.0 if metric.row.larger_is_better else 1.0
    bounds = Bounds(-math.inf if inner is None else sign * inner, sign * radius)
    if inner is not None and bounds.low >= bounds.high:
        side = "greater" if metric.row.larger_is_better else "less"
        raise InvalidParameter(
            f"metric type ({metric.value}), range_filter({inner:g}) must be {side} "
            f"than radius({radius:g})"
        )
    return bounds


def _bound(params: Mapping[str, Any], name: str) -> float | None:
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParameter(
            f"Type conflict in json: param '{name}' ({json.dumps(value)}), type must "
            f"be number"
        )
    return float(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_window(limit: int, offset: int, largest: int) -> None:
    span = f"it should be in range [1, {largest}]"
    if not _is_int(limit) or not 1 <= limit <= largest:
        raise InvalidParameter(f"topk [{limit}] is invalid, {span}, but got {limit}")
    if not _is_int(offset) or not 0 <= offset <= largest:
        raise InvalidParameter(f"offset [{offset}] is invalid, {span}")
    if limit + offset > largest:
        total = limit + offset
        raise InvalidParameter(f"offset+topk [{total}] is invalid, {span}")


def _partition_ids(
    definition: CollectionDefinition, names: Sequence[str] | None
) -> frozenset[int] | None:
    if not names:
        return None
    if isinstance(names, str):
        names = [names]
    ids = []
    for name in names:
        if name not in definition.partitions:
            raise InvalidParameter(f"partition name {name} not found")
        ids.append(definition.partitions[name])
    return frozenset(ids)


@lru_cache(maxsize=1024)
def _outputs_of(
    schema_key: int, schema: _Identity, names: tuple[str, ...]
) -> tuple[Output, ...]:
    known = schema.value
    outputs: dict[str, Output] = {}
    for name in names:
        if name == "*":
            plain = (f for f in known.fields if not (f.struct or f.is_function_output))
            outputs.update((f.name, Output(f.name, f)) for f in plain)
            outputs.update((s, _struct(known, s)) for s in known.parts)
        elif name in known.parts:
            outputs[name] = _struct(known, name)
        elif name in known.by_name:
            if known.by_name[name].is_function_output:
                raise InvalidParameter(
                    f"not allowed to retrieve raw data of field {name}"
                )
            outputs[name] = Output(name, known.by_name[name])
        elif known.dynamic is not None:
            outputs[name] = Output(name, known.dynamic, _dynamic_key(name))
        else:
            raise InvalidParameter(f"field {name} not exist")
    return tuple(outputs.values())


def _struct(schema: CollectionSchema, name: str) -> Output:
    parts = schema.parts[name]
    return Output(name, parts[0], parts=parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Identity:
    """Hashes a schema by identity, so that looking up a plan costs nothing."""

    value: CollectionSchema

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value


def outputs_of(schema: CollectionSchema, names: tuple[str, ...]) -> tuple[Output, ...]:
    """The columns that ``names`` ask for, each once; ``*`` means every field.

    Raises:
        InvalidParameter: a name is no field, and there is no dynamic field.
    """
    if not names:
        return ()
    return _outputs_of(schema.version, _Identity(schema), names)


def _dynamic_key(name: str) -> str:
    if name.startswith(f"{DYNAMIC_FIELD}[") and name.endswith("]"):
        return name[len(DYNAMIC_FIELD) + 2 : -2]
    return name
