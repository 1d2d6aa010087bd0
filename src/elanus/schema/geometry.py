"""Geometries from the WKT that users give to the WKB that is stored.

GEOS reads the text. Importing this module loads it, so it is imported by what meets a
geometry, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.arrays import array_of_texts

_NOT_MILVUS = r"(?i)linearring|nan|inf|\x00"

Geometries = npt.NDArray[np.object_]


def wkb_of_texts(texts: pa.Array) -> pa.Array:
    """A column of WKT as one of WKB, nulls in place.

    Raises:
        InvalidParameter: a text is no WKT, or a coordinate is no number.
    """
    wkb = shapely.to_wkb(
        parsed(texts), byte_order=1, flavor="iso", output_dimension=4
    ).tolist()
    return array_of_texts(wkb, pa.large_binary())


def geometry_of(text: str) -> Any:
    """One geometry.

    Raises: as :func:`parsed`.
    """
    return parsed(array_of_texts([text], pa.large_string()))[0]


def parsed(texts: pa.Array) -> Geometries:
    """A column of WKT as geometries; ``None`` for null.

    Raises:
        InvalidParameter: a text is no WKT, or a coordinate is no number.
    """
    _check_texts(texts)
    plain = np.array(texts.to_pylist(), np.object_)
    try:
        with np.errstate(over="ignore"):
            geometries: Geometries = shapely.from_wkt(plain)
    except (shapely.errors.ShapelyError, NotImplementedError) as error:
        reason = str(error).strip()
        raise InvalidParameter(_illegal(reason.partition(": ")[2] or reason)) from error
    numbers = shapely.get_coordinates(geometries, include_z=True, include_m=True)
    if np.isinf(numbers).any():
        raise InvalidParameter(_illegal("a coordinate is out of range"))
    return geometries


def of_wkb(values: Sequence[bytes | None]) -> Geometries:
    """Stored values as geometries; ``None`` stays."""
    geometries: Geometries = shapely.from_wkb(np.array(values, np.object_))
    return geometries


def bounds_of_wkb(values: Sequence[bytes | None]) -> npt.NDArray[np.float64]:
    """Least x and y, greatest x and y of stored values, (n, 4); NaN where empty."""
    bounds: npt.NDArray[np.float64] = shapely.bounds(of_wkb(values))
    return bounds


def _check_texts(texts: pa.Array) -> None:
    """Refuse what GEOS reads, but Milvus does not, or what could exhaust the stack."""
    if pc.any(pc.match_substring_regex(texts, _NOT_MILVUS)).as_py():
        word = "a zero character, LINEARRING, NaN or infinity"
        raise InvalidParameter(_illegal(f"unexpected {word}"))
    deepest = limits.GEOMETRY_DEPTH
    levels = pc.count_substring(texts, "COLLECTION", ignore_case=True)
    for text in texts.filter(pc.greater(levels, deepest)).to_pylist():
        if _depth(text) > deepest:
            raise InvalidParameter(_illegal(f"nested more than {deepest} deep"))


def _depth(text: str) -> int:
    """How deep parentheses are nested."""
    codes = np.frombuffer(text.encode(), np.uint8)
    steps = (codes == ord("(")).astype(np.int64) - (codes == ord(")"))
    return int(np.cumsum(steps).max(initial=0))


def _illegal(reason: str) -> str:
    return f"invalid Geometry data, transform to wkb failed: syntax error: {reason}"
