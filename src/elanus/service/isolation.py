"""Collections that are searched for one value of their partition key at a time."""

from __future__ import annotations

from elanus.engine.definition import CollectionDefinition
from elanus.errors import InvalidParameter
from elanus.expr import predicate as p
from elanus.service.properties import ISOLATION, is_yes

_OPERATORS = {
    "!=": "NotEqual",
    "<": "LessThan",
    "<=": "LessEqual",
    ">": "GreaterThan",
    ">=": "GreaterEqual",
}


def is_isolated(definition: CollectionDefinition) -> bool:
    """Whether every search has to name one value of the partition key."""
    return (
        is_yes(definition.properties.get(ISOLATION, ""))
        and definition.schema.partition_key is not None
    )


def check_isolated(
    definition: CollectionDefinition, predicate: p.Predicate | None
) -> None:
    """Raise unless a filter names one value of the partition key.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    key = definition.schema.partition_key
    assert key is not None
    if predicate is None or not _names(predicate.condition, key.id):
        raise InvalidParameter(
            "partition key not found in expr or the expr is invalid when validating "
            "partition key isolation"
        )


def _names(condition: p.Condition, key: int) -> bool:
    """Whether a condition names one value; refuses other conditions on the key."""
    if isinstance(condition, (p.And, p.Or)):
        named = [_names(part, key) for part in condition.parts]
        if any(named) and isinstance(condition, p.Or):
            raise _unsupported("OR")
        return any(named)
    if isinstance(condition, p.Not):
        if _names(condition.part, key):
            raise _unsupported("NOT")
        return False
    operand = getattr(condition, "operand", None)
    if not isinstance(operand, p.Column) or operand.field_id != key:
        return False
    if isinstance(condition, p.Compare):
        if condition.op != "==":
            raise _unsupported(_OPERATORS[condition.op])
        return True
    if isinstance(condition, p.InList):
        if len(condition.values) != 1:
            raise _unsupported("IN")
        return True
    if isinstance(condition, p.Between):
        raise _unsupported("BinaryRange")
    raise _unsupported(
        "PrefixMatch" if isinstance(condition, p.StartsWith) else "Match"
    )


def _unsupported(what: str) -> InvalidParameter:
    return InvalidParameter(f"partition key isolation does not support {what}")
