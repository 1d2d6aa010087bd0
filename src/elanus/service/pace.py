"""How long searches take here, so that a short one can be told before it begins."""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

from elanus.service.requests import Request, Search, SearchOptions

# Worth less than waking another thread and what the callers behind it would notice.
SHORT_S = 1e-3
_REMEMBERED = 1_024
_FADING = 0.9
_Key: TypeAlias = tuple[str, str, int]


class Pace:
    """Seconds that one query of a collection took lately, by search parameters."""

    def __init__(self) -> None:
        # The options are kept, or another object might get the number of theirs.
        self._known: dict[_Key, tuple[SearchOptions, float]] = {}
        self._lock = threading.Lock()

    def note(self, request: Search, seconds: float) -> None:
        """Remember how long a search took."""
        key, each = _key(request), seconds / _queries(request)
        known = self._known.get(key)
        if known is not None:
            each = _FADING * known[1] + (1 - _FADING) * each
        elif len(self._known) >= _REMEMBERED:
            with self._lock:
                self._known.clear()
        self._known[key] = (request.options, each)

    def is_short(self, request: Request) -> bool:
        """Whether a request is a search that most likely ends within ``SHORT_S``."""
        if not isinstance(request, Search):
            return False
        known = self._known.get(_key(request))
        return known is not None and known[1] * _queries(request) < SHORT_S


def _key(request: Search) -> _Key:
    return (request.database, request.collection, id(request.options))


def _queries(request: Search) -> int:
    sent: Any = None if request.queries is None else request.queries.vectors
    return max(1, 1 if sent is None else len(sent))
