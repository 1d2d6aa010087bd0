"""What a filter does to an index that was measured without one.

Either the index is asked for more rows than wanted, and those that pass are kept; or it
is told which pass, and a sample of the rows shows afterwards whether the rows found lie
about as deep among all as was thought. They lie deeper where a filter keeps only what
is far from the query: then what the calibration says does not hold.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.distance.block import Block
from elanus.distance.topk import NO_ROW, TopK
from elanus.index.base import Allowed

_SAMPLED_ROWS = 512
# Twice as deep as thought, and so many standard deviations of the sample, is too deep.
_DEEPER = 2.0
_DEVIATIONS = 3.0
_LEAST = 2.0


def sieved(found: TopK, allowed: Allowed, wanted: int) -> TopK:
    """The first ``wanted`` allowed rows of each list; fewer may be there."""
    is_kept = allowed.mask[found.offsets] & (found.offsets != NO_ROW)
    order = np.argsort(~is_kept, axis=1, kind="stable")[:, :wanted]
    kept = np.take_along_axis(is_kept, order, axis=1)
    offsets = np.take_along_axis(found.offsets, order, axis=1)
    distances = np.take_along_axis(found.distances, order, axis=1)
    return TopK(
        np.where(kept, offsets, NO_ROW), np.where(kept, distances, np.float32(np.inf))
    )


def lies_deep(
    block: Block, queries: Any, found: TopK, share: float
) -> npt.NDArray[np.bool_]:
    """Which queries found rows deeper than a filter without a pattern has them.

    Args:
        block: all rows.
        queries: prepared.
        share: of all rows that pass the filter.
    """
    sample = _sample(block.rows)
    nearer = block.distances_at(queries, sample) < found.distances[:, -1:]
    thought = len(sample) * found.k / share / block.rows
    most = _DEEPER * thought
    most += _DEVIATIONS * math.sqrt(most) + _LEAST
    deep: npt.NDArray[np.bool_] = nearer.sum(axis=1) > most
    return deep


def _sample(rows: int) -> npt.NDArray[np.int64]:
    """Rows that stand for all, the same for every search; ascending."""
    if rows <= _SAMPLED_ROWS:
        return np.arange(rows, dtype=np.int64)
    rng = np.random.default_rng(rows)
    return np.unique(rng.integers(0, rows, _SAMPLED_ROWS))
