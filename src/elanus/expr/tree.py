"""The syntax tree of an expression: frozen nodes that print as source text.

Printing is canonical: parsing what a tree prints gives an equal tree. Types and names
are unknown here; :mod:`elanus.expr.bind` adds them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Constant: TypeAlias = bool | int | float | str
Span: TypeAlias = tuple[int, int]
"""Start and end of a node in the source, in characters; not part of its identity."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant as written. A pattern of ``=~`` keeps its backslashes."""

    value: Constant
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return constant_text(self.value)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Literal)
            and type(self.value) is type(other.value)
            and repr(self.value) == repr(other.value)
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class ConstantList:
    """A list of constants, without a node for each."""

    values: tuple[Constant, ...]
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"[{', '.join(map(constant_text, self.values))}]"


@dataclass(frozen=True, slots=True)
class List:
    """A list with at least one element that is not a plain constant."""

    items: tuple[Tree, ...]
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True, slots=True)
class Template:
    """``{name}``: a constant given beside the text."""

    name: str
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a struct, where it follows the struct in brackets."""

    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """A field, a dynamic key, or a place inside one: ``a["b"][0]``, ``s[0][part]``.

    The name ``$`` stands for an element, inside a condition on elements.
    """

    name: str
    path: tuple[str | int | Part, ...] = ()
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        keys = (k.name if isinstance(k, Part) else constant_text(k) for k in self.path)
        return self.name + "".join(f"[{key}]" for key in keys)


@dataclass(frozen=True, slots=True)
class Moment:
    """``ISO '...'``: a point in time."""

    text: str
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"ISO {quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Interval:
    """``INTERVAL '...'``: a span of time."""

    text: str
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"INTERVAL {quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Unary:
    """``not``, ``exists``, ``-``, ``+`` or ``~`` of one operand."""

    op: str
    operand: Tree
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"({self.op} {self.operand})"


@dataclass(frozen=True, slots=True)
class IsNull:
    """``x is null`` or, negated, ``x is not null``."""

    operand: Name
    negated: bool
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"({self.operand} {'is not null' if self.negated else 'is null'})"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands of one operator that is neither ``and`` nor ``or``."""

    op: str
    left: Tree
    right: Tree
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        if self.op in ("=~", "!~") and isinstance(self.right, Literal):
            pattern = str(self.right.value).replace("\\", "\\\\").replace('"', '\\"')
            return f'({self.left} {self.op} "{pattern}")'
        return f"({self.left} {self.op} {self.right})"


@dataclass(frozen=True, slots=True)
class Logical:
    """Two or more operands joined by ``and`` or ``or``; a long chain is one node."""

    op: str
    operands: tuple[Tree, ...]
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return f"({f' {self.op} '.join(map(str, self.operands))})"


@dataclass(frozen=True, slots=True)
class Range:
    """``first op subject op last``, both operators pointing the same way."""

    first: Tree
    first_op: str
    subject: Name
    last_op: str
    last: Tree
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        return (
            f"({self.first} {self.first_op} {self.subject} {self.last_op} {self.last})"
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``options`` are the named arguments."""

    name: str
    arguments: tuple[Tree, ...]
    options: tuple[tuple[str, Tree], ...] = ()
    span: Span = field(default=(0, 0), compare=False)

    def __str__(self) -> str:
        parts = [*map(str, self.arguments), *(f"{k}={v}" for k, v in self.options)]
        return f"{self.name}({', '.join(parts)})"


Tree: TypeAlias = (
    Literal
    | ConstantList
    | List
    | Template
    | Name
    | Moment
    | Interval
    | Unary
    | IsNull
    | Binary
    | Logical
    | Range
    | Call
)


def constant_text(value: Constant) -> str:
    """A constant as source text."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def list_text(values: Sequence[object]) -> str:
    """A list of constants, possibly nested, as source text."""
    parts = (
        list_text(v) if isinstance(v, (list, tuple)) else constant_text(v)  # type: ignore[arg-type]
        for v in values
    )
    return f"[{', '.join(parts)}]"


_UNPRINTABLE = re.compile(r'["\\\x00-\x1f\x7f]')


def quoted(text: str) -> str:
    """A string literal with this value."""
    return f'"{_UNPRINTABLE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return f"\\{char}" if char in '"\\' else f"\\x{ord(char):02x}"


_SPACE_OUTSIDE_STRINGS = re.compile(
    r"""("(?:[^"\\]|\\[\s\S])*+"|'(?:[^'\\]|\\[\s\S])*+')|[ \t\r\n]++"""
)


def source_of(text: str, node: Tree) -> str:
    """The node as it was written, without the spaces between its tokens."""
    start, end = node.span
    return _SPACE_OUTSIDE_STRINGS.sub(lambda m: m[1] or "", text[start:end])
