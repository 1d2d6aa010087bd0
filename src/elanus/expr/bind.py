"""Expressions to predicates: names, types, constants, templates.

Owns ``compile_filter`` and the boolean structure; comparisons, arithmetic and functions
have files of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from elanus.errors import QueryPlanError
from elanus.expr import predicate as p
from elanus.expr import tree as ast
from elanus.expr.bind_arithmetic import BIT_NAMES, bind_arithmetic, bind_bits
from elanus.expr.bind_compare import (
    bind_comparison,
    bind_in,
    bind_match,
    bind_range,
)
from elanus.expr.bind_elements import (
    bind_match_elements,
    is_element_filter,
    match_kind,
    refuse_early_filter,
)
from elanus.expr.bind_functions import bind_call
from elanus.expr.bind_text import bind_text, text_function
from elanus.expr.bind_times import bind_moment, bind_time_comparison, time_column
from elanus.expr.combine import all_of, any_of, negation
from elanus.expr.constants import fold_arithmetic
from elanus.expr.parser import CACHED_CHARACTERS, parse
from elanus.expr.refusal import Refusal
from elanus.expr.scope import (
    NO_CONDITIONS,
    OPERANDS,
    Bound,
    Const,
    Sampled,
    Scope,
    refuse_whole_array,
    type_name,
)
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType
from elanus.schema.zones import UTC

_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


def compile_filter(
    text: str,
    schema: CollectionSchema,
    params: Mapping[str, Any] | None = None,
    zone: str = UTC,
) -> p.Predicate:
    """The predicate that a filter expression means for a collection.

    A blank text is true for every row. ``params`` holds the values of ``{name}``
    templates: bool, int, float, str, or lists of these; ``zone`` is that of points in
    time that name none.

    Raises:
        QueryPlanError: the text does not parse, names an unknown field, or compares
            what cannot be compared; the message says which.
    """
    if params or len(text) > CACHED_CHARACTERS:
        return _compile(text, schema, params or {}, zone)
    return _compile_cached(text, _Same(schema), zone)


class _Same:
    """A schema by identity, which is quicker to compare and to hash than its fields."""

    __slots__ = ("schema",)

    def __init__(self, schema: CollectionSchema) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.schema is self.schema

    def __hash__(self) -> int:
        return id(self.schema)


@lru_cache(maxsize=512)
def _compile_cached(text: str, same: _Same, zone: str) -> p.Predicate:
    return _compile(text, same.schema, {}, zone)


def _compile(
    text: str, schema: CollectionSchema, params: Mapping[str, Any], zone: str
) -> p.Predicate:
    primary_id = schema.primary.id
    if not text or text.isspace():
        return p.Predicate(p.Always(True), primary_id)
    scope = Scope(text, schema, params, zone)
    try:
        condition, factor = _whole(scope, bind(scope, parse(text)))
    except Refusal as refusal:
        raise QueryPlanError(refusal.message(text)) from None
    except RecursionError:
        too_deep = Refusal("expression nesting depth exceeds the limit")
        raise QueryPlanError(too_deep.message(text)) from None
    return p.Predicate(condition, primary_id, factor)


def _whole(scope: Scope, bound: Bound) -> tuple[p.Condition, float | None]:
    """The condition and sample factor of an entire expression."""
    if isinstance(bound, Const) and isinstance(bound.value, bool):
        return p.Always(bound.value), None
    if isinstance(bound, Sampled):
        return bound.condition, bound.factor
    if isinstance(bound, NO_CONDITIONS):
        raise Refusal(
            f"predicate is not a boolean expression: {scope.text}, "
            f"data type: {type_name(bound)}",
            names_text=False,
        )
    return bound, None


def bind(scope: Scope, tree: ast.Tree) -> Bound:
    """A tree with its names and types resolved and its constants folded.

    Raises:
        Refusal: the expression makes no sense for this collection.
    """
    return _BINDERS[type(tree)](scope, tree)


def _bind_literal(scope: Scope, tree: ast.Literal) -> Const:
    return Const(tree.value)


def _bind_constants(scope: Scope, tree: ast.ConstantList) -> Const:
    return Const(tree.values)


def _bind_name(scope: Scope, tree: ast.Name) -> Bound:
    return scope.resolve(tree)


def _bind_template(scope: Scope, tree: ast.Template) -> Const:
    return scope.constant(tree)


def _bind_time(scope: Scope, tree: ast.Moment | ast.Interval) -> Bound:
    raise Refusal(f"no viable alternative at input '{scope.source_of(tree)}'")


def _bind_call(scope: Scope, tree: ast.Call) -> Bound:
    kind = match_kind(tree.name)
    if kind is not None:
        return bind_match_elements(scope, tree, kind, bind)
    text = text_function(tree.name)
    if text is not None:
        return bind_text(scope, tree, text, bind)
    return bind_call(scope, tree, [bind(scope, a) for a in tree.arguments])


def _bind_binary(scope: Scope, tree: ast.Binary) -> Bound:
    op = tree.op
    if op in ("<<", ">>"):
        raise Refusal(f"shift is not supported: {scope.source_of(tree)}")
    if op in _COMPARISONS and ast.Moment in (type(tree.left), type(tree.right)):
        return bind_time_comparison(scope, tree)
    left = bind(scope, tree.left)
    if op in ("in", "not in"):
        return bind_in(scope, tree, left, bind(scope, tree.right))
    if op in ("like", "=~", "!~"):
        return bind_match(scope, tree, left, bind(scope, tree.right))
    if op in _COMPARISONS:
        return bind_comparison(scope, tree, left, bind(scope, tree.right))
    if isinstance(tree.right, ast.Template) and isinstance(left, OPERANDS):
        right: Bound = scope.constant(
            tree.right, "the right operand value of expression"
        )
    else:
        right = bind(scope, tree.right)
    if op == "**":
        if not (isinstance(left, Const) and isinstance(right, Const)):
            text = scope.source_of(tree)
            raise Refusal(f"power can only apply on constants: {text}")
        return Const(fold_arithmetic(op, left.value, right.value))
    if op in BIT_NAMES:
        return bind_bits(scope, tree, left, right)
    return bind_arithmetic(op, left, right)


def _bind_range(scope: Scope, tree: ast.Range) -> Bound:
    subject = scope.resolve(tree.subject)
    refuse_whole_array(subject)
    low, high = tree.first, tree.last
    low_op, high_op = tree.first_op, tree.last_op
    if low_op[0] == ">":
        low, high, low_op, high_op = high, low, high_op, low_op
    ends: list[Const] = []
    for name, end in (("lower", low), ("upper", high)):
        if isinstance(end, ast.Template):
            ends.append(scope.constant(end, f"the {name} value of expression"))
            continue
        if isinstance(end, ast.Moment):
            time_column(scope, tree.subject)
            ends.append(bind_moment(scope, end))
            continue
        bound = bind(scope, end)
        if not isinstance(bound, Const):
            text = scope.source_of(end)
            raise Refusal(f"{name}bound cannot be a non-const expression: {text}")
        ends.append(bound)
    inclusive = (low_op.endswith("="), high_op.endswith("="))
    return bind_range(subject, ends[0], ends[1], inclusive)


def _bind_list(scope: Scope, tree: ast.List) -> Const:
    values = []
    for item in tree.items:
        bound = None if isinstance(item, ast.Template) else bind(scope, item)
        if not isinstance(bound, Const):
            text = scope.source_of(item)
            raise Refusal(f"array element type must be generic value, but got: {text}")
        values.append(bound.value)
    return Const(tuple(values))


# --- boolean structure -----------------------------------------------------------


def _bind_logical(scope: Scope, tree: ast.Logical) -> Bound:
    op = tree.op
    bounds = [bind(scope, operand) for operand in tree.operands]
    if all(isinstance(bound, Const) for bound in bounds):
        values = [bound.value for bound in bounds if isinstance(bound, Const)]
        if not all(isinstance(value, bool) for value in values):
            raise Refusal(f"{op} can only apply on boolean")
        return Const(all(values) if op == "and" else any(values))
    refuse_early_filter(op, bounds[:-1])
    factor = None
    parts: list[p.Condition] = []
    for i, bound in enumerate(bounds):
        if isinstance(bound, Sampled):
            factor = _sample_factor(op, bound, is_last=i == len(bounds) - 1)
            parts.append(bound.condition)
        elif isinstance(bound, Const) and isinstance(bound.value, bool):
            parts.append(p.Always(bound.value))
        elif isinstance(bound, NO_CONDITIONS):
            raise Refusal(f"'{op}' can only be used between boolean expressions")
        else:
            parts.append(bound)
    condition = all_of(parts) if op == "and" else any_of(parts)
    return condition if factor is None else Sampled(condition, factor)


def _sample_factor(op: str, sampled: Sampled, *, is_last: bool) -> float:
    if op == "or":
        raise Refusal(
            "random sample expression cannot be used in logical and expression"
        )
    if not is_last:
        raise Refusal(
            "random sample expression can only be the last expression in the "
            "logical and expression"
        )
    return sampled.factor


def _bind_unary(scope: Scope, tree: ast.Unary) -> Bound:
    bound = bind(scope, tree.operand)
    op = tree.op
    if op == "exists":
        return _exists(scope, tree, bound)
    if isinstance(bound, Const):
        return _fold_unary(op, bound)
    if isinstance(bound, Sampled):
        raise Refusal("random sample expression cannot be used in unary expression")
    if is_element_filter(bound):
        raise Refusal("element filter expression cannot be used in unary expression")
    refuse_whole_array(bound)
    if op == "+":
        return bound
    if op != "not":
        raise Refusal(f"unexpected op: {op}")
    if isinstance(bound, OPERANDS):
        raise Refusal("not op can only be applied on boolean expression")
    return negation(bound)


def _fold_unary(op: str, constant: Const) -> Const:
    value = constant.value
    if op == "not":
        if not isinstance(value, bool):
            raise Refusal("not can only apply on boolean")
        return Const(not value)
    if isinstance(value, (bool, str, tuple)) or op == "~":
        raise Refusal(f"unexpected op: {op}")
    return Const(fold_arithmetic("*", value, -1) if op == "-" else value)


def _exists(scope: Scope, tree: ast.Unary, bound: Bound) -> p.Condition:
    if not isinstance(bound, (p.Column, p.JsonPath, p.Element)):
        raise Refusal(
            "exists operations are only supported on single fields now, got: "
            f"{scope.source_of(tree.operand)}"
        )
    if not isinstance(bound, p.JsonPath):
        dtype = bound.dtype if isinstance(bound, p.Column) else DataType.ARRAY
        raise Refusal(
            f"exists operations are only supportted on json field, got:{dtype.row.name}"
        )
    if not bound.path:
        raise Refusal("exists operations are only supportted on json key")
    return p.Exists(bound)


def _bind_is_null(scope: Scope, tree: ast.IsNull) -> p.Condition:
    operand = scope.resolve(tree.operand)
    condition: p.Condition
    if isinstance(operand, p.Element):
        raise Refusal(
            "IsNull/IsNotNull operations are not supported on array element access, "
            f"got: {scope.source_of(tree.operand)}"
        )
    if isinstance(operand, p.JsonPath) and operand.path:
        condition = p.Exists(operand)
        return condition if tree.negated else p.Not(condition)
    field = scope.schema.by_id[operand.field_id]
    if field.is_vector and not field.is_vector_list:
        raise Refusal("IsNull/IsNotNull operations are not supported on vector fields")
    condition = p.Null(p.Column(field.id, field.name, field.dtype, field.element_type))
    if not field.nullable:
        condition = p.Always(False)
    return negation(condition) if tree.negated else condition


_BINDERS: dict[type, Callable[[Scope, Any], Bound]] = {
    ast.Literal: _bind_literal,
    ast.ConstantList: _bind_constants,
    ast.List: _bind_list,
    ast.Template: _bind_template,
    ast.Name: _bind_name,
    ast.Moment: _bind_time,
    ast.Interval: _bind_time,
    ast.Unary: _bind_unary,
    ast.IsNull: _bind_is_null,
    ast.Binary: _bind_binary,
    ast.Logical: _bind_logical,
    ast.Range: _bind_range,
    ast.Call: _bind_call,
}
