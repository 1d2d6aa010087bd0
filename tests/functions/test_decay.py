"""Decay factors: Milvus' curves, and what is no number on them."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from elanus.errors import InvalidParameter
from elanus.functions.rank.decay import Curve, checked_decay


def expected(curve: str, far: float, scale: float, decay: float) -> float:
    """The curves as they are published, for one value."""
    if curve == "gauss":
        return math.exp(math.log(decay) * far**2 / scale**2)
    if curve == "exp":
        return math.exp(math.log(decay) / scale * far)
    return max(decay, 1 - (1 - decay) / scale * far)


@pytest.mark.parametrize("curve", list(Curve))
@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64()])
def test_the_curves_are_the_published_ones(curve: str, kind: pa.DataType) -> None:
    """1 within the offset, ``decay`` at the scale, and never below it if linear."""
    values = [0, 5, 10, 17, 30, 100, None]
    decay = checked_decay(curve, 10.0, 20.0, 2.0, 0.3)
    factors = decay.factors(pa.array(values, kind)).tolist()
    for value, factor in zip(values[:-1], factors, strict=False):
        assert value is not None
        far = max(0.0, abs(value - 10.0) - 2.0)
        assert factor == pytest.approx(expected(curve, far, 20.0, 0.3), rel=1e-12)
    assert factors[2] == 1.0
    assert factors[-1] == 0.0


@pytest.mark.parametrize("curve", list(Curve))
def test_what_is_no_number_is_near_nothing(curve: str) -> None:
    """And no value makes more than a warning of floating point would, nor that."""
    values = pa.array([float("nan"), float("inf"), -1e308, 1e308], pa.float64())
    factors = checked_decay(curve, 0.0, 1e-300, 0.0, 0.5).factors(values)
    assert factors[0] == 0.0
    least = 0.5 if curve == "linear" else 0.0
    assert factors[1:].tolist() == [least] * 3


BAD = [
    (("sine", 0, 1, 0, 0.5), 'decay: invalid function "sine", must be one of [gauss, '),
    (("exp", math.nan, 1, 0, 0.5), "decay param origin: nan is not a number"),
    (("exp", 0, 0, 0, 0.5), "decay: scale must be > 0, got 0.000000"),
    (("exp", 0, -1.0, 0, 0.5), "decay: scale must be > 0, got -1.0"),
    (("exp", 0, 1, -1.0, 0.5), "decay: offset must be >= 0, got -1.0"),
    (("exp", 0, 1, 0, 1.0), "decay: decay must be 0 < decay < 1, got 1.0"),
    (("exp", 0, 1, 0, 0.0005), "between 0.001000 and 0.999000 for numerical stabilit"),
]


@pytest.mark.parametrize(("given", "text"), BAD)
def test_what_is_out_of_range_is_refused(given: tuple[str, float], text: str) -> None:
    """With Milvus' text."""
    with pytest.raises(InvalidParameter) as caught:
        checked_decay(*given)
    assert text in str(caught.value)
