"""Requests about the node that serves: replicas, resource groups, plans of merges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elanus.database.resource_groups import GroupConfig
from elanus.service.requests import CollectionRequest, DatabaseRequest, Request


@dataclass(frozen=True, slots=True)
class BatchDescribeCollection(DatabaseRequest):
    """Describe several collections, each for itself."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetReplicas(CollectionRequest):
    """List the copies of a loaded collection; by id when the name is empty."""

    collection_id: int = 0


@dataclass(frozen=True, slots=True)
class LoadBalance(CollectionRequest):
    """Move segments from one node to others."""

    source: int
    targets: tuple[int, ...]
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GetCompactionPlans(Request):
    """Ask which segments a compaction made of which."""

    compaction_id: int


@dataclass(frozen=True, slots=True)
class NotServed(Request):
    """A call of the protocol that Milvus itself does not answer any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class GroupRequest(Request):
    """An operation on one resource group."""

    group: str


@dataclass(frozen=True, slots=True)
class CreateResourceGroup(GroupRequest):
    """Make a resource group."""

    config: GroupConfig | None


class DropResourceGroup(GroupRequest):
    """Remove a resource group."""


class DescribeResourceGroup(GroupRequest):
    """Ask what is in a resource group."""


class ListResourceGroups(Request):
    """List the resource groups."""


@dataclass(frozen=True, slots=True)
class UpdateResourceGroups(Request):
    """Give resource groups other bounds, all or none."""

    configs: Mapping[str, GroupConfig]


@dataclass(frozen=True, slots=True)
class TransferNode(Request):
    """Move nodes to another resource group."""

    source: str
    target: str
    nodes: int


@dataclass(frozen=True, slots=True)
class TransferReplica(CollectionRequest):
    """Move copies of a collection to another resource group."""

    source: str
    target: str
    replicas: int
