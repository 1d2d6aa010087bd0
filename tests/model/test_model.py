"""A Hypothesis state machine drives a database and a plain list of rows alike.

A failure prints the steps that lead to it, made as few as possible, and a
``@reproduce_failure`` line: put it above the test to repeat just that run.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from elanus.schema.types import DataType
from model.harness import INDEXES, Harness
from model.oracle import Filter, Key, Row
from model.rows import draw_filter, draw_rows, draw_update, key_of
from model.worlds import inline_world, no_background_threads, quick_folder

SEEDS = st.integers(0, 2**32 - 1)
NUMBERS = st.integers(-2, 30)
BATCHES = st.lists(NUMBERS, min_size=1, max_size=25)
OTHER_PARTITIONS = ("blue", "green-1")
PARTITIONS = st.sampled_from(("_default", *OTHER_PARTITIONS))
KEY_TYPES = st.sampled_from([DataType.INT64, DataType.VARCHAR])


class DatabaseMachine(RuleBasedStateMachine):
    """Every operation as a rule; after each, everything is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        self.steps = 0

    @initialize(
        key_type=KEY_TYPES,
        metric=st.sampled_from(["L2", "IP", "COSINE"]),
        keeps_history=st.booleans(),
    )
    def open(self, key_type: DataType, metric: str, keeps_history: bool) -> None:
        """A database with one empty collection."""
        self.cleanup.enter_context(no_background_threads())
        folder = self.cleanup.enter_context(quick_folder())
        world = inline_world(keeps_history=keeps_history)
        self.harness = Harness(folder, world, key_type, metric)
        self.cleanup.callback(self.harness.close)

    def teardown(self) -> None:
        """Close it and remove its files."""
        self.cleanup.close()

    def _keys(self, numbers: list[int]) -> list[Key]:
        return [key_of(number, self.harness.key_type) for number in numbers]

    def _known(self, partition: str) -> str:
        known = partition in self.harness.oracle.partitions
        return partition if known else "_default"

    def _rows(self, seed: int, numbers: list[int], partition: str) -> list[Row]:
        return draw_rows(
            np.random.default_rng(seed),
            self.harness.oracle,
            self._keys(numbers),
            self._known(partition),
        )

    def _filter(self, seed: int) -> Filter:
        return draw_filter(np.random.default_rng(seed), self.harness.key_type)

    @rule(seed=SEEDS, numbers=BATCHES, partition=PARTITIONS, default=st.booleans())
    def insert(
        self, seed: int, numbers: list[int], partition: str, default: bool
    ) -> None:
        """New rows, of keys that may exist."""
        rows = self._rows(seed, numbers, partition)
        self.harness.insert(rows, use_default=default)

    @rule(
        seed=SEEDS,
        numbers=st.lists(NUMBERS, min_size=1, max_size=15, unique=True),
        partition=PARTITIONS,
    )
    def upsert(self, seed: int, numbers: list[int], partition: str) -> None:
        """New rows in place of those of their keys."""
        self.harness.upsert(self._rows(seed, numbers, partition))

    @rule(
        seed=SEEDS,
        numbers=st.lists(NUMBERS, min_size=1, max_size=10, unique=True),
        partition=st.just("") | PARTITIONS,
    )
    def update(self, seed: int, numbers: list[int], partition: str) -> None:
        """Some fields of rows, which may be new."""
        update = draw_update(
            np.random.default_rng(seed),
            self.harness.oracle,
            self._keys(numbers),
            self._known(partition) if partition else "",
        )
        self.harness.update(update)

    @rule(numbers=st.lists(NUMBERS, max_size=8), partition=st.none() | PARTITIONS)
    def delete_keys(self, numbers: list[int], partition: str | None) -> None:
        """By key, in one partition or in all."""
        partitions = [] if partition is None else [self._known(partition)]
        self.harness.delete_keys(self._keys(numbers), partitions)

    @rule(seed=SEEDS, partition=st.none() | PARTITIONS)
    def delete_where(self, seed: int, partition: str | None) -> None:
        """By filter, in one partition or in all."""
        partitions = [] if partition is None else [self._known(partition)]
        self.harness.delete_where(self._filter(seed), partitions)

    @rule(name=st.sampled_from(OTHER_PARTITIONS))
    def create_partition(self, name: str) -> None:
        """One more, or the same again."""
        self.harness.create_partition(name)

    @precondition(lambda self: len(self.harness.oracle.partitions) > 1)
    @rule(data=st.data())
    def drop_partition(self, data: st.DataObject) -> None:
        """With its rows."""
        names = sorted(self.harness.oracle.partitions - {"_default"})
        self.harness.drop_partition(data.draw(st.sampled_from(names)))

    @rule(kind=st.sampled_from(sorted(INDEXES)))
    def define_index(self, kind: str) -> None:
        """In place of the one there is."""
        self.harness.define_index(kind)

    @rule(
        what=st.sampled_from(
            [
                "flush",
                "compact",
                "optimize",
                "pin",
                "note_moment",
                "reopen",
                "crash",
                "truncate",
                "drop",
                "rename",
                "drop_index",
            ]
        )
    )
    def do(self, what: str) -> None:
        """One of the operations that take no arguments."""
        getattr(self.harness, what)()

    @invariant()
    def shows_what_was_written(self) -> None:
        """All reads agree, of the present and of every remembered moment."""
        self.steps += 1
        rng = np.random.default_rng(self.steps)
        where = self._filter(self.steps) if self.steps % 3 else Filter()
        self.harness.compare_all(rng, where)


def _settings(**given: Any) -> settings:
    return settings(
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **given,
    )


def test_a_database_shows_exactly_what_was_written() -> None:
    """After every operation all reads agree with a plain list of rows."""
    run_state_machine_as_test(
        DatabaseMachine, settings=_settings(max_examples=16, stateful_step_count=25)
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_database_shows_exactly_what_was_written_for_long() -> None:
    """As above, over thousands of operations."""
    run_state_machine_as_test(
        DatabaseMachine, settings=_settings(max_examples=100, stateful_step_count=60)
    )
