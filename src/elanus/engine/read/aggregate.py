"""Aggregates of a query: counts, sums, means and extremes, of groups or of all rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.engine.read.order import SortKey, ranked
from elanus.engine.read.query import Rows
from elanus.engine.version import Version, gather
from elanus.errors import InvalidParameter, RequestError
from elanus.schema.arrays import array_of, values_of
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

Numbers: TypeAlias = npt.NDArray[np.int64]

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


class Operator(StrEnum):
    """What an aggregate computes."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate.

    Attributes:
        name: as the caller wrote it, which is the name of its column.
        field: ``None`` for ``count(*)``.
    """

    name: str
    operator: Operator
    field: FieldSchema | None

    @property
    def dtype(self) -> DataType:
        """Type of the results."""
        if self.field is None or self.operator is Operator.COUNT:
            return DataType.INT64
        if self.operator is Operator.AVG:
            return DataType.DOUBLE
        if self.operator is Operator.SUM:
            is_whole = self.field.dtype.is_integer
            return DataType.INT64 if is_whole else DataType.DOUBLE
        return self.field.dtype


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


def aggregated(version: Version, rows: Rows, plan: AggregatePlan) -> list[pa.Array]:
    """The columns of a plan's answer, one row per group, groups in order.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    source = _Source(version, rows)
    groups, samples = _groups(source, plan)
    columns = [
        source.column(output).take(array_of(samples))
        if isinstance(output, FieldSchema)
        else _result(source, output, groups, _n_groups(plan, samples))
        for output in plan.outputs
    ]
    if not plan.order:
        return columns
    chosen = [source.column(key.field).take(array_of(samples)) for key in plan.order]
    ranks = [
        ranked(values, is_descending=key.is_descending, nulls_first=key.nulls_first)
        for key, values in zip(plan.order, chosen, strict=True)
    ]
    order = array_of(np.lexsort(ranks[::-1]))
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
    needs_order = operator in (Operator.MIN, Operator.MAX)
    is_defined = field.dtype.has_order if needs_order else field.dtype.is_numeric
    if operator is not Operator.COUNT and not is_defined:
        raise AggregateMismatch(
            f"aggregation operator {operator} does not support data type "
            f"{field.dtype.row.name}"
        )
    return Aggregate(name, operator, field)


class _Source:
    """The columns of some rows, each read once."""

    def __init__(self, version: Version, rows: Rows) -> None:
        self.rows = rows
        self._version = version
        self._columns: dict[int, pa.Array] = {}

    def column(self, field: FieldSchema) -> pa.Array:
        """A scalar field's values."""
        known = self._columns.get(field.id)
        if known is None:
            known = pa.nulls(0, field.arrow_type)
            if len(self.rows.offsets):
                views, rows = self._version.views, self.rows
                known = gather(views, rows.parts, rows.offsets, field.id)
            self._columns[field.id] = known
        return known

    def valid(self, field: FieldSchema) -> npt.NDArray[np.bool_]:
        """Which rows have a value."""
        if field.is_vector and not field.nullable:
            return np.ones(len(self.rows.offsets), np.bool_)
        flags: npt.NDArray[np.bool_] = (
            self.column(field).is_valid().to_numpy(zero_copy_only=False)
        )
        return flags


def _n_groups(plan: AggregatePlan, samples: Numbers) -> int:
    return len(samples) if plan.keys else 1


def _groups(source: _Source, plan: AggregatePlan) -> tuple[Numbers, Numbers]:
    """The group of each row, and one row of each group, groups ascending by key."""
    codes = np.zeros(len(source.rows.offsets), np.int64)
    for field in plan.keys:
        ranks = ranked(source.column(field), is_descending=False, nulls_first=False)
        _, dense = np.unique(ranks, return_inverse=True)
        # at most rows x rows different pairs, which is made dense again at once
        _, codes = np.unique(codes * (len(codes) + 1) + dense, return_inverse=True)
    _, samples = np.unique(codes, return_index=True)
    return codes, samples.astype(np.int64)


def _result(
    source: _Source, aggregate: Aggregate, groups: Numbers, n_groups: int
) -> pa.Array:
    """One aggregate of every group; null where a group has no value."""
    field = aggregate.field
    if field is None:
        return array_of(np.bincount(groups, minlength=n_groups).astype(np.int64))
    rows = np.flatnonzero(source.valid(field))
    counts = np.bincount(groups[rows], minlength=n_groups).astype(np.int64)
    if aggregate.operator is Operator.COUNT:
        return array_of(counts)
    values = source.column(field).take(array_of(rows))
    if aggregate.operator in (Operator.MIN, Operator.MAX):
        return _extremes(aggregate, values, groups[rows], counts)
    numbers = values_of(values)
    if aggregate.dtype is DataType.INT64:
        totals = np.zeros(n_groups, np.int64)
        np.add.at(totals, groups[rows], numbers.astype(np.int64))
        return _with_nulls(array_of(totals), counts)
    sums = np.bincount(groups[rows], numbers.astype(np.float64), n_groups)
    if aggregate.operator is Operator.AVG:
        return _with_nulls(array_of(sums / np.maximum(counts, 1)), counts)
    return _with_nulls(array_of(sums), counts)


def _extremes(
    aggregate: Aggregate, values: pa.Array, groups: Numbers, counts: Numbers
) -> pa.Array:
    is_descending = aggregate.operator is Operator.MAX
    ranks = ranked(values, is_descending=is_descending, nulls_first=False)
    best = np.zeros(len(counts), np.int64)
    # written from the worst to the best: the last one stays
    order = np.argsort(-ranks, kind="stable")
    best[groups[order]] = order
    if not len(values):
        return pa.nulls(len(counts), values.type)
    return _with_nulls(values.take(array_of(best)), counts)


def _with_nulls(values: pa.Array, counts: Numbers) -> pa.Array:
    if counts.all():
        return values
    places = np.arange(len(counts))
    bits = pa.py_buffer(np.packbits(counts > 0, bitorder="little"))
    chosen = pa.Array.from_buffers(
        pa.int64(), len(counts), [bits, pa.py_buffer(places)]
    )
    return values.take(chosen)
