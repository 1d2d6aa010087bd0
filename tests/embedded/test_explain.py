"""Explanations: the strategy and the pruning of reads, on data made for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.app import World
from elanus.config import Settings
from elanus.embedded.collection import Collection
from elanus.engine.read.explanation import (
    Explanation,
    FilterExplanation,
    SearchExplanation,
    SegmentExplanation,
)
from elanus.engine.write.jobs import InlineLauncher
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

CALM = Settings(merge_factor=100, index_rows=100, worker_threads=1)
DIM = 8
N_ROWS = 4000
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("tenant", DataType.VARCHAR, max_length=9, is_partition_key=True),
    FieldSchema("price", DataType.DOUBLE),
    FieldSchema("name", DataType.VARCHAR, max_length=9, nullable=True),
    FieldSchema("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4),
    FieldSchema("doc", DataType.JSON),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[elanus.Database]:
    """A database in which nothing happens by itself."""
    world = World(
        settings=CALM,
        make_launcher=lambda store, root: InlineLauncher(store),
        background=False,
    )
    with elanus.open(tmp_path / "db", world=world) as opened:
        yield opened


@pytest.fixture
def tenants(db: elanus.Database) -> Collection:
    """Rows of 40 tenants in 8 partitions: a sealed segment and a growing one."""
    docs = db.create_collection("tenants", FIELDS, partitions=8)
    rng = np.random.default_rng(3)
    for start, count in ((0, N_ROWS), (N_ROWS, 100)):
        ids = np.arange(start, start + count)
        docs.insert(
            {
                "id": ids,
                "tenant": [f"t{i % 40}" for i in ids],
                "price": (ids % 100).astype(np.float64),
                "name": [None if i % 9 == 0 else f"n{i % 50}" for i in ids],
                "tags": [[i % 7, i % 3] for i in ids.tolist()],
                "doc": [{"a": i % 11} for i in ids.tolist()],
                "vector": rng.standard_normal((count, DIM)).astype(np.float32),
            }
        )
        if not start:
            docs.flush()
    return docs


def sealed(found: Explanation) -> SegmentExplanation:
    """The segment on files."""
    (segment,) = [s for s in found.segments if s.is_sealed]
    return segment


def filtered(segment: SegmentExplanation) -> FilterExplanation:
    """Its filter, which there is."""
    assert segment.filter is not None
    return segment.filter


def searched(segment: SegmentExplanation) -> SearchExplanation:
    """Its search, which there is."""
    assert segment.search is not None
    return segment.search


KEYED = {
    'tenant == "t1"': {"t1"},
    'tenant in ["t1", "t2", "t9"]': {"t1", "t2", "t9"},
    'tenant == "t1" and price < 50': {"t1"},
    'price < 50 and (tenant == "t1" or tenant == "t5")': {"t1", "t5"},
    'tenant in ["t1", "t2"] and tenant in ["t2", "t3"]': {"t2"},
    'tenant == "t1" and name like "n1%"': {"t1"},
    'tenant == "t1" and array_contains(tags, 3)': {"t1"},
    'tenant == "t1" and name is null': {"t1"},
    '"t1" == tenant and tags[0] == 1': {"t1"},
}


def test_a_partition_key_prunes_to_its_partitions(tenants: Collection) -> None:
    """Only rows of those partitions are looked at, and the answer is the same."""
    held = {
        name: tenants.query(
            f"id < {N_ROWS}", partitions=[name], output_fields=["tenant"]
        )["tenant"].to_pylist()
        for name in tenants.partitions
    }
    for text, tenants_read in KEYED.items():
        wanted = [name for name, rows in held.items() if tenants_read & set(rows)]
        for found in (
            tenants.explain.query(text),
            tenants.explain.search(np.ones(DIM), filter=text),
            tenants.explain.count(text),
        ):
            assert found.partitions is not None
            assert found.partitions.chosen_by == "partition key", text
            assert sorted(found.partitions.names) == wanted, text
            assert (found.partitions.total, sealed(found).rows) == (8, N_ROWS)
            looked_at = filtered(sealed(found)).looked_at
            assert looked_at == sum(len(held[name]) for name in wanted), text
        everywhere = f"({text}) or id < 0"
        plain = tenants.explain.query(everywhere)
        assert filtered(sealed(plain)).looked_at == N_ROWS
        assert tenants.query(text).equals(tenants.query(everywhere)), text
        assert tenants.query(text).num_rows > 0


def test_other_filters_read_every_partition(tenants: Collection) -> None:
    """What may match anywhere is looked for everywhere."""
    for text in ('tenant != "t1"', 'tenant == "t1" or price < 3', ""):
        found = tenants.explain.query(text)
        assert found.partitions is not None
        assert found.partitions.chosen_by == "everything"
        assert str(found.partitions) == "all"
        assert all(s.visible == s.rows for s in found.segments)


def test_json_is_looked_at_whole_in_the_partitions_read(tenants: Collection) -> None:
    """Decoded paths are kept for whole segments; the answer is right all the same."""
    text = 'tenant == "t1" and doc["a"] == 3'
    assert filtered(sealed(tenants.explain.query(text))).looked_at == N_ROWS
    wanted = [i for i in range(N_ROWS + 100) if i % 40 == 1 and i % 11 == 3]
    assert tenants.query(text)["id"].to_pylist() == wanted


def test_segments_without_rows_of_a_partition_are_skipped(db: elanus.Database) -> None:
    """By name as by key, on files and in memory; a search returns what there is."""
    docs = db.create_collection("named", dim=2)
    docs.create_partition("a")
    docs.create_partition("b")
    for start, name in ((0, "a"), (10, "b")):
        ids = range(start, start + 10)
        docs.insert({"id": ids, "vector": [[i, 1] for i in ids]}, partition=name)
        docs.flush()
    docs.insert({"id": [99], "vector": [[0, 1]], "n": [1]}, partition="b")
    found = docs.explain.search([1, 1], filter="id >= 0", partitions=["a"])
    assert found.partitions is not None
    assert (found.partitions.chosen_by, found.partitions.names) == ("name", ("a",))
    ways = [filtered(s).way for s in found.segments]
    assert ways == ["columns", "pruned by partition", "pruned by partition"]
    assert [s.visible for s in found.segments] == [10, 0, 0]
    assert [filtered(s).looked_at for s in found.segments] == [10, 0, 0]
    assert found.returned == 10


def test_least_and_greatest_values_rule_segments_out(db: elanus.Database) -> None:
    """A segment is not looked at when its statistics say that no row can match."""
    docs = db.create_collection("ranges", _PRICED)
    for start in (0, 1000):
        ids = np.arange(start, start + 500)
        docs.insert({"id": ids, "price": ids * 1.0, "vector": _vectors(500)})
        docs.flush()
    low, high = docs.explain.search(np.ones(DIM), filter="price < 100").segments
    assert filtered(low).way == "columns"
    assert filtered(high).way == "pruned by min/max"
    assert (filtered(high).looked_at, filtered(high).matching) == (0, 0)
    assert high.search is None
    assert filtered(low).matching == 100
    assert filtered(low).selectivity == 0.2
    assert filtered(low).estimated == pytest.approx(0.2, abs=0.01)
    low, high = docs.explain.query("price >= 1490 or price == -1").segments
    assert filtered(low).is_pruned and filtered(high).matching == 10
    keys, none = docs.explain.query("id in [3, 5, 7777]").segments
    assert filtered(keys).way == filtered(none).way == "primary key index"
    assert (filtered(keys).looked_at, filtered(none).looked_at) == (2, 0)


_PRICED = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("price", DataType.DOUBLE),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
]


def _vectors(count: int, dim: int = DIM) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, dim)).astype(np.float32)


def test_the_strategy_follows_the_filter(db: elanus.Database) -> None:
    """The index where nearly all rows pass, else those that pass, one by one."""
    docs = db.create_collection("strategies", _PRICED)
    ids = np.arange(N_ROWS)
    docs.insert({"id": ids, "price": ids * 1.0, "vector": _vectors(N_ROWS)})
    docs.create_index("vector", index_type="IVF_FLAT", params={"nlist": 64})
    docs.optimize()
    free = searched(sealed(docs.explain.search(np.ones(DIM))))
    assert (free.strategy, free.index, free.reason) == (
        "index",
        "IVF_FLAT",
        "no filter",
    )
    assert 0 < free.candidates < N_ROWS
    most = docs.explain.search(
        np.ones(DIM), filter="price < 3900", params={"nprobe": 2}
    )
    assert searched(sealed(most)).strategy == "index"
    assert searched(sealed(most)).effort >= 2
    for count in (3, 40):
        few = docs.explain.search(np.ones(DIM), filter=f"price < {count}")
        exact = searched(sealed(few))
        assert (exact.strategy, exact.candidates) == ("exact", count)
        assert few.returned == min(10, count)
        assert f"filter passes {count} of {N_ROWS} rows" in exact.reason
    between = docs.explain.search(
        np.ones(DIM), params={"radius": -1.0, "range_filter": 2.0}, limit=5
    )
    assert between.plan["distance"] == "-2 to 1"
    assert searched(sealed(between)).strategy == "exact"


@pytest.mark.slow
def test_the_sketch_and_the_graph(db: elanus.Database) -> None:
    """Beside a graph, a filter of middling density takes the lossy copy."""
    docs = db.create_collection("graphs", dim=64)
    ids = np.arange(20_000)
    docs.insert({"id": ids, "n": ids, "vector": _vectors(20_000, 64)})
    docs.create_index("vector", index_type="HNSW")
    docs.optimize()
    kinds = {
        text: searched(sealed(docs.explain.search(np.ones(64), filter=text))).strategy
        for text in ("", "n < 10000", "n < 20")
    }
    assert kinds == {"": "index", "n < 10000": "sketch", "n < 20": "exact"}


def test_groups_go_on_until_they_are_there(tenants: Collection) -> None:
    """Deeper where the first pass had too few, at last through every row."""
    few = tenants.explain.search(np.ones(DIM), group_by="tenant", limit=3)
    assert few.plan["group by"] == "tenant (size 1)"
    assert (few.returned, searched(sealed(few)).passes) == (3, 1)
    every = tenants.explain.search(np.ones(DIM), group_by="tenant", limit=40)
    assert every.returned == 40
    assert searched(sealed(every)).reason == "every row is ranked"
    assert searched(sealed(every)).candidates == N_ROWS
    assert "group" in every.steps_ms


def test_every_read_tells_its_steps(tenants: Collection) -> None:
    """Each with the time it took, and the whole with all of it."""
    search = tenants.explain.search(
        np.ones((2, DIM)), filter="price < 10", output_fields=["price"], offset=1
    )
    assert search.operation == "search"
    assert search.plan == {
        "field": "vector",
        "metric": "COSINE",
        "limit": 10,
        "offset": 1,
        "queries": 2,
        "output": "price",
    }
    assert list(search.steps_ms) == ["plan", "filter", "search", "merge", "output"]
    query = tenants.explain.query("price < 10", limit=3, order_by="price:desc")
    assert query.plan["order by"] == "price descending"
    assert list(query.steps_ms) == ["plan", "filter", "order", "output"]
    count = tenants.explain.count("price < 10")
    assert list(count.steps_ms) == ["plan", "filter"]
    assert sum(filtered(s).matching for s in count.segments) == tenants.count(
        "price < 10"
    )
    for found in (search, query, count):
        assert sum(found.steps_ms.values()) <= found.total_ms + 0.01
        assert all(ms >= 0 for ms in found.steps_ms.values())
        assert found.filter == "price < 10.0"


def test_a_hybrid_search_tells_each_of_its_searches(tenants: Collection) -> None:
    """And how they became one."""
    found = tenants.explain.hybrid_search(
        [
            elanus.SubSearch(np.ones(DIM), filter='tenant == "t3"', limit=7),
            elanus.SubSearch(np.zeros(DIM) - 1),
        ],
        limit=5,
    )
    assert (found.operation, found.returned) == ("hybrid search", 5)
    assert found.plan["ranker"] == "RRF(k=60.0)"
    first, second = found.parts
    assert (first.returned, second.returned) == (7, 5)
    assert first.partitions is not None
    assert first.partitions.chosen_by == "partition key"
    assert list(found.steps_ms) == ["plan", "searches", "fusion", "output"]


def test_an_explanation_reads_as_text_and_as_values(tenants: Collection) -> None:
    """The text has every decision; the values are those of JSON."""
    found = tenants.explain.search(np.ones(DIM), filter='tenant == "t1" and price < 30')
    text = str(found)
    first, *rest = text.splitlines()
    assert first == "search of tenants: field vector, metric COSINE, limit 10"
    assert rest[0] == '  filter: (tenant == "t1") and (price < 30.0)'
    assert rest[1].startswith("  partitions: 1 of 8 by partition key (")
    assert "of 4000 rows visible" in text
    assert "match (" in text and "expected" in text
    assert "search by exact: " in text
    assert rest[-1].startswith("  10 rows in ")
    values = json.loads(json.dumps(found.as_dict()))
    assert values["filter"] == found.filter
    assert values["segments"][0]["filter"]["matching"] == (
        filtered(found.segments[0]).matching
    )


def test_a_snapshot_is_explained_as_it_was(tenants: Collection) -> None:
    """With the rows of its moment."""
    snapshot = tenants.snapshot()
    tenants.delete([0, 40])
    assert sealed(snapshot.explain.query('tenant == "t0"')).visible == N_ROWS
    assert sealed(tenants.explain.query('tenant == "t0"')).visible == N_ROWS - 2
