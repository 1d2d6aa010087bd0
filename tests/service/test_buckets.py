"""Aggregated searches: what no client's own classes ask for, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.engine.read.bucket_plan import (
    LevelRequest,
    MetricRequest,
    SortRequest,
    TopHitsRequest,
)
from elanus.errors import ElanusError
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn
from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import DIM, Stage

COUNT = 40
FIELDS = (
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("kind", DataType.INT64, nullable=True),
    FieldSchema("price", DataType.DOUBLE),
    FieldSchema("info", DataType.JSON),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
)
SCHEMA = CollectionSchema(FIELDS)
QUERY = np.zeros((1, DIM), np.float32)


def kind(key: int) -> int | None:
    """Of row ``key``, the ``key``-th nearest to :data:`QUERY`."""
    return None if key % 5 == 4 else key % 5


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """Rows in two segments, one on files; the distance of a row is its key squared."""
    stage.ready(schema=SCHEMA)
    for keys in (range(25), range(25, COUNT)):
        vectors = np.zeros((len(keys), DIM), np.float32)
        vectors[:, 0] = keys
        held: dict[str, tuple[str, Any]] = {
            "id": ("long_data", pa.array(keys)),
            "kind": ("long_data", pa.array([kind(key) for key in keys])),
            "price": ("double_data", pa.array([float(key) for key in keys])),
            "info": ("json_data", pa.array([b"{}"] * len(keys), pa.large_binary())),
            "vector": ("float_vector", VectorColumn(vectors)),
        }
        columns = tuple(
            r.ColumnData(f.name, int(f.dtype), *held[f.name]) for f in FIELDS
        )
        stage.write(r.Insert, columns, len(keys))
        if keys[0] == 0:
            stage.ask(r.Flush("default", ("books",)))
    return stage


def level(*fields: str, size: int = 3, **options: Any) -> LevelRequest:
    """One level of buckets."""
    return LevelRequest(fields or ("kind",), size, **options)


def ask(stage: Stage, *levels: LevelRequest, **options: Any) -> a.SearchReply:
    """The answer to one query."""
    queries = options.pop("queries", QUERY)
    return stage.search(queries, 10, aggregation=levels, **options)


def keys_of(reply: a.SearchReply, query: int = 0) -> list[Any]:
    """The keys of the outermost buckets."""
    assert reply.buckets is not None
    return [bucket.keys[0] for bucket in reply.buckets.of_queries[query]]


def test_more_are_searched_than_come(filled: Stage) -> None:
    """``size`` buckets come, the first in their order of ``search_size`` nearest."""
    by_key = (SortRequest("_key"),)
    assert keys_of(ask(filled, level(size=2, order=by_key))) == [1, 0]
    more = level(size=2, search_size=4, order=by_key)
    assert keys_of(ask(filled, more)) == [3, 2]


def test_nulls_are_the_least(filled: Stage) -> None:
    """NULL is one bucket, before all others or, descending, after them."""
    for direction, nulls_first, expected in (
        ("asc", False, [None, 0, 1, 2, 3]),
        ("desc", False, [3, 2, 1, 0, None]),
        ("", False, [3, 2, 1, 0, None]),
        ("desc", True, [None, 3, 2, 1, 0]),
    ):
        order = (SortRequest("_key", direction, nulls_first),)
        assert keys_of(ask(filled, level(size=9, order=order))) == expected


def test_hits_without_direction(filled: Stage) -> None:
    """They descend by a field, but by score the nearest comes first."""
    for name, expected in (("_score", [0, 5]), ("price", [10, 5])):
        top = TopHitsRequest(3 if name == "price" else 2, (SortRequest(name),))
        reply = ask(filled, level(size=1, top_hits=top))
        assert reply.buckets is not None
        shown = reply.buckets.of_queries[0][0].hits[:2]
        rows = reply.buckets.rows.tolist()
        keys = reply.keys.tolist()
        assert [keys[rows.index(row)] for row in shown] == expected


def test_range_and_partition(filled: Stage) -> None:
    """Only rows between two distances, or of a partition, are in buckets."""
    bounds = {"radius": 50.0, "range_filter": 9.0}
    reply = ask(
        filled,
        level(size=9, top_hits=TopHitsRequest(9)),
        params=bounds,
    )
    assert sorted(reply.keys.tolist()) == [3, 4, 5, 6, 7]
    filled.ask(r.CreatePartition("default", "books", "empty"))
    assert keys_of(ask(filled, level(), partitions=("empty",))) == []


def test_many_queries(filled: Stage) -> None:
    """Each has buckets of its own, also where they are searched in pieces."""
    queries = np.zeros((70, DIM), np.float32)
    queries[:, 0] = np.arange(70) % COUNT
    request = level(size=1, metrics=(MetricRequest("best", "min", "_score"),))
    reply = ask(filled, request, queries=queries)
    assert reply.counts.tolist() == [0] * 70
    for query in range(70):
        assert keys_of(reply, query) == [kind(query % COUNT)]


def test_search_by_keys(filled: Stage) -> None:
    """The rows named are the queries."""
    reply = ask(filled, level(size=1), queries=None, query_keys=pa.array([7, 3]))
    assert keys_of(reply, 0) + keys_of(reply, 1) == [kind(3), kind(7)] or (
        keys_of(reply, 0) + keys_of(reply, 1) == [kind(7), kind(3)]
    )


def metric(operator: str, field: str) -> dict[str, Any]:
    """A level with one metric."""
    return {"metrics": (MetricRequest("m", operator, field),)}


def sort(name: str, direction: str = "") -> dict[str, Any]:
    """A level with hits in an order."""
    return {"top_hits": TopHitsRequest(1, (SortRequest(name, direction),))}


JSON_TEXT = "JSON / dynamic fields are not yet supported with search_aggregation"
TOO_MANY = "number of search_aggregation result entries is too large"


LEVELS: list[tuple[list[LevelRequest], str]] = [
    ([level()] * 5, "search_aggregation nesting exceeds max 4 levels"),
    ([level(*"abcdefghijk")], "number of group_by fields [11] exceeds max 10"),
    ([LevelRequest((), 1)], "group_by level has no fields"),
    ([level(size=-1)], "search_aggregation size must be non-negative"),
    ([level(search_size=-1)], "search_aggregation search_size must be non-neg"),
    ([level(search_size=2)], "search_size must be greater than or equal to size"),
    ([level(size=101), level("id", size=100)], TOO_MANY),
    ([level(size=1000, top_hits=TopHitsRequest(11))], TOO_MANY),
    ([level("no")], 'invalid group_by field "no": field "no" not found in schema'),
    ([level("info")], f'group_by field "info": {JSON_TEXT}'),
    ([level("price")], "FLOAT / DOUBLE fields are not supported with search_agg"),
    ([level("vector")], "unsupported data type VECTOR_FLOAT for group by operator"),
    ([level("kind", "kind")], 'duplicated group_by field "kind" in one level'),
    ([level(), level()], 'duplicated group_by field "kind" across levels'),
    ([level(**metric("median", "price"))], 'unsupported metric op "median"'),
    ([level(**metric("sum", "*"))], "field_name '*' only supports count op"),
    (
        [level(**metric("sum", ""))],
        'invalid metric "m": metric field_name is empty',
    ),
    ([level(**metric("sum", "no"))], 'field "no" not found in schema'),
    ([level(**metric("count", "info"))], f'metric field "info": {JSON_TEXT}'),
    (
        [level(**metric("sum", "vector"))],
        "aggregation operator sum does not support data type FloatVector",
    ),
    (
        [level(order=(SortRequest("n"),))],
        'order key "n" is neither reserved key nor metric alias',
    ),
    ([level(order=(SortRequest("_key", "up"),))], "direction must be asc or desc"),
    ([level(order=(SortRequest(" "),))], "order key is empty"),
    ([level(**sort("price", "up"))], "direction must be asc or desc"),
    ([level(**sort("info['a']"))], "top_hits.sort JSON path is not yet supported"),
    ([level(**sort("info"))], f'top_hits.sort field "info": {JSON_TEXT}'),
    ([level(**sort("no"))], 'invalid top_hits.sort field "no"'),
    ([level(**sort("vector"))], "has unsortable type FloatVector"),
    ([level(top_hits=TopHitsRequest(-1))], "top_hits size must be non-negative"),
]
SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"offset": 1}, "offset is not supported with search_aggregation"),
    (
        {"iterator": r.SearchIterator(False, None, None, "")},
        "search iterator is not supported with search_aggregation",
    ),
    *(
        (given, f"{name} and search_aggregation cannot be used simultaneously")
        for name, given in {
            "group_by_field": {"group_by_field": "kind"},
            "group_by_fields": {"extra": {"group_by_fields": "kind,id"}},
            "order_by_fields": {"order_by_fields": "price"},
        }.items()
    ),
]


def test_what_is_refused(filled: Stage) -> None:
    """Levels and searches that cannot be, with Milvus' texts."""
    cases = [(levels, {}, text) for levels, text in LEVELS]
    for levels, options, text in (*cases, *(([level()], *case) for case in SEARCHES)):
        with pytest.raises(ElanusError) as caught:
            ask(filled, *levels, **options)
        assert text in str(caught.value)
        assert caught.value.code == 1100
