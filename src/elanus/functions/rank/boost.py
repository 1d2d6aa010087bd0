"""Boosts: rows that match a filter have their scores multiplied, or added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats
from elanus.expr.predicate import Predicate
from elanus.schema.schema import FieldSchema

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]


class Combine(StrEnum):
    """How two numbers become one."""

    MULTIPLY = "multiply"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class RandomPart:
    """A random share of a boost, which is a row's own.

    Attributes:
        field: whose values decide it; the primary key's when ``None``.
    """

    seed: int = 0
    field: FieldSchema | None = None


@dataclass(frozen=True, slots=True)
class Boost:
    """What one function gives to the rows that match it.

    Attributes:
        predicate: which rows those are; all for ``None``.
        random: if there is one, the weight is multiplied by a number in [0, 1).
    """

    weight: float
    predicate: Predicate | None = None
    random: RandomPart | None = None


@dataclass(frozen=True, slots=True)
class Boosts:
    """All boosts of a search.

    Attributes:
        among: how those of one row become one.
        with_score: how that and the row's score become one. Of distances, the score is
            the negated one, so that larger is better for every metric.
    """

    functions: tuple[Boost, ...]
    among: Combine = Combine.MULTIPLY
    with_score: Combine = Combine.MULTIPLY

    def combined(self, weights: Sequence[Doubles], masks: Sequence[Mask]) -> Doubles:
        """One boost for each row, (rows,) float64; NaN where no function matches.

        Args:
            weights: of each function, of every row.
            masks: of each function, the rows that it matches.
        """
        multiplies = self.among is Combine.MULTIPLY
        total = np.full(len(masks[0]), 1.0 if multiplies else 0.0)
        for weight, mask in zip(weights, masks, strict=True):
            if multiplies:
                total[mask] *= weight[mask]
            else:
                total[mask] += weight[mask]
        total[~np.logical_or.reduce(masks)] = np.nan
        return total

    def distances(self, distances: Floats, boost: npt.ArrayLike) -> Floats:
        """Distances after a boost; smaller is nearer, before and after.

        Args:
            boost: one for all or for each, none of them NaN.
        """
        scores = np.float32(0.0) - distances
        given = np.asarray(boost, np.float32)
        with np.errstate(invalid="ignore"):
            is_sum = self.with_score is Combine.SUM
            boosted: Floats = scores + given if is_sum else scores * given
        return np.float32(0.0) - boosted

    def keeps_order(self, boost: float) -> bool:
        """Whether of rows with one and the same boost the nearest stay the nearest."""
        return self.with_score is Combine.SUM or boost > 0
