"""Two bounds of one column in a conjunction are a range: one pass, one look-up."""

from __future__ import annotations

from elanus.expr import predicate as p
from elanus.schema.types import DataType

_BELOW = {">": False, ">=": True}  # by the operator of a lower bound: is it included
_ABOVE = {"<": False, "<=": True}
_NO_RANGES = (DataType.ARRAY, DataType.BOOL)


def with_ranges(parts: list[p.Condition]) -> list[p.Condition]:
    """The parts of a conjunction, each pair of bounds as a range in the first's place.

    NULL makes both bounds unknown, and the range too; NaN lies in neither. In JSON both
    have to be of one kind, since what one can be compared with is unknown to the other.
    """
    if len(parts) < 2:
        return parts
    kept: list[p.Condition] = []
    waiting: dict[tuple[p.Operand, bool, bool], int] = {}
    for part in parts:
        if not _is_bound(part):
            kept.append(part)
            continue
        assert isinstance(part, p.Compare)
        is_lower, is_text = part.op in _BELOW, isinstance(part.value, str)
        at = waiting.get((part.operand, is_text, not is_lower))
        range_ = None if at is None else _range(kept[at], part)
        if at is None or range_ is None:
            waiting.setdefault((part.operand, is_text, is_lower), len(kept))
            kept.append(part)
            continue
        del waiting[part.operand, is_text, not is_lower]
        kept[at] = range_
    return kept


def _is_bound(part: p.Condition) -> bool:
    return (
        isinstance(part, p.Compare)
        and (part.op in _BELOW or part.op in _ABOVE)
        and isinstance(part.operand, (p.Column, p.JsonPath))
        and part.operand.dtype not in _NO_RANGES
        and not isinstance(part.value, bool)
    )


def _range(one: p.Condition, other: p.Condition) -> p.Between | None:
    """Both bounds as a range; ``None`` where it would be empty, which no text says."""
    assert isinstance(one, p.Compare)
    assert isinstance(other, p.Compare)
    low, high = (one, other) if one.op in _BELOW else (other, one)
    includes = _BELOW[low.op], _ABOVE[high.op]
    if low.value < high.value or (all(includes) and low.value == high.value):
        return p.Between(low.operand, low.value, includes[0], high.value, includes[1])
    return None
