"""Values in order with the elements of arrays that hold them.

Elements are numbered row after row, as the column's values lie, so that one index
answers for what arrays contain, for one of their elements, and for the fields of
structs whose elements a filter asks one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr import predicate as p
from elanus.expr.kleene import Bools, Mask, unknown_of, where_known
from elanus.expr.membership import Members
from elanus.expr.source import ColumnSource, fixed_width, list_bounds
from elanus.index.scalar.base import MASK_ROW_US, OVERHEAD_US, ROW_US, Lookup
from elanus.index.scalar.dictionary import comparable
from elanus.index.scalar.postings import Chosen
from elanus.index.scalar.values import Found, ValueIndex, unit_parts

_OWNER_US = 0.05
"""What it costs to find the row of an element."""


class ElementIndex:
    """An index of an Array column.

    Attributes:
        elements: the same as an index of the elements as rows of their own.
    """

    def __init__(
        self, parts: Mapping[str, pa.Array], n_rows: int, n_elements: int
    ) -> None:
        self.n_rows = n_rows
        self.elements = ValueIndex(parts, n_elements)
        self._is_text = pa.types.is_large_string(parts["values"].type)
        self._is_whole = pa.types.is_integer(parts["values"].type)

    def lookup(self, condition: p.Condition, budget_us: float = inf) -> Lookup | None:
        """See :class:`elanus.index.scalar.base.ScalarIndex`."""
        if isinstance(condition, p.Contains):
            return self._contains(condition, budget_us)
        operand = getattr(condition, "operand", None)
        if not isinstance(operand, p.Element):
            return None
        column = p.Column(operand.field_id, operand.name, operand.dtype)
        leaf: Any = condition
        inner: p.Condition = replace(leaf, operand=column)
        inside = self.elements.lookup(inner, budget_us)
        found = None if inside is None else self.elements.find(inner)
        if inside is None or found is None or found.chosen.is_rest:
            return None
        cost = inside.cost_us + inside.rows * _OWNER_US + self.n_rows * ROW_US
        return Lookup(
            inside.rows,
            False,
            cost,
            lambda source: self._at(operand, inner, found, source),
        )

    def _contains(self, condition: p.Contains, budget_us: float) -> Lookup | None:
        array, values = condition.array, condition.values
        if not isinstance(array, p.Column) or not values or not self._fits(values):
            return None
        search_us = self.elements.dictionary.search_us(len(values))
        if search_us > budget_us:
            return None
        groups = [(v,) for v in values] if condition.needs_all else [values]
        chosen = [
            Chosen(0, 0, self.elements.dictionary.places(Members(group)))
            for group in groups
        ]
        counts = [self.elements.postings.count(one) for one in chosen]
        cost = OVERHEAD_US + self.n_rows * MASK_ROW_US * len(chosen) + search_us
        for one, count in zip(chosen, counts, strict=True):
            cost += self.elements.postings.cost_us(one, count) + count * _OWNER_US
        return Lookup(
            min(counts),
            False,
            cost,
            lambda source: self._rows_with(array, chosen, source),
        )

    def _fits(self, values: tuple[p.Value, ...]) -> bool:
        if self._is_text:
            return all(isinstance(value, str) for value in values)
        if self._is_whole:
            return all(isinstance(value, int) for value in values)
        return all(isinstance(value, (int, float)) for value in values)

    def _rows_with(
        self, array: p.Column, chosen: list[Chosen], source: ColumnSource
    ) -> Mask:
        column = source.column(array.field_id)
        offsets = fixed_width(column.offsets)
        true: Bools | None = None
        for one in chosen:
            mask = np.zeros(self.n_rows, np.bool_)
            mask[_owners(offsets, self.elements.postings.units(one))] = True
            true = mask if true is None else true & mask
        assert true is not None
        return where_known(true, unknown_of(column))

    def _at(
        self, operand: p.Element, inner: p.Condition, found: Found, source: ColumnSource
    ) -> Mask:
        column = source.column(operand.field_id)
        starts, lengths = list_bounds(column)
        unknown = unknown_of(column)
        # an element that is not there is unknown to all conditions but this one
        if not isinstance(inner, p.Regex):
            absent = lengths <= operand.index
            unknown = absent if unknown is None else absent | unknown
        units = self.elements.postings.units(self.elements.resolve(inner, found))
        owners = _owners(fixed_width(column.offsets), units)
        true = np.zeros(self.n_rows, np.bool_)
        true[owners[units - starts[owners] == operand.index]] = True
        return where_known(true, unknown)


def _owners(
    offsets: npt.NDArray[np.int64], elements: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """The row of each element."""
    owners: npt.NDArray[np.int64] = np.searchsorted(offsets, elements, side="right") - 1
    return owners


def element_parts(column: pa.Array) -> tuple[dict[str, pa.Array], int] | None:
    """The parts of the index of an Array column, and how many elements it has.

    ``None`` where an element is NaN, or null rows hold elements that nobody sees.
    """
    values = column.values
    if len(column.flatten()) != len(values) or values.null_count:
        return None
    known = comparable(values)
    if known is None:
        return None
    units = np.arange(len(values), dtype=np.uint32)
    return unit_parts(known, units, len(values), None), len(values)
