"""Power loss and sudden death at every step of a database's life."""

from __future__ import annotations

import contextlib
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import elanus
from elanus.app import check_database
from elanus.embedded.database import Database
from faults.workload import (
    REOPEN,
    Model,
    Operation,
    Sight,
    abandon,
    afterlife,
    expected,
    life,
    open_plain,
    plain_world,
    seen,
    unnamed_files,
)
from storage.faults import FaultStore, SimulatedCrash

SAMPLES = 40
POWER_LOSSES = 2


@dataclass
class Run:
    """A life lived on a fault store, up to its end or a crash.

    Attributes:
        before, after: what must be there without and with the operation in flight.
    """

    store: FaultStore
    in_flight: str = "open"
    before: Model = field(default_factory=dict)
    after: Model = field(default_factory=dict)

    def live(self, operations: list[Operation]) -> bool:
        """Run the operations; false if the process died on the way."""
        db: Database | None = None
        try:
            db = self._open()
            for operation in operations:
                self.in_flight = operation.name
                self.after = operation.after(self.before)
                if operation is REOPEN:
                    db.close()
                    db = self._open()
                operation.act(db)
                self.before = self.after
            db.close()
        except SimulatedCrash:
            if db is not None:
                abandon(db)
            return False
        return True

    def _open(self) -> Database:
        world = plain_world(lambda *_: self.store, self.store.step)
        return elanus.open(self.store.root, world=world)

    def allowed(self) -> list[Sight]:
        """The states that a reader may find after a restart."""
        return [expected(self.before), expected(self.after)]


def number_of_steps(folder: Path) -> int:
    """How many steps the whole life takes."""
    run = Run(FaultStore(folder))
    assert run.live(life())
    return run.store.steps


def recover(root: Path, run: Run, label: str) -> None:
    """Open what a crash left: all that was acknowledged is there, and it goes on."""
    allowed = run.allowed()
    with open_plain(root) as db:
        found = seen(db)
        assert found in allowed, f"{label}: {found} is none of {allowed}"
        assert unnamed_files(db) == [], label
        model = run.before if found == allowed[0] else run.after
        for name in [n for n, table in model.items() if not table.is_text]:
            for operation in afterlife(name):
                model = operation.after(model)
                operation.act(db)
        assert seen(db) == expected(model), label
    assert check_database(root, lambda name: None) == [], label
    with open_plain(root) as db:
        assert seen(db) == expected(model), label


def recover_briefly(root: Path, run: Run, label: str) -> None:
    """As :func:`recover`, but only look."""
    with open_plain(root) as db:
        assert seen(db) in run.allowed(), label
        assert unnamed_files(db) == [], label


def crash_again(root: Path, folder: Path, rng: random.Random) -> Path:
    """Die while recovering from a crash; returns what a power loss leaves then."""
    store = FaultStore(root, seed=1, crash_at=rng.randrange(1, 12))
    world = plain_world(lambda *_: store, store.step)
    with contextlib.suppress(SimulatedCrash):
        abandon(elanus.open(root, world=world))
    store.materialise(folder, rng)
    shutil.rmtree(root)
    return folder


def crash_at(step: int, folder: Path, losses: int) -> None:
    """Die at one step; recover from the death of the process and from power losses."""
    root = folder / "live"
    run = Run(FaultStore(root, seed=step, crash_at=step))
    assert not run.live(life())
    op, name = run.store.trace[-1]
    label = f"step {step}, {op} {name}, during {run.in_flight}"
    # most steps: parts of a column file that nothing names yet
    is_common = op == "write" and name.endswith(".arrow")
    for seed in range(1 if is_common else losses):
        rng = random.Random(step * 1000 + seed)
        after = folder / f"loss{seed}"
        run.store.materialise(after, rng)
        if seed % 2:
            after = crash_again(after, folder / f"again{seed}", rng)
        look = recover_briefly if is_common else recover
        look(after, run, f"{label}, power loss {seed}")
        shutil.rmtree(after)
    if not is_common:
        recover(root, run, f"{label}, kill")
    shutil.rmtree(root)


def test_a_life_without_faults_is_as_the_model_says(quick: Path) -> None:
    """After each operation the database shows exactly what the model holds."""
    model: Model = {}
    db = open_plain(quick / "db")
    for operation in life():
        model = operation.after(model)
        if operation is REOPEN:
            db.close()
            db = open_plain(quick / "db")
        operation.act(db)
        assert seen(db) == expected(model), operation.name
    db.close()
    assert check_database(quick / "db", lambda name: None) == []


def test_a_crash_at_a_step_loses_nothing_acknowledged(quick: Path) -> None:
    """At an even sample of all steps: all acknowledged is there, nothing by halves."""
    steps = number_of_steps(quick / "whole")
    for step in range(1, steps, max(1, steps // SAMPLES)):
        crash_at(step, quick, 1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(8))
def test_a_crash_at_every_step_loses_nothing_acknowledged(
    quick: Path, part: int
) -> None:
    """At every step, with power losses, and crashes of the recovery from them."""
    steps = number_of_steps(quick / "whole")
    for step in range(1 + part, steps + 1, 8):
        crash_at(step, quick, POWER_LOSSES)
