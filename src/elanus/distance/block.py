"""Rows of any type of vector, ready to be compared by one metric.

The one place that knows which rows are compared how: numbers, bits, sparse rows, or
lists of vectors, as wholes or vector by vector.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from elanus.distance.binary import BinaryBlock
from elanus.distance.kernels import VectorBlock
from elanus.distance.lists import ListBlock
from elanus.distance.metrics import Floats, Metric
from elanus.distance.sparse import SparseBlock
from elanus.distance.topk import Offsets, TopK
from elanus.schema.sparse import SparseRows
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import VectorRows


class Block(Protocol):
    """What a search asks of rows. Queries are prepared, and of the rows' type."""

    @property
    def metric(self) -> Metric:
        """How rows are compared."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def matches_all(self) -> bool:
        """Whether every row is some distance away; else it may be infinitely far."""
        ...

    def distances_at(self, queries: Any, offsets: Offsets) -> Floats:
        """Distances to the rows at ``offsets``, (nq, m) float32."""
        ...

    def nearest_all(self, queries: Any, k: int) -> TopK:
        """The ``k`` nearest of all rows, exactly; ties go to the smaller offset."""
        ...

    def nearest_at(self, queries: Any, offsets: Offsets, k: int) -> TopK:
        """The ``k`` nearest of the rows at ascending ``offsets``, exactly."""
        ...


def block_of(rows: VectorRows, metric: Metric, norms: Floats | None = None) -> Block:
    """The rows as the metric compares them.

    Args:
        norms: inverse lengths of the vectors where they are known, for COSINE.
    """
    if isinstance(rows, SparseRows):
        return SparseBlock(rows, metric)
    if isinstance(rows, VectorLists):
        each = block_of(rows.vectors, metric.of_each, norms)
        if metric is metric.of_each:
            return each
        assert isinstance(each, VectorBlock | BinaryBlock)
        return ListBlock(rows, each, metric)
    if rows.dtype == np.uint8:
        return BinaryBlock(rows, metric)
    if norms is not None:
        return VectorBlock(rows, metric, norms)
    return VectorBlock.of(rows, metric)
