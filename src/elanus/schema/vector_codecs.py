"""From what a user gives to a checked column of vectors, of every type.

Rows may be sequences of numbers, matrices, Arrow lists, ``bytes`` as they travel, or
for sparse vectors mappings of index to value; ``None`` for null. Texts follow Milvus.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.errors import InvalidParameter
from elanus.schema.arrays import values_of
from elanus.schema.schema import FieldSchema
from elanus.schema.sparse import (
    SparseRows,
    check_sparse,
    sparse_from_bytes,
    sparse_from_values,
)
from elanus.schema.types import DataType
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import (
    Mask,
    Matrix,
    VectorColumn,
    VectorRows,
    as_floats,
    first_unfit,
    from_floats,
    is_vectors,
    vectors_from_arrow,
)


def encode_vectors(field: FieldSchema, values: Any) -> VectorColumn:
    """Check ``values`` against a field of vectors and return them as a column.

    Raises:
        InvalidParameter: a vector has the wrong type, dimension or a value that cannot
            be compared; the message names the field.
    """
    given, valid = _given(field, values)
    rows = checked_rows(field, given)
    if valid is not None and len(rows) != int(np.count_nonzero(valid)):
        raise InvalidParameter(
            "the length of field is wrong",
            expected=int(np.count_nonzero(valid)),
            actual=len(rows),
        )
    return VectorColumn(rows, valid)


def checked_rows(field: FieldSchema, given: Any) -> VectorRows:
    """Vectors without a null among them, as they are stored and compared.

    Raises:
        InvalidParameter: as :func:`encode_vectors`.
    """
    if field.is_vector_list:
        return checked_lists(field, given)
    if field.vector.is_sparse:
        rows = given if isinstance(given, SparseRows) else _sparse(field, given)
        check_sparse(rows)
        return rows
    matrix = _matrix(field, given)
    if matrix.ndim != 2:
        raise _mismatch(field, f"shape {matrix.shape}")
    stored = _stored(field, matrix)
    if stored.shape[1] != field.width:
        dim = stored.shape[1] * field.vector.dims_per_value
        raise InvalidParameter(
            f"the dim ({dim}) of field data({field.name}) is not equal to schema dim "
            f"({field.dim})",
            expected=field.dim,
            actual=dim,
        )
    unfit = first_unfit(stored)
    if unfit is not None:
        raise InvalidParameter(not_a_number(unfit))
    return stored


def query_rows(field: FieldSchema, given: Any) -> VectorRows:
    """One query or several as a search compares them: rounded as the field's rows are.

    Returns:
        (nq, dim) float32, C, for a field of numbers; otherwise as the field stores it.

    Raises:
        InvalidParameter: wrong shape or dimension, or a value that cannot be compared.
    """
    vector = field.vector
    if vector.is_list:
        return _query_lists(field, given)
    if vector.is_sparse:
        is_one = isinstance(given, dict | bytes)
        return checked_rows(field, [given] if is_one else given)
    if not isinstance(given, np.ndarray):
        given = _query_matrix(field, given)
    if given.ndim < 2:
        given = given.reshape(1, -1)
    width = given.shape[-1]
    if given.ndim != 2 or width != field.width:
        assert vector.numpy is not None
        raise InvalidParameter(
            f"vector dimension mismatch, expected vector size(byte) "
            f"{vector.nbytes(field.dim or 0)}, actual {width * vector.numpy.itemsize}."
        )
    stored = checked_rows(field, given)
    assert isinstance(stored, np.ndarray)
    return stored if stored.dtype == np.uint8 else as_floats(stored)


def one_of(field: FieldSchema) -> FieldSchema:
    """A field of single vectors, as those in the lists of a field are."""
    return FieldSchema(field.name, field.vector_type, field.id, dim=field.dim)


def checked_lists(field: FieldSchema, given: Any) -> VectorLists:
    """Lists of vectors as they are stored; none is null.

    Raises:
        InvalidParameter: as :func:`encode_vectors`; also for too long a list.
    """
    lists = given if isinstance(given, VectorLists) else _lists(field, given)
    longest = lists.lengths.max(initial=0)
    if field.max_capacity is not None and longest > field.max_capacity:
        row = int(lists.lengths.argmax())
        raise InvalidParameter(
            f"the length ({longest}) of array of vector field {field.name} exceeds max "
            f"capacity ({field.max_capacity}), row {row}",
            expected="valid length array",
            actual="array length exceeds max capacity",
        )
    if not len(lists.vectors):
        return VectorLists(np.zeros(len(lists) + 1, np.int64), _matrix(field, ()))
    stored = checked_rows(one_of(field), lists.vectors)
    assert isinstance(stored, np.ndarray)
    return VectorLists.of(lists.lengths, stored)


def _lists(field: FieldSchema, given: Any) -> VectorLists:
    """Rows of vectors in any form, end to end."""
    rows = list(given)
    if not all(hasattr(row, "__len__") for row in rows):
        raise _mismatch(field, type(given).__name__)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    matrices = [row for row in rows if len(row)]
    if matrices and all(isinstance(row, np.ndarray) for row in matrices):
        return VectorLists.of(lengths, np.concatenate(matrices))
    flat = _matrix(one_of(field), [vector for row in matrices for vector in row])
    return VectorLists.of(lengths, flat)


def _query_lists(field: FieldSchema, given: Any) -> VectorLists:
    if isinstance(given, np.ndarray) and given.ndim == 2:
        given = [given]
    lists = given if isinstance(given, VectorLists) else _lists(field, given)
    if not lists.lengths.all():
        raise InvalidParameter("a query of embeddings is empty")
    vectors = query_rows(one_of(field), lists.vectors)
    assert isinstance(vectors, np.ndarray)
    return VectorLists.of(lists.lengths, vectors)


def _query_matrix(field: FieldSchema, given: Any) -> Matrix:
    """Queries in any form but an array as one."""
    if isinstance(given, bytes):
        given = [given]
    is_list = isinstance(given, list | tuple)
    if is_list and given and all(isinstance(row, bytes) for row in given):
        dtype = field.vector.numpy
        if len({len(row) for row in given}) == 1:
            return np.frombuffer(b"".join(given), dtype).reshape(len(given), -1)
    try:
        matrix = np.asarray(given)
        if matrix.dtype.kind == "O":
            matrix = np.asarray(given, np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(
            f"a query is not a vector of numbers: {error}"
        ) from error
    return matrix


def not_a_number(value: float) -> str:
    """What is said of a value that is NaN or infinite."""
    name = "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return f"value '{name}' is not a number or infinity"


def _mismatch(field: FieldSchema, got: object) -> InvalidParameter:
    spoken = field.vector.spoken
    return InvalidParameter(
        f"{spoken} field '{field.name}' is illegal, array type mismatch",
        expected=f"need {spoken}",
        actual=f"got {got}",
    )


def _given(field: FieldSchema, values: Any) -> tuple[Any, Mask | None]:
    """The vectors that are there, and which rows they are of."""
    if isinstance(values, VectorColumn):
        return values.rows, values.valid
    if isinstance(values, pa.Array):
        return _from_arrow(field, values)
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return values, None
    if hasattr(values, "to_list"):  # a pandas Series of vectors
        values = [None if _is_missing(value) else value for value in values.to_list()]
    if isinstance(values, str | bytes | dict | Set) or not hasattr(values, "__iter__"):
        raise _mismatch(field, type(values).__name__)
    rows = list(values)
    n_nulls = sum(value is None for value in rows)
    if not n_nulls:
        return rows, None
    valid = np.fromiter((value is not None for value in rows), np.bool_, len(rows))
    return [value for value in rows if value is not None], valid


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _from_arrow(field: FieldSchema, array: pa.Array) -> tuple[Any, Mask | None]:
    valid = None
    if array.null_count:
        valid = np.array(array.is_valid().to_pylist(), np.bool_)
        array = array.drop_null()
    kind, vector = array.type, field.vector
    if is_vectors(kind, vector, field.dim or 0) and _is_even(array, field):
        return vectors_from_arrow(array, field.width).rows, valid
    if field.is_vector_list:
        return array.to_pylist(), valid
    if pa.types.is_fixed_size_list(kind) and _is_number(kind.value_type):
        flat = values_of(array.flatten())
        return flat.reshape(len(array), kind.list_size), valid
    rows = array.to_pylist()
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list and not vector.is_sparse and len(set(map(len, rows))) > 1:
        raise InvalidParameter(
            f"the length({sum(map(len, rows))}) of float data should divide the "
            f"dim({field.dim})"
        )
    return rows, valid


def _is_even(array: pa.Array, field: FieldSchema) -> bool:
    """Whether the lists of an Arrow array are all of the field's length."""
    is_plain = not (field.vector.is_sparse or field.is_vector_list)
    if not is_plain or pa.types.is_fixed_size_list(array.type):
        return True
    lengths = array.value_lengths()
    return bool((values_of(lengths) == field.width).all()) if len(array) else True


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _sparse(field: FieldSchema, given: Any) -> SparseRows:
    if hasattr(given, "tocsr"):  # a matrix of SciPy's
        matrix = given.tocsr()
        given = [matrix[row] for row in range(matrix.shape[0])]
    if isinstance(given, np.ndarray) or not isinstance(given, Sequence):
        raise _mismatch(field, type(given).__name__)
    if given and all(isinstance(row, bytes) for row in given):
        return sparse_from_bytes(given)
    return sparse_from_values(given)


def _matrix(field: FieldSchema, given: Any) -> Matrix:
    """Vectors of any numbers as a matrix, or of their bytes as a stored one."""
    if isinstance(given, np.ndarray) and given.ndim > 1:
        return given
    if isinstance(given, SparseRows):
        raise _mismatch(field, "sparse float vector")
    rows = list(given)
    if not rows:
        return np.empty((0, field.width), field.vector.numpy)
    if all(isinstance(row, bytes) for row in rows):
        return _matrix_of_bytes(field, rows)
    try:
        matrix = np.asarray(rows)
        if matrix.dtype.kind == "O":
            matrix = np.stack([np.asarray(row) for row in rows])
    except ValueError as error:
        raise _mismatch(field, error) from error
    return matrix


def _matrix_of_bytes(field: FieldSchema, rows: list[bytes]) -> Matrix:
    vector = field.vector
    assert vector.numpy is not None
    size = vector.nbytes(field.dim or 0)
    wrong = next((len(row) for row in rows if len(row) != size), None)
    if wrong is not None:
        if wrong % vector.numpy.itemsize:
            raise _mismatch(field, f"{wrong} bytes")
        dim = wrong // vector.numpy.itemsize * vector.dims_per_value
        raise InvalidParameter(
            f"the dim ({dim}) of field data({field.name}) is not equal to schema dim "
            f"({field.dim})",
            expected=field.dim,
            actual=dim,
        )
    return np.frombuffer(b"".join(rows), vector.numpy).reshape(len(rows), -1)


def _stored(field: FieldSchema, matrix: Matrix) -> Matrix:
    """Numbers as the values that the field stores.

    An array of the stored dtype is taken bit for bit.
    """
    dtype = field.vector.numpy
    assert dtype is not None
    if matrix.dtype == dtype:
        return np.ascontiguousarray(matrix)
    if matrix.dtype.name == "bfloat16":  # of the package ml_dtypes
        halves = np.ascontiguousarray(matrix).view(np.uint16)
        return halves if dtype == np.uint16 else from_floats(as_floats(halves), dtype)
    if matrix.dtype.kind not in "fiu":
        raise _mismatch(field, f"{matrix.dtype} array of shape {matrix.shape}")
    if dtype.kind == "f" or field.dtype is DataType.BFLOAT16_VECTOR:
        return from_floats(matrix, dtype)
    bounds = np.iinfo(dtype)
    if matrix.dtype.kind == "f":
        raise _mismatch(field, f"{matrix.dtype} array of shape {matrix.shape}")
    outside = (matrix < bounds.min) | (matrix > bounds.max)
    if outside.any():
        raise InvalidParameter(
            f"the element ({matrix[outside][0]}) of field {field.name} out of range: "
            f"[{bounds.min}, {bounds.max}]",
            expected="integer doesn't overflow",
            actual="out of range",
        )
    return np.ascontiguousarray(matrix, dtype)
