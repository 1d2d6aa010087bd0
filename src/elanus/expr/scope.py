"""What names and templates of one expression stand for, and what binding yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from elanus.expr import predicate as p
from elanus.expr.constants import element_name, type_of
from elanus.expr.refusal import Refusal
from elanus.expr.tokens import INT64_MAX, INT64_MIN
from elanus.expr.tree import Name, Template, Tree, source_of
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType


@dataclass(frozen=True, slots=True)
class Const:
    """A bound constant; ``template`` is the variable that it came from, if any."""

    value: p.Value
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """A condition of which only a share of the matching rows is wanted."""

    condition: p.Condition
    factor: float


Bound: TypeAlias = Const | Sampled | p.Operand | p.Condition

OPERANDS = (p.Column, p.JsonPath, p.Element, p.Length, p.Arithmetic, p.Moved)


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of one expression."""

    text: str
    schema: CollectionSchema
    params: Mapping[str, Any]
    zone: str

    def source_of(self, tree: Tree) -> str:
        """A part of the expression as written, for messages."""
        return source_of(self.text, tree)

    def resolve(self, name: Name) -> p.Column | p.JsonPath | p.Element:
        """The column, JSON path or array element that a name means.

        Raises:
            Refusal: no such field, or its type has no parts.
        """
        field = self.schema.by_name.get(name.name)
        if field is None:
            dynamic = self.schema.dynamic
            if dynamic is None:
                raise Refusal(f"field {name.name} not exist", is_plan_failure=False)
            return p.JsonPath(dynamic.id, dynamic.name, (name.name, *name.path))
        if field.dtype is DataType.JSON:
            return p.JsonPath(field.id, field.name, name.path)
        if field.dtype is DataType.TEXT:
            raise Refusal(f"filter on text field ({field.name}) is not supported yet")
        if not name.path:
            return p.Column(field.id, field.name, field.dtype, field.element_type)
        if field.dtype is not DataType.ARRAY or field.element_type is None:
            raise Refusal(
                f"{field.dtype.row.name} data type not supported accessed with []"
            )
        index = name.path[0]
        if isinstance(index, str):
            raise Refusal("can only access array field with integer index")
        if len(name.path) > 1:
            kind = field.element_type.row.name
            raise Refusal(f"{kind} data type not supported accessed with []")
        return p.Element(field.id, field.name, index, field.element_type)

    def constant(
        self, template: Template, what: str = "the value of expression"
    ) -> Const:
        """The value given for a template variable.

        Raises:
            Refusal: none was given, or it is no constant of the language.
        """
        if template.name not in self.params:
            raise Refusal(
                f"{what} template variable name {{{template.name}}} is not found",
                names_text=False,
            )
        return Const(_template_value(self.params[template.name]), template.name)


def type_name(bound: Bound) -> str:
    """The type of what binding yields, as messages name it."""
    if isinstance(bound, Const):
        if isinstance(bound.value, tuple):
            return f"Array[{element_name(bound.value)}]"
        return type_of(bound.value).row.name
    if isinstance(bound, p.Column) and bound.element is not None:
        return f"Array[{bound.element.row.name}]"
    if isinstance(bound, p.Element):
        return f"Array[{bound.dtype.row.name}]"
    return type_of_bound(bound).row.name


def type_of_bound(bound: Bound) -> DataType:
    """The type of what binding yields; conditions are Bool."""
    if isinstance(bound, Const):
        return type_of(bound.value)
    return bound.dtype if isinstance(bound, OPERANDS) else DataType.BOOL


def refuse_whole_array(bound: Bound) -> None:
    """Refuse an Array column where only a scalar makes sense."""
    if isinstance(bound, p.Column) and bound.dtype is DataType.ARRAY:
        raise Refusal("can not comparisons array fields directly")


def _template_value(value: Any) -> p.Value:
    if isinstance(value, bool | float | str):
        return value
    if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX:
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_template_value, value))
    raise Refusal(
        f"expression elements can only be scalars, got: {value!r}", names_text=False
    )
