"""SPARSE_INVERTED_INDEX and SPARSE_WAND: for each index, the rows that have it.

A search reads the lists of the query's own indices and adds up whole rows, so it is
exact whatever the algorithm's name: the parameters of Milvus' algorithms are checked,
and change how fast those are, not what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.sparse import distances_of, put_nearest
from elanus.distance.topk import TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, BuildRequest, IndexMeta
from elanus.index.params import parse_build_params
from elanus.schema.sparse import SparseRows
from elanus.storage.arrays import Array, map_arrays, write_arrays

_NAMES = {"indices", "ends", "rows", "values"}


class InvertedIndex:
    """An open inverted file.

    Its arrays: the ``indices`` that occur, ascending; list ``i`` is from ``ends[i]`` to
    ``ends[i + 1]`` in ``rows`` (ascending) and ``values``.
    """

    raw_rows = None
    sketch = None
    full_effort = 1
    visits_lists = True
    is_lossy = False
    is_exact = True

    def __init__(self, meta: IndexMeta, arrays: Mapping[str, Array]) -> None:
        """Take over the mapped arrays."""
        self.meta = meta
        self._indices = arrays["indices"]
        self._ends = arrays["ends"]
        self._rows = arrays["rows"]
        self._values = arrays["values"]

    def search(
        self, queries: SparseRows, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """The allowed rows of the largest inner products; those that match only."""
        found = TopK.empty(len(queries), limit)
        for query in range(len(queries)):
            rows, products = self._products(queries[query : query + 1])
            if allowed is not None:
                kept = allowed.mask[rows]
                rows, products = rows[kept], products[kept]
            put_nearest(found, query, distances_of(products), rows)
        return found

    def entries(self, word: int) -> tuple[Array, Array]:
        """The rows that have an index, ascending, and their values there."""
        place = int(np.searchsorted(self._indices, np.uint32(word)))
        if place == len(self._indices) or self._indices[place] != word:
            return self._rows[:0], self._values[:0]
        part = slice(int(self._ends[place]), int(self._ends[place + 1]))
        return self._rows[part], self._values[part]

    def _products(self, query: SparseRows) -> tuple[Array, Array]:
        """The rows that have an index of the query, ascending, and their products."""
        wanted = query.indices[query.entries]
        weights = query.values[query.entries].astype(np.float64)
        places = np.searchsorted(self._indices, wanted)
        known = places < len(self._indices)
        known[known] = self._indices[places[known]] == wanted[known]
        lists = [
            slice(int(self._ends[place]), int(self._ends[place + 1]))
            for place in places[known].tolist()
        ]
        if not lists:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        rows = np.concatenate([self._rows[part] for part in lists])
        terms = np.concatenate(
            [
                self._values[part] * weight
                for part, weight in zip(lists, weights[known], strict=True)
            ]
        )
        # by row, and within a row by index: the order in which a scan adds
        sums = np.bincount(rows, terms, self.meta.rows)
        hit = np.flatnonzero(sums)
        return hit, sums[hit]


@dataclass(frozen=True)
class Inverted:
    """A kind of inverted file; the names differ, the files do not."""

    name: str

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Nothing to resolve: parameters are checked only."""
        return parse_build_params(self.name, params)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Sort all entries by index."""
        self.resolve(request.params, request.rows, 0)
        rows = request.vectors
        assert isinstance(rows, SparseRows)
        request.step(0.0)
        entries = rows.entries
        indices = rows.indices[entries]
        order = np.argsort(indices, kind="stable")
        request.step(0.5)
        owners = np.repeat(np.arange(len(rows), dtype=np.uint32), rows.lengths)
        unique, starts = np.unique(indices[order], return_index=True)
        write_arrays(
            path,
            {
                "indices": unique,
                "ends": np.append(starts, len(order)).astype(np.int64),
                "rows": owners[order],
                "values": rows.values[entries][order],
            },
        )
        request.step(1.0)
        return request.meta(self.name)

    def open(self, meta: IndexMeta, path: Path) -> InvertedIndex:
        """Map the lists.

        Raises:
            CorruptionError: the file is not what ``meta`` says; rebuild the index.
        """
        arrays = map_arrays(path)
        if arrays.keys() != _NAMES:
            raise CorruptionError(str(path), "is not an inverted file")
        return InvertedIndex(meta, arrays)
