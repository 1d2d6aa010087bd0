"""Spatial conditions are what GEOS says of each pair alone, whatever boxes rule out."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.schema.geometry import wkb_of_texts
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from expr.columns import Columns

SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("geo", DataType.GEOMETRY, nullable=True),
    )
).with_ids()
RELATIONS = {
    "equals": shapely.equals,
    "touches": shapely.touches,
    "overlaps": shapely.overlaps,
    "crosses": shapely.crosses,
    "contains": shapely.contains,
    "intersects": shapely.intersects,
    "within": shapely.within,
}
# Few places, so that shapes share corners and edges.
PLACES = st.tuples(st.integers(0, 4), st.integers(0, 4))


def matching(text: str, texts: list[str | None], **params: Any) -> list[int]:
    """The rows that a filter selects."""
    ids = pa.array(range(len(texts)), pa.int64())
    columns = Columns(
        {100: ids, 101: wkb_of_texts(pa.array(texts, pa.large_string()))}, len(texts)
    )
    mask = evaluate(compile_filter(text, SCHEMA, params), columns)
    return [int(row) for row in mask.nonzero()[0]]


@st.composite
def shapes(draw: st.DrawFn) -> str:
    """WKT of a small shape of any kind, perhaps an invalid or an empty one."""
    kind = draw(st.sampled_from(["point", "line", "box", "ring", "points", "mixed"]))
    if kind == "mixed":
        parts = draw(st.lists(shapes(), max_size=3))
        return str(shapely.geometrycollections(list(map(shapely.from_wkt, parts))))
    least = {"point": 0, "line": 2, "box": 2, "ring": 3, "points": 1}[kind]
    places = draw(st.lists(PLACES, min_size=least, max_size=5, unique=True))
    if kind == "point":
        return f"POINT ({places[0][0]} {places[0][1]})" if places else "POINT EMPTY"
    if kind == "points":
        return str(shapely.multipoints(places))
    if kind == "line":
        return str(shapely.linestrings(places))
    if kind == "box":
        (left, low), (right, high) = places[:2]
        return str(shapely.box(left, low, right + 1, high + 1))
    return str(shapely.polygons(places))


@example(
    name="contains",
    texts=[
        "GEOMETRYCOLLECTION (POLYGON ((1 0, 1 2, 0 2, 0 0, 1 0)), "
        "POLYGON ((2 0, 2 1, 0 1, 0 0, 2 0)))"
    ],
    query="POLYGON ((1 0, 1 2, 0 2, 0 0, 1 0))",
)
@given(
    name=st.sampled_from(sorted(RELATIONS)),
    texts=st.lists(shapes() | st.none(), max_size=8),
    query=shapes().filter(lambda text: shapely.is_valid(shapely.from_wkt(text))),
)
def test_a_relation_is_what_each_pair_says(
    name: str, texts: list[str | None], query: str
) -> None:
    """Vectorised, prepared and behind boxes as one by one; nulls are unknown."""
    # GEOS refuses some relations of collections and of invalid shapes
    texts = [
        text
        for text in texts
        if text is None or shapely.is_valid(shapely.from_wkt(text))
    ]
    theirs = shapely.from_wkt(query)
    wanted = [
        text is not None and bool(RELATIONS[name](shapely.from_wkt(text), theirs))
        for text in texts
    ]
    condition = f"st_{name}(geo, {json.dumps(query)})"
    rows = [i for i, is_true in enumerate(wanted) if is_true]
    assert matching(condition, texts) == rows
    assert matching(f"ST_{name.upper()}(geo, {{q}})", texts, q=query) == rows
    others = [i for i, text in enumerate(texts) if text and not wanted[i]]
    assert matching(f"not {condition}", texts) == others


@given(st.lists(shapes() | st.none(), max_size=8))
def test_validity_is_what_each_shape_says(texts: list[str | None]) -> None:
    """Neither a null is valid, nor its negation."""
    valid = [
        i for i, t in enumerate(texts) if t and shapely.is_valid(shapely.from_wkt(t))
    ]
    assert matching("st_isvalid(geo)", texts) == valid
    others = [i for i, text in enumerate(texts) if text and i not in valid]
    assert matching("not st_isvalid(geo)", texts) == others


def metres(longitude: float, latitude: float) -> float:
    """Along the sphere from a place to 10° east, 50° north."""
    there = math.radians(longitude), math.radians(latitude)
    here = math.radians(10), math.radians(50)
    cosine = math.sin(there[1]) * math.sin(here[1]) + math.cos(there[1]) * math.cos(
        here[1]
    ) * math.cos(there[0] - here[0])
    return 6_371_000 * math.acos(min(1.0, cosine))


@given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=8),
    st.floats(1, 2e7),
)
def test_distances_of_points_follow_the_sphere(
    places: list[tuple[float, float]], distance: float
) -> None:
    """As the law of cosines has it, but where that is not exact enough."""
    far = [place for place in places if abs(metres(*place) - distance) > 1]
    texts: list[str | None] = [f"POINT ({x!r} {y!r})" for x, y in far]
    wanted = [i for i, place in enumerate(far) if metres(*place) <= distance]
    assert matching(f"st_dwithin(geo, 'POINT (10 50)', {distance!r})", texts) == wanted


def test_distances_of_other_shapes_are_those_of_degrees() -> None:
    """A degree is 111,320 m, shrunk by the latitude of the point asked about."""
    metres_a_degree = 111_320 * math.sqrt((1 + math.cos(math.radians(60)) ** 2) / 2)
    texts = ["LINESTRING (0 59, 1 59)", "POLYGON EMPTY", None, "POINT (0 60)"]
    near, far = math.ceil(metres_a_degree), math.floor(metres_a_degree)
    assert matching(f"st_dwithin(geo, 'POINT (0 60)', {near})", texts) == [0, 3]
    assert matching(f"st_dwithin(geo, 'POINT (0 60)', {far})", texts) == [3]
    assert matching("st_dwithin(geo, 'POINT (0 60)', 0)", texts) == [3]
    assert matching("st_dwithin(geo, 'POINT EMPTY', 10)", texts) == []


def test_an_invalid_query_shape_is_asked_about_like_any_other() -> None:
    """A ring that crosses itself is WKT, so it may be asked about."""
    crossed = "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))"
    assert matching(f"st_intersects(geo, '{crossed}')", ["POINT (9 9)"]) == []


def test_no_list_holds_a_geometry() -> None:
    """An empty list is none of anything, but says nothing about nulls."""
    texts = ["POINT (1 2)", None]
    assert matching("geo in []", texts) == []
    assert matching("geo not in []", texts) == [0]
    assert matching("geo is null", texts) == [1]


def test_coordinates_near_the_largest_double_warn_nobody() -> None:
    """What overflows inside GEOS stays there; the answer is GEOS' own."""
    line = "LINESTRING (0 9, 9 1e308)"
    texts = ["LINESTRING (0 0, 9 9)", "POINT (1 1)", line, None]
    for relation in RELATIONS:
        found = matching(f"st_{relation}(geo, '{line}')", texts)
        assert set(found) <= {0, 1, 2}
