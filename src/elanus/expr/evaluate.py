"""Predicates to row masks, over whole columns.

Fixed-width columns are compared by NumPy on the Arrow buffer, strings by Arrow's
kernels. Arrays, JSON paths and geometries have files of their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.elements import ElementSource, match_rows
from elanus.expr.evaluate_array import array_contains, array_equals
from elanus.expr.evaluate_json import (
    json_between,
    json_compare,
    json_contains,
    json_in,
    json_matches,
    json_strings,
)
from elanus.expr.kleene import (
    Bools,
    Mask,
    conjunction,
    constant_mask,
    disjunction,
    invert,
    mask_from_arrow,
    unknown_of,
    where_known,
)
from elanus.expr.like import matches_like, matches_regex
from elanus.expr.membership import is_among
from elanus.expr.narrow import (
    FEW_ROWS_LEFT,
    NarrowedSource,
    conjunction_at,
    is_costly,
    rows_left,
)
from elanus.expr.source import (
    ColumnSource,
    IndexedSource,
    Numbers,
    Strings,
    read,
)
from elanus.expr.text_condition import TextMatch
from elanus.schema.arrays import scalar_of_text
from elanus.schema.types import DataType

_NUMPY_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARROW_RELATIONS: dict[str, Callable[..., Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def evaluate(
    predicate: p.Predicate,
    source: ColumnSource,
    rng: np.random.Generator | None = None,
) -> Bools:
    """Which rows satisfy a predicate; neither false nor unknown rows do.

    ``rng`` draws the rows of ``random_sample`` and is needed only for that.

    Returns:
        (n_rows,) bool, the caller's to keep and change.
    """
    mask = truth(predicate.condition, source).true
    if predicate.sample is None:
        return mask
    if rng is None:
        raise InternalError("random_sample needs a source of randomness")
    return _drawn(
        mask, predicate.sample, rng, is_of_all=predicate.condition == p.Always(True)
    )


def truth(condition: p.Condition, source: ColumnSource) -> Mask:
    """The three-valued answer of a condition for each row."""
    if isinstance(source, IndexedSource):
        served = source.served(condition)
        if served is not None:
            return served
    return _EVALUATORS[type(condition)](condition, source)


def _drawn(
    mask: Bools, factor: float, rng: np.random.Generator, *, is_of_all: bool
) -> Bools:
    """Exactly max(1, floor(n × factor)) of the n rows, uniformly.

    More than half of all rows are drawn, as in Milvus, by leaving out
    max(1, floor(n × (1 - factor))); but one is kept.
    """
    rows = np.flatnonzero(mask)
    if rows.size == 0:
        return mask
    wanted = max(1, int(rows.size * factor))
    if is_of_all and factor > 0.5:
        wanted = max(1, rows.size - max(1, int(rows.size * (1 - factor))))
    sample = np.zeros_like(mask)
    sample[rng.choice(rows, wanted, replace=False, shuffle=False)] = True
    return sample


def _always(condition: p.Always, source: ColumnSource) -> Mask:
    return constant_mask(condition.value, source.n_rows)


def _and(condition: p.And, source: ColumnSource) -> Mask:
    """Cheap parts first; costly ones on the rows that are left, if those are few."""
    costly = [part for part in condition.parts if _is_late(part, source)]
    if not costly or len(costly) == len(condition.parts):
        return conjunction(truth(part, source) for part in condition.parts)
    cheap = [part for part in condition.parts if not _is_late(part, source)]
    mask = conjunction(truth(part, source) for part in cheap)
    rows = rows_left(mask)
    if rows.size * FEW_ROWS_LEFT > source.n_rows:
        return conjunction(chain((mask,), (truth(part, source) for part in costly)))
    narrowed = NarrowedSource(source, rows)
    inner = conjunction(truth(part, narrowed) for part in costly)
    return conjunction_at(mask, rows, inner)


def _is_late(part: p.Condition, source: ColumnSource) -> bool:
    """Whether a part of a conjunction had better wait for the others."""
    if not is_costly(part):
        return False
    return not (isinstance(source, IndexedSource) and source.serves(part))


def _or(condition: p.Or, source: ColumnSource) -> Mask:
    return disjunction(truth(part, source) for part in condition.parts)


def _not(condition: p.Not, source: ColumnSource) -> Mask:
    return invert(truth(condition.part, source))


# --- comparisons -----------------------------------------------------------------


def _compare(condition: p.Compare, source: ColumnSource) -> Mask:
    operand, op, value = condition.operand, condition.op, condition.value
    if operand.dtype is DataType.JSON:
        return json_compare(source, operand, op, value)
    if operand.dtype is DataType.ARRAY:
        equal = array_equals(source.column(operand.field_id), value)
        return equal if op == "==" else invert(equal)
    return _relation(read(source, operand), op, value)


def _relation(values: Numbers | Strings, op: str, value: p.Value) -> Mask:
    """``values op value``; Python integers of any size compare exactly."""
    if isinstance(values, Strings):
        scalar = scalar_of_text(value, values.values.type)
        return mask_from_arrow(_ARROW_RELATIONS[op](values.values, scalar))
    if values.values.dtype == np.float32:
        value = np.float32(value)
    return where_known(_NUMPY_RELATIONS[op](values.values, value), values.unknown)


def _compare_columns(condition: p.CompareColumns, source: ColumnSource) -> Mask:
    left, right = read(source, condition.left), read(source, condition.right)
    if isinstance(left, Strings) and isinstance(right, Strings):
        relation = _ARROW_RELATIONS[condition.op]
        return mask_from_arrow(relation(left.values, right.values))
    assert isinstance(left, Numbers) and isinstance(right, Numbers)
    true = _NUMPY_RELATIONS[condition.op](left.values, right.values)
    if left.unknown is None or right.unknown is None:
        return where_known(
            true, right.unknown if left.unknown is None else left.unknown
        )
    return where_known(true, left.unknown | right.unknown)


def _between(condition: p.Between, source: ColumnSource) -> Mask:
    if condition.operand.dtype is DataType.JSON:
        return json_between(source, condition)
    values = read(source, condition.operand)
    low = _relation(values, ">=" if condition.low_inclusive else ">", condition.low)
    high = _relation(values, "<=" if condition.high_inclusive else "<", condition.high)
    low.true.__iand__(high.true)
    return low


def _in_list(condition: p.InList, source: ColumnSource) -> Mask:
    operand = condition.operand
    if operand.dtype is DataType.JSON:
        return json_in(source, operand, condition.mixed)
    if operand.dtype in (DataType.ARRAY, DataType.GEOMETRY):  # in no list but []
        unknown = unknown_of(source.column(operand.field_id))
        return Mask(np.zeros(source.n_rows, np.bool_), unknown)
    values = read(source, operand)
    if isinstance(values, Strings):
        true = is_among(values.values, condition.members)
        return where_known(true, unknown_of(values.values))
    return where_known(is_among(values.values, condition.members), values.unknown)


# --- strings and nulls -----------------------------------------------------------


def _like(condition: p.Like, source: ColumnSource) -> Mask:
    return _match(condition.operand, source, matches_like, condition.pattern)


def _regex(condition: p.Regex, source: ColumnSource) -> Mask:
    operand, pattern = condition.operand, condition.pattern
    if isinstance(operand, p.JsonPath):
        strings = json_strings(source, operand)
    elif isinstance(operand, p.Element):
        strings = _strings_of(source, operand)
    else:
        return _match(operand, source, matches_regex, pattern)
    # Unlike all others, this condition is false where a path leads to no string or an
    # array ends before the element, so that ``!~`` finds such rows, as Milvus does.
    true = mask_from_arrow(matches_regex(strings, pattern)).true
    return where_known(true, unknown_of(source.column(operand.field_id)))


def _starts_with(condition: p.StartsWith, source: ColumnSource) -> Mask:
    return _match(condition.operand, source, pc.starts_with, condition.prefix)


def _match(
    operand: p.Operand,
    source: ColumnSource,
    matches: Callable[[pa.Array, str], Any],
    pattern: str,
) -> Mask:
    if operand.dtype is DataType.JSON:
        return json_matches(source, operand, lambda s: matches(s, pattern))
    return mask_from_arrow(matches(_strings_of(source, operand), pattern))


def _strings_of(source: ColumnSource, operand: p.Operand) -> pa.Array:
    values = read(source, operand)
    assert isinstance(values, Strings)
    return values.values


def _null(condition: p.Null, source: ColumnSource) -> Mask:
    unknown = unknown_of(source.column(condition.column.field_id))
    if unknown is None:
        return constant_mask(False, source.n_rows)
    return Mask(unknown)


def _exists(condition: p.Exists, source: ColumnSource) -> Mask:
    path = condition.path
    return Mask(source.json_path(path.field_id, path.path).exists.copy())


def _contains(condition: p.Contains, source: ColumnSource) -> Mask:
    array = condition.array
    if isinstance(array, p.JsonPath):
        found = source.json_path(array.field_id, array.path)
        return json_contains(found, condition.values, condition.needs_all)
    column = source.column(array.field_id)
    return array_contains(column, condition.values, condition.needs_all)


def _spatial(condition: p.Spatial, source: ColumnSource) -> Mask:
    # GEOS is loaded by what meets a geometry
    from elanus.expr.evaluate_spatial import spatial

    return spatial(condition, source)


def _match_elements(condition: p.Match, source: ColumnSource) -> Mask:
    elements = ElementSource(source, condition.field_id)
    return match_rows(condition, source, truth(condition.part, elements).true)


def _text_match(condition: TextMatch, source: ColumnSource) -> Mask:
    field_id = condition.operand.field_id
    true = condition.query.rows(source.texts(field_id), source.n_rows)
    return where_known(true, unknown_of(source.column(field_id)))


_EVALUATORS: dict[type, Callable[[Any, ColumnSource], Mask]] = {
    p.Always: _always,
    p.And: _and,
    p.Or: _or,
    p.Not: _not,
    p.Compare: _compare,
    p.CompareColumns: _compare_columns,
    p.Between: _between,
    p.InList: _in_list,
    p.Like: _like,
    p.Regex: _regex,
    p.StartsWith: _starts_with,
    p.Null: _null,
    p.Exists: _exists,
    p.Contains: _contains,
    p.Match: _match_elements,
    p.Spatial: _spatial,
    TextMatch: _text_match,
}
