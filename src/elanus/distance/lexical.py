"""BM25: texts by how rare the words are that they share with a query.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
(2009), section 3.4, with the inverse document frequency that is never negative, as
Lucene and Milvus have it:

    score = sum over words of  qtf * idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * L))
    idf   = ln(1 + (N - df + 0.5) / (df + 0.5))

where L is the length of the text beside the mean. Rows are read from lists, one for
each word; sums are in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats, Metric
from elanus.distance.sparse import put_nearest
from elanus.distance.topk import Offsets, TopK
from elanus.schema.sparse import SparseRows

Doubles = npt.NDArray[np.float64]
_NO_ROWS = np.empty(0, np.int64)
# Below this share of all rows, sorting the rows found is quicker than a sum for each.
_FEW_ROWS = 16


class WordLists(Protocol):
    """For each word of some rows, the rows that have it."""

    def entries(self, word: int) -> tuple[npt.NDArray[np.integer], Floats]:
        """The rows that have a word, ascending, and how often they have it."""
        ...


@dataclass(frozen=True, slots=True)
class Scoring:
    """What scores depend on beside the rows and the query.

    Attributes:
        k1: how much more a word counts that is there again; 0 for not at all.
        b: how much long texts are held back, 0 to 1.
        mean_length: tokens of a text of the collection in the mean; above 0.
    """

    k1: float = 1.2
    b: float = 0.75
    mean_length: float = 1.0


def rarity(rows: int, holding: Doubles) -> Doubles:
    """The weight of words that ``holding`` of ``rows`` texts have, always above 0."""
    return np.log1p((rows - holding + 0.5) / (holding + 0.5))


@dataclass(frozen=True, slots=True)
class LexicalBlock:
    """Texts of one segment, ready to be compared with weighted words.

    A text that shares no word with a query is no answer to it. Values of queries are
    the words' rarities, times how often the query has them.

    Attributes:
        lengths: tokens of each text, (rows,) float32.
    """

    lists: WordLists
    lengths: Floats
    scoring: Scoring

    metric = Metric.BM25
    matches_all = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lengths)

    def distances_at(self, queries: SparseRows, offsets: Offsets) -> Floats:
        """Distances to the rows at ``offsets``, (nq, m) float32."""
        distances = np.full((len(queries), self.rows), np.inf, np.float32)
        for query in range(len(queries)):
            rows, scores = self._scored(queries[query : query + 1])
            distances[query, rows] = -scores
        return distances[:, offsets]

    def nearest_all(self, queries: SparseRows, k: int) -> TopK:
        """The ``k`` best of all rows that match; ties go to the smaller offset."""
        return self._nearest(queries, k, None)

    def nearest_at(self, queries: SparseRows, offsets: Offsets, k: int) -> TopK:
        """The ``k`` best of the rows at ascending ``offsets`` that match."""
        mask = np.zeros(self.rows, np.bool_)
        mask[offsets] = True
        return self._nearest(queries, k, mask)

    def nearest_in(
        self, queries: SparseRows, mask: npt.NDArray[np.bool_] | None, k: int
    ) -> TopK:
        """The ``k`` best of the rows of a mask that match; ``None`` means all."""
        return self._nearest(queries, k, mask)

    def _nearest(
        self, queries: SparseRows, k: int, mask: npt.NDArray[np.bool_] | None
    ) -> TopK:
        found = TopK.empty(len(queries), k)
        for query in range(len(queries)):
            rows, scores = self._scored(queries[query : query + 1])
            if mask is not None:
                kept = mask[rows]
                rows, scores = rows[kept], scores[kept]
            put_nearest(found, query, (-scores).astype(np.float32), rows)
        return found

    def _scored(self, query: SparseRows) -> tuple[Offsets, Doubles]:
        """The rows that share a word with one query, ascending, and their scores."""
        words = query.indices[query.entries].tolist()
        weights = query.values[query.entries].tolist()
        n_rows, scoring = self.rows, self.scoring
        rows_of: list[Offsets] = [_NO_ROWS]
        terms: list[Doubles] = []
        k1, b = scoring.k1, scoring.b
        even, uneven = k1 * (1.0 - b), k1 * b / scoring.mean_length
        for word, weight in zip(words, weights, strict=True):
            having, times = self.lists.entries(word)
            if len(having) and having[-1] >= n_rows:
                seen = int(np.searchsorted(having, n_rows))
                having, times = having[:seen], times[:seen]
            often = times.astype(np.float64)
            held_back = even + uneven * self.lengths[having]
            rows_of.append(having.astype(np.int64))
            terms.append(weight * (k1 + 1.0) * often / (often + held_back))
        rows: Offsets = np.concatenate(rows_of)
        if len(terms) == 1:
            return rows, terms[0]
        values = np.concatenate([np.empty(0), *terms])
        hit: Offsets
        sums: Doubles
        if len(rows) * _FEW_ROWS > n_rows:
            sums = np.bincount(rows, values, n_rows).astype(np.float64, copy=False)
            hit = np.flatnonzero(sums)
            return hit, sums[hit]
        hit, places = np.unique(rows, return_inverse=True)
        sums = np.bincount(places, values, len(hit)).astype(np.float64, copy=False)
        return hit, sums
