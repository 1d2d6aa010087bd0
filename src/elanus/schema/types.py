"""One row per data type: what it is called, how it is stored, where it may stand.

Every other part (checks, codecs, files, wire, docs) reads this table. To add a type,
add its row here and its codec in :mod:`elanus.schema.codecs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.schema import limits


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
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    ARRAY_OF_VECTOR = 106

    @property
    def row(self) -> TypeRow:
        """This type's row in the table."""
        return TYPES[self]

    @property
    def is_vector(self) -> bool:
        """Whether values are vectors, or lists of some, kept as
        :mod:`elanus.schema.vectors` has it.
        """
        return TYPES[self].is_vector

    @property
    def vector(self) -> VectorRow:
        """What is special to vectors of this type; only of a type of single vectors.

        Of a field, see :attr:`FieldSchema.vector`.
        """
        row = TYPES[self].vector
        assert row is not None
        return row

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

    @property
    def has_order(self) -> bool:
        """Whether values have a least and a greatest, and rows an order by them."""
        return TYPES[self].family in ("integer", "floating", "string", "time")


@dataclass(frozen=True, slots=True)
class VectorRow:
    """What the rest of the system may know about one type of vector.

    Attributes:
        slot: name of its payload on the wire; messages also spell it with blanks.
        numpy: dtype of one stored value. It alone tells how values become numbers:
            ``<u2`` are the upper halves of float32, ``u1`` eight bits each; ``None``
            for a sparse vector, which has no matrix.
        metrics: names of the metrics that compare it, the default first.
        dims_per_value: dimensions in one stored value.
        dim_max: the most dimensions.
        is_sparse: rows hold (index, value) pairs, and there is no dimension.
        is_list: rows hold any number of such vectors.
    """

    slot: str
    numpy: np.dtype[Any] | None
    metrics: tuple[str, ...]
    dims_per_value: int = 1
    dim_max: int = limits.DIM_MAX
    is_sparse: bool = False
    is_list: bool = False

    @property
    def listed(self) -> VectorRow:
        """The same of a field whose rows hold lists of such vectors."""
        lists = tuple(f"MAX_SIM_{metric}" for metric in self.metrics)
        also = ("MAX_SIM",) if "COSINE" in self.metrics else ()
        metrics = (*lists, *also, *self.metrics)
        return replace(self, metrics=metrics, is_list=True)

    @property
    def spoken(self) -> str:
        """How messages call it: "float vector"."""
        return self.slot.replace("_", " ")

    def width(self, dim: int) -> int:
        """Stored values of a vector of ``dim`` dimensions."""
        return dim // self.dims_per_value

    def nbytes(self, dim: int) -> int:
        """Bytes of a vector of ``dim`` dimensions, as stored and as sent."""
        return 0 if self.numpy is None else self.width(dim) * self.numpy.itemsize


@dataclass(frozen=True, slots=True)
class TypeRow:
    """What the rest of the system may know about one data type.

    Attributes:
        name: Milvus' spelling in messages ("Int64").
        family: bool, integer, floating, string, text, time, json, geometry, array,
            vector or vectors (lists of them); types of one family have one codec.
        slot: name of the payload that columns have on the wire.
        arrow: storage type of a scalar column; for arrays and vectors a placeholder,
            since it depends on the field (see ``arrow_type`` of the field).
        numpy: dtype of the values of a scalar where they are fixed-width.
        can_be_pk, can_be_partition_key, can_default, can_be_element: where Milvus
            allows the type.
        default_slot: name of a default value's payload on the wire; empty for none.
        vector: what is special to a vector; ``None`` for a scalar.
    """

    name: str
    family: str
    slot: str
    arrow: pa.DataType | None
    numpy: np.dtype[Any] | None = None
    can_be_pk: bool = False
    can_be_partition_key: bool = False
    can_be_element: bool = False
    default_slot: str = ""
    vector: VectorRow | None = None

    @property
    def is_vector(self) -> bool:
        """Whether values are vectors, or lists of some."""
        return self.family in ("vector", "vectors")

    @property
    def can_default(self) -> bool:
        """Whether a field of this type may have a default value."""
        return bool(self.default_slot)


def _number(
    name: str, family: str, slot: str, arrow: pa.DataType, *, is_key: bool = False
) -> TypeRow:
    dtype = np.dtype(arrow.to_pandas_dtype())
    return TypeRow(
        name,
        family,
        slot,
        arrow,
        dtype,
        can_be_element=True,
        can_be_pk=is_key,
        can_be_partition_key=is_key,
        default_slot=slot,
    )


def _vector(name: str, vector: VectorRow) -> TypeRow:
    return TypeRow(name, "vector", vector.slot, None, vector=vector)


_OF_NUMBERS = ("COSINE", "L2", "IP")

TYPES: dict[DataType, TypeRow] = {
    DataType.BOOL: _number("Bool", "bool", "bool_data", pa.bool_()),
    DataType.INT8: _number("Int8", "integer", "int_data", pa.int8()),
    DataType.INT16: _number("Int16", "integer", "int_data", pa.int16()),
    DataType.INT32: _number("Int32", "integer", "int_data", pa.int32()),
    DataType.INT64: _number("Int64", "integer", "long_data", pa.int64(), is_key=True),
    DataType.FLOAT: _number("Float", "floating", "float_data", pa.float32()),
    DataType.DOUBLE: _number("Double", "floating", "double_data", pa.float64()),
    DataType.VARCHAR: TypeRow(
        "VarChar",
        "string",
        "string_data",
        pa.large_string(),
        can_be_pk=True,
        can_be_partition_key=True,
        can_be_element=True,
        default_slot="string_data",
    ),
    DataType.ARRAY: TypeRow("Array", "array", "array_data", None),
    DataType.JSON: TypeRow("JSON", "json", "json_data", pa.large_binary()),
    DataType.GEOMETRY: TypeRow(
        "Geometry",
        "geometry",
        "geometry_wkt_data",
        pa.large_binary(),
        default_slot="string_data",
    ),
    DataType.TEXT: TypeRow("Text", "text", "string_data", pa.large_string()),
    DataType.TIMESTAMPTZ: TypeRow(
        "Timestamptz",
        "time",
        "string_data",
        pa.int64(),
        np.dtype("<i8"),
        default_slot="string_data",
    ),
    DataType.BINARY_VECTOR: _vector(
        "BinaryVector",
        VectorRow(
            "binary_vector",
            np.dtype("u1"),
            ("HAMMING", "JACCARD"),
            dims_per_value=8,
            dim_max=limits.BINARY_DIM_MAX,
        ),
    ),
    DataType.FLOAT_VECTOR: _vector(
        "FloatVector", VectorRow("float_vector", np.dtype("<f4"), _OF_NUMBERS)
    ),
    DataType.FLOAT16_VECTOR: _vector(
        "Float16Vector", VectorRow("float16_vector", np.dtype("<f2"), _OF_NUMBERS)
    ),
    DataType.BFLOAT16_VECTOR: _vector(
        "BFloat16Vector", VectorRow("bfloat16_vector", np.dtype("<u2"), _OF_NUMBERS)
    ),
    DataType.SPARSE_FLOAT_VECTOR: _vector(
        "SparseFloatVector",
        VectorRow("sparse_float_vector", None, ("IP", "BM25"), is_sparse=True),
    ),
    DataType.INT8_VECTOR: _vector(
        "Int8Vector", VectorRow("int8_vector", np.dtype("i1"), _OF_NUMBERS)
    ),
    DataType.ARRAY_OF_VECTOR: TypeRow("ArrayOfVector", "vectors", "vector_array", None),
}
