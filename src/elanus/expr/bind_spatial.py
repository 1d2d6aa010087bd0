"""Binding of the spatial functions: ``st_within(field, 'WKT')`` and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from elanus.errors import InvalidParameter
from elanus.expr import predicate as p
from elanus.expr.refusal import Refusal
from elanus.expr.scope import Bound, Const, Scope
from elanus.expr.tree import Call
from elanus.schema.types import DataType

RELATIONS: Final = (
    "equals",
    "touches",
    "overlaps",
    "crosses",
    "contains",
    "intersects",
    "within",
)
Binder = Callable[[Scope, Call, list[Bound]], p.Condition]


def _column(scope: Scope, call: Call, argument: Bound, what: str) -> p.Column:
    if isinstance(argument, p.Column) and argument.dtype is DataType.GEOMETRY:
        return argument
    raise Refusal(
        f"{what} operation are only supported on geometry fields now, got: "
        f"{scope.source_of(call)}"
    )


def _text(scope: Scope, call: Call, argument: Bound) -> str:
    """The WKT that is asked about."""
    if not isinstance(argument, Const) or not isinstance(argument.value, str):
        raise Refusal(
            "the geometry of a spatial operation should be a string literal or "
            f"template variable, got: {scope.source_of(call.arguments[1])}",
        )
    # GEOS is loaded by what meets a geometry
    from elanus.schema.geometry import geometry_of

    try:
        geometry_of(argument.value)
    except InvalidParameter as error:
        raise Refusal(str(error), names_text=argument.template is None) from None
    return argument.value


def _relation(name: str) -> Binder:
    def bind(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
        column = _column(scope, call, arguments[0], "spatial")
        return p.Spatial(column, name, _text(scope, call, arguments[1]))

    return bind


def _bind_dwithin(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    column = _column(scope, call, arguments[0], "spatial")
    text = _text(scope, call, arguments[1])
    if text.lstrip()[:5].upper() != "POINT":
        raise Refusal(f"only supports POINT geometry: {text}")
    distance = arguments[2]
    source = scope.source_of(call.arguments[2])
    if (
        not isinstance(distance, Const)
        or distance.template is not None
        or isinstance(distance.value, bool | str | tuple)
    ):
        raise Refusal(f"the distance should be a number literal, got: {source}")
    if distance.value < 0:
        raise Refusal(f"distance parameter must be non-negative, got: {source}")
    return p.Spatial(column, "dwithin", text, float(distance.value))


def _bind_isvalid(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    return p.Spatial(_column(scope, call, arguments[0], "STIsValid"), "isvalid")


SPATIAL: dict[str, tuple[int, Binder]] = {
    **{f"st_{name}": (2, _relation(name)) for name in RELATIONS},
    "st_dwithin": (3, _bind_dwithin),
    "st_isvalid": (1, _bind_isvalid),
}
