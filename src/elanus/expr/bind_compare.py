"""Binding of comparisons, ranges, ``in`` and matches."""

from __future__ import annotations

from elanus.expr import predicate as p
from elanus.expr import tree as ast
from elanus.expr.constants import (
    cast,
    cast_numbers,
    element_name,
    fold_relation,
    proto_text,
    type_of,
)
from elanus.expr.like import literal_of, validate_like, validate_regex
from elanus.expr.refusal import Refusal
from elanus.expr.scope import (
    OPERANDS,
    Bound,
    Const,
    Scope,
    cast_constant,
    refuse_templates,
    refuse_whole_array,
    type_name,
    type_of_bound,
)
from elanus.schema.types import DataType

_REVERSED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def bind_comparison(scope: Scope, tree: ast.Binary, left: Bound, right: Bound) -> Bound:
    """``left op right`` for one of the six comparison operators."""
    op = tree.op
    # most comparisons of most filters need neither a check nor a cast
    if (
        isinstance(left, p.Column)
        and isinstance(right, Const)
        and (left.dtype.value, type(right.value)) in _PLAIN
    ):
        return p.Compare(left, op, right.value)
    if isinstance(left, Const) and isinstance(right, Const):
        refuse_templates(op, left, right)
        folded = fold_relation(op, left.value, right.value)
        if folded is None:
            raise Refusal(
                "comparison operations cannot be applied to two incompatible "
                f"operands: {scope.source_of(tree)}"
            )
        return Const(folded)
    if op not in ("==", "!="):
        refuse_whole_array(left)
        refuse_whole_array(right)
    if not _can_compare(left, right):
        raise Refusal(
            f"comparisons between {type_name(left)} and {type_name(right)} "
            "are not supported"
        )
    if isinstance(left, Const):
        return _compare_constant(right, _REVERSED[op], left)
    if isinstance(right, Const):
        return _compare_constant(left, op, right)
    return _compare_columns(left, op, right)


_PLAIN: frozenset[tuple[int, type]] = frozenset(
    [
        *((kind.value, int) for kind in DataType if kind.is_integer),
        (DataType.VARCHAR.value, str),
        (DataType.DOUBLE.value, float),
    ]
)


def _can_compare(left: Bound, right: Bound) -> bool:
    """Whether the types go together; a template is judged by its cast alone."""
    for side in (left, right):
        if isinstance(side, Const) and (side.template or side.value == ()):
            return True
    return _comparable(_scalar_name(left), _scalar_name(right))


def _scalar_name(bound: Bound) -> str:
    """Type name of a scalar, or of the elements of an array."""
    if isinstance(bound, Const) and isinstance(bound.value, tuple):
        return element_name(bound.value)
    if isinstance(bound, p.Column) and bound.element is not None:
        return bound.element.row.name
    return type_of_bound(bound).row.name


_FAMILY = {kind.row.name: kind.row.family for kind in DataType} | {
    "Float": "integer",
    "Double": "integer",
}


def _comparable(left: str, right: str) -> bool:
    left_family, right_family = _FAMILY.get(left), _FAMILY.get(right)
    if "time" in (left_family, right_family):
        return {left_family, right_family} <= {"time", "integer"}
    if left_family == "json":
        return True
    if left_family not in ("bool", "integer", "string"):
        return False
    return right_family in (left_family, "json")


def _compare_constant(operand: Bound, op: str, constant: Const) -> p.Condition:
    if not isinstance(operand, OPERANDS):
        cast_constant(DataType.BOOL, constant)
        raise Refusal("not supported to combine multiple fields")
    return p.Compare(operand, op, _cast_for(operand, constant))


def _cast_for(operand: p.Operand, constant: Const) -> p.Value:
    """The constant as the operand's type."""
    value = cast_constant(operand.dtype, constant)
    is_json_sum = isinstance(operand, p.Arithmetic) and operand.dtype is DataType.JSON
    if is_json_sum and not type_of(value).is_numeric:
        cast_constant(DataType.DOUBLE, constant)
    if isinstance(operand, p.Column) and operand.element is not None:
        return tuple(cast(operand.element, item) for item in value)
    return value


def _compare_columns(left: Bound, op: str, right: Bound) -> p.Condition:
    kinds = (p.Column, p.Element, p.JsonPath)
    if not (isinstance(left, kinds) and isinstance(right, kinds)):
        raise Refusal("only comparison between two fields is supported")
    if isinstance(left, p.JsonPath) or isinstance(right, p.JsonPath):
        raise Refusal("two column comparison with JSON type is not supported")
    is_time = [side.dtype is DataType.TIMESTAMPTZ for side in (left, right)]
    if DataType.ARRAY in (left.dtype, right.dtype) or is_time[0] != is_time[1]:
        raise Refusal(
            f"comparisons between {type_name(left)} and {type_name(right)} "
            "are not supported"
        )
    return p.CompareColumns(left, op, right)


# --- ranges and lists ------------------------------------------------------------


def bind_range(
    subject: p.Column | p.JsonPath | p.Element,
    low: Const,
    high: Const,
    inclusive: tuple[bool, bool],
) -> p.Condition:
    """``low < subject < high``; ``inclusive`` tells which ends belong to the range."""
    dtype = subject.dtype
    lower, upper = _range_end(dtype, low), _range_end(dtype, high)
    op = ">" if all(inclusive) else ">="
    is_empty = fold_relation(op, lower, upper)
    if is_empty is None:
        raise Refusal("invalid range operations")
    if is_empty:
        raise Refusal("invalid range: lowerbound is greater than upperbound")
    return p.Between(
        subject, cast(dtype, lower), inclusive[0], cast(dtype, upper), inclusive[1]
    )


def _range_end(dtype: DataType, constant: Const) -> p.Value:
    value, names_text = constant.value, constant.template is None
    if dtype is DataType.BOOL:
        raise Refusal("invalid range operations on boolean expr", names_text=names_text)
    kind = type_of(value)
    fits = {
        "string": kind is DataType.VARCHAR,
        "integer": kind is DataType.INT64,
        "time": kind is DataType.INT64,
        "floating": kind.is_numeric,
        "json": kind is DataType.VARCHAR or kind.is_numeric,
    }.get(dtype.row.family, False)
    if not fits:
        raise Refusal("invalid range operations", names_text=names_text)
    return float(value) if dtype.is_floating else value


def bind_in(scope: Scope, tree: ast.Binary, left: Bound, right: Bound) -> p.Condition:
    """``left in right`` and ``left not in right``."""
    if isinstance(left, Const):
        raise Refusal(
            "'term' can only be used on non-const expression, but got: "
            f"{scope.source_of(tree.left)}"
        )
    if not isinstance(left, (p.Column, p.JsonPath, p.Element)):
        raise Refusal(
            "'term' can only be used on single field, but got: "
            f"{scope.source_of(tree.left)}"
        )
    if not isinstance(right, Const):
        text = scope.source_of(tree.right)
        raise Refusal(f"value '{text}' in list cannot be a non-const expression")
    if not isinstance(right.value, tuple):
        if right.template is not None:
            raise Refusal(
                "the value of term expression template variable "
                f"{{{right.template}}} is not array",
                names_text=False,
            )
        text = scope.source_of(tree.right)
        raise Refusal(f"the right-hand side of 'in' must be a list, but got: {text}")
    condition = _membership(left, right)
    return p.Not(condition) if tree.op == "not in" else condition


def _membership(
    operand: p.Column | p.JsonPath | p.Element, constants: Const
) -> p.Condition:
    dtype = operand.dtype
    values = constants.value
    # One C-speed pass over the usual long list, whose elements need no cast of their
    # own.
    types = set(map(type, values))
    if dtype.is_floating and types <= {int, float}:
        values = tuple(cast_numbers(dtype, values))
    elif not types <= _EXACT_TYPES.get(dtype.row.family, frozenset()):
        values = tuple(_list_element(dtype, value, constants) for value in values)
    if dtype is DataType.ARRAY or tuple in types:
        parts = tuple(p.Compare(operand, "==", value) for value in values)
        if len(parts) > 1:
            return p.Or(parts)
        return parts[0] if parts else p.InList(operand, ())
    return p.InList(operand, values)


_EXACT_TYPES: dict[str, frozenset[type]] = {
    "string": frozenset((str,)),
    "bool": frozenset((bool,)),
    "integer": frozenset((int,)),
    "time": frozenset((int,)),
    "json": frozenset((bool, int, float, str, tuple)),
}


def _list_element(dtype: DataType, value: p.Value, constants: Const) -> p.Value:
    try:
        return cast(dtype, value)
    except Refusal:
        raise Refusal(
            f"value '{proto_text(value)}' in list cannot be casted to {dtype.row.name}",
            names_text=constants.template is None,
        ) from None


# --- matches ---------------------------------------------------------------------


def bind_match(
    scope: Scope, tree: ast.Binary, left: Bound, right: Bound
) -> p.Condition:
    """``left like pattern``, ``left =~ pattern`` and ``left !~ pattern``."""
    word = "like" if tree.op == "like" else "regex match"
    if not isinstance(left, (p.Column, p.JsonPath, p.Element)):
        raise Refusal(f"{word} operation on complicated expr is unsupported")
    refuse_whole_array(left)
    if left.dtype not in (DataType.VARCHAR, DataType.JSON):
        if word == "like":
            raise Refusal(
                "like operation on non-string or no-json field is unsupported"
            )
        raise Refusal("regex match on non-string or non-json field is unsupported")
    if not isinstance(right, Const) or not isinstance(right.value, str):
        if isinstance(right, Const) and right.template is not None:
            raise Refusal(
                f"the value of {word} expression template variable "
                f"{{{right.template}}} is not string",
                names_text=False,
            )
        kind = "like" if word == "like" else "regex"
        raise Refusal(
            f"{kind} pattern should be a string literal or template variable, got: "
            f"{scope.source_of(tree.right)}"
        )
    if word == "like":
        literal = literal_of(right.value)
        if literal is not None:
            return p.Compare(left, "==", literal)
        validate_like(right.value)
        return p.Like(left, right.value)
    validate_regex(right.value)
    condition = p.Regex(left, right.value)
    return p.Not(condition) if tree.op == "!~" else condition
