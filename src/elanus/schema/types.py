"""One row per data type: what it is called, how it is stored, where it may stand.

Every other part (checks, codecs, files, wire, docs) reads this table. To add a type,
add its row here and its codec in :mod:`elanus.schema.codecs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa


class DataType(IntEnum):
    """Milvus' type numbers, as they travel on the wire."""

    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    FLOAT_VECTOR = 101

    @property
    def row(self) -> TypeRow:
        """This type's row in the table."""
        return TYPES[self]

    @property
    def is_vector(self) -> bool:
        """Whether values are vectors, kept as NumPy matrices."""
        return TYPES[self].is_vector

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return TYPES[self].family == "integer"

    @property
    def is_floating(self) -> bool:
        """Whether values are Float or Double."""
        return TYPES[self].family == "floating"

    @property
    def is_numeric(self) -> bool:
        """Whether arithmetic is defined on values."""
        return TYPES[self].family in ("integer", "floating")


@dataclass(frozen=True, slots=True)
class TypeRow:
    """What the rest of the system may know about one data type.

    Attributes:
        name: Milvus' spelling in messages ("Int64").
        family: bool, integer, floating, string, json, array or vector.
        arrow: storage type of a scalar column; for arrays and vectors a placeholder,
            since it depends on the field (see ``arrow_type`` of the field).
        numpy: dtype of the values where they are fixed-width.
        can_be_pk, can_be_partition_key, can_default, can_be_nullable,
        can_be_element: where Milvus allows the type.
    """

    name: str
    family: str
    arrow: pa.DataType | None
    numpy: np.dtype[Any] | None = None
    can_be_pk: bool = False
    can_be_partition_key: bool = False
    can_default: bool = False
    can_be_nullable: bool = True
    can_be_element: bool = False

    @property
    def is_vector(self) -> bool:
        """Whether values are vectors."""
        return self.family == "vector"


def _number(name: str, family: str, arrow: pa.DataType, **roles: bool) -> TypeRow:
    dtype = np.dtype(arrow.to_pandas_dtype())
    return TypeRow(
        name, family, arrow, dtype, can_default=True, can_be_element=True, **roles
    )


TYPES: dict[DataType, TypeRow] = {
    DataType.BOOL: _number("Bool", "bool", pa.bool_()),
    DataType.INT8: _number("Int8", "integer", pa.int8()),
    DataType.INT16: _number("Int16", "integer", pa.int16()),
    DataType.INT32: _number("Int32", "integer", pa.int32()),
    DataType.INT64: _number(
        "Int64", "integer", pa.int64(), can_be_pk=True, can_be_partition_key=True
    ),
    DataType.FLOAT: _number("Float", "floating", pa.float32()),
    DataType.DOUBLE: _number("Double", "floating", pa.float64()),
    DataType.VARCHAR: TypeRow(
        "VarChar",
        "string",
        pa.large_string(),
        can_be_pk=True,
        can_be_partition_key=True,
        can_default=True,
        can_be_element=True,
    ),
    DataType.ARRAY: TypeRow("Array", "array", None),
    DataType.JSON: TypeRow("JSON", "json", pa.large_binary()),
    DataType.FLOAT_VECTOR: TypeRow(
        "FloatVector", "vector", None, np.dtype("<f4"), can_be_nullable=False
    ),
}
