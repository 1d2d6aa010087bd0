"""``INTERVAL 'P1Y2M3DT4H5M6S'``: spans of time, and points in time moved by them.

Years and months are those of the calendar in UTC: where the day of the month does not
exist, it counts on into the next month.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elanus.expr.refusal import Refusal
from elanus.schema.zones import DAY_US, Instants

_FORM = re.compile(
    r"P(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?"
    r"(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?\Z"
)
_SECOND_US = 1_000_000
_LONGEST_YEARS = 100_000


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time, forwards or, with no number above zero, backwards."""

    months: int = 0
    microseconds: int = 0

    def __neg__(self) -> Duration:
        return Duration(-self.months, -self.microseconds)

    def __str__(self) -> str:
        sign = "-" if min(self.months, self.microseconds) < 0 else "+"
        seconds = abs(self.microseconds) // _SECOND_US
        return f"{sign} INTERVAL 'P{abs(self.months)}MT{seconds}S'"


def duration_of(text: str) -> Duration:
    """The span that a text such as ``P1Y2M3DT4H5M6S`` says.

    Raises:
        Refusal: it says none, or one that is longer than time itself.
    """
    match = _FORM.match(text)
    if match is None:
        raise Refusal(f"invalid ISO 8601 duration: {text}")
    years, months, days, hours, minutes, seconds = (
        int(part[:20]) if part else 0 for part in match.groups()
    )
    found = Duration(
        12 * years + months,
        days * DAY_US + (hours * 3600 + minutes * 60 + seconds) * _SECOND_US,
    )
    longest = _LONGEST_YEARS * 366 * DAY_US
    if found.months > 12 * _LONGEST_YEARS or found.microseconds > longest:
        raise Refusal(f"invalid ISO 8601 duration: {text}")
    return found


def moved(instants: Instants, by: Duration) -> Instants:
    """Points in time, (n,) microseconds, moved by a span."""
    if not by.months:
        return instants + by.microseconds
    moments = instants.view("M8[us]")
    months = moments.astype("M8[M]")
    rest = moments - months.astype("M8[us]")
    starts: npt.NDArray[np.datetime64] = (months + by.months).astype("M8[us]")
    found: Instants = (starts + rest).view(np.int64)
    return found + by.microseconds
