"""Searches by groups, against a plain Python twin that ranks every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus.embedded.collection import Collection
from elanus.errors import FieldNotFound, InvalidParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

DIM = 4
COUNT = 400
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    FieldSchema("name", DataType.VARCHAR, max_length=8, nullable=True),
    FieldSchema("level", DataType.INT8, nullable=True),
    FieldSchema("flag", DataType.BOOL),
    FieldSchema("info", DataType.JSON, nullable=True),
    FieldSchema("price", DataType.DOUBLE),
]


def rows_of(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Groups of very different sizes, ties of distance, nulls."""
    rows = []
    for key in rng.permutation(COUNT).tolist():
        value = (1, "1", 1.5, True, None)[int(rng.integers(5))]
        rows.append(
            {
                "id": key,
                "vector": rng.integers(-2, 3, DIM).astype(np.float32).tolist(),
                "name": None if rng.random() < 0.1 else f"n{int(rng.geometric(0.1))}",
                "level": None if rng.random() < 0.1 else int(rng.integers(40)),
                "flag": bool(rng.integers(2)),
                "info": None
                if rng.random() < 0.1
                else {"v": value, "n": {"k": int(rng.integers(9))}},
                "price": float(rng.integers(5)),
                "size": int(rng.integers(7)),
            }
        )
    return rows


ROWS = {row["id"]: row for row in rows_of(np.random.default_rng(2))}


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Collection]:
    """The rows in two segments, one on files, one in memory."""
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", FIELDS, metric="L2", dynamic=True)
        rows = list(ROWS.values())
        things.insert(rows[: COUNT // 2])
        things.flush()
        things.insert(rows[COUNT // 2 :])
        yield things


def group_of(row: dict[str, Any], place: str) -> Any:
    """The value that a row is grouped by, with its type."""
    info = row["info"] or {}
    known = {'info["v"]': info.get("v"), 'info["n"]["k"]': info.get("n", {}).get("k")}
    value = known[place] if place in known else row.get(place)
    return json.dumps(value, sort_keys=True)


def ranked(query: Any, keep: Any = lambda row: True) -> list[tuple[float, int]]:
    """Every row that is kept by distance and key."""
    return sorted(
        (float(np.sum((np.array(row["vector"], np.float32) - query) ** 2)), key)
        for key, row in ROWS.items()
        if keep(row)
    )


def expected(
    ranking: list[tuple[float, int]], place: str, start: int, end: int, **group: Any
) -> list[int]:
    """The keys of a search by groups, one row after another."""
    size, is_strict = group.get("size", 1), group.get("is_strict", False)
    groups: dict[Any, list[int]] = {}
    for _, key in ranking:
        value = group_of(ROWS[key], place)
        if value not in groups and len(groups) == end:
            continue
        members = groups.setdefault(value, [])
        if len(members) < size:
            members.append(key)
        if len(groups) == end and not is_strict:
            break
    return [key for members in list(groups.values())[start:end] for key in members]


PLACES = ["name", "level", "flag", "info", "size", 'info["v"]', 'info["n"]["k"]', "no"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize(("limit", "offset"), [(3, 0), (4, 2), (60, 0)])
def test_groups_are_those_of_the_whole_ranking(
    things: Collection, place: str, is_strict: bool, limit: int, offset: int
) -> None:
    """Nulls and missing keys are a group; 1, "1" and true are not the same."""
    queries = np.random.default_rng(3).normal(size=(3, DIM)).astype(np.float32)
    for size in (1, 3, 10):
        found = things.search(
            queries,
            limit=limit,
            offset=offset,
            group_by=place,
            group_size=size,
            strict_group_size=is_strict,
        )
        for position, query in enumerate(queries):
            mine = found.filter(np.array(found["query"]) == position)
            assert mine["id"].to_pylist() == expected(
                ranked(query),
                place,
                offset,
                offset + limit,
                size=size,
                is_strict=is_strict,
            )


def test_groups_obey_filters_and_partitions(things: Collection) -> None:
    """Only rows that may be returned make groups."""
    query = np.zeros(DIM, np.float32)
    found = things.search(
        query,
        limit=5,
        filter="price < 2 and flag == true",
        group_by="level",
        group_size=2,
    )
    kept = ranked(query, lambda row: row["price"] < 2 and row["flag"])
    assert found["id"].to_pylist() == expected(kept, "level", 0, 5, size=2)
    things.create_partition("empty")
    found = things.search(query, limit=5, partitions=["empty"], group_by="level")
    assert found.num_rows == 0


def test_deleted_rows_are_in_no_group(things: Collection) -> None:
    """The next row of a group takes the place of its deleted one."""
    query = np.ones(DIM, np.float32)
    ranking = ranked(query)
    gone = expected(ranking, "level", 0, 8)
    things.delete(gone)
    left = [row for row in ranking if row[1] not in gone]
    found = things.search(query, limit=8, group_by="level")
    assert found["id"].to_pylist() == expected(left, "level", 0, 8)


def test_several_fields_make_groups_of_their_pairs(things: Collection) -> None:
    """One row for each pair of values."""
    query = np.ones(DIM, np.float32)
    found = things.search(query, limit=30, group_by=["flag", "level"])
    pairs: dict[Any, int] = {}
    for _, key in ranked(query):
        pairs.setdefault((ROWS[key]["flag"], ROWS[key]["level"]), key)
    assert found["id"].to_pylist() == list(pairs.values())[:30]


def test_groups_are_ordered_by_their_nearest_rows(things: Collection) -> None:
    """``order_by`` moves whole groups; equal ones stay nearest first."""
    query = np.zeros(DIM, np.float32)
    options: Any = {"group_by": "level", "group_size": 3, "strict_group_size": True}
    plain = things.search(query, limit=6, **options)["id"].to_pylist()
    found = things.search(query, limit=6, order_by="price:desc", **options)
    groups: dict[Any, list[int]] = {}
    for key in plain:
        groups.setdefault(ROWS[key]["level"], []).append(key)
    order = sorted(groups.values(), key=lambda members: -ROWS[members[0]]["price"])
    assert found["id"].to_pylist() == [key for members in order for key in members]


def test_an_index_finds_as_many_groups_as_there_are(tmp_path: Path) -> None:
    """Also where the nearest thousand rows are of a few groups."""
    rng = np.random.default_rng(4)
    count, groups = 6000, 40
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    nearest = np.argsort(((vectors - vectors[0]) ** 2).sum(axis=1))
    level = np.empty(count, np.int64)
    level[nearest] = np.where(np.arange(count) < 5000, 0, np.arange(count) % groups)
    fields = [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=8),
        FieldSchema("level", DataType.INT64),
    ]
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", fields, metric="L2")
        things.create_index("vector", index_type="HNSW")
        things.insert({"id": np.arange(count), "vector": vectors, "level": level})
        things.optimize()
        found = things.search(
            vectors[:2], limit=groups, group_by="level", output_fields=["level"]
        )
    for query in (0, 1):
        mine = found.filter(np.array(found["query"]) == query)
        assert sorted(mine["level"].to_pylist()) == list(range(groups))
        assert mine["score"].to_pylist() == sorted(mine["score"].to_pylist())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "price"}, "unsupported data type DOUBLE for group by operator"),
        ({"group_by": "vector"}, "unsupported data type VECTOR_FLOAT for group by op"),
        ({"group_by": "21"}, "cannot parse identifier: 21"),
        ({"group_by": 'name["a"]'}, "unsupported data type for group by"),
        ({"group_by": ["flag", "info"]}, "group_by with json path is not supported"),
        ({"group_size": 0}, "input group size:0 is negative"),
        (
            {"group_size": 11},
            "input group size:11 exceeds configured max group size:10",
        ),
        ({"group_size": "x"}, "failed to parse input group size:x"),
        ({"params": {"radius": 9}}, "Not allowed to do range-search when doing search"),
    ],
)
def test_what_cannot_be_grouped_is_refused(
    things: Collection, options: dict[str, Any], message: str
) -> None:
    """With Milvus' text."""
    with pytest.raises(InvalidParameter, match=message):
        things.search(np.zeros(DIM), **{"group_by": "level", **options})


def test_unknown_fields_are_refused_without_dynamic_field(tmp_path: Path) -> None:
    """With a dynamic field every name may be a key of it."""
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", FIELDS, metric="L2")
        with pytest.raises(FieldNotFound, match="groupBy field not found in schema: f"):
            things.search(np.zeros(DIM), group_by="zz")
