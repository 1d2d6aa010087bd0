"""How many rows of a segment a filter is likely to match, told by statistics alone.

Values count as spread evenly between the least and the greatest, and the parts of a
filter as independent of each other. Where nothing is known of a column, the shares of
Selinger et al. stand in.

Source: Selinger et al., "Access Path Selection in a Relational Database Management
System", 1979, §4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from elanus.expr import predicate as p
from elanus.expr.prune import Ranges
from elanus.schema.types import DataType

_EQUAL = 0.1
_RANGE = 1 / 3
_BETWEEN = 0.25
_ANYTHING = 1 / 3
_MOST_OF_LIST = 0.5
_TEXT_BYTES = 7  # as many as a double tells apart


Counted = Callable[[p.Condition], float | None]
"""The share of rows that an index counts for a leaf; ``None`` where none does."""


def estimated_share(
    predicate: p.Predicate,
    ranges: Ranges | None,
    rows: int,
    counted: Counted = lambda condition: None,
) -> float:
    """The share of a segment's rows that is likely to match, 0 to 1.

    Args:
        ranges: what is known of its columns; ``None`` for nothing.
        rows: of the segment.
        counted: asked of each leaf before statistics are.
    """
    keys = predicate.primary_keys()
    if keys is not None:
        return min(1.0, len(keys) / max(rows, 1))
    estimate = _Estimate({} if ranges is None else ranges, max(rows, 1), counted)
    share = estimate.share(predicate.condition)
    return share if predicate.sample is None else share * predicate.sample


class _Estimate:
    def __init__(self, ranges: Ranges, rows: int, counted: Counted) -> None:
        self._ranges = ranges
        self._rows = rows
        self._counted = counted

    def share(self, condition: p.Condition) -> float:
        if isinstance(condition, p.Always):
            return float(condition.value)
        if isinstance(condition, p.Not):
            return 1.0 - self.share(condition.part)
        if isinstance(condition, p.And):
            return math.prod(self.share(part) for part in condition.parts)
        if isinstance(condition, p.Or):
            parts = (1.0 - self.share(part) for part in condition.parts)
            return 1.0 - math.prod(parts)
        known = self._counted(condition)
        if known is not None:
            return known
        if isinstance(condition, p.Null):
            return self._null_share(condition.column.field_id)
        if isinstance(condition, (p.Compare, p.InList, p.Between, p.StartsWith)):
            return self._leaf(condition)
        return _ANYTHING

    def _null_share(self, field_id: int) -> float:
        known = self._ranges.get(field_id)
        return _EQUAL if known is None else known[2] / self._rows

    def _leaf(
        self, condition: p.Compare | p.InList | p.Between | p.StartsWith
    ) -> float:
        operand = condition.operand
        known = self._ranges.get(operand.field_id)
        is_plain = isinstance(operand, p.Column) and operand.dtype not in (
            DataType.ARRAY,
            DataType.JSON,
        )
        if not is_plain or known is None or known[0] is None:
            return _unknown(condition)
        spread = _Spread(known[0], known[1], self._rows)
        try:
            share = _of_spread(condition, spread)
        except (TypeError, OverflowError):  # a literal that the column's values are not
            return _unknown(condition)
        return share * (1.0 - known[2] / self._rows)


class _Spread:
    """Values that lie evenly between two of them."""

    def __init__(self, low: Any, high: Any, rows: int) -> None:
        self.low, self.high, self._rows = low, high, rows

    def equal(self, value: Any) -> float:
        """The share of rows with a value."""
        if not self.low <= value <= self.high:
            return 0.0
        if isinstance(self.low, bool):
            return 1.0 if self.low == self.high else 0.5
        if isinstance(self.low, int):
            distinct = min(int(self.high) - self.low + 1, self._rows)
            return 1.0 / distinct
        if self.low == self.high:
            return 1.0
        return _EQUAL if isinstance(self.low, str) else 1.0 / self._rows

    def below(self, value: Any) -> float:
        """The share of rows with a smaller value."""
        if value <= self.low:
            return 0.0
        if value > self.high:
            return 1.0
        if isinstance(self.low, str):
            low, high, place = _numbers((self.low, self.high, value))
        else:
            low, high, place = float(self.low), float(self.high), float(value)
            if isinstance(self.low, int):
                high += 1.0
        return (place - low) / (high - low) if high > low else 0.0

    def compared(self, op: str, value: Any) -> float:
        """The share of rows with ``row op value``."""
        if op == "==":
            return self.equal(value)
        if op == "!=":
            return 1.0 - self.equal(value)
        if op == "<":
            return self.below(value)
        if op == ">=":
            return 1.0 - self.below(value)
        upto = min(1.0, self.below(value) + self.equal(value))
        return upto if op == "<=" else 1.0 - upto


def _of_spread(
    condition: p.Compare | p.InList | p.Between | p.StartsWith, spread: _Spread
) -> float:
    if isinstance(condition, p.Compare):
        return spread.compared(condition.op, condition.value)
    if isinstance(condition, p.InList):
        return min(1.0, sum(spread.equal(v) for v in set(condition.values)))
    if isinstance(condition, p.Between):
        above = spread.compared(">=" if condition.low_inclusive else ">", condition.low)
        below = spread.compared(
            "<=" if condition.high_inclusive else "<", condition.high
        )
        return max(0.0, above + below - 1.0)
    end = condition.prefix + chr(0x10FFFF)
    inside = spread.below(end) - spread.below(condition.prefix)
    return max(inside, 0.0)


def _unknown(condition: p.Compare | p.InList | p.Between | p.StartsWith) -> float:
    if isinstance(condition, p.Compare):
        if condition.op in ("==", "!="):
            return _EQUAL if condition.op == "==" else 1.0 - _EQUAL
        return _RANGE
    if isinstance(condition, p.InList):
        return min(_MOST_OF_LIST, _EQUAL * len(condition.values))
    return _BETWEEN if isinstance(condition, p.Between) else _EQUAL


def _numbers(texts: tuple[str, str, str]) -> tuple[float, float, float]:
    """Texts as numbers in the same order, by the bytes after what all begin with."""
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    common = 0
    while all(len(part) > common for part in parts) and (
        len({part[common] for part in parts}) == 1
    ):
        common += 1
    low, high, place = (
        float(
            int.from_bytes(
                part[common : common + _TEXT_BYTES].ljust(_TEXT_BYTES, b"\0")
            )
        )
        for part in parts
    )
    return low, high, place
