"""Aggregated searches through pymilvus' client, against a plain Python model of them.

The model is given what an ordinary search tells of every row, and works by lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, MilvusClient, SearchAggregation, TopHits
from pymilvus.client.search_aggregation import AggregationBucket

COUNT, DIM, NQ = 240, 4, 2
KEYS = ("name", "level", "flag", "year")
TARGETS = {
    "count": ("*", "_score", "price", "name", "flag", "vector", "tags"),
    "sum": ("_score", "price", "year"),
    "avg": ("_score", "price", "level"),
    "min": ("_score", "price", "name", "year"),
    "max": ("_score", "price", "name", "level"),
}
SORTS = ("_score", "price", "name", "flag", "year", "id")
METRICS = {"L2": False, "IP": True, "COSINE": True}
Row = dict[str, Any]


def rows_of(rng: np.random.Generator) -> list[Row]:
    """Few values of each key, so that groups are full; nulls; scores that tie."""

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.1 else value

    return [
        {
            "id": key,
            "vector": rng.integers(-2, 3, DIM).astype(np.float32) + np.float32(0.5),
            "name": maybe(f"n{int(rng.integers(4))}"),
            "level": maybe(int(rng.integers(-2, 2))),
            "flag": maybe(bool(rng.integers(2))),
            "year": int(rng.integers(3)),
            "price": maybe(float(rng.integers(16)) / 4),
            "tags": [int(rng.integers(5))],
        }
        for key in rng.permutation(COUNT).tolist()
    ]


def fill(client: MilvusClient, metric: str) -> list[Row]:
    """Rows in two segments on files and one in memory, some deleted."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("name", DataType.VARCHAR, max_length=8, nullable=True)
    schema.add_field("level", DataType.INT8, nullable=True)
    schema.add_field("flag", DataType.BOOL, nullable=True)
    schema.add_field("year", DataType.INT64)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    schema.add_field(
        "tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4
    )
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=metric)
    client.create_collection("things", schema=schema, index_params=index)
    rows = rows_of(np.random.default_rng(5))
    for start, end, is_flushed in ((0, 90, True), (90, 170, True), (170, COUNT, False)):
        client.insert("things", rows[start:end])
        if is_flushed:
            client.flush("things")
    client.delete("things", filter="id % 11 == 3")
    return [row for row in rows if row["id"] % 11 != 3]


@pytest.fixture(params=list(METRICS))
def things(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[MilvusClient, str, list[Row]]]:
    """A client, the metric and the rows that are there."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    yield client, request.param, fill(client, request.param)
    client.close()


# --- the model ----------------------------------------------------------------------


def model(ranking: list[Row], spec: SearchAggregation, larger: bool) -> Any:
    """Buckets of one query, of its rows with their ``_score``, nearest first."""
    levels = [spec]
    while levels[-1]._sub_aggregation is not None:
        levels.append(levels[-1]._sub_aggregation)
    keys = [name for level in levels for name in level._fields]
    limit = math.prod(level._size for level in levels)
    size = max((level._top_hits.size for level in levels if level._top_hits), default=1)
    groups: dict[Any, list[Row]] = {}
    for row in ranking:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    pool = [row for group in list(groups.values())[:limit] for row in group[:size]]
    return level_of(pool, levels, larger)


def level_of(rows: list[Row], levels: Sequence[SearchAggregation], larger: bool) -> Any:
    """The buckets of the first level, and those in them."""
    if not levels:
        return []
    level = levels[0]
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in level._fields), []).append(row)
    buckets = [
        (key, members, measured(members, level._metrics))
        for key, members in groups.items()
    ]
    for entry in reversed(level._order):
        ((by, direction),) = entry.items()
        values = {"_count": lambda b: len(b[1]), "_key": lambda b: nulls_least(b[0])}
        buckets.sort(
            key=values.get(by, lambda b, by=by: nulls_least([b[2].get(by)])),
            reverse=direction == "desc",
        )
    return [
        {
            "key": key,
            "count": len(members),
            "metrics": metrics,
            "hits": hits_of(members, level._top_hits, larger),
            "sub": level_of(members, levels[1:], larger),
        }
        for key, members, metrics in buckets[: level._size]
    ]


def nulls_least(values: Sequence[Any]) -> list[Any]:
    """Values in a form that has an order."""
    return [(value is not None, value) for value in values]


def measured(rows: list[Row], metrics: dict[str, dict[str, str]]) -> Row:
    """The metrics that have a value."""
    found: Row = {}
    for alias, spec in metrics.items():
        ((operator, target),) = spec.items()
        if target == "*":
            found[alias] = len(rows)
            continue
        values = [row[target] for row in rows if row[target] is not None]
        if operator == "count":
            found[alias] = len(values)
        elif values:
            total = {"sum": sum, "min": min, "max": max}.get(operator)
            found[alias] = total(values) if total else sum(values) / len(values)
    return found


def hits_of(rows: list[Row], top: TopHits | None, larger: bool) -> list[int]:
    """Ids of the rows shown."""
    if top is None:
        return []
    sign = -1 if larger else 1
    ordered = sorted(rows, key=lambda row: (sign * row["_score"], row["id"]))
    for entry in reversed(top.sort):
        ((name, direction),) = entry.items()
        known = [row for row in ordered if row[name] is not None]
        unknown = [row for row in ordered if row[name] is None]
        known.sort(key=lambda row, name=name: row[name], reverse=direction == "desc")
        ordered = known + unknown
    return [row["id"] for row in ordered[: top.size]]


# --- what is asked, and compared ----------------------------------------------------


def random_spec(rng: np.random.Generator) -> SearchAggregation:
    """Up to four levels that no key is in twice."""
    keys = rng.permutation(KEYS).tolist()
    spec: SearchAggregation | None = None
    for _ in range(int(rng.integers(1, 5))):
        n_own = min(int(rng.integers(1, 3)), len(keys))
        if not n_own:
            break
        own = [keys.pop() for _ in range(n_own)]
        metrics = {}
        for alias in ("a", "b", "c")[: int(rng.integers(4))]:
            operator = str(rng.choice(list(TARGETS)))
            metrics[alias] = {operator: str(rng.choice(TARGETS[operator]))}
        order = [
            {str(by): str(rng.choice(["asc", "desc"]))}
            for by in rng.permutation(["_count", "_key", *metrics])[
                : int(rng.integers(3))
            ]
        ]
        top = None
        if rng.random() < 0.6:
            sort = [
                {str(by): str(rng.choice(["asc", "desc"]))}
                for by in rng.permutation(SORTS)[: int(rng.integers(3))]
            ]
            top = TopHits(int(rng.integers(1, 5)), sort)
        size = int(rng.integers(1, 6))
        spec = SearchAggregation(own, size, metrics, order, top, spec)
    assert spec is not None
    return spec


def plain(bucket: AggregationBucket) -> Any:
    """A bucket as the model has it."""
    return {
        "key": tuple(entry["value"] for entry in bucket.key),
        "count": bucket.count,
        "metrics": {
            alias: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            for alias, value in bucket.metrics.items()
        },
        "hits": [hit.pk for hit in bucket.hits],
        "sub": [plain(inner) for inner in bucket.sub_groups],
    }


def check(
    client: MilvusClient, metric: str, rows: list[Row], seed: int, n_specs: int
) -> None:
    """Random aggregations of random rows come as the model has them."""
    rng = np.random.default_rng(seed)
    by_id = {row["id"]: row for row in rows}
    for _ in range(n_specs):
        text = str(rng.choice(["", "year != 1", "price >= 1.5", "id < 0"]))
        queries = rng.integers(-2, 3, (NQ, DIM)).astype(np.float32) + np.float32(0.25)
        params = {"filter": text, "search_params": {"metric_type": metric}}
        everything = client.search("things", queries, limit=COUNT, **params)
        spec = random_spec(rng)
        found = client.search(
            "things",
            queries,
            limit=10,
            output_fields=["name", "price"],
            search_aggregation=spec,
            **params,
        )
        assert [len(hits) for hits in found] == [0] * NQ
        assert len(found.agg_buckets) == (NQ if text != "id < 0" else 0)
        for ranking, buckets in zip(everything, found.agg_buckets, strict=False):
            scored = [by_id[hit["id"]] | {"_score": hit["distance"]} for hit in ranking]
            expected = model(scored, spec, METRICS[metric])
            assert [plain(bucket) for bucket in buckets] == expected, spec.to_proto()
            for hit in (hit for bucket in buckets for hit in bucket.hits):
                row = by_id[hit.pk]
                shown = {name: row[name] for name in ("name", "price")}
                assert hit.fields == {n: v for n, v in shown.items() if v is not None}


def test_random_aggregations(things: tuple[MilvusClient, str, list[Row]]) -> None:
    """On files and in memory, for both directions of scores, as the model has them."""
    check(*things, seed=1, n_specs=12)


@pytest.mark.slow
def test_many_random_aggregations(things: tuple[MilvusClient, str, list[Row]]) -> None:
    """The same many times, then again after the segments are merged."""
    client, _, _ = things
    check(*things, seed=2, n_specs=150)
    client.compact("things")
    check(*things, seed=3, n_specs=100)
