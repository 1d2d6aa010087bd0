"""Databases, aliases, partitions, loading, indexes: what exists and what is shown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from elanus.errors import (
    CollectionNotFound,
    CollectionNotLoaded,
    InvalidParameter,
    PartitionNotLoaded,
)
from elanus.schema import limits
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import DEFAULT, SCHEMA, Stage, vectors

OPTIONS = r.LoadOptions()
QUERY = vectors(1)


def _names(reply: a.CollectionList | a.PartitionList) -> list[str]:
    if isinstance(reply, a.CollectionList):
        return [entry.name for entry in reply.collections]
    return [entry.name for entry in reply.partitions]


def _state(stage: Stage, *partitions: str) -> a.LoadState:
    reply = stage.ask(r.GetLoadState(DEFAULT, "books", partitions))
    assert isinstance(reply, a.Loaded)
    return reply.state


# --- descriptions -------------------------------------------------------------------


def test_a_description_is_complete(stage: Stage) -> None:
    """What was given, and the three properties that every collection has."""
    stage.create(is_dynamic=True, consistency_level=2, properties={"a": "b"})
    info = stage.ask(r.DescribeCollection(DEFAULT, "books"))
    assert [f.id for f in info.schema.fields] == [100, 101, 102, 103, 104]
    assert info.properties == {
        "max_field_id": "104",
        "namespace.sharding.enabled": "false",
        "timezone": "UTC",
        "a": "b",
    }
    assert (info.consistency_level, info.shards, info.partitions) == (2, 1, 1)
    assert info.updated_ts == info.created_ts > 0
    assert info.schema.description == "books"
    assert stage.ask(r.DescribeCollection(DEFAULT, "", info.id)).name == "books"


def test_the_time_zone_is_inherited(stage: Stage) -> None:
    """From the database, until the collection has its own."""
    stage.ask(r.CreateDatabase("far", {"timezone": "Asia/Tokyo"}))
    stage.create(database="far")
    stage.create("other", database="far", properties={"timezone": "Europe/Rome"})
    zones = [
        stage.ask(r.DescribeCollection("far", name)).properties["timezone"]
        for name in ("books", "other")
    ]
    assert zones == ["Asia/Tokyo", "Europe/Rome"]


def test_a_stale_schema_is_told(stage: Stage) -> None:
    """A rename bumps the timestamp that writes compare; the newest one is taken."""
    stage.create()
    old = stage.ask(r.DescribeCollection(DEFAULT, "books")).updated_ts
    stage.insert([1], schema_ts=old)
    stage.ask(r.RenameCollection(DEFAULT, "books", "tomes", ""))
    info = stage.ask(r.DescribeCollection(DEFAULT, "tomes"))
    assert info.updated_ts > old
    stage.insert([2], schema_ts=info.updated_ts, collection="tomes")
    with pytest.raises(CollectionNotFound):
        stage.insert([3])


# --- databases ----------------------------------------------------------------------


def test_databases_hold_collections_apart(stage: Stage) -> None:
    """One name in two databases is two collections; a rename can move one."""
    stage.ask(r.CreateDatabase("shop", {"k": "v"}))
    stage.create()
    stage.create(database="shop")
    stage.insert([1, 2])
    shop = stage.ask(r.GetCollectionStatistics("shop", "books"))
    here = stage.ask(r.GetCollectionStatistics(DEFAULT, "books"))
    assert (shop.values["row_count"], here.values["row_count"]) == ("0", "2")
    stage.ask(r.RenameCollection(DEFAULT, "books", "moved", "shop"))
    assert _names(stage.ask(r.ShowCollections(DEFAULT, False, ()))) == []
    shown = stage.ask(r.ShowCollections("shop", False, ()))
    assert sorted(_names(shown)) == ["books", "moved"]
    moved = stage.ask(r.GetCollectionStatistics("shop", "moved"))
    assert moved.values["row_count"] == "2"
    info = stage.ask(r.DescribeDatabase("shop"))
    assert (info.name, info.properties) == ("shop", {"k": "v"})
    assert info.id > 1


def test_the_default_database(stage: Stage) -> None:
    """It is there from the start, with the number 1."""
    (only,) = stage.ask(r.ListDatabases()).databases
    assert (only.name, only.id) == ("default", 1)
    stage.ask(r.CreateDatabase("first", {}))
    ids = [database.id for database in stage.ask(r.ListDatabases()).databases]
    assert len(set(ids)) == 2


def test_an_empty_database_can_go(stage: Stage) -> None:
    """And its name can be used again."""
    stage.ask(r.CreateDatabase("shop", {}))
    stage.ask(r.DropDatabase("shop"))
    assert len(stage.ask(r.ListDatabases()).databases) == 1
    stage.ask(r.CreateDatabase("shop", {}))


def test_the_limit_on_databases(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default one does not count."""
    monkeypatch.setattr(limits, "DATABASES", 2)
    stage.ask(r.CreateDatabase("a", {}))
    stage.ask(r.CreateDatabase("b", {}))
    with pytest.raises(Exception, match=r"number of database\[limit=2\]") as caught:
        stage.ask(r.CreateDatabase("c", {}))
    assert getattr(caught.value, "code", 0) == 801


def test_the_limit_on_collections(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over all databases."""
    monkeypatch.setattr(limits, "COLLECTIONS", 1)
    stage.create()
    with pytest.raises(Exception, match="the limit number of collections") as caught:
        stage.create("two")
    assert getattr(caught.value, "code", 0) == 102


# --- aliases ------------------------------------------------------------------------


def test_an_alias_stands_for_its_collection(stage: Stage) -> None:
    """In every operation, and it can be pointed elsewhere."""
    stage.ready()
    stage.ask(r.CreateAlias(DEFAULT, "books", "b"))
    stage.insert([1, 2], collection="b")
    assert stage.count(collection="b") == 2
    info = stage.ask(r.DescribeCollection(DEFAULT, "b"))
    assert (info.name, info.requested, info.aliases) == ("books", "b", ("b",))
    assert stage.ask(r.HasCollection(DEFAULT, "b")).value
    told = stage.ask(r.DescribeAlias(DEFAULT, "b"))
    assert (told.alias, told.collection, told.database) == ("b", "books", "default")
    stage.create("other")
    stage.ask(r.AlterAlias(DEFAULT, "other", "b"))
    assert stage.ask(r.DescribeCollection(DEFAULT, "b")).name == "other"
    assert stage.ask(r.ListAliases(DEFAULT, "books")).aliases == ()
    assert stage.ask(r.ListAliases(DEFAULT, "")).aliases == ("b",)


def test_aliases_survive_a_rename(stage: Stage) -> None:
    """And go when they are dropped."""
    stage.create()
    stage.ask(r.CreateAlias(DEFAULT, "books", "b"))
    stage.ask(r.RenameCollection(DEFAULT, "books", "tomes", ""))
    assert stage.ask(r.DescribeAlias(DEFAULT, "b")).collection == "tomes"
    stage.ask(r.DropAlias(DEFAULT, "b"))
    assert not stage.ask(r.HasCollection(DEFAULT, "b")).value
    stage.ask(r.DropCollection(DEFAULT, "tomes"))


# --- partitions and loading ---------------------------------------------------------


def test_partitions_come_in_order(stage: Stage) -> None:
    """Of creation, the default one first, each with its own timestamp."""
    stage.create()
    for name in ("z", "a"):
        stage.ask(r.CreatePartition(DEFAULT, "books", name))
    shown = stage.ask(r.ShowPartitions(DEFAULT, "books", (), False))
    assert _names(shown) == ["_default", "z", "a"]
    stamps = [entry.created_ts for entry in shown.partitions]
    assert stamps == sorted(set(stamps))
    assert stage.ask(r.HasPartition(DEFAULT, "books", "a")).value
    stage.ask(r.DropPartition(DEFAULT, "books", "a"))
    assert not stage.ask(r.HasPartition(DEFAULT, "books", "a")).value


def test_loading_partitions(stage: Stage) -> None:
    """Reads see loaded partitions only; a load of the whole takes all."""
    stage.create()
    stage.index()
    stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
    stage.insert([1, 2], partition="p")
    stage.insert([3])
    assert _state(stage) is a.LoadState.NOT_LOADED
    stage.ask(r.LoadPartitions(DEFAULT, "books", ("p",), OPTIONS))
    assert _state(stage, "p") is a.LoadState.LOADED
    assert _state(stage, "_default") is a.LoadState.NOT_LOADED
    assert stage.count() == 2
    assert sorted(stage.search(QUERY).keys.to_pylist()) == [1, 2]
    with pytest.raises(PartitionNotLoaded, match="failed to search: partition not lo"):
        stage.search(QUERY, partitions=("_default",))
    with pytest.raises(PartitionNotLoaded, match="failed to query"):
        stage.count(partitions=("_default",))
    loaded = stage.ask(r.ShowPartitions(DEFAULT, "books", (), True))
    assert [(e.name, e.loaded_percent) for e in loaded.partitions] == [("p", 100)]
    stage.ask(r.CreatePartition(DEFAULT, "books", "later"))
    assert _state(stage, "later") is a.LoadState.NOT_LOADED
    stage.reopen()
    assert stage.count() == 2
    stage.load()
    assert stage.count() == 3
    stage.ask(r.CreatePartition(DEFAULT, "books", "last"))
    assert _state(stage, "last") is a.LoadState.LOADED


def test_releasing_partitions(stage: Stage) -> None:
    """Those left stay loaded; without any, the collection is not."""
    stage.ready()
    stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
    stage.ask(r.ReleasePartitions(DEFAULT, "books", ("p",)))
    assert _state(stage, "_default") is a.LoadState.LOADED
    stage.ask(r.DropPartition(DEFAULT, "books", "p"))
    stage.ask(r.ReleasePartitions(DEFAULT, "books", ("_default",)))
    assert _state(stage) is a.LoadState.NOT_LOADED
    with pytest.raises(CollectionNotLoaded):
        stage.count()


def test_partitions_made_after_others_were_released(stage: Stage) -> None:
    """The collection was loaded whole: new ones are loaded, and released ones are not.

    A partition may be released, dropped and made again.
    """
    stage.ready()
    for name in ("p", "q"):
        stage.ask(r.CreatePartition(DEFAULT, "books", name))
        stage.ask(r.ReleasePartitions(DEFAULT, "books", (name,)))
    stage.ask(r.DropPartition(DEFAULT, "books", "p"))
    stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
    stage.insert([1, 2], partition="p")
    stage.insert([3], partition="q")
    for _ in range(2):
        assert _state(stage, "p") is a.LoadState.LOADED
        assert _state(stage, "q") is a.LoadState.NOT_LOADED
        assert stage.count() == 2
        stage.reopen()
    stage.ask(r.LoadPartitions(DEFAULT, "books", ("q",), OPTIONS))
    assert stage.count() == 3


def test_loading_is_told(stage: Stage) -> None:
    """State, progress and the list of what is loaded agree."""
    missing = stage.ask(r.GetLoadState(DEFAULT, "nothing", ()))
    assert missing.state is a.LoadState.NOT_EXIST
    stage.ready()
    progress = stage.ask(r.GetLoadingProgress(DEFAULT, "books", ("_default",)))
    assert (progress.percent, progress.refresh_percent) == (100, 100)
    stage.create("other")
    shown = stage.ask(r.ShowCollections(DEFAULT, True, ()))
    told = [(e.name, e.loaded_percent) for e in shown.collections]
    assert told == [("books", 100)]
    with pytest.raises(InvalidParameter, match="please release it first"):
        stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
        stage.ask(r.DropPartition(DEFAULT, "books", "p"))


def test_statistics_count_live_rows_at_once(stage: Stage) -> None:
    """Deleted rows are not counted, rows in memory are."""
    stage.create()
    stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
    stage.insert([1, 2, 3], partition="p")
    stage.insert([4])
    stage.delete("id in [1]")
    whole = stage.ask(r.GetCollectionStatistics(DEFAULT, "books"))
    part = stage.ask(r.GetPartitionStatistics(DEFAULT, "books", "p"))
    assert (whole.values, part.values) == ({"row_count": "3"}, {"row_count": "2"})
    stage.ask(r.TruncateCollection(DEFAULT, "books"))
    empty = stage.ask(r.GetPartitionStatistics(DEFAULT, "books", ""))
    assert empty.values == {"row_count": "0"}


# --- indexes ------------------------------------------------------------------------


def test_an_index_is_told_as_it_was_given(stage: Stage) -> None:
    """Its name is the field's by default; parameters come back as they were."""
    stage.create()
    stage.index(kind="HNSW", metric="l2", M="16", efConstruction="100")
    (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes
    assert (index.name, index.field) == ("vector", "vector")
    assert index.params == {
        "index_type": "HNSW",
        "metric_type": "L2",
        "M": "16",
        "efConstruction": "100",
    }
    assert index.state is a.IndexState.FINISHED
    assert (index.total_rows, index.indexed_rows) == (0, 0)
    assert index.id > 0


def test_index_parameters_as_json(stage: Stage) -> None:
    """What clients send as one JSON text is told back as such."""
    stage.create()
    given = {"index_type": "IVF_FLAT", "metric_type": "IP", "params": '{"nlist": 9}'}
    stage.ask(
        r.CreateIndex(
            DEFAULT, "books", "vector", "mine", "IVF_FLAT", "IP", {"nlist": 9}, given
        )
    )
    (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "mine")).indexes
    assert index.params == given
    with pytest.raises(InvalidParameter, match="creating multiple indexes on same fi"):
        stage.ask(
            r.CreateIndex(
                DEFAULT, "books", "vector", "b", "IVF_FLAT", "IP", {"nlist": "9"}, given
            )
        )
    with pytest.raises(InvalidParameter, match="at most one distinct index is allowe"):
        stage.index()


def test_an_index_without_parameters(stage: Stage) -> None:
    """It is AUTOINDEX, and COSINE."""
    stage.create()
    stage.ask(r.CreateIndex(DEFAULT, "books", "vector", ""))
    (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes
    assert index.params == {"index_type": "AUTOINDEX", "metric_type": "COSINE"}


def test_scalar_indexes_change_no_answer(stage: Stage) -> None:
    """They are built and told; filters find the same rows with them and without."""
    stage.ready()
    stage.insert(list(range(100)))
    stage.ask(r.Flush(DEFAULT, ("books",)))
    before = stage.count("topic == 3")
    given = {"index_type": "INVERTED"}
    stage.ask(r.CreateIndex(DEFAULT, "books", "topic", "t", "INVERTED", "", {}, given))
    assert stage.count("topic == 3") == before == 10
    (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "t")).indexes
    assert (index.state, index.indexed_rows) == (a.IndexState.IN_PROGRESS, 0)
    collection = stage.core.database.collection("books")
    stage.core.database.background.optimize(collection, lambda share: None)
    assert stage.count("topic == 3") == before
    (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "t")).indexes
    assert (index.params, index.state) == (given, a.IndexState.FINISHED)
    assert index.indexed_rows == index.total_rows == 100
    stage.reopen()
    stage.ask(r.DropIndex(DEFAULT, "books", "topic", "t"))
    assert len(stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes) == 1


JSON_SCHEMA = CollectionSchema(
    (*SCHEMA.fields, FieldSchema("meta", DataType.JSON, nullable=True))
)
PATHS = [
    ("meta", "meta['a'][\"b\"]", "meta/a/b", "meta"),
    ("meta", "meta['a'][0]", "meta/a/0", "meta"),
    ("meta", "", "meta", "meta"),
    ("color", "color['x']", "$meta/color/x", "color"),
    ("color", "", "$meta/color", "color"),
]


def _path_index(field: str, path: str, name: str = "", **params: str) -> r.CreateIndex:
    given = {"json_cast_type": "varchar", **params}
    if path:
        given["json_path"] = path
    told = {"index_type": "INVERTED", **given}
    return r.CreateIndex(DEFAULT, "books", field, name, "INVERTED", "", given, told)


def test_indexes_of_json_paths(stage: Stage) -> None:
    """Several on one field, each named by its place; kept, told and dropped."""
    stage.create(schema=JSON_SCHEMA, is_dynamic=True)
    stage.index()
    for field, path, _, _ in PATHS * 2:
        stage.ask(_path_index(field, path))
    stage.reopen()
    for _, path, name, field in PATHS:
        (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", name)).indexes
        assert (index.field, index.params.get("json_path", "")) == (field, path)
        assert index.state is a.IndexState.FINISHED
    assert len(stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes) == 6
    for _, _, name, _ in PATHS:
        stage.ask(r.DropIndex(DEFAULT, "books", "", name))
    (left,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes
    assert left.name == "vector"


WRONG_PATHS = [
    (_path_index("meta", "1"), "cannot parse identifier: 1"),
    (_path_index("meta", "/"), "mismatched input '/'"),
    (_path_index("meta", "other['a']"), "cannot parse identifier: other"),
    (_path_index("meta", "meta['a'", ""), "cannot parse identifier: meta"),
    (_path_index("meta", "", json_cast_type="INT8"), "json_cast_type INT8 is not sup"),
    (
        _path_index("meta", "", json_cast_function="STRING_TO_DOUBLE"),
        "json_cast_function STRING_TO_DOUBLE is not supported for json_cast_type VARC",
    ),
    (
        replace(_path_index("meta", ""), index_type="TRIE"),
        "TRIE are only supported on varchar field",
    ),
    (_path_index("meta", "meta['a']", "second"), "creating multiple indexes on same"),
    (_path_index("meta", "meta['b']", "mine"), "at most one distinct index is all"),
]


@pytest.mark.parametrize(("request_", "text"), WRONG_PATHS)
def test_wrong_indexes_of_json_paths(
    stage: Stage, request_: r.CreateIndex, text: str
) -> None:
    """Milvus' texts; nothing is kept."""
    stage.create(schema=JSON_SCHEMA)
    stage.ask(_path_index("meta", "meta['a']", "mine"))
    collection = stage.core.named("books", DEFAULT)
    with pytest.raises(InvalidParameter, match=re.escape(text)):
        stage.ask(request_)
    assert len(collection.definition.all_indexes) == 1


def test_an_index_is_built_and_told(stage: Stage) -> None:
    """Clients up to 2.2 ask for states by field."""
    stage.ready()
    stage.insert(list(range(200)), vectors(200))
    stage.ask(r.Flush(DEFAULT, ("books",)))
    waiting = stage.ask(r.GetIndexState(DEFAULT, "books", "vector", ""))
    assert waiting.state is a.IndexState.IN_PROGRESS
    database = stage.core.database
    for collection in database.collections():
        database.background.optimize(collection, lambda share: None)
    done = stage.ask(r.GetIndexState(DEFAULT, "books", "vector", ""))
    assert done.state is a.IndexState.FINISHED
    progress = stage.ask(r.GetIndexBuildProgress(DEFAULT, "books", "vector", ""))
    assert progress.indexed_rows == progress.total_rows == 200
    (segment,) = stage.ask(r.GetQuerySegmentInfo(DEFAULT, "books")).segments
    assert (segment.index_name, segment.n_rows) == ("vector", 200)


def test_an_index_can_go_after_a_release(stage: Stage) -> None:
    """And another can come in its place."""
    stage.ready()
    stage.ask(r.ReleaseCollection(DEFAULT, "books"))
    stage.ask(r.DropIndex(DEFAULT, "books", "vector", ""))
    stage.index(metric="IP")
    stage.load()
    stage.insert([1])
    assert stage.search(QUERY, metric_type="IP").counts.tolist() == [1]


def test_names_are_free_after_a_drop(stage: Stage) -> None:
    """A new collection of an old name begins without rows, index or load."""
    stage.ready()
    stage.insert([1])
    stage.ask(r.DropCollection(DEFAULT, "books"))
    stage.create(schema=SCHEMA, is_dynamic=True)
    assert _state(stage) is a.LoadState.NOT_LOADED
    stage.index()
    stage.load()
    assert stage.count() == 0
