"""Durable metadata of a database: collections, manifests, and where the log ended.

Every record lies in the metadata store under a space and a key; changes of several
records are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from elanus.engine.definition import CollectionDefinition
from elanus.engine.node import COUNTER, LOG_END, RecordKey
from elanus.errors import CorruptionError
from elanus.storage.manifest import Manifest
from elanus.storage.meta import MetaStore
from elanus.storage.wal import LogEnd

TRIMMED: RecordKey = ("log", "trimmed")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything the metadata store says when a database opens.

    Attributes:
        last_id: newest number given out.
        log_end: a place that the log must reach.
        trimmed_seq: log records up to here are deleted.
    """

    definitions: Mapping[int, CollectionDefinition]
    manifests: Mapping[int, Manifest]
    last_id: int
    log_end: LogEnd | None
    trimmed_seq: int


def read_catalog(meta: MetaStore) -> Catalog:
    """Read all records.

    Raises:
        CorruptionError: a record is damaged or missing.
    """
    definitions = {
        int(key): CollectionDefinition.from_bytes(body)
        for key, body in meta.read("collection").items()
    }
    manifests = {
        int(key): Manifest.from_bytes(body)
        for key, body in meta.read("manifest").items()
    }
    if definitions.keys() != manifests.keys():
        raise CorruptionError("meta.db", "collections and manifests do not match")
    end = meta.get(*LOG_END)
    return Catalog(
        definitions,
        manifests,
        last_id=int(meta.get(*COUNTER) or b"0"),
        log_end=None if end is None else LogEnd.from_json(orjson.loads(end)),
        trimmed_seq=int(meta.get(*TRIMMED) or b"0"),
    )


def collection_record(
    definition: CollectionDefinition,
) -> dict[RecordKey, bytes | None]:
    """The record of a collection's definition."""
    return {("collection", str(definition.id)): definition.to_bytes()}


def manifest_record(manifest: Manifest) -> dict[RecordKey, bytes | None]:
    """The record of a collection's manifest."""
    return {("manifest", str(manifest.collection_id)): manifest.to_bytes()}


def dropped_records(collection_id: int) -> dict[RecordKey, bytes | None]:
    """The deletion of a collection's records."""
    return {
        ("collection", str(collection_id)): None,
        ("manifest", str(collection_id)): None,
    }
