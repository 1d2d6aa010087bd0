"""Durable metadata: databases, collections, aliases, manifests, where the log ended.

Every record lies in the metadata store under a space and a key; changes of several
records are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from elanus.engine.definition import (
    DEFAULT_DATABASE,
    DEFAULT_DATABASE_ID,
    CollectionDefinition,
)
from elanus.engine.node import COUNTER, LOG_END, NEWEST_TS, RecordKey
from elanus.errors import CorruptionError
from elanus.schema.schema import CollectionSchema
from elanus.storage.manifest import Manifest
from elanus.storage.meta import MetaStore
from elanus.storage.wal import LogEnd

TRIMMED: RecordKey = ("log", "trimmed")


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """One database; the default one needs no record while it has no properties.

    Attributes:
        created_ts: hybrid timestamp; 0 for the default one.
        properties: as given, to be told back.
    """

    id: int
    name: str
    created_ts: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The record's body, JSON."""
        return orjson.dumps(
            {
                "id": self.id,
                "name": self.name,
                "created_ts": self.created_ts,
                "properties": dict(self.properties),
            }
        )


@dataclass(frozen=True, slots=True)
class AliasEntry:
    """A second name of a collection."""

    database_id: int
    alias: str
    collection_id: int

    def to_bytes(self) -> bytes:
        """The record's body, JSON."""
        return orjson.dumps(
            {
                "database_id": self.database_id,
                "alias": self.alias,
                "collection_id": self.collection_id,
            }
        )


DEFAULT_ENTRY = DatabaseEntry(DEFAULT_DATABASE_ID, DEFAULT_DATABASE)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything the metadata store says when a database opens.

    Attributes:
        databases: the default one included.
        last_id: newest number given out.
        log_end: a place that the log must reach.
        trimmed_seq: log records up to here are deleted.
        newest_ts: no file holds a newer timestamp; 0 in databases of older versions,
            where only the files tell.
    """

    definitions: Mapping[int, CollectionDefinition]
    manifests: Mapping[int, Manifest]
    last_id: int
    log_end: LogEnd | None
    trimmed_seq: int
    databases: tuple[DatabaseEntry, ...] = (DEFAULT_ENTRY,)
    aliases: tuple[AliasEntry, ...] = ()
    newest_ts: int = 0


def read_catalog(meta: MetaStore) -> Catalog:
    """Read all records.

    Raises:
        CorruptionError: a record is damaged or missing.
    """
    schemas: dict[bytes, CollectionSchema] = {}
    definitions = {
        int(key): CollectionDefinition.from_bytes(body, schemas)
        for key, body in sorted(meta.read("collection").items(), key=_number)
    }
    manifests = {
        int(key): Manifest.from_bytes(body)
        for key, body in meta.read("manifest").items()
    }
    if definitions.keys() != manifests.keys():
        raise CorruptionError("meta.db", "collections and manifests do not match")
    stored = [DatabaseEntry(**data) for data in _bodies(meta, "database")]
    databases = {entry.id: entry for entry in (DEFAULT_ENTRY, *stored)}
    aliases = [AliasEntry(**data) for data in _bodies(meta, "alias")]
    if not {d.database_id for d in definitions.values()} <= databases.keys():
        raise CorruptionError("meta.db", "a collection is in no database")
    if not {alias.collection_id for alias in aliases} <= definitions.keys():
        raise CorruptionError("meta.db", "an alias stands for no collection")
    end = meta.get(*LOG_END)
    return Catalog(
        definitions,
        manifests,
        last_id=int(meta.get(*COUNTER) or b"0"),
        log_end=None if end is None else LogEnd.from_json(orjson.loads(end)),
        trimmed_seq=int(meta.get(*TRIMMED) or b"0"),
        databases=tuple(databases.values()),
        aliases=tuple(aliases),
        newest_ts=int(meta.get(*NEWEST_TS) or b"0"),
    )


def _number(record: tuple[str, bytes]) -> int:
    return int(record[0])


def _bodies(meta: MetaStore, space: str) -> list[dict[str, Any]]:
    return [orjson.loads(body) for body in meta.read(space).values()]


def database_record(entry: DatabaseEntry) -> dict[RecordKey, bytes | None]:
    """The record of a database."""
    return {("database", str(entry.id)): entry.to_bytes()}


def dropped_database_record(entry: DatabaseEntry) -> dict[RecordKey, bytes | None]:
    """The deletion of a database's record."""
    return {("database", str(entry.id)): None}


def alias_record(entry: AliasEntry) -> dict[RecordKey, bytes | None]:
    """The record of an alias."""
    return {_alias_key(entry): entry.to_bytes()}


def dropped_alias_record(entry: AliasEntry) -> dict[RecordKey, bytes | None]:
    """The deletion of an alias' record."""
    return {_alias_key(entry): None}


def _alias_key(entry: AliasEntry) -> RecordKey:
    return ("alias", f"{entry.database_id}/{entry.alias}")


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
