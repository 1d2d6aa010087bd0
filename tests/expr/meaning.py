"""What conditions mean: how a row is read, how values compare, three-valued logic.

Plain Python, one row at a time; shares nothing with the implementation.
"""

from __future__ import annotations

import math
import operator
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from expr import pools
from expr.pools import float32

Truth = bool | None

SMALL, BIG = st.sampled_from(pools.SMALL), st.sampled_from(pools.BIG)
REAL, WORD = st.sampled_from(pools.REAL), st.sampled_from(pools.WORD)


class Sample(NamedTuple):
    """An expression, the values of its templates, and what it says of a row."""

    text: str
    decide: Callable[[dict[str, Any]], Truth]
    params: Mapping[str, Any] = {}


# --- reading ---------------------------------------------------------------------

ABSENT = object()


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    """What lies at a path of a document, or ``ABSENT``."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(str(step), ABSENT)
        elif isinstance(document, list) and str(step).isdigit():
            index = int(step)
            document = document[index] if index < len(document) else ABSENT
        else:
            return ABSENT
    return document


class Place(NamedTuple):
    """Something to compare: its text, its kind, and its value in a row or None.

    ``field`` is the field that a path or an element is of.
    """

    text: str
    kind: str
    read: Callable[[dict[str, Any]], Any]
    field: str = ""


def column(name: str, kind: str) -> Place:
    """A field; of kind int, float32, float, str, bool, time or json."""
    return Place(name, kind, lambda row: row[name])


def element(name: str, index: int, kind: str) -> Place:
    """One element of an array."""

    def read(row: dict[str, Any]) -> Any:
        items = row[name]
        return None if items is None or index >= len(items) else items[index]

    return Place(f"{name}[{index}]", kind, read, name)


def length(name: str) -> Place:
    """How many elements an array has."""

    def read(row: dict[str, Any]) -> Any:
        return None if row[name] is None else len(row[name])

    return Place(f"array_length({name})", "int", read)


def path(text: str, field: str, steps: tuple[str | int, ...]) -> Place:
    """A place in a JSON field."""

    def read(row: dict[str, Any]) -> Any:
        if row[field] is None:
            return None
        found = at(row[field], steps)
        return None if found is ABSENT else found

    return Place(text, "json", read, field)


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATORS = st.sampled_from(sorted(RELATIONS))


def quote(value: Any) -> str:
    """A constant as source text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[{', '.join(map(quote, value))}]"
    return repr(value)


@st.composite
def written(draw: st.DrawFn, value: Any) -> tuple[str, dict[str, Any]]:
    """A constant as it stands in an expression: itself, or a template and its value."""
    if draw(st.integers(0, 4)):
        return quote(value), {}
    # equal values share a name, others never do
    name = f"v{zlib.crc32(repr(value).encode())}"
    return f"{{{name}}}", {name: value}


# --- what a comparison means -----------------------------------------------------


def family(value: Any) -> str:
    """Values of different families are never compared."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def json_relation(op: str, stored: Any, constant: Any) -> Truth:
    """A stored JSON value against a constant."""
    if family(stored) != family(constant):
        return None
    if family(stored) == "list":
        return json_equal(stored, constant) == (op == "==")
    if family(stored) == "number" and (float in (type(stored), type(constant))):
        stored, constant = float(stored), float(constant)
    return RELATIONS[op](stored, constant)


def json_equal(stored: Any, constant: Any) -> bool:
    """Whether a stored value is a constant, lists element by element."""
    if family(stored) != family(constant):
        return False
    if isinstance(stored, list):
        return len(stored) == len(constant) and all(map(json_equal, stored, constant))
    return json_relation("==", stored, constant) is True


def relate(place: Place, op: str, constant: Any) -> Callable[[dict[str, Any]], Truth]:
    """The function of ``place op constant``."""

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        if value is None:
            return None
        if place.kind == "json":
            return json_relation(op, value, constant)
        if place.kind == "float32":
            return RELATIONS[op](value, float32(constant))
        return RELATIONS[op](value, constant)

    return decide


def constants_for(kind: str) -> st.SearchStrategy[Any]:
    """Constants that may stand beside a place."""
    numbers = st.one_of(SMALL, BIG, st.sampled_from([300, -1000, 6]))
    if kind == "int":
        return numbers
    if kind in ("float", "float32"):
        return st.one_of(REAL, SMALL)
    if kind == "str":
        return WORD
    if kind == "bool":
        return st.booleans()
    if kind == "time":
        return st.sampled_from(pools.MOMENT)
    return st.one_of(numbers, REAL, WORD, st.booleans())


def like_matches(value: str, pattern: str) -> bool:
    """LIKE by definition."""
    regex = "".join(
        {"%": "[\\s\\S]*", "_": "[\\s\\S]"}.get(part, re.escape(part[-1]))
        for part in re.findall(r"\\.|[\s\S]", pattern)
    )
    return re.fullmatch(regex, value) is not None


def calculate(op: str, value: Any, number: Any) -> Any:
    """C++ arithmetic: int64 wraps and truncates, anything else is double."""
    if op in "&|^":
        return {"&": operator.and_, "|": operator.or_, "^": operator.xor}[op](
            value, number
        )
    if isinstance(value, int) and isinstance(number, int):
        if op in "+-*":
            result = {"+": operator.add, "-": operator.sub, "*": operator.mul}[op](
                value, number
            )
        else:
            result = abs(value) // abs(number)
            result = -result if (value < 0) != (number < 0) else result
            result = result if op == "/" else value - result * number
        return (result + 2**63) % 2**64 - 2**63
    if op == "%":
        return math.fmod(value, number)
    return {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
    }[op](float(value), float(number))


def is_hollow(value: Any) -> bool:
    """Whether a JSON value is null or holds nothing else."""
    if isinstance(value, dict):
        return all(map(is_hollow, value.values()))
    if isinstance(value, list):
        return all(map(is_hollow, value))
    return value is None


# --- three-valued logic ----------------------------------------------------------


def kleene_and(parts: list[Truth]) -> Truth:
    """False wins, then unknown."""
    if False in parts:
        return False
    return None if None in parts else True


def kleene_or(parts: list[Truth]) -> Truth:
    """True wins, then unknown."""
    if True in parts:
        return True
    return None if None in parts else False


def kleene_not(part: Truth) -> Truth:
    """Unknown stays."""
    return None if part is None else not part
