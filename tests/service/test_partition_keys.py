"""A partition key chooses the partition of every row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from elanus.errors import IllegalSchema, InvalidParameter, VectorClusteringKey
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import (
    DEFAULT,
    SCHEMA,
    Stage,
    book_columns,
    by_name,
    column,
    query_request,
    search_request,
    vectors,
)


def keyed(name: str = "topic", **options: Any) -> CollectionSchema:
    """The schema with a partition key."""
    fields = tuple(
        replace(f, is_partition_key=f.name == name, **options) if f.name == name else f
        for f in SCHEMA.fields
    )
    return replace(SCHEMA, fields=fields)


def counts(stage: Stage) -> dict[str, int]:
    """Rows by partition."""
    names = [
        p.name
        for p in stage.ask(r.ShowPartitions(DEFAULT, "books", (), False)).partitions
    ]
    return {
        name: int(
            stage.ask(r.GetPartitionStatistics(DEFAULT, "books", name)).values[
                "row_count"
            ]
        )
        for name in names
    }


@pytest.mark.parametrize(("given", "number"), [(0, 16), (3, 3), (1024, 1024)])
def test_partitions_are_there_from_the_start(
    stage: Stage, given: int, number: int
) -> None:
    """16 unless it is said otherwise; the description tells the number."""
    stage.create(schema=keyed(), partitions=given)
    assert list(counts(stage)) == [f"_default_{i}" for i in range(number)]
    assert stage.ask(r.DescribeCollection(DEFAULT, "books")).partitions == number
    stage.create(schema=keyed(), partitions=given)
    with pytest.raises(InvalidParameter, match="create duplicate collection"):
        stage.create(schema=keyed(), partitions=2)


def test_rows_of_one_key_are_in_one_partition(stage: Stage) -> None:
    """Whichever request brought them, before and after a flush and a restart."""
    stage.ready(schema=keyed(), partitions=4)
    stage.insert(list(range(100)))
    first = counts(stage)
    assert sum(first.values()) == 100
    assert len([n for n in first.values() if n]) > 1
    stage.reopen()
    assert counts(stage) == first
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.insert(list(range(100, 200)))
    assert counts(stage) == {name: 2 * n for name, n in first.items()}
    assert stage.count() == 200
    assert stage.count("topic == 3") == 20


def test_a_row_whose_key_changes_moves(stage: Stage) -> None:
    """An upsert replaces it in whichever partition it was; a delete finds it."""
    stage.ready(schema=keyed())
    stage.insert(list(range(20)))
    moved = list(book_columns(list(range(20))))
    moved[1] = column("topic", DataType.INT64, [i + 100 for i in range(20)])
    stage.write(r.Upsert, tuple(moved), 20)
    for _ in range(2):
        assert stage.count() == 20
        shown = by_name(stage.query("id >= 0", output_fields=("topic",)).columns)
        assert shown["topic"] == [i + 100 for i in range(20)]
        assert len(stage.search(vectors(1), limit=50).keys) == 20
        stage.ask(r.Flush(DEFAULT, ("books",)))
        stage.reopen()
    stage.delete("topic == 103")
    stage.delete("id in [5, 6]")
    assert stage.count() == 17


def test_a_repeated_insert_shows_the_newest_row(stage: Stage) -> None:
    """Though the older one is in another partition."""
    stage.ready(schema=keyed())
    stage.insert([1, 2])
    moved = list(book_columns([1]))
    moved[1] = column("topic", DataType.INT64, [77])
    stage.write(r.Insert, tuple(moved), 1)
    shown = by_name(stage.query("id > 0", output_fields=("topic",)).columns)
    assert shown == {"id": [1, 2], "topic": [77, 2]}
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.reopen()
    shown = by_name(stage.query("id > 0", output_fields=("topic",)).columns)
    assert shown == {"id": [1, 2], "topic": [77, 2]}


def test_texts_are_keys_too(stage: Stage) -> None:
    """With the same texts in the same partition."""
    stage.ready(schema=keyed("title", nullable=False))
    titles = [f"t{i % 5}" for i in range(50)]
    columns = list(book_columns(list(range(50))))
    columns[2] = column("title", DataType.VARCHAR, titles)
    stage.write(r.Insert, tuple(columns), 50)
    assert set(counts(stage).values()) <= {0, 10, 20, 30, 40, 50}
    assert stage.count("title == 't3'") == 10


def test_partitions_cannot_be_named(stage: Stage) -> None:
    """Neither by writes, nor by reads, nor to change them."""
    stage.ready(schema=keyed())
    text = "not support manually specifying the partition names if partition key mode"
    place = (DEFAULT, "books", "_default_1")
    for request in (
        r.Insert(*place, book_columns([1]), 1),
        r.Upsert(*place, book_columns([1]), 1),
        r.Delete(*place, "id == 1", {}),
        query_request("id > 0", partitions=("_default_1",)),
        search_request(vectors(1), partitions=("_default_1",)),
    ):
        with pytest.raises(InvalidParameter, match=text):
            stage.ask(request)
    names = ("_default_1",)
    for request, what in (
        (r.CreatePartition(DEFAULT, "books", "p"), "create partition"),
        (r.DropPartition(*place), "drop partition"),
        (r.LoadPartitions(DEFAULT, "books", names, r.LoadOptions()), "load partitions"),
        (r.ReleasePartitions(DEFAULT, "books", names), "release partitions"),
    ):
        text = f"disable {what} if partition key mode is used: invalid parameter"
        with pytest.raises(InvalidParameter, match=re.escape(text)):
            stage.ask(request)


REFUSED = [
    (keyed(), -1, "the specified partitions should be greater than 0 if partition key"),
    (keyed(), 1025, "partition number (1025) exceeds max configuration (1024)"),
    (SCHEMA, 5, "num_partitions should only be specified with partition key field"),
    (keyed("id"), 0, "the partition key field must not be primary field"),
    (keyed("title"), 0, "partition key field not support nullable"),
    (
        keyed("topic", dtype=DataType.INT32),
        0,
        "the data type of partition key should be Int64 or VarChar",
    ),
    (
        replace(
            keyed(),
            fields=(
                *keyed().fields,
                FieldSchema("more", DataType.INT64, is_partition_key=True),
            ),
        ),
        0,
        "there are more than one partition key, field name = topic, more",
    ),
]


@pytest.mark.parametrize(("schema", "number", "text"), REFUSED)
def test_a_partition_key_that_cannot_be(
    stage: Stage, schema: CollectionSchema, number: int, text: str
) -> None:
    """Milvus' text; nothing is created."""
    with pytest.raises(InvalidParameter) as refused:
        stage.create(schema=schema, partitions=number)
    assert str(refused.value).startswith(text)
    assert not stage.ask(r.HasCollection(DEFAULT, "books")).value


def test_isolation_is_kept(stage: Stage) -> None:
    """With a partition key, and only then."""
    on = {"partitionkey.isolation": "true"}
    with pytest.raises(IllegalSchema, match="Please set the partition key first"):
        stage.create(properties=on)
    stage.create(schema=keyed(), properties=on)
    shown = stage.ask(r.DescribeCollection(DEFAULT, "books")).properties
    assert shown["partitionkey.isolation"] == "true"


def _clustered(*names: str) -> CollectionSchema:
    fields = tuple(replace(f, is_clustering_key=f.name in names) for f in SCHEMA.fields)
    return replace(SCHEMA, fields=fields)


def test_a_clustering_key_is_told_back(stage: Stage) -> None:
    """It changes nothing else; a vector or a second one is refused."""
    with pytest.raises(VectorClusteringKey):
        stage.create(schema=_clustered("vector"))
    with pytest.raises(IllegalSchema, match="more than one clustering key"):
        stage.create(schema=_clustered("topic", "title"))
    stage.create(schema=_clustered("topic"))
    stage.reopen()
    schema = stage.ask(r.DescribeCollection(DEFAULT, "books")).schema
    assert [f.name for f in schema.fields if f.is_clustering_key] == ["topic"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("topic in [1, 2]", "does not support IN"),
        ("topic not in [1, 2]", "does not support IN"),
        ("topic == 1 or id == 3", "does not support OR"),
        ("not (topic == 1 and id == 3)", "does not support NOT"),
        ("topic != 1", "does not support NotEqual"),
        ("topic >= 1", "does not support GreaterEqual"),
        ("1 < topic < 3", "does not support BinaryRange"),
        ("id == 1", "partition key not found in expr"),
        ("true", "partition key not found in expr"),
        ("", "partition key not found in expr"),
    ],
)
def test_an_isolated_collection_is_searched_for_one_key(
    stage: Stage, text: str, complaint: str
) -> None:
    """Alone and in hybrid searches; queries may ask for all keys."""
    on = {"partitionkey.isolation": "true"}
    stage.ready(schema=keyed(), partitions=4, properties=on)
    stage.insert(list(range(40)))
    part = search_request(vectors(1), 10, filter=text)
    fine = search_request(vectors(1), 10, filter="topic == 1 and id > 5")
    hybrid = r.HybridSearch(
        DEFAULT, "books", (), (fine, part), (), r.HybridOptions(5), part.consistency
    )
    for request in (part, hybrid):
        with pytest.raises(InvalidParameter, match=re.escape(complaint)):
            stage.ask(request)
    assert sorted(stage.ask(fine).keys.tolist()) == [
        i for i in range(6, 40) if i % 10 == 1
    ]
    assert stage.count("topic in [1, 2]") == 8
