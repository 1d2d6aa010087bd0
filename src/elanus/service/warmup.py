"""The warmup properties: kept to be told back, since everything here is mapped."""

from __future__ import annotations

from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema

WARMUP = "warmup"
WARMUP_KEYS = (
    "warmup.scalarField",
    "warmup.scalarIndex",
    "warmup.vectorField",
    "warmup.vectorIndex",
)
_POLICIES = ("disable", "sync", "async")


def check_warmup(key: str, value: str) -> None:
    """Raise unless a warmup policy is known.

    Raises:
        InvalidParameter.
    """
    if value not in _POLICIES:
        raise InvalidParameter(
            f"invalid warmup value for key {key}: invalid warmup policy: {value}, must "
            f"be 'disable', 'sync' or 'async'"
        )


def check_field_warmup(field: FieldSchema) -> None:
    """The same for the parameter of a field that is declared.

    Raises:
        InvalidParameter.
    """
    policy = field.properties.get(WARMUP)
    if policy is not None and policy not in _POLICIES:
        raise InvalidParameter(
            f"invalid warmup policy for field {field.name}: invalid warmup policy: "
            f"{policy}, must be 'disable', 'sync' or 'async'"
        )


def check_collection_warmup(key: str, value: str) -> None:
    """The same for a property of a collection.

    Raises:
        InvalidParameter: also for the key that fields have.
    """
    if key == WARMUP:
        raise InvalidParameter(
            "warmup key 'warmup' is only allowed at field level, use "
            "warmup.scalarField/warmup.scalarIndex/warmup.vectorField/"
            "warmup.vectorIndex at collection level"
        )
    check_warmup(key, value)
