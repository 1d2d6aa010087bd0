"""Random work on a database from one seed, compared with the oracle as it goes.

A failure names the seed; ``ELANUS_SEED=<seed>`` with the test's name repeats the run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.harness import INDEXES, Harness
from model.oracle import Filter, Key
from model.rows import (
    KEY_SPAN,
    draw_filter,
    draw_keys,
    draw_rows,
    draw_update,
    owned_by,
)

PARTITIONS = ("_default", "blue", "green-1", "2red")
COMPARED_EVERY = 4


def seeds(count: int) -> list[int]:
    """The seeds of a test: ``count`` of them, or the one to be repeated."""
    repeated = os.environ.get("ELANUS_SEED")
    return [int(repeated)] if repeated else list(range(count))


@dataclass
class Driver:
    """Draws operations and applies them to a harness.

    Attributes:
        owner: which keys and rows are this driver's; others may work beside it.
        is_alone: whether it may also change what other drivers rely on.
        restarts: whether it also ends the database, in peace and otherwise.
    """

    harness: Harness
    rng: np.random.Generator
    owner: int = 0
    is_alone: bool = True
    restarts: bool = True

    def run(self, steps: int, stop: threading.Event | None = None) -> None:
        """Do ``steps`` operations, comparing now and then and at the end."""
        for step in range(steps):
            if stop is not None and stop.is_set():
                return
            self.step()
            if step % COMPARED_EVERY == 0 or step == steps - 1:
                self.compare()

    def step(self) -> None:
        """One random operation."""
        choices = list(self._shared())
        if self.is_alone:
            choices += self._alone()
            choices += self._restarts() if self.restarts else []
        weights = np.array([weight for weight, _ in choices], np.float64)
        which = self.rng.choice(len(choices), p=weights / weights.sum())
        choices[which][1]()

    def compare(self) -> None:
        """Look at everything once."""
        where = Filter() if self.rng.random() < 0.3 else self._filter()
        self.harness.compare_all(self.rng, where)

    def _shared(self) -> list[tuple[int, Callable[[], None]]]:
        harness = self.harness
        return [
            (30, self._insert),
            (25, self._upsert),
            (20, self._update),
            (12, self._delete_keys),
            (8, self._delete_where),
            (4, harness.flush),
            (2, harness.compact),
            (2, harness.optimize),
            (3, harness.pin),
        ]

    def _alone(self) -> list[tuple[int, Callable[[], None]]]:
        harness = self.harness
        return [
            (4, harness.note_moment),
            (1, harness.truncate),
            (4, lambda: harness.create_partition(self._pick(PARTITIONS))),
            (2, self._drop_partition),
            (3, lambda: harness.define_index(self._pick(tuple(INDEXES)))),
            (1, harness.drop_index),
            (1, harness.drop),
            (1, harness.rename),
        ]

    def _restarts(self) -> list[tuple[int, Callable[[], None]]]:
        return [(2, self.harness.reopen), (2, self.harness.crash)]

    def _pick(self, names: tuple[str, ...]) -> str:
        return names[self.rng.integers(len(names))]

    def _partition(self) -> str:
        return self._pick(tuple(sorted(self.harness.oracle.partitions)))

    def _partitions(self) -> list[str]:
        return [] if self.rng.random() < 0.6 else [self._partition()]

    def _filter(self) -> Filter:
        return draw_filter(self.rng, self.harness.key_type)

    def _keys(self, most: int) -> list[Key]:
        start = -3 if self.is_alone else 2 * KEY_SPAN * self.owner
        count = int(self.rng.integers(1, most))
        return draw_keys(self.rng, self.harness.key_type, count, start)

    def _insert(self) -> None:
        rows = draw_rows(
            self.rng,
            self.harness.oracle,
            self._keys(20),
            self._partition(),
            self.owner,
        )
        self.harness.insert(rows, use_default=self.rng.random() < 0.3)

    def _upsert(self) -> None:
        keys = list(dict.fromkeys(self._keys(15)))
        rows = draw_rows(
            self.rng, self.harness.oracle, keys, self._partition(), self.owner
        )
        self.harness.upsert(rows)

    def _update(self) -> None:
        keys = list(dict.fromkeys(self._keys(10)))
        known = [row.key for row in self.harness.oracle.visible()]
        if known and self.rng.random() < 0.7:
            keys = list(dict.fromkeys(self.rng.choice(np.array(known, object), 8)))
        partition = self._partition() if self.rng.random() < 0.4 else ""
        self.harness.update(
            draw_update(self.rng, self.harness.oracle, keys, partition, self.owner)
        )

    def _delete_keys(self) -> None:
        self.harness.delete_keys(self._keys(8), self._partitions())

    def _delete_where(self) -> None:
        where = self._filter()
        if not self.is_alone:
            where = owned_by(self.owner, where)
        self.harness.delete_where(where, self._partitions())

    def _drop_partition(self) -> None:
        names = sorted(self.harness.oracle.partitions - {"_default"})
        if names:
            self.harness.drop_partition(self._pick(tuple(names)))
