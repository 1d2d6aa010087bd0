"""Decay: what is far from where it should be counts less.

The curves are Milvus': each is 1 within ``offset`` of the origin, and ``decay`` at
``scale`` from there. The linear one does not fall below ``decay``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InvalidParameter

Doubles = npt.NDArray[np.float64]
_LEAST, _MOST = 0.001, 0.999


class Curve(StrEnum):
    """How fast a value loses weight."""

    GAUSS = "gauss"
    EXP = "exp"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Decay:
    """A factor for every value of a field, 0 to 1.

    Attributes:
        origin: the value that counts fully.
        scale: the distance, beyond ``offset``, at which ``decay`` is left.
    """

    curve: Curve
    origin: float
    scale: float
    offset: float = 0.0
    decay: float = 0.5

    def factors(self, values: pa.Array) -> Doubles:
        """The factor of each value, (rows,) float64; 0 for a null."""
        known = values.is_valid().to_numpy(zero_copy_only=False)
        numbers = values.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy()
        far = np.maximum(0.0, np.abs(numbers - self.origin) - self.offset)
        with np.errstate(over="ignore", under="ignore"):
            found = self._curve(far)
        # what is no number is near nothing
        return np.where(known & ~np.isnan(far), found, 0.0)

    def _curve(self, far: Doubles) -> Doubles:
        if self.curve is Curve.GAUSS:
            return np.exp(math.log(self.decay) * np.square(far / self.scale))
        if self.curve is Curve.EXP:
            return np.exp(math.log(self.decay) * (far / self.scale))
        slope = (1.0 - self.decay) / self.scale
        return np.maximum(self.decay, 1.0 - slope * far)


def checked_decay(
    function: str, origin: float, scale: float, offset: float, decay: float
) -> Decay:
    """A decay of these parameters.

    Raises:
        InvalidParameter: with Milvus' text; one is out of its range.
    """
    if function not in set(Curve):
        raise InvalidParameter(
            f'decay: invalid function "{function}", must be one of [{", ".join(Curve)}]'
        )
    for name, value in (("origin", origin), ("scale", scale), ("offset", offset)):
        if not math.isfinite(value):
            raise InvalidParameter(f"decay param {name}: {value} is not a number")
    if not scale > 0:
        raise InvalidParameter(f"decay: scale must be > 0, got {scale:f}")
    if not offset >= 0:
        raise InvalidParameter(f"decay: offset must be >= 0, got {offset:f}")
    if not 0 < decay < 1:
        raise InvalidParameter(f"decay: decay must be 0 < decay < 1, got {decay:f}")
    if not _LEAST <= decay <= _MOST:
        raise InvalidParameter(
            f"decay: decay must be between {_LEAST:f} and {_MOST:f} for numerical "
            f"stability, got {decay:f}"
        )
    return Decay(Curve(function), origin, scale, offset, decay)
