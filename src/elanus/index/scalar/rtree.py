"""A packed R-tree: boxes around geometries, near ones together, and boxes of those.

Boxes are sorted into tiles of 64 by their centres; a look-up tests the box of each
tile, and then the boxes in those that it meets. What is left are candidates, about
which GEOS decides as after a scan.

Source: S. T. Leutenegger, M. A. Lopez, J. Edgington, "STR: A Simple and Efficient
Algorithm for R-Tree Packing", ICDE 1997; with one level of nodes above the leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import asin, ceil, cos, degrees, inf, radians, sin, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes, boxes_of
from elanus.expr.kleene import Mask, unknown_of
from elanus.expr.source import ColumnSource
from elanus.index.scalar.base import MASK_ROW_US, OVERHEAD_US, Lookup, packed, unpacked
from elanus.index.scalar.candidates import Candidates, answer_at
from elanus.schema.arrays import array_of, values_of

Bounds = npt.NDArray[np.float64]

LEAF_BOXES: Final = 64

_BOX_US: Final = 0.01
_SLACK: Final = 1e-6
"""Degrees that a window is larger by than the distance asks for."""


class RTree:
    """An index of a column of geometries."""

    def __init__(self, parts: Mapping[str, pa.Array], n_rows: int) -> None:
        self.n_rows = n_rows
        self._bounds: Bounds = values_of(parts["bounds"]).reshape(-1, 4)
        self._nodes: Bounds = values_of(parts["nodes"]).reshape(-1, 4)
        self._rows = values_of(parts["rows"])
        self._points = values_of(parts["points"])
        self._unknown = values_of(parts["unknown"])

    def lookup(self, condition: p.Condition, budget_us: float = inf) -> Lookup | None:
        """See :class:`elanus.index.scalar.base.ScalarIndex`."""
        if not isinstance(condition, p.Spatial):
            return None
        windows = _windows(condition, self._nodes)
        if windows is None:
            return None
        tiles = np.flatnonzero(_meeting(self._nodes, windows))
        count = min(len(self._rows), len(tiles) * LEAF_BOXES)
        cost = 10 * OVERHEAD_US + self.n_rows * MASK_ROW_US + count * _BOX_US
        return Lookup(
            count,
            False,
            cost,
            lambda source: self._answer(condition, windows, tiles, source),
        )

    def _answer(
        self,
        condition: p.Spatial,
        windows: Bounds,
        tiles: npt.NDArray[np.int64],
        source: ColumnSource,
    ) -> Mask:
        places = (tiles[:, None] * LEAF_BOXES + np.arange(LEAF_BOXES)).reshape(-1)
        places = places[places < len(self._rows)]
        places = places[_meeting(self._bounds[places], windows)]
        rows = self._rows[places].astype(np.int64)
        order = np.argsort(rows)
        rows, places = rows[order], places[order]
        candidates = Candidates(source, rows, lambda: self._boxes(places))
        unknown = unpacked(self._unknown, self.n_rows)
        return answer_at(condition, candidates, rows, self.n_rows, unknown)

    def _boxes(self, places: npt.NDArray[np.int64]) -> Boxes:
        is_point = (self._points[places >> 3] >> (places & 7)) & 1
        return Boxes(self._bounds[places], is_point.astype(np.bool_))


def _meeting(boxes: Bounds, windows: Bounds) -> npt.NDArray[np.bool_]:
    """Which boxes meet a window."""
    found = np.zeros(len(boxes), np.bool_)
    for low_x, low_y, high_x, high_y in windows.tolist():
        found |= (
            (boxes[:, 0] <= high_x)
            & (boxes[:, 2] >= low_x)
            & (boxes[:, 1] <= high_y)
            & (boxes[:, 3] >= low_y)
        )
    return found


def _windows(condition: p.Spatial, nodes: Bounds) -> Bounds | None:
    """Boxes one of which every matching geometry meets; ``None`` when not known."""
    # GEOS is loaded by what meets a geometry
    import shapely

    from elanus.schema.geometry import geometry_of

    if condition.relation == "isvalid":
        return None
    given = geometry_of(condition.text)
    if shapely.is_empty(given):
        return None
    bounds: Bounds = shapely.bounds(given)
    if condition.relation == "dwithin":
        return _around(bounds[0], bounds[1], condition.distance or 0.0, nodes)
    return bounds.reshape(1, 4)


def _around(x: float, y: float, metres: float, nodes: Bounds) -> Bounds | None:
    """What lies within a distance of a place, by the sphere and by the plane."""
    from elanus.expr.evaluate_spatial import DEGREE_M, EARTH_RADIUS_M

    is_on_globe = not len(nodes) or bool(
        (np.abs(nodes[:, 0::2]) <= 180).all() and (np.abs(nodes[:, 1::2]) <= 90).all()
    )
    if not is_on_globe or abs(x) > 180 or abs(y) > 90:
        return None
    cosine = cos(radians(y))
    flat = metres / (DEGREE_M * sqrt((1 + cosine * cosine) / 2))
    angle = metres / EARTH_RADIUS_M
    up = max(degrees(angle), flat) + _SLACK
    reach = sin(min(angle, radians(90)))
    # where the circle holds a pole, it meets every longitude
    across = 360.0 if reach >= cosine else degrees(asin(reach / cosine))
    across = max(across, flat) + _SLACK
    shifts = np.array([-360.0, 0.0, 360.0])
    return np.stack(
        [
            x + shifts - across,
            np.full(3, y - up),
            x + shifts + across,
            np.full(3, y + up),
        ],
        axis=1,
    )


def rtree_parts(column: pa.Array) -> dict[str, pa.Array]:
    """The parts of the tree of a ``large_binary`` column of WKB."""
    boxes = boxes_of(column)
    rows = np.flatnonzero(~np.isnan(boxes.bounds[:, 0]))
    order = rows[_tiled(boxes.bounds[rows])]
    bounds, is_point = boxes.bounds[order], boxes.is_point[order]
    starts = np.arange(0, len(order), LEAF_BOXES)
    nodes = np.empty((0, 4))
    if len(order):
        nodes = np.concatenate(
            (
                np.minimum.reduceat(bounds[:, :2], starts),
                np.maximum.reduceat(bounds[:, 2:], starts),
            ),
            axis=1,
        )
    return {
        "bounds": array_of(bounds.reshape(-1)),
        "nodes": array_of(nodes.reshape(-1)),
        "rows": array_of(order.astype(np.uint32)),
        "points": packed(is_point),
        "unknown": packed(unknown_of(column)),
    }


def _tiled(bounds: Bounds) -> npt.NDArray[np.int64]:
    """An order in which each 64 boxes lie together: in strips by x, in a strip by y."""
    centres = bounds[:, :2] / 2 + bounds[:, 2:] / 2
    strips = max(1, ceil(sqrt(len(bounds) / LEAF_BOXES)))
    per_strip = max(1, strips * LEAF_BOXES)
    by_x = np.argsort(centres[:, 0], kind="stable")
    strip = np.empty(len(bounds), np.int64)
    strip[by_x] = np.arange(len(bounds)) // per_strip
    order: npt.NDArray[np.int64] = np.lexsort((centres[:, 1], strip))
    return order
