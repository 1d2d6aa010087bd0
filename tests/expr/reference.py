"""Random typed expressions, each with a plain Python function that decides one row.

The functions answer True, False or None (unknown) from the row's dictionary and share
nothing with the implementation: they are the specification, row by row.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

Truth = bool | None

FIELDS = [
    "id Int64 primary",
    "small Int8 nullable",
    "big Int64",
    "real Float nullable",
    "wide Double",
    "flag Bool nullable",
    "word VarChar nullable",
    "text VarChar",
    "doc JSON nullable",
    "nums Array[Int64] nullable",
    "tags Array[VarChar]",
    "$meta JSON dynamic",
]


class Sample(NamedTuple):
    """An expression and what it says of a row."""

    text: str
    decide: Callable[[dict[str, Any]], Truth]


# --- rows ------------------------------------------------------------------------

SMALL = st.sampled_from([-128, -7, -1, 0, 1, 2, 3, 127])
BIG = st.sampled_from([-(2**63), -5, 0, 1, 2, 2**53, 2**53 + 1, 2**63 - 1])
REAL = st.sampled_from([-1.5, -0.0, 0.1, 0.5, 1.0, 2.0, 1e30])
WORD = st.sampled_from(["", "a", "ab", "abc", "b", "é", "a%", "a_", "x\ny"])
SCALAR = st.one_of(st.none(), st.booleans(), SMALL, BIG, REAL, WORD)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["k", "0", "m"]), inner, max_size=2),
    ),
    max_leaves=6,
)


def float32(value: float) -> float:
    """The nearest float32."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


ROW = st.fixed_dictionaries(
    {
        "small": st.none() | SMALL,
        "big": BIG,
        "real": st.none() | REAL.map(float32),
        "wide": REAL,
        "flag": st.none() | st.booleans(),
        "word": st.none() | WORD,
        "text": WORD,
        "doc": st.none() | st.dictionaries(st.sampled_from("xyz"), VALUE) | VALUE,
        "nums": st.none() | st.lists(st.sampled_from([0, 1, 2, 2**53 + 1]), max_size=3),
        "tags": st.lists(WORD, max_size=3),
        "$meta": st.dictionaries(st.sampled_from(["dyn", "more"]), VALUE),
    }
)

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
    """Something to compare: its text, its kind, and its value in a row or None."""

    text: str
    kind: str
    read: Callable[[dict[str, Any]], Any]


def _column(name: str, kind: str) -> Place:
    return Place(name, kind, lambda row: row[name])


def _element(name: str, index: int, kind: str) -> Place:
    def read(row: dict[str, Any]) -> Any:
        items = row[name]
        return None if items is None or index >= len(items) else items[index]

    return Place(f"{name}[{index}]", kind, read)


def _length(name: str) -> Place:
    def read(row: dict[str, Any]) -> Any:
        return None if row[name] is None else len(row[name])

    return Place(f"array_length({name})", "int", read)


def _path(text: str, field: str, path: tuple[str | int, ...]) -> Place:
    def read(row: dict[str, Any]) -> Any:
        if row[field] is None:
            return None
        found = at(row[field], path)
        return None if found is ABSENT else found

    return Place(text, "json", read)


INTEGERS = [_column("small", "int"), _column("big", "int"), _element("nums", 1, "int")]
FLOATS = [_column("real", "float32"), _column("wide", "float")]
STRINGS = [_column("word", "str"), _column("text", "str"), _element("tags", 0, "str")]
PATHS = [
    _path('doc["x"]', "doc", ("x",)),
    _path('doc["x"]["k"]', "doc", ("x", "k")),
    _path("doc['y'][0]", "doc", ("y", 0)),
    _path("dyn", "$meta", ("dyn",)),
    _path('dyn["m"]', "$meta", ("dyn", "m")),
    _path('$meta["more"]', "$meta", ("more",)),
]
ROOT = _path("doc", "doc", ())
LENGTHS = [_length("nums"), _length("tags")]

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
    return st.one_of(numbers, REAL, WORD, st.booleans())


PLACES = st.sampled_from(
    [*INTEGERS, *FLOATS, *STRINGS, *PATHS, ROOT, *LENGTHS, _column("flag", "bool")]
)


@st.composite
def comparisons(draw: st.DrawFn) -> Sample:
    """``place op constant``, either way round."""
    place = draw(PLACES)
    constant = draw(constants_for(place.kind))
    is_bool = isinstance(constant, bool)
    op = draw(st.sampled_from(["==", "!="]) if is_bool else OPERATORS)
    decide = relate(place, op, constant)
    if draw(st.booleans()):
        return Sample(f"{place.text} {op} {quote(constant)}", decide)
    mirrored = op.translate(str.maketrans("<>", "><"))
    return Sample(f"{quote(constant)} {mirrored} {place.text}", decide)


@st.composite
def ranges(draw: st.DrawFn) -> Sample:
    """``low < place < high``, either way round."""
    place = draw(st.sampled_from([*INTEGERS, *FLOATS, *STRINGS, *PATHS]))
    kind = draw(st.sampled_from(["int", "str"])) if place.kind == "json" else place.kind
    pair = st.tuples(constants_for(kind), constants_for(kind))
    low, high = draw(pair.filter(lambda ends: ends[0] < ends[1]))
    first, second = draw(st.tuples(*[st.sampled_from(["<", "<="])] * 2))
    above = relate(place, {"<": ">", "<=": ">="}[first], low)
    below = relate(place, second, high)
    if draw(st.booleans()):
        text = f"{quote(low)} {first} {place.text} {second} {quote(high)}"
    else:
        back = str.maketrans("<", ">")
        text = (
            f"{quote(high)} {second.translate(back)} {place.text} "
            f"{first.translate(back)} {quote(low)}"
        )
    return Sample(text, lambda row: kleene_and([above(row), below(row)]))


@st.composite
def memberships(draw: st.DrawFn) -> Sample:
    """``place in list`` and ``place not in list``."""
    place = draw(PLACES.filter(lambda place: "length" not in place.text))
    values = draw(st.lists(constants_for(place.kind), max_size=7))
    negated = draw(st.booleans())
    as_doubles = any(isinstance(value, float) for value in values)

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        if value is None:
            return None
        if place.kind != "json":
            wanted = map(float32, values) if place.kind == "float32" else values
            return (value in wanted) != negated
        if values and family(value) not in map(family, values):
            return None
        if as_doubles and family(value) == "number":
            value = float(value)
        return any(json_equal(value, v) for v in values) != negated

    word = "not in" if negated else "in"
    return Sample(f"{place.text} {word} {quote(values)}", decide)


def like_matches(value: str, pattern: str) -> bool:
    """LIKE by definition."""
    regex = "".join(
        {"%": "[\\s\\S]*", "_": "[\\s\\S]"}.get(part, re.escape(part[-1]))
        for part in re.findall(r"\\.|[\s\S]", pattern)
    )
    return re.fullmatch(regex, value) is not None


@st.composite
def matches(draw: st.DrawFn) -> Sample:
    """``place like pattern`` and ``place =~ pattern``."""
    place = draw(st.sampled_from([*STRINGS, *PATHS]))
    parts = st.sampled_from(["a", "b", "%", "_", "\\%", "\\_", "\n", "é"])
    pattern = "".join(draw(st.lists(parts, max_size=4)))
    op, is_match = "like", like_matches
    if draw(st.booleans()):
        pattern = draw(st.sampled_from(["a", "^a", "b$", "a.", "[ab]+c", "^$", "x.y"]))
        op = draw(st.sampled_from(["=~", "!~"]))

        def is_match(value: str, pattern: str) -> bool:
            found = re.search(pattern.replace("$", "\\Z"), value, re.DOTALL)
            return (found is not None) == (op == "=~")

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        return is_match(value, pattern) if isinstance(value, str) else None

    return Sample(f"{place.text} {op} {quote(pattern)}", decide)


def calculate(op: str, value: Any, number: Any) -> Any:
    """C++ arithmetic: int64 wraps and truncates, anything else is double."""
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


@st.composite
def sums(draw: st.DrawFn) -> Sample:
    """``place op number`` compared with a number."""
    place = draw(st.sampled_from([*INTEGERS, *FLOATS, *PATHS, *LENGTHS]))
    numbers = st.sampled_from([-3, -1, 1, 2, 5])
    if place.kind not in ("int",):
        numbers = st.one_of(numbers, st.sampled_from([0.5, -2.0]))
    op, number = draw(st.sampled_from("+-*/%")), draw(numbers)
    if op == "%" and (place.kind.startswith("float") or isinstance(number, float)):
        op = "*"
    relation = draw(OPERATORS)
    constant = draw(st.sampled_from([-4, -1, 0, 1, 2, 3, 2**53]))

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        if value is None or family(value) != "number":
            return None
        result = calculate(op, value, number)
        if isinstance(result, float):
            return RELATIONS[relation](result, float(constant))
        return RELATIONS[relation](result, constant)

    return Sample(f"{place.text} {op} {number!r} {relation} {constant}", decide)


# --- arrays, nulls, columns ------------------------------------------------------


@st.composite
def containments(draw: st.DrawFn) -> Sample:
    """contains, contains_all and contains_any, over arrays and JSON."""
    place = draw(
        st.sampled_from([_column("nums", "int"), _column("tags", "str"), ROOT, *PATHS])
    )
    elements = constants_for(place.kind)
    if place.kind == "json":
        elements = st.one_of(elements, st.lists(SMALL, max_size=2))
    how = draw(st.sampled_from(["contains", "contains_all", "contains_any"]))
    values = draw(st.lists(elements, min_size=how == "contains", max_size=3))
    values = values[:1] if how == "contains" else values
    needs_all = how != "contains_any"

    def decide(row: dict[str, Any]) -> Truth:
        if not values:
            return needs_all
        stored = place.read(row)
        if not isinstance(stored, list):
            return None
        found = [any(json_equal(item, value) for item in stored) for value in values]
        return all(found) if needs_all else any(found)

    prefix = "json" if place.kind == "json" else "array"
    argument = quote(values[0] if how == "contains" else values)
    return Sample(f"{prefix}_{how}({place.text}, {argument})", decide)


@st.composite
def list_equalities(draw: st.DrawFn) -> Sample:
    """Whole arrays against a list."""
    place = draw(
        st.sampled_from([_column("nums", "int"), _column("tags", "str"), ROOT, *PATHS])
    )
    values = draw(st.lists(constants_for(place.kind), max_size=3))
    op = draw(st.sampled_from(["==", "!="]))

    def decide(row: dict[str, Any]) -> Truth:
        stored = place.read(row)
        if not isinstance(stored, list):
            return None
        return json_equal(stored, values) == (op == "==")

    return Sample(f"{place.text} {op} {quote(values)}", decide)


def is_hollow(value: Any) -> bool:
    """Whether a JSON value is null or holds nothing else."""
    if isinstance(value, dict):
        return all(map(is_hollow, value.values()))
    if isinstance(value, list):
        return all(map(is_hollow, value))
    return value is None


@st.composite
def presences(draw: st.DrawFn) -> Sample:
    """``exists`` and the null tests, which are never unknown."""
    if draw(st.booleans()):
        place = draw(st.sampled_from(PATHS))
        text, wanted = draw(
            st.sampled_from(
                [
                    (f"exists {place.text}", True),
                    (f"{place.text} is not null", True),
                    (f"{place.text} is null", False),
                ]
            )
        )
        return Sample(text, lambda row: (not is_hollow(place.read(row))) == wanted)
    name = draw(st.sampled_from(["small", "word", "doc", "nums", "big", "tags"]))
    negated = draw(st.booleans())
    text = f"{name} is not null" if negated else f"{name} is null"
    return Sample(text, lambda row: (row[name] is None) != negated)


@st.composite
def column_pairs(draw: st.DrawFn) -> Sample:
    """Two columns of one family."""
    pairs = [(INTEGERS, INTEGERS), (STRINGS, STRINGS), (FLOATS[:1], FLOATS[1:])]
    lefts, rights = draw(st.sampled_from(pairs))
    left, right = draw(st.sampled_from(lefts)), draw(st.sampled_from(rights))
    op = draw(OPERATORS)

    def decide(row: dict[str, Any]) -> Truth:
        values = left.read(row), right.read(row)
        return None if None in values else RELATIONS[op](*values)

    return Sample(f"{left.text} {op} {right.text}", decide)


# --- three-valued logic ----------------------------------------------------------


def kleene_and(parts: list[Truth]) -> Truth:
    """False wins, then unknown."""
    if False in parts:
        return False
    return None if None in parts else True


def kleene_not(part: Truth) -> Truth:
    """Unknown stays."""
    return None if part is None else not part


LEAVES = st.one_of(
    comparisons(),
    ranges(),
    memberships(),
    matches(),
    sums(),
    containments(),
    list_equalities(),
    presences(),
    column_pairs(),
)


def _negation(part: Sample) -> Sample:
    return Sample(f"not ({part.text})", lambda row: kleene_not(part.decide(row)))


def _conjunction(parts: list[Sample]) -> Sample:
    return Sample(
        " and ".join(f"({part.text})" for part in parts),
        lambda row: kleene_and([part.decide(row) for part in parts]),
    )


def _disjunction(parts: list[Sample]) -> Sample:
    return Sample(
        " || ".join(f"({part.text})" for part in parts),
        lambda row: kleene_not(
            kleene_and([kleene_not(part.decide(row)) for part in parts])
        ),
    )


def _joined(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        inner.map(_negation), several.map(_conjunction), several.map(_disjunction)
    )


EXPRESSIONS = st.recursive(LEAVES, _joined, max_leaves=5)
