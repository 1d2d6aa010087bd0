"""Which properties of a collection may change after its creation, and to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elanus.database.lifetimes import check_lifetimes
from elanus.engine.definition import (
    ALLOW_INSERT_AUTO_ID,
    QUERY_MODE,
    TTL_SECONDS,
    CollectionDefinition,
)
from elanus.errors import (
    CollectionLoaded,
    IndexAmbiguous,
    InvalidParameter,
    UnsupportedOperation,
)
from elanus.schema import limits
from elanus.service.altered_field import MMAP
from elanus.service.properties import (
    ISOLATION,
    NOT_BUILT,
    OFF,
    SHARDING,
    check_isolation,
    check_query_mode,
    check_timezone,
    check_ttl,
)
from elanus.service.warmup import WARMUP, WARMUP_KEYS, check_collection_warmup

DYNAMIC = "dynamicfield.enabled"
DESCRIPTION = "collection.description"
CONSISTENCY = "consistency_level"
_LEVELS = ("Strong", "Session", "Bounded", "Eventually", "Customized")
_EXTERNAL = ("collection.external_source", "collection.external_spec")
_WARMUPS = (WARMUP, *WARMUP_KEYS)
# How segments are searched, by key, as Milvus calls it.
_SEARCH = {ISOLATION: "partition key isolation mode", QUERY_MODE: "query_mode"}


def is_true(text: str) -> bool:
    """Whether a property says yes, however it spells it."""
    return text.strip().lower() in ("true", "t", "1")


def consistency_level(text: str) -> int:
    """The number of a consistency level given by name or number.

    Raises:
        InvalidParameter: there is no such level.
    """
    named = [i for i, name in enumerate(_LEVELS) if name.lower() == text.lower()]
    if named:
        return named[0]
    if text.isdecimal() and int(text) < len(_LEVELS):
        return int(text)
    raise InvalidParameter(f"invalid consistency level: {text}")


def check_altered(definition: CollectionDefinition, given: Mapping[str, str]) -> None:
    """Raise unless these properties may be set.

    Raises:
        InvalidParameter, IllegalSchema: a value is not allowed.
        CollectionLoaded, IndexAmbiguous: release it, or drop the index, first.
        UnsupportedOperation: it asks for what Elanus does not do.
    """
    _check_fixed(given)
    _check_dynamic(given)
    name = definition.name
    if MMAP in given and definition.loaded is not None:
        raise CollectionLoaded(
            "can not alter mmap properties if collection loaded", name
        )
    for key in _WARMUPS:
        if key in given:
            check_collection_warmup(key, given[key])
            if definition.loaded is not None:
                raise CollectionLoaded(
                    "can not alter warmup properties if collection loaded", name
                )
    check_ttl(given.get(TTL_SECONDS))
    check_lifetimes(definition.schema, definition.properties, given)
    check_timezone(given)
    _check_search_properties(definition, given)
    takes_ids = is_true(given.get(ALLOW_INSERT_AUTO_ID, ""))
    if takes_ids and not definition.schema.primary.auto_id:
        raise InvalidParameter(
            "the value for allow_insert_auto_id must be false when autoID is false"
        )
    for key in NOT_BUILT:
        if given.get(key, "").lower() not in OFF:
            raise UnsupportedOperation(f"property {key} of collection {name}")
    if len(given.get(DESCRIPTION, "").encode()) > limits.DESCRIPTION_BYTES:
        raise InvalidParameter(
            f"the length of a collection description must not exceed "
            f"{limits.DESCRIPTION_BYTES} bytes"
        )
    if CONSISTENCY in given:
        consistency_level(given[CONSISTENCY])


def _check_fixed(given: Mapping[str, str]) -> None:
    if SHARDING in given:
        raise InvalidParameter(f"cannot alter {SHARDING} after collection creation")
    for key in given:
        if key.startswith("cipher."):
            raise InvalidParameter("can not alter cipher related properties")
        if key in _EXTERNAL:
            raise InvalidParameter(
                f"cannot alter {key} via alter_collection_properties; use "
                f"RefreshExternalCollection instead"
            )


def _check_dynamic(given: Mapping[str, str]) -> None:
    if DYNAMIC not in given:
        return
    if len(given) > 1:
        raise InvalidParameter(
            "cannot alter dynamic schema with other properties at the same time"
        )
    if given[DYNAMIC].strip().lower() not in ("true", "false", "t", "f", "1", "0"):
        raise InvalidParameter(
            f"invalid dynamic schema property value: {given[DYNAMIC]}"
        )


def _check_search_properties(
    definition: CollectionDefinition, given: Mapping[str, str]
) -> None:
    """Those that say how segments are searched, so that no index may stand yet."""
    check_isolation(definition.schema, given, definition.name)
    check_query_mode(given)
    changed = [k for k in _SEARCH if k in given and given[k] != _present(definition, k)]
    _need_no_index(definition, changed)


def _present(definition: CollectionDefinition, key: str) -> str | None:
    return definition.properties.get(key)


def _need_no_index(definition: CollectionDefinition, changed: Sequence[str]) -> None:
    """Raise if any of these properties is to change under a vector index."""
    vectors = {field.id for field in definition.schema.vectors}
    indexed = [i.name for i in definition.all_indexes if i.field_id in vectors]
    if changed and indexed:
        raise IndexAmbiguous(
            indexed[0],
            f"can not alter {_SEARCH[changed[0]]} if the collection already has a "
            f"vector index. Please drop the index first",
        )


def check_deleted(definition: CollectionDefinition, keys: Sequence[str]) -> None:
    """Raise unless these properties may be deleted.

    Raises:
        InvalidParameter, CollectionLoaded.
    """
    name = definition.name
    _need_no_index(
        definition,
        [key for key in keys if key in _SEARCH and key in definition.properties],
    )
    for key in keys:
        if key == DYNAMIC:
            raise InvalidParameter(
                f"cannot delete key {DYNAMIC}, dynamic field schema could support set "
                f"to true/false"
            )
        if key.startswith("cipher."):
            raise InvalidParameter("can not alter cipher related properties")
        if definition.loaded is None:
            continue
        if key == MMAP:
            raise CollectionLoaded(
                "can not delete mmap properties if collection loaded", name
            )
        if key in _WARMUPS:
            raise CollectionLoaded(
                f"can not delete {key} properties if collection loaded", name
            )
