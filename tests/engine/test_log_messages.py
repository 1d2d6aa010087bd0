"""Rows for the log: the bytes of an Arrow message, shared where they cannot change."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from elanus.engine.write.messages import message_parts
from elanus.schema.arrays import array_of
from elanus.schema.columns import Batch
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn

DIM = 5
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True, id=1),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM, id=2),
        FieldSchema("title", DataType.VARCHAR, max_length=50, nullable=True, id=3),
        FieldSchema("flag", DataType.BOOL, id=4),
    )
)


def batch(matrix: np.ndarray) -> Batch:
    """Rows with these vectors."""
    n_rows = len(matrix)
    key, vector, title, flag = SCHEMA.fields
    titles = [None if row % 3 else "ü" * row for row in range(n_rows)]
    columns = {
        key.id: array_of(np.arange(n_rows)),
        vector.id: VectorColumn(matrix),
        title.id: pa.array(titles, pa.large_string()),
        flag.id: pa.array([row % 2 == 0 for row in range(n_rows + 1)]).slice(1),
    }
    return Batch(columns, n_rows)


def joined(parts: list[bytes | pa.Buffer]) -> bytes:
    """All the bytes."""
    return b"".join(bytes(part) for part in parts)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 1000])
def test_the_parts_are_the_serialized_message(n_rows: int) -> None:
    """Wherever the vectors begin in the bytes that came."""
    matrix = np.arange(n_rows * DIM, dtype=np.float32).reshape(n_rows, DIM)
    expected = bytes(batch(matrix).to_arrow(SCHEMA).serialize())
    assert joined(message_parts(batch(matrix), SCHEMA)) == expected
    for before in range(4):
        run = memoryview(bytes(before) + matrix.tobytes())[before:]
        shared = np.frombuffer(run, np.float32).reshape(n_rows, DIM)
        parts = message_parts(batch(shared), SCHEMA)
        assert len(parts) > 1
        assert joined(parts) == expected


def test_what_the_caller_may_change_is_copied() -> None:
    """A record stays what it was, also through a view that says it is read-only."""
    matrix = np.ones((10, DIM), np.float32)
    view = matrix[:]
    view.flags.writeable = False
    held = [message_parts(batch(given), SCHEMA) for given in (matrix, view)]
    before = [joined(parts) for parts in held]
    matrix[:] = 2
    assert [joined(parts) for parts in held] == before
