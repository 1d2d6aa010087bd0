"""What does not fit is refused with Milvus' words, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import elanus
from elanus import CollectionSchema, DataType, FieldSchema
from elanus.embedded.collection import Collection
from elanus.errors import (
    CollectionNotFound,
    ElanusError,
    FieldNameInvalid,
    IndexNotFound,
    InvalidParameter,
    MissingParameter,
    PartitionNotFound,
    QueryPlanError,
)

SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=4),
        FieldSchema("small", DataType.INT8),
        FieldSchema("text", DataType.VARCHAR, max_length=5, nullable=True),
        FieldSchema("price", DataType.FLOAT, nullable=True),
        FieldSchema("flag", DataType.BOOL, nullable=True),
        FieldSchema("info", DataType.JSON, nullable=True),
        FieldSchema(
            "tags",
            DataType.ARRAY,
            element_type=DataType.INT8,
            max_capacity=3,
            nullable=True,
        ),
    )
)
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[elanus.Database]:
    """A database with one strict and one dynamic collection of three rows each."""
    with elanus.open(tmp_path_factory.mktemp("bad") / "a.db") as opened:
        opened.create_collection("strict", SCHEMA)
        opened.create_collection("dynamic", dim=4)
        opened.create_collection("texts", dim=4, id_type="str")
        opened.create_collection("auto", dim=4, auto_id=True)
        opened["strict"].insert(columns())
        opened["dynamic"].insert({"id": [1, 2, 3], "vector": np.eye(3, 4)})
        yield opened


@pytest.fixture
def strict(db: elanus.Database) -> Iterator[Collection]:
    """The strict collection; a test may not change it."""
    yield from unchanged(db["strict"])


@pytest.fixture
def dynamic(db: elanus.Database) -> Iterator[Collection]:
    """The dynamic collection; a test may not change it."""
    yield from unchanged(db["dynamic"])


def unchanged(collection: Collection) -> Iterator[Collection]:
    """Nothing may be written: neither rows nor log records nor definitions."""
    before = state(collection)
    yield collection
    assert state(collection) == before


def state(collection: Collection) -> tuple[Any, ...]:
    """All that a refused request may not change."""
    log = collection._core.node.log
    return (
        len(collection),
        log.last_seq,
        log.size_bytes,
        collection.partitions,
        collection.describe_index(),
    )


def columns(**changed: Any) -> dict[str, Any]:
    """Three good rows for the strict collection, some columns replaced or left out."""
    given: dict[str, Any] = {
        "id": [1, 2, 3],
        "vector": np.eye(3, 4, dtype=np.float32),
        "small": [1, 2, 3],
        **changed,
    }
    return {name: values for name, values in given.items() if values is not ...}


MISMATCH = "array type mismatch"
NOT_FINITE = "is not a number or infinity"
REFUSED_ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("wrong dim", {"vector": np.eye(3)}, r"the dim \(3\) of field data\(vector\)"),
    ("wrong dim in lists", {"vector": [[1.0, 2.0]] * 3}, "is not equal to schema dim"),
    ("ragged vectors", {"vector": [[1.0] * 4, [1.0], [1.0] * 4]}, MISMATCH),
    ("nan", {"vector": np.full((3, 4), NAN)}, f"'NaN' {NOT_FINITE}"),
    ("inf", {"vector": [[1, 2, 3, -INF]] * 3}, f"'-Inf' {NOT_FINITE}"),
    ("beyond float32", {"vector": np.full((3, 4), 1e300)}, NOT_FINITE),
    ("null vector", {"vector": [[1.0] * 4, None, [1.0] * 4]}, "not nullable|null"),
    ("flat vector", {"vector": [1.0, 2.0, 3.0]}, MISMATCH),
    ("text as vector", {"vector": ["a", "b", "c"]}, MISMATCH),
    ("one number as vectors", {"vector": 3.0}, "."),
    ("text as key", {"id": ["a", "b", "c"]}, f"'id' is illegal, {MISMATCH}"),
    ("float key", {"id": [1.5, 2.5, 3.5]}, MISMATCH),
    ("bool key", {"id": [True, False, True]}, MISMATCH),
    ("null key", {"id": [1, None, 3]}, "null"),
    ("key beyond int64", {"id": [1, 2, 2**63]}, "."),
    ("no key", {"id": ...}, r"fieldSchema\(id\) has no corresponding fieldData"),
    ("no vector", {"vector": ...}, r"fieldSchema\(vector\) has no corresponding"),
    ("int8 overflow", {"small": [1, 128, 3]}, r"1th element \(128\) out of range"),
    ("int8 underflow", {"small": np.array([-129, 0, 0])}, "out of range"),
    ("null not allowed", {"small": [1, None, 3]}, r"field\(small\) is wrong"),
    ("text in int8", {"small": ["1", "2", "3"]}, MISMATCH),
    ("matrix in int8", {"small": np.ones((3, 2), np.int8)}, MISMATCH),
    ("too long", {"text": ["ok", "123456", ""]}, "exceeds max length, row number: 1"),
    ("too long in bytes", {"text": ["ééé", "", ""]}, "length: 6, max length: 5"),
    ("number as text", {"text": [1, 2, 3]}, MISMATCH),
    ("mixed as text", {"text": ["a", 2, None]}, MISMATCH),
    ("text as float", {"price": ["1", "2", "3"]}, MISMATCH),
    ("nan scalar", {"price": [1.0, NAN, 2.0]}, f"'NaN' {NOT_FINITE}"),
    ("inf scalar", {"price": np.array([1.0, INF, 2.0])}, NOT_FINITE),
    ("beyond float", {"price": [1e300, 1.0, 1.0]}, NOT_FINITE),
    ("number as bool", {"flag": [1, 0, 1]}, MISMATCH),
    ("bad json text", {"info": [b"{", b"{}", b"{}"]}, "json field 'info' is illegal"),
    ("no json value", {"info": [object(), 1, 2]}, "json field 'info' is illegal"),
    ("nan in json", {"info": [{"x": {1, 2}}, 1, 2]}, "json field 'info' is illegal"),
    ("json too long", {"info": ["x" * 70000, 1, 2]}, r"exceeds max length \(65536\)"),
    ("array too long", {"tags": [[1, 2, 3, 4], [], []]}, r"max capacity \(3\)"),
    ("array overflow", {"tags": [[1], [300], []]}, "out of range"),
    ("array of text", {"tags": [["a"], [], []]}, "insert data does not match"),
    ("array of null", {"tags": [[None], [], []]}, "null element"),
    ("no array", {"tags": [1, 2, 3]}, MISMATCH),
    ("unknown field", {"other": [1, 2, 3]}, "fieldName other not exist"),
    ("shorter column", {"small": [1, 2]}, r"num_rows \(2\) of field \(small\)"),
    ("longer column", {"text": ["a"] * 4}, r"the num_rows \(4\) of field \(text\)"),
    ("empty columns", {"id": [], "vector": np.empty((0, 4)), "small": []}, "num_rows"),
    ("zero-dimensional", {"id": np.array(5)}, "."),
    ("a set", {"small": {1, 2, 3}}, MISMATCH),
    ("a dict", {"small": {"a": 1, "b": 2, "c": 3}}, MISMATCH),
    ("a number for a name", {7: [1, 2, 3]}, "7"),
]


@pytest.mark.parametrize(
    ("changed", "words"),
    [case[1:] for case in REFUSED_ROWS],
    ids=[case[0] for case in REFUSED_ROWS],
)
@pytest.mark.parametrize("method", ["insert", "upsert"])
def test_rows_that_do_not_fit(
    strict: Collection, method: str, changed: dict[str, Any], words: str
) -> None:
    """Insert and upsert refuse the batch as a whole and say what is wrong."""
    given = {**columns(), **changed}
    given = {name: values for name, values in given.items() if values is not ...}
    expected = words
    if method == "upsert" and "id" not in given:
        expected = "must assign pk when upsert"
    with pytest.raises(InvalidParameter, match=expected):
        getattr(strict, method)(given)


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "rows",
        b"rows",
        [],
        {},
        [1, 2],
        [{"id": 1}, 5],
        [[1, 2], [3, 4]],
        np.eye(3),
        pa.table({}),
        {1, 2},
        iter([{"id": 1}]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_of_another_kind(strict: Collection, data: Any) -> None:
    """What is neither columns nor rows is refused."""
    with pytest.raises(InvalidParameter):
        strict.insert(data)


def test_arrow_and_rows_that_do_not_fit(strict: Collection) -> None:
    """The same checks hold for every form of data."""
    with pytest.raises(InvalidParameter, match=r"the dim \(2\)"):
        strict.insert([{"id": 9, "vector": [1.0, 2.0], "small": 1}])
    with pytest.raises(InvalidParameter, match=r"field\(small\) is wrong"):
        strict.insert(
            [
                {"id": 9, "vector": [1.0] * 4, "small": 1},
                {"id": 10, "vector": [1.0] * 4},
            ]
        )
    vectors = pa.array([[1.0] * 4, None], pa.list_(pa.float32(), 4))
    with pytest.raises(InvalidParameter, match="not nullable"):
        strict.insert(pa.table({"id": [8, 9], "vector": vectors, "small": [1, 2]}))
    ragged = pa.array([[1.0] * 4, [1.0]])
    with pytest.raises(InvalidParameter, match="should divide the dim"):
        strict.insert(pa.table({"id": [8, 9], "vector": ragged, "small": [1, 2]}))


def test_a_key_twice_in_an_upsert(strict: Collection) -> None:
    """Which of the two rows would be left is not guessed."""
    with pytest.raises(InvalidParameter, match="duplicate primary keys"):
        strict.upsert(columns(id=[1, 2, 1]))


def test_dynamic_values_that_are_no_json(dynamic: Collection) -> None:
    """The dynamic field takes JSON values, in columns as long as the others."""
    good = {"id": [7, 8], "vector": np.ones((2, 4))}
    for extra in (
        {"x": [object(), 1]},
        {"x": [1]},
        {"x": 5},
        {"x": "ab"},
        {"$meta": [{}]},
        {"$meta": [[1], [2]]},
        {"$meta": [b"{", b"{}"]},
        {"$meta": [{"$meta": 1}, {}]},
        {"$meta": 5},
        {"x": ["y" * 40_000, 1], "z": ["y" * 40_000, 1]},
    ):
        with pytest.raises(InvalidParameter):
            dynamic.insert({**good, **extra})


def test_ids_that_are_made_by_the_database(db: elanus.Database) -> None:
    """Auto ids cannot be given on insert, and must be on upsert."""
    auto = db["auto"]
    with pytest.raises(InvalidParameter, match="auto id enabled"):
        auto.insert({"id": [1], "vector": np.ones((1, 4))})
    with pytest.raises(InvalidParameter, match="must assign pk when upsert"):
        auto.upsert({"vector": np.ones((1, 4))})
    assert len(auto) == 0


REFUSED_CALLS: list[tuple[str, Callable[[Collection], Any], type[ElanusError], str]] = [
    ("dim", lambda c: c.search([1.0, 2.0]), InvalidParameter, "dimension mismatch"),
    ("nan", lambda c: c.search([1, 2, 3, NAN]), InvalidParameter, NOT_FINITE),
    ("inf", lambda c: c.search([1, 2, 3, INF]), InvalidParameter, NOT_FINITE),
    ("1e300", lambda c: c.search([1, 2, 3, 1e300]), InvalidParameter, NOT_FINITE),
    ("words", lambda c: c.search("abcd"), InvalidParameter, "vector"),
    ("none", lambda c: c.search(None), InvalidParameter, "vector"),
    ("empty", lambda c: c.search([]), InvalidParameter, "."),
    ("cube", lambda c: c.search(np.ones((1, 1, 4))), InvalidParameter, "."),
    ("nq 0", lambda c: c.search(np.ones((0, 4))), InvalidParameter, r"nq \[0\]"),
    ("nq", lambda c: c.search(np.ones((16385, 4))), InvalidParameter, "nq .16385."),
    ("limit 0", lambda c: c.search(Q, limit=0), InvalidParameter, r"topk \[0\] is in"),
    ("limit", lambda c: c.search(Q, limit=16385), InvalidParameter, "topk .16385. is"),
    ("limit type", lambda c: c.search(Q, limit=1.5), InvalidParameter, r"topk \[1.5\]"),
    ("limit bool", lambda c: c.search(Q, limit=True), InvalidParameter, "topk"),
    ("offset", lambda c: c.search(Q, offset=-1), InvalidParameter, r"offset \[-1\] is"),
    (
        "window",
        lambda c: c.search(Q, limit=10, offset=16380),
        InvalidParameter,
        r"offset\+topk \[16390\] is invalid",
    ),
    (
        "metric",
        lambda c: c.search(Q, metric="L2"),
        InvalidParameter,
        "metric type not match",
    ),
    ("metric name", lambda c: c.search(Q, metric="ANGLE"), InvalidParameter, "ANGLE"),
    ("field", lambda c: c.search(Q, field="nope"), InvalidParameter, "nope"),
    ("scalar", lambda c: c.search(Q, field="small"), InvalidParameter, "not of vector"),
    (
        "output",
        lambda c: c.search(Q, output_fields=["nope"]),
        InvalidParameter,
        "field nope not exist",
    ),
    (
        "partition",
        lambda c: c.search(Q, partitions=["nope"]),
        InvalidParameter,
        "partition name nope not found",
    ),
    ("query limit", lambda c: c.query(limit=0), InvalidParameter, r"limit \[0\] is"),
    (
        "query offset",
        lambda c: c.query(limit=5, offset=-1),
        InvalidParameter,
        r"offset \[-1\] is invalid, should be gte than 0",
    ),
    ("batch", lambda c: list(c.iterate(batch_size=0)), InvalidParameter, "batch"),
    ("keys", lambda c: c.get(["a"]), InvalidParameter, MISMATCH),
    ("key", lambda c: c.get("a"), InvalidParameter, "."),
    ("null key", lambda c: c.get([None]), InvalidParameter, "null"),
    ("syntax", lambda c: c.query("small >"), QueryPlanError, "create query plan"),
    ("name", lambda c: c.count("nope == 1"), QueryPlanError, "field nope not exist"),
    ("type", lambda c: c.query('small == "a"'), QueryPlanError, "."),
    ("not a filter", lambda c: c.query("small + 1"), QueryPlanError, "."),
    ("filter type", lambda c: c.query(5), InvalidParameter, "filter"),  # type: ignore[arg-type]
    ("template", lambda c: c.query("small in {x}"), QueryPlanError, "x"),
    ("search filter", lambda c: c.search(Q, filter="a b"), QueryPlanError, "plan"),
    ("delete none", lambda c: c.delete(), InvalidParameter, "ids or a filter"),
    (
        "delete both",
        lambda c: c.delete([1], filter="id > 0"),
        InvalidParameter,
        "ids or a filter",
    ),
    ("delete keys", lambda c: c.delete(["a"]), InvalidParameter, MISMATCH),
    ("delete null", lambda c: c.delete([1, None]), InvalidParameter, "null"),
    (
        "delete syntax",
        lambda c: c.delete(filter="id >"),
        QueryPlanError,
        "failed to create delete plan",
    ),
    (
        "delete from",
        lambda c: c.delete([1], partitions=["nope"]),
        PartitionNotFound,
        "nope",
    ),
    (
        "insert into",
        lambda c: c.insert(columns(), partition="nope"),
        PartitionNotFound,
        r"partition not found\[partition=nope\]",
    ),
    (
        "index type",
        lambda c: c.create_index("vector", index_type="BTREE"),
        InvalidParameter,
        "BTREE",
    ),
    (
        "index metric",
        lambda c: c.create_index("vector", metric="ANGLE"),
        InvalidParameter,
        "ANGLE",
    ),
    (
        "index parameter",
        lambda c: c.create_index("vector", index_type="HNSW", params={"M": 1}),
        InvalidParameter,
        "M",
    ),
    (
        "index field",
        lambda c: c.create_index("small", index_type="HNSW"),
        InvalidParameter,
        "HNSW",
    ),
    ("no index", lambda c: c.drop_index("nope"), IndexNotFound, "indexName=nope"),
    ("bad name", lambda c: c.create_partition("a b"), InvalidParameter, "only contain"),
    ("no name", lambda c: c.create_partition(""), InvalidParameter, "not be empty"),
    (
        "default",
        lambda c: c.drop_partition("_default"),
        InvalidParameter,
        "default partition cannot be deleted",
    ),
]
Q = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [case[1:] for case in REFUSED_CALLS],
    ids=[case[0] for case in REFUSED_CALLS],
)
def test_requests_that_do_not_fit(
    strict: Collection,
    call: Callable[[Collection], Any],
    kind: type[ElanusError],
    words: str,
) -> None:
    """A read or a delete that makes no sense is refused, with the reason."""
    with pytest.raises(kind, match=words):
        call(strict)


V = FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)
K = FieldSchema("k", DataType.INT64, is_primary=True)
REFUSED_SCHEMAS: list[tuple[str, list[FieldSchema], type[ElanusError], str]] = [
    ("no fields", [], ElanusError, "."),
    ("no vector", [K], InvalidParameter, "does not contain vector field"),
    ("no key", [V], MissingParameter, "primary key is not specified"),
    (
        "two keys",
        [K, FieldSchema("l", DataType.INT64, is_primary=True), V],
        InvalidParameter,
        "more than one primary key",
    ),
    (
        "float key",
        [FieldSchema("k", DataType.FLOAT, is_primary=True), V],
        InvalidParameter,
        "should be Int64 or VarChar",
    ),
    (
        "nullable key",
        [FieldSchema("k", DataType.INT64, is_primary=True, nullable=True), V],
        InvalidParameter,
        "primary field not support null",
    ),
    ("no dim", [K, FieldSchema("v", DataType.FLOAT_VECTOR)], MissingParameter, "dim"),
    (
        "dim 1",
        [K, FieldSchema("v", DataType.FLOAT_VECTOR, dim=1)],
        InvalidParameter,
        "invalid dimension: 1",
    ),
    (
        "dim 32769",
        [K, FieldSchema("v", DataType.FLOAT_VECTOR, dim=32769)],
        InvalidParameter,
        "invalid dimension: 32769",
    ),
    (
        "no length",
        [K, V, FieldSchema("t", DataType.VARCHAR)],
        MissingParameter,
        "max_length",
    ),
    (
        "length 0",
        [K, V, FieldSchema("t", DataType.VARCHAR, max_length=0)],
        InvalidParameter,
        "maximum length",
    ),
    (
        "no capacity",
        [K, V, FieldSchema("a", DataType.ARRAY, element_type=DataType.INT8)],
        MissingParameter,
        "max_capacity",
    ),
    (
        "twice",
        [K, V, FieldSchema("k", DataType.INT8)],
        InvalidParameter,
        "duplicated field name k",
    ),
    (
        "field name",
        [K, V, FieldSchema("a-b", DataType.INT8)],
        FieldNameInvalid,
        "Invalid field name: a-b",
    ),
    ("reserved", [K, V, FieldSchema("$meta", DataType.INT8)], ElanusError, "meta"),
    ("keyword", [K, V, FieldSchema("like", DataType.INT8)], FieldNameInvalid, "like"),
    (
        "default",
        [K, V, FieldSchema("a", DataType.INT8, default=300)],
        InvalidParameter,
        "default value out of range",
    ),
    (
        "auto id",
        [K, V, FieldSchema("a", DataType.INT64, auto_id=True)],
        InvalidParameter,
        "only primary field can speficy AutoID",
    ),
]


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [case[1:] for case in REFUSED_SCHEMAS],
    ids=[case[0] for case in REFUSED_SCHEMAS],
)
def test_schemas_that_are_not_allowed(
    db: elanus.Database, fields: list[FieldSchema], kind: type[ElanusError], words: str
) -> None:
    """A collection that cannot be is not created."""
    with pytest.raises(kind, match=words):
        db.create_collection("fresh", fields)
    assert "fresh" not in db


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "é", "x" * 256, None, 5, "a\n"]
)
def test_names_that_are_not_allowed(db: elanus.Database, name: Any) -> None:
    """A collection's name is made of letters, digits and underscores."""
    before = db.list_collections()
    with pytest.raises(InvalidParameter, match="name"):
        db.create_collection(name, dim=4)
    with pytest.raises(InvalidParameter, match="name"):
        db.rename_collection("strict", name)
    assert db.list_collections() == before


def test_collections_that_are_not_there(db: elanus.Database) -> None:
    """A wrong name is an error that names it; a taken one too."""
    with pytest.raises(CollectionNotFound, match="collection=nope"):
        db.collection("nope")
    with pytest.raises(CollectionNotFound):
        db.rename_collection("nope", "other")
    with pytest.raises(InvalidParameter, match="duplicated new collection name"):
        db.rename_collection("strict", "dynamic")
    with pytest.raises(InvalidParameter, match="with different parameters"):
        db.create_collection("strict", dim=4)
    with pytest.raises(InvalidParameter, match="either dim or a schema"):
        db.create_collection("fresh")
    with pytest.raises(InvalidParameter, match="id_type"):
        db.create_collection("fresh", dim=4, id_type="uuid")
    with pytest.raises(InvalidParameter, match="ANGLE"):
        db.create_collection("fresh", dim=4, metric="ANGLE")
    assert "fresh" not in db


def test_text_keys_are_checked(db: elanus.Database, tmp_path: Path) -> None:
    """Numbers are no VARCHAR keys, and too long a key is refused."""
    texts = db["texts"]
    for keys in ([1], ["x" * 65536], [None], [b"bytes"]):
        with pytest.raises(InvalidParameter):
            texts.insert({"id": keys, "vector": np.ones((1, 4))})
    with pytest.raises(InvalidParameter):
        texts.get(5)
    assert len(texts) == 0
