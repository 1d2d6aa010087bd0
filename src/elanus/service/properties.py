"""Properties of collections and databases: which are taken, and what is shown."""

from __future__ import annotations

from collections.abc import Mapping

from elanus.database.lifetimes import check_lifetimes
from elanus.engine.definition import (
    LARGE_TOPK,
    QUERY_MODE,
    TIMEZONE,
    TTL_SECONDS,
    CollectionDefinition,
)
from elanus.errors import IllegalSchema, InvalidParameter, UnsupportedOperation
from elanus.schema.check import check_ttl as check_seconds
from elanus.schema.schema import CollectionSchema
from elanus.schema.zones import check_zone
from elanus.service.warmup import WARMUP, WARMUP_KEYS, check_collection_warmup

SHARDING = "namespace.sharding.enabled"
ISOLATION = "partitionkey.isolation"
_MAX_FIELD_ID = "max_field_id"
# Taken at creation by Milvus, and not built here: refused rather than ignored.
NOT_BUILT = ("namespace.mode",)
OFF = frozenset({"", "false", "0"})
_TRUE = frozenset({"true", "t", "1"})
_FALSE = frozenset({"false", "f", "0"})


def check_collection_properties(
    schema: CollectionSchema, properties: Mapping[str, str], collection: str
) -> dict[str, str]:
    """The properties of a new collection, when they are allowed; unknown ones are.

    Raises:
        InvalidParameter, IllegalSchema: a value is not allowed.
        UnsupportedOperation: it asks for what Elanus does not do.
    """
    check_timezone(properties)
    check_isolation(schema, properties, collection)
    check_query_mode(properties)
    for key, value in properties.items():
        if key in (WARMUP, *WARMUP_KEYS):
            check_collection_warmup(key, value)
    try:
        check_ttl(properties.get(TTL_SECONDS))
    except InvalidParameter as error:
        if not str(error).startswith("collection TTL is not"):
            raise
        raise error.within(
            "collection ttl property value not valid, parse error"
        ) from None
    check_lifetimes(schema, {}, properties)
    for key in NOT_BUILT:
        if properties.get(key, "").lower() not in OFF:
            raise UnsupportedOperation(f"property {key} of collection {collection}")
    if properties.get(SHARDING, "false") not in ("true", "false"):
        raise InvalidParameter(
            f"invalid {SHARDING} value: {properties[SHARDING]}, should be true or false"
        )
    return dict(properties)


def check_query_mode(properties: Mapping[str, str]) -> None:
    """Raise unless the mode of queries, if one is given, is known.

    Raises:
        InvalidParameter: there is one mode, large_topk.
    """
    for key, value in properties.items():
        if key.lower() != QUERY_MODE:
            continue
        if key != QUERY_MODE:
            raise InvalidParameter(
                f'invalid property key "{key}", did you mean "{QUERY_MODE}"?'
            )
        if value != LARGE_TOPK:
            raise InvalidParameter(
                f'invalid query_mode value "{value}", valid values: [{LARGE_TOPK}]'
            )


def check_timezone(properties: Mapping[str, str]) -> None:
    """Raise unless the time zone, if one is given, is known.

    Raises:
        InvalidParameter: give an IANA name such as Asia/Shanghai.
    """
    if TIMEZONE in properties:
        check_zone(properties[TIMEZONE])


def shown_properties(definition: CollectionDefinition) -> dict[str, str]:
    """The properties that a description of a collection lists."""
    return {
        _MAX_FIELD_ID: str(definition.schema.max_field_id),
        SHARDING: "false",
        TIMEZONE: definition.zone,
        **{k: v for k, v in definition.properties.items() if k != _MAX_FIELD_ID},
    }


def check_ttl(text: str | None) -> None:
    """Raise unless a time to live, if one is given, is a number of seconds.

    Raises:
        InvalidParameter.
    """
    if text is None:
        return
    try:
        seconds = int(text)
    except ValueError:
        raise InvalidParameter(
            "collection TTL is not a valid positive integer"
        ) from None
    check_seconds(seconds)


def is_yes(value: str) -> bool:
    """Whether the text of a property says yes."""
    return value.strip().lower() in _TRUE


def check_isolation(
    schema: CollectionSchema, properties: Mapping[str, str], collection: str
) -> None:
    """Raise unless isolation of the partition key, if asked for, has a key.

    Raises:
        InvalidParameter: the value is neither yes nor no.
        IllegalSchema: there is no partition key.
    """
    value = properties.get(ISOLATION)
    if value is None:
        return
    if value.strip().lower() not in _TRUE | _FALSE:
        raise InvalidParameter(
            f"failed to parse partition key isolation: strconv.ParseBool: parsing "
            f'"{value}": invalid syntax'
        )
    if is_yes(value) and schema.partition_key is None:
        raise IllegalSchema(
            "partition key isolation mode is enabled but no partition key field is "
            "set. Please set the partition key first",
            collection,
        )
