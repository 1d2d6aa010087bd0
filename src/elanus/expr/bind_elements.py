"""Binding of ``element_filter`` and ``match_*``: conditions on elements of structs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from elanus.expr import predicate as p
from elanus.expr import tree as ast
from elanus.expr.refusal import Refusal
from elanus.expr.scope import OPERANDS, Bound, Const, Sampled, Scope, spokesman
from elanus.schema.schema import CollectionSchema, FieldSchema, StructSchema
from elanus.schema.types import DataType

Bind: TypeAlias = Callable[[Scope, ast.Tree], Bound]

_KINDS: Final = {kind.value: kind for kind in p.MatchKind}
_THRESHOLD: Final = "threshold"
# The fewest elements that each kind may ask for, and how Milvus says so.
_LEAST: Final = {
    p.MatchKind.LEAST: (1, "must be positive"),
    p.MatchKind.MOST: (0, "cannot be negative"),
    p.MatchKind.EXACT: (0, "cannot be negative"),
}


def match_kind(name: str) -> p.MatchKind | None:
    """What a function of this name asks of elements; ``None`` for other functions."""
    return _KINDS.get(name.lower()) if name in (name.upper(), name.lower()) else None


def bind_match_elements(
    scope: Scope, call: ast.Call, kind: p.MatchKind, bind: Bind
) -> p.Match:
    """A call of one of these functions.

    Args:
        bind: binds the condition on elements.

    Of an array in place of a struct, ``$`` is the element itself.

    Raises:
        Refusal: the struct, the condition or the threshold makes no sense.
    """
    is_filter = kind is p.MatchKind.FILTER
    spoken = "ElementFilter" if is_filter else kind.upper()
    if scope.elements is not None:
        raise Refusal(f"nested {spoken} is not supported, {scope.source_of(call)}")
    wanted = {_THRESHOLD} if kind in _LEAST else set()
    if len(call.arguments) != 2 or {name for name, _ in call.options} != wanted:
        raise Refusal(f"mismatched input '{scope.source_of(call)}' expecting arguments")
    subject, inner = call.arguments
    if not isinstance(subject, ast.Name) or subject.path:
        source = scope.source_of(subject)
        raise Refusal(f"{spoken} takes a struct array field, got: {source}")
    elements, field = _subject(scope.schema, subject.name, is_filter=is_filter)
    part = _condition(replace(scope, elements=elements), inner, bind)
    threshold = _threshold(scope, call, kind) if wanted else 1
    return p.Match(elements.name, field.id, kind, part, threshold)


def _subject(
    schema: CollectionSchema, name: str, *, is_filter: bool
) -> tuple[StructSchema | FieldSchema, FieldSchema]:
    """What has the elements, and the field that tells how many there are."""
    struct = schema.struct_by_name.get(name)
    if struct is not None:
        return struct, spokesman(schema, name)
    field = schema.by_name.get(name)
    if field is None or field.dtype is not DataType.ARRAY or is_filter:
        raise Refusal(f"struct field not found: {name}")
    return field, field


def is_element_filter(bound: Bound) -> bool:
    """Whether something that is bound leaves out elements of rows."""
    if isinstance(bound, (Const, Sampled, *OPERANDS)):
        return False
    return p.element_filter_of(bound) is not None


def refuse_early_filter(op: str, bounds: Sequence[Bound]) -> None:
    """Raise if one of these operands, which others follow, leaves out elements.

    Raises:
        Refusal: put it last.
    """
    if any(map(is_element_filter, bounds)):
        raise Refusal(
            f"element filter expression can only be the last expression in the logical "
            f"{op} expression"
        )


def _condition(scope: Scope, tree: ast.Tree, bind: Bind) -> p.Condition:
    try:
        bound = bind(scope, tree)
        if isinstance(bound, Const) and isinstance(bound.value, bool):
            return p.Always(bound.value)
        if isinstance(bound, (Const, Sampled, *OPERANDS)):
            raise Refusal(
                f"predicate is not a boolean expression: {scope.source_of(tree)}"
            )
    except Refusal as refusal:
        raise Refusal(
            f"cannot parse predicate expression: {scope.source_of(tree)}, error: "
            f"{refusal.reason}",
            names_text=refusal.names_text,
        ) from None
    return bound


def _threshold(scope: Scope, call: ast.Call, kind: p.MatchKind) -> int:
    given = dict(call.options)[_THRESHOLD]
    value = given.value if isinstance(given, ast.Literal) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(
            f"count in {kind.upper()} must be an integer, got: {scope.source_of(given)}"
        )
    fewest, complaint = _LEAST[kind]
    if value < fewest:
        raise Refusal(f"count in {kind.upper()} {complaint}, got: {value}")
    return value
