"""Aggregates of groups of rows that come a batch at a time.

What is kept is one row per group: batches become partial results at once, which are
made one now and then. Memory is that of the groups, not of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.schema.arrays import array_of
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

_ROWS = "rows"
# Partial results of so many groups become one.
_MOST_PARTIAL = 1 << 20


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

    @property
    def is_defined(self) -> bool:
        """Whether values of the field's type can be computed with so."""
        if self.field is None or self.operator is Operator.COUNT:
            return True
        if self.operator in (Operator.MIN, Operator.MAX):
            return self.field.dtype.has_order
        return self.field.dtype.is_numeric


class Totals:
    """Aggregates of groups, as far as rows were added.

    Without keys all rows are one group, which is there even without rows.
    """

    def __init__(
        self, keys: Sequence[FieldSchema], aggregates: Sequence[Aggregate]
    ) -> None:
        self._keys = tuple(keys)
        self._aggregates = tuple(aggregates)
        self._steps = tuple(
            dict.fromkeys(step for each in aggregates for step in _steps_of(each))
        )
        self._partial: list[pa.Table] = []

    def add(
        self, n_rows: int, keys: Sequence[pa.Array], values: Mapping[int, pa.Array]
    ) -> None:
        """Count in some rows.

        Args:
            keys: a column for each key.
            values: columns by field id, of every field that an aggregate is of.
        """
        ones = array_of(np.ones(n_rows, np.int8))
        columns = [
            ones if step.field_id is None else values[step.field_id]
            for step in self._steps
        ]
        functions = [step.first for step in self._steps]
        self._partial.append(self._grouped(keys, ones, columns, functions))
        if sum(map(len, self._partial)) > _MOST_PARTIAL:
            self._merge()

    def results(self) -> tuple[list[pa.Array], list[pa.Array]]:
        """The keys and the aggregates of all groups, one row for each, in no order.

        An aggregate is null where no row of the group has a value; counts are 0 then.
        """
        if not self._partial:
            fields = [a.field for a in self._aggregates if a.field is not None]
            none = {field.id: pa.nulls(0, _held_as(field)) for field in fields}
            self.add(0, [pa.nulls(0, key.arrow_type) for key in self._keys], none)
        self._merge()
        columns = [_whole(column) for column in self._partial[0].columns]
        count = len(self._keys)
        by_step = dict(zip(self._steps, columns[count:], strict=True))
        return (
            columns[:count],
            [_result(aggregate, by_step) for aggregate in self._aggregates],
        )

    def _merge(self) -> None:
        """Make one of the partial results."""
        if len(self._partial) < 2:
            return
        joined = [_whole(column) for column in pa.concat_tables(self._partial).columns]
        count = len(self._keys)
        ones = array_of(np.ones(sum(map(len, self._partial)), np.int8))
        functions = [step.later for step in self._steps]
        merged = self._grouped(joined[:count], ones, joined[count:], functions)
        self._partial = [merged]

    def _grouped(
        self,
        keys: Sequence[pa.Array],
        ones: pa.Array,
        columns: Sequence[pa.Array],
        functions: Sequence[str],
    ) -> pa.Table:
        """One row per group: the keys, then what the functions make of their columns.

        Args:
            ones: a column without any meaning, so that the rows have a number.
        """
        coded = [_coded(key) for key in keys]
        arrays = [*(part.codes for part in coded), ones, *columns]
        names = [f"{place}" for place in range(len(arrays))]
        count = len(keys)
        asked = [
            (names[count + 1 + place], function)
            for place, function in enumerate(functions)
        ]
        found = (
            pa.Table.from_arrays(arrays, names)
            .group_by(names[:count], use_threads=False)
            .aggregate(asked)
        )
        groups = [
            _whole(found[name])
            if part.texts is None
            else part.texts.take(_whole(found[name]))
            for name, part in zip(names[:count], coded, strict=True)
        ]
        results = [_whole(found[f"{name}_{function}"]) for name, function in asked]
        labels = [f"{place}" for place in range(count + len(results))]
        return pa.Table.from_arrays([*groups, *results], labels)


class _Step(NamedTuple):
    """One column of partial results.

    Attributes:
        field_id: what it is made of; ``None`` for the rows themselves.
        first: Arrow's function that makes it of rows.
        later: Arrow's function that makes one of several.
    """

    field_id: int | None
    first: str
    later: str


class _Coded(NamedTuple):
    """A key in the form that is grouped fastest: texts as numbers of a list of them."""

    codes: pa.Array
    texts: pa.Array | None


_COUNTED = _Step(None, "count", "sum")


def flags_of(is_valid: npt.NDArray[np.bool_]) -> pa.Array:
    """What stands for a column of vectors, of which no more is asked than a count."""
    flags = np.ones(len(is_valid), np.int8)
    bits = pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    return pa.Array.from_buffers(pa.int8(), len(flags), [bits, pa.py_buffer(flags)])


def _held_as(field: FieldSchema) -> pa.DataType:
    return pa.int8() if field.is_vector else field.arrow_type


def _steps_of(aggregate: Aggregate) -> tuple[_Step, ...]:
    if aggregate.field is None:
        return (_COUNTED,)
    field_id, function = aggregate.field.id, aggregate.operator.value
    counted = _Step(field_id, "count", "sum")
    if aggregate.operator is Operator.COUNT:
        return (counted,)
    if aggregate.operator is Operator.AVG:
        return (counted, _Step(field_id, "sum", "sum"))
    return (_Step(field_id, function, function),)


def _result(aggregate: Aggregate, by_step: Mapping[_Step, pa.Array]) -> pa.Array:
    parts = [by_step[step] for step in _steps_of(aggregate)]
    if aggregate.operator is Operator.AVG:
        counts, sums = parts
        return pc.divide(sums.cast(pa.float64(), safe=False), counts.cast(pa.float64()))
    return parts[0]


def _coded(key: pa.Array) -> _Coded:
    if not pa.types.is_large_string(key.type):
        return _Coded(key, None)
    encoded = key.dictionary_encode()
    return _Coded(encoded.indices, encoded.dictionary)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)
