"""Resource groups: which nodes serve what. There is one node, in one group at a time.

Groups are kept, so that clients made for a cluster find what they made; what the one
node serves does not depend on the group it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from elanus.database.database import Database
from elanus.engine.node import RecordKey
from elanus.errors import (
    InvalidParameter,
    ResourceGroupConfigIllegal,
    ResourceGroupExists,
    ResourceGroupLacksNodes,
    ResourceGroupNotFound,
    ResourceGroupsTooMany,
)
from elanus.schema import limits

DEFAULT_GROUP = "__default_resource_group"
_SPACE = "resource_group"
_UNBOUNDED = 1_000_000
_PLACE: RecordKey = ("node", "resource_group")


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """How many nodes a group should have, and where they come from and go to."""

    requests: int | None = None
    limits: int | None = None
    transfer_from: tuple[str, ...] = ()
    transfer_to: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GroupConfig:
        """The inverse of :func:`dataclasses.asdict`."""
        lists = {key: tuple(data[key]) for key in ("transfer_from", "transfer_to")}
        return cls(**{**data, **lists})


DEFAULT_CONFIG = GroupConfig(0, _UNBOUNDED)
EMPTY_CONFIG = GroupConfig(0, 0)


def groups(core: Database) -> dict[str, GroupConfig]:
    """Every group by name, the default one first.

    Raises:
        ClosedError: the database is closed.
    """
    core.need_open()
    made = {
        name: GroupConfig.from_dict(orjson.loads(body))
        for name, body in core.node.meta.read(_SPACE).items()
    }
    return {DEFAULT_GROUP: DEFAULT_CONFIG, **made}


def group(core: Database, name: str) -> GroupConfig:
    """One group.

    Raises:
        ResourceGroupNotFound: there is none of this name.
    """
    found = groups(core).get(name)
    if found is None:
        raise ResourceGroupNotFound(name)
    return found


def place_of_node(core: Database) -> str:
    """The group that the one node is in."""
    body = core.node.meta.get(*_PLACE)
    return DEFAULT_GROUP if body is None else body.decode()


def create_group(core: Database, name: str, config: GroupConfig | None) -> None:
    """Make a group; once more with the same bounds does no harm.

    Raises:
        ResourceGroupExists: with other bounds.
        ResourceGroupConfigIllegal, ResourceGroupsTooMany.
    """
    core.need_writable()
    wanted = EMPTY_CONFIG if config is None else config
    with core.ddl_lock:
        present = groups(core)
        if name in present:
            if present[name] == wanted:
                return
            raise ResourceGroupExists(name)
        if len(present) >= limits.RESOURCE_GROUPS:
            raise ResourceGroupsTooMany(name, limits.RESOURCE_GROUPS)
        _check(name, wanted, present)
        core.node.commit({(_SPACE, name): _body(wanted)})


def drop_group(core: Database, name: str) -> None:
    """Remove a group; nothing happens if there is none.

    Raises:
        InvalidParameter: it is the default one, or has nodes or asks for some.
    """
    core.need_writable()
    with core.ddl_lock:
        present = groups(core)
        if name not in present:
            return
        if name == DEFAULT_GROUP:
            raise InvalidParameter(
                "default resource group is not deletable",
                expected="not default resource group",
                actual=name,
            )
        if present[name].limits:
            raise InvalidParameter(
                "resource group's limits node num is not 0",
                expected="0",
                actual=present[name].limits,
            )
        records: dict[RecordKey, bytes | None] = {(_SPACE, name): None}
        if place_of_node(core) == name:
            records[_PLACE] = None
        core.node.commit(records)


def update_groups(core: Database, configs: Mapping[str, GroupConfig]) -> None:
    """Give groups other bounds, all or none.

    Raises:
        ResourceGroupNotFound, ResourceGroupConfigIllegal.
    """
    core.need_writable()
    with core.ddl_lock:
        present = groups(core)
        for name, config in configs.items():
            if name not in present:
                raise ResourceGroupNotFound(name)
            _check(name, config, present)
        core.node.commit(
            {
                (_SPACE, name): _body(config)
                for name, config in configs.items()
                if name != DEFAULT_GROUP
            }
        )


def move_node(core: Database, source: str, target: str, nodes: int) -> None:
    """Put the node, if it is in the one group, into the other.

    Raises:
        ResourceGroupNotFound, ResourceGroupLacksNodes.
        InvalidParameter: they are the same, or no node is to be moved.
    """
    core.need_writable()
    with core.ddl_lock:
        check_move(core, source, target)
        if nodes <= 0:
            raise InvalidParameter(
                expected="NumNode > 0", actual=f"invalid NumNode {nodes}"
            )
        held = int(place_of_node(core) == source)
        if nodes > held:
            raise ResourceGroupLacksNodes(source, held, nodes)
        core.node.commit({_PLACE: target.encode()})


def check_move(core: Database, source: str, target: str) -> None:
    """Raise unless something can go from the one group to the other.

    Raises:
        ResourceGroupNotFound.
        InvalidParameter: they are the same.
    """
    group(core, source)
    group(core, target)
    if source == target:
        raise InvalidParameter(
            f"source resource group and target resource group should not be the same, "
            f"resource group: {source}"
        )


def _check(name: str, config: GroupConfig, present: Mapping[str, GroupConfig]) -> None:
    if config.requests is None or config.limits is None:
        raise ResourceGroupConfigIllegal(name, "requests or limits is required")
    if config.requests < 0 or config.limits < 0:
        raise ResourceGroupConfigIllegal(
            name, "node num in `requests` or `limits` should not less than 0"
        )
    if config.limits < config.requests:
        raise ResourceGroupConfigIllegal(
            name, "limits node num should not less than requests node num"
        )
    for other in (*config.transfer_from, *config.transfer_to):
        if other == name:
            raise ResourceGroupConfigIllegal(
                name,
                "resource group in `TransferFrom` or `TransferTo` should not be itself",
            )
        if other not in present:
            raise ResourceGroupConfigIllegal(
                name,
                f"resource group in `TransferFrom` or `TransferTo` {other} not exist",
            )


def _body(config: GroupConfig) -> bytes:
    return orjson.dumps(asdict(config))
