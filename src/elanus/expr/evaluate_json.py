"""Conditions on JSON paths: a value of another type than the constant is unknown.

An integer constant meets a stored integer exactly and a stored float as a double; a
float constant meets both as doubles.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Set
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elanus.expr import predicate as p
from elanus.expr.evaluate_array import rows_with_hits
from elanus.expr.jsonpath import Kind, PathColumn
from elanus.expr.kleene import Bools, Mask, mask_from_arrow, where_known
from elanus.expr.membership import Members, MixedMembers, is_among
from elanus.expr.source import (
    ColumnSource,
    Numeric,
    float_result,
    integer_result,
)

_EXACT_DOUBLES = 1 << 53
_RELATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[..., Any]]] = {
    "==": (operator.eq, pc.equal),
    "!=": (operator.ne, pc.not_equal),
    "<": (operator.lt, pc.less),
    "<=": (operator.le, pc.less_equal),
    ">": (operator.gt, pc.greater),
    ">=": (operator.ge, pc.greater_equal),
}


def json_compare(
    source: ColumnSource, operand: p.Operand, op: str, value: p.Value
) -> Mask:
    """``operand op value`` for a JSON path, or arithmetic on one."""
    if isinstance(operand, p.Arithmetic):
        return _compare_result(source, operand, op, value)
    return _compare(_found(source, operand), op, value)


def json_between(source: ColumnSource, condition: p.Between) -> Mask:
    """A chained range over a JSON path."""
    found = _found(source, condition.operand)
    low_op = ">=" if condition.low_inclusive else ">"
    low = _compare(found, low_op, condition.low)
    high_op = "<=" if condition.high_inclusive else "<"
    high = _compare(found, high_op, condition.high)
    low.true.__iand__(high.true)
    return low


def json_in(source: ColumnSource, operand: p.Operand, members: MixedMembers) -> Mask:
    """``operand in values``: known for rows of any type that the list holds."""
    found = _found(source, operand)
    if not members.types:
        return _decided(np.zeros(len(found), np.bool_), found.kinds > Kind.NULL)
    return _decided(_among(found, members), _kinds_known(found, members.types))


def json_matches(
    source: ColumnSource,
    operand: p.Operand,
    matches: Callable[[pa.Array], pa.BooleanArray],
) -> Mask:
    """A string condition: unknown where the path holds no string."""
    return mask_from_arrow(matches(_found(source, operand).strings))


def json_strings(source: ColumnSource, operand: p.JsonPath) -> pa.Array:
    """What a path holds, null where that is no string."""
    return _found(source, operand).strings


def json_contains(
    found: PathColumn, values: tuple[p.Value, ...], needs_all: bool
) -> Mask:
    """Which arrays hold all, or any, of the values; unknown where there is no array."""
    elements, offsets = found.elements, found.offsets
    if needs_all:
        true = rows_with_hits(offsets, _equal(elements, values[0]))
        for value in values[1:]:
            true &= rows_with_hits(offsets, _equal(elements, value))
    else:
        true = rows_with_hits(offsets, _among(elements, MixedMembers(values)))
    return _decided(true, found.kinds == Kind.ARRAY)


def _found(source: ColumnSource, operand: p.Operand) -> PathColumn:
    assert isinstance(operand, p.JsonPath)
    return source.json_path(operand.field_id, operand.path)


def _decided(true: Bools, known: Bools) -> Mask:
    if known.all():
        return Mask(true)
    return where_known(true, ~known)


# --- one constant ----------------------------------------------------------------


def _compare(found: PathColumn, op: str, value: p.Value) -> Mask:
    relation, arrow_relation = _RELATIONS[op]
    if isinstance(value, bool):
        return _decided(relation(found.ints, int(value)), found.kinds == Kind.BOOL)
    if isinstance(value, str):
        scalar = pa.scalar(value, pa.large_string())
        return mask_from_arrow(arrow_relation(found.strings, scalar))
    if isinstance(value, tuple):
        equal = _equals_list(found, value)
        if op == "!=":
            np.logical_not(equal, out=equal)
        return _decided(equal, found.kinds == Kind.ARRAY)
    return _decided(_number_relation(found, op, value), found.is_number)


def _number_relation(found: PathColumn, op: str, value: int | float) -> Bools:
    """``number op value``; arbitrary where the row holds no number."""
    relation = _RELATIONS[op][0]
    if isinstance(value, float) or abs(value) < _EXACT_DOUBLES:
        # A double decides exactly: integers beyond 2**53 round away from the constant.
        true: Bools = relation(found.floats, float(value))
        return true
    is_int = found.kinds == Kind.INT
    as_doubles = relation(found.floats, float(value))
    chosen: Bools = np.where(is_int, relation(found.ints, value), as_doubles)
    return chosen


def _compare_result(
    source: ColumnSource, operand: p.Arithmetic, op: str, value: int | float
) -> Mask:
    found = _found(source, operand.operand)
    relation = _RELATIONS[op][0]
    true = relation(float_result(operand.op, found.floats, operand.number), value)
    if isinstance(operand.number, int):
        whole: Numeric = integer_result(operand.op, found.ints, operand.number)
        true = np.where(found.kinds == Kind.INT, relation(whole, value), true)
    return _decided(true, found.is_number)


# --- several constants -----------------------------------------------------------


def _among(found: PathColumn, members: MixedMembers) -> Bools:
    """Which rows equal some value; strings, numbers, bools and lists never meet."""
    true = np.zeros(len(found), np.bool_)
    types = members.types
    if int in types or float in types:
        true |= _numbers_among(found, members.numbers, exactly=float not in types)
    if str in types:
        true |= is_among(found.strings, members.strings)
    if bool in types:
        true |= is_among(found.ints, members.bools) & (found.kinds == Kind.BOOL)
    for value in members.lists if tuple in types else ():
        true |= _equals_list(found, value)
    return true


def _equal(found: PathColumn, value: p.Value) -> Bools:
    return _among(found, MixedMembers((value,)))


def _numbers_among(found: PathColumn, members: Members, *, exactly: bool) -> Bools:
    as_doubles = is_among(found.floats, members)
    if not exactly:
        return as_doubles
    exact = is_among(found.ints, members)
    chosen: Bools = np.where(found.kinds == Kind.INT, exact, as_doubles)
    return chosen


def _kinds_known(found: PathColumn, types: Set[type]) -> Bools:
    known = np.zeros(len(found), np.bool_)
    if int in types or float in types:
        known |= found.is_number
    for kind, type_ in ((Kind.STRING, str), (Kind.BOOL, bool), (Kind.ARRAY, tuple)):
        if type_ in types:
            known |= found.kinds == kind
    return known


def _equals_list(found: PathColumn, wanted: tuple[p.Value, ...]) -> Bools:
    """Which rows hold exactly this array, compared element by element."""
    offsets = found.offsets
    true: Bools = (found.kinds == Kind.ARRAY) & (np.diff(offsets) == len(wanted))
    for i, value in enumerate(wanted):
        rows = np.flatnonzero(true)
        if not rows.size:
            break
        true[rows] = _equal(found.elements, value)[offsets[rows] + i]
    return true
