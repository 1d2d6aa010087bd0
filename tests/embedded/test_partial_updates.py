"""Partial updates: what is not given stays, what is given is merged at one moment."""

from __future__ import annotations

import json
import threading
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
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    FieldSchema("name", DataType.VARCHAR, max_length=8),
    FieldSchema("hits", DataType.INT64, default=7),
    FieldSchema("price", DataType.DOUBLE, nullable=True),
    FieldSchema(
        "tags",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=4,
        max_length=4,
        nullable=True,
    ),
]


def row(key: int, **values: Any) -> dict[str, Any]:
    """A whole row."""
    return {"id": key, "vector": [float(key)] * DIM, "name": f"n{key}", **values}


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Collection]:
    """Three rows, the first two on files."""
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", FIELDS, metric="L2", dynamic=True)
        things.insert([row(1, price=1.5, tags=["a", "b"], color="red", size=3)])
        things.insert([row(2)])
        things.flush()
        things.insert([row(3, tags=["x"])])
        yield things


def shown(things: Collection, key: int) -> dict[str, Any]:
    """A row as reads show it, the dynamic field decoded."""
    (found,) = things.get(key).to_pylist()
    return {**found, "$meta": json.loads(found["$meta"])}


def test_fields_that_are_not_given_stay(things: Collection) -> None:
    """Every other value of the row is what it was, in memory and on files."""
    before = {key: shown(things, key) for key in (1, 3)}
    things.upsert({"id": [1, 3], "name": ["one", "three"]}, partial=True)
    for key, name in ((1, "one"), (3, "three")):
        assert shown(things, key) == {**before[key], "name": name}
    assert things.count() == 3


def test_keys_of_the_dynamic_field_are_merged(things: Collection) -> None:
    """A key that is given replaces its like; the others stay; null is a value."""
    things.upsert([{"id": 1, "color": "blue", "shape": "round"}], partial=True)
    assert shown(things, 1)["$meta"] == {"color": "blue", "size": 3, "shape": "round"}
    things.upsert({"id": [1], "$meta": [{"size": None}]}, partial=True)
    assert shown(things, 1)["$meta"]["size"] is None
    assert shown(things, 1)["$meta"]["color"] == "blue"


def test_an_explicit_null_is_stored_or_becomes_the_default(things: Collection) -> None:
    """A nullable field becomes null; one with a default gets that."""
    things.upsert({"id": [1], "hits": [1]}, partial=True)
    things.upsert({"id": [1], "price": [None], "hits": [None]}, partial=True)
    assert shown(things, 1)["price"] is None
    assert shown(things, 1)["hits"] == 7


def test_a_new_key_needs_every_required_field(things: Collection) -> None:
    """With them it becomes a row; without, nothing of the request is written."""
    with pytest.raises(InvalidParameter) as refused:
        things.upsert({"id": [1, 9], "name": ["one", "nine"]}, partial=True)
    assert str(refused.value) == (
        "fieldSchema(vector) has no corresponding fieldData pass in: invalid parameter"
    )
    assert shown(things, 1)["name"] == "n1"
    things.upsert([row(1, hits=2), row(9, hits=3)], partial=True)
    assert shown(things, 9)["hits"] == 3
    assert shown(things, 9)["price"] is None
    assert shown(things, 1)["price"] == 1.5


def test_arrays_grow_and_shrink(things: Collection) -> None:
    """Append adds behind, remove drops every equal element; null is no change."""
    ops = {"tags": "ARRAY_APPEND"}
    tags = [["b", "c"], ["d"], None]
    things.upsert({"id": [1, 2, 3], "tags": tags}, field_ops=ops)
    assert shown(things, 1)["tags"] == ["a", "b", "b", "c"]
    assert shown(things, 2)["tags"] == ["d"]
    assert shown(things, 3)["tags"] == ["x"]
    things.upsert(
        {"id": [1, 2, 3], "tags": [["b", "z"], ["q"], ["x"]]},
        field_ops={"tags": "ARRAY_REMOVE"},
    )
    assert shown(things, 1)["tags"] == ["a", "c"]
    assert shown(things, 2)["tags"] == ["d"]
    assert shown(things, 3)["tags"] == []


def test_an_operation_on_a_new_row_stores_what_is_given(things: Collection) -> None:
    """Whatever the operation: there is nothing to append to or to remove from."""
    for key, op in ((8, "ARRAY_APPEND"), (9, "ARRAY_REMOVE")):
        things.upsert([row(key, tags=["n"])], field_ops={"tags": op})
        assert shown(things, key)["tags"] == ["n"]


@pytest.mark.parametrize(
    ("given", "ops", "code", "text"),
    [
        (
            {"id": [1], "name": ["n"]},
            {"name": "ARRAY_APPEND"},
            1100,
            'op ARRAY_APPEND requires Array field, but field "name" is VarChar',
        ),
        (
            {"id": [1], "tags": [["a"]]},
            {"id": "ARRAY_APPEND"},
            1100,
            'field "id" is the primary key and cannot carry a partial-update op',
        ),
        (
            {"id": [1]},
            {"nothing": "ARRAY_REMOVE"},
            1100,
            'field "nothing" not found in collection schema',
        ),
        (
            {"id": [1], "name": ["n"]},
            {"tags": "ARRAY_REMOVE"},
            1100,
            'partial-update op targets field "tags" not present in fields_data',
        ),
        (
            {"id": [1], "tags": [["c", "d", "e"]]},
            {"tags": "ARRAY_APPEND"},
            65535,
            "array length 5 exceeds max_capacity 4",
        ),
        (
            {"id": [1], "tags": [["1", "2", "3", "4", "5"]]},
            {"tags": "ARRAY_APPEND"},
            1100,
            'ARRAY_APPEND payload for field "tags" row 0 has length 5 exceeding '
            "max_capacity 4",
        ),
        (
            {"id": [1], "tags": [["too long"]]},
            {"tags": "ARRAY_APPEND"},
            1100,
            "exceeds max length",
        ),
        ({"name": ["n"]}, {}, 1100, "must assign pk when upsert, primary field: id"),
        (
            {"id": [1, 1], "name": ["a", "b"]},
            {},
            1100,
            "duplicate primary keys are not allowed in the same batch",
        ),
    ],
)
def test_what_does_not_fit_is_refused_whole(
    things: Collection,
    given: dict[str, Any],
    ops: dict[str, str],
    code: int,
    text: str,
) -> None:
    """With Milvus' code and text, and nothing is written."""
    before, ts = shown(things, 1), things.snapshot().ts
    with pytest.raises(elanus.ElanusError) as refused:
        things.upsert(given, partial=True, field_ops=ops)
    assert refused.value.code == code
    assert text in str(refused.value)
    assert shown(things, 1) == before
    assert things.snapshot().ts == ts


def test_a_named_partition_is_all_that_is_read(things: Collection) -> None:
    """Keys of other partitions are new there; without a name every row is found."""
    things.create_partition("p")
    things.upsert([row(5, price=5.0)], partition="p")
    with pytest.raises(InvalidParameter):
        things.upsert({"id": [1], "price": [2.0]}, partition="p", partial=True)
    things.upsert({"id": [5], "name": ["five"]}, partition="p", partial=True)
    assert things.get(5, partitions=["p"]).num_rows == 1
    things.upsert({"id": [5], "hits": [1]}, partial=True)
    assert shown(things, 5)["price"] == 5.0
    assert things.get(5, partitions=["p"]).num_rows == 0
    assert things.count() == 4


def test_no_update_is_lost_among_threads(things: Collection) -> None:
    """Threads that change one row's fields at a time do not undo one another.

    Each appends to the same array and sets a key of its own: at the end every element
    and every key is there.
    """
    things.upsert([row(1, tags=[])])
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(4):
                things.upsert([{"id": 1, f"k{number}-{i}": i}], partial=True)
            things.upsert(
                {"id": [1], "tags": [[str(number)]]},
                field_ops={"tags": "ARRAY_APPEND"},
            )
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = shown(things, 1)
    assert sorted(found["tags"]) == ["0", "1", "2", "3"]
    assert found["$meta"] == {f"k{n}-{i}": i for n in range(4) for i in range(4)}
    assert things.count("id == 1") == 1


def test_a_partial_update_survives_a_restart(tmp_path: Path) -> None:
    """The log holds the merged row: it needs nothing else to be read again."""
    path = tmp_path / "db"
    with elanus.open(path) as db:
        things = db.create_collection("things", FIELDS, metric="L2", dynamic=True)
        things.insert([row(1, color="red")])
        things.upsert({"id": [1], "hits": [2]}, partial=True)
    with elanus.open(path) as db:
        found = shown(db["things"], 1)
        assert (found["hits"], found["name"]) == (2, "n1")
        assert found["$meta"] == {"color": "red"}
        np.testing.assert_array_equal(found["vector"], [1.0] * DIM)


def test_fields_added_later_are_kept_and_changed(things: Collection) -> None:
    """Rows older than a field take part: it has its default there until it is given."""
    things.add_field(FieldSchema("stock", DataType.INT64, nullable=True, default=5))
    things.upsert({"id": [1, 3], "name": ["one", "three"]}, partial=True)
    assert [shown(things, key)["stock"] for key in (1, 2, 3)] == [5, 5, 5]
    things.upsert({"id": [1, 2], "stock": [6, None]}, partial=True)
    assert [shown(things, key)["stock"] for key in (1, 2, 3)] == [6, 5, 5]
    assert shown(things, 1)["name"] == "one"
    ordered = things.query(order_by="stock:desc,id:desc", output_fields=["stock"])
    assert ordered.column("id").to_pylist() == [1, 3, 2]


def test_a_partition_key_moves_a_row_or_leaves_it(tmp_path: Path) -> None:
    """Without the key's field a row stays where it is; with it, it moves."""
    key = FieldSchema("kind", DataType.INT64, is_partition_key=True)
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", [*FIELDS, key], metric="L2")
        things.insert([row(i, kind=i % 4) for i in range(20)])
        things.upsert({"id": [1, 2, 3], "hits": [1, 2, 3]}, partial=True)
        things.upsert({"id": [1, 2], "kind": [7, 8]}, partial=True)
        assert things.count() == 20
        found = things.query("kind in [3, 7, 8] and id < 4", output_fields=["hits"])
        assert found.column("id").to_pylist() == [1, 2, 3]
        assert found.column("hits").to_pylist() == [1, 2, 3]
        assert things.count("kind == 1 and id == 1") == 0
