"""Aggregates of queries, compared with plain Python, and what is refused."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import ElanusError
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn
from elanus.service import requests as r
from service.stage import DIM, Stage, by_name, query_request

COUNT = 90
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("kind", DataType.VARCHAR, max_length=8, nullable=True),
        FieldSchema("year", DataType.INT16),
        FieldSchema("price", DataType.FLOAT, nullable=True),
        FieldSchema("flag", DataType.BOOL),
        FieldSchema("info", DataType.JSON),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)
RNG = np.random.default_rng(3)
ROWS = [
    {
        "id": key,
        "kind": None if key % 7 == 0 else str(RNG.choice(["x", "y", "zz"])),
        "year": int(RNG.integers(3)),
        "price": None if key % 5 == 0 else float(RNG.integers(8)) / 4,
    }
    for key in range(COUNT)
]
SLOTS = {"kind": "string_data", "year": "int_data", "price": "float_data"}


def columns(rows: list[dict[str, Any]]) -> tuple[r.ColumnData, ...]:
    """Rows as a wire would decode them."""
    typed: dict[str, tuple[str, Any]] = {
        "id": ("long_data", pa.array([row["id"] for row in rows])),
        "kind": (
            "string_data",
            pa.array([row["kind"] for row in rows], pa.large_string()),
        ),
        "year": ("int_data", pa.array([row["year"] for row in rows], pa.int32())),
        "price": ("float_data", pa.array([row["price"] for row in rows], pa.float32())),
        "flag": ("bool_data", pa.array([True] * len(rows))),
        "info": ("json_data", pa.array([b"{}"] * len(rows), pa.large_binary())),
        "vector": ("float_vector", VectorColumn(np.ones((len(rows), DIM), "<f4"))),
    }
    return tuple(
        r.ColumnData(name, int(SCHEMA.by_name[name].dtype), slot, values)
        for name, (slot, values) in typed.items()
    )


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """The rows in two segments, one on files."""
    stage.ready(schema=SCHEMA)
    stage.write(r.Insert, columns(ROWS[:50]), 50)
    stage.ask(r.Flush("default", ("books",)))
    stage.write(r.Insert, columns(ROWS[50:]), COUNT - 50)
    return stage


def plain(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Every aggregate that the tests ask for, the long way."""
    prices = [row["price"] for row in rows if row["price"] is not None]
    kinds = [row["kind"] for row in rows if row["kind"] is not None]
    return {
        "count(*)": len(rows),
        "count(price)": len(prices),
        "sum(year)": sum(row["year"] for row in rows) if rows else None,
        "SUM(price)": sum(prices) if prices else None,
        "avg( year )": sum(row["year"] for row in rows) / len(rows) if rows else None,
        "min(price)": min(prices, default=None),
        "max(kind)": max(kinds, default=None),
        "min(kind)": min(kinds, default=None),
    }


NAMES = tuple(plain([]))


@pytest.mark.parametrize("keys", [("kind",), ("year",), ("kind", "year")])
@pytest.mark.parametrize("text", ["", "id > 20 and year != 1"])
def test_groups(filled: Stage, keys: tuple[str, ...], text: str) -> None:
    """One row per group, NULL being one; groups ascend by key, NULL last."""
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in ROWS:
        if not text or (row["id"] > 20 and row["year"] != 1):
            groups[tuple(row[key] for key in keys)].append(row)
    order = sorted(groups, key=lambda group: [(v is None, v) for v in group])
    reply = filled.query(
        text, output_fields=(*keys, *NAMES), group_by_fields=", ".join(keys)
    )
    found = by_name(reply.columns)
    assert [column.name for column in reply.columns] == [*keys, *NAMES]
    assert list(zip(*(found[key] for key in keys), strict=True)) == order
    expected = [plain(groups[group]) for group in order]
    for name in NAMES:
        assert found[name] == [values[name] for values in expected], name


@pytest.mark.parametrize(("text", "least"), [("", 0), ("id > 30", 31), ("id < 0", 99)])
def test_aggregates_of_all_rows(filled: Stage, text: str, least: int) -> None:
    """One row, of no rows, too: a count of 0 and NULL for the rest."""
    found = by_name(filled.query(text, output_fields=NAMES).columns)
    expected = plain([row for row in ROWS if row["id"] >= least])
    assert found == {name: [value] for name, value in expected.items()}


def test_no_group_without_rows(filled: Stage) -> None:
    """Grouping nothing gives nothing."""
    reply = filled.query(
        "id < 0", output_fields=("kind", "max(price)"), group_by_fields="kind"
    )
    assert by_name(reply.columns) == {"kind": [], "max(price)": []}


def test_a_limit_counts_groups_in_the_order_asked_for(filled: Stage) -> None:
    """Only columns that are grouped by can order the groups."""
    reply = filled.query(
        "",
        output_fields=("kind", "count(*)"),
        group_by_fields="kind",
        order_by_fields="kind:desc:nulls_last",
        limit=2,
        offset=1,
    )
    assert by_name(reply.columns)["kind"] == ["y", "x"]


@pytest.mark.parametrize(
    ("names", "options", "code", "text"),
    [
        (("sum(kind)",), {}, 65535, "aggregation operator sum does not support data"),
        (("avg(info)",), {}, 65535, "operator avg does not support data type JSON"),
        (("min(flag)",), {}, 65535, "operator min does not support data type Bool"),
        (("sum(*)",), {}, 1100, "sum(*) is not supported, only count(*) is allowed"),
        (
            ("sum(none)",),
            {},
            1100,
            "target field none for aggregation:sum does not exist",
        ),
        (
            ("kind", "year", "count(*)"),
            {"group_by_fields": "kind"},
            1100,
            "output field 'year' is not allowed",
        ),
        (
            ("price", "count(*)"),
            {"group_by_fields": "price"},
            1100,
            "group by field price has unsupported data type Float",
        ),
        (
            ("info",),
            {"group_by_fields": "info"},
            1100,
            "group by field info has unsupported data type JSON",
        ),
        (
            ("count(*)",),
            {"limit": 3, "order_by_fields": "price"},
            1100,
            "ORDER BY field 'price' is not valid: when using GROUP BY or aggregates, "
            "ORDER BY can only reference GROUP BY columns",
        ),
        (
            ("kind", "count(*)"),
            {"limit": 3, "group_by_fields": "kind", "order_by_fields": "count(*):asc"},
            1100,
            "ORDER BY on aggregate expression 'count(*)' is not yet supported",
        ),
        (("count(*)",), {"limit": 3}, 1100, "count entities with pagination is not"),
        (("count(*)", "sum(year)"), {"is_iterator": True}, 3000, "query iterator"),
    ],
)
def test_what_is_refused(
    filled: Stage, names: tuple[str, ...], options: dict[str, Any], code: int, text: str
) -> None:
    """With Milvus' code and text."""
    with pytest.raises(ElanusError) as refused:
        filled.ask(query_request("id > 0", output_fields=names, **options))
    assert refused.value.code == code
    assert text in str(refused.value)
