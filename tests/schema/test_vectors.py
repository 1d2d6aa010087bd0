"""Columns of vectors: what goes in comes out, bit for bit, of every type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import InvalidParameter
from elanus.schema.codecs import encode
from elanus.schema.columns import concat, constant, from_arrow, to_arrow
from elanus.schema.schema import FieldSchema
from elanus.schema.sparse import SparseRows, sparse_from_bytes, sparse_to_bytes
from elanus.schema.types import TYPES, DataType
from elanus.schema.vector_codecs import query_rows
from elanus.schema.vectors import VectorColumn, as_floats, from_floats

DIM = 16
VECTORS = [dtype for dtype, row in TYPES.items() if row.vector]
NUMBERS = [dtype for dtype in VECTORS if "L2" in dtype.vector.metrics]
NAN, INF = float("nan"), float("inf")


def field_of(dtype: DataType, *, nullable: bool = False) -> FieldSchema:
    """A field of vectors of sixteen dimensions."""
    dim = None if dtype.vector.is_sparse else DIM
    return FieldSchema("v", dtype, dim=dim, nullable=nullable)


def finite(dtype: DataType) -> st.SearchStrategy[bytes]:
    """The bytes of one vector, of any bits that are numbers."""
    vector = dtype.vector
    if vector.is_sparse:
        index = st.integers(0, 2**32 - 2)
        value = st.floats(0, width=32, allow_nan=False, allow_infinity=False)
        entries = st.dictionaries(index, value, max_size=6)
        return entries.map(sparse_bytes)
    raw = st.binary(min_size=vector.nbytes(DIM), max_size=vector.nbytes(DIM))
    return raw.filter(lambda content: is_finite(dtype, content))


def is_finite(dtype: DataType, content: bytes) -> bool:
    """Whether every value is a number."""
    values = np.frombuffer(content, dtype.vector.numpy)
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(as_floats(values)).all())


def sparse_bytes(entries: dict[int, float]) -> bytes:
    """One sparse vector as it travels."""
    pairs = np.array(sorted(entries.items()), np.float64).reshape(-1, 2)
    words = np.empty((len(pairs), 2), "<u4")
    words[:, 0] = pairs[:, 0]
    words[:, 1] = pairs[:, 1].astype("<f4").view("<u4")
    return words.tobytes()


def contents(column: Any) -> list[bytes | None]:
    """The bytes of each row; ``None`` for null."""
    assert isinstance(column, VectorColumn)
    rows = column.rows
    if isinstance(rows, SparseRows):
        parts = iter(sparse_to_bytes(rows))
    else:
        parts = iter(row.tobytes() for row in rows)
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    return [next(parts) if there else None for there in valid]


@pytest.mark.parametrize("dtype", VECTORS)
@given(data=st.data())
def test_every_bit_survives(dtype: DataType, data: st.DataObject) -> None:
    """Through codec, Arrow, slices, picks and joins, nulls in their places."""
    field = field_of(dtype, nullable=True)
    rows = data.draw(st.lists(st.none() | finite(dtype), max_size=8))
    column = encode(field, rows)
    assert contents(column) == rows
    array = to_arrow(column, field)
    array.validate(full=True)
    assert array.type == field.arrow_type
    assert contents(from_arrow(array, field)) == rows
    assert contents(encode(field, array)) == rows
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    assert contents(column[start:stop]) == rows[start:stop]
    part = from_arrow(array.slice(start, stop - start), field)
    assert contents(part) == rows[start:stop]
    joined = concat([column, part])
    assert contents(joined) == rows + rows[start:stop]
    chosen = data.draw(st.lists(st.integers(0, len(joined) - 1))) if rows else []
    picked = joined.take(np.array(chosen, np.int64))
    assert contents(picked) == [contents(joined)[i] for i in chosen]
    serialized = array.take(pa.array(range(len(rows)), pa.int64()))
    assert contents(from_arrow(serialized, field)) == rows


@pytest.mark.parametrize("dtype", VECTORS)
def test_a_column_of_nulls(dtype: DataType) -> None:
    """It has rows and no vector, and can be stored."""
    field = field_of(dtype, nullable=True)
    column = constant(field, None, 3)
    assert contents(column) == [None] * 3
    array = to_arrow(column, field)
    assert (array.type, array.null_count) == (field.arrow_type, 3)
    assert contents(from_arrow(array, field)) == [None] * 3
    assert contents(encode(field, pa.nulls(2))) == [None] * 2


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_half_as_many_bits(bits: list[int]) -> None:
    """Rounding to bfloat16 goes to the nearest, ties to even; and back is exact."""
    values = np.array(bits, np.uint32).view(np.float32)
    halves = from_floats(values, np.dtype("<u2"))
    back = as_floats(halves)
    assert (np.isnan(back) == np.isnan(values)).all()
    low = (values.view(np.uint32) & 0xFFFF0000).view(np.float32).astype(np.float64)
    step = (values.view(np.uint32) & 0xFFFF).astype(np.int64)
    kept = halves == (values.view(np.uint32) >> 16)
    odd = ((values.view(np.uint32) >> 16) & 1).astype(bool)
    should_keep = (step < 0x8000) | ((step == 0x8000) & ~odd)
    known = ~np.isnan(values)
    assert (kept == should_keep)[known].all()
    assert np.isfinite(low[known & (np.abs(values) < 1e30)]).all()


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_are_rounded_like_queries(dtype: DataType) -> None:
    """A query equal to what was inserted is no distance away, however it is given."""
    field = field_of(dtype)
    values = np.random.default_rng(0).integers(-99, 99, (3, DIM))
    given = values if dtype is DataType.INT8_VECTOR else values / 7
    stored = encode(field, given.tolist())
    assert isinstance(stored, VectorColumn)
    queries = query_rows(field, given if dtype is DataType.INT8_VECTOR else given * 1.0)
    assert isinstance(stored.rows, np.ndarray)
    assert np.array_equal(as_floats(stored.rows), queries)


def test_sparse_rows_in_any_order() -> None:
    """Mappings and pairs are sorted by index; an empty row is a row."""
    field = field_of(DataType.SPARSE_FLOAT_VECTOR)
    column = encode(field, [{7: 0.5, 2: 1.0}, [(9, 2.0), (3, 4.0)], {}])
    assert contents(column) == [
        sparse_bytes({2: 1.0, 7: 0.5}),
        sparse_bytes({3: 4.0, 9: 2.0}),
        b"",
    ]


def pairs(*entries: tuple[int, float]) -> bytes:
    """Sparse entries in the order given."""
    return b"".join(
        np.array([index], "<u4").tobytes() + np.array([value], "<f4").tobytes()
        for index, value in entries
    )


BAD_SPARSE = [
    (b"1234567", "invalid data length in sparse float vector: 7"),
    (pairs((5, 1), (3, 1)), "unsorted or same indices in sparse float vector"),
    (pairs((5, 1), (5, 1)), "unsorted or same indices in sparse float vector"),
    (pairs((2**32 - 1, 1)), "must be less than 2^32-1"),
    (pairs((5, -1)), "negative value in sparse float vector"),
    (pairs((5, NAN)), "value 'NaN' is not a number or infinity"),
    (pairs((5, INF)), "value '+Inf' is not a number or infinity"),
    ({-1: 1.0}, "must be less than 2^32-1"),
    ({2**32: 1.0}, "must be less than 2^32-1"),
    ({1.5: 1.0}, "invalid input for sparse float vector"),
    ("text", "invalid input for sparse float vector"),
]


@pytest.mark.parametrize(("row", "text"), BAD_SPARSE)
def test_bad_sparse_rows(row: Any, text: str) -> None:
    """A row that Milvus refuses is refused with its text, wherever it stands."""
    field = field_of(DataType.SPARSE_FLOAT_VECTOR)
    good = pairs((9, 1.0)) if isinstance(row, bytes) else {9: 1.0}
    for rows in ([row], [good, row], [row, good]):
        with pytest.raises(InvalidParameter) as caught:
            encode(field, rows)
        assert text in str(caught.value)


def test_rows_may_begin_below_the_last_of_the_row_before() -> None:
    """Indices rise within a row only, also past empty rows."""
    rows = sparse_from_bytes([b"", pairs((9, 1.0)), b"", b"", pairs((1, 1.0)), b""])
    field = field_of(DataType.SPARSE_FLOAT_VECTOR)
    assert len(encode(field, VectorColumn(rows))) == 6


BAD = [
    (DataType.FLOAT_VECTOR, [[1.0] * 15], "the dim (15) of field data(v) is not equal"),
    (DataType.FLOAT_VECTOR, [[1.0] * 16, [1.0]], "float vector field 'v' is illegal"),
    (DataType.FLOAT_VECTOR, [["a"] * 16], "array type mismatch"),
    (DataType.FLOAT_VECTOR, [[NAN] * 16], "value 'NaN' is not a number or infinity"),
    (DataType.FLOAT_VECTOR, [[-INF] * 16], "value '-Inf' is not a number or infinity"),
    (DataType.FLOAT_VECTOR, [b"1234567"], "float vector field 'v' is illegal"),
    (DataType.FLOAT16_VECTOR, [[1e6] * 16], "value '+Inf' is not a number"),
    (DataType.FLOAT16_VECTOR, [[NAN] * 16], "value 'NaN' is not a number"),
    (DataType.FLOAT16_VECTOR, [b"12" * 15], "the dim (15) of field data(v)"),
    (DataType.BFLOAT16_VECTOR, [[3.4e38] * 16], "value '+Inf' is not a number"),
    (DataType.BFLOAT16_VECTOR, [b"123"], "bfloat16 vector field 'v' is illegal"),
    (DataType.INT8_VECTOR, [[128] * 16], "the element (128) of field v out of range"),
    (DataType.INT8_VECTOR, [[1.5] * 16], "int8 vector field 'v' is illegal"),
    (DataType.BINARY_VECTOR, [b"1"], "the dim (8) of field data(v) is not equal"),
    (DataType.BINARY_VECTOR, [b"123"], "the dim (24) of field data(v) is not equal"),
    (DataType.BINARY_VECTOR, [[256, 0]], "the element (256) of field v out of range"),
    (DataType.BINARY_VECTOR, "ab", "binary vector field 'v' is illegal"),
]


@pytest.mark.parametrize(("dtype", "rows", "text"), BAD)
def test_bad_vectors(dtype: DataType, rows: Any, text: str) -> None:
    """A vector that does not fit is refused with Milvus' text."""
    with pytest.raises(InvalidParameter) as caught:
        encode(field_of(dtype), rows)
    assert text in str(caught.value)
