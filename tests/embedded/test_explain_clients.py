"""How pymilvus' clients ask for explanations, and what they show of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import (
    AnnSearchRequest,
    DataType,
    MilvusClient,
    MilvusException,
    RRFRanker,
)

VECTOR = [1.0, 0.5, 0.0, 0.0]
ROWS = [{"id": i, "vector": [1.0, i, 0.0, 0.0], "topic": i % 3} for i in range(30)]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    """A collection with :data:`ROWS`."""
    opened = elanus.MilvusClient(tmp_path / "app.db")
    opened.create_collection("docs", dimension=4, metric_type="L2")
    opened.insert("docs", ROWS)
    yield opened
    opened.close()


def test_a_search_shows_it_as_its_only_hit(client: MilvusClient) -> None:
    """By a search parameter, at either place where clients take them, or by output."""
    asks: list[dict[str, Any]] = [
        {"search_params": {"explain": True}},
        {"search_params": {"params": {"explain": "text"}}},
        {"output_fields": ["explain(*)"]},
        {"output_fields": [" EXPLAIN( text )"]},
    ]
    for ask in asks:
        hits = client.search("docs", [VECTOR], filter="topic == 1", limit=4, **ask)
        assert [len(of_query) for of_query in hits] == [1]
        text = hits[0][0]["entity"]["explain"]
        assert text.startswith("search of docs: field vector, metric L2, limit 4\n")
        assert "filter by columns: 30 rows looked at, 10 match (33.3 %" in text
        assert "  4 rows in " in text
    hits = client.search(
        "docs", [VECTOR] * 40, output_fields=["topic", "explain(json)"], limit=4
    )
    assert [len(of_query) for of_query in hits] == [1] + [0] * 39
    found = hits[0][0]["entity"]["explain"]
    assert (found["plan"]["queries"], found["plan"]["output"]) == (40, "topic")
    assert found["returned"] == 160
    plain = client.search("docs", [VECTOR], search_params={"explain": False}, limit=4)
    assert [hit["id"] for hit in plain[0]] == [0, 1, 2, 3]


def test_keys_that_are_texts(client: MilvusClient) -> None:
    """The key of the one hit is empty then."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("name", DataType.VARCHAR, max_length=5, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    params = client.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("names", schema=schema, index_params=params)
    client.insert("names", [{"name": "a", "vector": VECTOR}])
    (hit,) = client.search("names", [VECTOR], search_params={"explain": True})[0]
    assert (hit["name"], "search of names" in hit["entity"]["explain"]) == ("", True)
    with pytest.raises(MilvusException, match="field nothing not exist"):
        client.search("names", [VECTOR], output_fields=["nothing", "explain(*)"])


def test_a_query_shows_it_as_its_only_row(client: MilvusClient) -> None:
    """As ``count(*)`` is asked for: beside the fields, among the output fields."""
    (row,) = client.query(
        "docs", filter="topic == 1", limit=3, output_fields=["topic", "explain(*)"]
    )
    assert list(row) == ["explain"]
    assert row["explain"].startswith("query of docs: limit 3, order by primary key")
    (row,) = client.get("docs", [1, 2], output_fields=["explain(json)"])
    (segment,) = row["explain"]["segments"]
    assert segment["filter"]["way"] == "primary key index"
    (row,) = client.query("docs", output_fields=["count(*)", "explain(*)"])
    assert "output count(*)" in row["explain"]
    (row,) = client.query("docs", filter="id < 0", output_fields=["explain(*)"])
    assert "  0 rows in " in row["explain"]


def test_a_hybrid_search_is_asked_by_any_of_its_parts(client: MilvusClient) -> None:
    """Or by an output field of the whole."""
    for params, fields in (({"explain": True}, []), ({}, ["explain(*)"])):
        parts = [
            AnnSearchRequest([VECTOR], "vector", params, 5, expr="topic == 1"),
            AnnSearchRequest([VECTOR], "vector", {}, 5),
        ]
        (hit,) = client.hybrid_search(
            "docs", parts, RRFRanker(), limit=3, output_fields=fields
        )[0]
        text = hit["entity"]["explain"]
        assert text.startswith("hybrid search of docs: ranker RRF(k=60), limit 3")
        assert text.count("search of docs: field vector") == 2
        assert "fusion" in text.splitlines()[-1]


def test_the_async_client(client: MilvusClient, tmp_path: Path) -> None:
    """Asks and reads alike."""

    async def ask() -> tuple[str, str]:
        async with elanus.AsyncMilvusClient(tmp_path / "app.db") as asking:
            hits = await asking.search(
                "docs", [VECTOR], search_params={"explain": True}
            )
            rows = await asking.query("docs", "id > 3", output_fields=["explain(*)"])
            return hits[0][0]["entity"]["explain"], rows[0]["explain"]

    search, query = asyncio.run(ask())
    assert search.startswith("search of docs") and query.startswith("query of docs")


def test_what_cannot_be_explained_says_so(client: MilvusClient) -> None:
    """Iterators, other forms, and reads that are wrong themselves."""
    asks: dict[str, Callable[[], object]] = {
        "an iterator cannot be explained": lambda: client.search_iterator(
            "docs", [VECTOR], batch_size=5, search_params={"explain": True}
        ),
        "an iterator cannot": lambda: client.query_iterator(
            "docs", output_fields=["explain(*)"]
        ).next(),
        "explain [xml] is invalid": lambda: client.query(
            "docs", "id > 1", output_fields=["explain(xml)"]
        ),
    }
    for text, ask in asks.items():
        with pytest.raises(MilvusException) as caught:
            ask()
        assert text in str(caught.value)
