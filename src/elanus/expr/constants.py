"""Constants at bind time: their types, casts to a column's type, and folding.

Semantics follow Milvus' planner, which is written in Go: int64 wraps round, integer
division truncates toward zero.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elanus.expr.predicate import Value
from elanus.expr.refusal import Refusal
from elanus.schema.types import DataType

OPERATOR_NAMES = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "modulo",
}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def type_of(value: Value) -> DataType:
    """The type that a constant has before any cast."""
    return _TYPES[type(value)]


def type_of_python(kind: type) -> DataType:
    """The type of constants that Python has as ``kind``."""
    return _TYPES[kind]


_TYPES = {
    bool: DataType.BOOL,
    int: DataType.INT64,
    float: DataType.DOUBLE,
    str: DataType.VARCHAR,
    tuple: DataType.ARRAY,
}


def element_name(values: tuple[Value, ...]) -> str:
    """The type that a list's elements share (Double for mixed numbers), or None."""
    kinds = {type_of(v) for v in values}
    if kinds == {DataType.INT64, DataType.DOUBLE}:
        return DataType.DOUBLE.row.name
    return kinds.pop().row.name if len(kinds) == 1 else "None"


def cast(dtype: DataType, value: Value) -> Value:
    """A constant as the type it is compared with.

    Integers keep their value, however far outside the column's range. Floats are
    rounded to float32 for a Float column, whose values are compared as float32.

    Raises:
        Refusal: the types do not go together.
    """
    kind = type(value)
    if dtype is DataType.JSON:
        return value
    if (dtype.is_integer or dtype is DataType.TIMESTAMPTZ) and kind is int:
        return value
    if dtype.is_floating and kind in (int, float):
        return round_to_float32(value) if dtype is DataType.FLOAT else float(value)
    if dtype is DataType.VARCHAR and kind is str:
        return value
    if dtype is DataType.BOOL and kind is bool:
        return value
    if dtype is DataType.ARRAY and kind is tuple:
        return value
    raise Refusal(f"cannot cast value to {dtype.row.name}, value: {proto_text(value)}")


def cast_numbers(dtype: DataType, values: Sequence[int | float]) -> list[float]:
    """Numbers as :func:`cast` makes them for a Float or Double column, all at once."""
    doubles = np.array(values, np.float64)
    if dtype is DataType.FLOAT:
        with np.errstate(over="ignore"):
            doubles = doubles.astype(np.float32).astype(np.float64)
    numbers: list[float] = doubles.tolist()
    return numbers


def round_to_float32(value: float) -> float:
    """The nearest float32, infinite when out of its range."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def proto_text(value: Value) -> str:
    """A constant as Milvus' messages show it: ``int64_val:1``."""
    if isinstance(value, bool):
        return f"bool_val:{'true' if value else 'false'}"
    if isinstance(value, int):
        return f"int64_val:{value}"
    if isinstance(value, float):
        text = repr(value)
        return f"float_val:{text[:-2] if text.endswith('.0') else text}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'string_val:"{escaped}"'
    items = " ".join(f"array:{{{proto_text(v)}}}" for v in value)
    return f"array_val:{{{items}}}"


def fold_relation(op: str, left: Value, right: Value) -> bool | None:
    """``left op right`` of two constants; None when they cannot be compared."""
    numbers = _is_number(left) and _is_number(right)
    strings = isinstance(left, str) and isinstance(right, str)
    bools = isinstance(left, bool) and isinstance(right, bool) and op in ("==", "!=")
    return _RELATIONS[op](left, right) if numbers or strings or bools else None


def fold_arithmetic(op: str, left: Value, right: Value) -> int | float:
    """``left op right`` of two numbers.

    Raises:
        Refusal: they are not numbers, or the divisor is zero.
    """
    if not (_is_number(left) and _is_number(right)):
        raise Refusal(
            f"'{OPERATOR_NAMES.get(op, 'power')}' can only be applied on numbers, got: "
            f"{proto_text(left)} and {proto_text(right)}"
        )
    if op == "**":
        return _power(left, right)
    if op == "/" and right == 0:
        raise Refusal("cannot divide by zero")
    if op == "%":
        if not (isinstance(left, int) and isinstance(right, int)):
            raise Refusal("modulo can only apply on integer")
        if right == 0:
            raise Refusal("cannot modulo by zero")
    if isinstance(left, int) and isinstance(right, int):
        return wrap_int64(_integer_arithmetic(op, left, right))
    try:
        return float(_FLOAT_ARITHMETIC[op](float(left), float(right)))
    except OverflowError:
        raise Refusal("constant arithmetic is out of range") from None


def fold_bits(op: str, left: int, right: int) -> int:
    """``left op right`` of two int64."""
    return _BITS[op](left, right)


_BITS: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def wrap_int64(value: int) -> int:
    """The int64 that has the low 64 bits of ``value``."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _integer_arithmetic(op: str, left: int, right: int) -> int:
    if op in "+-*":
        return int(_FLOAT_ARITHMETIC[op](left, right))
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return quotient if op == "/" else left - quotient * right


_FLOAT_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _power(base: int | float, exponent: int | float) -> int | float:
    try:
        power = math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise Refusal("constant power is out of range") from None
    integers = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    if integers and abs(power) < 2.0**63:
        return int(base**exponent)
    return power


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
