"""Places of search iterators: which rows a client has had, by token.

Bounded in number, memory and age; an iterator whose place is gone goes on from the
score of the last row it had.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from elanus.engine.read.ranking import Ranking

CURSORS = 256
CURSOR_BYTES = 512 << 20
IDLE_MS = 600_000


@dataclass(slots=True)
class Cursor:
    """One iterator's place.

    Attributes:
        ranking: all rows in order; it holds the version that the iterator began with.
        position: how many of them the client has had.
        used_ms: when it was last asked for, by the wall clock.
    """

    collection_id: int
    ranking: Ranking
    position: int
    used_ms: int = 0


class Cursors:
    """Every iterator's place. Safe to use from many threads."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[str, Cursor] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, token: str, collection_id: int, now_ms: int) -> Cursor | None:
        """The place that a token stands for, if it is still kept."""
        with self._lock:
            self._forget_idle(now_ms)
            cursor = self._by_token.get(token)
            if cursor is None or cursor.collection_id != collection_id:
                return None
            cursor.used_ms = now_ms
            self._by_token.move_to_end(token)
            return cursor

    def keep(self, token: str, cursor: Cursor, now_ms: int) -> None:
        """Remember a place; the ones not used for longest make room."""
        with self._lock:
            cursor.used_ms = now_ms
            self._by_token[token] = cursor
            self._by_token.move_to_end(token)
            self._forget_idle(now_ms)
            held = sum(c.ranking.nbytes for c in self._by_token.values())
            while len(self._by_token) > CURSORS or held > CURSOR_BYTES:
                _, oldest = self._by_token.popitem(last=False)
                held -= oldest.ranking.nbytes

    def forget(self, token: str) -> None:
        """The iterator has come to its end."""
        with self._lock:
            self._by_token.pop(token, None)

    def __len__(self) -> int:
        return len(self._by_token)

    def _forget_idle(self, now_ms: int) -> None:
        while self._by_token:
            token, oldest = next(iter(self._by_token.items()))
            if now_ms - oldest.used_ms < IDLE_MS:
                return
            del self._by_token[token]
