"""The one node: its copies, its resource groups, what a compaction made of what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
import numpy as np
from pymilvus import MilvusClient
from pymilvus.client.types import ResourceGroupConfig
from pymilvus.exceptions import MilvusException
from pymilvus.grpc_gen import milvus_pb2

import elanus

DEFAULT_GROUP = "__default_resource_group"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MilvusClient]:
    """A client of a database of its own, with one loaded collection."""
    client = elanus.MilvusClient(str(tmp_path / "app.db"))
    client.create_collection("docs", dimension=4)
    yield client
    client.close()


def refused(code: int, text: str) -> pytest.RaisesExc[MilvusException]:
    """Expects an error of this code with this text in it."""

    def fits(error: MilvusException) -> bool:
        return error.code == code and text in error.message

    return pytest.raises(MilvusException, check=fits)


def bounds(requests: int, limits: int) -> ResourceGroupConfig:
    """What a group asks for."""
    return ResourceGroupConfig(
        requests={"node_num": requests}, limits={"node_num": limits}
    )


def test_groups_are_kept_and_bounded(client: MilvusClient) -> None:
    """Made, described, changed, listed, dropped; once more does no harm."""
    assert client.list_resource_groups() == [DEFAULT_GROUP]
    for _ in range(2):
        client.create_resource_group("rg", config=bounds(0, 2))
    with refused(301, "resource group already exist, but create with different config"):
        client.create_resource_group("rg", config=bounds(1, 2))
    assert client.list_resource_groups() == [DEFAULT_GROUP, "rg"]
    client.update_resource_groups({"rg": bounds(0, 3)})
    assert client.describe_resource_group("rg").config.limits.node_num == 3
    with refused(1100, "resource group's limits node num is not 0"):
        client.drop_resource_group("rg")
    client.update_resource_groups({"rg": bounds(0, 0)})
    for _ in range(2):
        client.drop_resource_group("rg")
    with refused(300, "resource group not found[rg=rg]"):
        client.describe_resource_group("rg")
    with refused(1100, "default resource group is not deletable"):
        client.drop_resource_group(DEFAULT_GROUP)


def test_what_groups_refuse(client: MilvusClient) -> None:
    """Names and bounds that cannot be leave no group behind."""
    with refused(1100, "Invalid resource group name 1x. the first character of a"):
        client.create_resource_group("1x")
    with refused(303, "limits node num should not less than requests node num"):
        client.create_resource_group("rg", config=bounds(2, 1))
    with refused(300, "resource group not found[rg=rg]"):
        client.update_resource_groups({"rg": bounds(0, 1)})
    assert client.list_resource_groups() == [DEFAULT_GROUP]


def test_the_node_moves_among_groups(client: MilvusClient) -> None:
    """It is in one group at a time, and serves what it did before."""
    client.create_resource_group("rg", config=bounds(0, 2))
    handler = client._get_connection()
    with refused(304, "resource group node not enough[rg=rg]"):
        handler.transfer_node("rg", DEFAULT_GROUP, 1)
    with refused(1100, "source resource group and target resource group should not"):
        handler.transfer_node("rg", "rg", 1)
    handler.transfer_node(DEFAULT_GROUP, "rg", 1)
    moved = client.describe_resource_group("rg")
    assert moved.num_available_node == 1
    assert moved.num_loaded_replica == {"docs": 1}
    assert client.describe_resource_group(DEFAULT_GROUP).num_available_node == 0
    with refused(1100, "only found [0] replicas of collection"):
        client.transfer_replica(DEFAULT_GROUP, "rg", "docs", 1)
    with refused(3000, "moving a replica away from the only node"):
        client.transfer_replica("rg", DEFAULT_GROUP, "docs", 1)


def test_a_loaded_collection_has_one_copy(client: MilvusClient) -> None:
    """None when it is released; more than one cannot be."""
    (copy,) = client.describe_replica("docs")
    assert list(copy.group_nodes) == [1] and copy.resource_group == DEFAULT_GROUP
    client.release_collection("docs")
    assert client.describe_replica("docs") == []
    with refused(12, "when load 3 replica count: service resource insufficient"):
        client.load_collection("docs", replica_number=3)
    with refused(300, "resource group not found[rg=none]"):
        client.load_collection("docs", _resource_groups=["none"])


def test_balancing_load_is_checked(client: MilvusClient) -> None:
    """With one node nothing can move, but what is named must be there."""
    rows = [{"id": i, "vector": [float(i)] * 4} for i in range(3)]
    client.insert("docs", rows)
    client.flush("docs")
    balance = client._get_connection().load_balance
    (segment,) = client._get_connection().get_query_segment_info("docs")
    balance("docs", 1, [1], [segment.segmentID])
    with refused(901, "source node not found in any replica"):
        balance("docs", 7, [1], [])
    with refused(901, "destination node not found in the same replica"):
        balance("docs", 1, [7], [])
    with refused(600, "not found in source node 1"):
        balance("docs", 1, [1], [segment.segmentID + 1])
    client.release_collection("docs")
    with refused(103, "collection not fully loaded"):
        balance("docs", 1, [1], [])


def test_plans_say_what_became_of_which(client: MilvusClient) -> None:
    """A compaction's sources are the segments before, its target the one after."""
    for start in range(0, 30, 10):
        vectors = np.eye(10, 4)
        rows = [{"id": start + i, "vector": vectors[i]} for i in range(10)]
        client.insert("docs", rows)
        client.flush("docs")
    segments = client._get_connection().get_persistent_segment_infos("docs")
    job = client.compact("docs", target_size=2048)
    while client.get_compaction_state(job) != "Completed":
        pass
    (plan,) = client.get_compaction_plans(job).plans
    assert sorted(plan.sources) == sorted(s.segmentID for s in segments)
    (left,) = client._get_connection().get_persistent_segment_infos("docs")
    assert plan.target == left.segmentID and left.num_rows == 30
    assert client.get_compaction_plans(-1).plans == []
    with refused(1100, "targetSize 1 MB should be greater than or equal to"):
        client.compact("docs", target_size=1)


def test_a_large_topk_needs_its_mode(client: MilvusClient) -> None:
    """``query_mode`` raises the limit to a million; an index must not stand yet."""
    client.insert("docs", [{"id": 1, "vector": [1.0] * 4}])
    asked = {"data": [[1.0] * 4], "limit": 16_385}
    with refused(1100, "topk [16385] is invalid, it should be in range [1, 16384]"):
        client.search("docs", **asked)
    mode = {"query_mode": "large_topk"}
    with refused(
        702, "can not alter query_mode if the collection already has a vector"
    ):
        client.alter_collection_properties("docs", mode)
    client.release_collection("docs")
    client.drop_index("docs", "vector")
    with refused(1100, 'invalid query_mode value "x", valid values: [large_topk]'):
        client.alter_collection_properties("docs", {"query_mode": "x"})
    with refused(1100, 'invalid property key "Query_Mode", did you mean "query_mode"?'):
        client.alter_collection_properties("docs", {"Query_Mode": "large_topk"})
    client.alter_collection_properties("docs", mode)
    assert (
        client.describe_collection("docs")["properties"]["query_mode"] == "large_topk"
    )
    params = client.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index("docs", params)
    client.load_collection("docs")
    (hits,) = client.search("docs", **asked)
    assert [hit["id"] for hit in hits] == [1]
    assert len(client.query("docs", filter="id >= 0", limit=1_000_000)) == 1
    with refused(1100, "topk [1000001] is invalid, it should be in range [1, 1000000]"):
        client.search("docs", data=[[1.0] * 4], limit=1_000_001)


def test_several_collections_are_described_at_once(client: MilvusClient) -> None:
    """One that there is not has an error of its own."""
    client.create_collection("more", dimension=8)
    names = ["docs", "none", "more"]
    asked = milvus_pb2.BatchDescribeCollectionRequest(collection_name=names)
    found = client._get_connection()._stub.BatchDescribeCollection(asked).responses
    assert [answer.status.code for answer in found] == [0, 100, 0]
    assert [answer.collection_name for answer in found] == ["docs", "", "more"]


def test_collections_are_listed_by_age(tmp_path: Path) -> None:
    """Oldest first, also where their numbers have grown a digit before a restart."""
    names = [f"docs_{i:02}" for i in range(12)][::-1]
    with elanus.open(tmp_path / "db") as db:
        for name in names:
            db.create_collection(name, dim=4)
    with elanus.open(tmp_path / "db") as db:
        found = [c.definition.name for c in db._core.collections()]
        assert found == names
        assert not any(c.lazy.opened for c in db._core.collections())


def test_fields_left_out_of_a_load_cannot_be_read(client: MilvusClient) -> None:
    """Neither returned nor filtered by; the next load may name others."""
    client.insert("docs", [{"id": 1, "vector": [1.0] * 4, "color": "red"}])
    client.release_collection("docs")
    client.load_collection("docs", load_fields=["id", "vector"])
    assert client.query("docs", "color == 'red'", output_fields=["*"])[0]["id"] == 1
    skipped = {"load_fields": ["id", "vector"], "skip_load_dynamic_field": True}
    client.load_collection("docs", **skipped)
    with refused(1100, "field color cannot be returned since dynamic field not loaded"):
        client.query("docs", "id > 0", output_fields=["color"])
    with refused(1100, "cannot parse expression: color == 'red', error: "):
        client.search("docs", [[1.0] * 4], "color == 'red'")
    (row,) = client.query("docs", "id > 0", output_fields=["*"])
    assert row.keys() == {"id", "vector"}
    client.load_collection("docs")
    assert client.query("docs", "color == 'red'", output_fields=["color"])
