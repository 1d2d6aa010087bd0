"""Columns of geometries to the boxes around them, which most spatial filters ask first.

A column of points is read as the two numbers that each holds; only other shapes need
GEOS. Sources cache what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr.kleene import Bools
from elanus.schema.arrays import array_of
from elanus.schema.wkt import POINT_BYTES, POINT_HEAD

_KIND_AT = 1
_POINT_KIND = POINT_HEAD[_KIND_AT]


@dataclass(frozen=True, slots=True)
class Boxes:
    """What surrounds each geometry of a column. Immutable; safe to share.

    Attributes:
        bounds: (n, 4) float64: least x and y, greatest x and y; NaN where a row is
            null or empty.
        is_point: (n,) bool, rows that are one point in the plane.
    """

    bounds: npt.NDArray[np.float64]
    is_point: Bools

    def __len__(self) -> int:
        return len(self.is_point)

    def first(self, n_rows: int) -> Boxes:
        """The boxes of the first rows."""
        return Boxes(self.bounds[:n_rows], self.is_point[:n_rows])

    def part(self, start: int, end: int) -> Boxes:
        """The boxes of rows from ``start`` up to ``end``."""
        return Boxes(self.bounds[start:end], self.is_point[start:end])

    def take(self, rows: npt.NDArray[np.int64]) -> Boxes:
        """The boxes of some rows, in that order."""
        return Boxes(self.bounds[rows], self.is_point[rows])

    def and_then(self, more: Boxes) -> Boxes:
        """These boxes and those of later rows."""
        return Boxes(
            np.concatenate((self.bounds, more.bounds)),
            np.concatenate((self.is_point, more.is_point)),
        )


def boxes_of(column: pa.Array) -> Boxes:
    """The boxes of a ``large_binary`` column of WKB."""
    n_rows = len(column)
    bounds = np.full((n_rows, 4), np.nan)
    if not n_rows or column.null_count == n_rows:
        return Boxes(bounds, np.zeros(n_rows, np.bool_))
    _, offsets_buffer, content_buffer = column.buffers()
    content = np.frombuffer(content_buffer, np.uint8)
    offsets = np.frombuffer(offsets_buffer, np.int64, n_rows + 1, 8 * column.offset)
    # no other shape has as many bytes, but the kind costs little to look at
    points = np.flatnonzero(np.diff(offsets) == POINT_BYTES)
    points = points[content[offsets[points] + _KIND_AT] == _POINT_KIND]
    places = offsets[points, None] + np.arange(len(POINT_HEAD), POINT_BYTES)
    corners = content[places].view("<f8")
    bounds[points] = np.concatenate((corners, corners), axis=1)
    is_point = np.zeros(n_rows, np.bool_)
    is_point[points] = np.isfinite(corners[:, 0])
    others = np.flatnonzero(np.diff(offsets) > 0)
    others = np.setdiff1d(others, points, assume_unique=True)
    if len(others):
        # GEOS is loaded by what meets a geometry
        from elanus.schema.geometry import bounds_of_wkb

        bounds[others] = bounds_of_wkb(column.take(array_of(others)).to_pylist())
    return Boxes(bounds, is_point)
