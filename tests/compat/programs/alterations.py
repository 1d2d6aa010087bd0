"""Partition keys, properties and added fields, where the release has them.

Run by the interpreter of each environment: ``alterations.py HOST PORT``.
"""

import inspect
import sys

import pymilvus
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections

try:
    from pymilvus import MilvusClient
except ImportError:  # came with 2.2.9
    MilvusClient = None

RELEASE = tuple(int(part) for part in pymilvus.__version__.split(".")[:2])
NAME = "tenants_" + pymilvus.__version__.replace(".", "_")
N_ROWS = 60
DIM = 4
# what is refused is an error of pymilvus' own, whose name changed
REFUSED = Exception


def vector(pk):
    """A vector that only this key has."""
    return [1.0, float(pk), 0.0, 0.0]


def keyed_schema():
    """A key, a tenant that chooses the partition, a vector."""
    tenant = {"max_length": 20}
    if RELEASE >= (2, 2) and "partition_key_field" in _source(
        CollectionSchema.__init__
    ):
        tenant["is_partition_key"] = True
    fields = [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("tenant", DataType.VARCHAR, **tenant),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    ]
    return CollectionSchema(fields), "is_partition_key" in tenant


def _source(function):
    return inspect.getsource(function)


def tenants():
    """Partition keys by the oldest interface that has them."""
    if not hasattr(DataType, "VARCHAR"):
        return
    schema, is_keyed = keyed_schema()
    options = {"num_partitions": 5} if is_keyed else {}
    docs = Collection(NAME, schema, consistency_level="Strong", **options)
    keys = list(range(N_ROWS))
    docs.insert([keys, [f"t{pk % 7}" for pk in keys], [vector(pk) for pk in keys]])
    docs.create_index(
        "vector",
        {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 2}},
    )
    docs.load()
    params = {"metric_type": "L2", "params": {}}
    hits = docs.search([vector(3)], "vector", params, 3, expr="tenant == 't3'")
    assert [hit.id for hit in hits[0]] == [3, 10, 17], hits
    found = docs.query("tenant in ['t1', 't2']", output_fields=["tenant"])
    assert len(found) == len([pk for pk in keys if pk % 7 in (1, 2)]), found
    asked = {"metric_type": "L2", "params": {"explain": True}}
    text = docs.search([vector(3)], "vector", asked, 3)[0][0].entity.get("explain")
    assert text.startswith("search of " + NAME), text
    (row,) = docs.query("tenant == 't1'", output_fields=["explain(*)"])
    assert " 9 match (" in row["explain"], row
    docs.delete("id in [3]")
    hits = docs.search([vector(3)], "vector", params, 1, expr="tenant == 't3'")
    assert hits[0][0].id == 10, hits
    if is_keyed:
        assert [p.name for p in docs.partitions] == [f"_default_{i}" for i in range(5)]
        refused(lambda: docs.create_partition("own"), "disable create partition")
        refused(
            lambda: docs.insert([[1], ["a"], [vector(1)]], partition_name="_default_1"),
            "not support manually specifying the partition names",
        )
    if hasattr(docs, "set_properties"):
        docs.set_properties({"collection.ttl.seconds": 3600})
        assert docs.query("id == 10"), "the rows are younger than an hour"
        refused(
            lambda: docs.set_properties({"collection.ttl.seconds": -5}),
            "collection TTL is out of range",
        )
    docs.release()
    docs.drop()


def fields(uri):
    """What MilvusClient can alter."""
    client = MilvusClient(uri)
    quick = {"metric_type": "L2", "consistency_level": "Strong"}
    client.create_collection("quick", dimension=DIM, **quick)
    rows = [{"id": pk, "vector": vector(pk)} for pk in range(N_ROWS)]
    client.insert("quick", rows)
    if hasattr(client, "alter_collection_properties"):
        client.alter_collection_properties("quick", {"own": "x", "mine": "y"})
        assert told(client)["own"] == "x"
        client.drop_collection_properties("quick", ["own"])
        assert "own" not in told(client) and told(client)["mine"] == "y"
    if hasattr(client, "add_collection_field"):
        client.add_collection_field("quick", "n", DataType.INT64, nullable=True)
        client.add_collection_field(
            "quick",
            "s",
            DataType.VARCHAR,
            nullable=True,
            max_length=5,
            default_value="a",
        )
        client.insert("quick", [{"id": 100, "vector": vector(100), "n": 1, "s": "b"}])
        assert len(client.query("quick", "n is null and s == 'a'")) == N_ROWS
        hits = client.search("quick", [vector(1)], filter="n == 1", output_fields=["s"])
        assert [(h["id"], h["entity"]["s"]) for h in hits[0]] == [(100, "b")], hits
        client.alter_collection_field("quick", "s", {"max_length": 9})
        client.insert("quick", [{"id": 101, "vector": vector(101), "s": "longer"}])
    if hasattr(client, "drop_collection_field"):
        client.drop_collection_field("quick", "n")
        names = [f["name"] for f in client.describe_collection("quick")["fields"]]
        assert names == ["id", "vector", "s"], names
    client.drop_collection("quick")
    client.close()


def told(client):
    """The properties of the collection."""
    return client.describe_collection("quick")["properties"]


def refused(act, text):
    """It must end with this message."""
    try:
        act()
    except REFUSED as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"was not refused: {text}")


def main():
    """All that this release can do."""
    host, port = sys.argv[1:3]
    connections.connect(host=host, port=port)
    tenants()
    if MilvusClient is not None:
        fields(f"http://{host}:{port}")
    sys.stdout.write(f"pymilvus {pymilvus.__version__}: alterations hold\n")


if __name__ == "__main__":
    main()
