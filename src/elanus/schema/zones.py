"""Time zones by their IANA names: which there are, and how far each is from UTC.

Whole columns at once: a zone's offset is looked up twice for every day that occurs, and
for single rows only on days on which it changes.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC as _UTC
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from elanus.errors import InvalidParameter

Instants = npt.NDArray[np.int64]
"""Microseconds since 1970 in UTC."""

UTC: Final = "UTC"
DAY_US: Final = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=_UTC)
_MICROSECOND = timedelta(microseconds=1)
# Python's calendar has the years 1 to 9999; rules of zones repeat with the calendar.
_FIRST_US = (datetime(1, 1, 3, tzinfo=_UTC) - _EPOCH) // _MICROSECOND
_END_US = (datetime(9999, 12, 30, tzinfo=_UTC) - _EPOCH) // _MICROSECOND
_CYCLE_US = 146_097 * DAY_US


def check_zone(name: str) -> str:
    """The name, when there is such a zone.

    Raises:
        InvalidParameter: give an IANA name such as Asia/Shanghai.
    """
    _zone(name)
    return name


def offsets_at(instants: Instants, zone: str) -> Instants:
    """How far a zone's clocks were ahead of UTC, (n,) microseconds."""
    if zone == UTC:
        return np.zeros(len(instants), np.int64)
    days, places = np.unique(instants // DAY_US, return_inverse=True)
    ends = [_offsets_of_day(zone, day) for day in days.tolist()]
    first, last = np.array(ends, np.int64).reshape(-1, 2).T
    offsets: Instants = first[places]
    for row in np.flatnonzero((first != last)[places]).tolist():
        offsets[row] = _offset_at(zone, int(instants[row]))
    return offsets


def to_utc(local: Instants, zone: str) -> Instants:
    """What the zone's clocks showed, in UTC.

    Of times that clocks showed twice or never, the one that Go, and so Milvus, takes.
    """
    guess = local - offsets_at(local, zone)
    found: Instants = local - offsets_at(guess, zone)
    return found


@lru_cache(maxsize=256)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter(
            f"unknown or invalid IANA Time Zone ID: {name}"
        ) from None


@lru_cache(maxsize=1 << 16)
def _offsets_of_day(zone: str, day: int) -> tuple[int, int]:
    """At the beginning and at the end of a day of UTC."""
    start = day * DAY_US
    return _offset_at(zone, start), _offset_at(zone, start + DAY_US - 1)


def _offset_at(zone: str, instant: int) -> int:
    if instant >= _END_US:
        instant -= (1 + (instant - _END_US) // _CYCLE_US) * _CYCLE_US
    moment = _EPOCH + timedelta(microseconds=max(instant, _FIRST_US))
    offset = moment.astimezone(_zone(zone)).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND
