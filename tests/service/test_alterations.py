"""Properties, fields and their parameters change while a collection is in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elanus.errors import (
    CollectionLoaded,
    CollectionUnknown,
    ElanusError,
    IllegalSchema,
    IndexAmbiguous,
    InvalidParameter,
    MissingParameter,
    SchemaMismatch,
    UnsupportedOperation,
)
from elanus.schema.functions import FunctionKind, FunctionSchema
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.service import replies as a
from elanus.service import requests as r
from elanus.service import requests_alter as ra
from service.stage import DEFAULT, SCHEMA, Stage, book_columns, by_name, column, vectors

PAGES = FieldSchema("pages", DataType.INT64, nullable=True)
TONGUE = FieldSchema(
    "tongue", DataType.VARCHAR, max_length=9, nullable=True, default="en"
)
TOKENS = FunctionSchema("tokens", FunctionKind.TEXT_EMBEDDING)
DAY_MS = 86_400_000


def described(stage: Stage) -> a.CollectionInfo:
    """The description of the collection."""
    reply = stage.ask(r.DescribeCollection(DEFAULT, "books"))
    assert isinstance(reply, a.CollectionInfo)
    return reply


def alter(stage: Stage, *gone: str, **given: str) -> None:
    """Set properties, ``__`` for a dot, or delete some."""
    properties = {name.replace("__", "."): value for name, value in given.items()}
    stage.ask(ra.AlterCollection(DEFAULT, "books", properties, gone))


def alter_field(stage: Stage, field: str, given: Mapping[str, str], *gone: str) -> None:
    """Set parameters of a field, or delete some."""
    stage.ask(ra.AlterCollectionField(DEFAULT, "books", field, given, gone))


def add(stage: Stage, field: FieldSchema) -> None:
    """Add a field."""
    stage.ask(ra.AddCollectionField(DEFAULT, "books", field))


def drop(stage: Stage, **named: str | int) -> None:
    """Drop a field or a function."""
    stage.ask(ra.DropFromSchema(DEFAULT, "books", **named))


# --- properties -----------------------------------------------------------------------


def test_properties_are_set_deleted_and_kept(stage: Stage) -> None:
    """Unknown ones too; each change bumps the timestamp; a restart keeps them."""
    stage.create()
    before = described(stage)
    alter(stage, mmap__enabled="true", own="1", timezone="Asia/Tokyo")
    alter(stage, "own")
    stage.reopen()
    after = described(stage)
    assert after.properties == {
        **before.properties,
        "mmap.enabled": "true",
        "timezone": "Asia/Tokyo",
    }
    assert after.updated_ts > before.updated_ts
    assert after.schema == before.schema


def test_description_and_consistency_are_no_properties(stage: Stage) -> None:
    """They change what is described elsewhere."""
    stage.create()
    before = described(stage).properties
    alter(stage, collection__description="shelf", consistency_level="Eventually")
    assert described(stage).schema.description == "shelf"
    assert described(stage).consistency_level == 3
    alter(stage, consistency_level="1")
    assert described(stage).consistency_level == 1
    assert described(stage).properties == before


def test_what_is_already_so_changes_nothing(stage: Stage) -> None:
    """A client may go on with the schema it knows."""
    stage.create(properties={"own": "1"})
    before = described(stage).updated_ts
    alter(stage, own="1")
    alter(stage, "unknown")
    assert described(stage).updated_ts == before


REFUSED = [
    ({}, "no properties or delete keys provided"),
    ({"collection.ttl.seconds": "x"}, "collection TTL is not a valid positive integer"),
    (
        {"collection.ttl.seconds": "-2"},
        "collection TTL is out of range, expect [-1, 3155760000], got -2",
    ),
    ({"ttl_field": "none"}, "ttl field name none not found in schema"),
    ({"ttl_field": "topic"}, "ttl field must be timestamptz, field name = topic"),
    (
        {"ttl_field": "topic", "collection.ttl.seconds": "1"},
        "collection TTL and ttl field cannot be set at the same time",
    ),
    ({"timezone": "Mars"}, "unknown or invalid IANA Time Zone ID: Mars"),
    (
        {"namespace.sharding.enabled": "true"},
        "cannot alter namespace.sharding.enabled after collection creation",
    ),
    ({"cipher.key": "x"}, "can not alter cipher related properties"),
    ({"partitionkey.isolation": "x"}, "failed to parse partition key isolation"),
    (
        {"allow_insert_auto_id": "true"},
        "the value for allow_insert_auto_id must be false when autoID is false",
    ),
    (
        {"dynamicfield.enabled": "true", "own": "1"},
        "cannot alter dynamic schema with other properties at the same time",
    ),
    ({"dynamicfield.enabled": "x"}, "invalid dynamic schema property value: x"),
    ({"warmup": "sync"}, "warmup key 'warmup' is only allowed at field level"),
    (
        {"warmup.vectorField": "x"},
        "invalid warmup value for key warmup.vectorField: invalid warmup policy: x",
    ),
    (
        {"collection.description": "x" * 1025},
        "the length of a collection description must not exceed 1024 bytes",
    ),
    ({"consistency_level": "never"}, "invalid consistency level: never"),
]


@pytest.mark.parametrize(("given", "text"), REFUSED, ids=lambda v: str(v)[:40])
def test_a_wrong_property_changes_nothing(
    stage: Stage, given: dict[str, str], text: str
) -> None:
    """Milvus' text; none of the properties given with it is set."""
    stage.create()
    before = described(stage)
    with pytest.raises(InvalidParameter) as refused:
        stage.ask(ra.AlterCollection(DEFAULT, "books", given))
    assert str(refused.value).startswith(text)
    assert described(stage) == before


def test_setting_and_deleting_at_once_is_refused(stage: Stage) -> None:
    """One request does one of both."""
    stage.create()
    with pytest.raises(InvalidParameter, match="cannot provide both DeleteKeys"):
        alter(stage, "a", b="c")
    with pytest.raises(InvalidParameter, match="cannot delete key dynamicfield"):
        alter(stage, "dynamicfield.enabled")


def test_isolation_needs_a_key_and_no_index(stage: Stage) -> None:
    """Both are Milvus' rules, with its codes."""
    stage.create()
    with pytest.raises(IllegalSchema, match="Please set the partition key first"):
        alter(stage, partitionkey__isolation="true")
    stage.index()
    with pytest.raises(IndexAmbiguous, match="Please drop the index first"):
        alter(stage, partitionkey__isolation="false")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mmap.enabled", "can not alter mmap properties if collection loaded"),
        ("warmup.scalarField", "can not alter warmup properties if collection loaded"),
    ],
)
def test_what_needs_a_released_collection(stage: Stage, key: str, text: str) -> None:
    """Code 104; the same for deleting it."""
    stage.ready()
    with pytest.raises(CollectionLoaded) as refused:
        stage.ask(ra.AlterCollection(DEFAULT, "books", {key: "disable"}))
    assert str(refused.value) == f"{text}: collection already loaded[collection=books]"
    with pytest.raises(CollectionLoaded, match="can not delete"):
        alter(stage, key)


# --- time to live ---------------------------------------------------------------------


def test_rows_vanish_when_their_time_is_over(tmp_path: Path) -> None:
    """On files, in memory, for searches and counts; newer rows stay."""
    stage = Stage(tmp_path / "db", now_ms=1_700_000_000_000)
    stage.ready(properties={"collection.ttl.seconds": "100"})
    stage.insert([1, 2])
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.insert([3])
    assert stage.now_ms is not None
    stage.now_ms += 60_000
    stage.insert([4])
    assert stage.count() == 4
    stage.now_ms += 41_000
    assert stage.count() == 1
    assert by_name(stage.query("id > 0", output_fields=("id",)).columns)["id"] == [4]
    assert stage.search(vectors(1), limit=4).keys.to_pylist() == [4]
    stage.reopen()
    assert stage.count() == 1
    alter(stage, "collection.ttl.seconds")
    assert stage.count() == 4
    stage.close()


def test_the_space_of_expired_rows_is_freed(tmp_path: Path) -> None:
    """By the next compaction after no reader can ask for them."""
    stage = Stage(tmp_path / "db", now_ms=1_700_000_000_000)
    stage.ready()
    stage.insert(list(range(30)))
    stage.ask(r.Flush(DEFAULT, ("books",)))
    alter(stage, collection__ttl__seconds="5")
    assert stage.now_ms is not None
    stage.now_ms += DAY_MS
    assert stage.count() == 0
    stage.insert([100])
    stage.ask(r.Flush(DEFAULT, ("books",)))
    collection = stage.core.named("books", DEFAULT)
    stage.core.database.background.optimize(collection, lambda share: None)
    assert sum(s.n_rows for s in collection.shard.sealed) == 1
    stage.close()


# --- adding fields --------------------------------------------------------------------


def test_rows_of_before_have_the_default_or_null(stage: Stage) -> None:
    """Wherever they lie: on files, in memory; filters and output agree."""
    stage.ready()
    stage.insert([1, 2])
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.insert([3])
    add(stage, PAGES)
    add(stage, TONGUE)
    stage.write(
        r.Insert,
        (
            *book_columns([4]),
            column("pages", DataType.INT64, [70]),
            column("tongue", DataType.VARCHAR, ["it"]),
        ),
        1,
    )
    stage.insert([5])
    for _ in range(2):
        shown = by_name(
            stage.query("id > 0", output_fields=("pages", "tongue")).columns
        )
        assert shown["pages"] == [None, None, None, 70, None]
        assert shown["tongue"] == ["en", "en", "en", "it", "en"]
        assert stage.count("pages is null") == 4
        assert stage.count("tongue == 'en'") == 4
        hits = stage.search(vectors(1), limit=9, filter="pages > 1")
        assert hits.keys.to_pylist() == [4]
        stage.reopen()
    info = described(stage)
    assert [f.id for f in info.schema.fields] == [100, 101, 102, 103, 104, 105]
    assert info.properties["max_field_id"] == "105"
    assert info.schema.version == 2


def test_a_client_of_the_old_schema_is_told(stage: Stage) -> None:
    """It has to ask for the schema again; without a timestamp it may go on."""
    stage.create()
    old = described(stage).updated_ts
    add(stage, PAGES)
    with pytest.raises(SchemaMismatch):
        stage.insert([1], schema_ts=old)
    stage.insert([1], schema_ts=described(stage).updated_ts)
    stage.insert([2])


def test_the_dynamic_field_comes_and_goes(stage: Stage) -> None:
    """Rows of before have no keys; without it, keys are unknown again."""
    stage.ready()
    stage.insert([1])
    alter(stage, dynamicfield__enabled="true")
    assert described(stage).schema.dynamic is not None
    columns = (*book_columns([2]), column("$meta", DataType.JSON, [b'{"hue": 3}']))
    stage.write(r.Insert, columns, 1)
    assert stage.count("hue == 3") == 1
    shown = by_name(stage.query("id > 0", output_fields=("hue",)).columns)
    assert shown["$meta"] == [b"{}", b'{"hue":3}']
    alter(stage, dynamicfield__enabled="false")
    with pytest.raises(InvalidParameter, match="field hue not exist"):
        stage.count("hue == 3")
    alter(stage, dynamicfield__enabled="true")
    assert stage.count("hue == 3") == 0
    assert "dynamicfield.enabled" not in described(stage).properties


ADDED = [
    (FieldSchema("f", DataType.INT64), "added field must be nullable"),
    (FieldSchema("f", DataType.INT64, is_primary=True), "not support to add pk field"),
    (
        FieldSchema("f", DataType.INT64, auto_id=True),
        "only primary field can speficy AutoID with true, field name = f",
    ),
    (
        FieldSchema("f", DataType.INT64, is_partition_key=True),
        "not support to add partition key field, field name  = f",
    ),
    (FieldSchema("RowID", DataType.INT64), "not support to add system field"),
    (FieldSchema("topic", DataType.INT64, nullable=True), "duplicated field name"),
    (
        FieldSchema("f", DataType.VARCHAR, nullable=True, max_length=65536),
        "the maximum length specified for the field(f) should be in (0, 65535], but "
        "got 65536 instead",
    ),
    (
        FieldSchema("f", DataType.FLOAT_VECTOR, nullable=True),
        "vector field must have dimension specified, field name = f",
    ),
]


@pytest.mark.parametrize(("field", "text"), ADDED, ids=lambda v: str(v)[:40])
def test_a_field_that_cannot_be_added(
    stage: Stage, field: FieldSchema, text: str
) -> None:
    """Milvus' text, by either request; the schema stays."""
    stage.create()
    before = described(stage)
    for request in (
        ra.AddCollectionField(DEFAULT, "books", field),
        ra.AddToSchema(DEFAULT, "books", (field,)),
    ):
        with pytest.raises(InvalidParameter) as refused:
            stage.ask(request)
        assert str(refused.value).startswith(text)
    assert described(stage) == before


def test_the_sixty_fifth_field_is_refused(stage: Stage) -> None:
    """64 is the limit."""
    stage.create()
    for i in range(60):
        add(stage, FieldSchema(f"f{i}", DataType.INT8, nullable=True))
    with pytest.raises(InvalidParameter, match="reached the maximum value 64"):
        add(stage, PAGES)


@pytest.mark.parametrize(
    "request_of,error,text",
    [
        (
            lambda f: ra.AddToSchema(DEFAULT, "books", (), (f(1),)),
            InvalidParameter,
            "BM25 function must be added with its output field in add_function_field",
        ),
        (
            lambda f: ra.AddToSchema(DEFAULT, "books", (PAGES,), (f(2),)),
            InvalidParameter,
            "For now, only BM25 and MinHash functions are supported in add_function_",
        ),
        (
            lambda f: ra.AddToSchema(DEFAULT, "books", (PAGES,), (f(4),)),
            UnsupportedOperation,
            "function f in collection books",
        ),
        (
            lambda f: ra.AddCollectionFunction(DEFAULT, "books", f(1)),
            InvalidParameter,
            "currently does not support adding BM25 function",
        ),
        (
            lambda f: ra.AddCollectionFunction(DEFAULT, "books", f(2)),
            UnsupportedOperation,
            "function f in collection books",
        ),
        (
            lambda f: ra.AlterCollectionFunction(DEFAULT, "books", "f", f(1)),
            InvalidParameter,
            "currently does not support alter BM25 function",
        ),
        (
            lambda f: ra.AlterCollectionFunction(DEFAULT, "books", "g", f(2)),
            InvalidParameter,
            "invalid function config, name not match",
        ),
        (
            lambda f: ra.AlterCollectionFunction(DEFAULT, "books", "f", f(2)),
            InvalidParameter,
            "function f not found",
        ),
        (
            lambda f: ra.DropCollectionFunction(DEFAULT, "books", "f"),
            InvalidParameter,
            "function f not found",
        ),
    ],
)
def test_functions_are_refused_by_kind(
    stage: Stage, request_of: Any, error: type[ElanusError], text: str
) -> None:
    """In Milvus' words where it refuses, too; nothing changes."""
    stage.create()
    before = described(stage)
    with pytest.raises(error) as refused:
        stage.ask(request_of(lambda kind: FunctionSchema("f", kind)))
    assert str(refused.value).startswith(text)
    assert described(stage) == before


def test_schema_requests_that_say_too_much_or_nothing(stage: Stage) -> None:
    """One field at a time; functions are not built."""
    stage.create()
    for request, error in (
        (ra.AlterSchemaByNothing(DEFAULT, "books"), "action is nil in alter schema"),
        (ra.AddToSchema(DEFAULT, "books", ()), "fieldInfos and function schema are"),
        (ra.AddToSchema(DEFAULT, "books", (PAGES, TONGUE)), "only one field info"),
        (
            ra.AddToSchema(DEFAULT, "books", (), (TOKENS, TOKENS)),
            "at most one function",
        ),
    ):
        with pytest.raises(InvalidParameter, match=error):
            stage.ask(request)
    with pytest.raises(UnsupportedOperation, match="function tokens"):
        stage.ask(ra.AddToSchema(DEFAULT, "books", (), (TOKENS,)))
    with pytest.raises(CollectionUnknown):
        stage.ask(ra.AddCollectionField(DEFAULT, "none", PAGES))


# --- dropping fields ------------------------------------------------------------------


def test_a_dropped_field_is_gone_and_its_number_too(stage: Stage) -> None:
    """A new field of its name does not show its values, not even those in the log."""
    stage.ready()
    stage.insert([1, 2])
    drop(stage, field="topic")
    assert [f.name for f in described(stage).schema.fields] == ["id", "title", "vector"]
    with pytest.raises(InvalidParameter, match="field topic not exist"):
        stage.count("topic == 1")
    add(stage, FieldSchema("topic", DataType.INT64, nullable=True))
    stage.reopen()
    assert described(stage).schema.by_name["topic"].id == 104
    assert stage.count("topic is null") == 2


def test_fields_that_cannot_be_dropped(stage: Stage) -> None:
    """Milvus' texts."""
    stage.create(is_dynamic=True)
    for named, text in (
        ({"field": "id"}, "cannot drop primary key field: id"),
        ({"field": "vector"}, "cannot drop the last vector field: vector"),
        ({"field": "$meta"}, "cannot drop dynamic field: $meta"),
        ({"field": "RowID"}, "cannot drop system field: RowID"),
        ({"field": "none"}, "field not found: none"),
        ({"field_id": 999}, "field not found with id: 999"),
        ({"function": "f"}, "function not found: f"),
    ):
        with pytest.raises(InvalidParameter) as refused:
            drop(stage, **named)
        assert str(refused.value).startswith(text)
    with pytest.raises(MissingParameter, match="drop request must specify"):
        drop(stage)
    drop(stage, field_id=102)
    assert "title" not in described(stage).schema.by_name


# --- parameters of fields -------------------------------------------------------------


def test_parameters_of_a_field_change(stage: Stage) -> None:
    """Longer texts are taken at once; the schema's version stays."""
    stage.create()
    long = (
        *book_columns([1])[:2],
        column("title", DataType.VARCHAR, ["x" * 30]),
        book_columns([1])[3],
    )
    with pytest.raises(InvalidParameter):
        stage.write(r.Insert, long, 1)
    alter_field(stage, "title", {"max_length": "30", "field.description": "the title"})
    alter_field(stage, "title", {"mmap.enabled": "true", "warmup": "sync"})
    alter_field(stage, "title", {}, "warmup")
    stage.write(r.Insert, long, 1)
    stage.reopen()
    title = described(stage).schema.by_name["title"]
    assert (title.max_length, title.description) == (30, "the title")
    assert title.properties == {"mmap.enabled": "true"}
    assert described(stage).schema.version == 0


FIELD_REFUSED = [
    ("title", {"max_length": "x"}, "max_length should be an integer, but got string"),
    ("title", {"max_length": "65536"}, "65536 exceeds the maximum allowed value 65535"),
    (
        "topic",
        {"max_length": "9"},
        " can not modify the maxlength for non-string types",
    ),
    (
        "topic",
        {"max_capacity": "9"},
        " can not modify the maxcapacity for non-array types",
    ),
    ("title", {"dim": "9"}, "dim does not allow update in collection field param"),
    ("none", {"max_length": "9"}, "field none does not exist in collection"),
    ("title", {"warmup": "x"}, "invalid warmup value for key warmup"),
]


@pytest.mark.parametrize(("field", "given", "text"), FIELD_REFUSED)
def test_a_parameter_that_cannot_change(
    stage: Stage, field: str, given: dict[str, str], text: str
) -> None:
    """Milvus' text; nothing changes."""
    stage.create()
    before = described(stage)
    with pytest.raises(InvalidParameter) as refused:
        alter_field(stage, field, given)
    assert str(refused.value).startswith(text)
    assert described(stage) == before


def test_parameters_of_a_loaded_field(stage: Stage) -> None:
    """Code 104, whether they are set or deleted."""
    stage.ready()
    cases: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"mmap.enabled": "true"}, ()),
        ({"warmup": "sync"}, ()),
        ({}, ("mmap.enabled",)),
    ]
    for given, gone in cases:
        with pytest.raises(CollectionLoaded):
            alter_field(stage, "title", given, *gone)
    with pytest.raises(ElanusError, match="is not allowed to drop in collection field"):
        alter_field(stage, "title", {}, "max_length")


# --- indexes --------------------------------------------------------------------------


def test_properties_of_an_index_change(stage: Stage) -> None:
    """While the collection is released; the index stays as it is."""
    stage.create()
    stage.index()
    place = (DEFAULT, "books", "vector")
    before = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes[0].params
    stage.ask(ra.AlterIndex(*place, {"mmap.enabled": "True", "warmup": "sync"}))
    stage.ask(ra.AlterIndex(*place, {}, ("warmup",)))
    stage.reopen()
    after = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes[0].params
    assert after == {**before, "mmap.enabled": "True"}
    stage.index()
    stage.load()
    with pytest.raises(CollectionLoaded, match="can't alter index on loaded"):
        stage.ask(ra.AlterIndex(*place, {"mmap.enabled": "false"}))


def test_an_index_that_cannot_change(stage: Stage) -> None:
    """Milvus' texts."""
    stage.create()
    stage.index()
    for name, given, gone, text in (
        ("", {"mmap.enabled": "1"}, (), "index name is empty"),
        ("vector", {"M": "4"}, (), "M is not a configable index property"),
        ("vector", {}, ("M",), "M is not a configable index property"),
        ("vector", {"warmup": "x"}, (), "invalid warmup value for key warmup"),
        ("vector", {"warmup": "sync"}, ("warmup",), "cannot provide both DeleteKeys"),
        ("none", {"warmup": "sync"}, (), "index not found[indexName=none]"),
    ):
        with pytest.raises(ElanusError) as refused:
            stage.ask(ra.AlterIndex(DEFAULT, "books", name, given, gone))
        assert str(refused.value).startswith(text)


def test_an_index_with_an_unknown_warmup(stage: Stage) -> None:
    """It is not created; with a known one it is, and tells it."""
    stage.create()
    with pytest.raises(InvalidParameter, match="invalid warmup policy: x"):
        stage.index(warmup="x")
    stage.index(warmup="async")
    told = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "")).indexes[0].params
    assert told["warmup"] == "async"


def test_a_field_with_an_unknown_warmup(stage: Stage) -> None:
    """Neither created nor added."""
    wrong = replace(PAGES, properties={"warmup": "x"})
    schema = replace(SCHEMA, fields=(*SCHEMA.fields, wrong))
    with pytest.raises(InvalidParameter, match="invalid warmup policy for field pages"):
        stage.create(schema=schema)
    stage.create()
    with pytest.raises(InvalidParameter, match="invalid warmup policy for field pages"):
        add(stage, wrong)
