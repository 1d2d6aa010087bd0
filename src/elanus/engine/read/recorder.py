"""Notes of what one read does, for its explanation; other reads have no recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from elanus.engine.read.plan import QueryPlan, SearchPlan
from elanus.engine.version import Version
from elanus.index.base import Allowed
from elanus.index.strategy import Strategy

ReadPlan: TypeAlias = SearchPlan | QueryPlan


@dataclass(frozen=True, slots=True)
class Filtered:
    """The filter of one segment has been run.

    Attributes:
        allowed: rows that may be returned; ``None`` for every row.
    """

    allowed: Allowed | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Searched:
    """One segment has been searched, once.

    Attributes:
        strategy: ``None`` where there was no row to look at.
    """

    strategy: Strategy | None
    seconds: float


class Recorder:
    """What a read did, in the order in which it was done, each with its time.

    Whoever notes something was busy with it since the note before. Not for several
    threads.

    Attributes:
        seconds: of each step that is not of one segment, by its name.
        filtered, searched: by position in the version's views; a segment may be
            searched several times, deeper each time.
        asked: what the plan does not say; of a hybrid search, all beside its searches.
        parts: notes of the searches that a hybrid one is made of.
        returned: rows of the answer.
        total: seconds from the beginning to the end.
    """

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._began = self._last = monotonic()
        self.version: Version | None = None
        self.plan: ReadPlan | None = None
        self.seconds: dict[str, float] = {}
        self.filtered: dict[int, Filtered] = {}
        self.searched: dict[int, list[Searched]] = {}
        self.asked: Mapping[str, Any] = {}
        self.parts: list[Recorder] = []
        self.returned = 0
        self.total = 0.0

    def planned(self, version: Version, plan: ReadPlan) -> None:
        """The request is checked and bound."""
        self.version, self.plan = version, plan
        self.step("plan")

    def filter_ran(self, position: int, allowed: Allowed | None) -> None:
        """The filter has been run on the rows of one view."""
        self.filtered[position] = Filtered(allowed, self._lap())

    def search_ran(self, position: int, strategy: Strategy | None) -> None:
        """The rows of one view have been searched."""
        note = Searched(strategy, self._lap())
        self.searched.setdefault(position, []).append(note)

    def step(self, name: str) -> None:
        """A step of the whole has been done."""
        self.seconds[name] = self.seconds.get(name, 0.0) + self._lap()

    def part(self) -> Recorder:
        """Notes of a search that is a part of this one and begins now."""
        part = Recorder(self._monotonic)
        self.parts.append(part)
        return part

    def part_ended(self, returned: int) -> None:
        """The part that began last has been done; its time is its own."""
        self.parts[-1].end(returned)
        self._lap()

    def end(self, returned: int) -> None:
        """The read is done, with so many rows."""
        self.returned = returned
        self.total = self._monotonic() - self._began

    def _lap(self) -> float:
        now = self._monotonic()
        passed, self._last = now - self._last, now
        return passed
