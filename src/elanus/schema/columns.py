"""Rows in memory: one column per field, never a dict per row.

A scalar column is a pyarrow array with its validity; a column of vectors is what
:mod:`elanus.schema.vectors` has it to be. A :class:`Batch` is a set of such columns
of equal length, keyed by field id, with a durable Arrow form for log and files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.schema.arrays import array_of, repeated
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.vectors import (
    VectorColumn,
    concat_vectors,
    no_vectors,
    vectors_from_arrow,
    vectors_to_arrow,
)

Floats: TypeAlias = npt.NDArray[np.float32]
Column: TypeAlias = pa.Array | VectorColumn
Offsets: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns of equal length by field id; every field of the schema is present."""

    columns: Mapping[int, Column]
    n_rows: int

    @property
    def nbytes(self) -> int:
        """Bytes held by all columns."""
        return sum(int(column.nbytes) for column in self.columns.values())

    def is_larger_than(self, limit_bytes: int) -> bool:
        """Whether :attr:`nbytes` exceeds a limit, mostly without adding them up.

        Arrow gives up Python's lock to count the bytes of a slice, which costs a small
        insert among many threads more than the rest of its checks.
        """
        held = sum(
            column.nbytes
            if isinstance(column, VectorColumn)
            else column.get_total_buffer_size()
            for column in self.columns.values()
        )
        return held > limit_bytes and self.nbytes > limit_bytes

    def take(self, offsets: Offsets) -> Batch:
        """The rows at ``offsets``, in that order."""
        return Batch(
            {key: take(column, offsets) for key, column in self.columns.items()},
            len(offsets),
        )

    def fitted(self, schema: CollectionSchema) -> Batch:
        """The same rows with the columns of another version of their schema."""
        columns = {
            f.id: absent(f, self.n_rows)
            if f.id not in self.columns
            else self.columns[f.id]
            for f in schema.fields
        }
        return Batch(columns, self.n_rows)

    def to_arrow(self, schema: CollectionSchema) -> pa.RecordBatch:
        """The durable form: columns named by field id, in schema order."""
        arrays = [to_arrow(self.columns[f.id], f) for f in schema.fields]
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema.fields))

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch, schema: CollectionSchema) -> Batch:
        """The inverse of :meth:`to_arrow`; shares memory with ``batch``."""
        columns = {
            f.id: from_arrow(batch.column(i), f) for i, f in enumerate(schema.fields)
        }
        return cls(columns, batch.num_rows)


def column_name(field_id: int) -> str:
    """Name of a field's column in log and files: its id, since names may change."""
    return str(field_id)


@lru_cache(maxsize=256)
def _arrow_schema(key: tuple[tuple[int, pa.DataType], ...]) -> pa.Schema:
    return pa.schema([pa.field(column_name(i), arrow_type) for i, arrow_type in key])


def arrow_schema(fields: Iterable[FieldSchema]) -> pa.Schema:
    """The Arrow schema of the durable form of ``fields``."""
    return _arrow_schema(tuple((f.id, f.arrow_type) for f in fields))


def to_arrow(column: Column, field: FieldSchema) -> pa.Array:
    """A column of a field as an Arrow array, without copying a C-ordered matrix."""
    if isinstance(column, VectorColumn):
        return vectors_to_arrow(column, field.arrow_type)
    return column


def from_arrow(array: pa.Array, field: FieldSchema) -> Column:
    """The inverse of :func:`to_arrow`, without copying."""
    if field.is_vector:
        return vectors_from_arrow(array, field.width)
    return array


def take(column: Column, offsets: Offsets) -> Column:
    """The values at ``offsets``, in that order, as a new column."""
    if isinstance(column, VectorColumn):
        return column.take(offsets)
    return column.take(array_of(offsets))


def copied(array: pa.Array) -> pa.Array:
    """The same values in memory of their own, so that the source can be freed."""
    return pa.concat_arrays([array, array.slice(0, 0)]) if len(array) else array


def constant(field: FieldSchema, value: Any, n_rows: int) -> Column:
    """A column of ``n_rows`` times the same value (``None`` for null)."""
    if field.is_vector:
        return no_vectors(field.vector, field.dim or 0, n_rows)
    return repeated(value, n_rows, field.arrow_type)


def absent(field: FieldSchema, n_rows: int) -> Column:
    """What rows hold in a field that was added after they were written."""
    return constant(field, field.absent, n_rows)


def concat(columns: list[Column]) -> Column:
    """The columns one after another, as a new column."""
    if isinstance(columns[0], VectorColumn):
        return concat_vectors(columns)
    return pa.concat_arrays(columns)
