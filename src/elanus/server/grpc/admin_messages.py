"""Messages about the node that serves: replicas, resource groups, plans of merges."""

from __future__ import annotations

from elanus.database.resource_groups import GroupConfig
from elanus.errors import ElanusError
from elanus.server.grpc import encode
from elanus.server.grpc.decode import Decode
from elanus.server.grpc.messages import Message, message_class
from elanus.server.grpc.status import status_of
from elanus.service import replies_admin as replies
from elanus.service import requests_admin as requests
from elanus.service.replies import CollectionInfo
from elanus.service.requests import GetIndexStatistics, Request

_ADDRESS = "localhost"


# --- requests -----------------------------------------------------------------------


def batch_describe(message: Message, database: str) -> Request:
    """``BatchDescribeCollectionRequest``."""
    return requests.BatchDescribeCollection(
        message.db_name or database, tuple(message.collection_name)
    )


def get_index_statistics(message: Message, database: str) -> Request:
    """``GetIndexStatisticsRequest``, which names no field."""
    return GetIndexStatistics(
        message.db_name or database, message.collection_name, "", message.index_name
    )


def get_replicas(message: Message, database: str) -> Request:
    """``GetReplicasRequest``."""
    return requests.GetReplicas(
        message.db_name or database, message.collection_name, message.collectionID
    )


def load_balance(message: Message, database: str) -> Request:
    """``LoadBalanceRequest``."""
    return requests.LoadBalance(
        message.db_name or database,
        message.collectionName,
        message.src_nodeID,
        tuple(message.dst_nodeIDs),
        tuple(message.sealed_segmentIDs),
    )


def get_compaction_plans(message: Message, database: str) -> Request:
    """``GetCompactionPlansRequest``."""
    return requests.GetCompactionPlans(message.compactionID)


def not_served(reason: str) -> Decode:
    """Decodes a call that Milvus does not answer."""
    return lambda message, database: requests.NotServed(reason)


def create_resource_group(message: Message, database: str) -> Request:
    """``CreateResourceGroupRequest``."""
    config = _config(message.config) if message.HasField("config") else None
    return requests.CreateResourceGroup(message.resource_group, config)


def drop_resource_group(message: Message, database: str) -> Request:
    """``DropResourceGroupRequest``."""
    return requests.DropResourceGroup(message.resource_group)


def describe_resource_group(message: Message, database: str) -> Request:
    """``DescribeResourceGroupRequest``."""
    return requests.DescribeResourceGroup(message.resource_group)


def update_resource_groups(message: Message, database: str) -> Request:
    """``UpdateResourceGroupsRequest``."""
    return requests.UpdateResourceGroups(
        {name: _config(config) for name, config in message.resource_groups.items()}
    )


def transfer_node(message: Message, database: str) -> Request:
    """``TransferNodeRequest``."""
    return requests.TransferNode(
        message.source_resource_group, message.target_resource_group, message.num_node
    )


def transfer_replica(message: Message, database: str) -> Request:
    """``TransferReplicaRequest``."""
    return requests.TransferReplica(
        message.db_name or database,
        message.collection_name,
        message.source_resource_group,
        message.target_resource_group,
        message.num_replica,
    )


def _config(message: Message) -> GroupConfig:
    return GroupConfig(
        message.requests.node_num if message.HasField("requests") else None,
        message.limits.node_num if message.HasField("limits") else None,
        tuple(other.resource_group for other in message.transfer_from),
        tuple(other.resource_group for other in message.transfer_to),
        {label.key: label.value for label in message.node_filter.node_labels},
    )


# --- replies ------------------------------------------------------------------------


def collection_infos(reply: replies.CollectionInfos) -> bytes:
    """``BatchDescribeCollectionResponse``."""
    message = encode.reply_message("BatchDescribeCollectionResponse")
    for answer in reply.answers:
        message.responses.add().MergeFromString(_description(answer))
    return encode.reply_bytes(message)


def _description(answer: CollectionInfo | ElanusError) -> bytes:
    if isinstance(answer, CollectionInfo):
        return encode.collection(answer)
    described = message_class("milvus.DescribeCollectionResponse")
    return encode.reply_bytes(described(status=status_of(answer)))


def replicas(reply: replies.ReplicaList) -> bytes:
    """``GetReplicasResponse``."""
    message = encode.reply_message("GetReplicasResponse")
    for copy in reply.replicas:
        message.replicas.add(
            replicaID=copy.id,
            collectionID=copy.collection_id,
            partition_ids=copy.partition_ids,
            node_ids=[copy.node_id],
            resource_group_name=copy.group,
            shard_replicas=[
                {
                    "leaderID": copy.node_id,
                    "leader_addr": _ADDRESS,
                    "dm_channel_name": channel,
                    "node_ids": [copy.node_id],
                }
                for channel in encode.channels(copy.collection_id, copy.shards)
            ],
        )
    return encode.reply_bytes(message)


def compaction_plans(reply: replies.CompactionPlans) -> bytes:
    """``GetCompactionPlansResponse``."""
    message = encode.reply_message("GetCompactionPlansResponse", state=int(reply.state))
    for merge in reply.merges:
        message.mergeInfos.add(sources=merge.sources, target=merge.target)
    return encode.reply_bytes(message)


def group_names(reply: replies.GroupNames) -> bytes:
    """``ListResourceGroupsResponse``."""
    message = encode.reply_message(
        "ListResourceGroupsResponse", resource_groups=reply.names
    )
    return encode.reply_bytes(message)


def group_info(reply: replies.GroupInfo) -> bytes:
    """``DescribeResourceGroupResponse``."""
    message = encode.reply_message("DescribeResourceGroupResponse")
    group, config = message.resource_group, reply.config
    group.name = reply.name
    group.capacity = config.requests or len(reply.node_ids)
    group.num_available_node = len(reply.node_ids)
    group.num_loaded_replica.update(reply.replicas)
    if config.requests is not None:
        group.config.requests.node_num = config.requests
    if config.limits is not None:
        group.config.limits.node_num = config.limits
    for other in config.transfer_from:
        group.config.transfer_from.add(resource_group=other)
    for other in config.transfer_to:
        group.config.transfer_to.add(resource_group=other)
    for key, value in config.labels.items():
        group.config.node_filter.node_labels.add(key=key, value=value)
    for node in reply.node_ids:
        group.nodes.add(node_id=node, address=_ADDRESS, hostname=_ADDRESS)
    return encode.reply_bytes(message)
