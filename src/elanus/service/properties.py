"""Properties of collections and databases: which are taken, and what is shown."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping

from elanus.engine.definition import CollectionDefinition
from elanus.errors import IllegalSchema, InvalidParameter, UnsupportedOperation

TIMEZONE = "timezone"
TTL_SECONDS = "collection.ttl.seconds"
LONGEST_TTL_S = 3_155_760_000
_SHARDING = "namespace.sharding.enabled"
_ISOLATION = "partitionkey.isolation"
_MAX_FIELD_ID = "max_field_id"
# Taken at creation by Milvus, and not built here: refused rather than ignored.
_NOT_BUILT = ("ttl_field", "query_mode", "namespace.mode", "allow_insert_auto_id")
_OFF = frozenset({"", "false", "0"})


def check_collection_properties(
    properties: Mapping[str, str], collection: str
) -> dict[str, str]:
    """The properties of a new collection, when they are allowed; unknown ones are.

    Raises:
        InvalidParameter, IllegalSchema: a value is not allowed.
        UnsupportedOperation: it asks for what Elanus does not do.
    """
    check_timezone(properties)
    _check_ttl(properties.get(TTL_SECONDS))
    for key in _NOT_BUILT:
        if properties.get(key, "").lower() not in _OFF:
            raise UnsupportedOperation(f"property {key} of collection {collection}")
    if properties.get(_ISOLATION, "").lower() == "true":
        raise IllegalSchema(
            "partition key isolation mode is enabled but no partition key field is "
            "set. Please set the partition key first",
            collection,
        )
    if properties.get(_SHARDING, "false") not in ("true", "false"):
        raise InvalidParameter(
            f"invalid {_SHARDING} value: {properties[_SHARDING]}, should be true or "
            f"false"
        )
    return dict(properties)


def check_timezone(properties: Mapping[str, str]) -> None:
    """Raise unless the time zone, if one is given, is known.

    Raises:
        InvalidParameter: give an IANA name such as Asia/Shanghai.
    """
    name = properties.get(TIMEZONE)
    if name is None:
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter(
            f"unknown or invalid IANA Time Zone ID: {name}"
        ) from None


def shown_properties(
    definition: CollectionDefinition, of_database: Mapping[str, str]
) -> dict[str, str]:
    """The properties that a description of a collection lists."""
    return {
        _MAX_FIELD_ID: str(max(field.id for field in definition.schema.fields)),
        _SHARDING: "false",
        TIMEZONE: of_database.get(TIMEZONE, "UTC"),
        **definition.properties,
    }


def _check_ttl(text: str | None) -> None:
    if text is None:
        return
    try:
        seconds = int(text)
    except ValueError:
        raise InvalidParameter(
            f"collection ttl property value not valid, parse error: {text}"
        ) from None
    if not -1 <= seconds <= LONGEST_TTL_S:
        raise InvalidParameter(
            f"collection TTL is out of range, expect [-1, {LONGEST_TTL_S}], got "
            f"{seconds}"
        )
    if seconds > 0:
        raise UnsupportedOperation("collection TTL")
