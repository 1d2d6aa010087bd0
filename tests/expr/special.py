"""Random conditions on times, shapes and elements, with what each says of a row."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import shapely
from hypothesis import strategies as st

from expr import pools
from expr.meaning import (
    OPERATORS,
    RELATIONS,
    Place,
    Sample,
    Truth,
    calculate,
    column,
    constants_for,
    float32,
    kleene_and,
    kleene_not,
    kleene_or,
    like_matches,
    quote,
    relate,
    written,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Decide = Callable[[dict[str, Any]], Truth]

# --- points in time ----------------------------------------------------------------


def iso(moment: int) -> str:
    """Microseconds as text, in one of the zones that a text may name."""
    at = EPOCH + timedelta(microseconds=moment)
    if moment % 3:
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    ahead = at + timedelta(hours=8)
    return ahead.strftime("%Y-%m-%d %H:%M:%S.%f+08:00")


def moved(moment: int, months: int, span: timedelta) -> int:
    """A point in time so many calendar months and so long later.

    A day that its month lacks counts on into the next.
    """
    at = EPOCH + timedelta(microseconds=moment)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    first = at.replace(year=year, month=month + 1, day=1)
    there = first + timedelta(days=at.day - 1) + span
    return (there - EPOCH) // timedelta(microseconds=1)


INTERVALS = [
    ("P1D", 0, timedelta(days=1)),
    ("PT1H30M", 0, timedelta(minutes=90)),
    ("P1M", 1, timedelta()),
    ("P1Y2MT1S", 14, timedelta(seconds=1)),
    ("P", 0, timedelta()),
]
WHEN = column("when", "time")


@st.composite
def times(draw: st.DrawFn) -> Sample:
    """Comparisons with moments, perhaps of a moved column, and integers."""
    op, moment = draw(OPERATORS), draw(constants_for("time"))
    form = draw(st.sampled_from(["iso", "mirrored", "moved", "number", "in"]))
    if form == "number":
        text, params = draw(written(moment))
        return Sample(f"when {op} {text}", relate(WHEN, op, moment), params)
    if form == "in":
        others = draw(st.lists(constants_for("time"), max_size=5))
        text, params = draw(written(others))
        return Sample(f"when in {text}", _among(WHEN, others), params)
    if form == "iso":
        return Sample(f"when {op} ISO '{iso(moment)}'", relate(WHEN, op, moment))
    if form == "mirrored":
        mirrored = op.translate(str.maketrans("<>", "><"))
        text = f'ISO "{iso(moment)}" {mirrored} when'
        return Sample(text, relate(WHEN, op, moment))
    duration, months, span = draw(st.sampled_from(INTERVALS))
    sign = draw(st.sampled_from([1, -1]))

    def decide(row: dict[str, Any]) -> Truth:
        if row["when"] is None:
            return None
        value = moved(row["when"], sign * months, sign * span)
        return RELATIONS[op](value, moment)

    way = "+" if sign > 0 else "-"
    text = f"when {way} INTERVAL '{duration}' {op} ISO '{iso(moment)}'"
    return Sample(text, decide)


def _among(place: Place, values: list[Any]) -> Decide:
    def decide(row: dict[str, Any]) -> Truth:
        value = place.read(row)
        return None if value is None else value in values

    return decide


# --- shapes ------------------------------------------------------------------------

geometry = cache(shapely.from_wkt)
SHAPES = {
    name: getattr(shapely, name)
    for name in (
        "equals",
        "touches",
        "overlaps",
        "crosses",
        "contains",
        "intersects",
        "within",
    )
}


@st.composite
def shapes(draw: st.DrawFn) -> Sample:
    """How a geometry stands to another, or whether it is valid."""
    name, text = (
        draw(st.sampled_from(sorted(SHAPES))),
        draw(st.sampled_from(pools.PLACE)),
    )
    is_validity = draw(st.integers(0, 9)) == 0

    def decide(row: dict[str, Any]) -> Truth:
        if row["place"] is None:
            return None
        shape = geometry(row["place"])
        if is_validity:
            return bool(shapely.is_valid(shape))
        return bool(SHAPES[name](shape, geometry(text)))

    if is_validity:
        return Sample("st_isvalid(place)", decide)
    word, params = draw(written(text))
    return Sample(f"st_{name}(place, {word})", decide, params)


# --- elements of arrays and structs ------------------------------------------------

PARTS = [("x", "int"), ("w", "str"), ("r", "float"), ("f", "bool")]


def _part(name: str, kind: str) -> Place:
    return Place(f"$[{name}]", kind, lambda element: element[name])


def _itself(kind: str) -> Place:
    return Place("$", kind, lambda element: element)


@st.composite
def about_elements(draw: st.DrawFn, places: list[Place]) -> Sample:
    """A condition on one element, without templates, which it may not have."""
    place = draw(st.sampled_from(places))
    value, op = draw(constants_for(place.kind)), draw(OPERATORS)
    form = draw(st.sampled_from(["compare", "in", "like", "sum", "both", "not"]))
    if form == "both":
        first, second = draw(about_elements(places)), draw(about_elements(places))
        word, joined = draw(st.sampled_from([("and", kleene_and), ("or", kleene_or)]))
        return Sample(
            f"({first.text}) {word} ({second.text})",
            lambda e: joined([first.decide(e), second.decide(e)]),
        )
    if form == "not":
        inner = draw(about_elements(places))
        return Sample(f"not ({inner.text})", lambda e: kleene_not(inner.decide(e)))
    if form == "in":
        values = draw(st.lists(constants_for(place.kind), max_size=6))
        wanted = list(map(float32, values)) if place.kind == "float32" else values
        return Sample(f"{place.text} in {quote(values)}", _among(place, wanted))
    if form == "like" and place.kind == "str":
        pattern = draw(st.sampled_from(["a%", "%b%", "_", "a_%", ""]))
        return Sample(
            f"{place.text} like {quote(pattern)}",
            lambda e: like_matches(place.read(e), pattern),
        )
    if form == "sum" and place.kind == "int":
        return Sample(
            f"{place.text} % 2 {op} 1",
            lambda e: RELATIONS[op](calculate("%", place.read(e), 2), 1),
        )
    if place.kind == "bool":
        op = draw(st.sampled_from(["==", "!="]))
    return Sample(f"{place.text} {op} {quote(value)}", relate(place, op, value))


COUNTS: dict[str, Callable[[int, int], bool]] = {
    "least": operator.ge,
    "most": operator.le,
    "exact": operator.eq,
}


@st.composite
def elements(draw: st.DrawFn) -> Sample:
    """How many elements of a struct or an array hold a condition."""
    name, places = draw(st.sampled_from(SUBJECTS))
    inner = draw(about_elements(places))
    how = draw(st.sampled_from(["any", "all", *COUNTS]))
    threshold = draw(st.integers(how == "least", 3))

    def decide(row: dict[str, Any]) -> Truth:
        all_of_them = row[name] or []
        count = sum(inner.decide(element) is True for element in all_of_them)
        if how == "any":
            return count > 0
        if how == "all":
            return count == len(all_of_them)
        return COUNTS[how](count, threshold)

    wanted = f", threshold={threshold}" if how in COUNTS else ""
    return Sample(f"match_{how}({name}, {inner.text}{wanted})", decide)


@st.composite
def element_filters(draw: st.DrawFn, parts: st.SearchStrategy[Sample]) -> Sample:
    """``element_filter``, last in a filter, perhaps behind a condition on rows."""
    inner = draw(about_elements(STRUCT_PARTS))
    before = draw(st.none() | parts)
    text = f"element_filter(s, {inner.text})"

    def decide(row: dict[str, Any]) -> Truth:
        return any(inner.decide(element) is True for element in row["s"] or [])

    if before is None:
        return Sample(text, decide)
    return Sample(
        f"({before.text}) and {text}",
        lambda row: kleene_and([before.decide(row), decide(row)]),
        before.params,
    )


STRUCT_PARTS = [_part(*part) for part in PARTS]
SUBJECTS = [
    ("s", STRUCT_PARTS),
    ("nums", [_itself("int")]),
    ("tags", [_itself("str")]),
    ("reals", [_itself("float32")]),
    ("flags", [_itself("bool")]),
]


def _list_of(part: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: None if row["s"] is None else [e[part] for e in row["s"]]


def _of_first(part: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: row["s"][0][part] if row["s"] else None


@st.composite
def members(draw: st.DrawFn) -> Sample:
    """The lists of a struct's fields, and their first elements."""
    part, kind = draw(st.sampled_from(PARTS))
    value = draw(constants_for(kind))
    if draw(st.booleans()):
        place = Place(f"s[0][{part}]", kind, _of_first(part))
        op = draw(st.sampled_from(["==", "!="]) if kind == "bool" else OPERATORS)
        return Sample(f"{place.text} {op} {quote(value)}", relate(place, op, value))
    read = _list_of(part)
    if draw(st.booleans()):
        count, op = draw(st.integers(0, 3)), draw(OPERATORS)
        subject = draw(st.sampled_from(["s", f"s[{part}]"]))
        place = Place(f"array_length({subject})", "int", lambda row: _length(read(row)))
        return Sample(f"{place.text} {op} {count}", relate(place, op, count))

    def decide(row: dict[str, Any]) -> Truth:
        held = read(row)
        return None if held is None else value in held

    return Sample(f"array_contains(s[{part}], {quote(value)})", decide)


def _length(values: list[Any] | None) -> int | None:
    return None if values is None else len(values)


SPECIAL = st.one_of(times(), shapes(), elements(), members())
