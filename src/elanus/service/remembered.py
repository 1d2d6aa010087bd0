"""A bounded memory of things that take time to make."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Remembered(Generic[Thing]):
    """Things by key; all are forgotten when there are too many. Safe among threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Hashable, Thing] = {}
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Thing | None:
        """The thing kept under a key."""
        return self._things.get(key)

    def keep(self, key: Hashable, thing: Thing) -> None:
        """Remember a thing."""
        with self._lock:
            if len(self._things) >= self._most:
                self._things.clear()
            self._things[key] = thing

    def __len__(self) -> int:
        return len(self._things)
