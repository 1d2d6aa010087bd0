"""Binding of arithmetic: one column and one constant, or constants alone."""

from __future__ import annotations

from typing import Final

from elanus.expr import predicate as p
from elanus.expr import tree as ast
from elanus.expr.constants import (
    OPERATOR_NAMES,
    fold_arithmetic,
    fold_bits,
    type_of,
    wrap_int64,
)
from elanus.expr.refusal import Refusal
from elanus.expr.scope import (
    Bound,
    Const,
    Sampled,
    Scope,
    cast_constant,
    refuse_templates,
    refuse_whole_array,
    type_of_bound,
)
from elanus.schema.types import DataType

BIT_NAMES: Final = {"&": "BitAnd", "|": "BitOr", "^": "BitXor"}
_READ: Final = (p.Column, p.JsonPath, p.Element, p.Length)


def bind_arithmetic(op: str, left: Bound, right: Bound) -> Bound:
    """``left op right`` for one of ``+ - * / %``."""
    if isinstance(left, Const) and isinstance(right, Const):
        refuse_templates(op, left, right)
        return Const(fold_arithmetic(op, left.value, right.value))
    refuse_whole_array(left)
    refuse_whole_array(right)
    _check_arithmetic_types(op, left, right)
    if isinstance(left, Const):
        constant, operand = left, right
        if op not in "+*":
            raise Refusal("module field is not yet supported")
    elif isinstance(right, Const):
        constant, operand = right, left
    else:
        if isinstance(left, p.Arithmetic) or isinstance(right, p.Arithmetic):
            raise Refusal("complicated arithmetic operations are not supported")
        raise Refusal(
            "not supported to do arithmetic operations between multiple fields"
        )
    if isinstance(operand, _READ):
        return _arithmetic(op, operand, constant)
    chained = None
    if isinstance(operand, p.Arithmetic):
        chained = _chained(op, operand, constant)
    if chained is None:
        raise Refusal("complicated arithmetic operations are not supported")
    return chained


def _arithmetic(
    op: str, operand: p.Column | p.JsonPath | p.Element | p.Length, constant: Const
) -> p.Arithmetic:
    dtype = operand.dtype
    if dtype.is_integer:
        dtype = DataType.INT64
    elif dtype.is_floating:
        dtype = DataType.DOUBLE
    is_number = type_of(constant.value).is_numeric
    kind = DataType.DOUBLE if dtype is DataType.JSON and not is_number else dtype
    number = cast_constant(kind, constant)
    if op in "/%" and number == 0:
        raise Refusal("division or modulus by zero")
    if op == "%" and not isinstance(number, int):
        raise Refusal(
            "modulo can only apply on integer types",
            names_text=constant.template is None,
        )
    return p.Arithmetic(op, operand, number, dtype)


def _check_arithmetic_types(op: str, left: Bound, right: Bound) -> None:
    for side in (left, right):
        if isinstance(side, Const) and side.template is not None:
            return
    first, second = type_of_bound(left), type_of_bound(right)
    if isinstance(left, Const):
        first, second = second, first
    if isinstance(left, Sampled) or not _can_calculate(first, second):
        raise Refusal(
            f"'{OPERATOR_NAMES[op]}' cannot perform arithmetic between "
            f"{first.row.name} field and {second.row.name}"
        )
    if op == "%" and (first.is_floating or second.is_floating):
        raise Refusal("modulo can only apply on integer types")


def _can_calculate(first: DataType, second: DataType) -> bool:
    if first.is_integer:
        return second.is_integer or second is DataType.JSON
    if first.is_floating:
        return second.is_numeric or second is DataType.JSON
    return first is DataType.JSON and second.is_numeric


def _chained(op: str, inner: p.Arithmetic, constant: Const) -> p.Arithmetic | None:
    """``inner op constant`` as one step, where integers make that exact.

    Both wrap round alike, so that it does not matter how large the steps are.
    """
    first, second = inner.number, constant.value
    if not (isinstance(first, int) and type(second) is int):
        return None
    if inner.dtype is not DataType.INT64:
        return None
    if inner.op == op == "*":
        product = wrap_int64(first * second)
        return p.Arithmetic("*", inner.operand, product, inner.dtype)
    if not {inner.op, op} <= {"+", "-"}:
        return None
    first = first if inner.op == "+" else -first
    total = wrap_int64(first + second if op == "+" else first - second)
    return p.Arithmetic("+", inner.operand, total, inner.dtype)


def bind_bits(scope: Scope, tree: ast.Binary, left: Bound, right: Bound) -> Bound:
    """``left op right`` for one of ``& | ^``: an integer column and a constant."""
    op = tree.op
    if isinstance(left, Const) and isinstance(right, Const):
        refuse_templates(op, left, right)
        if type(left.value) is int and type(right.value) is int:
            return Const(fold_bits(op, left.value, right.value))
    constant, operand = (left, right) if isinstance(left, Const) else (right, left)
    if (
        isinstance(constant, Const)
        and type(constant.value) is int
        and isinstance(operand, _READ)
        and operand.dtype.is_integer
    ):
        return p.Arithmetic(op, operand, constant.value, DataType.INT64)
    raise Refusal(f"{BIT_NAMES[op]} is not supported: {scope.source_of(tree)}")
