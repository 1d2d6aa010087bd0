"""``order_by`` of searches and queries, and aggregates, against plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus.embedded.collection import Collection
from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

DIM = 4
COUNT = 60
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    FieldSchema("name", DataType.VARCHAR, max_length=8),
    FieldSchema("rank", DataType.INT8, nullable=True),
    FieldSchema("flag", DataType.BOOL),
    FieldSchema("price", DataType.DOUBLE, nullable=True),
    FieldSchema("info", DataType.JSON, nullable=True),
    FieldSchema("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4),
]
NAMES = ("b", "a", "", "ä", "aa")


def rows_of(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows with many equal values and some nulls."""
    return [
        {
            "id": key,
            "vector": rng.normal(size=DIM).tolist(),
            "name": str(rng.choice(NAMES)),
            "rank": None if rng.random() < 0.2 else int(rng.integers(-3, 3)),
            "flag": bool(rng.integers(2)),
            "price": None if rng.random() < 0.2 else float(rng.integers(4)) / 2,
            "info": None if rng.random() < 0.2 else {"n": [int(rng.integers(4))]},
            "tags": [1],
            "size": int(rng.integers(3)),
        }
        for key in rng.permutation(COUNT).tolist()
    ]


ROWS = {row["id"]: row for row in rows_of(np.random.default_rng(5))}


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Collection]:
    """The rows in two segments, one on files."""
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", FIELDS, metric="L2", dynamic=True)
        rows = list(ROWS.values())
        things.insert(rows[: COUNT // 2])
        things.flush()
        things.insert(rows[COUNT // 2 :])
        yield things


def _value(row: dict[str, Any], place: str) -> Any:
    if place == "info":
        return None if row["info"] is None else row["info"]["n"][0]
    value = row[place]
    return value.encode() if isinstance(value, str) else value


def _expected(keys: list[int], order: list[tuple[str, bool, bool]]) -> list[int]:
    """The keys in order; ``order`` holds place, descending, nulls first."""
    for place, is_descending, nulls_first in reversed(order):
        nulls = [k for k in keys if _value(ROWS[k], place) is None]
        known = [k for k in keys if _value(ROWS[k], place) is not None]
        known.sort(key=lambda k: _value(ROWS[k], place), reverse=is_descending)
        keys = nulls + known if nulls_first else known + nulls
    return keys


ORDERS = [
    ("price:asc", [("price", False, False)]),
    ("price:desc", [("price", True, True)]),
    ("price:desc:nulls_last", [("price", True, False)]),
    ("rank:asc:nulls_first,name:desc", [("rank", False, True), ("name", True, True)]),
    ("flag,rank:DESCENDING", [("flag", False, False), ("rank", True, True)]),
    ("name:ascending,price", [("name", False, False), ("price", False, False)]),
]
PATHS = [
    ('info["n"][0]:desc', [("info", True, True)]),
    ("size:desc", [("size", True, True)]),
    ('$meta["size"],flag:desc', [("size", False, False), ("flag", True, True)]),
]


@pytest.mark.parametrize(("text", "order"), ORDERS)
def test_queries_come_in_order(
    things: Collection, text: str, order: list[tuple[str, bool, bool]]
) -> None:
    """Equal rows ascend by key, and pages join without gaps or repetitions."""
    expected = _expected(sorted(ROWS), order)
    assert things.query(order_by=text).column("id").to_pylist() == expected
    pages = [
        things.query("flag in [true, false]", order_by=text, limit=7, offset=start)
        for start in range(0, COUNT, 7)
    ]
    assert [key for page in pages for key in page.column("id").to_pylist()] == expected


@pytest.mark.parametrize(("text", "order"), ORDERS + PATHS)
def test_hits_of_each_query_come_in_order(
    things: Collection, text: str, order: list[tuple[str, bool, bool]]
) -> None:
    """The nearest rows are the same; among equal values the nearer comes first."""
    queries = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    plain = things.search(queries, limit=20, offset=2)
    found = things.search(queries, limit=20, offset=2, order_by=text)
    for number in range(3):
        nearest = [r for r in plain.to_pylist() if r["query"] == number]
        ordered = [r for r in found.to_pylist() if r["query"] == number]
        keys = _expected([row["id"] for row in nearest], order)
        assert [row["id"] for row in ordered] == keys
        score_of = {row["id"]: row["score"] for row in nearest}
        assert [row["score"] for row in ordered] == [score_of[key] for key in keys]


@pytest.mark.parametrize(
    ("text", "query_says", "search_says"),
    [
        (
            "nothing!",
            "order_by field 'nothing!' does not exist in collection schema",
            "order_by field 'nothing!' does not exist in collection schema",
        ),
        (
            "vector",
            "order_by field 'vector' has type FloatVector which is not sortable",
            "order_by field 'vector' has unsortable type FloatVector; supported types: "
            "bool, int8/16/32/64, float, double, string, varchar; for JSON fields use "
            'path syntax like field["key"]',
        ),
        ("info", "has type JSON which", "has unsortable type JSON; supported"),
        ("tags", "has type Array which", "has unsortable type Array; supported"),
        (
            "price:up",
            "invalid order direction 'up' for field 'price', must be 'asc' or 'desc'",
            "invalid order direction 'up' for field 'price', expected 'asc' or 'desc'",
        ),
        (
            "price:asc:nowhere",
            "invalid null ordering 'nowhere', expected 'nulls_first' or 'nulls_last'",
            "invalid null ordering 'nowhere', expected 'nulls_first' or 'nulls_last'",
        ),
        (
            "info[n:asc",
            "order_by field 'info[n:asc' does not exist in collection schema",
            "order_by field 'info[n:asc' does not exist in collection schema",
        ),
    ],
)
def test_orders_that_do_not_fit(
    things: Collection, text: str, query_says: str, search_says: str
) -> None:
    """With Milvus' texts, which differ."""
    with pytest.raises(InvalidParameter) as refused:
        things.query(order_by=text)
    assert query_says in str(refused.value)
    with pytest.raises(InvalidParameter) as refused:
        things.search(np.ones(DIM), order_by=text)
    assert search_says in str(refused.value)


def test_json_values_of_several_kinds_have_one_order(tmp_path: Path) -> None:
    """Bools, then numbers, then texts; what has no order counts as null."""
    values = [["x"], "b", 2, True, None, 1.5, {"k": 1}, "a", False, 10**30]
    with elanus.open(tmp_path / "db") as db:
        fields = [FIELDS[0], FIELDS[1]]
        mixed = db.create_collection("mixed", fields, metric="L2", dynamic=True)
        mixed.insert(
            {
                "id": list(range(len(values))),
                "vector": np.arange(len(values) * DIM).reshape(-1, DIM),
                "$meta": [json.dumps({"v": value}) for value in values],
            }
        )
        hits = mixed.search(np.zeros(DIM), order_by="v", limit=10)
    in_order = [values[key] for key in hits.column("id").to_pylist()]
    assert in_order[:7] == [False, True, 1.5, 2, 10**30, "a", "b"]
    assert in_order[7:] == [["x"], None, {"k": 1}]


def test_iteration_takes_no_order(things: Collection) -> None:
    """It goes by key, as Milvus' does."""
    with pytest.raises(InvalidParameter, match="ORDER BY with iterator"):
        things.iterate(order_by="price")


EDGES = {
    "whole": [-(2**63), 2**63 - 1, 0, None, -1],
    "real": [-1.5e308, 1.5e308, -0.5, None, 1e300],
    "text": ["", "\U0001f600", "a\0b", None, "z"],
    "flag": [True, False, None],
}


@pytest.fixture
def edges(tmp_path: Path) -> Iterator[tuple[Collection, list[dict[str, Any]]]]:
    """Rows of extreme values in two segments, with rows of them."""
    kinds = (DataType.INT64, DataType.DOUBLE, DataType.VARCHAR, DataType.BOOL)
    fields = [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
        *(
            FieldSchema(name, kind, nullable=True, max_length=8)
            if kind is DataType.VARCHAR
            else FieldSchema(name, kind, nullable=True)
            for name, kind in zip(EDGES, kinds, strict=True)
        ),
    ]
    rng = np.random.default_rng(8)
    rows: list[dict[str, Any]] = [
        {
            "id": key,
            "vector": [0.0] * DIM,
            **{
                name: values[int(rng.integers(len(values)))]
                for name, values in EDGES.items()
            },
        }
        for key in rng.permutation(40).tolist()
    ]
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("edges", fields, metric="L2")
        things.insert(rows[:20])
        things.flush()
        things.insert(rows[20:])
        yield things, rows


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("nulls", ["nulls_first", "nulls_last"])
@pytest.mark.parametrize("places", [["whole"], ["real"], ["text"], ["flag", "whole"]])
def test_the_first_rows_are_those_of_the_whole_order(
    edges: tuple[Collection, list[dict[str, Any]]],
    places: list[str],
    nulls: str,
    direction: str,
) -> None:
    """At every limit, with extreme values, nulls and many equal ones."""
    things, rows = edges
    expected = sorted(rows, key=lambda row: row["id"])
    for place in reversed(places):
        known = [row for row in expected if row[place] is not None]
        known.sort(
            key=lambda row: (
                row[place].encode() if isinstance(row[place], str) else row[place]
            ),
            reverse=direction == "desc",
        )
        null = [row for row in expected if row[place] is None]
        expected = null + known if nulls == "nulls_first" else known + null
    order = ",".join(f"{place}:{direction}:{nulls}" for place in places)
    for limit in range(1, len(rows) + 2):
        found = things.query("id >= 0", order_by=order, limit=limit)
        assert found["id"].to_pylist() == [row["id"] for row in expected[:limit]]
