"""Partial updates: columns that a user gives, over the rows that there are.

The columns are checked before anything is read. They are merged with the newest rows of
their keys where no write can come between reading and logging
(:meth:`elanus.engine.shard.LocalShard.write_after_reading`), and the record that comes
of it is an upsert like any other: log and files know nothing of partial updates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from elanus.clock import HybridClock
from elanus.engine.version import Version, gather
from elanus.engine.write.array_ops import FieldOp, appended, removed
from elanus.engine.write.ingest import (
    Columns,
    Writing,
    absent,
    check_length,
    dynamic_column,
    dynamic_rows,
    present,
    record_of,
    row_count,
    split_columns,
    with_defaults,
)
from elanus.engine.write.records import RowsRecord
from elanus.errors import InvalidParameter
from elanus.schema.codecs import encode
from elanus.schema.columns import Column, Offsets, concat, take
from elanus.schema.schema import DYNAMIC_FIELD, CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import no_vectors
from elanus.segment.keys import Keys

FieldOps = Mapping[str, FieldOp]


@dataclass(frozen=True, slots=True)
class PartialRows:
    """The columns of a partial update, checked.

    Attributes:
        given: columns by field id; of arrays with an operation, what it works with.
        dynamic: what is given of the dynamic field, by row; ``None`` for nothing.
        ops: operations by field id, ``REPLACE`` left out.
    """

    schema: CollectionSchema
    given: Mapping[int, Column]
    dynamic: list[dict[str, Any]] | None
    ops: Mapping[int, FieldOp]
    keys: Keys
    n_rows: int


@dataclass(frozen=True, slots=True)
class _Found:
    """The newest rows of keys in a version, in the order of the keys.

    Attributes:
        places: (n_rows,) position of the key's row among those found, -1 for none.
        parts, offsets: where each found row lies: view, and row offset in its segment.
    """

    version: Version
    places: npt.NDArray[np.int64]
    parts: Offsets
    offsets: Offsets

    def column(self, field: FieldSchema) -> Column:
        """The field's stored values, one per row found."""
        if not len(self.parts):
            return encode(field, _no_values(field))
        return gather(self.version.views, self.parts, self.offsets, field.id)

    @property
    def missing(self) -> Offsets:
        """The rows whose key there is not yet."""
        return np.flatnonzero(self.places < 0)


def partial_rows(
    schema: CollectionSchema, columns: Columns, ops: FieldOps
) -> PartialRows:
    """Check the columns of a partial update.

    Args:
        columns: values by field name, the primary key's among them; other names are
            keys of the dynamic field.
        ops: what to do with a field's values other than storing them.

    Raises:
        InvalidParameter: a column is unknown, of another length or holds a value its
            field does not take; or an operation does not fit its field.
    """
    n_rows = row_count(columns)
    chosen = {name: op for name, op in ops.items() if op is not FieldOp.REPLACE}
    _check_ops(schema, columns, chosen)
    if schema.structs:
        raise InvalidParameter(
            "partial upsert is not supported for collections with struct array fields"
        )
    known, extra = split_columns(schema, columns)
    primary = schema.primary
    if primary.name not in known:
        raise InvalidParameter(
            f"must assign pk when upsert, primary field: {primary.name}"
        )
    given: dict[int, Column] = {}
    for field in schema.given:
        if field.name not in known:
            continue
        if field.name in chosen:
            column = _payload(field, known[field.name], chosen[field.name])
        else:
            column = present(field, known[field.name], takes_ids=True)
        check_length(field.name, len(column), n_rows)
        given[field.id] = column
    keys = given[primary.id]
    assert isinstance(keys, pa.Array)
    return PartialRows(
        schema,
        given,
        dynamic_rows(known.get(DYNAMIC_FIELD), extra, n_rows, frozenset()),
        {schema.by_name[name].id: op for name, op in chosen.items()},
        Keys.of(keys),
        n_rows,
    )


def merged_record(
    rows: PartialRows,
    version: Version,
    clock: HybridClock,
    *,
    partitions: Sequence[int],
    read: frozenset[int] | None,
) -> RowsRecord:
    """The upsert that a partial update comes to.

    Args:
        version: the rows there are; none may be written before the record is.
        partitions: where the rows go, by their partition key if there is one.
        read: partitions whose rows are updated; ``None`` for all. Keys that have no row
            there are new.

    Raises:
        InvalidParameter: a new row lacks a field that has to be given.
        ArrayTooLong: an array would grow beyond its field's capacity.
    """
    found = _find(version, rows.keys, read)
    merged: dict[int, Column] = {}
    for field in rows.schema.given:
        if field.id in rows.ops:
            merged[field.id] = _operated(field, rows, found)
        elif field.id in rows.given:
            merged[field.id] = rows.given[field.id]
        else:
            merged[field.id] = _kept(field, found, clock)
    if rows.schema.dynamic is not None:
        field = rows.schema.dynamic
        merged[field.id] = _with_keys(field, rows, found)
    writing = Writing(partitions, upsert=True)
    return record_of(rows.schema, merged, rows.n_rows, clock, writing)


def _check_ops(schema: CollectionSchema, columns: Columns, ops: FieldOps) -> None:
    for name, op in ops.items():
        field = schema.by_name.get(name)
        if field is None:
            raise InvalidParameter(f'field "{name}" not found in collection schema')
        if field.is_primary:
            raise InvalidParameter(
                f'field "{name}" is the primary key and cannot carry a partial-update '
                f"op"
            )
        if field.dtype is not DataType.ARRAY:
            raise InvalidParameter(
                f'op {op.name} requires Array field, but field "{name}" is '
                f"{field.dtype.row.name}"
            )
        if name not in columns:
            raise InvalidParameter(
                f'partial-update op targets field "{name}" not present in fields_data'
            )


def _payload(field: FieldSchema, values: Any, op: FieldOp) -> pa.Array:
    """What an operation works with: a list per row, null where it does nothing."""
    unlimited = replace(field, max_capacity=None)
    column = encode(unlimited, values)
    assert isinstance(column, pa.Array)
    if op is FieldOp.ARRAY_APPEND and field.max_capacity is not None:
        for row, elements in enumerate(column):
            if elements.is_valid and len(elements) > field.max_capacity:
                raise InvalidParameter(
                    f'ARRAY_APPEND payload for field "{field.name}" row {row} has '
                    f"length {len(elements)} exceeding max_capacity "
                    f"{field.max_capacity}"
                )
    return column


def _find(version: Version, keys: Keys, read: frozenset[int] | None) -> _Found:
    live = version.partitions if read is None else read & version.partitions
    part_of = np.full(len(keys), -1, np.int64)
    offset_of = np.zeros(len(keys), np.int64)
    for position, view in enumerate(version.views):
        which, offsets = view.segment.find(keys, view.n_rows)
        mask = version.visible(position, live)
        if mask is not None:
            shown = mask[offsets]
            which, offsets = which[shown], offsets[shown]
        part_of[which], offset_of[which] = position, offsets
    there = part_of >= 0
    places = np.where(there, np.cumsum(there) - 1, -1)
    return _Found(version, places, part_of[there], offset_of[there])


def _kept(field: FieldSchema, found: _Found, clock: HybridClock) -> Column:
    """A field that is not given: as it is, or as new rows without it get it."""
    n_missing = len(found.missing)
    if not n_missing:
        return found.column(field)
    filler = absent(field, n_missing, clock, upsert=True)
    if n_missing == len(found.places):
        return filler
    order = found.places.copy()
    order[found.missing] = len(found.parts) + np.arange(n_missing)
    return take(concat([found.column(field), filler]), order)


def _operated(field: FieldSchema, rows: PartialRows, found: _Found) -> Column:
    """An array field with its operation done; new rows get the payload."""
    payload = rows.given[field.id]
    stored = found.column(field)
    assert isinstance(payload, pa.Array) and isinstance(stored, pa.Array)
    order = np.where(found.places < 0, len(stored), found.places)
    stored = pa.concat_arrays([stored, pa.nulls(1, field.arrow_type)])
    stored = take(stored, order)
    change = appended if rows.ops[field.id] is FieldOp.ARRAY_APPEND else removed
    result = change(field, stored, payload)
    if len(found.missing):
        own = np.arange(rows.n_rows)
        own[found.missing] += rows.n_rows
        result = take(pa.concat_arrays([result, payload]), own)
    return with_defaults(field, result)


def _with_keys(field: FieldSchema, rows: PartialRows, found: _Found) -> Column:
    """The dynamic field: keys that are given replace those of the same name."""
    merged: list[dict[str, Any]] = [{} for _ in range(rows.n_rows)]
    stored = found.column(field)
    assert isinstance(stored, pa.Array)
    texts = stored.to_pylist()
    for i, place in enumerate(found.places.tolist()):
        if place >= 0 and texts[place]:
            merged[i] = orjson.loads(texts[place])
    if rows.dynamic is not None:
        for row, values in zip(merged, rows.dynamic, strict=True):
            row.update(values)
    return dynamic_column(field, merged)


def _no_values(field: FieldSchema) -> Any:
    if field.is_vector:
        return no_vectors(field.vector, field.dim or 0)
    return pa.nulls(0, field.arrow_type)
