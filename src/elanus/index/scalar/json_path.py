"""The values at one place of JSON documents, of the one type that the index is of.

Rows that hold anything else there are unknown to every comparison with that type, as
they are to a scan; comparisons with other types are left to the scan. Numbers are kept
as doubles, so that integers from 2**53 on, which doubles cannot tell apart, are not
served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from math import inf
from typing import Any, Final

import numpy as np
import pyarrow as pa

from elanus.expr import predicate as p
from elanus.expr.jsonpath import Kind, PathColumn, extract
from elanus.expr.kleene import Bools, Mask, unknown_of, where_known
from elanus.expr.membership import Members
from elanus.expr.source import ColumnSource
from elanus.index.scalar.base import (
    MASK_ROW_US,
    OVERHEAD_US,
    Lookup,
    ScalarBuild,
    packed,
    unpacked,
)
from elanus.index.scalar.dictionary import comparable, firsts_of, in_order
from elanus.index.scalar.postings import Chosen, posting_parts
from elanus.index.scalar.values import ValueIndex
from elanus.schema.arrays import array_of, values_of
from elanus.schema.types import DataType

CHUNK_ROWS: Final = 1 << 16
"""Rows decoded at a time: their documents are Python objects meanwhile."""

_EXACT_DOUBLES: Final = 1 << 53


class Cast(StrEnum):
    """The types of values that are kept."""

    BOOL = "BOOL"
    DOUBLE = "DOUBLE"
    VARCHAR = "VARCHAR"


_TYPES = {
    Cast.BOOL: DataType.BOOL,
    Cast.DOUBLE: DataType.DOUBLE,
    Cast.VARCHAR: DataType.VARCHAR,
}


class JsonIndex:
    """An index of one place in the documents of a JSON column."""

    def __init__(
        self,
        parts: Mapping[str, pa.Array],
        n_rows: int,
        path: tuple[str, ...],
        cast: Cast,
        *,
        is_array: bool,
    ) -> None:
        self.n_rows = n_rows
        self._path = path
        self._cast = cast
        self._is_array = is_array
        self._values = ValueIndex(parts, n_rows)
        self._exists = values_of(parts["exists"])

    def lookup(self, condition: p.Condition, budget_us: float = inf) -> Lookup | None:
        """See :class:`elanus.index.scalar.base.ScalarIndex`."""
        if isinstance(condition, p.Exists):
            return self._existing() if self._is_here(condition.path) else None
        if isinstance(condition, p.Contains):
            return self._contains(condition, budget_us) if self._is_array else None
        operand = getattr(condition, "operand", None)
        if self._is_array or not self._is_here(operand):
            return None
        inner = self._of_column(condition)
        lookup = None if inner is None else self._values.lookup(inner, budget_us)
        if lookup is None or not isinstance(condition, p.Regex):
            return lookup
        find, field_id = lookup.answer, condition.operand.field_id
        return lookup._replace(
            answer=lambda source: as_of_regex(find(source), source, field_id)
        )

    def _is_here(self, operand: object) -> bool:
        return isinstance(operand, p.JsonPath) and self._path == tuple(
            map(str, operand.path)
        )

    def _of_column(self, condition: p.Condition) -> p.Condition | None:
        """The condition as one on a column of the type that is kept."""
        if isinstance(condition, p.Compare):
            constants: tuple[Any, ...] = (condition.value,)
        elif isinstance(condition, p.Between):
            constants = (condition.low, condition.high)
        elif isinstance(condition, p.InList):
            constants = condition.values
        elif isinstance(condition, (p.Like, p.Regex, p.StartsWith)):
            constants = ("",)
        else:
            return None
        if not constants or not all(self._keeps(value) for value in constants):
            return None
        operand: Any = condition.operand
        column = p.Column(operand.field_id, operand.name, _TYPES[self._cast])
        leaf: Any = condition
        inner: p.Condition = replace(leaf, operand=column)
        return inner

    def _keeps(self, value: object) -> bool:
        if self._cast is Cast.VARCHAR:
            return isinstance(value, str)
        if self._cast is Cast.BOOL or isinstance(value, bool):
            return isinstance(value, bool) and self._cast is Cast.BOOL
        if isinstance(value, int):
            return abs(value) < _EXACT_DOUBLES
        return isinstance(value, float)

    def _existing(self) -> Lookup:
        count = int(np.bitwise_count(self._exists).sum())
        cost = OVERHEAD_US + self.n_rows * MASK_ROW_US
        return Lookup(count, True, cost, lambda source: Mask(self._exists_mask()))

    def _exists_mask(self) -> Bools:
        mask = unpacked(self._exists, self.n_rows)
        return np.zeros(self.n_rows, np.bool_) if mask is None else mask

    def _contains(self, condition: p.Contains, budget_us: float) -> Lookup | None:
        values = condition.values
        if not self._is_here(condition.array) or not values:
            return None
        search_us = self._values.dictionary.search_us(len(values))
        if search_us > budget_us:
            return None
        if not all(self._keeps(value) for value in values):
            return None
        groups = [(value,) for value in values] if condition.needs_all else [values]
        places = self._values.dictionary.places
        chosen = [Chosen(0, 0, places(Members(group))) for group in groups]
        postings = self._values.postings
        counts = [postings.count(one) for one in chosen]
        cost = OVERHEAD_US + search_us
        for one, count in zip(chosen, counts, strict=True):
            cost += postings.cost_us(one, count) + self.n_rows * MASK_ROW_US
        return Lookup(min(counts), False, cost, lambda source: self._rows_with(chosen))

    def _rows_with(self, chosen: list[Chosen]) -> Mask:
        true = self._values.postings.mark(chosen[0])
        for one in chosen[1:]:
            true &= self._values.postings.mark(one)
        return where_known(true, self._values.unknown())


def as_of_regex(mask: Mask, source: ColumnSource, field_id: int) -> Mask:
    """The answer of a regular expression: false where a place holds no string.

    To all other conditions such a row is unknown.
    """
    return Mask(mask.true, unknown_of(source.column(field_id)))


def keys_of(pointer: str) -> tuple[str, ...]:
    """The keys of a JSON pointer (RFC 6901), without its escapes."""
    keys = pointer.split("/")[1:]
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)


def cast_of(name: str) -> tuple[Cast, bool] | None:
    """A cast type by its name, and whether arrays of it; ``None`` for documents."""
    name = name.upper()
    is_array = name.startswith("ARRAY_")
    name = name.removeprefix("ARRAY_")
    return (Cast(name), is_array) if name in Cast.__members__ else None


def json_parts(
    request: ScalarBuild, cast: Cast, *, is_array: bool
) -> dict[str, pa.Array]:
    """The parts of the index of one place in a JSON column."""
    n_rows = len(request.column)
    known, exists = np.zeros(n_rows, np.bool_), np.zeros(n_rows, np.bool_)
    values, units = [], []
    for start in range(0, max(1, n_rows), CHUNK_ROWS):
        request.step(start / max(1, n_rows) * 0.8)
        found = extract(request.column.slice(start, CHUNK_ROWS), request.path)
        end = start + len(found)
        exists[start:end] = found.exists
        if is_array:
            known[start:end] = found.kinds == Kind.ARRAY
            owners = np.repeat(np.arange(len(found)), np.diff(found.offsets))
            inside, column = _of_cast(found.elements, cast)
            rows = owners[inside]
        else:
            inside, column = _of_cast(found, cast)
            known[start:end] = inside
            rows = np.flatnonzero(inside)
        values.append(column)
        units.append(rows + start)
    joined = pa.concat_arrays(values)
    parts = _with_rows(joined, np.concatenate(units), n_rows, is_array=is_array)
    return {
        **parts,
        "unknown": packed(None if known.all() else ~known),
        "exists": packed(exists),
    }


def _of_cast(found: PathColumn, cast: Cast) -> tuple[Bools, pa.Array]:
    """Which rows hold a value of the type, and these values."""
    if cast is Cast.VARCHAR:
        inside: Bools = found.kinds == Kind.STRING
        return inside, found.strings.take(array_of(np.flatnonzero(inside)))
    if cast is Cast.BOOL:
        inside = found.kinds == Kind.BOOL
        return inside, array_of(found.ints[inside])
    return found.is_number, array_of(found.floats[found.is_number])


def _with_rows(
    values: pa.Array, rows: np.ndarray, n_rows: int, *, is_array: bool
) -> dict[str, pa.Array]:
    compared = comparable(values)
    assert compared is not None  # no number of JSON is NaN
    ordered, order = in_order(compared)
    firsts, units = firsts_of(ordered), rows[order]
    if is_array and len(units):
        # a row counts once for a value, however often its array holds it
        is_first = np.zeros(len(units), np.bool_)
        is_first[firsts] = True
        is_first[1:] |= units[1:] != units[:-1]
        kept = np.flatnonzero(is_first)
        ordered, units = ordered.take(array_of(kept)), units[kept]
        firsts = firsts_of(ordered)
    distinct = ordered.take(array_of(firsts))
    return {"values": distinct, **posting_parts(firsts, units, n_rows)}
