"""How long reads take here, so that a short one can be told before it begins."""

from __future__ import annotations

import re
import threading
from typing import Any, TypeAlias

from elanus.service.requests import (
    Query,
    QueryOptions,
    Request,
    Search,
    SearchOptions,
)

# Worth less than waking another thread and what the callers behind it would notice.
SHORT_S = 1e-3
_REMEMBERED = 1_024
_FADING = 0.9
# Filters that differ only from here on ask for other values of the same fields.
_BEFORE_VALUES = re.compile(r"[^0-9\"'\[{]*")
_Key: TypeAlias = tuple[str, str, int, tuple[str, ...], int, str]


class Pace:
    """Seconds that reads of a collection took lately, by parameters and filter."""

    def __init__(self) -> None:
        # The options are kept, or another object might get the number of theirs.
        self._known: dict[_Key, tuple[SearchOptions | QueryOptions, float]] = {}
        self._lock = threading.Lock()

    def note(self, request: Search | Query, seconds: float) -> None:
        """Remember how long a read took; of a search, each query of it."""
        if _brings_functions(request):
            return
        key, each = _key(request), seconds / _queries(request)
        known = self._known.get(key)
        if known is not None:
            each = _FADING * known[1] + (1 - _FADING) * each
        elif len(self._known) >= _REMEMBERED:
            with self._lock:
                self._known.clear()
        self._known[key] = (request.options, each)

    def is_short(self, request: Request, count: int = 1) -> bool:
        """Whether so many of a read most likely end within ``SHORT_S``."""
        if not isinstance(request, Search | Query) or _brings_functions(request):
            return False
        known = self._known.get(_key(request))
        return known is not None and known[1] * _queries(request) * count < SHORT_S


def _brings_functions(request: Search | Query) -> bool:
    """Whether it takes as long as its functions take."""
    if isinstance(request, Query):
        return False
    brought = (request.score, request.highlighter)
    return bool(request.chains) or any(part is not None for part in brought)


def _key(request: Search | Query) -> _Key:
    """What reads that take equally long have in common, values of filters left out."""
    text, shape = request.filter, ""
    if text:
        found = _BEFORE_VALUES.match(text)
        assert found is not None
        shape = found.group()
    return (
        request.database,
        request.collection,
        id(request.options),
        request.output_fields,
        len(text).bit_length(),
        shape,
    )


def _queries(request: Search | Query) -> int:
    if isinstance(request, Query):
        return 1
    sent: Any = None if request.queries is None else request.queries.vectors
    return max(1, 1 if sent is None else len(sent))
