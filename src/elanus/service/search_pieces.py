"""Searches of many queries, a few at a time, so that small ones get in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from elanus.engine.read.grouping import joined_elements
from elanus.engine.read.search import SearchHits
from elanus.schema.columns import concat
from elanus.service.core import Core
from elanus.service.replies import SearchReply
from elanus.service.requests import Search
from elanus.service.rescoring import waits_for_others
from elanus.service.search import Prepared, prepare, reply_of

# One call into native code; beyond it a search is worth interrupting.
WHOLE_QUERIES = 32
# Small enough for those who wait, large enough for scans that share their rows.
_PIECE_S = 2e-3
_LEAST, _MOST = 8, 256


def is_long(request: Search) -> bool:
    """Whether a search is done in pieces.

    An iterator's has one query only, and one that waits for a model has lost its
    processor anyway.
    """
    queries = request.queries
    return (
        queries is not None
        and queries.vectors is not None
        and len(queries.vectors) > WHOLE_QUERIES
        and request.options.iterator is None
        and not waits_for_others(request)
    )


class SearchInPieces:
    """One search of many queries over one version of the rows."""

    def __init__(
        self, core: Core, request: Search, monotonic: Callable[[], float]
    ) -> None:
        """Check and plan it.

        Raises: as :func:`elanus.service.search.search`.
        """
        self._core = core
        self._prepared: Prepared = prepare(core, request)
        self._monotonic = monotonic
        self._start = 0
        self._size = WHOLE_QUERIES
        self._found: list[SearchHits] = []

    def advance(self) -> SearchReply | None:
        """Search some more queries; the answer after the last.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
        """
        prepared, end = self._prepared, self._start + self._size
        began = self._monotonic()
        self._found.append(
            prepared.collection.search(
                prepared.version, prepared.found_by, prepared.queries[self._start : end]
            )
        )
        if end >= len(prepared.queries):
            return reply_of(self._core, prepared, joined(self._found))
        self._size = next_size(self._size, self._monotonic() - began)
        self._start = end
        return None


def next_size(size: int, took_s: float) -> int:
    """How many queries the next piece has, after one of this size took so long."""
    fitting = size * _PIECE_S / max(took_s, 1e-9)
    return int(min(max(fitting, size / 2, _LEAST), 2 * size, _MOST))


def joined(found: Sequence[SearchHits]) -> SearchHits:
    """The hits of consecutive queries as one."""
    if len(found) == 1:
        return found[0]
    first = found[0]
    parts = None
    if any(hits.parts is not None for hits in found):
        parts = np.concatenate(
            [
                np.zeros(len(hits.offsets), np.int64)
                if hits.parts is None
                else hits.parts
                for hits in found
            ]
        )
    return first._replace(
        counts=np.concatenate([hits.counts for hits in found]),
        parts=parts,
        offsets=np.concatenate([hits.offsets for hits in found]),
        scores=np.concatenate([hits.scores for hits in found]),
        keys=concat([hits.keys for hits in found]),
        elements=joined_elements([hits.elements for hits in found]),
    )
