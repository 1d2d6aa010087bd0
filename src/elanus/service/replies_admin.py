"""Answers about the node that serves: replicas, resource groups, plans of merges."""

from __future__ import annotations

from dataclasses import dataclass

from elanus.database.resource_groups import GroupConfig
from elanus.errors import ElanusError
from elanus.service.replies import CollectionInfo, CompactionState, Reply


@dataclass(frozen=True, slots=True)
class CollectionInfos(Reply):
    """Descriptions of collections, or why there is none, in the order asked for."""

    answers: tuple[CollectionInfo | ElanusError, ...]


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """The one copy of a loaded collection."""

    id: int
    collection_id: int
    partition_ids: tuple[int, ...]
    shards: int
    node_id: int
    group: str


@dataclass(frozen=True, slots=True)
class ReplicaList(Reply):
    """Copies of a collection."""

    replicas: tuple[ReplicaInfo, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """Segments, and the one that was made of them; 0 when no row was left."""

    sources: tuple[int, ...]
    target: int


@dataclass(frozen=True, slots=True)
class CompactionPlans(Reply):
    """What a compaction has merged."""

    state: CompactionState
    merges: tuple[Merge, ...]


@dataclass(frozen=True, slots=True)
class GroupNames(Reply):
    """The resource groups."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupInfo(Reply):
    """What is in a resource group.

    Attributes:
        node_ids: of the nodes in it.
        replicas: by collection, how many copies it serves.
    """

    name: str
    config: GroupConfig
    node_ids: tuple[int, ...]
    replicas: dict[str, int]
