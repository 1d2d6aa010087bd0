"""Exact distances between vectors of numbers, and the rows nearest by them.

Rows come as a :class:`VectorBlock`, whole or by offset. The same pair gives the same
float32 whichever way it is asked for: matrix products only pick candidates, which are
then measured again by the kernel that single queries use. Rows stored in two bytes or
one a value are brought to float32 a piece at a time, never all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from elanus.distance.metrics import Floats, Metric
from elanus.distance.native import faiss, use_one_thread
from elanus.distance.topk import Offsets, TopK, merge, select, sort_ties
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import Matrix, VectorRows, as_floats, rows_per_chunk

# From this many queries on, a matrix product beats one scan per query (measured on
# 100,000 x 384; it is also where faiss itself switches to BLAS).
_BATCH_QUERIES = 20
# Float32 rows gathered at a time for a batch: 16,384 x 768 are 48 MiB.
_GATHER_ROWS = 16_384
_SAFE_SQUARE = (1e-30, 1e30)
# Extra candidates of a batch that are measured again.
_SPARE_CANDIDATES = 16


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Rows to be compared by one metric.

    Attributes:
        vectors: (n, dim), C, float32 or a narrower type as it is stored. Rows of a
            mapped index may lie at any byte, and NumPy copies such a matrix whole
            before it computes: use the kernels.
        metric: how they are compared.
        inverse_norms: (n,) float32, 1 / length of each row (0 for a zero row) where
            COSINE is asked of rows that are not of unit length; ``None`` otherwise.
    """

    vectors: Matrix
    metric: Metric
    inverse_norms: Floats | None = None

    matches_all = True

    @classmethod
    def of(cls, vectors: Matrix, metric: Metric) -> VectorBlock:
        """A block of rows as the user gave them; COSINE reads them once for lengths."""
        norms = inverse_norms(vectors) if metric.row.normalises else None
        return cls(vectors, metric, norms)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Dimensions of a row."""
        return int(self.vectors.shape[1])

    @property
    def is_narrow(self) -> bool:
        """Whether rows are stored in fewer bytes than float32."""
        return self.vectors.dtype != np.float32

    def compared(self, rows: slice | Offsets) -> Floats:
        """Some rows as they are compared: float32, at unit length for COSINE."""
        vectors = as_floats(self.vectors[rows])
        if self.inverse_norms is None:
            return vectors
        return vectors * self.inverse_norms[rows][:, None]

    def distances_at(self, queries: Floats, offsets: Offsets) -> Floats:
        """See :func:`distances_at`."""
        return distances_at(queries, self, offsets)

    def nearest_all(self, queries: Floats, k: int) -> TopK:
        """See :func:`nearest_all`."""
        return nearest_all(queries, self, k)

    def nearest_at(self, queries: Floats, offsets: Offsets, k: int) -> TopK:
        """See :func:`nearest_at`."""
        return nearest_at(queries, self, offsets, k)


def inverse_norms(vectors: Matrix) -> Floats:
    """1 / Euclidean length of each row, (n,) float32; 0 for a zero row."""
    if vectors.dtype != np.float32 and len(vectors):
        step = rows_per_chunk(vectors.shape[1])
        pieces = range(0, len(vectors), step)
        parts = [_inverse(as_floats(vectors[i : i + step])) for i in pieces]
        return np.concatenate(parts)
    return _inverse(vectors)


def _inverse(vectors: Floats) -> Floats:
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    norms = np.sqrt(squares)
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    # A row of subnormal length has no finite inverse in float32: it counts as zero.
    narrow: Floats = inverse.astype(np.float32)
    narrow[~np.isfinite(narrow)] = 0.0
    return narrow


def normalised(vectors: Floats) -> Floats:
    """A copy of the rows at unit length, (n, dim) float32, C; zero rows stay zero."""
    scaled: Floats = np.multiply(
        vectors, inverse_norms(vectors)[:, None], dtype=np.float32
    )
    return scaled


def prepared_queries(queries: VectorRows, metric: Metric) -> Any:
    """The queries as the kernels and indexes take them: (nq, dim) float32, C.

    Queries that are no numbers (bits, sparse rows) are ready as they are.
    """
    if isinstance(queries, VectorLists):
        each = prepared_queries(queries.vectors, metric.of_each)
        return VectorLists(queries.ends - queries.ends[0], each)
    if not isinstance(queries, np.ndarray) or queries.dtype == np.uint8:
        return queries
    ready = np.ascontiguousarray(queries, dtype=np.float32)
    if not metric.row.normalises:
        return ready
    if len(ready) == 1:
        return _unit(ready)
    if not len(ready):
        return ready
    return np.concatenate([_unit(ready[i : i + 1]) for i in range(len(ready))])


def _unit(query: Floats) -> Floats:
    """One query, (1, dim), at unit length."""
    square = faiss.fvec_norm_L2sqr(faiss.swig_ptr(query), query.shape[1])
    # Squares of very large or small values leave the range of float32.
    if _SAFE_SQUARE[0] < square < _SAFE_SQUARE[1]:
        unit: Floats = query * np.float32(1.0 / math.sqrt(square))
        return unit
    return normalised(query)


def distances_all(queries: Floats, block: VectorBlock) -> Floats:
    """Distances of prepared queries to every row, (nq, n) float32."""
    return distances_at(queries, block, np.arange(block.rows, dtype=np.int64))


def distances_at(queries: Floats, block: VectorBlock, offsets: Offsets) -> Floats:
    """Distances of prepared queries to the rows at ``offsets``, (nq, m) float32."""
    use_one_thread()
    count = len(offsets)
    distances = np.empty((len(queries), count), np.float32)
    if not count:
        return distances
    if block.is_narrow:
        for start, local in _widened(block, offsets):
            every = np.arange(local.rows, dtype=np.int64)
            distances[:, start : start + local.rows] = distances_at(
                queries, local, every
            )
        return distances
    kernel = (
        faiss.fvec_L2sqr_by_idx
        if block.metric is Metric.L2
        else faiss.fvec_inner_products_by_idx
    )
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    for query in range(len(queries)):
        kernel(
            faiss.swig_ptr(distances[query]),
            faiss.swig_ptr(queries[query]),
            faiss.swig_ptr(block.vectors),
            faiss.swig_ptr(offsets),
            block.dim,
            1,
            count,
        )
    if block.inverse_norms is not None:
        distances *= block.inverse_norms[offsets]
    return distances if block.metric is Metric.L2 else np.negative(distances)


def nearest_candidates(
    queries: Floats, block: VectorBlock, candidates: TopK, k: int
) -> TopK:
    """The ``k`` nearest of each prepared query's own candidates, measured exactly."""
    found = TopK.empty(len(queries), k)
    for query, offsets in enumerate(candidates.offsets):
        # In order of offset: rows near each other share pages, and ties fall right.
        rows = np.sort(offsets[offsets >= 0])
        nearest = nearest_at(queries[query : query + 1], block, rows, k)
        found.offsets[query] = nearest.offsets[0]
        found.distances[query] = nearest.distances[0]
    return found


def nearest_all(queries: Floats, block: VectorBlock, k: int) -> TopK:
    """The ``k`` nearest of all rows, exactly; ties go to the smaller offset."""
    use_one_thread()
    wanted = min(k, block.rows)
    if wanted == 0 or not len(queries):
        return TopK.empty(len(queries), k)
    if block.is_narrow:
        return _gathered(queries, block, np.arange(block.rows, dtype=np.int64), k)
    if len(queries) < _BATCH_QUERIES:
        return _scan(queries, block, wanted).resized(k)
    if block.inverse_norms is not None and block.rows > _GATHER_ROWS:
        return _gathered(queries, block, np.arange(block.rows, dtype=np.int64), k)
    return _batch(queries, block, wanted).resized(k)


def nearest_at(queries: Floats, block: VectorBlock, offsets: Offsets, k: int) -> TopK:
    """The ``k`` nearest of the rows at ``offsets``, exactly; ties as above.

    Args:
        offsets: (m,) int64, C, ascending.
    """
    use_one_thread()
    wanted = min(k, len(offsets))
    if wanted == 0 or not len(queries):
        return TopK.empty(len(queries), k)
    is_batch = len(queries) >= _BATCH_QUERIES and len(offsets) > wanted
    if is_batch or block.is_narrow:
        return _gathered(queries, block, offsets, k)
    if block.inverse_norms is not None:
        return select(distances_at(queries, block, offsets), k, offsets)
    found = TopK.empty(len(queries), wanted)
    is_l2 = block.metric is Metric.L2
    kernel = faiss.knn_L2sqr_by_idx if is_l2 else faiss.knn_inner_products_by_idx
    # The last argument is the stride between the queries' own lists: they share one.
    kernel(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(block.vectors),
        faiss.swig_ptr(offsets),
        block.dim,
        len(queries),
        block.rows,
        len(offsets),
        wanted,
        faiss.swig_ptr(found.distances),
        faiss.swig_ptr(found.offsets),
        0,
    )
    if not is_l2:
        np.negative(found.distances, out=found.distances)
    return sort_ties(found).resized(k)


def _scan(queries: Floats, block: VectorBlock, k: int) -> TopK:
    """One pass over all rows per query."""
    if block.inverse_norms is not None:
        return select(distances_all(queries, block), k)
    is_l2 = block.metric is Metric.L2
    code = faiss.METRIC_L2 if is_l2 else faiss.METRIC_INNER_PRODUCT
    distances, offsets = faiss.knn(queries, block.vectors, k, code)
    if not is_l2:
        distances = np.negative(distances)
    return sort_ties(TopK(offsets, distances))


def _batch(queries: Floats, block: VectorBlock, k: int) -> TopK:
    """Candidates by a matrix product, then measured exactly.

    A product rounds differently, for L2 by a share of the vectors' lengths. A query
    whose spare candidates do not cover that error is scanned by itself.
    """
    plain = block
    if block.inverse_norms is not None:
        scaled = block.vectors * block.inverse_norms[:, None]
        plain = VectorBlock(scaled, block.metric)
    candidates = _scan(queries, plain, min(k + _SPARE_CANDIDATES, block.rows))
    found = nearest_candidates(queries, block, candidates, k)
    if candidates.k == block.rows:
        return found
    sure = candidates.distances[:, -1] - _product_error(queries, plain)
    for query in np.flatnonzero(found.distances[:, -1] > sure):
        alone = _scan(queries[query : query + 1], block, k)
        found.offsets[query] = alone.offsets[0]
        found.distances[query] = alone.distances[0]
    return found


def _product_error(queries: Floats, block: VectorBlock) -> Floats:
    """A bound on what a matrix product's distance may be off, (nq,) float32."""
    squares = np.empty(block.rows, np.float32)
    faiss.fvec_norms_L2sqr(
        faiss.swig_ptr(squares), faiss.swig_ptr(block.vectors), block.dim, block.rows
    )
    longest = np.sqrt(squares.max())
    lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))
    scale = lengths * longest
    if block.metric is Metric.L2:
        scale = 2 * scale + lengths**2 + longest**2
    # Rounding errors of a float32 sum in any order grow as its square root in practice.
    error: Floats = (scale * np.float32(4e-7 * np.sqrt(block.dim))).astype(np.float32)
    return error


def _gathered(queries: Floats, block: VectorBlock, offsets: Offsets, k: int) -> TopK:
    """Copy the wanted rows together, a piece at a time, and search the pieces."""
    parts = []
    for start, local in _widened(block, offsets):
        found = nearest_all(queries, local, k)
        piece = offsets[start : start + local.rows]
        named = np.where(found.offsets < 0, -1, piece[found.offsets])
        parts.append(TopK(named, found.distances))
    return parts[0] if len(parts) == 1 else merge(parts, k).rows


def _widened(block: VectorBlock, offsets: Offsets) -> Iterator[tuple[int, VectorBlock]]:
    """Some rows as float32, a piece at a time, and where in ``offsets`` it begins."""
    step = rows_per_chunk(block.dim) if block.is_narrow else _GATHER_ROWS
    for start in range(0, len(offsets), step):
        piece = offsets[start : start + step]
        rows: slice | Offsets = piece
        if int(piece[-1]) - int(piece[0]) == len(piece) - 1:
            rows = slice(int(piece[0]), int(piece[-1]) + 1)
        norms = None if block.inverse_norms is None else block.inverse_norms[rows]
        yield start, VectorBlock(as_floats(block.vectors[rows]), block.metric, norms)
