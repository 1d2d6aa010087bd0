"""Two bounds of one column in a conjunction are a range: one pass, one look-up."""

from __future__ import annotations

from elanus.expr import predicate as p
from elanus.schema.types import DataType

_BELOW = {">": False, ">=": True}  # by the operator of a lower bound: is it included
_ABOVE = {"<": False, "<=": True}
_NO_RANGES = (DataType.JSON, DataType.ARRAY)


def with_ranges(parts: list[p.Condition]) -> list[p.Condition]:
    """The parts of a conjunction, each pair of bounds as a range in the first's place.

    NULL makes both bounds unknown, and the range too; NaN lies in neither.
    """
    if len(parts) < 2:
        return parts
    kept: list[p.Condition] = []
    waiting: dict[tuple[int, bool], int] = {}
    for part in parts:
        if not _is_bound(part):
            kept.append(part)
            continue
        assert isinstance(part, p.Compare)
        is_lower = part.op in _BELOW
        at = waiting.pop((part.operand.field_id, not is_lower), None)
        if at is None:
            waiting.setdefault((part.operand.field_id, is_lower), len(kept))
            kept.append(part)
            continue
        other = kept[at]
        assert isinstance(other, p.Compare)
        low, high = (part, other) if is_lower else (other, part)
        kept[at] = p.Between(
            part.operand, low.value, _BELOW[low.op], high.value, _ABOVE[high.op]
        )
    return kept


def _is_bound(part: p.Condition) -> bool:
    return (
        isinstance(part, p.Compare)
        and (part.op in _BELOW or part.op in _ABOVE)
        and isinstance(part.operand, p.Column)
        and part.operand.dtype not in _NO_RANGES
    )
