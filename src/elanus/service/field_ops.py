"""Operations of a partial update on single fields, compared with the schema."""

from __future__ import annotations

import pyarrow as pa

from elanus.engine.write.array_ops import FieldOp
from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service.columns import ELEMENTS_SENT
from elanus.service.requests import ColumnData, Upsert

_WIDE = {DataType.INT8: DataType.INT32, DataType.INT16: DataType.INT32}


def checked_ops(schema: CollectionSchema, request: Upsert) -> dict[str, FieldOp]:
    """What to do with the values of each field that has an operation.

    Raises:
        InvalidParameter: an operation is unknown, there twice, or gets no elements of
            its field's type.
    """
    ops: dict[str, FieldOp] = {}
    sent = {column.name: column for column in request.columns}
    for name, number in request.field_ops:
        if name in ops:
            raise InvalidParameter(f'duplicate partial-update op for field "{name}"')
        if number not in set(FieldOp):
            raise InvalidParameter(
                f'unsupported partial-update op {number} for field "{name}"'
            )
        ops[name] = FieldOp(number)
        field = schema.by_name.get(name)
        is_array = field is not None and field.dtype is DataType.ARRAY
        if is_array and name in sent and ops[name] is not FieldOp.REPLACE:
            assert field is not None
            _check_elements(field, sent[name])
    return ops


def _check_elements(field: FieldSchema, column: ColumnData) -> None:
    values = column.values
    if not column.slot or values is None:
        return  # null in every row
    if column.slot != "array_data" or not isinstance(values, pa.Array):
        raise InvalidParameter(
            f'partial-update op field "{field.name}" payload is not an Array'
        )
    found = ELEMENTS_SENT.get(values.type.value_type)
    element = field.element_type or DataType.INT64
    if found is not None and found is not _WIDE.get(element, element):
        raise InvalidParameter(
            f'field "{field.name}" expects element type {element.row.name} but request '
            f"provides {found.row.name}"
        )
