"""Hybrid timestamps: physical milliseconds << 18 | logical counter, as Milvus' TSO.

Owns the only reading of the wall clock. A timestamp is never issued twice and never
goes backwards, neither when the wall clock steps back nor after a restart: recovery
calls :meth:`HybridClock.advance_to` with the newest timestamp found on disk.

Source: Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots", 2014.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

LOGICAL_BITS = 18
MAX_TS = (1 << 63) - 1


class PhysicalTime(Protocol):
    """Source of wall-clock milliseconds since the Unix epoch."""

    def __call__(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


def wall_ms() -> int:
    """Milliseconds since the Unix epoch from the operating system."""
    return time.time_ns() // 1_000_000


def physical_ms(ts: int) -> int:
    """The wall-clock part of a hybrid timestamp, in milliseconds."""
    return ts >> LOGICAL_BITS


def ts_at(ms: int) -> int:
    """The smallest hybrid timestamp of a wall-clock millisecond."""
    return ms << LOGICAL_BITS


class HybridClock:
    """Issues strictly increasing hybrid timestamps. Safe to share among threads."""

    def __init__(self, now_ms: PhysicalTime = wall_ms, start: int = 0) -> None:
        self._now_ms = now_ms
        self._last = start
        self._lock = threading.Lock()

    def next(self) -> int:
        """A timestamp greater than every one issued before."""
        return self.reserve(1)

    def reserve(self, count: int) -> int:
        """The first of ``count`` consecutive timestamps that no one else gets."""
        with self._lock:
            first = max(self._last + 1, ts_at(self._now_ms()))
            self._last = first + count - 1
            return first

    def advance_to(self, ts: int) -> None:
        """Never again issue ``ts`` or anything older."""
        with self._lock:
            self._last = max(self._last, ts)

    @property
    def last(self) -> int:
        """The newest timestamp issued or seen."""
        return self._last

    def now_ms(self) -> int:
        """The wall clock, in milliseconds; for ages and time-outs only."""
        return self._now_ms()
