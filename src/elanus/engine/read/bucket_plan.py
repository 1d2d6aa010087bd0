"""What a search is aggregated by, resolved against a schema: buckets in buckets.

The rows aggregated are those that a search by groups returns, where the values of the
keys of all levels together are a group: as many nearest groups as the levels have
places for, and of each as many nearest rows as the largest ``top_hits`` asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elanus.distance.metrics import Metric
from elanus.engine.read.group_plan import GroupBy, GroupKey, check_groupable
from elanus.engine.read.order import json_place
from elanus.engine.read.totals import Aggregate, Operator
from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

# The score of a row, as if it were a field.
SCORE = FieldSchema("_score", DataType.FLOAT, id=-1)
COUNT, KEY = "_count", "_key"


class SortRequest(NamedTuple):
    """Something to put in order by: descending when the direction is empty."""

    name: str
    direction: str = ""
    nulls_first: bool = False


class MetricRequest(NamedTuple):
    """Something to compute of every bucket, of a field, ``_score`` or ``*``."""

    alias: str
    operator: str
    field: str


class TopHitsRequest(NamedTuple):
    """Rows to show of every bucket; 0 counts as 1."""

    size: int
    sort: tuple[SortRequest, ...] = ()


class LevelRequest(NamedTuple):
    """What a caller asks of one level of buckets, names unresolved.

    Attributes:
        fields: rows of equal values of these are one bucket.
        size: buckets wanted inside each bucket of the level above; 0 counts as 1.
        search_size: buckets among which these are chosen; as many when 0.
        order: by ``_count``, ``_key`` or the alias of a metric; by the nearest row of
            each without it.
    """

    fields: tuple[str, ...]
    size: int
    search_size: int = 0
    metrics: tuple[MetricRequest, ...] = ()
    order: tuple[SortRequest, ...] = ()
    top_hits: TopHitsRequest | None = None


AggregationRequest = tuple[LevelRequest, ...]
"""The levels of buckets, from the outermost inwards."""


@dataclass(frozen=True, slots=True)
class BucketOrder:
    """One value that buckets are put in order by: COUNT, KEY, or a metric's alias."""

    key: str
    is_descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class HitOrder:
    """One value that the rows of a bucket are put in order by; perhaps ``SCORE``."""

    field: FieldSchema
    is_descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class TopHits:
    """Which rows are shown of every bucket: the first ``size`` in an order.

    Equal rows, and all without an order, come nearest first, then by key.
    """

    size: int
    order: tuple[HitOrder, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of buckets; see :class:`LevelRequest`."""

    keys: tuple[GroupKey, ...]
    size: int
    search_size: int
    metrics: tuple[Aggregate, ...]
    order: tuple[BucketOrder, ...]
    top_hits: TopHits | None


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """How the rows of a search become buckets, from the outermost level inwards."""

    levels: tuple[Level, ...]

    @property
    def limit(self) -> int:
        """Groups that the search is to find."""
        return math.prod(level.search_size for level in self.levels)

    @property
    def group(self) -> GroupBy:
        """What the rows found are grouped by, and how many of each are found."""
        keys = tuple(key for level in self.levels for key in level.keys)
        shown = (level.top_hits.size for level in self.levels if level.top_hits)
        return GroupBy(keys, max(shown, default=1), is_strict=True)

    def check_entries(self, nq: int) -> None:
        """Raise if a search of so many queries could find too many rows.

        Raises:
            InvalidParameter: ask for fewer or smaller buckets.
        """
        if nq * self.limit * self.group.size > limits.AGGREGATION_ENTRIES:
            raise InvalidParameter(
                "number of search_aggregation result entries is too large"
            )


def plan_buckets(
    schema: CollectionSchema, metric: Metric, levels: AggregationRequest
) -> BucketPlan:
    """Resolve what a search is aggregated by.

    Raises:
        InvalidParameter: with Milvus' text; a name or a number is not allowed.
    """
    if len(levels) > limits.AGGREGATION_LEVELS:
        raise InvalidParameter(
            f"search_aggregation nesting exceeds max {limits.AGGREGATION_LEVELS} levels"
        )
    n_keys = sum(len(level.fields) for level in levels)
    if n_keys > limits.AGGREGATION_KEYS:
        raise InvalidParameter(
            f"number of group_by fields [{n_keys}] exceeds max "
            f"{limits.AGGREGATION_KEYS} with search_aggregation"
        )
    seen: set[str] = set()
    return BucketPlan(tuple(_level(schema, metric, level, seen) for level in levels))


def _level(
    schema: CollectionSchema, metric: Metric, request: LevelRequest, seen: set[str]
) -> Level:
    """One level.

    Args:
        seen: keys of the levels around it, to which its own are added.
    """
    if not request.fields:
        raise InvalidParameter("group_by level has no fields")
    if request.size < 0:
        raise InvalidParameter("search_aggregation size must be non-negative")
    if request.search_size < 0:
        raise InvalidParameter("search_aggregation search_size must be non-negative")
    size = max(request.size, 1)
    search_size = request.search_size or size
    if search_size < size:
        raise InvalidParameter(
            "search_aggregation search_size must be greater than or equal to size"
        )
    keys = _keys(schema, request.fields, seen)
    metrics = tuple(
        _metric(schema, each) for each in sorted(request.metrics, key=_alias)
    )
    top_hits = _top_hits(schema, metric, request.top_hits)
    aliases = {each.name for each in metrics}
    order = tuple(_bucket_order(each, aliases) for each in request.order)
    return Level(keys, size, search_size, metrics, order, top_hits)


def _alias(metric: MetricRequest) -> str:
    return metric.alias


def _keys(
    schema: CollectionSchema, names: Sequence[str], seen: set[str]
) -> tuple[GroupKey, ...]:
    keys: dict[str, GroupKey] = {}
    for given in names:
        name = given.strip()
        usage = f"group_by field {_quoted(given)}"
        field = _field(schema, name, usage, f"invalid {usage}")
        if field.dtype.is_floating:
            raise InvalidParameter(
                f"{usage}: FLOAT / DOUBLE fields are not supported with "
                f"search_aggregation (BucketKeyEntry has no float variant; equality on "
                f"floats is fragile)"
            )
        check_groupable(field)
        if name in keys:
            raise InvalidParameter(f"duplicated {usage} in one level")
        if name in seen:
            raise InvalidParameter(f"duplicated {usage} across levels")
        keys[name] = GroupKey(name, field)
    seen.update(keys)
    return tuple(keys.values())


def _metric(schema: CollectionSchema, request: MetricRequest) -> Aggregate:
    if not request.alias.strip():
        raise InvalidParameter("metric alias cannot be empty")
    context = f"invalid metric {_quoted(request.alias)}"
    name = request.operator.strip().lower()
    if name not in set(Operator):
        raise InvalidParameter(
            f"{context}: unsupported metric op {_quoted(request.operator)}"
        )
    operator, target = Operator(name), request.field.strip()
    if not target:
        raise InvalidParameter(f"{context}: metric field_name is empty")
    if target == "*":
        if operator is not Operator.COUNT:
            raise InvalidParameter(f"{context}: field_name '*' only supports count op")
        return Aggregate(request.alias, operator, None)
    if target == SCORE.name:
        return Aggregate(request.alias, operator, SCORE)
    usage = f"metric field {_quoted(request.field)}"
    field = _field(schema, target, f"{context}: {usage}", context)
    metric = Aggregate(request.alias, operator, field)
    if not metric.is_defined:
        raise InvalidParameter(
            f"{context}: aggregation operator {operator} does not support data type "
            f"{field.dtype.row.name}"
        )
    return metric


def _top_hits(
    schema: CollectionSchema, metric: Metric, request: TopHitsRequest | None
) -> TopHits | None:
    if request is None:
        return None
    if request.size < 0:
        raise InvalidParameter("top_hits size must be non-negative")
    order = tuple(_hit_order(schema, metric, sort) for sort in request.sort)
    return TopHits(max(request.size, 1), order)


def _hit_order(
    schema: CollectionSchema, metric: Metric, request: SortRequest
) -> HitOrder:
    name = request.name.strip()
    if not name:
        raise InvalidParameter("top_hits.sort field_name is empty")
    context = f"invalid top_hits.sort direction for {_quoted(request.name)}"
    is_descending = _is_descending(request.direction, context)
    if name == SCORE.name:
        if is_descending is None:  # the nearest first
            is_descending = metric.row.larger_is_better
        return HitOrder(SCORE, is_descending, request.nulls_first)
    if "[" in name and "]" in name:
        raise InvalidParameter(
            f"top_hits.sort JSON path is not yet supported: {_quoted(request.name)}"
        )
    usage = f"top_hits.sort field {_quoted(request.name)}"
    field = _field(schema, name, usage, f"invalid {usage}")
    if not (field.dtype.has_order or field.dtype is DataType.BOOL):
        raise InvalidParameter(f"{usage} has unsortable type {field.dtype.row.name}")
    return HitOrder(field, is_descending is not False, request.nulls_first)


def _bucket_order(request: SortRequest, aliases: set[str]) -> BucketOrder:
    key = request.name.strip()
    if not key:
        raise InvalidParameter("order key is empty")
    if key not in (COUNT, KEY) and key not in aliases:
        raise InvalidParameter(
            f"order key {_quoted(key)} is neither reserved key nor metric alias"
        )
    context = f"invalid order direction for key {_quoted(key)}"
    is_descending = _is_descending(request.direction, context) is not False
    # nulls are the least of all
    return BucketOrder(key, is_descending, request.nulls_first or not is_descending)


def _is_descending(text: str, context: str) -> bool | None:
    """A direction; ``None`` when there is none."""
    direction = text.strip().lower()
    if direction not in ("", "asc", "desc"):
        raise InvalidParameter(f"{context}: direction must be asc or desc")
    return direction == "desc" if direction else None


def _field(
    schema: CollectionSchema, name: str, usage: str, context: str
) -> FieldSchema:
    """A field that a search can be aggregated by.

    Args:
        usage: what the field is for, for what is said of one that cannot be used so.
        context: the same, for what is said of one that is not there.
    """
    if not name:
        raise InvalidParameter(f"{context}: field is empty")
    field = schema.by_name.get(name) or json_place(schema, name)[0]
    if field is None:
        raise InvalidParameter(f"{context}: field {_quoted(name)} not found in schema")
    if field.dtype is DataType.JSON:
        raise InvalidParameter(
            f"{usage}: JSON / dynamic fields are not yet supported with "
            f"search_aggregation"
        )
    return field


def _quoted(name: str) -> str:
    return f'"{name}"'
