"""Exact inner products of sparse vectors, row by row.

Sums run over common indices in ascending order and in float64, so that an inverted
file, which adds in the same order, comes to the same float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import Offsets, TopK, select
from elanus.schema.sparse import SparseRows

_CHUNK_ENTRIES = 1 << 20


@dataclass(frozen=True, slots=True)
class SparseBlock:
    """Sparse rows to be compared by inner product.

    A row that has no index in common with a query is no answer to it: its distance is
    infinite.
    """

    vectors: SparseRows
    metric: Metric = Metric.IP

    matches_all = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    def distances_at(self, queries: SparseRows, offsets: Offsets) -> Floats:
        """Distances to the rows at ``offsets``, (nq, m) float32."""
        rows = self.vectors
        if len(offsets) < self.rows:
            rows = rows[offsets]
        distances = np.empty((len(queries), len(offsets)), np.float32)
        for query in range(len(queries)):
            products = _products(queries[query : query + 1], rows)
            distances[query] = distances_of(products)
        return distances

    def nearest_all(self, queries: SparseRows, k: int) -> TopK:
        """The ``k`` nearest of all rows that match; ties go to the smaller offset."""
        return self.nearest_at(queries, np.arange(self.rows, dtype=np.int64), k)

    def nearest_at(self, queries: SparseRows, offsets: Offsets, k: int) -> TopK:
        """The ``k`` nearest of the rows at ascending ``offsets`` that match."""
        found = TopK.empty(len(queries), k)
        for query in range(len(queries)):
            distances = self.distances_at(queries[query : query + 1], offsets)[0]
            put_nearest(found, query, distances, offsets)
        return found


def distances_of(products: npt.NDArray[np.float64]) -> Floats:
    """Distances of inner products, any shape: infinite where nothing is in common."""
    with np.errstate(over="ignore"):
        distances = (-products).astype(np.float32)
    return np.where(products == 0.0, np.float32(np.inf), distances)


def put_nearest(found: TopK, query: int, distances: Floats, offsets: Offsets) -> None:
    """Make one query's list from the distances of rows at ascending offsets."""
    near = np.flatnonzero(distances < np.inf)
    nearest = select(distances[None, near], found.k, offsets[near])
    found.offsets[query] = nearest.offsets[0]
    found.distances[query] = nearest.distances[0]


def _products(query: SparseRows, rows: SparseRows) -> npt.NDArray[np.float64]:
    """Inner products of one query and all rows, (n,) float64."""
    products = np.zeros(len(rows), np.float64)
    wanted = query.indices[query.entries]
    weights = query.values[query.entries].astype(np.float64)
    if not len(wanted):
        return products
    entries = rows.entries
    for start in range(entries.start, entries.stop, _CHUNK_ENTRIES):
        stop = min(start + _CHUNK_ENTRIES, entries.stop)
        indices = rows.indices[start:stop]
        places = np.minimum(np.searchsorted(wanted, indices), len(wanted) - 1)
        common = np.flatnonzero(wanted[places] == indices)
        if not len(common):
            continue
        terms = rows.values[start + common] * weights[places[common]]
        # empty rows end where they start: the last row that starts here has the entry
        owners = np.searchsorted(rows.ends, start + common, "right") - 1
        np.add.at(products, owners, terms)
    return products
