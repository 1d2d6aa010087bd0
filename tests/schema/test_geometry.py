"""Geometries: WKT in, WKB kept, the same WKT out, no bit of a coordinate lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.check import check_schema
from elanus.schema.codecs import encode, shown
from elanus.schema.columns import constant
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

GEO = FieldSchema("geo", DataType.GEOMETRY, nullable=True)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def there_and_back(*texts: str | None) -> list[str | None]:
    """What answers show of values given."""
    out: list[str | None] = shown(GEO, encode(GEO, list(texts))).to_pylist()
    return out


@pytest.mark.parametrize(
    "text",
    [
        "POINT (0 0)",
        "POINT (1.23456789012345 -9.87654321098765)",
        "POINT (0.30000000000000004 100000000000000000000)",
        "POINT (0.0000000001 -0)",
        "POINT EMPTY",
        "POINT Z (1 2 3)",
        "POINT M (1 2 3)",
        "POINT ZM (1 2 3 4)",
        "LINESTRING (0 0, 1 1, 2 2)",
        "LINESTRING Z (0 0 1, 1 1 2)",
        "LINESTRING EMPTY",
        "POLYGON ((0 0, 5 0, 5 5, 0 5, 0 0), (1 1, 2 1, 2 2, 1 1))",
        "POLYGON EMPTY",
        "MULTIPOINT ((0 0), (1 1), (2 2))",
        "MULTIPOINT (EMPTY, (1 1))",
        "MULTIPOINT EMPTY",
        "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
        "MULTILINESTRING EMPTY",
        "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 0)), ((3 3, 5 3, 5 5, 3 3)))",
        "MULTIPOLYGON EMPTY",
        "GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (2 2, 3 3))",
        "GEOMETRYCOLLECTION (GEOMETRYCOLLECTION EMPTY, MULTIPOINT ((1 2)))",
        "GEOMETRYCOLLECTION EMPTY",
    ],
)
def test_what_goes_in_comes_out(text: str) -> None:
    """Every kind, with and without Z and M, empty or not."""
    assert there_and_back(text, None, text) == [text, None, text]


@given(NUMBERS, NUMBERS)
def test_every_coordinate_comes_back(x: float, y: float) -> None:
    """Also those that Python writes with an exponent."""
    (text,) = there_and_back(f"POINT ({x!r} {y!r})")
    assert text is not None and "e" not in text
    back = text.removeprefix("POINT (").removesuffix(")").split()
    assert [float(number).hex() for number in back] == [x.hex(), y.hex()]


def test_spelling_is_made_the_same() -> None:
    """Case and spaces of the text are not kept."""
    assert there_and_back("point(1.50   2)", "MultiPoint(1 2,3 4)") == [
        "POINT (1.5 2)",
        "MULTIPOINT ((1 2), (3 4))",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "INVALID WKT STRING",
        "POINT ()",
        "POINT (abc def)",
        "POLYGON ((0 0, 1 1))",
        "LINESTRING (0 0)",
        "POINT (1 2 3 4 5)",
        "POLYGON ((0 0, 1 0, 1 1, 0 1))",
        "",
        "POINT (1 2) POINT (3 4)",
        "POINT (1 2)\0",
        "POINT (nan 2)",
        "POINT (inf 2)",
        "POINT (1e999 2)",
        "LINEARRING (0 0, 1 0, 1 1, 0 0)",
        "CIRCULARSTRING (0 0, 1 1, 2 0)",
        "SRID=4326;POINT (1 2)",
    ],
)
def test_what_is_no_wkt_is_refused(text: str) -> None:
    """With Milvus' words, and GEOS' reason."""
    with pytest.raises(InvalidParameter, match="transform to wkb failed: syntax error"):
        encode(GEO, ["POINT (1 2)", text])


@pytest.mark.parametrize("values", [[1], [b"POINT (1 2)"], ["POINT (1 2)", 3]])
def test_what_is_no_text_is_refused(values: list[object]) -> None:
    """Neither numbers nor bytes are geometries."""
    with pytest.raises(InvalidParameter, match="field 'geo' is illegal, array type"):
        encode(GEO, values)


def nested(depth: int) -> str:
    """A collection in a collection, and so on."""
    return "GEOMETRYCOLLECTION (" * depth + "POINT (1 2)" + ")" * depth


def test_collections_are_nested_so_deep() -> None:
    """GEOS reads them by recursion, which no text may exhaust."""
    deepest = nested(limits.GEOMETRY_DEPTH - 1)
    assert there_and_back(deepest) == [deepest]
    for depth in (limits.GEOMETRY_DEPTH + 1, 100_000):
        with pytest.raises(InvalidParameter, match="nested more than 32 deep"):
            encode(GEO, [nested(depth)])
    flat = f"GEOMETRYCOLLECTION ({', '.join([nested(1)] * 100)})"
    assert there_and_back(flat) == [flat]


def schema_with(field: FieldSchema) -> CollectionSchema:
    """A schema with one more field."""
    key = FieldSchema("id", DataType.INT64, is_primary=True)
    vector = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
    return CollectionSchema((key, vector, field))


def test_a_default_is_kept_as_text_and_filled_in_as_stored() -> None:
    """Descriptions show the text, columns hold WKB."""
    field = FieldSchema("geo", DataType.GEOMETRY, default="point(1 2)")
    checked = check_schema(schema_with(field), "c").by_name["geo"]
    assert checked.default == "POINT (1 2)"
    assert FieldSchema.from_dict(checked.to_dict()) == checked
    filled = constant(checked, checked.filling, 2)
    assert shown(checked, filled).to_pylist() == ["POINT (1 2)"] * 2


def test_a_default_must_be_wkt() -> None:
    """The schema is refused."""
    field = FieldSchema("geo", DataType.GEOMETRY, default="POINT (1)")
    with pytest.raises(InvalidParameter, match="invalid default value for geometry"):
        check_schema(schema_with(field), "c")
