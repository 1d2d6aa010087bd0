"""Binding of comparisons with points in time: ``ts + INTERVAL 'P1D' > ISO '...'``."""

from __future__ import annotations

from elanus.expr import predicate as p
from elanus.expr import tree as ast
from elanus.expr.durations import Duration, duration_of
from elanus.expr.refusal import Refusal
from elanus.expr.scope import Const, Scope
from elanus.schema.time_texts import UnreadableTime, microseconds
from elanus.schema.types import DataType

_REVERSED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_STANDING = Duration()


def bind_moment(scope: Scope, tree: ast.Moment) -> Const:
    """A point in time as microseconds.

    Raises:
        Refusal: the text is none.
    """
    try:
        return Const(microseconds(tree.text, scope.zone))
    except UnreadableTime as error:
        raise Refusal(error.reason) from None


def bind_time_comparison(scope: Scope, tree: ast.Binary) -> p.Condition:
    """A comparison one of whose sides is written as ``ISO '...'``.

    Raises:
        Refusal: the other is neither a field of points in time nor one moved by a span.
    """
    subject, op, moment = tree.left, tree.op, tree.right
    if isinstance(subject, ast.Moment):
        subject, op, moment = moment, _REVERSED[op], subject
    assert isinstance(moment, ast.Moment)
    column, by = _subject(scope, subject)
    value = bind_moment(scope, moment).value
    if by.months:  # not the same distance from every point in time
        return p.Compare(p.Moved(column, by), op, value)
    return p.Compare(column, op, value - by.microseconds)


def time_column(scope: Scope, tree: ast.Tree) -> p.Column:
    """The field of points in time that a name means.

    Raises:
        Refusal: it means something else.
    """
    operand = scope.resolve(tree) if isinstance(tree, ast.Name) else None
    if isinstance(operand, p.Column) and operand.dtype is DataType.TIMESTAMPTZ:
        return operand
    text = scope.source_of(tree)
    raise Refusal(f"field '{text}' is not a timestamptz datatype")


def _subject(scope: Scope, tree: ast.Tree) -> tuple[p.Column, Duration]:
    if not isinstance(tree, ast.Binary) or not isinstance(tree.right, ast.Interval):
        return time_column(scope, tree), _STANDING
    if tree.op not in ("+", "-"):
        raise Refusal(f"no viable alternative at input '{scope.source_of(tree)}'")
    by = duration_of(tree.right.text)
    return time_column(scope, tree.left), by if tree.op == "+" else -by
