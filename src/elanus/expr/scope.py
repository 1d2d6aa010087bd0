"""What names and templates of one expression stand for, and what binding yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from elanus.expr import predicate as p
from elanus.expr.constants import cast, element_name, type_of
from elanus.expr.refusal import Refusal
from elanus.expr.tokens import INT64_MAX, INT64_MIN
from elanus.expr.tree import Name, Part, Template, Tree, source_of
from elanus.schema.schema import (
    CollectionSchema,
    FieldSchema,
    StructSchema,
    part_name,
)
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
NO_CONDITIONS = (Const, *OPERANDS)
"""What binding yields where no row could be judged by it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of one expression.

    Attributes:
        elements: the struct or the array whose elements a condition is about; ``None``
            where it is about rows.
    """

    text: str
    schema: CollectionSchema
    params: Mapping[str, Any]
    zone: str
    elements: StructSchema | FieldSchema | None = None

    def source_of(self, tree: Tree) -> str:
        """A part of the expression as written, for messages."""
        return source_of(self.text, tree)

    def resolve(self, name: Name) -> p.Column | p.JsonPath | p.Element:
        """The column, JSON path or array element that a name means.

        Raises:
            Refusal: no such field, or its type has no parts.
        """
        if self.elements is not None or name.name == "$":
            return self._of_element(name)
        if name.name in self.schema.parts or any(
            isinstance(key, Part) for key in name.path
        ):
            return self._of_struct(name)
        return self._of_field(name.name, _keys(name))

    def _of_element(self, name: Name) -> p.Column:
        """The element that a condition is about, or a field of it."""
        subject = self.elements
        if subject is None:
            raise Refusal(
                "$[x] syntax can only be used inside ElementFilter or MATCH_*"
            )
        if name.name != "$":
            raise Refusal(
                f"a condition on elements of {subject.name} takes nothing else, got: "
                f"{self.source_of(name)}"
            )
        if isinstance(subject, FieldSchema):
            if name.path or subject.element_type is None:
                raise Refusal(f"elements of {subject.name} have no fields: {name}")
            return p.Column(subject.id, "$", subject.element_type)
        if len(name.path) != 1 or not isinstance(name.path[0], Part):
            raise Refusal(f"an element of {subject.name} is read as $[field]: {name}")
        field = self._part(subject.name, name.path[0])
        if field.is_vector or field.element_type is None:
            raise Refusal(f"vectors of elements are not compared: {name}")
        return p.Column(field.id, str(name), field.element_type)

    def _of_struct(self, name: Name) -> p.Column | p.Element:
        """A struct array, all lists of one of its fields, or one element of each."""
        struct, path = name.name, name.path
        if struct in self.schema.parts and not path:
            return _column(spokesman(self.schema, struct))
        part = path[-1]
        is_indexed = len(path) == 2 and isinstance(path[0], int)
        if not isinstance(part, Part) or not (len(path) == 1 or is_indexed):
            raise Refusal(f"invalid expression: {self.text}")
        if struct not in self.schema.parts and not is_indexed:
            raise Refusal(
                f"json key must be enclosed in double quotes or single quotes: "
                f'"{part.name}"'
            )
        field = self._part(struct, part)
        index = path[0]
        if not isinstance(index, int):
            return _column(field)
        if field.is_vector or field.element_type is None:
            raise Refusal(f"vectors of elements are not compared: {name}")
        return p.Element(field.id, field.name, index, field.element_type)

    def _part(self, struct: str, part: Part) -> FieldSchema:
        name = part_name(struct, part.name)
        field = self.schema.by_name.get(name)
        if field is None:
            raise Refusal(f"struct field not found: {name}")
        return field

    def _of_field(
        self, name: str, path: tuple[str | int, ...]
    ) -> p.Column | p.JsonPath | p.Element:
        field = self.schema.by_name.get(name)
        if field is None:
            dynamic = self.schema.dynamic
            if dynamic is None:
                raise Refusal(f"field {name} not exist", is_plan_failure=False)
            return p.JsonPath(dynamic.id, dynamic.name, (name, *path))
        if field.dtype is DataType.JSON:
            return p.JsonPath(field.id, field.name, path)
        if field.dtype is DataType.TEXT:
            raise Refusal(f"filter on text field ({field.name}) is not supported yet")
        if not path:
            return p.Column(field.id, field.name, field.dtype, field.element_type)
        if field.dtype is not DataType.ARRAY or field.element_type is None:
            raise Refusal(
                f"{field.dtype.row.name} data type not supported accessed with []"
            )
        index = path[0]
        if isinstance(index, str):
            raise Refusal("can only access array field with integer index")
        if len(path) > 1:
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


def spokesman(schema: CollectionSchema, struct: str) -> FieldSchema:
    """The field whose lists tell how long all lists of a struct are, and which null.

    One of scalars where there is one, which is quicker to read.
    """
    parts = schema.parts[struct]
    return next((f for f in parts if not f.is_vector), parts[0])


def _column(field: FieldSchema) -> p.Column:
    return p.Column(field.id, field.name, field.dtype, field.element_type)


def _keys(name: Name) -> tuple[str | int, ...]:
    return tuple(key for key in name.path if not isinstance(key, Part))


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


def cast_constant(dtype: DataType, constant: Const) -> p.Value:
    """A bound constant as a type.

    Raises:
        Refusal: the types do not go together.
    """
    try:
        return cast(dtype, constant.value)
    except Refusal as refusal:
        if constant.template is None:
            raise
        raise Refusal(refusal.reason, names_text=False) from None


def refuse_templates(op: str, left: Const, right: Const) -> None:
    """Refuse a variable beside a constant: neither says what type is meant."""
    if left.template is not None or right.template is not None:
        raise Refusal(
            f"placeholder was not supported between two constants with operator: {op}"
        )


def _template_value(value: Any) -> p.Value:
    if isinstance(value, bool | float | str):
        return value
    if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX:
        return value
    if isinstance(value, list | tuple):
        return _template_list(value)
    raise Refusal(
        f"expression elements can only be scalars, got: {value!r}", names_text=False
    )


def _template_list(values: Sequence[Any]) -> p.Value:
    """The usual long list at C speed, any other value by value."""
    types = set(map(type, values))
    if types <= {bool, float, str}:
        return tuple(values)
    if types == {int} and min(values) >= INT64_MIN and max(values) <= INT64_MAX:
        return tuple(values)
    return tuple(map(_template_value, values))
