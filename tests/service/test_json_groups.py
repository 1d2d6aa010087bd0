"""Groups by values in JSON that are taken as a type, against the rows themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from elanus.errors import ElanusError
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import DEFAULT, DIM, Stage, column, search_request, vectors

COUNT = 48
VALUES: list[Any] = [1, 1.0, "1", True, None, 2.5, 300, [1], "x", {"a": 1}, -1, False]
ROWS = [
    {"a": VALUES[key % len(VALUES)]} if key % 7 else {"b": key} for key in range(COUNT)
]
VECTORS = vectors(COUNT, seed=5)
QUERY = vectors(1, seed=6)
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("info", DataType.JSON),
        FieldSchema("other", DataType.JSON, nullable=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """Half of the rows on files, half in memory."""
    stage.ready(schema=SCHEMA)
    half = COUNT // 2
    for start in (0, half):
        keys = list(range(start, start + half))
        texts = [orjson.dumps(ROWS[key]) for key in keys]
        columns = (
            column("id", DataType.INT64, keys),
            column("info", DataType.JSON, texts),
            column("other", DataType.JSON, [None] * half),
            column("vector", DataType.FLOAT_VECTOR, VECTORS[start : start + half]),
        )
        stage.write(r.Insert, columns, half)
        if not start:
            stage.ask(r.Flush(DEFAULT, ("books",)))
    return stage


def taken(key: int, json_type: str, *, is_strict: bool) -> Any:
    """The value of a row as one of a type, by the rules alone."""
    value = ROWS[key].get("a")
    if json_type == "Bool":
        return value if isinstance(value, bool) else None
    if json_type == "VarChar":
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and (is_strict or value % 1):
        return None
    bits = int(json_type.removeprefix("Int"))
    return int(value) if -(1 << (bits - 1)) <= value < 1 << (bits - 1) else None


@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize("json_type", ["Bool", "Int8", "Int16", "Int64", "VarChar"])
def test_values_are_taken_as_their_type(
    filled: Stage, json_type: str, is_strict: bool
) -> None:
    """What is of another type, or beyond its range, is in the group without a value."""
    distances = ((VECTORS - QUERY) ** 2).sum(axis=1)
    nearest = np.argsort(distances, kind="stable").tolist()
    groups: dict[Any, list[int]] = {}
    for key in nearest:
        value = taken(key, json_type, is_strict=is_strict)
        groups.setdefault(value, []).append(key)
    wanted = [key for group in groups.values() for key in group[:3]]
    extra = {"json_type": json_type, "strict_cast": str(is_strict)}
    for name, path in (("info", 'info["a"]'), ("info['a']", "")):
        reply = filled.search(
            QUERY,
            10,
            group_by_field=name,
            group_size=3,
            strict_group_size=True,
            extra={**extra, "json_path": path},
        )
        assert reply.keys.to_pylist() == wanted
        told = reply.group_columns[0]
        values = [taken(key, json_type, is_strict=is_strict) for key in wanted]
        assert told.values.to_pylist() == values
        assert told.dtype.row.name == json_type


def test_what_makes_no_type_is_refused(filled: Stage) -> None:
    """With Milvus' text."""
    for extra, words in (
        ({"json_type": "Float"}, "unsupported json cast type: Float"),
        ({"json_path": "other['a']"}, "fieldID not match with field name"),
        ({"json_path": "id['a']"}, "unsupported data type for group by"),
    ):
        options = {"group_by_field": "info", "extra": extra}
        with pytest.raises(ElanusError) as caught:
            filled.ask(search_request(QUERY, 5, **options))
        assert words in str(caught.value)
        assert caught.value.code == 1100
