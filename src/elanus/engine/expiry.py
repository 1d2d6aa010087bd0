"""Rows that say themselves until when they are seen: which have expired at a moment.

A row is seen while its value lies in the future; without a value it is seen for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from elanus.schema.arrays import values_of
from elanus.segment.base import Segment
from elanus.segment.deletes import Mask

NEVER: Final = np.iinfo(np.int64).max
ALWAYS: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Expiry:
    """A field of points in time, and now, in microseconds since 1970."""

    field_id: int
    now_us: int


@dataclass(frozen=True, slots=True)
class Unexpired:
    """Rows that are seen.

    Attributes:
        since_us, until_us: it holds from the one moment until before the other.
        mask: (n_rows,) bool; ``None`` when that is every row.
    """

    since_us: int
    until_us: int
    mask: Mask | None

    def holds_at(self, now_us: int) -> bool:
        """Whether exactly these rows are seen at another moment, too."""
        return self.since_us <= now_us < self.until_us


def unexpired_rows(segment: Segment, n_rows: int, expiry: Expiry) -> Unexpired:
    """The rows of a segment that are seen, by its statistics if these suffice.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    now = expiry.now_us
    ranges = segment.ranges() or {}
    if expiry.field_id in ranges:
        first = ranges[expiry.field_id][0]
        if first is None or (isinstance(first, int) and first > now):
            return Unexpired(ALWAYS, NEVER if first is None else first, None)
    column = segment.column(expiry.field_id, n_rows)
    ends = _ends(column)
    mask = ends > now
    if mask.all():
        return Unexpired(ALWAYS, int(ends.min(initial=NEVER)), None)
    return Unexpired(int(ends[~mask].max()), int(ends[mask].min(initial=NEVER)), mask)


def _ends(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Until when each row is seen."""
    ends = values_of(column)
    if not column.null_count:
        return ends
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(known, ends, NEVER)
