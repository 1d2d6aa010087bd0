"""How hard an index must try to find a share of the nearest rows: a table it measured.

A row of the table is a depth, how many of the nearest rows are wanted. A filter needs
no table of its own: where one row in ten may be returned, the ten nearest of them are
among the hundred nearest of all, give or take. So a search with a filter looks up the
depth that it has to go to.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Shares of the nearest rows that a build measures efforts for. 1.0 is no matter of
# effort: every row is measured.
TARGETS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# The recall of searches with a filter, and of those without one that say nothing.
USUAL_TARGET = 0.995
PLAIN_TARGET = 0.99
# A filter is no exact sieve: this many standard deviations more are looked at.
_SLACK = 3.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Efforts by depth and target, measured at build time.

    Attributes:
        depths: rising numbers of nearest rows.
        targets: rising shares of them.
        efforts: for each depth, the effort for each target, never falling; 0 where none
            that was tried is enough.
        names: rows that an index of lossy codes must name for each row wanted.
    """

    depths: tuple[int, ...]
    targets: tuple[float, ...]
    efforts: tuple[tuple[int, ...], ...]
    names: int = 1

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curve:
        """From plain JSON values."""
        return cls(
            tuple(int(depth) for depth in data["depths"]),
            tuple(float(target) for target in data["targets"]),
            tuple(tuple(int(e) for e in row) for row in data["efforts"]),
            int(data["names"]),
        )

    def effort(self, depth: int, target: float) -> int | None:
        """The effort that finds ``target`` of the ``depth`` nearest rows.

        What lies between two measurements has the effort of the harder one. Beyond the
        last depth efforts grow in proportion.

        Returns:
            ``None`` where no effort that was tried is enough.
        """
        column = bisect_left(self.targets, target)
        if column == len(self.targets) or not self.depths:
            return None
        row = min(bisect_left(self.depths, depth), len(self.depths) - 1)
        measured = self.efforts[row][column]
        if not measured:
            return None
        return math.ceil(measured * max(1.0, depth / self.depths[row]))


def depth_under(limit: int, share: float) -> int:
    """How many of the nearest rows hold ``limit`` that a filter lets pass.

    Args:
        share: of all rows that pass, more than 0.
    """
    if share >= 1.0:
        return limit
    wanted = limit + _SLACK * math.sqrt(limit * (1.0 - share)) + _SLACK * (1.0 - share)
    return math.ceil(wanted / share)
