"""Binding of function calls: contains, array_length, random_sample and the rest."""

from __future__ import annotations

from collections.abc import Callable

from elanus.expr import predicate as p
from elanus.expr.bind_spatial import SPATIAL
from elanus.expr.constants import cast, type_of, type_of_python
from elanus.expr.refusal import Refusal
from elanus.expr.scope import Bound, Const, Sampled, Scope, type_name
from elanus.expr.tree import Call
from elanus.schema.types import DataType

_SAMPLE_MARGIN = 1e-10
_LISTS = (DataType.ARRAY, DataType.ARRAY_OF_VECTOR)


def bind_call(scope: Scope, call: Call, arguments: list[Bound]) -> Bound:
    """A call whose arguments are bound already.

    Names are all lower or all upper case; any other spelling is an unknown function.
    """
    name = (
        call.name.lower() if call.name in (call.name.upper(), call.name.lower()) else ""
    )
    function = _FUNCTIONS.get(name)
    if function is None:
        kinds = ", ".join(map(type_name, arguments))
        raise Refusal(f"function {call.name.lower()}({kinds}) not found")
    needs, bind = function
    if call.options or len(arguments) != needs:
        raise Refusal(
            f"function {name} takes {needs} argument(s), got: {scope.source_of(call)}"
        )
    return bind(scope, call, arguments)


# --- arrays ----------------------------------------------------------------------


def _array_argument(
    scope: Scope, call: Call, argument: Bound, word: str
) -> p.Column | p.JsonPath:
    if isinstance(argument, p.JsonPath):
        return argument
    if isinstance(argument, p.Column) and argument.dtype is DataType.ARRAY:
        return argument
    raise Refusal(
        f"{word} operation are only supported on json or array fields now, got: "
        f"{scope.source_of(call.arguments[0])}"
    )


def _contained(
    scope: Scope, call: Call, arguments: list[Bound], word: str
) -> tuple[p.Column | p.JsonPath, Const]:
    array = _array_argument(scope, call, arguments[0], word)
    values = arguments[1]
    if not isinstance(values, Const):
        raise Refusal(
            f"{word} operation are only supported explicitly specified element, got: "
            f"{scope.source_of(call.arguments[1])}"
        )
    return array, values


def _bind_contains(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    array, constant = _contained(scope, call, arguments, "contains")
    value = constant.value
    if isinstance(array, p.Column):
        assert array.element is not None
        try:
            value = cast(array.element, value)
        except Refusal as refusal:
            names_text = constant.template is None
            raise Refusal(refusal.reason, names_text=names_text) from None
    return p.Contains(array, (value,), needs_all=True)


def _bind_contains_all(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    array, values = _contained(scope, call, arguments, "contains_all")
    items = _listed(array, values, "ContainsAll")
    return p.Contains(array, items, needs_all=True) if items else p.Always(True)


def _bind_contains_any(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    array, values = _contained(scope, call, arguments, "contains_any")
    items = _listed(array, values, "ContainsAny")
    return p.Contains(array, items, needs_all=False) if items else p.Always(False)


def _listed(
    array: p.Column | p.JsonPath, constant: Const, operation: str
) -> tuple[p.Value, ...]:
    """The distinct values of a list argument, checked against the elements' type."""
    names_text = constant.template is None
    if not isinstance(constant.value, tuple):
        raise Refusal(
            f"{operation} operation element must be an array", names_text=names_text
        )
    if isinstance(array, p.Column):
        assert array.element is not None
        family = _family(array.element)
        kinds = dict.fromkeys(map(type, constant.value))
        for kind in map(type_of_python, kinds):
            if _family(kind) != family:
                raise Refusal(
                    f"{operation} operation can't compare between array element type: "
                    f"{array.element.row.name} and {kind.row.name}",
                    names_text=names_text,
                )
    return tuple({(type(value), value): value for value in constant.value}.values())


def _family(dtype: DataType) -> str:
    return "number" if dtype.is_numeric else dtype.row.family


def _bind_array_length(scope: Scope, call: Call, arguments: list[Bound]) -> p.Length:
    array = arguments[0]
    if isinstance(array, p.JsonPath):
        return p.Length(array)
    if isinstance(array, p.Column) and array.dtype in _LISTS:
        return p.Length(array)
    source = scope.source_of(call.arguments[0])
    if source.endswith("]") and not source.endswith(('"]', "']")):
        raise Refusal(f"mismatched input '{source}' expecting an array")
    raise Refusal(
        "array_length operation are only supported on json, array or array-of-vector "
        f"fields now, got: {scope.source_of(call)}"
    )


# --- strings ---------------------------------------------------------------------


def _string_argument(scope: Scope, call: Call, argument: Bound) -> p.Column:
    if isinstance(argument, p.Column) and argument.dtype is DataType.VARCHAR:
        return argument
    raise Refusal(
        f"function {call.name.lower()} is only supported on VarChar fields, got: "
        f"{scope.source_of(call.arguments[0])}"
    )


def _bind_empty(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    return p.Compare(_string_argument(scope, call, arguments[0]), "==", "")


def _bind_starts_with(scope: Scope, call: Call, arguments: list[Bound]) -> p.Condition:
    operand = _string_argument(scope, call, arguments[0])
    prefix = arguments[1]
    if not isinstance(prefix, Const) or not isinstance(prefix.value, str):
        raise Refusal(
            "the prefix of starts_with should be a string, got: "
            f"{scope.source_of(call.arguments[1])}"
        )
    return p.StartsWith(operand, prefix.value)


# --- the others ------------------------------------------------------------------


def _bind_random_sample(scope: Scope, call: Call, arguments: list[Bound]) -> Sampled:
    factor = arguments[0]
    is_number = isinstance(factor, Const) and type_of(factor.value).is_numeric
    if not isinstance(factor, Const) or not is_number or factor.template is not None:
        raise Refusal(
            "the sample factor should be a float constant, got: "
            f"{scope.source_of(call.arguments[0])}"
        )
    value = float(factor.value)
    if not _SAMPLE_MARGIN < value < 1 - _SAMPLE_MARGIN:
        raise Refusal(
            "the sample factor should be between 0 and 1 and not too close to 0 or 1"
            "(the difference should be larger than 1e-10), but got "
            f"{scope.source_of(call.arguments[0])}"
        )
    return Sampled(p.Always(True), value)


_Binder = Callable[[Scope, Call, list[Bound]], Bound]

_FUNCTIONS: dict[str, tuple[int, _Binder]] = {
    "json_contains": (2, _bind_contains),
    "array_contains": (2, _bind_contains),
    "json_contains_all": (2, _bind_contains_all),
    "array_contains_all": (2, _bind_contains_all),
    "json_contains_any": (2, _bind_contains_any),
    "array_contains_any": (2, _bind_contains_any),
    "array_length": (1, _bind_array_length),
    "random_sample": (1, _bind_random_sample),
    "empty": (1, _bind_empty),
    "starts_with": (2, _bind_starts_with),
    **SPATIAL,
}
