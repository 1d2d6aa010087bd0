"""The everyday path of a client, from nothing to nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import CollectionNotFound, CollectionNotLoaded
from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import DEFAULT, Stage, book_columns, by_name, vectors


def test_the_whole_path(stage: Stage) -> None:
    """Create, index, load, insert, search, query, delete, release, drop."""
    stage.create()
    stage.index()
    stage.load()
    rows = vectors(100)
    written = stage.insert(list(range(100)), rows)
    assert written.keys is not None and written.keys.to_pylist() == list(range(100))
    assert (written.inserted, written.upserted, written.deleted) == (100, 0, 0)
    hits = stage.search(rows[:2], limit=3, output_fields=("topic", "title"))
    assert hits.counts.tolist() == [3, 3]
    keys = hits.keys.to_pylist()
    assert (keys[0], keys[3]) == (0, 1)
    exact = ((rows[:, None] - rows[:2]) ** 2).sum(axis=2)
    assert keys[:3] == np.argsort(exact[:, 0])[:3].tolist()
    assert np.allclose(hits.scores[:3], np.sort(exact[:, 0])[:3])
    assert by_name(hits.columns)["topic"] == [key % 10 for key in keys]
    assert hits.output_fields == ("topic", "title")
    found = stage.query("topic == 3", output_fields=("title",))
    assert by_name(found.columns)["id"] == list(range(3, 100, 10))
    assert found.output_fields == ("title", "id")
    assert stage.delete("topic == 3").deleted == 10
    assert stage.count("topic == 3") == 0
    assert stage.count() == 90
    stage.ask(r.ReleaseCollection(DEFAULT, "books"))
    with pytest.raises(CollectionNotLoaded, match="failed to search: collection not"):
        stage.search(rows[:1])
    stage.ask(r.DropCollection(DEFAULT, "books"))
    with pytest.raises(CollectionNotFound):
        stage.search(rows[:1])


def test_an_upsert_replaces(stage: Stage) -> None:
    """Rows of the keys are replaced; the counts are those that Milvus answers."""
    stage.ready()
    stage.insert([1, 2, 3])
    rows = vectors(2, seed=9)
    reply = stage.write(r.Upsert, book_columns([2, 7], rows), 2)
    assert (reply.inserted, reply.deleted, reply.upserted) == (2, 2, 2)
    assert stage.count() == 4
    hits = stage.search(rows[:1], limit=1)
    assert hits.keys.to_pylist() == [2]


def test_timestamps_never_go_back(stage: Stage) -> None:
    """Every write answers with a timestamp, even if it changes nothing."""
    stage.ready()
    stamps = [
        stage.insert([1]).ts,
        stage.delete("id in [99]").ts,
        stage.delete("topic == 99").ts,
        stage.insert([2]).ts,
        stage.ask(r.AllocTimestamp()).ts,
    ]
    assert stamps == sorted(stamps)
    assert stamps[0] > stage.ask(r.DescribeCollection(DEFAULT, "books")).created_ts
    assert stage.query("id == 1").session_ts <= stamps[-1]


def test_a_delete_by_key_counts_the_keys_named(stage: Stage) -> None:
    """Keys that do not exist count too, and nothing need be loaded."""
    stage.create()
    stage.insert([1, 2, 3])
    assert stage.delete("id in [1, 2, 50]").deleted == 3
    with pytest.raises(CollectionNotLoaded, match="collection not loaded"):
        stage.delete("topic == 3")
    stage.index()
    stage.load()
    assert by_name(stage.query("id > 0").columns)["id"] == [3]


def test_a_restart_keeps_everything(stage: Stage) -> None:
    """Databases, aliases, options, indexes, partitions, load states and rows."""
    stage.ask(r.CreateDatabase("shop", {"timezone": "Asia/Tokyo"}))
    stage.create("wares", database="shop", shards=2, consistency_level=2)
    stage.ready(properties={"mmap.enabled": "true"})
    stage.ask(r.CreateAlias(DEFAULT, "books", "b"))
    stage.ask(r.CreatePartition(DEFAULT, "books", "new"))
    rows = vectors(50)
    stage.insert(list(range(50)), rows, partition="new")
    stage.ask(r.Flush(DEFAULT, ("books",)))
    before = _everything(stage)
    stage.reopen()
    assert _everything(stage) == before
    hits = stage.search(rows[:1], limit=2, collection="b", partitions=("new",))
    assert hits.keys.to_pylist()[0] == 0
    assert stage.ask(r.GetLoadState(DEFAULT, "b", ())).state is a.LoadState.LOADED


def _everything(stage: Stage) -> list[object]:
    return [
        stage.ask(request)
        for request in (
            r.ListDatabases(),
            r.DescribeDatabase("shop"),
            r.DescribeCollection(DEFAULT, "b"),
            r.DescribeCollection("shop", "wares"),
            r.DescribeIndex(DEFAULT, "books", "", ""),
            r.ShowPartitions(DEFAULT, "books", (), False),
            r.ShowCollections(DEFAULT, True, ()),
            r.ListAliases(DEFAULT, "books"),
            r.GetCollectionStatistics(DEFAULT, "books"),
        )
    ]


def test_rows_of_all_columns_come_back(stage: Stage) -> None:
    """``*`` gives every field, nulls and dynamic keys included."""
    stage.ready(is_dynamic=True)
    rows = vectors(2)
    meta = r.ColumnData(
        "$meta",
        23,
        "json_data",
        pa.array([b'{"color":"red","n":1}', b"{}"], pa.large_binary()),
        is_dynamic=True,
    )
    stage.write(r.Insert, (*book_columns([3, 4], rows), meta), 2)
    found = stage.query("id > 0", output_fields=("*",))
    values = by_name(found.columns)
    assert values["title"] == [None, "book 4"]
    assert np.allclose(values["vector"], rows)
    assert values["$meta"] == [b'{"color":"red","n":1}', b"{}"]
    assert found.output_fields == ("id", "topic", "title", "vector", "$meta")
    keyed = stage.query("id > 0", output_fields=("color", "id"))
    assert by_name(keyed.columns)["$meta"] == [b'{"color":"red"}', b"{}"]
    assert keyed.output_fields == ("color", "id")
    assert [c.name for c in keyed.columns if c.is_dynamic] == ["$meta"]
    assert stage.count('color == "red"') == 1
