"""From the columns a user gives to a record for the log: checked, completed, complete.

Nothing is written here, so a request that fails leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from elanus.clock import HybridClock
from elanus.engine.routing import places
from elanus.engine.write.records import DeleteRecord, RowsRecord
from elanus.engine.write.struct_rows import check_structs, without_structs
from elanus.errors import InvalidParameter
from elanus.functions.bm25 import outputs
from elanus.schema import limits
from elanus.schema.arrays import array_of, repeated
from elanus.schema.codecs import encode, json_bytes
from elanus.schema.columns import Batch, Column, constant
from elanus.schema.schema import DYNAMIC_FIELD, CollectionSchema, FieldSchema
from elanus.segment.keys import Keys

Columns = Mapping[str, Any]

_JSON_KINDS = {
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
}


@dataclass(frozen=True, slots=True)
class Writing:
    """How rows are to be written.

    Attributes:
        partitions: ids of the partitions to spread them over; one, unless the schema
            has a partition key.
        takes_ids: whether ids may be given where they would be made.
    """

    partitions: Sequence[int]
    upsert: bool = False
    takes_ids: bool = False


def rows_record(
    schema: CollectionSchema,
    columns: Columns,
    clock: HybridClock,
    writing: Writing,
) -> RowsRecord:
    """Check the columns and complete them with ids, defaults, nulls and ``$meta``.

    Args:
        columns: values by field name; other names go into ``$meta`` where the schema
            is dynamic. Lists, NumPy arrays, pandas Series or Arrow arrays.

    Raises:
        InvalidParameter: a column is missing, unknown, of another length or holds a
            value its field does not take.
    """
    n_rows = row_count(columns)
    if schema.structs:
        columns = without_structs(schema, columns)
    known, extra = split_columns(schema, columns)
    encoded: dict[int, Column] = {}
    for f in schema.given:
        values = known.get(f.name)
        if values is None:
            encoded[f.id] = absent(f, n_rows, clock, upsert=writing.upsert)
        else:
            encoded[f.id] = present(f, values, takes_ids=writing.takes_ids)
    if schema.dynamic is not None:
        encoded[schema.dynamic.id] = _meta(schema, known, extra, n_rows)
    return record_of(schema, encoded, n_rows, clock, writing)


def record_of(
    schema: CollectionSchema,
    encoded: Mapping[int, Column],
    n_rows: int,
    clock: HybridClock,
    writing: Writing,
) -> RowsRecord:
    """The record of a complete set of columns.

    Where ids are made, the rows of an upsert get new ones: the keys that it names are
    those of the rows that go.

    Args:
        encoded: a column for every field that no function makes, by field id.

    Raises:
        InvalidParameter: columns of other lengths, too many bytes, or a key twice.
    """
    for f in schema.fields:
        if not f.is_function_output:
            check_length(f.name, len(encoded[f.id]), n_rows)
    if schema.functions:
        encoded = {**encoded, **outputs(schema, encoded, n_rows)}
    if schema.structs:
        check_structs(schema, encoded)
    batch = Batch(encoded, n_rows)
    if batch.is_larger_than(limits.INSERT_BYTES):
        raise InvalidParameter(
            f"one insert may hold {limits.INSERT_BYTES} bytes, this one has "
            f"{batch.nbytes}; split it"
        )
    primary = encoded[schema.primary.id]
    assert isinstance(primary, pa.Array)
    keys = Keys.of(primary)
    if writing.upsert and len(set(keys.values)) < n_rows:
        raise InvalidParameter(
            "duplicate primary keys are not allowed in the same batch"
        )
    key = schema.partition_key
    ids = writing.partitions
    place = ids[0] if key is None else places(encoded[key.id], ids)
    if not (writing.upsert and schema.primary.auto_id):
        return RowsRecord(schema, batch, keys, place, writing.upsert)
    made = made_ids(schema.primary, n_rows, clock)
    batch = Batch({**encoded, schema.primary.id: made}, n_rows)
    return RowsRecord(schema, batch, Keys.of(made), place, False, primary)


def delete_record(
    schema: CollectionSchema, keys: Any, partitions: frozenset[int] | None
) -> DeleteRecord:
    """Check primary keys to delete.

    Raises:
        InvalidParameter: they are not of the primary key's type.
    """
    column = encode(schema.primary, keys)
    assert isinstance(column, pa.Array)
    if column.null_count:
        raise InvalidParameter("a primary key to delete is null")
    return DeleteRecord(schema, column, Keys.of(column), partitions)


def row_count(columns: Columns) -> int:
    """How many rows the first column has.

    Raises:
        InvalidParameter: there is no column, or it has no rows.
    """
    if not columns:
        raise InvalidParameter(
            "num_rows should be greater than 0",
            expected="invalid num_rows",
            actual=0,
        )
    name, first = next(iter(columns.items()))
    if not _is_column(first):
        raise InvalidParameter(f"column '{name}' is not a list or array of values")
    if len(first) == 0:
        raise InvalidParameter(
            "num_rows should be greater than 0",
            expected="invalid num_rows",
            actual=0,
        )
    return len(first)


def _is_column(values: Any) -> bool:
    """Whether these are values in an order, neither one value nor a set of some."""
    if isinstance(values, str | bytes | Mapping | Set):
        return False
    return hasattr(values, "__len__") and getattr(values, "ndim", 1) > 0


def check_length(name: str, found: int, n_rows: int) -> None:
    """Raise unless a column has as many rows as the others.

    Raises:
        InvalidParameter: names the column.
    """
    if found != n_rows:
        raise InvalidParameter(
            f"the num_rows ({found}) of field ({name}) is not equal to passed "
            f"num_rows ({n_rows})",
            expected=n_rows,
            actual=found,
        )


def split_columns(
    schema: CollectionSchema, columns: Columns
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns that are fields, and those that are keys of the dynamic field.

    Raises:
        InvalidParameter: there is no such field, and no dynamic field.
    """
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, values in columns.items():
        if not isinstance(name, str):
            raise InvalidParameter(f"field name {name!r} is not a string")
        if name in schema.by_name:
            if schema.by_name[name].is_function_output:
                raise InvalidParameter("attempt to insert bm25 function output field")
            known[name] = values
        elif schema.dynamic is not None:
            extra[name] = values
        else:
            raise InvalidParameter(
                f"fieldName {name} not exist in collection schema, "
                f"fieldType {type(values).__name__}, fieldId 0"
            )
    return known, extra


def absent(
    field: FieldSchema, n_rows: int, clock: HybridClock, *, upsert: bool
) -> Column:
    """What a field holds in rows that do not name it: an id, its default, or null.

    Raises:
        InvalidParameter: it has to be given.
    """
    if field.auto_id and not upsert:
        return made_ids(field, n_rows, clock)
    if field.is_primary and upsert:
        raise InvalidParameter(
            f"must assign pk when upsert, primary field: {field.name}"
        )
    if field.default is not None or field.nullable:
        return constant(field, field.filling, n_rows)
    raise InvalidParameter(
        f"fieldSchema({field.name}) has no corresponding fieldData pass in"
    )


def made_ids(field: FieldSchema, n_rows: int, clock: HybridClock) -> pa.Array:
    """Ids that no row has: ascending, greater than all that were made before."""
    first = clock.reserve(n_rows)
    ids = array_of(np.arange(first, first + n_rows, dtype=np.int64))
    return ids.cast(field.arrow_type)


def present(field: FieldSchema, values: Any, *, takes_ids: bool) -> Column:
    """A column as it was given, checked; nulls become the field's default.

    Args:
        takes_ids: whether ids may be given where they would be made.

    Raises:
        InvalidParameter: a value is not of the field's kind.
    """
    if field.auto_id and not takes_ids:
        raise InvalidParameter(
            f"more fieldData has pass in: can not assign primary field data when auto "
            f"id enabled {field.name}"
        )
    return with_defaults(field, encode(field, values))


def with_defaults(field: FieldSchema, column: Column) -> Column:
    """The column with its nulls replaced by the field's default, if it has one.

    Raises:
        InvalidParameter: it holds nulls that the field does not take.
    """
    if not column.null_count:
        return column
    if field.default is not None:
        assert isinstance(column, pa.Array)
        return column.fill_null(repeated(field.filling, 1, field.arrow_type)[0])
    if not field.nullable:
        raise InvalidParameter(
            f"the length of valid_data of field({field.name}) is wrong: it is not "
            f"nullable and {column.null_count} values are null",
            expected=0,
            actual=column.null_count,
        )
    return column


def _meta(
    schema: CollectionSchema, known: dict[str, Any], extra: dict[str, Any], n_rows: int
) -> Column:
    """One JSON object per row from the columns that the schema does not name."""
    field = schema.dynamic
    assert field is not None
    taken = {f.name for f in schema.visible}
    rows = dynamic_rows(known.get(DYNAMIC_FIELD), extra, n_rows, taken)
    if rows is None:
        return constant(field, b"{}", n_rows)
    return dynamic_column(field, rows)


def dynamic_rows(
    given: Any, extra: Mapping[str, Any], n_rows: int, taken: Set[str]
) -> list[dict[str, Any]] | None:
    """The dynamic field's object of every row; ``None`` when no row has any.

    Args:
        given: values of the dynamic field itself, or ``None``.
        extra: columns of single keys by name; a null there is a key left out.
        taken: names that no key may have.

    Raises:
        InvalidParameter: a value is no object, or a key may not be called so.
    """
    if given is None and not extra:
        return None
    rows: list[dict[str, Any]] = [{} for _ in range(n_rows)]
    if given is not None:
        objects = _objects(given, taken)
        check_length(DYNAMIC_FIELD, len(objects), n_rows)
        for row, value in zip(rows, objects, strict=True):
            row.update(value)
    for name, values in extra.items():
        plain = _plain(values)
        check_length(name, len(plain), n_rows)
        for row, value in zip(rows, plain, strict=True):
            if value is not None:
                row[name] = value
    return rows


def dynamic_column(field: FieldSchema, rows: list[dict[str, Any]]) -> Column:
    """The dynamic field's column from one object per row.

    Raises:
        InvalidParameter: an object has no JSON form.
    """
    try:
        texts = [json_bytes(row) for row in rows]
    except (TypeError, ValueError) as error:
        raise InvalidParameter(
            f"invalid dynamic field data, only json map is supported: {error}"
        ) from error
    return encode(field, texts)


def _plain(values: Any) -> list[Any]:
    if not _is_column(values):
        raise InvalidParameter("a dynamic column is not a list or array of values")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        plain: list[Any] = values.to_pylist()
        return plain
    if hasattr(values, "isna"):  # a pandas Series, whose missing values may be NaN
        missing = values.isna().tolist()
        return [None if m else v for v, m in zip(values.tolist(), missing, strict=True)]
    if hasattr(values, "tolist"):
        return list(values.tolist())
    return list(values)


def _objects(values: Any, taken: Set[str]) -> list[dict[str, Any]]:
    """Values of the dynamic field; none of their keys may be the name of a field."""
    rows = []
    for value in _plain(values):
        if isinstance(value, bytes | str):
            try:
                value = orjson.loads(value)
            except ValueError as error:
                raise InvalidParameter(
                    f"invalid dynamic field data, only json map is supported: {error}"
                ) from error
        if value is None:
            value = {}
        if not isinstance(value, dict):
            kind = _JSON_KINDS.get(type(value), type(value).__name__)
            raise InvalidParameter(
                "invalid dynamic field data, only json map is supported: json: cannot "
                f"unmarshal {kind} into Go value of type map[string]interface {{}}"
            )
        if DYNAMIC_FIELD in value:
            raise InvalidParameter("cannot set json key to: $meta")
        if value and not taken.isdisjoint(value):
            name = next(key for key in value if key in taken)
            raise InvalidParameter(
                f"dynamic field name cannot include the static field name: {name}"
            )
        rows.append(value)
    return rows
