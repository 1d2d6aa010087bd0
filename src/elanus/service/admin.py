"""Operations on the server itself."""

from __future__ import annotations

import os
import platform
from typing import Any

import orjson

from elanus.errors import InvalidParameter
from elanus.service import requests as r
from elanus.service.core import NODE_ID, Core
from elanus.service.replies import (
    ComponentStates,
    Connected,
    Health,
    Metrics,
    Timestamp,
    Version,
)

COMPONENT = "elanus"


def connect(core: Core, request: r.Connect) -> Connected:
    """Greet a client and give it a number.

    Raises:
        DatabaseNotFound.
    """
    core.database.directory.database(request.database)
    identity = core.identity
    return Connected(
        core.now(),
        identity.version,
        identity.build_time,
        identity.git_commit,
        identity.platform,
    )


def get_version(core: Core, request: r.GetVersion) -> Version:
    """The version of the protocol, which clients compare."""
    return Version(core.identity.version)


def alloc_timestamp(core: Core, request: r.AllocTimestamp) -> Timestamp:
    """A hybrid timestamp newer than every one before."""
    return Timestamp(core.now())


def check_health(core: Core, request: r.CheckHealth) -> Health:
    """Whether the server is able to work, and what keeps it from it."""
    problems = []
    if core.database.is_closed:
        problems.append("the database is closed")
    elif not core.database.node.log.is_sound:
        problems.append("the log takes no writes, restart the server")
    flush_error = core.database.background.status.flush_error
    if flush_error:
        problems.append(flush_error)
    return Health(not problems, tuple(problems))


def get_component_states(core: Core, request: r.GetComponentStates) -> ComponentStates:
    """The one part there is."""
    return ComponentStates(NODE_ID, not core.database.is_closed)


def get_metrics(core: Core, request: r.GetMetrics) -> Metrics:
    """Figures about the machine, as Milvus' tools read them.

    Raises:
        InvalidParameter: the query is not JSON, or asks for other figures.
    """
    try:
        query = orjson.loads(request.query)
    except ValueError as error:
        raise InvalidParameter(
            f"failed to decode the metrics request: {error}"
        ) from error
    kind = query.get("metric_type") if isinstance(query, dict) else None
    if kind != "system_info":
        raise InvalidParameter(f"metric type {kind} is not supported")
    body = orjson.dumps({"nodes_info": [_node(core)]}).decode()
    return Metrics(body, COMPONENT)


def _node(core: Core) -> dict[str, Any]:
    identity = core.identity
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "identifier": NODE_ID,
        "connected": [],
        "infos": {
            "has_error": False,
            "error_reason": "",
            "name": COMPONENT,
            "type": "standalone",
            "id": NODE_ID,
            "hardware_infos": {
                "ip": "127.0.0.1",
                "cpu_core_count": os.cpu_count() or 1,
                "cpu_core_usage": 0,
                "memory": memory,
                "memory_usage": 0,
                "disk": 0,
                "disk_usage": 0,
            },
            "system_info": {
                "system_version": platform.release(),
                "deploy_mode": "STANDALONE",
                "build_version": identity.version,
                "build_time": identity.build_time,
                "used_go_version": identity.platform,
            },
        },
    }
