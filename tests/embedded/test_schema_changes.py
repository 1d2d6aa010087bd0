"""Schema changes and partition keys through pymilvus' own client, in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, MilvusException

ROWS = [{"id": i, "vector": [1.0, i, 0.0, 0.0], "topic": i % 3} for i in range(30)]


def test_fields_and_properties_change(tmp_path: Path) -> None:
    """By the client's own calls, and everything is there after a restart."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    client.create_collection("docs", dimension=4, metric_type="L2")
    client.insert("docs", ROWS)
    client.add_collection_field("docs", "pages", DataType.INT64, nullable=True)
    client.add_collection_field(
        "docs",
        "tongue",
        DataType.VARCHAR,
        nullable=True,
        max_length=9,
        default_value="en",
    )
    client.insert("docs", [{**ROWS[0], "id": 100, "pages": 7, "tongue": "it"}])
    client.alter_collection_field("docs", "tongue", {"max_length": 20})
    client.alter_collection_properties("docs", {"collection.ttl.seconds": 3600})
    client.alter_collection_properties("docs", {"own": "x"})
    client.drop_collection_properties("docs", ["own"])
    client.close()
    client = elanus.MilvusClient(tmp_path / "app.db")
    told = client.describe_collection("docs")
    assert told["properties"]["collection.ttl.seconds"] == "3600"
    assert "own" not in told["properties"]
    assert told["fields"][-1]["params"] == {"max_length": 20}
    found = client.search(
        "docs", [[1.0, 0, 0, 0]], limit=2, filter="topic == 0", output_fields=["*"]
    )
    shown = {hit["id"]: hit["entity"] for hit in found[0]}
    assert shown[0]["pages"] is None and shown[0]["tongue"] == "en"
    assert shown[100]["pages"] == 7 and shown[100]["tongue"] == "it"
    client.drop_collection_field("docs", "pages")
    names = [field["name"] for field in client.describe_collection("docs")["fields"]]
    assert names == ["id", "vector", "tongue"]
    client.close()


def test_partition_keys(tmp_path: Path) -> None:
    """Rows are spread and found; the partitions belong to the server."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tenant", DataType.VARCHAR, max_length=20, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    client.create_collection(
        "docs",
        schema=schema,
        index_params=index,
        num_partitions=5,
        properties={"partitionkey.isolation": True},
    )
    rows = [
        {"id": r["id"], "tenant": f"t{r['id'] % 7}", "vector": r["vector"]}
        for r in ROWS
    ]
    client.insert("docs", rows)
    assert client.list_partitions("docs") == [f"_default_{i}" for i in range(5)]
    found = client.search("docs", [[1.0, 3, 0, 0]], filter="tenant == 't3'", limit=9)
    assert [hit["id"] for hit in found[0]] == [3, 10, 17, 24]
    client.delete("docs", filter="tenant == 't3'")
    assert len(client.query("docs", "id >= 0")) == 26
    with pytest.raises(MilvusException, match="not support manually specifying"):
        client.insert("docs", rows[:1], partition_name="_default_0")
    with pytest.raises(MilvusException, match="disable create partition"):
        client.create_partition("docs", "own")
    client.close()
