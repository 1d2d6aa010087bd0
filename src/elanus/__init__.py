"""Elanus: a vector database in Python that speaks Milvus' protocol.

Names are imported on first use, so that ``import elanus`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elanus.config import Settings
    from elanus.embedded.collection import Collection
    from elanus.embedded.database import Database, open
    from elanus.embedded.hybrid import SubSearch
    from elanus.embedded.lite import install
    from elanus.embedded.milvus import AsyncMilvusClient, MilvusClient
    from elanus.embedded.reader import Snapshot
    from elanus.engine.read.explanation import Explanation
    from elanus.engine.read.fusion_plan import RRF, Weighted
    from elanus.errors import ElanusError
    from elanus.schema.schema import CollectionSchema, FieldSchema
    from elanus.schema.types import DataType

__version__ = "0.1.0"

_HOMES = {
    "AsyncMilvusClient": "elanus.embedded.milvus",
    "Collection": "elanus.embedded.collection",
    "CollectionSchema": "elanus.schema.schema",
    "DataType": "elanus.schema.types",
    "Database": "elanus.embedded.database",
    "ElanusError": "elanus.errors",
    "Explanation": "elanus.engine.read.explanation",
    "FieldSchema": "elanus.schema.schema",
    "MilvusClient": "elanus.embedded.milvus",
    "RRF": "elanus.engine.read.fusion_plan",
    "Settings": "elanus.config",
    "Snapshot": "elanus.embedded.reader",
    "SubSearch": "elanus.embedded.hybrid",
    "Weighted": "elanus.engine.read.fusion_plan",
    "install": "elanus.embedded.lite",
    "open": "elanus.embedded.database",
}

__all__ = [
    "AsyncMilvusClient",
    "Collection",
    "CollectionSchema",
    "DataType",
    "Database",
    "RRF",
    "ElanusError",
    "Explanation",
    "FieldSchema",
    "MilvusClient",
    "Settings",
    "Snapshot",
    "SubSearch",
    "Weighted",
    "install",
    "open",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'elanus' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
