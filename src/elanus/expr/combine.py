"""Conditions joined and negated: flat, without constants, equalities as one look-up.

A chain such as ``x == 1 or x == 2 or ..`` becomes ``x in [1, 2, ..]``, and one of
``!=`` and ``and`` its opposite, so that it costs one pass and finds keys as keys.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from elanus.expr import predicate as p
from elanus.expr.ranges import with_ranges
from elanus.schema.types import DataType


def all_of(parts: list[p.Condition]) -> p.Condition:
    """The conjunction, without parts that are always true."""
    return _joined(parts, neutral=True)


def any_of(parts: list[p.Condition]) -> p.Condition:
    """The disjunction, without parts that are always false."""
    return _joined(parts, neutral=False)


def negation(condition: p.Condition) -> p.Condition:
    """The opposite of a condition."""
    if isinstance(condition, p.Not):
        return condition.part
    if isinstance(condition, p.Always):
        return p.Always(not condition.value)
    return p.Not(condition)


def _joined(parts: list[p.Condition], *, neutral: bool) -> p.Condition:
    kind = p.And if neutral else p.Or
    kept: list[p.Condition] = []
    for part in parts:
        if isinstance(part, p.Always):
            if part.value != neutral:
                return part
        elif isinstance(part, kind):
            kept.extend(part.parts)
        else:
            kept.append(part)
    if not kept:
        return p.Always(neutral)
    if len(kept) > 1:
        kept = _gathered(kept, negated=neutral)
    if neutral:
        kept = with_ranges(kept)
    return kept[0] if len(kept) == 1 else kind(tuple(kept))


class _Listed(NamedTuple):
    """A condition that is true, or false, of some values of an operand alone."""

    key: Hashable
    operand: p.Operand
    values: tuple[p.Value, ...]


def _gathered(parts: list[p.Condition], *, negated: bool) -> list[p.Condition]:
    """The parts, those about single values of one operand made one, at its first."""
    listed = [_listed(part, negated=negated) for part in parts]
    together: dict[Hashable, list[_Listed]] = {}
    for found in listed:
        if found is not None:
            together.setdefault(found.key, []).append(found)
    if all(len(group) == 1 for group in together.values()):
        return parts
    kept: list[p.Condition] = []
    for part, found in zip(parts, listed, strict=True):
        group = [] if found is None else together.pop(found.key, None)
        if group is None:  # it went with the first
            continue
        if found is None or len(group) == 1:
            kept.append(part)
            continue
        values = tuple(value for member in group for value in member.values)
        gathered = p.InList(found.operand, values)
        kept.append(p.Not(gathered) if negated else gathered)
    return kept


def _listed(part: p.Condition, *, negated: bool) -> _Listed | None:
    """What a part says of single values, if that is all it says."""
    if negated and isinstance(part, p.Not):
        part = part.part
        values = part.values if isinstance(part, p.InList) else ()
    elif isinstance(part, p.Compare):
        values = (part.value,) if part.op == ("!=" if negated else "==") else ()
    else:
        values = part.values if isinstance(part, p.InList) and not negated else ()
    if not values or not isinstance(part, p.Compare | p.InList):
        return None
    operand = part.operand
    if not isinstance(operand, p.Column | p.Element | p.JsonPath):
        return None
    if operand.dtype is DataType.JSON:
        # a value of another type is unknown of one constant and false of another
        types = set(map(type, values))
        if len(types) > 1 or tuple in types:
            return None
        return _Listed((operand, types.pop()), operand, values)
    return (
        None if operand.dtype is DataType.ARRAY else _Listed(operand, operand, values)
    )
