"""Aggregates of a query: counts, sums, means and extremes, of groups or of all rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.filter import allowed_rows
from elanus.engine.read.first import values_at
from elanus.engine.read.order import SortKey
from elanus.engine.read.plan import QueryPlan
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.totals import Aggregate, Operator, Totals, flags_of
from elanus.engine.version import SegmentView, Version
from elanus.errors import InvalidParameter, RequestError
from elanus.index.base import Allowed
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Offsets
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

# Columns of so many rows are read at once.
_BATCH_ROWS = 1 << 20
_DIRECTIONS = ("ascending", "descending")

_CALL = re.compile(r"\s*(sum|avg|min|max|count)\s*\(\s*([^()]+?)\s*\)\s*\Z", re.I)
_KEY_TYPES = frozenset(
    {
        DataType.INT8,
        DataType.INT16,
        DataType.INT32,
        DataType.INT64,
        DataType.VARCHAR,
        DataType.TIMESTAMPTZ,
    }
)


class AggregateMismatch(RequestError):
    """The function is not defined on values of the field's type."""

    code = 65535
    is_input_error = False


Output: TypeAlias = FieldSchema | Aggregate


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """What to compute of the rows of a query.

    Attributes:
        keys: rows with equal values of these are one group; without any, all rows are.
        outputs: the columns of the answer: keys and aggregates.
        order: keys to put the groups in order by; ascending by all keys without it.
    """

    keys: tuple[FieldSchema, ...]
    outputs: tuple[Output, ...]
    order: tuple[SortKey, ...] = ()

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """What is computed, in the order of the columns."""
        return tuple(each for each in self.outputs if isinstance(each, Aggregate))

    @property
    def fields(self) -> tuple[FieldSchema, ...]:
        """The fields that are read."""
        targets = (aggregate.field for aggregate in self.aggregates)
        return (*self.keys, *(field for field in targets if field is not None))


def is_aggregate(name: str) -> bool:
    """Whether an output field's name is a call such as ``sum(price)``."""
    return _CALL.match(name) is not None


def plan_aggregates(
    schema: CollectionSchema, keys: Sequence[str], names: Sequence[str]
) -> AggregatePlan:
    """Resolve the fields to group by and the columns wanted.

    Raises:
        InvalidParameter: with Milvus' text; a field is unknown, or of a type that one
            cannot group by, or wanted without being grouped by.
        AggregateMismatch: an aggregate is not defined on its field.
    """
    fields = tuple(_group_key(schema, name) for name in dict.fromkeys(keys))
    outputs: list[Output] = []
    for name in dict.fromkeys(names):
        match = _CALL.match(name)
        if match is not None:
            outputs.append(_aggregate(schema, name, match[1], match[2]))
            continue
        field = next((field for field in fields if field.name == name), None)
        if field is None:
            raise InvalidParameter(
                f"output field '{name}' is not allowed: with group by or aggregates, "
                f"only group by fields and aggregates are"
            )
        outputs.append(field)
    return AggregatePlan(fields, tuple(outputs))


def aggregated(
    version: Version,
    plan: AggregatePlan,
    rows: QueryPlan,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> list[pa.Array]:
    """The columns of a plan's answer, one row per group, groups in order.

    Args:
        rows: which rows count; limits and order of it are not looked at.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    wanted = plan.aggregates
    totals = Totals(plan.keys, wanted)
    fields = [aggregate.field for aggregate in wanted if aggregate.field is not None]
    for position, view in enumerate(version.views):
        allowed = allowed_rows(version, position, rows.partitions, rows.predicate, rng)
        if recorder is not None:
            recorder.filter_ran(position, allowed)
        for batch in _batches(view, allowed):
            totals.add(
                len(batch),
                [values_at(view, batch, key.id) for key in plan.keys],
                {field.id: _values(view, batch, field) for field in fields},
            )
    keys, results = totals.results()
    names = [*(key.name for key in plan.keys), *(each.name for each in wanted)]
    by_name = dict(zip(names, (*keys, *results), strict=True))
    columns = [by_name[output.name] for output in plan.outputs]
    if not keys:
        return columns
    order = array_of(_in_order(plan, by_name))
    return [column.take(order) for column in columns]


def _group_key(schema: CollectionSchema, name: str) -> FieldSchema:
    field = schema.by_name.get(name)
    if field is None:
        raise InvalidParameter(f"group by field {name} not exist")
    if field.dtype not in _KEY_TYPES:
        raise InvalidParameter(
            f"group by field {name} has unsupported data type {field.dtype.row.name}"
        )
    return field


def _aggregate(
    schema: CollectionSchema, name: str, function: str, target: str
) -> Aggregate:
    operator = Operator(function.lower())
    if target == "*":
        if operator is not Operator.COUNT:
            raise InvalidParameter(
                f"{operator}(*) is not supported, only count(*) is allowed"
            )
        return Aggregate(name, operator, None)
    field = schema.by_name.get(target)
    if field is None:
        raise InvalidParameter(
            f"target field {target} for aggregation:{operator} does not exist"
        )
    aggregate = Aggregate(name, operator, field)
    if not aggregate.is_defined:
        raise AggregateMismatch(
            f"aggregation operator {operator} does not support data type "
            f"{field.dtype.row.name}"
        )
    return aggregate


def _batches(view: SegmentView, allowed: Allowed | None) -> Iterator[Offsets]:
    """The rows that count, a bounded number at a time."""
    chosen = np.arange(view.n_rows) if allowed is None else allowed.offsets
    for start in range(0, len(chosen), _BATCH_ROWS):
        yield chosen[start : start + _BATCH_ROWS]


def _values(view: SegmentView, rows: Offsets, field: FieldSchema) -> pa.Array:
    if not field.is_vector:
        return values_at(view, rows, field.id)
    valid = view.segment.vectors(field.id, view.n_rows).valid
    return flags_of(np.ones(len(rows), np.bool_) if valid is None else valid[rows])


def _in_order(plan: AggregatePlan, by_name: Mapping[str, pa.Array]) -> Offsets:
    """Positions of the groups in the order asked for, then ascending by key."""
    named = {key.field.id for key in plan.order}
    rest = (SortKey(field) for field in plan.keys if field.id not in named)
    keys = (*plan.order, *rest)
    columns: list[pa.Array] = []
    directions: list[str] = []
    for key in keys:
        values = by_name[key.field.name]
        if values.null_count:  # Arrow has one place for the nulls of all keys
            columns.append(values.is_null().cast(pa.int8()))
            directions.append(_DIRECTIONS[key.nulls_first])
        columns.append(values)
        directions.append(_DIRECTIONS[key.is_descending])
    names = [f"{place}" for place in range(len(columns))]
    table = pa.Table.from_arrays(columns, names)
    found = pc.sort_indices(table, list(zip(names, directions, strict=True)))
    return values_of(found).astype(np.int64)
