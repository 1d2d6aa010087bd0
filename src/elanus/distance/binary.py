"""Exact distances between vectors of bits, eight to a byte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import Offsets, TopK, select

Bits = npt.NDArray[np.uint8]

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BinaryBlock:
    """Rows of bits to be compared by one metric.

    Attributes:
        vectors: (n, dim / 8) uint8, C.
        metric: HAMMING or JACCARD.
    """

    vectors: Bits
    metric: Metric

    matches_all = True

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    def distances_at(self, queries: Bits, offsets: Offsets) -> Floats:
        """Distances to the rows at ``offsets``, (nq, m) float32."""
        distances = np.empty((len(queries), len(offsets)), np.float32)
        step = max(1, _CHUNK_BYTES // self.vectors.shape[1])
        for start in range(0, len(offsets), step):
            piece = _words(self.vectors[offsets[start : start + step]])
            for query in range(len(queries)):
                one = _words(queries[query : query + 1])
                distances[query, start : start + step] = _measure(
                    one, piece, self.metric
                )
        return distances

    def nearest_all(self, queries: Bits, k: int) -> TopK:
        """The ``k`` nearest of all rows, exactly; ties go to the smaller offset."""
        return self.nearest_at(queries, np.arange(self.rows, dtype=np.int64), k)

    def nearest_at(self, queries: Bits, offsets: Offsets, k: int) -> TopK:
        """The ``k`` nearest of the rows at ascending ``offsets``, exactly."""
        found = TopK.empty(len(queries), k)
        for query in range(len(queries)):
            distances = self.distances_at(queries[query : query + 1], offsets)
            nearest = select(distances, k, offsets)
            found.offsets[query] = nearest.offsets[0]
            found.distances[query] = nearest.distances[0]
        return found


def _words(bits: Bits) -> npt.NDArray[np.unsignedinteger]:
    """The same bits in as few numbers a row as possible."""
    bits = np.ascontiguousarray(bits)
    for dtype in (np.uint64, np.uint32, np.uint16):
        if bits.shape[1] % np.dtype(dtype).itemsize == 0:
            return bits.view(dtype)
    return bits


def _measure(
    query: npt.NDArray[np.unsignedinteger],
    rows: npt.NDArray[np.unsignedinteger],
    metric: Metric,
) -> Floats:
    if metric is Metric.HAMMING:
        return _count(rows ^ query).astype(np.float32)
    either = _count(rows | query).astype(np.float64)
    differ = _count(rows ^ query)
    # two vectors without a bit have nothing in common, as Milvus' library has it
    share = np.divide(differ, either, out=np.ones_like(either), where=either > 0)
    return share.astype(np.float32)


def _count(words: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.int64]:
    """Bits set in each row, (n,) int64."""
    ones: npt.NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return ones
