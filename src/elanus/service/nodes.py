"""Operations on nodes, copies and resource groups: there is one node, and one copy."""

from __future__ import annotations

from elanus.database import resource_groups as groups
from elanus.engine.collection import Collection
from elanus.errors import (
    CollectionNotFullyLoaded,
    InvalidParameter,
    MissingParameter,
    NodeNotFound,
    SegmentNotFound,
    ServiceUnavailable,
    UnsupportedOperation,
)
from elanus.schema.names import check_resource_group_name
from elanus.service import requests_admin as r
from elanus.service.core import NODE_ID, Core
from elanus.service.replies import Done
from elanus.service.replies_admin import (
    GroupInfo,
    GroupNames,
    ReplicaInfo,
    ReplicaList,
)

DONE = Done()


def not_served(core: Core, request: r.NotServed) -> Done:
    """Raise, as Milvus does.

    Raises:
        ServiceUnavailable.
    """
    raise ServiceUnavailable(request.reason)


# --- copies -------------------------------------------------------------------------


def get_replicas(core: Core, request: r.GetReplicas) -> ReplicaList:
    """The one copy of a collection; none while it is not loaded.

    Raises:
        DatabaseNotFound, CollectionNotFound.
    """
    if not request.collection and request.collection_id:
        collection = core.numbered(request.collection_id)
    else:
        collection = core.collection(request)
    definition = collection.definition
    if definition.loaded is None:
        return ReplicaList(())
    copy = ReplicaInfo(
        definition.id,  # there is one of each collection
        definition.id,
        tuple(definition.partitions.values()),
        definition.shards,
        NODE_ID,
        groups.place_of_node(core.database),
    )
    return ReplicaList((copy,))


def load_balance(core: Core, request: r.LoadBalance) -> Done:
    """Move segments among nodes, of which there is one: nothing moves.

    Raises:
        DatabaseNotFound, CollectionNotFound, CollectionNotFullyLoaded.
        NodeNotFound, SegmentNotFound.
    """
    collection = core.collection(request)
    if collection.definition.loaded is None:
        raise CollectionNotFullyLoaded(collection.id)
    if request.source != NODE_ID:
        raise NodeNotFound(request.source, "source node not found in any replica")
    for node in request.targets:
        if node != NODE_ID:
            raise NodeNotFound(node, "destination node not found in the same replica")
    present = {segment.id for segment in list(collection.shard.sealed)}
    for segment in request.segments:
        if segment not in present:
            raise SegmentNotFound(
                segment, f"segment {segment} not found in source node {request.source}"
            )
    return DONE


# --- resource groups ----------------------------------------------------------------


def create_resource_group(core: Core, request: r.CreateResourceGroup) -> Done:
    """Make a resource group; once more does no harm.

    Raises:
        InvalidParameter, MissingParameter: the name breaks the rules.
        ResourceGroupExists, ResourceGroupConfigIllegal, ResourceGroupsTooMany.
    """
    check_resource_group_name(request.group)
    groups.create_group(core.database, request.group, request.config)
    return DONE


def drop_resource_group(core: Core, request: r.DropResourceGroup) -> Done:
    """Remove a resource group; nothing happens if there is none.

    Raises:
        InvalidParameter: it cannot be removed.
    """
    groups.drop_group(core.database, request.group)
    return DONE


def list_resource_groups(core: Core, request: r.ListResourceGroups) -> GroupNames:
    """Names of the resource groups, the default one first."""
    return GroupNames(tuple(groups.groups(core.database)))


def describe_resource_group(core: Core, request: r.DescribeResourceGroup) -> GroupInfo:
    """What is in a resource group.

    Raises:
        ResourceGroupNotFound.
    """
    config = groups.group(core.database, request.group)
    if groups.place_of_node(core.database) != request.group:
        return GroupInfo(request.group, config, (), {})
    loaded = [c for c in core.database.collections() if c.definition.loaded is not None]
    return GroupInfo(
        request.group, config, (NODE_ID,), {c.definition.name: 1 for c in loaded}
    )


def update_resource_groups(core: Core, request: r.UpdateResourceGroups) -> Done:
    """Give resource groups other bounds, all or none.

    Raises:
        MissingParameter, ResourceGroupNotFound, ResourceGroupConfigIllegal.
    """
    if not request.configs:
        raise MissingParameter("no resource group to update")
    groups.update_groups(core.database, request.configs)
    return DONE


def transfer_node(core: Core, request: r.TransferNode) -> Done:
    """Move the node to another resource group.

    Raises:
        InvalidParameter, ResourceGroupNotFound, ResourceGroupLacksNodes.
    """
    groups.move_node(core.database, request.source, request.target, request.nodes)
    return DONE


def transfer_replica(core: Core, request: r.TransferReplica) -> Done:
    """Raise: the one copy is where the one node is.

    Raises:
        ResourceGroupNotFound, CollectionNotFound, InvalidParameter.
        UnsupportedOperation: it would have to leave its node.
    """
    groups.check_move(core.database, request.source, request.target)
    if request.replicas <= 0:
        raise InvalidParameter(
            expected="NumReplica > 0", actual=f"invalid NumReplica {request.replicas}"
        )
    collection = core.collection(request)
    held = _copies_in(core, collection, request.source)
    if request.replicas > held:
        raise InvalidParameter(
            expected="NumReplica not greater than the number of replica in source "
            "resource group",
            actual=f"only found [{held}] replicas of collection [{collection.id}] in "
            f"source resource group [{request.source}]",
        )
    raise UnsupportedOperation("moving a replica away from the only node")


def _copies_in(core: Core, collection: Collection, group: str) -> int:
    is_loaded = collection.definition.loaded is not None
    return int(is_loaded and groups.place_of_node(core.database) == group)
