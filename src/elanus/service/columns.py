"""Columns of a write, compared with the schema before anything is done with them.

The checks come in Milvus' order and with its texts. What depends on single values
(lengths, ranges, NaN) is left to the engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from elanus.errors import InvalidParameter
from elanus.schema.schema import DYNAMIC_FIELD, CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn, single_vectors
from elanus.service.requests import ColumnData, Insert

# Clients send lists of numbers as float32, whatever the field keeps of them.
_ALSO = {
    DataType.FLOAT16_VECTOR: "float_vector",
    DataType.BFLOAT16_VECTOR: "float_vector",
}
_UNNAMED = frozenset({"bool", "integer", "floating"})


def checked_columns(
    schema: CollectionSchema,
    request: Insert,
    *,
    upsert: bool,
    takes_ids: bool = True,
    is_partial: bool = False,
) -> dict[str, Any]:
    """Values by field name, as the engine takes them.

    Args:
        takes_ids: whether ids may be given where they would be made.
        is_partial: whether columns may be absent that a row has to have.

    Raises:
        InvalidParameter: a column is missing, unknown, there twice, of another type or
            of another length.
    """
    n_rows = request.n_rows
    if n_rows <= 0:
        raise InvalidParameter(
            "num_rows should be greater than 0",
            expected="invalid num_rows",
            actual=n_rows,
        )
    columns = _by_name(schema, request.columns)
    _check_key(schema, columns, upsert=upsert, takes_ids=takes_ids)
    if not is_partial:
        _check_present(schema, columns)
    checked: dict[str, Any] = {}
    for name, column in columns.items():
        field = schema.by_name[name]
        _check_payload(field, column)
        _check_rows(field, column, n_rows)
        checked[name] = column.values
    if not checked:  # all columns are completed: by ids, defaults and nulls
        raise InvalidParameter("the request holds no column")
    return checked


def _by_name(
    schema: CollectionSchema, columns: tuple[ColumnData, ...]
) -> dict[str, ColumnData]:
    named: dict[str, ColumnData] = {}
    for column in columns:
        name = DYNAMIC_FIELD if column.is_dynamic else column.name
        if name in named:
            raise InvalidParameter(f"duplicated field {name} found")
        named[name] = column
    for name, column in named.items():
        if name not in schema.by_name:
            raise InvalidParameter(
                f"fieldName {name} not exist in collection schema, fieldType "
                f"{_type_name(column.type_number)}, fieldId 0"
            )
    return named


def _type_name(number: int) -> str:
    try:
        return DataType(number).row.name
    except ValueError:
        return str(number)


def _check_key(
    schema: CollectionSchema,
    columns: dict[str, ColumnData],
    *,
    upsert: bool,
    takes_ids: bool,
) -> None:
    primary = schema.primary
    if upsert and primary.name not in columns:
        raise InvalidParameter(
            f"must assign pk when upsert, primary field: {primary.name}"
        )
    if not takes_ids and primary.auto_id and primary.name in columns:
        needed = len(schema.visible) - 1
        raise InvalidParameter(
            "more fieldData has pass in", expected=needed, actual=needed + 1
        )


def _check_present(schema: CollectionSchema, columns: dict[str, ColumnData]) -> None:
    for field in schema.visible:
        is_made = field.auto_id or field.nullable or field.default is not None
        if field.name not in columns and not is_made:
            raise InvalidParameter(
                f"fieldSchema({field.name}) has no corresponding fieldData pass in"
            )


def _check_payload(field: FieldSchema, column: ColumnData) -> None:
    row = field.dtype.row
    if column.values is not None and column.slot in (row.slot, _ALSO.get(field.dtype)):
        return
    can_be_null = field.nullable or field.default is not None
    if column.values is not None and not column.slot and can_be_null:
        return  # every value is null, and the client has left the payload out
    if field.dtype is DataType.TIMESTAMPTZ and column.slot not in ("", row.slot):
        raise InvalidParameter("timestamptz field data must be a string array")
    got = "nil" if column.values is None or not column.slot else column.slot
    if row.vector is not None:
        what = needed = row.vector.spoken
    else:
        what = row.name.lower()
        needed = f"{row.slot.partition('_')[0]} array"
    kind = "" if row.family in _UNNAMED else f"{what} "
    raise InvalidParameter(
        f"{kind}field '{field.name}' is illegal, array type mismatch",
        expected=f"need {needed}",
        actual=f"got {got}",
    )


def _check_rows(field: FieldSchema, column: ColumnData, n_rows: int) -> None:
    values = column.values
    assert values is not None
    if isinstance(values, VectorColumn):
        _check_dim(field, column.slot, values)
        if values.valid is not None and not field.nullable:
            raise _wrong_validity(field, 0, len(values))
    elif _nulls(values) and not (field.nullable or field.default is not None):
        raise _wrong_validity(field, 0, len(values))
    if column.n_rows != n_rows:
        raise InvalidParameter(
            f"the num_rows ({column.n_rows}) of field ({field.name}) is not equal to "
            f"passed num_rows ({n_rows})",
            expected=n_rows,
            actual=column.n_rows,
        )


def _check_dim(field: FieldSchema, slot: str, column: VectorColumn) -> None:
    rows = single_vectors(column.rows)
    if not slot or rows is None or not len(rows):
        return
    per_value = 8 if rows.dtype == np.uint8 else 1
    dim = rows.shape[1] * per_value
    if dim == field.dim:
        return
    size = rows.size * per_value
    if field.dim and size % field.dim:
        what = f"length({size}) of {slot.removesuffix('_vector')} data"
        if per_value > 1:
            what = f"num({size}) of all bits"
        raise InvalidParameter(f"the {what} should divide the dim({field.dim})")
    raise InvalidParameter(
        f"the dim ({dim}) of field data({field.name}) is not equal to schema dim "
        f"({field.dim})",
        expected=field.dim,
        actual=dim,
    )


def _nulls(values: Any) -> int:
    return int(values.null_count)


def _wrong_validity(field: FieldSchema, expected: int, actual: int) -> InvalidParameter:
    return InvalidParameter(
        f"the length of valid_data of field({field.name}) is wrong",
        expected=expected,
        actual=actual,
    )
