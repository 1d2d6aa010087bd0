"""Operations on partitions."""

from __future__ import annotations

from elanus.database.loading import load_partitions as load_some
from elanus.database.loading import loaded_partitions
from elanus.database.loading import release_partitions as release_some
from elanus.engine.collection import Collection
from elanus.engine.definition import DEFAULT_PARTITION, CollectionDefinition
from elanus.errors import InvalidParameter
from elanus.schema.names import check_partition_name
from elanus.service import requests as r
from elanus.service.collections import (
    check_replicas,
    fields_to_load,
    need_loaded,
    row_count,
)
from elanus.service.core import Core
from elanus.service.replies import Done, Flag, PartitionEntry, PartitionList, Statistics

DONE = Done()


def create_partition(core: Core, request: r.CreatePartition) -> Done:
    """Add a partition; once more does no harm.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound.
    """
    name = check_partition_name(request.partition)
    collection = core.collection(request)
    _refuse_keyed(collection, "create partition")
    core.database.create_partition(collection, name)
    return DONE


def drop_partition(core: Core, request: r.DropPartition) -> Done:
    """Drop a partition and its rows; nothing happens if there is none.

    Raises:
        InvalidParameter: it is loaded, or the default one.
        DatabaseNotFound, CollectionNotFound.
    """
    name = check_partition_name(request.partition)
    collection = core.collection(request)
    _refuse_keyed(collection, "drop partition")
    if name == DEFAULT_PARTITION:
        raise InvalidParameter("default partition cannot be deleted")
    definition = collection.definition
    if definition.partitions.get(name) in loaded_partitions(definition):
        raise InvalidParameter(
            "partition cannot be dropped, partition is loaded, please release it first"
        )
    core.database.drop_partition(collection, name)
    return DONE


def _refuse_keyed(collection: Collection, operation: str) -> None:
    if collection.schema.partition_key is not None:
        raise InvalidParameter(f"disable {operation} if partition key mode is used")


def has_partition(core: Core, request: r.HasPartition) -> Flag:
    """Whether a partition exists.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound.
    """
    name = check_partition_name(request.partition)
    return Flag(name in core.collection(request).definition.partitions)


def show_partitions(core: Core, request: r.ShowPartitions) -> PartitionList:
    """The partitions of a collection, oldest first.

    Raises:
        DatabaseNotFound, CollectionNotFound, PartitionNotFound.
        CollectionNotLoaded, PartitionNotLoaded: only loaded ones are asked for.
    """
    collection = _collection(core, request)
    definition = collection.definition
    names = list(request.partitions or definition.partitions)
    ids = [definition.partition_id(name) for name in names]
    if not request.in_memory:
        return PartitionList(_entries(definition, names, None))
    need_loaded(definition, ids if request.partitions else [])
    loaded = loaded_partitions(definition)
    shown = [name for name in names if definition.partitions[name] in loaded]
    return PartitionList(_entries(definition, shown, 100))


def _collection(core: Core, request: r.ShowPartitions) -> Collection:
    if not request.collection and request.collection_id:
        return core.numbered(request.collection_id)
    return core.collection(request)


def _entries(
    definition: CollectionDefinition, names: list[str], percent: int | None
) -> tuple[PartitionEntry, ...]:
    return tuple(
        PartitionEntry(
            name,
            definition.partitions[name],
            definition.partition_created_ts(definition.partitions[name]),
            percent,
        )
        for name in names
    )


def load_partitions(core: Core, request: r.LoadPartitions) -> Done:
    """Make partitions readable.

    Raises:
        InvalidParameter, CollectionNotFound, PartitionNotFound, IndexNotFound.
        ResourcesInsufficient.
    """
    if not request.partitions:
        raise InvalidParameter(
            "failed to load partition, due to no partition specified"
        )
    collection = core.collection(request)
    _refuse_keyed(collection, "load partitions")
    definition = collection.definition
    chosen = frozenset(definition.partition_id(name) for name in request.partitions)
    if definition.loaded is not None and request.options.replicas > 1:
        raise InvalidParameter(
            "can't change the replica number for loaded partitions",
            expected=1,
            actual=request.options.replicas,
        )
    check_replicas(core, request.options, "LoadPartitions")
    fields = fields_to_load(collection, request.options)
    load_some(core.database, collection, chosen, fields)
    return DONE


def release_partitions(core: Core, request: r.ReleasePartitions) -> Done:
    """Make partitions unreadable; nothing happens to those that are so already.

    Raises:
        InvalidParameter: none is named.
        CollectionNotFound, PartitionNotFound.
    """
    collection = core.collection(request)
    _refuse_keyed(collection, "release partitions")
    definition = collection.definition
    if not request.partitions:
        raise InvalidParameter(expected="any partition", actual="empty partition list")
    chosen = frozenset(definition.partition_id(name) for name in request.partitions)
    release_some(core.database, collection, chosen)
    return DONE


def partition_statistics(core: Core, request: r.GetPartitionStatistics) -> Statistics:
    """How many rows a partition has; without a name, the collection.

    Raises:
        CollectionNotFound, PartitionNotFound.
    """
    collection = core.collection(request)
    if not request.partition:
        return row_count(collection, ())
    collection.definition.partition_id(request.partition)
    return row_count(collection, (request.partition,))
