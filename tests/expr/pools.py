"""The fields and values that generated expressions and rows are made of.

Few values of each type, at the edges of what goes wrong, so that conditions meet rows.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]

FIELDS = [
    "id Int64 primary",
    "small Int8 nullable",
    "short Int16",
    "mid Int32 nullable",
    "big Int64",
    "real Float nullable",
    "wide Double",
    "flag Bool nullable",
    "word VarChar nullable",
    "text VarChar",
    "doc JSON nullable",
    "nums Array[Int64] nullable",
    "tags Array[VarChar]",
    "reals Array[Float] nullable",
    "flags Array[Bool]",
    "bytes Array[Int8]",
    "when Timestamptz nullable",
    "place Geometry nullable",
    "s[x] Array[Int64] nullable",
    "s[w] Array[VarChar] nullable",
    "s[r] Array[Double] nullable",
    "s[f] Array[Bool] nullable",
    "$meta JSON dynamic",
]

SMALL = [-128, -7, -1, 0, 1, 2, 3, 127]
BIG = [-(2**63), -5, 0, 1, 2, 2**53, 2**53 + 1, 2**63 - 1]
REAL = [-1.5, -0.0, 0.1, 0.5, 1.0, 2.0, 1e30]
WORD = ["", "a", "ab", "abc", "b", "é", "a%", "a_", "x\ny"]
NUM = [0, 1, 2, 2**53 + 1]
YEAR_2025 = 1_735_689_600_000_000
DAY = 86_400_000_000
# microseconds: 1 January, its last day, a leap day, and what surrounds 1970
MOMENT = [-1, 0, YEAR_2025, YEAR_2025 + 30 * DAY, YEAR_2025 - 307 * DAY, YEAR_2025 + 1]
PLACE = [
    "POINT (1 1)",
    "POINT (2 2)",
    "POINT (0 3)",
    "LINESTRING (0 0, 2 2)",
    "LINESTRING (0 2, 2 0, 4 2)",
    "POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))",
    "POLYGON ((1 1, 3 1, 3 3, 1 3, 1 1))",
    "MULTIPOINT (1 1, 5 5)",
    "POLYGON EMPTY",
]


def float32(value: float) -> float:
    """The nearest float32."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


REAL32 = list(map(float32, REAL))

# --- strategies, which shrink --------------------------------------------------------

SCALAR = st.none() | st.booleans() | st.sampled_from([*SMALL, *BIG, *REAL, *WORD])
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["k", "0", "m"]), inner, max_size=2),
    ),
    max_leaves=6,
)


def _some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(values)


def _lists(values: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=3)


STRUCT = st.fixed_dictionaries(
    {
        "x": st.sampled_from([*NUM, -3]),
        "w": st.sampled_from(WORD),
        "r": st.sampled_from(REAL),
        "f": st.booleans(),
    }
)

ROW = st.fixed_dictionaries(
    {
        "small": _some(SMALL),
        "short": st.sampled_from(SMALL),
        "mid": _some(SMALL),
        "big": st.sampled_from(BIG),
        "real": _some(REAL32),
        "wide": st.sampled_from(REAL),
        "flag": st.none() | st.booleans(),
        "word": _some(WORD),
        "text": st.sampled_from(WORD),
        "doc": st.none() | st.dictionaries(st.sampled_from("xyz"), VALUE) | VALUE,
        "nums": st.none() | _lists(NUM),
        "tags": _lists(WORD),
        "reals": st.none() | _lists(REAL32),
        "flags": st.lists(st.booleans(), max_size=2),
        "bytes": _lists(SMALL),
        "when": _some(MOMENT),
        "place": _some(PLACE),
        "s": st.none() | st.lists(STRUCT, max_size=3),
        "$meta": st.dictionaries(st.sampled_from(["dyn", "more"]), VALUE),
    }
)

# --- the same by a seed, quickly ---------------------------------------------------


class Maker:
    """Draws many rows like those of ``ROW`` from one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def rows(self, count: int, first_id: int = 0) -> list[Row]:
        """Rows with keys from ``first_id`` on."""
        return [{"id": first_id + i, **self._row()} for i in range(count)]

    def _one(self, values: Sequence[Any]) -> Any:
        return self._rng.choice(values)

    def _list(self, values: Sequence[Any]) -> list[Any]:
        return [self._one(values) for _ in range(self._rng.randrange(4))]

    def _row(self) -> Row:
        one, several = self._one, self._list
        row: Row = {
            "small": one([*SMALL, None]),
            "short": one(SMALL),
            "mid": one([*SMALL, None, None]),
            "big": one(BIG),
            "real": one([*REAL32, None]),
            "wide": one(REAL),
            "flag": one([True, False, None]),
            "word": one([*WORD, None]),
            "text": one(WORD),
            "doc": self._document("xyz"),
            "nums": several(NUM),
            "tags": several(WORD),
            "reals": several(REAL32),
            "flags": several([True, False]),
            "bytes": several(SMALL),
            "when": one([*MOMENT, None]),
            "place": one([*PLACE, None]),
            "s": [self._struct() for _ in range(self._rng.randrange(4))],
            "$meta": self._object(["dyn", "more"], 3),
        }
        for name in ("nums", "reals", "s"):
            if self._rng.random() < 0.2:
                row[name] = None
        return row

    def _struct(self) -> Row:
        one = self._one
        return {
            "x": one([*NUM, -3]),
            "w": one(WORD),
            "r": one(REAL),
            "f": one([True, False]),
        }

    def _document(self, keys: Sequence[str]) -> Any:
        chance = self._rng.random()
        if chance < 0.1:
            return None
        return self._value(2) if chance < 0.2 else self._object(keys, 3)

    def _object(self, keys: Sequence[str], depth: int) -> dict[str, Any]:
        kept = [key for key in keys if self._rng.random() < 0.7]
        return {key: self._value(depth - 1) for key in kept}

    def _value(self, depth: int) -> Any:
        chance = self._rng.random()
        if depth and chance < 0.2:
            return [self._value(depth - 1) for _ in range(self._rng.randrange(3))]
        if depth and chance < 0.35:
            return self._object(["k", "0", "m"], depth)
        if chance < 0.5:
            return self._one([None, True, False])
        return self._one(self._one([SMALL, BIG, REAL, WORD]))
