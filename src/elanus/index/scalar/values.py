"""Values in order with the rows that hold them: the layout of most kinds.

Comparisons, ranges, lists and prefixes are searched for in the order. Any other
condition on the value, as a pattern or a remainder, is evaluated once for each distinct
value, which pays where values repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
import pyarrow as pa

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.evaluate import truth
from elanus.expr.jsonpath import Path, PathColumn
from elanus.expr.kleene import Bools, Mask, unknown_of, where_known
from elanus.expr.like import prefix_of
from elanus.index.scalar.base import (
    MASK_ROW_US,
    OVERHEAD_US,
    Lookup,
    packed,
    unpacked,
)
from elanus.index.scalar.costs import scan_us
from elanus.index.scalar.dictionary import (
    StringDictionary,
    comparable,
    firsts_of,
    in_order,
    open_dictionary,
)
from elanus.index.scalar.postings import Chosen, Postings, posting_parts
from elanus.schema.arrays import array_of, values_of
from elanus.schema.types import DataType
from elanus.text.postings import Occurrences

_GUESSED_SHARE: Final = 0.05
"""Of rows, that a pattern matches about which nothing is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a condition chooses from the dictionary, or where it has to be evaluated.

    Attributes:
        chosen: the values; with ``is_open``, those that may match.
        is_open: whether the condition has yet to be evaluated on these values.
    """

    chosen: Chosen
    is_open: bool = False


class ValueIndex:
    """An index of the values of a column, or of anything that has one value a unit."""

    def __init__(self, parts: Mapping[str, pa.Array], n_rows: int) -> None:
        """Args: n_rows: units, each with a value or unknown."""
        self.n_rows = n_rows
        self.dictionary = open_dictionary(parts["values"])
        self.postings = Postings(parts, len(self.dictionary), n_rows)
        self._unknown = values_of(parts["unknown"])

    def unknown(self) -> Bools | None:
        """Units without a value, as a fresh mask; ``None`` when there are none."""
        return unpacked(self._unknown, self.n_rows)

    def lookup(self, condition: p.Condition, budget_us: float = inf) -> Lookup | None:
        """See :class:`elanus.index.scalar.base.ScalarIndex`."""
        search_us = 0.0
        if isinstance(condition, p.InList):
            search_us = self.dictionary.search_us(len(condition.values))
        if search_us > budget_us:
            return None
        found = self.find(condition)
        if found is None:
            return None
        chosen = found.chosen
        count = self.postings.count(chosen)
        cost = OVERHEAD_US + self.n_rows * MASK_ROW_US + search_us
        if found.is_open:
            count = min(count, round(self.n_rows * _GUESSED_SHARE))
            cost += 4 * OVERHEAD_US + scan_us(condition, chosen.end - chosen.start)
        cost += self.postings.cost_us(chosen, count)
        rows = self.postings.total - count if chosen.is_rest else count
        return Lookup(
            rows, not found.is_open, cost, lambda source: self.mask(condition, found)
        )

    def mask(self, condition: p.Condition, found: Found) -> Mask:
        """The answer for every unit."""
        chosen = self.resolve(condition, found)
        return where_known(self.postings.mark(chosen), self.unknown())

    def resolve(self, condition: p.Condition, found: Found) -> Chosen:
        """The values that a condition chooses, evaluated on them where it has to be."""
        if not found.is_open:
            return found.chosen
        start, end = found.chosen.start, found.chosen.end
        values = self.dictionary.values[start:end]
        hits = truth(condition, _Distinct(values)).true
        return Chosen(0, 0, np.flatnonzero(hits) + start)

    def find(self, condition: p.Condition) -> Found | None:
        """What a condition on the value chooses; ``None`` for other conditions."""
        whole = Chosen(0, len(self.dictionary))
        operand = getattr(condition, "operand", None)
        if not isinstance(operand, p.Column):
            is_calculated = isinstance(operand, (p.Arithmetic, p.Moved))
            return Found(whole, is_open=True) if is_calculated else None
        if operand.dtype in _NO_VALUES or _names_nan(condition):
            return None
        if isinstance(condition, p.Compare):
            return Found(self._compared(condition))
        if isinstance(condition, p.Between):
            return Found(self._between(condition))
        if isinstance(condition, p.InList):
            return Found(Chosen(0, 0, self.dictionary.places(condition.members)))
        assert isinstance(self.dictionary, StringDictionary)
        if isinstance(condition, p.StartsWith):
            return Found(Chosen(*self.dictionary.prefixed(condition.prefix)))
        if isinstance(condition, p.Like):
            prefix, is_all = prefix_of(condition.pattern)
            chosen = Chosen(*self.dictionary.prefixed(prefix))
            return Found(chosen, is_open=not is_all)
        return Found(whole, is_open=True)

    def _compared(self, condition: p.Compare) -> Chosen:
        op, value = condition.op, condition.value
        if op == "<":
            return Chosen(0, self.dictionary.below(value))
        if op == "<=":
            return Chosen(0, self.dictionary.through(value))
        if op == ">":
            return Chosen(self.dictionary.through(value), len(self.dictionary))
        start = self.dictionary.below(value)
        if op == ">=":
            return Chosen(start, len(self.dictionary))
        end = self.dictionary.through(value)
        return Chosen(start, end, is_rest=op == "!=")

    def _between(self, condition: p.Between) -> Chosen:
        dictionary = self.dictionary
        start = (
            dictionary.below(condition.low)
            if condition.low_inclusive
            else dictionary.through(condition.low)
        )
        end = (
            dictionary.through(condition.high)
            if condition.high_inclusive
            else dictionary.below(condition.high)
        )
        return Chosen(start, max(start, end))


def _names_nan(condition: p.Condition) -> bool:
    """Whether a constant is not a number, which stands nowhere in an order."""
    if isinstance(condition, p.Compare):
        return bool(condition.value != condition.value)
    if isinstance(condition, p.Between):
        low, high = condition.low, condition.high
        return bool(low != low or high != high)
    return False


_NO_VALUES = (DataType.ARRAY, DataType.JSON, DataType.GEOMETRY)


class _Distinct:
    """The distinct values of a column as rows of their own."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values

    @property
    def n_rows(self) -> int:
        """How many values there are."""
        return len(self._values)

    def column(self, field_id: int) -> pa.Array:
        """The values, whatever the field is called."""
        return self._values

    def json_path(self, field_id: int, path: Path) -> PathColumn:
        """Never asked for: values are plain."""
        raise InternalError("values of an index are no JSON")

    def boxes(self, field_id: int) -> Boxes:
        """Never asked for: values are plain."""
        raise InternalError("values of an index are no geometries")

    def texts(self, field_id: int) -> Occurrences:
        """Never asked for: values are compared whole."""
        raise InternalError("values of an index are not cut")


def value_parts(column: pa.Array) -> dict[str, pa.Array] | None:
    """The parts of the index of a column; ``None`` if it holds NaN."""
    n_rows, unknown = len(column), unknown_of(column)
    rows = np.arange(n_rows, dtype=np.uint32)
    if unknown is not None:
        rows = np.flatnonzero(~unknown).astype(np.uint32)
        column = column.take(array_of(rows))
    values = comparable(column)
    if values is None:
        return None
    return unit_parts(values, rows, n_rows, unknown)


def unit_parts(
    values: pa.Array, units: np.ndarray, n_rows: int, unknown: Bools | None
) -> dict[str, pa.Array]:
    """The parts of the index of values and the unit that each is in, ascending."""
    ordered, order = in_order(values)
    firsts = firsts_of(ordered)
    distinct = (
        ordered if len(firsts) == len(ordered) else ordered.take(array_of(firsts))
    )
    return {
        "values": distinct,
        "unknown": packed(unknown),
        **posting_parts(firsts, units[order], n_rows),
    }
