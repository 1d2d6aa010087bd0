"""What a column of vectors is, for every type of vector, with nulls or without.

A :class:`VectorColumn` holds the vectors of those rows that have one, end to end, and
which rows those are: so they travel, so they lie in memory and on files, and so they
are searched. The vectors are a :data:`Matrix`, or :class:`SparseRows`; a column whose
rows are lists of vectors has :class:`VectorLists` in their place. Of a nullable
column row numbers and vector numbers differ: :attr:`VectorColumn.present` maps one to
the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.schema.arrays import array_of, values_of
from elanus.schema.sparse import SparseRows, concat_sparse
from elanus.schema.types import VectorRow
from elanus.schema.vector_lists import VectorLists, concat_lists

Matrix: TypeAlias = npt.NDArray[Any]
"""Vectors of one width, (n, width), C, in the dtype that their type is stored in."""

Offsets: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_ENTRY = pa.struct(
    [
        pa.field("index", pa.uint32(), nullable=False),
        pa.field("value", pa.float32(), nullable=False),
    ]
)
_FEW_VALUES = 1 << 18


VectorRows: TypeAlias = Matrix | SparseRows | VectorLists


@dataclass(frozen=True)
class VectorColumn:
    """A column of vectors.

    Attributes:
        rows: the vectors of the rows that have one, in order.
        valid: (n,) bool, which rows have one; ``None`` when all have.
    """

    rows: VectorRows
    valid: Mask | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.valid is None else len(self.valid)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rows.nbytes + (0 if self.valid is None else self.valid.nbytes)

    @property
    def null_count(self) -> int:
        """Rows without a vector."""
        return len(self) - len(self.rows)

    @cached_property
    def present(self) -> Offsets | None:
        """Row offset of each vector, ascending; ``None`` when every row has one."""
        return None if self.valid is None else np.flatnonzero(self.valid)

    @cached_property
    def _places(self) -> Offsets:
        """For each row, the number of its vector, or of the next."""
        assert self.valid is not None
        return np.cumsum(self.valid) - self.valid

    def take(self, offsets: Offsets) -> VectorColumn:
        """The rows at ``offsets``, in that order."""
        if self.valid is None:
            return VectorColumn(self.rows[offsets])
        valid = self.valid[offsets]
        return VectorColumn(self.rows[self._places[offsets[valid]]], valid)

    def __getitem__(self, rows: slice) -> VectorColumn:
        """The rows of a slice without a step, shared."""
        start, stop, _ = rows.indices(len(self))
        if self.valid is None:
            return VectorColumn(self.rows[start:stop])
        before = int(np.count_nonzero(self.valid[:start]))
        valid = self.valid[start:stop]
        end = before + int(np.count_nonzero(valid))
        return VectorColumn(self.rows[before:end], valid)


def vector_arrow_type(row: VectorRow, dim: int, *, is_nullable: bool) -> pa.DataType:
    """The durable form of a column: a matrix, or lists where their lengths differ."""
    if row.numpy is None:
        return pa.large_list(pa.field("item", _ENTRY, nullable=False))
    value = pa.from_numpy_dtype(row.numpy)
    if row.is_list:
        return pa.large_list(pa.list_(value, row.width(dim)))
    return pa.large_list(value) if is_nullable else pa.list_(value, row.width(dim))


def vectors_to_arrow(column: VectorColumn, arrow_type: pa.DataType) -> pa.Array:
    """The durable form, without copying a C-ordered matrix."""
    rows = column.rows
    if pa.types.is_fixed_size_list(arrow_type):
        assert isinstance(rows, np.ndarray) and column.valid is None
        flat = array_of(rows.reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, type=arrow_type)
    if isinstance(rows, SparseRows):
        inside, entries = rows.lengths, rows.entries
        parts = [array_of(rows.indices[entries]), array_of(rows.values[entries])]
        flat = pa.StructArray.from_arrays(parts, fields=list(_ENTRY))
    elif isinstance(rows, VectorLists):
        inside = rows.lengths
        flat = pa.FixedSizeListArray.from_arrays(
            array_of(rows.vectors.reshape(-1)), type=arrow_type.value_type
        )
    else:
        inside = np.full(len(rows), rows.shape[1], np.int64)
        flat = array_of(rows.reshape(-1))
    lengths = inside
    known = None
    if column.valid is not None:
        lengths = np.zeros(len(column), np.int64)
        lengths[column.valid] = inside
        known = pa.py_buffer(np.packbits(column.valid, bitorder="little"))
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    buffers = [known, pa.py_buffer(ends)]
    return pa.Array.from_buffers(arrow_type, len(lengths), buffers, children=[flat])


def is_vectors(arrow_type: pa.DataType, row: VectorRow, dim: int) -> bool:
    """Whether an Arrow array is a column of such vectors in its durable form."""
    forms = (vector_arrow_type(row, dim, is_nullable=nulls) for nulls in (False, True))
    return any(arrow_type == form for form in forms)


def vectors_from_arrow(array: pa.Array, width: int) -> VectorColumn:
    """The inverse of :func:`vectors_to_arrow`, without copying.

    Args:
        width: values of a vector, where the lists do not say it.
    """
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        values = values_of(array.values)
        part = values[array.offset * width : (array.offset + len(array)) * width]
        return VectorColumn(part.reshape(-1, width))
    valid = _validity(array)
    ends = _ends(array)
    if pa.types.is_struct(array.type.value_type):
        entries = array.values
        indices, values = (values_of(entries.field(i)) for i in range(2))
        if valid is not None:
            ends = np.append(ends[:-1][valid], ends[-1:])
        return VectorColumn(SparseRows(ends, indices, values), valid)
    if pa.types.is_fixed_size_list(array.type.value_type):
        if valid is not None:
            ends = np.append(ends[:-1][valid], ends[-1:])
        matrix = vectors_from_arrow(array.values, width).rows
        assert isinstance(matrix, np.ndarray)
        return VectorColumn(VectorLists(ends, matrix), valid)
    flat = values_of(array.values)[ends[0] : ends[-1]]
    return VectorColumn(flat.reshape(-1, width), valid)


def concat_vectors(columns: Sequence[VectorColumn]) -> VectorColumn:
    """The columns one after another, as a new column."""
    valid = None
    if any(column.valid is not None for column in columns):
        valid = np.concatenate(
            [
                np.ones(len(column), np.bool_) if column.valid is None else column.valid
                for column in columns
            ]
        )
    return VectorColumn(concat_rows([column.rows for column in columns]), valid)


def concat_rows(parts: Sequence[VectorRows]) -> VectorRows:
    """Vectors of one type one after another."""
    sparse = [part for part in parts if isinstance(part, SparseRows)]
    if sparse:
        return concat_sparse(sparse)
    lists = [part for part in parts if isinstance(part, VectorLists)]
    if lists:
        return concat_lists(lists)
    return np.concatenate([p for p in parts if isinstance(p, np.ndarray)])


def single_vectors(rows: VectorRows) -> Matrix | None:
    """The vectors that are compared with each other; ``None`` where there is no matrix.

    Of lists, those of every row end to end.
    """
    if isinstance(rows, VectorLists):
        return rows.vectors
    return rows if isinstance(rows, np.ndarray) else None


def one_by_one(rows: VectorRows) -> VectorRows:
    """The vectors that an index numbers: of lists, those of every row end to end."""
    return rows.vectors if isinstance(rows, VectorLists) else rows


def no_vectors(row: VectorRow, dim: int, n_nulls: int | None = None) -> VectorColumn:
    """A column without a vector: of no rows, or of nulls only."""
    rows: VectorRows = SparseRows.empty()
    if row.numpy is not None:
        rows = np.empty((0, row.width(dim)), row.numpy)
        if row.is_list:
            rows = VectorLists(np.zeros(1, np.int64), rows)
    return VectorColumn(rows, None if n_nulls is None else np.zeros(n_nulls, np.bool_))


def as_floats(matrix: Matrix) -> npt.NDArray[np.float32]:
    """Stored values as float32, exactly; a float32 matrix as it is."""
    if matrix.dtype == np.float32:
        return matrix
    if matrix.dtype == np.uint16:
        wide = np.empty(matrix.shape, np.uint32)
        np.left_shift(matrix, 16, out=wide, dtype=np.uint32)
        return wide.view(np.float32)
    return matrix.astype(np.float32)


def from_floats(matrix: npt.NDArray[Any], dtype: np.dtype[Any]) -> Matrix:
    """Numbers rounded to stored values, to nearest and ties to even; C.

    What is too large for the stored type becomes infinite.
    """
    with np.errstate(over="ignore"):
        if dtype != np.uint16:
            return np.ascontiguousarray(matrix, dtype)
        bits = np.ascontiguousarray(matrix, np.float32).view(np.uint32)
    rounding = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    # the largest of the NaNs would overflow into a number
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    halves = ((bits + rounding) >> np.uint32(16)).astype(np.uint16)
    halves[is_nan] = 0x7FC0
    return halves


def first_unfit(matrix: Matrix) -> float | None:
    """The first value that is NaN or infinite, if any."""
    if matrix.dtype.kind == "i" or matrix.dtype == np.uint8 or not matrix.size:
        return None
    flat = matrix.reshape(-1)
    if matrix.dtype == np.float32:
        if flat.size > 4096:
            with np.errstate(over="ignore", invalid="ignore"):
                # one cheap pass: finite only if every value is, unless it overflows;
                # of numbers that begin at any byte, dot would make a copy first
                total = np.dot(flat, flat) if flat.flags.aligned else flat.sum()
                if np.isfinite(total):
                    return None
        bad = ~np.isfinite(flat)
    else:
        exponent = 0x7F80 if matrix.dtype == np.uint16 else 0x7C00
        bad = (flat.view(np.uint16) & np.uint16(exponent)) == exponent
    if not bad.any():
        return None
    first = int(bad.argmax())
    return float(as_floats(flat[first : first + 1])[0])


def rows_per_chunk(width: int) -> int:
    """How many vectors to bring to float32 at a time: about what a cache holds."""
    return max(1, _FEW_VALUES // max(1, width))


def _validity(array: pa.Array) -> Mask | None:
    bits = array.buffers()[0]
    if bits is None:
        return None
    end = array.offset + len(array)
    unpacked = np.unpackbits(np.frombuffer(bits, "u1"), count=end, bitorder="little")
    return unpacked[array.offset :].view(np.bool_)


def _ends(array: pa.Array) -> Offsets:
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros(1, np.int64)
    return np.frombuffer(buffer, np.int64, len(array) + 1, 8 * array.offset)
