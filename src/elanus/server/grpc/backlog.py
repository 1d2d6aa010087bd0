"""Calls that wait for a thread, oldest first."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue

from elanus.server.grpc.transport import Call

MERGED_CALLS = 64


class Backlog:
    """A queue between receiving threads and working ones.

    ``take`` gives a list: a call, and with it those that wait and have the same
    ``plan_key``. A lone call never waits for company.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        # One token per call wakes one thread, without the cost of a condition.
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._is_closed = False

    def put(self, call: Call) -> None:
        """Add a call."""
        self._calls.append(call)
        self._tokens.put(True)

    def put_back(self, call: Call) -> bool:
        """Add a call that was taken before; false if closed, as none may be left."""
        with self._lock:
            if self._is_closed:
                return False
            self.put(call)
            return True

    def close(self, n_threads: int) -> None:
        """Send so many threads home, once everything put before is taken."""
        with self._lock:
            self._is_closed = True
            for _ in range(n_threads):
                self._tokens.put(False)

    def take(self) -> list[Call] | None:
        """The next calls, after waiting for one; ``None`` when closed."""
        while self._tokens.get():
            with self._lock:
                if not self._calls:
                    continue  # taken along with an earlier one
                first = self._calls.popleft()
                if first.plan_key is None:
                    return [first]
                return [first, *self._companions(first)]
        return None

    def __len__(self) -> int:
        """How many calls wait."""
        return len(self._calls)

    def _companions(self, first: Call) -> list[Call]:
        """Waiting calls of the same plan, taken out. Needs the lock."""
        chosen: list[Call] = []
        for _ in range(len(self._calls)):
            call = self._calls.popleft()
            if call.plan_key == first.plan_key and len(chosen) < MERGED_CALLS - 1:
                chosen.append(call)
            else:
                self._calls.append(call)
        return chosen
