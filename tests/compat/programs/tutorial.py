"""The newcomer's tutorial with pymilvus' ORM, as written for every release since 2.0.

Run by the interpreter of each environment: ``tutorial.py HOST PORT UNUSED_PORT ROWS``.
Ends with 0 when every step gave what the tutorial says.
"""

import sys

import numpy as np
import pymilvus
from pymilvus import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    connections,
    utility,
)

DIM = 128
FEW_ROWS = 100


def schema(dim=DIM, description="hello"):
    """An id and an embedding."""
    return CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True, auto_id=False),
            FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=dim),
        ],
        description,
    )


def refusal(action, *arguments, **options):
    """The exception that the call ends with."""
    try:
        action(*arguments, **options)
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError(f"{action} was not refused")


def nearest(vectors, query, count):
    """Offsets of the ``count`` nearest by L2, and their squared distances."""
    distances = ((vectors - query) ** 2).sum(axis=1)
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]


def refuse_unreachable_server(host, unused_port):
    """A connection to a port where nobody listens ends with pymilvus' own error."""
    error = refusal(
        connections.connect, "nobody", host=host, port=unused_port, timeout=1
    )
    assert "onnect" in str(error), error


def refuse_bad_schemas(name):
    """Another schema under a taken name, and a dimension that Milvus does not allow."""
    error = refusal(Collection, name, schema(dim=64))
    assert "schema is not the same" in str(error), error
    error = refusal(Collection, "too_wide", schema(dim=40_000))
    assert "40000" in str(error) and "32768" in str(error), error
    assert not utility.has_collection("too_wide")


def insert(collection, n_rows):
    """Column-wise, in one call; returns the vectors by id."""
    vectors = np.random.default_rng(n_rows).random((n_rows, DIM), dtype=np.float32)
    result = collection.insert([list(range(n_rows)), vectors.tolist()])
    assert result.insert_count == n_rows, result
    assert list(result.primary_keys) == list(range(n_rows))
    if hasattr(collection, "flush"):
        collection.flush()
    assert collection.num_entities == n_rows, collection.num_entities
    return vectors


def search(collection, vectors):
    """Five nearest of three rows: themselves first, smallest distance first."""
    ids = [0, len(vectors) // 2, len(vectors) - 1]
    found = collection.search(
        vectors[ids].tolist(),
        "embedding",
        {"metric_type": "L2", "params": {"nprobe": 10}},
        limit=5,
        consistency_level="Strong",
    )
    assert len(found) == len(ids)
    for pk, hits in zip(ids, found, strict=True):
        distances = list(hits.distances)
        assert len(hits) == 5 and hits.ids[0] == pk, (pk, hits)
        assert distances[0] < 1e-3 and distances == sorted(distances), distances
        if len(vectors) == FEW_ROWS:
            expected, exact = nearest(vectors, vectors[pk], 5)
            assert list(hits.ids) == expected.tolist(), (hits.ids, expected)
            assert np.allclose(distances, exact, atol=1e-3), (distances, exact)


def query_and_delete(collection, n_rows):
    """Rows by key, and their absence after a delete."""
    rows = collection.query(
        "id in [1, 2]", output_fields=["id"], consistency_level="Strong"
    )
    assert sorted(row["id"] for row in rows) == [1, 2], rows
    collection.delete("id in [1]")
    rows = collection.query(
        "id in [1, 2]", output_fields=["id"], consistency_level="Strong"
    )
    assert [row["id"] for row in rows] == [2], rows
    hits = collection.search(
        [[0.5] * DIM],
        "embedding",
        {"metric_type": "L2", "params": {"nprobe": 128}},
        limit=10,
        expr="id < 2",
        consistency_level="Strong",
    )[0]
    assert list(hits.ids) == [0], hits


def lesson(name, n_rows):
    """From a new collection to its end."""
    assert not utility.has_collection(name)
    collection = Collection(name, schema())
    assert utility.has_collection(name) and name in utility.list_collections()
    assert collection.is_empty and collection.description == "hello"
    vectors = insert(collection, n_rows)
    collection.create_index(
        "embedding",
        {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 128}},
    )
    assert collection.has_index()
    assert collection.index().params["index_type"] == "IVF_FLAT"
    assert utility.index_building_progress(name)["total_rows"] == n_rows
    collection.load()
    utility.wait_for_loading_complete(name)
    search(collection, vectors)
    query_and_delete(collection, n_rows)
    refuse_bad_schemas(name)
    again = Collection(name)  # the schema comes from the server
    assert [field.name for field in again.schema.fields] == ["id", "embedding"]
    partition_lesson(again)
    collection.release()
    error = refusal(search, collection, vectors)
    assert "load" in str(error), error
    collection.drop_index()
    assert not collection.has_index()
    collection.drop()
    assert not utility.has_collection(name)


def partition_lesson(collection):
    """A partition, from its creation to its end."""
    partition = collection.create_partition("novel")
    assert collection.has_partition("novel")
    assert {p.name for p in collection.partitions} == {"_default", "novel"}
    partition.insert([[10**9], [[0.25] * DIM]])
    found = collection.query(
        f"id in [{10**9}]",
        output_fields=["id"],
        partition_names=["_default"],
        consistency_level="Strong",
    )
    assert list(found) == [], found
    partition.release()
    partition.drop()
    assert not collection.has_partition("novel")


def main(host, port, unused_port, n_rows):
    """The whole tutorial, with few rows and with many."""
    refuse_unreachable_server(host, unused_port)
    connections.connect("default", host=host, port=port)
    assert utility.list_collections() == []
    lesson("few", FEW_ROWS)
    lesson("many", int(n_rows))
    connections.disconnect("default")


main(*sys.argv[1:])
sys.stdout.write(f"pymilvus {pymilvus.__version__}: the tutorial holds\n")
