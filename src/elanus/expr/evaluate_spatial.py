"""Spatial conditions: boxes rule rows out, GEOS decides about those that are left.

Importing this module loads GEOS, so it is imported when a condition is first evaluated.
Distances are in metres, coordinates longitude and latitude in degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.kleene import Bools, Mask, unknown_of, where_known
from elanus.expr.source import ColumnSource
from elanus.schema.arrays import array_of
from elanus.schema.geometry import Geometries, geometry_of, of_wkb

EARTH_RADIUS_M: Final = 6_371_000.0
DEGREE_M: Final = 111_320.0
"""Metres of a degree, for shapes that are no points."""

_SLACK: Final = 1 + 1e-9  # what the box of a distance is larger by

Rows = npt.NDArray[np.int64]
Bounds = npt.NDArray[np.float64]


def spatial(condition: p.Spatial, source: ColumnSource) -> Mask:
    """Which rows' geometries stand in a relation to the given one."""
    boxes = source.boxes(condition.operand.field_id)
    rows = _Rows(condition, source, boxes)
    with np.errstate(all="ignore"):  # GEOS' own, of coordinates near the largest
        if condition.relation == "isvalid":
            true = _valid(rows)
        elif condition.relation == "dwithin":
            true = _near(rows, condition)
        else:
            true = _related(rows, condition)
    return where_known(true, unknown_of(source.column(condition.operand.field_id)))


class _Rows:
    """The geometries of a column, made of those rows only that are asked for."""

    def __init__(
        self, condition: p.Spatial, source: ColumnSource, boxes: Boxes
    ) -> None:
        self._column = source.column(condition.operand.field_id)
        self.boxes = boxes

    def geometries(self, rows: Rows) -> Geometries:
        """The geometries of some rows, none of them null."""
        if self.boxes.is_point[rows].all():
            points: Geometries = shapely.points(self.boxes.bounds[rows, :2])
            return points
        return of_wkb(self._column.take(array_of(rows)).to_pylist())


# Of these, GEOS takes overlapping parts for separate ones where it has prepared a side.
_COLLECTION = shapely.GeometryType.GEOMETRYCOLLECTION
# A prepared geometry answers fast as the first of the two, so contains and within
# change places; the others are symmetric.
_ASKED: dict[str, Callable[[Any, Any], Any]] = {
    "equals": shapely.equals,
    "touches": shapely.touches,
    "overlaps": shapely.overlaps,
    "crosses": shapely.crosses,
    "contains": shapely.within,
    "intersects": shapely.intersects,
    "within": shapely.contains,
}


def _related(rows: _Rows, condition: p.Spatial) -> Bools:
    # of this thread alone: what GEOS prepares it fills in while it is asked
    given = geometry_of(condition.text)
    bounds = rows.boxes.bounds
    true = np.zeros(len(rows.boxes), np.bool_)
    if shapely.is_empty(given):
        if condition.relation == "equals":  # every empty geometry equals any other
            true[:] = np.isnan(bounds[:, 0])
        return true
    chosen = np.flatnonzero(
        _possible(condition.relation, bounds, shapely.bounds(given))
    )
    if len(chosen):
        if shapely.get_type_id(given) != _COLLECTION:
            shapely.prepare(given)
        geometries = rows.geometries(chosen)
        found = _ASKED[condition.relation](given, geometries)
        mixed = shapely.get_type_id(geometries) == _COLLECTION
        if mixed.any():
            ask = getattr(shapely, condition.relation)
            found[mixed] = ask(geometries[mixed], given)
        true[chosen] = found
    return true


def _possible(relation: str, bounds: Bounds, box: Bounds) -> Bools:
    """Rows whose boxes do not rule the relation out; no row that is empty or null."""
    least, most = bounds[:, :2], bounds[:, 2:]
    low, high = box[:2], box[2:]
    if relation == "contains":
        fits = (least <= low) & (most >= high)
    elif relation == "within":
        fits = (least >= low) & (most <= high)
    elif relation == "equals":
        fits = (least == low) & (most == high)
    else:
        fits = (least <= high) & (most >= low)
    return fits[:, 0] & fits[:, 1]


def _valid(rows: _Rows) -> Bools:
    true = rows.boxes.is_point.copy()
    others = np.flatnonzero(~true)
    # a null row stays None, which is never valid
    true[others] = shapely.is_valid(rows.geometries(others))
    return true


def _near(rows: _Rows, condition: p.Spatial) -> Bools:
    """Rows within a distance of a point."""
    boxes, distance = rows.boxes, condition.distance or 0.0
    true = np.zeros(len(boxes), np.bool_)
    place = shapely.get_coordinates(geometry_of(condition.text))
    if not len(place):
        return true
    longitude, latitude = place[0]
    points = np.flatnonzero(boxes.is_point)
    places = boxes.bounds[points, :2]
    true[points] = _haversine(places, longitude, latitude) <= distance
    cosine = np.cos(np.radians(latitude))
    metres = DEGREE_M * np.sqrt((1 + cosine * cosine) / 2)
    reach = distance / metres * _SLACK
    around = np.concatenate((place[0] - reach, place[0] + reach))
    near = ~boxes.is_point & _possible("dwithin", boxes.bounds, around)
    others = np.flatnonzero(near)
    if len(others):
        given = shapely.points(longitude, latitude)
        degrees = shapely.distance(given, rows.geometries(others))
        true[others] = degrees * metres <= distance
    return true


def _haversine(places: Bounds, longitude: float, latitude: float) -> Bounds:
    """Metres along the sphere from each place to the given one."""
    radians = np.radians(places)
    other_x, other_y = np.radians(longitude), np.radians(latitude)
    across = np.sin((radians[:, 0] - other_x) / 2) ** 2
    along = np.sin((radians[:, 1] - other_y) / 2) ** 2
    half = along + np.cos(radians[:, 1]) * np.cos(other_y) * across
    metres: Bounds = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return metres
