"""Everyday use of MilvusClient and AsyncMilvusClient, where the release has them.

Run by the interpreter of each environment: ``everyday.py HOST PORT``.
"""

import asyncio
import sys

import numpy as np
import pymilvus
from pymilvus import MilvusClient

try:
    from pymilvus import AsyncMilvusClient
except ImportError:  # came with 2.5
    AsyncMilvusClient = None

RELEASE = tuple(int(part) for part in pymilvus.__version__.split(".")[:2])
DIM = 8
N_ROWS = 1000
COLORS = ("red", "green", "blue")
VECTORS = np.random.default_rng(7).random((N_ROWS, DIM), dtype=np.float32)
STRONG = {"consistency_level": "Strong"}


def row(pk):
    """A row with two keys beyond the schema."""
    return {
        "id": pk,
        "vector": VECTORS[pk].tolist(),
        "color": COLORS[pk % 3],
        "rank": pk,
    }


def ids(rows):
    """Their primary keys, in order."""
    return [found["id"] for found in rows]


def nearest(query, allowed, count):
    """The keys of the nearest by cosine, farthest last."""
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    scores = unit @ (unit[query])
    return [int(pk) for pk in np.argsort(-scores) if pk in allowed][:count]


def check_hits(hits, allowed):
    """What a search for row 5 must give."""
    assert ids(hits) == nearest(5, allowed, 4), hits
    scores = [hit["distance"] for hit in hits]
    assert scores == sorted(scores, reverse=True), scores
    assert [hit["entity"]["color"] for hit in hits] == ["blue"] * 4, hits


def synchronous(uri):
    """Create, insert, search, query, get, upsert, delete, drop."""
    client = MilvusClient(uri)
    quick = {"metric_type": "COSINE", **STRONG}
    client.create_collection("quick", dimension=DIM, **quick)
    assert client.list_collections() == ["quick"]
    reply = client.insert("quick", [row(pk) for pk in range(N_ROWS)])
    if RELEASE >= (2, 4):
        assert reply["insert_count"] == N_ROWS, reply
    blue = {pk for pk in range(N_ROWS) if COLORS[pk % 3] == "blue"}
    hits = client.search(
        "quick",
        [VECTORS[5].tolist()],
        filter='color == "blue"',
        limit=4,
        output_fields=["color", "rank"],
    )
    check_hits(hits[0], blue)
    rows = client.query("quick", filter="rank in [1, 3]", output_fields=["*"])
    assert sorted(ids(rows)) == [1, 3] and rows[0]["color"] == "green", rows
    assert np.allclose(rows[0]["vector"], VECTORS[rows[0]["id"]])
    assert ids(client.get("quick", ids=[9])) == [9]
    client.delete("quick", **{"pks" if RELEASE < (2, 4) else "ids": [9, 10]})
    assert client.get("quick", ids=[9, 10, 11])[0]["id"] == 11
    counted = client.query("quick", filter="", output_fields=["count(*)"])
    assert counted[0]["count(*)"] == N_ROWS - 2, counted
    if RELEASE >= (2, 3):
        later(client)
    client.drop_collection("quick")
    assert client.list_collections() == []
    client.close()


def later(client):
    """What came with 2.3: upsert, load states, partitions, indexes, statistics."""
    assert client.has_collection("quick") and not client.has_collection("slow")
    client.upsert("quick", [{**row(12), "color": "black"}])
    assert client.get("quick", ids=[12])[0]["color"] == "black"
    client.delete("quick", filter='color == "black"')
    assert client.get("quick", ids=[12]) == []
    assert client.describe_collection("quick")["enable_dynamic_field"] is True
    assert client.list_indexes("quick") == ["vector"]
    assert client.describe_index("quick", "vector")["metric_type"] == "COSINE"
    client.create_partition("quick", "extra")
    assert client.list_partitions("quick") == ["_default", "extra"]
    client.release_collection("quick")
    client.drop_partition("quick", "extra")
    client.load_collection("quick")
    assert "Loaded" in str(client.get_load_state("quick")["state"])
    client.rename_collection("quick", "renamed")
    client.create_alias("renamed", "other")
    assert client.describe_alias("other")["collection_name"] == "renamed"
    assert ids(client.query("other", filter="id == 3", output_fields=["id"])) == [3]
    client.drop_alias("other")
    client.rename_collection("renamed", "quick")
    error = missing(client)
    assert error.code == 100 and "collection not found" in error.message, error


def missing(client):
    """The error of a search in a collection that does not exist."""
    try:
        client.search("absent", [VECTORS[0].tolist()], limit=1)
    except pymilvus.MilvusException as error:
        return error
    raise AssertionError("a search in no collection was answered")


async def asynchronous(uri):
    """The same path with AsyncMilvusClient."""
    client = AsyncMilvusClient(uri)
    await client.create_collection("quick", dimension=DIM, **STRONG)
    reply = await client.insert("quick", [row(pk) for pk in range(N_ROWS)])
    assert reply["insert_count"] == N_ROWS, reply
    blue = {pk for pk in range(N_ROWS) if COLORS[pk % 3] == "blue"}
    question = {
        "filter": 'color == "blue"',
        "limit": 4,
        "output_fields": ["color"],
    }
    answers = await asyncio.gather(
        *(client.search("quick", [VECTORS[5].tolist()], **question) for _ in range(20))
    )
    for hits in answers:
        check_hits(hits[0], blue)
    await client.upsert("quick", [{**row(12), "color": "black"}])
    rows = await client.query("quick", filter="rank in [1, 12]", output_fields=["*"])
    assert {r["id"]: r["color"] for r in rows} == {1: "green", 12: "black"}, rows
    await client.delete("quick", ids=[1])
    assert ids(await client.get("quick", ids=[1, 2])) == [2]
    await client.drop_collection("quick")
    await client.close()


def main(host, port):
    """With both clients."""
    uri = f"http://{host}:{port}"
    synchronous(uri)
    if AsyncMilvusClient is not None:
        asyncio.run(asynchronous(uri))


main(*sys.argv[1:])
sys.stdout.write(f"pymilvus {pymilvus.__version__}: everyday use holds\n")
