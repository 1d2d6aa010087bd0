"""Binding of the functions of texts: ``text_match(field, 'words')`` and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from elanus.expr import predicate as p
from elanus.expr.refusal import Refusal
from elanus.expr.scope import Bound, Const, Scope
from elanus.expr.text_condition import TextMatch, TextQuery
from elanus.expr.tree import Call, Name, Tree
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.text.fields import analyzer_of, is_matched
from elanus.text.match import Phrase, Similar, Words

Bind = Callable[[Scope, Tree], Bound]

_WHAT: Final = {
    "text_match": "text match",
    "text_match_fuzzy": "text match",
    "phrase_match": "phrase match",
}
_AT_LEAST: Final = "minimum_should_match"
_EDITS: Final = "max_edit_distance"
_MOST_TOKENS: Final = 1000
_MOST_EDITS: Final = 2
_UINT32_MAX: Final = 2**32 - 1


def text_function(name: str) -> str | None:
    """The function of texts that a name, in one of its two spellings, means."""
    function = name.lower()
    is_known = function in _WHAT and name in (function, name.upper())
    return function if is_known else None


def bind_text(scope: Scope, call: Call, function: str, bind: Bind) -> TextMatch:
    """A call of one of the functions of texts, its words cut into tokens.

    Raises:
        Refusal: the field has no tokens, or an argument is none.
        UnsupportedOperation: a library of the field's analyzer is not installed.
    """
    most = 3 if function == "phrase_match" else 2
    if not 2 <= len(call.arguments) <= most:
        raise Refusal(
            f"function {function} takes {most} argument(s), got: "
            f"{scope.source_of(call)}"
        )
    what = _WHAT[function]
    field = _field(scope, call.arguments[0], what)
    text = bind(scope, call.arguments[1])
    if not isinstance(text, Const) or not isinstance(text.value, str):
        raise Refusal(
            f"{what} value should be a string literal or template variable, got: "
            f"{scope.source_of(call.arguments[1])}"
        )
    tokens, positions = analyzer_of(field).placed(text.value)
    query: TextQuery
    option = ""
    if function == "phrase_match":
        _take_option(scope, call, "")
        slop = 0
        if len(call.arguments) == 3:
            slop = _slop(scope, call.arguments[2], bind(scope, call.arguments[2]))
            option = str(slop)
        query = Phrase(tuple(zip(tokens, positions, strict=True)), slop)
    elif function == "text_match":
        at_least = _number(scope, call, bind, _AT_LEAST, (1, _MOST_TOKENS))
        query = Words(tuple(tokens), 1 if at_least is None else at_least)
        option = "" if at_least is None else f"{_AT_LEAST}={at_least}"
    else:
        edits = _number(scope, call, bind, _EDITS, (0, _MOST_EDITS))
        query = Similar(tuple(tokens), 0 if edits is None else edits)
        option = "" if edits is None else f"{_EDITS}={edits}"
    column = p.Column(field.id, field.name, field.dtype)
    return TextMatch(column, query, function, text.value, option)


def _field(scope: Scope, argument: Tree, what: str) -> FieldSchema:
    unfit = Refusal(f"{what} operation on non-string is unsupported")
    if not isinstance(argument, Name) or scope.elements is not None or argument.path:
        raise unfit
    field = scope.schema.by_name.get(argument.name)
    if field is None:
        scope.resolve(argument)  # says that there is no such field
        raise unfit
    if field.dtype not in (DataType.VARCHAR, DataType.TEXT):
        raise unfit
    if not is_matched(field):
        raise Refusal(f'field "{field.name}" does not enable match')
    return field


def _take_option(scope: Scope, call: Call, name: str) -> Tree | None:
    """The only named argument that a function takes, if it is there."""
    for option, value in call.options:
        if option != name:
            raise Refusal(
                f"unknown argument {option} of {call.name}: {scope.source_of(call)}"
            )
        return value
    return None


def _number(
    scope: Scope, call: Call, bind: Bind, name: str, bounds: tuple[int, int]
) -> int | None:
    """A named argument that is a whole number; ``None`` without it."""
    tree = _take_option(scope, call, name)
    if tree is None:
        return None
    bound = bind(scope, tree)
    is_whole = isinstance(bound, Const) and type(bound.value) is int
    if not isinstance(bound, Const) or not is_whole or bound.template is not None:
        raise Refusal(
            f"{name} should be a const integer expression, got: {scope.source_of(tree)}"
        )
    low, high = bounds
    if bound.value < low:
        raise Refusal(f"{name} should be >= {low}, got {bound.value}")
    if bound.value > high:
        raise Refusal(f"{name} should be <= {high}, got {bound.value}")
    return int(bound.value)


def _slop(scope: Scope, tree: Tree, bound: Bound) -> int:
    source = scope.source_of(tree)
    is_whole = isinstance(bound, Const) and type(bound.value) is int
    if not isinstance(bound, Const) or not is_whole or bound.template is not None:
        raise Refusal(
            '"slop" should be a const integer expression with "uint32" value. "slop" '
            f"expression passed: {source}"
        )
    if bound.value < 0:
        raise Refusal(
            f'"slop" should not be a negative interger. "slop" passed: {source}'
        )
    if bound.value > _UINT32_MAX:
        raise Refusal(
            f'"slop" exceeds the range of "uint32". "slop" expression passed: {source}'
        )
    return int(bound.value)
