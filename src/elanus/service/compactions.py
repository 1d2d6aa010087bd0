"""Compactions that clients asked for: each runs on a thread of its own, one by one."""

from __future__ import annotations

import threading
from collections import OrderedDict

from elanus.database.database import Database
from elanus.database.jobs import Merged
from elanus.engine.collection import Collection
from elanus.engine.write.policy import Compact
from elanus.errors import ElanusError
from elanus.service.replies import (
    CompactionProgress,
    CompactionStarted,
    CompactionState,
)
from elanus.service.replies_admin import CompactionPlans, Merge

REMEMBERED = 1024
_NOTHING = CompactionStarted(-1, 0)
_UNKNOWN = CompactionProgress(CompactionState.COMPLETED)


class Compactions:
    """Numbers of compactions and how they went. Safe to use from many threads."""

    def __init__(self) -> None:
        self._states: OrderedDict[int, CompactionProgress] = OrderedDict()
        self._merges: dict[int, tuple[Merge, ...]] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(
        self, database: Database, collection: Collection, segment_bytes: int
    ) -> CompactionStarted:
        """Merge the segments of a collection as far as that is of use.

        Args:
            segment_bytes: the largest segment to make; 0 for the setting.
        """
        action = database.background.next_action(
            collection, eager=True, segment_bytes=segment_bytes
        )
        if not isinstance(action, Compact):
            return _NOTHING
        number = database.node.ids.next()
        thread = threading.Thread(
            target=self._run,
            args=(database, collection, number, segment_bytes),
            name=f"elanus-compaction-{number}",
            daemon=True,
        )
        with self._lock:
            self._note(number, CompactionProgress(CompactionState.EXECUTING, 1))
            self._threads.add(thread)
        thread.start()
        return CompactionStarted(number, 1)

    def state(self, number: int) -> CompactionProgress:
        """How far a compaction is; an unknown one counts as completed."""
        with self._lock:
            return self._states.get(number, _UNKNOWN)

    def plans(self, number: int) -> CompactionPlans:
        """What a compaction has merged; nothing while it is under way."""
        with self._lock:
            state = self._states.get(number, _UNKNOWN).state
            return CompactionPlans(state, self._merges.get(number, ()))

    def wait(self) -> None:
        """Wait for all to end; closing the database ends them early."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _run(
        self,
        database: Database,
        collection: Collection,
        number: int,
        segment_bytes: int,
    ) -> None:
        completed, failed = 1, 0
        merges: list[Merged] = []
        try:
            merges = database.background.optimize(
                collection, _unheard, merges_only=True, segment_bytes=segment_bytes
            )
        except ElanusError:
            completed, failed = 0, 1  # the segments stay as they were
        ended = CompactionProgress(
            CompactionState.COMPLETED, completed=completed, failed=failed
        )
        with self._lock:
            self._note(number, ended)
            self._merges[number] = tuple(Merge(*merged) for merged in merges)
            self._threads.discard(threading.current_thread())

    def _note(self, number: int, progress: CompactionProgress) -> None:
        self._states[number] = progress
        while len(self._states) > REMEMBERED:
            oldest, _ = self._states.popitem(last=False)
            self._merges.pop(oldest, None)


def _unheard(share: float) -> None:
    return None
