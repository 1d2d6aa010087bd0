"""Threads of a test that end together."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Crew:
    """Threads that stop together when one of them fails."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[], None]) -> threading.Thread:
        """Start a thread."""
        thread = threading.Thread(target=self._guarded, args=(work,))
        self._threads.append(thread)
        thread.start()
        return thread

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            self._failures.append(error)
            self.stop.set()

    def join(self, workers: list[threading.Thread]) -> None:
        """Wait for the workers, end the others, and raise the first failure."""
        for thread in workers:
            thread.join()
        self.stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
