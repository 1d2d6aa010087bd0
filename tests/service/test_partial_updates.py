"""Partial updates as clients ask for them: states, counts, and refused operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import CollectionNotLoaded, InvalidParameter, PartitionNotFound
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import DIM, Stage, by_name, column

SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("topic", DataType.INT64),
        FieldSchema(
            "tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4
        ),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)
APPEND, REMOVE = 1, 2


def tags(rows: list[list[Any]], element: pa.DataType | None = None) -> r.ColumnData:
    """A column of arrays as a wire would decode it."""
    values = pa.array(rows, pa.large_list(element or pa.int64()))
    return r.ColumnData("tags", int(DataType.ARRAY), "array_data", values)


@pytest.fixture
def books(stage: Stage) -> Stage:
    """Two rows, loaded."""
    stage.ready(schema=SCHEMA)
    rows = (
        column("id", DataType.INT64, [1, 2]),
        column("topic", DataType.INT64, [10, 20]),
        tags([[1, 2], [3]]),
        column("vector", DataType.FLOAT_VECTOR, np.ones((2, DIM))),
    )
    stage.write(r.Insert, rows, 2)
    return stage


def keys(*ids: int) -> r.ColumnData:
    """The primary keys of a request."""
    return column("id", DataType.INT64, list(ids))


def test_the_reply_counts_rows_and_those_that_existed(books: Stage) -> None:
    """``upserted`` is every row; ``deleted`` those that were there before."""
    columns = (
        keys(2, 3),
        column("topic", DataType.INT64, [21, 30]),
        tags([[4], [5]]),
        column("vector", DataType.FLOAT_VECTOR, np.ones((2, DIM))),
    )
    reply = books.write(
        r.Upsert, columns, 2, is_partial=True, field_ops=(("tags", APPEND),)
    )
    assert (reply.inserted, reply.deleted, reply.upserted) == (2, 1, 2)
    found = by_name(books.query("id > 0", output_fields=("topic", "tags")).columns)
    assert found["topic"] == [10, 21, 30]
    assert found["tags"] == [[1, 2], [3, 4], [5]]


def test_an_operation_makes_an_upsert_partial(books: Stage) -> None:
    """Without the flag, too, fields that are not given stay."""
    books.write(r.Upsert, (keys(1), tags([[2, 9]])), 1, field_ops=(("tags", REMOVE),))
    found = by_name(books.query("id == 1", output_fields=("topic", "tags")).columns)
    assert (found["topic"], found["tags"]) == ([10], [[1]])


def test_a_partial_update_needs_loaded_rows(books: Stage) -> None:
    """Otherwise the error is that of a query, and nothing is written."""
    books.ask(r.ReleaseCollection("default", "books"))
    given = (keys(1), column("topic", DataType.INT64, [11]))
    with pytest.raises(CollectionNotLoaded) as refused:
        books.write(r.Upsert, given, 1, is_partial=True)
    assert str(refused.value).startswith("failed to query: collection not loaded")
    books.load()
    found = by_name(books.query("id == 1", output_fields=("topic",)).columns)
    assert found["topic"] == [10]


def test_an_unknown_partition_is_told_first(books: Stage) -> None:
    """As for any upsert."""
    with pytest.raises(PartitionNotFound):
        books.write(r.Upsert, (keys(1),), 1, is_partial=True, partition="none")


@pytest.mark.parametrize(
    ("columns", "ops", "text"),
    [
        (
            (tags([["a"]], pa.large_string()),),
            (("tags", APPEND),),
            'field "tags" expects element type Int64 but request provides VarChar',
        ),
        (
            (tags([[1]]),),
            (("tags", APPEND), ("tags", REMOVE)),
            'duplicate partial-update op for field "tags"',
        ),
        (
            (column("tags", DataType.INT64, [1]),),
            (("tags", APPEND),),
            'partial-update op field "tags" payload is not an Array',
        ),
        (
            (column("topic", DataType.INT64, [1]),),
            (("tags", APPEND),),
            'partial-update op targets field "tags" not present in fields_data',
        ),
        (
            (column("topic", DataType.INT64, [1]),),
            (("topic", 7),),
            'unsupported partial-update op 7 for field "topic"',
        ),
        (
            (column("nothing", DataType.INT64, [1]),),
            (),
            "fieldName nothing not exist in collection schema",
        ),
    ],
)
def test_operations_that_do_not_fit_are_refused(
    books: Stage, columns: tuple[Any, ...], ops: tuple[Any, ...], text: str
) -> None:
    """With Milvus' text, and nothing is written."""
    ts = books.core.collection(r.HasCollection("default", "books")).pin().ts
    with pytest.raises(InvalidParameter) as refused:
        books.write(r.Upsert, (keys(1), *columns), 1, is_partial=True, field_ops=ops)
    assert text in str(refused.value)
    assert books.core.collection(r.HasCollection("default", "books")).pin().ts == ts
