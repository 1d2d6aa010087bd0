"""Geometries as text: from the WKB that is stored to the WKT that answers show.

Numbers are written as the shortest text that reads as the same double, never with an
exponent, so that no bit of a coordinate is lost. Reading text is in
:mod:`elanus.schema.geometry`.

References:
    Open Geospatial Consortium, "Simple feature access - Part 1: Common architecture",
    06-103r4 (2011), sections 7 (WKT) and 8 (WKB).
"""

from __future__ import annotations

from decimal import Decimal
from struct import Struct
from typing import Final

import numpy as np
import pyarrow as pa

from elanus.schema.arrays import array_of_texts

POINT_BYTES: Final = 21
"""Bytes of a point without Z and M: byte order, kind, x and y."""
POINT_HEAD: Final = b"\x01\x01\x00\x00\x00"
"""How such a point begins; everything is stored little-endian."""

_POINT, _LINE, _POLYGON, _COLLECTION = 1, 2, 3, 7
_NAMES = {
    _POINT: "POINT",
    _LINE: "LINESTRING",
    _POLYGON: "POLYGON",
    4: "MULTIPOINT",
    5: "MULTILINESTRING",
    6: "MULTIPOLYGON",
    _COLLECTION: "GEOMETRYCOLLECTION",
}
_DIMENSIONS = (("", 2), ("Z ", 3), ("M ", 3), ("ZM ", 4))
_UINT32 = Struct("<I")
_XY = Struct("<dd")


def shown_geometries(column: pa.Array) -> pa.Array:
    """A column of WKB as WKT, nulls in place."""
    texts = [None if wkb is None else wkt_of(wkb) for wkb in column.to_pylist()]
    return array_of_texts(texts, pa.large_string())


def wkt_of(wkb: bytes) -> str:
    """One geometry as text."""
    if len(wkb) == POINT_BYTES and wkb.startswith(POINT_HEAD):
        x, y = _XY.unpack_from(wkb, len(POINT_HEAD))
        if x == x or y == y:
            return f"POINT ({_number(x)} {_number(y)})"
    return _Reader(wkb).tagged()


def _number(value: float) -> str:
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return format(Decimal(text), "f") if "e" in text else text


class _Reader:
    """Walks through one WKB, writing what it passes."""

    def __init__(self, wkb: bytes) -> None:
        self._wkb = wkb
        self._at = 0

    def tagged(self) -> str:
        """The geometry that begins here, with its name."""
        kind, dimensions = self._head()
        body = self._body(kind, dimensions)
        return f"{_NAMES[kind]} {_DIMENSIONS[dimensions][0]}{body}"

    def _head(self) -> tuple[int, int]:
        code = _UINT32.unpack_from(self._wkb, self._at + 1)[0]
        self._at += 5
        return code % 1000, code // 1000

    def _count(self) -> int:
        count: int = _UINT32.unpack_from(self._wkb, self._at)[0]
        self._at += 4
        return count

    def _body(self, kind: int, dimensions: int) -> str:
        """What follows the name: EMPTY or a list in parentheses."""
        if kind == _POINT:
            place = self._coordinates(1, dimensions)[0]
            return "EMPTY" if place.startswith("nan") else f"({place})"
        count = self._count()
        if not count:
            return "EMPTY"
        if kind == _LINE:
            parts = self._coordinates(count, dimensions)
        elif kind == _POLYGON:
            parts = [self._body(_LINE, dimensions) for _ in range(count)]
        elif kind == _COLLECTION:
            parts = [self.tagged() for _ in range(count)]
        else:
            parts = [self._body(*self._head()) for _ in range(count)]
        return f"({', '.join(parts)})"

    def _coordinates(self, count: int, dimensions: int) -> list[str]:
        width = _DIMENSIONS[dimensions][1]
        values = np.frombuffer(self._wkb, "<f8", count * width, self._at).tolist()
        self._at += 8 * count * width
        return [
            " ".join(map(_number, values[i : i + width]))
            for i in range(0, len(values), width)
        ]
