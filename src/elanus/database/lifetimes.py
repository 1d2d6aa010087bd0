"""Until when rows are seen: so long after they were written, or as they say themselves.

A collection has one of the two, as a property. Changes act on the next read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from elanus.database.alteration import alter
from elanus.database.database import Database, Named
from elanus.engine.definition import (
    TIMEZONE,
    TTL_FIELD,
    TTL_SECONDS,
    CollectionDefinition,
)
from elanus.errors import InvalidParameter
from elanus.schema.check import check_ttl
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType
from elanus.schema.zones import check_zone


def check_lifetimes(
    schema: CollectionSchema, present: Mapping[str, str], given: Mapping[str, str]
) -> None:
    """Raise unless at most one of the two ways to expire rows is in use.

    Args:
        present: the properties that the collection has.

    Raises:
        InvalidParameter: also if the field does not exist, or is of another type.
    """
    if TTL_FIELD in given and TTL_SECONDS in given:
        raise InvalidParameter(
            "collection TTL and ttl field cannot be set at the same time"
        )
    if TTL_SECONDS in given and TTL_FIELD in present:
        raise InvalidParameter(
            "ttl field is already exists, cannot be set collection TTL"
        )
    if TTL_FIELD not in given:
        return
    if TTL_SECONDS in present:
        raise InvalidParameter("collection TTL is already set, cannot be set ttl field")
    name = given[TTL_FIELD]
    field = schema.by_name.get(name)
    if field is None:
        raise InvalidParameter(f"ttl field name {name} not found in schema")
    if field.dtype is not DataType.TIMESTAMPTZ:
        raise InvalidParameter(f"ttl field must be timestamptz, field name = {name}")


def set_ttl(core: Database, name: Named, seconds: int) -> None:
    """Let rows expire so many seconds after they were written; 0 for never.

    Raises:
        InvalidParameter: the number is out of range, or rows expire by a field.
        CollectionNotFound, StorageError, DiskFull: nothing changed.
    """
    check_ttl(seconds)
    _set(core, name, TTL_SECONDS, str(seconds))


def set_ttl_field(core: Database, name: Named, field: str) -> None:
    """Let rows expire when the point in time in a field of theirs has come.

    Args:
        field: its name; none for rows that do not expire by a field.

    Raises:
        InvalidParameter: it is no such field, or rows expire by their age.
        CollectionNotFound, StorageError, DiskFull: nothing changed.
    """
    _set(core, name, TTL_FIELD, field)


def set_zone(core: Database, name: Named, zone: str) -> None:
    """Take points in time that name no zone in this one, from now on.

    Raises:
        InvalidParameter: there is no such zone.
        CollectionNotFound, StorageError, DiskFull: nothing changed.
    """
    _set(core, name, TIMEZONE, check_zone(zone))


def _set(core: Database, name: Named, key: str, value: str) -> None:
    def change(old: CollectionDefinition) -> CollectionDefinition:
        properties = {**old.properties, key: value}
        if not value:
            del properties[key]
        else:
            check_lifetimes(old.schema, old.properties, {key: value})
        return replace(old, properties=properties)

    alter(core, name, change)
