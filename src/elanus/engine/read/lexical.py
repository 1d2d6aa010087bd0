"""BM25 searches: the statistics of all rows that a version shows, and weighted words.

Everything is worked out from the version that is read: how many texts there are, how
long they are, and how many have each word of the query. So it is exact under deletes
and after a crash, and does not depend on how rows lie in segments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from elanus.distance.lexical import LexicalBlock, WordLists, rarity
from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import TopK
from elanus.engine.read.plan import SearchPlan
from elanus.engine.version import SegmentView, Version
from elanus.index.base import Allowed, VectorIndex
from elanus.index.search import SegmentVectors
from elanus.index.sparse.inverted import InvertedIndex
from elanus.schema.sparse import SparseRows
from elanus.segment.deletes import Mask


class _Texts(NamedTuple):
    """The texts of one segment.

    Attributes:
        file: that the lists are read from, if they are from one.
    """

    lists: WordLists
    lengths: Floats
    file: InvertedIndex | None


class ScoredIndex:
    """An inverted file that is read for words; see :class:`VectorIndex`."""

    raw_rows = None
    sketch = None
    full_effort = 1
    visits_lists = True
    is_lossy = False
    is_exact = True

    def __init__(self, index: VectorIndex, block: LexicalBlock) -> None:
        """Args: index: that the block's lists are of."""
        self.meta = index.meta
        self._block = block

    def search(
        self, queries: SparseRows, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """The allowed rows of the highest scores; those that match only."""
        mask = None if allowed is None else allowed.mask
        return self._block.nearest_in(queries, mask, limit)


def lexical_vectors(view: SegmentView, plan: SearchPlan) -> SegmentVectors:
    """The texts of one segment as a weighted plan compares them."""
    assert plan.scoring is not None
    texts = _texts(view, plan.field.id)
    block = LexicalBlock(texts.lists, texts.lengths, plan.scoring)
    index = None if texts.file is None else ScoredIndex(texts.file, block)
    return SegmentVectors(lambda: block, index)


def weighted(
    version: Version, plan: SearchPlan, queries: SparseRows
) -> tuple[SearchPlan, SparseRows]:
    """The same plan and queries, with all that scores depend on in a version.

    Args:
        queries: how often each has its words.
    """
    assert plan.scoring is not None
    words, places = np.unique(queries.indices[queries.entries], return_inverse=True)
    holding = np.zeros(len(words), np.float64)
    n_rows, n_tokens = 0, 0.0
    for position, view in enumerate(version.views):
        if not view.n_rows:
            continue
        shown = version.visible(position, version.partitions)
        texts = _texts(view, plan.field.id)
        rows, tokens = _size(version, view, plan.field.id, texts.lengths, shown)
        n_rows, n_tokens = n_rows + rows, n_tokens + tokens
        for i, word in enumerate(words.tolist()):
            holding[i] += _count(texts.lists.entries(word)[0], view.n_rows, shown)
    scoring = replace(plan.scoring, mean_length=n_tokens / n_rows if n_tokens else 1.0)
    weights = rarity(n_rows, holding)[places]
    values = (queries.values[queries.entries] * weights).astype(np.float32)
    ends = queries.ends - queries.ends[0]
    asked = SparseRows(ends, queries.indices[queries.entries], values)
    return replace(plan, scoring=scoring), asked


def _texts(view: SegmentView, field_id: int) -> _Texts:
    segment, n_rows = view.segment, view.n_rows
    rows = segment.vectors(field_id, n_rows).rows
    assert isinstance(rows, SparseRows)
    index = segment.index(field_id)
    if isinstance(index, InvertedIndex) and index.meta.metric is Metric.BM25:
        return _Texts(index, segment.words.lengths(field_id, rows), index)
    words = segment.words.words(field_id, rows)
    return _Texts(words, words.lengths, None)


def _size(
    version: Version,
    view: SegmentView,
    field_id: int,
    lengths: Floats,
    shown: Mask | None,
) -> tuple[int, float]:
    """How many texts a view shows, and how many tokens they have."""
    key = ("texts", field_id, version.partitions)
    # keys in several partitions make what is shown depend on other views
    known: tuple[int, float] | None = None
    if not version.repeated_keys:
        known = view.cache.get(key)
    if known is None:
        seen = lengths if shown is None else lengths[shown]
        known = len(seen), float(seen.sum(dtype=np.float64))
        if not version.repeated_keys:
            view.cache[key] = known
    return known


def _count(rows: npt.NDArray[np.integer], n_rows: int, shown: Mask | None) -> int:
    """How many of ascending rows a view shows."""
    if len(rows) and rows[-1] >= n_rows:
        rows = rows[: int(np.searchsorted(rows, n_rows))]
    return len(rows) if shown is None else int(np.count_nonzero(shown[rows]))
