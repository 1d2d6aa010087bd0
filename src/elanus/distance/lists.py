"""Exact distances between lists of vectors: each vector of a query to its nearest.

A row's distance is the sum, over the vectors of the query, of the distance to the
nearest of the row's vectors.

Source: Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via
Contextualized Late Interaction over BERT", 2020, section 3.3 (MaxSim); with a metric
that is smaller for nearer vectors, the sum is of the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from elanus.distance.binary import BinaryBlock
from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import Offsets, TopK, select
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import as_floats

# Vectors brought together at a time: 16,384 x 768 floats are 48 MiB.
_CHUNK_VECTORS = 16_384
# Rows that a product names beyond those wanted, to be measured again.
_SPARE_CANDIDATES = 16


@dataclass(frozen=True, slots=True)
class ListBlock:
    """Rows of any number of vectors each, to be compared with lists of vectors.

    A row without a vector is no answer: its distance is infinite.

    Attributes:
        lists: which vectors a row has; the first vector is number 0.
        each: all vectors, compared one by one.
    """

    lists: VectorLists
    each: VectorBlock | BinaryBlock
    metric: Metric

    matches_all = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lists)

    def distances_at(self, queries: VectorLists, offsets: Offsets) -> Floats:
        """Distances to the rows at ``offsets``, (nq, m) float32."""
        return self._distances(queries, offsets, is_exact=True)

    def nearest_all(self, queries: VectorLists, k: int) -> TopK:
        """The ``k`` nearest of all rows; ties go to the smaller offset."""
        return self.nearest_at(queries, np.arange(self.rows, dtype=np.int64), k)

    def nearest_at(self, queries: VectorLists, offsets: Offsets, k: int) -> TopK:
        """The ``k`` nearest of the rows at ascending ``offsets``.

        Matrix products name candidates, which are measured again one by one, as single
        vectors are.
        """
        found = TopK.empty(len(queries), k)
        for query in range(len(queries)):
            one = queries[query : query + 1]
            rough = self._distances(one, offsets, is_exact=False)
            named = select(rough, min(k + _SPARE_CANDIDATES, len(offsets)), offsets)
            there = np.sort(named.offsets[0][named.distances[0] < np.inf])
            exact = self.distances_at(one, there)
            nearest = select(exact, k, there)
            found.offsets[query] = nearest.offsets[0]
            found.distances[query] = nearest.distances[0]
        return found

    def _distances(
        self, queries: VectorLists, offsets: Offsets, *, is_exact: bool
    ) -> Floats:
        distances = np.full((len(queries), len(offsets)), np.inf, np.float32)
        lengths = self.lists.lengths[offsets]
        ends = np.cumsum(lengths)
        asked = queries.vectors
        start = 0
        while start < len(offsets):
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + _CHUNK_VECTORS, "right"))
            stop = max(stop, start + 1)
            held = np.flatnonzero(lengths[start:stop]) + start
            if len(held) and len(asked):
                places = self.lists.places(offsets[held]) - self.lists.ends[0]
                firsts = np.cumsum(lengths[held]) - lengths[held]
                pairs = self._measured(asked, places, is_exact=is_exact)
                nearest = np.minimum.reduceat(pairs, firsts, axis=0)
                distances[:, held] = self._summed(queries, nearest)
            start = stop
        return distances

    def _summed(self, queries: VectorLists, nearest: Floats) -> Floats:
        """Of every query, the sum over its vectors: (nq, m).

        Args:
            nearest: for each of the m rows, the distances to its nearest vector.
        """
        first = int(queries.ends[0])
        spans = pairwise((queries.ends - first).tolist())
        sums = [nearest[:, a:b].sum(axis=1, dtype=np.float64) for a, b in spans]
        return np.array(sums, np.float32).reshape(len(queries), -1)

    def _measured(self, asked: Floats, places: Offsets, *, is_exact: bool) -> Floats:
        """Distances of single vectors, (places, vectors asked)."""
        each: Any = self.each
        if is_exact or isinstance(each, BinaryBlock):
            measured: Floats = each.distances_at(asked, places).T
            return measured
        is_run = int(places[-1]) - int(places[0]) == len(places) - 1
        rows = slice(int(places[0]), int(places[-1]) + 1) if is_run else places
        compared = as_floats(each.vectors[rows])
        products: Floats = compared @ asked.T
        if each.inverse_norms is not None:  # on the products, which are far fewer
            products *= each.inverse_norms[rows][:, None]
        if each.metric is not Metric.L2:
            return np.negative(products, out=products)
        products *= -2.0
        products += np.einsum("ij,ij->i", compared, compared)[:, None]
        products += np.einsum("ij,ij->i", asked, asked)
        return products
