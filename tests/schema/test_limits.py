"""Every limit, through the real client: at it all is well, one over is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import AnnSearchRequest, DataType, MilvusClient, RRFRanker
from pymilvus.exceptions import MilvusException

import elanus
from elanus.config import Settings
from elanus.database.creation import NewCollection
from elanus.database.databases import create_database
from elanus.schema.limits import LIMITS
from elanus.schema.schema import CollectionSchema

ELSEWHERE = {
    "AGGREGATION_ENTRIES": "tests/service/test_buckets.py",
    "AGGREGATION_KEYS": "tests/service/test_buckets.py",
    "AGGREGATION_LEVELS": "tests/service/test_buckets.py",
    "DESCRIPTION_BYTES": "tests/service/test_alterations.py",
    "EXPRESSION_BYTES": "tests/expr: takes too long through a client",
    "EXPRESSION_DEPTH": "tests/expr/test_text.py",
    "GEOMETRY_DEPTH": "tests/schema/test_geometry.py",
    "GROUP_SIZE": "tests/service: groups",
    "INSERT_BYTES": "takes too much memory",
    "JSON_BYTES": "tests/service: rows",
    "SPARSE_INDEX_MAX": "tests/service: rows",
    "TEXT_MAX_LENGTH": "a TEXT field needs none",
    "TTL_S": "tests/service/test_alterations.py",
    "COLLECTIONS": "below, by its setting",
    "DATABASES": "below, by its setting",
    "PARTITIONS": "by a partition key, below",
    "RESOURCE_GROUPS": "takes a thousand syncs",
}


class Case(NamedTuple):
    """A call for a size, and what one too many is told."""

    limit: str
    call: Callable[[MilvusClient, int], Any]
    code: int
    text: str
    step: int = 1


def _create(client: MilvusClient, name: str = "new", **options: Any) -> None:
    fields = options.pop("fields", [])
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    vector = options.pop("vector", {"datatype": DataType.FLOAT_VECTOR, "dim": 4})
    schema.add_field("vector", **vector)
    for field in fields:
        schema.add_field(**field)
    client.create_collection(name, schema=schema, **options)


def _scalar(name: str, **options: Any) -> dict[str, Any]:
    return {"field_name": name, "datatype": DataType.INT64, **options}


def _search(client: MilvusClient, queries: int, limit: int) -> None:
    client.search("docs", data=[[1.0] * 4] * queries, limit=limit)


def _hybrid(client: MilvusClient, searches: int) -> None:
    one = AnnSearchRequest([[1.0] * 4], "vector", {}, 1)
    client.hybrid_search("docs", [one] * searches, RRFRanker(), limit=1)


def _vectors(client: MilvusClient, number: int) -> None:
    more = [
        {"field_name": f"v{i}", "datatype": DataType.FLOAT_VECTOR, "dim": 4}
        for i in range(number - 1)
    ]
    _create(client, fields=more)


def _vector(dtype: DataType) -> Callable[[MilvusClient, int], None]:
    return lambda client, dim: _create(client, vector={"datatype": dtype, "dim": dim})


def _with(**options: Any) -> Callable[[MilvusClient, int], None]:
    """Creates a collection with a field, one of whose options is the size."""

    def call(client: MilvusClient, size: int) -> None:
        given = {k: size if v is ... else v for k, v in options.items()}
        _create(client, fields=[_scalar("more", **given)])

    return call


def _indexed(client: MilvusClient, size: int) -> None:
    params = client.prepare_index_params()
    base = sum(map(len, ("index_type", "FLAT", "metric_type", "L2", "note")))
    params.add_index(
        "vector", index_type="FLAT", metric_type="L2", note="x" * (size - base)
    )
    client.release_collection("docs")
    client.drop_index("docs", "vector")
    client.create_index("docs", params)


CASES = [
    Case(
        "NAME_BYTES",
        lambda client, size: _create(client, "n" * size),
        1100,
        "the length of a collection name must be less than 255 characters",
    ),
    Case(
        "FIELDS",
        lambda client, n: _create(
            client, fields=[_scalar(f"f{i}") for i in range(n - 2)]
        ),
        1100,
        "maximum field's number should be limited to 64",
    ),
    Case(
        "VECTOR_FIELDS",
        _vectors,
        1100,
        "maximum vector field's number should be limited to 10",
    ),
    Case(
        "DIM_MIN",
        _vector(DataType.FLOAT_VECTOR),
        1100,
        "should be in range 2 ~ 32768",
        step=-1,
    ),
    Case(
        "DIM_MAX", _vector(DataType.FLOAT_VECTOR), 1100, "should be in range 2 ~ 32768"
    ),
    Case(
        "BINARY_DIM_MAX",
        _vector(DataType.BINARY_VECTOR),
        1100,
        "binary vector dimension should be in range 2 ~ 262144",
        step=8,
    ),
    Case(
        "VARCHAR_BYTES",
        _with(datatype=DataType.VARCHAR, max_length=...),
        1100,
        "should be in (0, 65535], but got 65536 instead",
    ),
    Case(
        "ARRAY_CAPACITY",
        _with(datatype=DataType.ARRAY, element_type=DataType.INT64, max_capacity=...),
        1100,
        "the maximum capacity specified for a Array should be in (0, 4096]",
    ),
    Case(
        "PARTITIONS",
        lambda client, n: _create(
            client, fields=[_scalar("key", is_partition_key=True)], num_partitions=n
        ),
        1100,
        "partition number (1025) exceeds max configuration (1024)",
    ),
    Case(
        "SHARDS",
        lambda client, n: _create(client, num_shards=n),
        1100,
        "maximum shards's number should be limited to 16",
    ),
    Case(
        "LIMIT",
        lambda client, n: _search(client, 1, n),
        1100,
        "topk [16385] is invalid, it should be in range [1, 16384], but got 16385",
    ),
    Case(
        "NQ",
        lambda client, n: _search(client, n, 1),
        1100,
        "nq [16385] is invalid",
    ),
    Case("HYBRID_SEARCHES", _hybrid, 1100, "maximum of ann search requests is 1024"),
    Case("INDEX_PARAMS_BYTES", _indexed, 1100, "index params size exceeds limit"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusClient]:
    """A client of a database of its own, with one loaded collection."""
    client = elanus.MilvusClient(str(tmp_path_factory.mktemp("limits") / "app.db"))
    client.create_collection("docs", dimension=4)
    client.insert("docs", [{"id": 1, "vector": [1.0] * 4}])
    yield client
    client.close()


def test_every_limit_has_a_case() -> None:
    """Here, or named with the place of its test."""
    here = {case.limit for case in CASES} | {"LARGE_LIMIT"}
    assert here | set(ELSEWHERE) == set(LIMITS)
    assert all(limit.bounds for limit in LIMITS.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.limit)
def test_a_limit(client: MilvusClient, case: Case) -> None:
    """At it all is well; one over has its code and text, and leaves nothing behind."""
    at = LIMITS[case.limit]
    with pytest.raises(MilvusException) as refused:
        case.call(client, at + case.step)
    assert refused.value.code == case.code
    assert case.text in refused.value.message
    assert client.list_collections() == ["docs"]
    case.call(client, int(at))
    for name in client.list_collections():
        if name != "docs":
            client.drop_collection(name)


def test_limits_of_the_process_are_settings(tmp_path: Path) -> None:
    """They bound databases and collections; a database may have its own bound."""
    settings = Settings(max_databases=2, max_collections=3)
    with elanus.open(tmp_path / "db", settings=settings) as db:
        for name in "abc":
            db.create_collection(name, dim=4)
        with pytest.raises(elanus.errors.ElanusError, match=r"\[limit=3\]") as refused:
            db.create_collection("d", dim=4)
        assert refused.value.code == 102
        assert db.list_collections() == ["a", "b", "c"]
        db.drop_collection("c")
        for name, properties in (("x", {}), ("y", {"database.max.collections": "1"})):
            create_database(db._core, name, properties)
        with pytest.raises(elanus.errors.ElanusError, match=r"\[limit=2\]") as refused:
            create_database(db._core, "z", {})
        assert refused.value.code == 801
        schema = CollectionSchema(db._core.collection("a").schema.visible)
        db._core.create_collection(NewCollection("one", schema, database="y"))
        with pytest.raises(elanus.errors.ElanusError, match=r"\[limit=3\]"):
            db._core.create_collection(NewCollection("two", schema, database="x"))
        db.drop_collection("a")
        with pytest.raises(elanus.errors.ElanusError, match=r"\[limit=1\]"):
            db._core.create_collection(NewCollection("two", schema, database="y"))
