"""Columns of numbers made of others; unknown where one of them is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


class Mode(StrEnum):
    """How several numbers become one."""

    MULTIPLY = "multiply"
    SUM = "sum"
    MAX = "max"
    MIN = "min"
    AVG = "avg"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Combination:
    """Several columns as one.

    Attributes:
        weights: one for each column, of ``Mode.WEIGHTED``.
    """

    mode: Mode
    weights: tuple[float, ...] = ()

    def of(self, columns: Sequence[Doubles]) -> Doubles:
        """The combined column, (rows,) float64; NaN where one of them is NaN."""
        if self.mode is Mode.MULTIPLY:
            return reduce(np.multiply, columns)
        if self.mode is Mode.MAX:
            return reduce(np.maximum, columns)
        if self.mode is Mode.MIN:
            return reduce(np.minimum, columns)
        if self.mode is Mode.WEIGHTED:
            columns = [
                weight * column
                for weight, column in zip(self.weights, columns, strict=True)
            ]
        total = reduce(np.add, columns)
        return total / len(columns) if self.mode is Mode.AVG else total
