"""Random conditions on scalars, JSON and arrays, with what each says of a row."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from expr.meaning import (
    OPERATORS,
    RELATIONS,
    SMALL,
    Place,
    Sample,
    Truth,
    calculate,
    column,
    constants_for,
    element,
    family,
    float32,
    is_hollow,
    json_equal,
    kleene_and,
    kleene_or,
    length,
    like_matches,
    path,
    quote,
    relate,
    written,
)

INTEGERS = [
    column("small", "int"),
    column("short", "int"),
    column("mid", "int"),
    column("big", "int"),
    element("nums", 1, "int"),
    element("bytes", 0, "int"),
]
FLOATS = [
    column("real", "float32"),
    column("wide", "float"),
    element("reals", 0, "float32"),
]
STRINGS = [column("word", "str"), column("text", "str"), element("tags", 0, "str")]
BOOLS = [column("flag", "bool"), element("flags", 1, "bool")]
PATHS = [
    path('doc["x"]', "doc", ("x",)),
    path('doc["x"]["k"]', "doc", ("x", "k")),
    path("doc['y'][0]", "doc", ("y", 0)),
    path("dyn", "$meta", ("dyn",)),
    path('dyn["m"]', "$meta", ("dyn", "m")),
    path('$meta["more"]', "$meta", ("more",)),
]
ROOT = path("doc", "doc", ())
LENGTHS = [length("nums"), length("tags"), length("reals")]
ARRAYS = [
    column("nums", "int"),
    column("tags", "str"),
    column("reals", "float32"),
    column("flags", "bool"),
    column("bytes", "int"),
]

PLACES = st.sampled_from([*INTEGERS, *FLOATS, *STRINGS, *PATHS, ROOT, *LENGTHS, *BOOLS])


@st.composite
def comparisons(draw: st.DrawFn) -> Sample:
    """``place op constant``, either way round."""
    place = draw(PLACES)
    constant = draw(constants_for(place.kind))
    is_bool = isinstance(constant, bool)
    op = draw(st.sampled_from(["==", "!="]) if is_bool else OPERATORS)
    text, params = draw(written(constant))
    decide = relate(place, op, constant)
    if draw(st.booleans()):
        return Sample(f"{place.text} {op} {text}", decide, params)
    mirrored = op.translate(str.maketrans("<>", "><"))
    return Sample(f"{text} {mirrored} {place.text}", decide, params)


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
    (low_text, low_params), (high_text, high_params) = (
        draw(written(low)),
        draw(written(high)),
    )
    if draw(st.booleans()):
        text = f"{low_text} {first} {place.text} {second} {high_text}"
    else:
        back = str.maketrans("<", ">")
        text = (
            f"{high_text} {second.translate(back)} {place.text} "
            f"{first.translate(back)} {low_text}"
        )
    params = {**low_params, **high_params}
    return Sample(text, lambda row: kleene_and([above(row), below(row)]), params)


@st.composite
def memberships(draw: st.DrawFn) -> Sample:
    """``place in list`` and ``place not in list``."""
    place = draw(PLACES.filter(lambda place: "length" not in place.text))
    values = draw(st.lists(constants_for(place.kind), max_size=7))
    text, params = draw(written(values))
    negated = draw(st.booleans())
    as_doubles = any(isinstance(value, float) for value in values)

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        if value is None:
            return None
        if place.kind != "json":
            is_single = place.kind == "float32"
            return (
                value in map(float32, values) if is_single else value in values
            ) != (negated)
        if values and family(value) not in map(family, values):
            return None
        if as_doubles and family(value) == "number":
            value = float(value)
        return any(json_equal(value, v) for v in values) != negated

    word = "not in" if negated else "in"
    return Sample(f"{place.text} {word} {text}", decide, params)


@st.composite
def chains(draw: st.DrawFn) -> Sample:
    """``place == a or place == b or ..``, and none of them."""
    place = draw(PLACES)
    values = draw(st.lists(constants_for(place.kind), min_size=2, max_size=6))
    op, word = draw(st.sampled_from([("==", "or"), ("!=", "and")]))
    parts = [relate(place, op, value) for value in values]
    text = f" {word} ".join(f"{place.text} {op} {quote(value)}" for value in values)

    def decide(row: dict[str, Any]) -> Truth:
        said = [part(row) for part in parts]
        return kleene_and(said) if word == "and" else kleene_or(said)

    return Sample(text, decide)


@st.composite
def matches(draw: st.DrawFn) -> Sample:
    """``place like pattern`` and ``place =~ pattern``."""
    place = draw(st.sampled_from([*STRINGS, *PATHS]))
    parts = st.sampled_from(["a", "b", "%", "_", "\\%", "\\_", "\n", "é"])
    pattern = "".join(draw(st.lists(parts, max_size=4)))
    if draw(st.integers(0, 5)) == 0:
        return _of_strings(place, pattern)
    op, is_match = "like", like_matches
    if draw(st.booleans()):
        pattern = draw(st.sampled_from(["a", "^a", "b$", "a.", "[ab]+c", "^$", "x.y"]))
        op = draw(st.sampled_from(["=~", "!~"]))

        def is_match(value: str, pattern: str) -> bool:
            found = re.search(pattern.replace("$", "\\Z"), value, re.DOTALL)
            return (found is not None) == (op == "=~")

    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        if isinstance(value, str):
            return is_match(value, pattern)
        # of all conditions on JSON, only these say something where there is no string
        if op == "like" or not place.field or row[place.field] is None:
            return None
        return op == "!~"

    # the pattern of a regular expression is read otherwise than other literals
    text, params = draw(written(pattern))
    return Sample(f"{place.text} {op} {text}", decide, params)


def _of_strings(place: Place, prefix: str) -> Sample:
    """``starts_with`` and ``empty``, which take fields alone."""
    field = column(
        "word" if place.kind == "json" or "[" in place.text else place.text, "str"
    )

    def decide(row: dict[str, Any]) -> Truth:
        value = field.read(row)
        if value is None:
            return None
        return bool(value.startswith(prefix)) if prefix else value == ""

    text = f"starts_with({field.text}, {quote(prefix)})"
    return Sample(text if prefix else f"empty({field.text})", decide)


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
    if place.kind == "int" and draw(st.integers(0, 3)) == 0:
        op, number = draw(st.sampled_from("&|^")), draw(SMALL)
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

    # bits bind more loosely than comparisons do
    sum_text = f"({place.text} {op} {number!r})"
    return Sample(f"{sum_text} {relation} {constant}", decide)


# --- arrays, nulls, columns ------------------------------------------------------


@st.composite
def containments(draw: st.DrawFn) -> Sample:
    """contains, contains_all and contains_any, over arrays and JSON."""
    place = draw(st.sampled_from([*ARRAYS, ROOT, *PATHS]))
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
        wanted = [float32(v) for v in values] if place.kind == "float32" else values
        found = [any(json_equal(item, value) for item in stored) for value in wanted]
        return all(found) if needs_all else any(found)

    prefix = "json" if place.kind == "json" else "array"
    text, params = draw(written(values[0] if how == "contains" else values))
    return Sample(f"{prefix}_{how}({place.text}, {text})", decide, params)


@st.composite
def list_equalities(draw: st.DrawFn) -> Sample:
    """Whole arrays against a list."""
    place = draw(st.sampled_from([*ARRAYS, ROOT, *PATHS]))
    values = draw(st.lists(constants_for(place.kind), max_size=3))
    op = draw(st.sampled_from(["==", "!="]))

    def decide(row: dict[str, Any]) -> Truth:
        stored = place.read(row)
        if not isinstance(stored, list):
            return None
        wanted = [float32(v) for v in values] if place.kind == "float32" else values
        return json_equal(stored, wanted) == (op == "==")

    text, params = draw(written(values))
    return Sample(f"{place.text} {op} {text}", decide, params)


NULLABLE = ["small", "word", "doc", "nums", "big", "tags", "when", "place", "s"]


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
    name = draw(st.sampled_from(NULLABLE))
    negated = draw(st.booleans())
    text = f"{name} is not null" if negated else f"{name} is null"
    return Sample(text, lambda row: (row[name] is None) != negated)


@st.composite
def column_pairs(draw: st.DrawFn) -> Sample:
    """Two columns of one family."""
    numbers = [*INTEGERS, *FLOATS]
    pairs = [(INTEGERS, INTEGERS), (STRINGS, STRINGS), (numbers, FLOATS)]
    lefts, rights = draw(st.sampled_from(pairs))
    left, right = draw(st.sampled_from(lefts)), draw(st.sampled_from(rights))
    op = draw(OPERATORS)

    def decide(row: dict[str, Any]) -> Truth:
        first, second = left.read(row), right.read(row)
        if first is None or second is None:
            return None
        if float in (type(first), type(second)):
            first, second = float(first), float(second)
        return RELATIONS[op](first, second)

    return Sample(f"{left.text} {op} {right.text}", decide)
