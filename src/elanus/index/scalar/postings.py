"""Which rows hold each value of a dictionary: lists of rows, or a bitmap each.

Lists lie end to end in the order of the values, so that the rows of a range of values
are one slice. Where values are so few that bitmaps take no more room than lists,
bitmaps are kept instead: they are quicker when a value is in many rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr.kleene import Bools
from elanus.index.scalar.base import ROW_US, Rows, unpacked
from elanus.index.scalar.dictionary import Places
from elanus.schema.arrays import array_of, values_of

MOST_BITMAPS: Final = 32
"""Values with bitmaps of their own: so many take the room of the list of all rows."""

_BITMAP_ROW_US: Final = 0.00002
_PLACES_US: Final = 15.0
_SCATTERED_US: Final = 0.01


class Chosen(NamedTuple):
    """Values chosen from a dictionary: a range of places, or single ones.

    Attributes:
        start, end: the range; ignored where there are places.
        places: single places.
        is_rest: whether it is all other values that are meant.
    """

    start: int
    end: int
    places: Places | None = None
    is_rest: bool = False


class Postings:
    """The units that hold each value of a dictionary: rows, or elements of arrays."""

    def __init__(
        self, parts: Mapping[str, pa.Array], n_values: int, n_rows: int
    ) -> None:
        """Args: n_rows: how many units there are, with a value or not."""
        self.n_rows = n_rows
        ends = values_of(parts["ends"])
        # where no value occurs twice, the ends are the places themselves
        self._ends: npt.NDArray[np.uint32] | None = ends if len(ends) else None
        self._n_values = n_values
        self._bits: npt.NDArray[np.uint8] | None = None
        if "bits" in parts:
            self._bits = values_of(parts["bits"]).reshape(n_values, -1)
        else:
            self._rows: Rows = values_of(parts["rows"])

    @property
    def total(self) -> int:
        """How many units have a value; one counts for each value that it has."""
        return self._end(self._n_values)

    def _end(self, place: int) -> int:
        return place if self._ends is None else int(self._ends[place])

    def count(self, chosen: Chosen) -> int:
        """How many units hold the chosen values, those of the rest left aside."""
        if chosen.places is None:
            return self._end(chosen.end) - self._end(chosen.start)
        if self._ends is None:
            return len(chosen.places)
        ends = self._ends.astype(np.int64, copy=False)
        return int((ends[chosen.places + 1] - ends[chosen.places]).sum())

    def cost_us(self, chosen: Chosen, count: int) -> float:
        """Estimated microseconds of :meth:`mark`."""
        places = chosen.places
        if self._bits is not None:
            width = chosen.end - chosen.start if places is None else len(places)
            return width * (1.0 + self.n_rows * _BITMAP_ROW_US)
        if places is None:
            return min(count, abs(self.n_rows - count)) * ROW_US
        if self._ends is None:
            return count * ROW_US
        return _PLACES_US + count * (ROW_US + _SCATTERED_US)

    def units(self, chosen: Chosen) -> Rows:
        """The units that hold the chosen values; ``is_rest`` is ignored."""
        if self._bits is not None:
            return np.flatnonzero(self._bitmap(chosen)).astype(np.uint32)
        if chosen.places is None:
            rows: Rows = self._rows[self._end(chosen.start) : self._end(chosen.end)]
            return rows
        if self._ends is None:
            unique: Rows = self._rows[chosen.places]
            return unique
        starts = self._ends[chosen.places].astype(np.int64)
        lengths = self._ends[chosen.places + 1] - starts
        before = np.cumsum(lengths) - lengths
        found: Rows = self._rows[
            np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        ]
        return found

    def mark(self, chosen: Chosen) -> Bools:
        """Which units hold one of the chosen values, as a fresh mask.

        A unit without a value may be in or not.
        """
        if self._bits is not None:
            mask = self._bitmap(chosen)
            return ~mask if chosen.is_rest else mask
        count = self.count(chosen)
        if chosen.places is None and count * 2 > self.n_rows:
            return self._mark_most(chosen)
        mask = np.full(self.n_rows, chosen.is_rest)
        mask[self.units(chosen)] = not chosen.is_rest
        return mask

    def _mark_most(self, chosen: Chosen) -> Bools:
        """As :meth:`mark`, for a range that most units are in: they have one value."""
        mask = np.full(self.n_rows, not chosen.is_rest)
        mask[self._rows[: self._end(chosen.start)]] = chosen.is_rest
        mask[self._rows[self._end(chosen.end) :]] = chosen.is_rest
        return mask

    def _bitmap(self, chosen: Chosen) -> Bools:
        assert self._bits is not None
        picked = (
            self._bits[chosen.start : chosen.end]
            if chosen.places is None
            else self._bits[chosen.places]
        )
        if not len(picked):
            return np.zeros(self.n_rows, np.bool_)
        bits = picked[0] if len(picked) == 1 else np.bitwise_or.reduce(picked, axis=0)
        mask = unpacked(bits, self.n_rows)
        assert mask is not None
        return mask


def posting_parts(
    firsts: Places, units: npt.NDArray[np.integer], n_rows: int
) -> dict[str, pa.Array]:
    """The parts of postings.

    Args:
        firsts: where the units of each value begin.
        units: of all values, end to end, ascending within a value.
        n_rows: how many units there are, with a value or not.
    """
    is_unique = len(firsts) == len(units)
    ends = np.empty(0, np.uint32)
    if not is_unique:
        ends = np.append(firsts, len(units)).astype(np.uint32)
    if is_unique or len(firsts) > MOST_BITMAPS:
        return {"ends": array_of(ends), "rows": array_of(units.astype(np.uint32))}
    bits = np.zeros((len(firsts), (n_rows + 7) // 8), np.uint8)
    for place in range(len(firsts)):
        mask = np.zeros(n_rows, np.bool_)
        mask[units[ends[place] : ends[place + 1]]] = True
        bits[place] = np.packbits(mask, bitorder="little")
    return {"ends": array_of(ends), "bits": array_of(bits.reshape(-1))}
