"""Bound predicates: what a filter reads and asks, with every name and type resolved.

Nodes are frozen, comparable and print as an expression. Literals are already cast to
the type they are compared with. Leaves evaluation to :mod:`elanus.expr.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from elanus.expr.durations import Duration
from elanus.expr.membership import Members, MixedMembers
from elanus.expr.text_condition import TextMatch
from elanus.expr.tree import list_text, quoted
from elanus.schema.types import DataType

Value: TypeAlias = Any
"""A constant: bool, int (int64), float, str, or a tuple of these, possibly nested."""


# --- operands: what is read ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A whole scalar column; ``element`` is the type of an Array's elements."""

    field_id: int
    name: str
    dtype: DataType
    element: DataType | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place in a JSON column; the empty path is the whole document."""

    field_id: int
    name: str
    path: tuple[str | int, ...]

    @property
    def dtype(self) -> DataType:
        """Always JSON: each row has a type of its own."""
        return DataType.JSON

    def __str__(self) -> str:
        keys = (f"[{quoted(k) if isinstance(k, str) else k}]" for k in self.path)
        return self.name + "".join(keys)


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an Array column, of type ``dtype``."""

    field_id: int
    name: str
    index: int
    dtype: DataType

    def __str__(self) -> str:
        # of a struct's field the name is struct[field], and the index stands between
        name, bracket, part = self.name.partition("[")
        return f"{name}[{self.index}]{bracket}{part}"


@dataclass(frozen=True, slots=True)
class Length:
    """The number of elements of an array, as Int64."""

    array: Column | JsonPath

    @property
    def field_id(self) -> int:
        """The field that is read."""
        return self.array.field_id

    @property
    def dtype(self) -> DataType:
        """Always Int64."""
        return DataType.INT64

    def __str__(self) -> str:
        return f"array_length({self.array})"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``operand op number``; Int64, Double, or JSON when the operand is a JSON path.

    ``op`` is one of ``+ - * / %``, of integers also of ``& | ^``.
    """

    op: str
    operand: Column | JsonPath | Element | Length
    number: int | float
    dtype: DataType

    @property
    def field_id(self) -> int:
        """The field that is read."""
        return self.operand.field_id

    def __str__(self) -> str:
        text = f"{self.operand} {self.op} {self.number!r}"
        return f"({text})" if self.op in "&|^" else text  # which bind loosely


@dataclass(frozen=True, slots=True)
class Moved:
    """A column of points in time, moved by months and perhaps more."""

    column: Column
    by: Duration

    @property
    def field_id(self) -> int:
        """The field that is read."""
        return self.column.field_id

    @property
    def dtype(self) -> DataType:
        """Always Timestamptz."""
        return DataType.TIMESTAMPTZ

    def __str__(self) -> str:
        return f"{self.column} {self.by}"


Operand: TypeAlias = Column | JsonPath | Element | Length | Arithmetic | Moved


# --- conditions ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Always:
    """True, or false, for every row, whatever it holds."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Compare:
    """``operand op value``; op is one of ``== != < <= > >=``."""

    operand: Operand
    op: str
    value: Value

    def __str__(self) -> str:
        if isinstance(self.operand, Moved):  # which is compared with nothing else
            moment = np.datetime64(self.value, "us")
            return f"{self.operand} {self.op} ISO '{moment}Z'"
        return f"{self.operand} {self.op} {value_text(self.value)}"


@dataclass(frozen=True, slots=True)
class CompareColumns:
    """``left op right`` of two columns of one family."""

    left: Column | Element
    op: str
    right: Column | Element

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class Between:
    """``low <(=) operand <(=) high``."""

    operand: Operand
    low: Value
    low_inclusive: bool
    high: Value
    high_inclusive: bool

    def __str__(self) -> str:
        low_op = "<=" if self.low_inclusive else "<"
        high_op = "<=" if self.high_inclusive else "<"
        low, high = value_text(self.low), value_text(self.high)
        return f"{low} {low_op} {self.operand} {high_op} {high}"


@dataclass(frozen=True)
class InList:
    """``operand in values``; values in the order given."""

    operand: Operand
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.operand} in {list_text(self.values)}"

    @cached_property
    def members(self) -> Members:
        """The values, prepared for look-up."""
        return Members(self.values)

    @cached_property
    def mixed(self) -> MixedMembers:
        """The values, prepared for look-up of what JSON holds."""
        return MixedMembers(self.values)


@dataclass(frozen=True)
class Like:
    """The operand, a string, matches a LIKE pattern."""

    operand: Operand
    pattern: str

    def __str__(self) -> str:
        return f"{self.operand} like {quoted(self.pattern)}"


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The operand, a string, begins with ``prefix``."""

    operand: Operand
    prefix: str

    def __str__(self) -> str:
        return f"starts_with({self.operand}, {quoted(self.prefix)})"


@dataclass(frozen=True, slots=True)
class Regex:
    """Some part of the operand, a string, matches an RE2 pattern."""

    operand: Operand
    pattern: str

    def __str__(self) -> str:
        return f"{self.operand} =~ {quoted(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Exists:
    """A JSON path holds more than null or an empty container. Never unknown."""

    path: JsonPath

    def __str__(self) -> str:
        return f"exists {self.path}"


@dataclass(frozen=True, slots=True)
class Null:
    """A column is NULL. Never unknown."""

    column: Column

    def __str__(self) -> str:
        return f"{self.column} is null"


@dataclass(frozen=True, slots=True)
class Contains:
    """An array holds all, or any, of the values."""

    array: Column | JsonPath
    values: tuple[Value, ...]
    needs_all: bool

    def __str__(self) -> str:
        name = "contains_all" if self.needs_all else "contains_any"
        kind = "json" if isinstance(self.array, JsonPath) else "array"
        return f"{kind}_{name}({self.array}, {list_text(self.values)})"


@dataclass(frozen=True, slots=True)
class Spatial:
    """How a geometry stands to a given one, or that it is valid.

    Attributes:
        relation: the name of the function without ``st_``.
        text: WKT of the given geometry; empty for ``isvalid``.
        distance: metres, for ``dwithin``.
    """

    operand: Column
    relation: str
    text: str = ""
    distance: float | None = None

    def __str__(self) -> str:
        parts = [str(self.operand)]
        if self.text:
            parts.append(quoted(self.text))
        if self.distance is not None:
            parts.append(repr(self.distance))
        return f"st_{self.relation}({', '.join(parts)})"


class MatchKind(StrEnum):
    """How many elements of a row have to match."""

    FILTER = "element_filter"  # some, and the others are left out of the answer
    ANY = "match_any"
    ALL = "match_all"
    LEAST = "match_least"
    MOST = "match_most"
    EXACT = "match_exact"


@dataclass(frozen=True, slots=True)
class Match:
    """So many elements of a struct array, or an array, hold a condition. Never unknown.

    Attributes:
        subject: its name.
        field_id: the array; of a struct, one of its fields, whose lists are as long as
            the others'.
        part: of elements; its columns are the array or fields of the struct.
        threshold: how many; 1 for kinds that do not say.
    """

    subject: str
    field_id: int
    kind: MatchKind
    part: Condition
    threshold: int = 1

    def __str__(self) -> str:
        wanted = f", threshold={self.threshold}" if self.kind in _COUNTED else ""
        return f"{self.kind}({self.subject}, {self.part}{wanted})"


_COUNTED = (MatchKind.LEAST, MatchKind.MOST, MatchKind.EXACT)


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    part: Condition

    def __str__(self) -> str:
        return f"not ({self.part})"


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold (Strong Kleene)."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds (Strong Kleene)."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(f"({part})" for part in self.parts)


Condition: TypeAlias = (
    Always
    | Compare
    | CompareColumns
    | Between
    | InList
    | Like
    | StartsWith
    | Regex
    | Exists
    | Null
    | Contains
    | Match
    | Spatial
    | TextMatch
    | Not
    | And
    | Or
)


# --- the whole filter --------------------------------------------------------------


@dataclass(frozen=True)
class Predicate:
    """A filter ready to run on any segment of its collection.

    Equal predicates select the same rows. (Conditions alone compare as Python does, to
    which 1, 1.0 and true are equal; on JSON they are not.)

    Attributes:
        condition: what a row must satisfy.
        primary_id: field id of the primary key.
        sample: share of the satisfying rows to draw, between 0 and 1; None for all.
    """

    condition: Condition
    primary_id: int
    sample: float | None = None

    @cached_property
    def fields(self) -> frozenset[int]:
        """Ids of the fields that evaluation reads."""
        return frozenset(_fields_of(self.condition))

    @cached_property
    def element_filter(self) -> Match | None:
        """The part that leaves out elements of the rows that match, if there is one."""
        return element_filter_of(self.condition)

    @property
    def is_always_true(self) -> bool:
        """Whether every row qualifies, so that no column need be read."""
        return self.sample is None and self.condition == Always(True)

    @property
    def is_always_false(self) -> bool:
        """Whether no row can qualify."""
        return self.condition == Always(False)

    def primary_keys(self) -> list[int] | list[str] | None:
        """The keys, if the filter is exactly ``pk == x`` or ``pk in [...]``."""
        condition = self.condition
        if self.sample is not None or not isinstance(condition, (Compare, InList)):
            return None
        operand = condition.operand
        if not isinstance(operand, Column) or operand.field_id != self.primary_id:
            return None
        if isinstance(condition, InList):
            return list(condition.values)
        return [condition.value] if condition.op == "==" else None

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Predicate)
            and (self.primary_id, self.sample) == (other.primary_id, other.sample)
            and self.condition == other.condition
            and str(self.condition) == str(other.condition)
        )

    def __hash__(self) -> int:
        return hash((self.condition, self.primary_id, self.sample))

    def __str__(self) -> str:
        if self.sample is None:
            return str(self.condition)
        return f"({self.condition}) and random_sample({self.sample!r})"


def leaves_of(condition: Condition) -> Iterator[Condition]:
    """The conditions that no other combines, from left to right."""
    if isinstance(condition, (And, Or)):
        for part in condition.parts:
            yield from leaves_of(part)
    elif isinstance(condition, Not):
        yield from leaves_of(condition.part)
    else:
        yield condition


def field_read(condition: Condition) -> int | None:
    """The one field that a leaf reads; ``None`` for what is no leaf or reads two."""
    kind = type(condition)
    if kind in _OF_OPERAND:
        operand: Operand = condition.operand  # type: ignore[union-attr]
        return operand.field_id
    if isinstance(condition, Contains):
        return condition.array.field_id
    if isinstance(condition, Exists):
        return condition.path.field_id
    return None


def place_read(condition: Condition) -> JsonPath | None:
    """The place in JSON documents that a leaf reads; ``None`` where it reads none."""
    read: object = getattr(condition, "operand", None)
    if isinstance(condition, Contains):
        read = condition.array
    elif isinstance(condition, Exists):
        read = condition.path
    while isinstance(read, (Arithmetic, Length)):
        read = read.operand if isinstance(read, Arithmetic) else read.array
    return read if isinstance(read, JsonPath) else None


_OF_OPERAND = frozenset({Compare, Between, InList, Like, StartsWith, Regex, Spatial})


def element_filter_of(condition: Condition) -> Match | None:
    """The part of a condition that leaves out elements, if there is one."""
    if isinstance(condition, Match):
        return condition if condition.kind is MatchKind.FILTER else None
    if isinstance(condition, (And, Or)):
        # it stands last wherever it is allowed
        return element_filter_of(condition.parts[-1])
    return None


def value_text(value: Value) -> str:
    """A constant or list of constants as source text."""
    if isinstance(value, tuple):
        return list_text(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _fields_of(condition: Condition) -> Iterator[int]:
    pending = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, (And, Or)):
            pending.extend(part.parts)
        elif isinstance(part, Not):
            pending.append(part.part)
        elif isinstance(part, CompareColumns):
            yield part.left.field_id
            yield part.right.field_id
        elif isinstance(part, Exists):
            yield part.path.field_id
        elif isinstance(part, Null):
            yield part.column.field_id
        elif isinstance(part, Contains):
            yield part.array.field_id
        elif isinstance(part, Match):
            yield part.field_id
            pending.append(part.part)
        elif not isinstance(part, Always):
            yield part.operand.field_id
