"""What the recall of live searches is measured with: a thread that stands behind all.

One measurement at a time waits for it; whatever comes meanwhile is let go. It rests for
much longer than it works, and works only while the machine has a core to spare.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from elanus.errors import ElanusError

Measure = Callable[[np.random.Generator], float | None]

_WINDOW = 256  # searches whose mean is told
_COLLECTIONS = 1024  # that are remembered
_REST = 19  # times as long as it worked: a twentieth of one core
_LONGEST_REST_S = 60.0
_NICENESS = 19


@dataclass(slots=True)
class MeasuredRecall:
    """What is known of a collection.

    Attributes:
        recent: recall of the last searches measured.
        count: searches measured since the start.
    """

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    count: int = 0

    @property
    def mean(self) -> float:
        """Over the last searches measured."""
        return float(np.mean(list(self.recent)))


def is_idle() -> bool:
    """Whether the machine has a core to spare; where that is unknown, it has."""
    try:
        return os.getloadavg()[0] < (os.cpu_count() or 1)
    except OSError:
        return True


class RecallSampler:
    """Measures a share of the searches. Safe to use from many threads."""

    def __init__(
        self,
        share: float,
        rng: np.random.Generator,
        is_idle: Callable[[], bool] = is_idle,
    ) -> None:
        """Args:
        share: of all searches, 0 to 1; how many are measured depends on the load, too.
        is_idle: asked before each measurement.
        """
        self._share = share
        self._rng = rng
        self._is_idle = is_idle
        self._changed = threading.Condition()
        self._next: tuple[int, Measure] | None = None
        self._is_resting = self._is_closing = False
        self._measured: dict[int, MeasuredRecall] = {}
        self._thread: threading.Thread | None = None

    def wants(self) -> bool:
        """Whether a search is to be measured."""
        if not self._share or self._is_resting or self._next is not None:
            return False
        return self._share >= 1.0 or float(self._rng.random()) < self._share

    def any_of(self, count: int) -> int:
        """One of so many queries, at random."""
        return int(self._rng.integers(count))

    def offer(self, collection_id: int, measure: Measure) -> None:
        """Measure a search of a collection, if there is time.

        Args:
            measure: gives the recall, ``None`` where there is nothing to be found. It
                is dropped after one use, or at once.
        """
        with self._changed:
            if self._is_closing or self._is_resting or self._next is not None:
                return
            self._next = (collection_id, measure)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="elanus-recall", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def note(self, collection_id: int, recall: float) -> None:
        """Remember what a search of a collection found."""
        with self._changed:
            known = self._measured.pop(collection_id, MeasuredRecall())
            known.recent.append(recall)
            known.count += 1
            self._measured[collection_id] = known  # the last one used stands last
            while len(self._measured) > _COLLECTIONS:
                del self._measured[next(iter(self._measured))]

    def measured(self, collection_id: int) -> MeasuredRecall | None:
        """What is known of a collection; ``None`` if none of its searches was."""
        with self._changed:
            known = self._measured.get(collection_id)
            if known is None:
                return None
            return MeasuredRecall(known.recent.copy(), known.count)

    def close(self) -> None:
        """End the thread; what it has in hand is finished first."""
        with self._changed:
            self._is_closing = True
            self._next = None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        _give_way()
        while self._wait():
            began = time.thread_time()
            self._measure()
            spent = time.thread_time() - began
            if not self._rest(min(_REST * spent, _LONGEST_REST_S)):
                return

    def _wait(self) -> bool:
        """Until there is something to measure; false at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None or self._is_closing)
            return not self._is_closing

    def _measure(self) -> None:
        waiting = self._next
        if waiting is None or not self._is_idle():
            return
        collection_id, measure = waiting
        try:
            recall = measure(self._rng)
        except ElanusError:
            return  # a damaged file; searches name it to those who ask
        if recall is not None:
            self.note(collection_id, recall)

    def _rest(self, seconds: float) -> bool:
        """Hold nothing meanwhile, so that files can go; false at the end."""
        with self._changed:
            self._is_resting, self._next = True, None
            self._changed.wait_for(lambda: self._is_closing, seconds)
            self._is_resting = False
            return not self._is_closing


def _give_way() -> None:
    """Let the calling thread run after all others, where the system knows that."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it; then they share evenly
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
