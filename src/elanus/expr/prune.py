"""Whether statistics rule out that a predicate matches any row of a segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from elanus.expr import predicate as p
from elanus.schema.types import DataType

Ranges: TypeAlias = Mapping[int, tuple[Any, Any, int]]
"""By field id: least and greatest value, both None when unknown, and the NULL count."""


class _Possible(NamedTuple):
    """What the statistics leave open: some row true, some row false."""

    true: bool
    false: bool


_ANYTHING = _Possible(True, True)


def may_match(predicate: p.Predicate, ranges: Ranges) -> bool:
    """False only when no row can satisfy the predicate; fields may lack statistics."""
    return _possible(predicate.condition, ranges).true


def values_of(condition: p.Condition, field_id: int) -> frozenset[Any] | None:
    """The values that a column of whole numbers or strings has in rows that match.

    ``None`` when it may have any.
    """
    if isinstance(condition, (p.And, p.Or)):
        parts = [values_of(part, field_id) for part in condition.parts]
        known = [values for values in parts if values is not None]
        if isinstance(condition, p.Or):
            return frozenset().union(*known) if len(known) == len(parts) else None
        return frozenset.intersection(*known) if known else None
    if not isinstance(condition, (p.Compare, p.InList)):
        return None
    operand = condition.operand
    if not isinstance(operand, p.Column) or operand.field_id != field_id:
        return None
    if isinstance(condition, p.InList):
        return frozenset(condition.values)
    return frozenset((condition.value,)) if condition.op == "==" else None


def _possible(condition: p.Condition, ranges: Ranges) -> _Possible:
    if isinstance(condition, p.Always):
        return _Possible(condition.value, not condition.value)
    if isinstance(condition, p.Not):
        part = _possible(condition.part, ranges)
        return _Possible(part.false, part.true)
    if isinstance(condition, (p.And, p.Or)):
        parts = [_possible(part, ranges) for part in condition.parts]
        if isinstance(condition, p.And):
            return _Possible(all(x.true for x in parts), any(x.false for x in parts))
        return _Possible(any(x.true for x in parts), all(x.false for x in parts))
    if isinstance(condition, p.Null):
        known = ranges.get(condition.column.field_id)
        return _ANYTHING if known is None else _Possible(known[2] > 0, True)
    if isinstance(condition, (p.Compare, p.Between, p.InList, p.StartsWith)):
        return _possible_leaf(condition, ranges)
    return _ANYTHING


def _possible_leaf(
    condition: p.Compare | p.Between | p.InList | p.StartsWith, ranges: Ranges
) -> _Possible:
    operand = condition.operand
    known = ranges.get(operand.field_id)
    if not isinstance(operand, p.Column) or known is None or known[0] is None:
        return _ANYTHING
    if operand.dtype in (DataType.ARRAY, DataType.JSON):
        return _ANYTHING
    low, high, _ = known
    if isinstance(condition, p.Compare):
        possible = _compared(condition.op, condition.value, low, high)
    elif isinstance(condition, p.Between):
        above = _compared(
            ">=" if condition.low_inclusive else ">", condition.low, low, high
        )
        below = _compared(
            "<=" if condition.high_inclusive else "<", condition.high, low, high
        )
        possible = _Possible(above.true and below.true, above.false or below.false)
    elif isinstance(condition, p.InList):
        inside = any(low <= value <= high for value in condition.values)
        possible = _Possible(inside, low != high or low not in condition.values)
    else:
        prefix = condition.prefix
        possible = _Possible(low[: len(prefix)] <= prefix <= high, True)
    # NaN lies outside every range, so only what is true of it may be ruled out.
    if operand.dtype.is_floating:
        is_unequal = isinstance(condition, p.Compare) and condition.op == "!="
        return _Possible(possible.true or is_unequal, True)
    return possible


def _compared(op: str, value: Any, low: Any, high: Any) -> _Possible:
    if op == "==":
        return _Possible(low <= value <= high, not low == high == value)
    if op == "!=":
        return _Possible(not low == high == value, low <= value <= high)
    if op == "<":
        return _Possible(low < value, high >= value)
    if op == "<=":
        return _Possible(low <= value, high > value)
    if op == ">":
        return _Possible(high > value, low <= value)
    return _Possible(high >= value, low < value)
