"""Parameters of a field that may change after its creation, with Milvus' texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from elanus.engine.definition import CollectionDefinition
from elanus.errors import CollectionLoaded, InvalidParameter
from elanus.schema import limits
from elanus.schema.schema import FieldSchema, StructSchema
from elanus.schema.types import DataType
from elanus.service.warmup import WARMUP, WARMUP_KEYS, check_warmup

MMAP = "mmap.enabled"
# As clients spell it in schemas.
_ALIASES = {"mmap_enabled": MMAP}
_DESCRIPTION = "field.description"
_KEPT = frozenset({MMAP, WARMUP, *WARMUP_KEYS})


def altered_field(
    definition: CollectionDefinition, field: FieldSchema, given: Mapping[str, str]
) -> FieldSchema:
    """The field with parameters changed.

    Raises:
        InvalidParameter: a parameter cannot be changed, or not to this value.
        CollectionLoaded: release it first.
    """
    changed = field
    for spelled, value in given.items():
        key = _ALIASES.get(spelled, spelled)
        if key == "max_length":
            changed = replace(changed, max_length=_max_length(field, value))
        elif key == "max_capacity":
            changed = replace(changed, max_capacity=_max_capacity(field, value))
        elif key == _DESCRIPTION:
            changed = replace(changed, description=value)
        elif key in _KEPT:
            _check_kept(definition, key, value)
            properties = {**changed.properties, key: value}
            changed = replace(changed, properties=properties)
        else:
            raise InvalidParameter(
                f"{key} does not allow update in collection field param"
            )
    return changed


def cleared_field(
    definition: CollectionDefinition, field: FieldSchema, keys: Sequence[str]
) -> FieldSchema:
    """The field with parameters deleted.

    Raises:
        InvalidParameter: a parameter cannot be deleted.
        CollectionLoaded: release it first.
    """
    gone = {_ALIASES.get(key, key) for key in keys}
    for key in gone:
        if key not in _KEPT:
            raise InvalidParameter(
                f"{key} is not allowed to drop in collection field param"
            )
    if definition.loaded is not None:
        raise CollectionLoaded(
            "can not drop collection field properties if collection loaded",
            definition.name,
        )
    kept = {k: v for k, v in field.properties.items() if k not in gone}
    return replace(field, properties=kept)


def altered_struct(
    definition: CollectionDefinition,
    struct: StructSchema,
    given: Mapping[str, str],
    gone: Sequence[str],
) -> StructSchema:
    """The struct with parameters changed, or deleted.

    Raises: as :func:`altered_field` and :func:`cleared_field`.
    """
    # what holds for the parameters of fields, shown on one that has the struct's
    stand_in = FieldSchema(
        struct.name,
        DataType.ARRAY,
        description=struct.description,
        properties=struct.properties,
    )
    if gone:
        changed = cleared_field(definition, stand_in, gone)
    else:
        if "max_capacity" in given or "max_length" in given:
            raise InvalidParameter(
                f"the fields of struct {struct.name} have their own sizes; name one"
            )
        changed = altered_field(definition, stand_in, given)
    return replace(
        struct, description=changed.description, properties=changed.properties
    )


def _check_kept(definition: CollectionDefinition, key: str, value: str) -> None:
    if definition.loaded is not None:
        what = "collection field properties" if key == MMAP else "warmup"
        raise CollectionLoaded(
            f"can not alter {what} if collection loaded", definition.name
        )
    if key != MMAP:
        check_warmup(key, value)


def _max_length(field: FieldSchema, text: str) -> int:
    if DataType.VARCHAR not in (field.dtype, field.element_type):
        raise InvalidParameter(" can not modify the maxlength for non-string types")
    length = _whole(text, "max_length")
    if length > limits.VARCHAR_BYTES:
        raise InvalidParameter(
            f"{length} exceeds the maximum allowed value {limits.VARCHAR_BYTES}"
        )
    if length <= 0:
        raise InvalidParameter(
            f"the maximum length specified for the field({field.name}) should be in "
            f"(0, {limits.VARCHAR_BYTES}], but got {length} instead"
        )
    return length


def _max_capacity(field: FieldSchema, text: str) -> int:
    if field.dtype is not DataType.ARRAY:
        raise InvalidParameter(" can not modify the maxcapacity for non-array types")
    capacity = _whole(text, "max_capacity")
    if not 0 < capacity <= limits.ARRAY_CAPACITY:
        raise InvalidParameter(
            f"the maximum capacity specified for a Array should be in "
            f"(0, {limits.ARRAY_CAPACITY}]"
        )
    return capacity


def _whole(text: str, key: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(f"{key} should be an integer, but got string") from None
