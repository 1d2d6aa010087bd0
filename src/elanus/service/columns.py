"""Columns of a write, compared with the schema before anything is done with them.

The checks come in Milvus' order and with its texts. What depends on single values
(lengths, ranges, NaN) is left to the engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

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
ELEMENTS_SENT = {
    pa.bool_(): DataType.BOOL,
    pa.int32(): DataType.INT32,
    pa.int64(): DataType.INT64,
    pa.float32(): DataType.FLOAT,
    pa.float64(): DataType.DOUBLE,
    pa.large_string(): DataType.VARCHAR,
}
"""What the elements of an array were sent as, by the Arrow type they came to."""


def named_columns(
    schema: CollectionSchema,
    request: Insert,
    *,
    upsert: bool,
    takes_ids: bool = True,
    is_partial: bool = False,
) -> dict[str, ColumnData]:
    """The columns of a request by field name: all that have to be there, no others.

    Args:
        takes_ids: whether ids may be given where they would be made.
        is_partial: whether columns may be absent that a row has to have.

    Raises:
        InvalidParameter: a column is missing, unknown or there twice.
    """
    if request.n_rows <= 0:
        raise InvalidParameter(
            "num_rows should be greater than 0",
            expected="invalid num_rows",
            actual=request.n_rows,
        )
    columns: dict[str, ColumnData] = {}
    for column in request.columns:
        name = DYNAMIC_FIELD if column.is_dynamic else column.name
        if name in columns:
            raise InvalidParameter(f"duplicated field {name} found")
        columns[name] = column
        if name in schema.by_name and schema.by_name[name].is_function_output:
            raise InvalidParameter("attempt to insert bm25 function output field")
    _check_key(schema, columns, upsert=upsert, takes_ids=takes_ids)
    if not is_partial:
        _check_present(schema, columns)
    _check_known(schema, columns)
    return columns


def column_values(
    schema: CollectionSchema, columns: dict[str, ColumnData], n_rows: int
) -> dict[str, Any]:
    """Values by field name, as the engine takes them.

    Raises:
        InvalidParameter: a column is of another type or of another length.
    """
    values: dict[str, Any] = {}
    for name, column in columns.items():
        field = schema.by_name[name]
        if field.dtype is DataType.TIMESTAMPTZ:
            _check_times(field, column, n_rows)
        _check_payload(field, column)
        _check_rows(field, column, n_rows)
        values[name] = column.values
    if not values:  # all columns are completed: by ids, defaults and nulls
        raise InvalidParameter("the request holds no column")
    return values


def _check_known(schema: CollectionSchema, columns: dict[str, ColumnData]) -> None:
    for name, column in columns.items():
        if name not in schema.by_name:
            raise InvalidParameter(
                f"fieldName {name} not exist in collection schema, fieldType "
                f"{_type_name(column.type_number)}, fieldId 0"
            )


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
        needed = len(schema.given) - 1
        raise InvalidParameter(
            "more fieldData has pass in", expected=needed, actual=needed + 1
        )


def _check_present(schema: CollectionSchema, columns: dict[str, ColumnData]) -> None:
    for field in schema.given:
        is_made = field.auto_id or field.nullable or field.default is not None
        if field.name not in columns and not is_made:
            raise InvalidParameter(
                f"fieldSchema({field.name}) has no corresponding fieldData pass in"
            )


def _check_times(field: FieldSchema, column: ColumnData, n_rows: int) -> None:
    """What Milvus finds when it reads the texts, before it looks at any column."""
    if column.slot not in ("", field.dtype.row.slot):
        raise InvalidParameter("timestamptz field data must be a string array")
    if not column.n_rows and not _can_be_null(field):
        raise _wrong_rows(field, 0, n_rows)


def _check_payload(field: FieldSchema, column: ColumnData) -> None:
    row = field.dtype.row
    is_sent = column.slot in (row.slot, _ALSO.get(field.dtype))
    if _can_be_null(field):
        # without a slot every value is null, and the client has left the payload out
        is_right = column.values is not None and (is_sent or not column.slot)
    else:
        is_right = is_sent and column.n_rows > 0
    if not is_right:
        raise _mismatch(field)
    if field.dtype is DataType.ARRAY:
        _check_elements(field, column)


def _can_be_null(field: FieldSchema) -> bool:
    return field.nullable or field.default is not None


def _mismatch(field: FieldSchema) -> InvalidParameter:
    row = field.dtype.row
    if row.vector is not None:
        what = needed = row.vector.spoken
    else:
        what = row.name.lower()
        needed = f"{_kind(field.dtype)} array"
    kind = "" if row.family in _UNNAMED else f"{what} "
    return InvalidParameter(
        f"{kind}field '{field.name}' is illegal, array type mismatch",
        expected=f"need {needed}",
        actual="got nil",
    )


def _check_elements(field: FieldSchema, column: ColumnData) -> None:
    """Raise unless the elements of an array are of the kind that its field has."""
    lists = column.values
    if not isinstance(lists, pa.LargeListArray) or not len(lists.values):
        return
    needed = _kind(field.element_type or DataType.INT64)
    sent = ELEMENTS_SENT.get(lists.type.value_type)
    if sent is not None and _kind(sent) != needed:
        raise InvalidParameter(
            "insert data does not match",
            expected=f"{needed} array",
            actual=f"{_kind(sent)} array",
        )


def _kind(dtype: DataType) -> str:
    """What messages call the payload of a type."""
    return dtype.row.slot.partition("_")[0]


def _check_rows(field: FieldSchema, column: ColumnData, n_rows: int) -> None:
    values = column.values
    assert values is not None
    if isinstance(values, VectorColumn):
        _check_dim(field, column.slot, values)
    n_flags = column.n_flags
    if n_flags and not _can_be_null(field) and not field.is_dynamic:
        raise _wrong_validity(field, 0, n_flags)
    if n_flags and n_flags != n_rows:
        raise _wrong_validity(field, n_rows, n_flags)
    if column.n_rows != n_rows:
        raise _wrong_rows(field, column.n_rows, n_rows)


def _wrong_rows(field: FieldSchema, actual: int, expected: int) -> InvalidParameter:
    return InvalidParameter(
        f"the num_rows ({actual}) of field ({field.name}) is not equal to passed "
        f"num_rows ({expected})",
        expected=expected,
        actual=actual,
    )


def _check_dim(field: FieldSchema, slot: str, column: VectorColumn) -> None:
    rows = single_vectors(column.rows)
    if not slot or rows is None or not len(rows):
        return
    per_value = 8 if rows.dtype == np.uint8 else 1
    dim = rows.shape[1] * per_value
    if dim == field.dim:
        return
    if field.dim and rows.size * per_value % field.dim:
        size = rows.size if slot == "float_vector" else rows.nbytes
        what = f"length({size}) of {slot.removesuffix('_vector')} data"
        if per_value > 1:
            what = f"num({rows.size * per_value}) of all bits"
        raise InvalidParameter(f"the {what} should divide the dim({field.dim})")
    raise InvalidParameter(
        f"the dim ({dim}) of field data({field.name}) is not equal to schema dim "
        f"({field.dim})",
        expected=field.dim,
        actual=dim,
    )


def _wrong_validity(field: FieldSchema, expected: int, actual: int) -> InvalidParameter:
    return InvalidParameter(
        f"the length of valid_data of field({field.name}) is wrong",
        expected=expected,
        actual=actual,
    )
