"""``kill -9`` of the process and of its worker, at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import elanus
from elanus.app import check_database
from elanus.clock import wall_ms
from elanus.database.launcher import ProcessLauncher
from elanus.engine.write.jobs import IsCancelled, Job, JobFailed, Progress
from elanus.engine.write.policy import SegmentState, next_action
from elanus.errors import LockedError
from elanus.storage.lock import wait_for_workers
from faults.workload import (
    TINY,
    Model,
    create,
    create_index,
    drop_index,
    expected,
    insert,
    open_plain,
    plain_world,
    seen,
    unnamed_files,
    upkeep,
)
from faults.writer import operation_of

TESTS = Path(__file__).parents[1]
GONE_WITHIN_MS = 10_000


class Nursery:
    """Starts writers and kills them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.writer"],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.in_flight: list[tuple[str, list[object]]] = []
        self.done: list[tuple[str, list[object]]] = []
        self.workers: set[int] = set()
        self.acknowledged = 0

    def run(self, root: Path, seed: int, kind: str, writes: int, spin: int) -> None:
        """Let a writer do some writes and a bit more, and kill it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{root} {seed} {kind}\n")
        self._process.stdin.flush()
        self.in_flight, self.done, pid = [], [], 0
        for word, rest in self._lines():
            if word == "writer":
                pid = int(rest)
            elif word == "begin":
                self.in_flight = [json.loads(rest)]
            elif word == "done":
                self.done += self.in_flight
                self.in_flight = []
                if len(self.done) == writes:
                    _count_to(spin)
                    os.kill(pid, signal.SIGKILL)
            elif word == "worker":
                self.workers.add(int(rest))
            elif word == "failed":
                pytest.fail(json.loads(rest))
        self.acknowledged += len(self.done)

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Everything the writer said, up to its death."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "ended":
                return
            yield word, rest

    def close(self) -> None:
        """End the nursery itself."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _count_to(number: int) -> None:
    """Take a moment, so that a kill does not always follow an acknowledgement."""
    for _ in range(number):
        pass


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """A nursery for one test."""
    started = Nursery()
    yield started
    started.close()


def is_running(pid: int) -> bool:
    """Whether a process lives; one that waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def are_gone(pids: set[int]) -> bool:
    """Whether all of them end within a few seconds."""
    tick, deadline = threading.Event(), wall_ms() + GONE_WITHIN_MS
    while any(is_running(pid) for pid in pids):
        if wall_ms() > deadline:
            return False
        tick.wait(0.01)
    return True


def rounds(nursery: Nursery, root: Path, seeds: range, kind: str) -> None:
    """Write, die, reopen, compare, and go on with the same folder."""
    model: Model = {}
    for seed in seeds:
        rng = random.Random(seed)
        writes = rng.randrange(1, 60)
        nursery.run(root, seed, kind, writes, rng.randrange(200_000))
        for plan in nursery.done:
            model = operation_of(plan).after(model)
        assert are_gone(nursery.workers), f"seed {seed}: an orphan worker is left"
        allowed = [model]
        allowed += [operation_of(plan).after(model) for plan in nursery.in_flight]
        with open_plain(root) as db:
            found = seen(db)
            fitting = [m for m in allowed if expected(m) == found]
            assert fitting, f"seed {seed}: {found} is none of {allowed}"
            assert unnamed_files(db) == [], f"seed {seed}"
        model = fitting[0]
        assert check_database(root, lambda name: None) == [], f"seed {seed}"


def test_a_killed_process_loses_nothing_acknowledged(
    nursery: Nursery, quick: Path
) -> None:
    """Five rounds; what was acknowledged is there, what was in flight wholly or not."""
    rounds(nursery, quick / "db", range(5), "inline")
    assert nursery.acknowledged > 5


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_killed_processes_lose_nothing(nursery: Nursery, quick: Path) -> None:
    """A hundred rounds on one folder."""
    rounds(nursery, quick / "db", range(100, 200), "inline")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_die_with_their_parent(nursery: Nursery, quick: Path) -> None:
    """With the real worker process: none outlives the writer."""
    for seed in range(300, 310):
        root = quick / f"db{seed}"
        nursery.run(root, seed, "process", 1_000, 0)
        assert are_gone(nursery.workers), f"seed {seed}"
        with open_plain(root) as db:
            assert unnamed_files(db) == []
        assert check_database(root, lambda name: None) == []
    assert nursery.workers


class DeadlyLauncher(ProcessLauncher):
    """Kills the worker in the midst of its first jobs."""

    def __init__(self, root: Path, kills: int) -> None:
        super().__init__(root)
        self.kills = kills
        self.pids: set[int] = set()

    def run(
        self, job: Job, progress: Progress, is_cancelled: IsCancelled
    ) -> dict[str, object]:
        """As ever, but the first report of progress is the last."""

        def deadly(share: float) -> None:
            pid = self.worker_pid
            assert pid is not None
            is_new = pid not in self.pids  # a dead one's reports may still arrive
            self.pids.add(pid)
            if self.kills and is_new:
                self.kills -= 1
                os.kill(pid, signal.SIGKILL)
            progress(share)

        return dict(super().run(job, deadly, is_cancelled))


def with_deadly_launcher(
    root: Path, kills: int
) -> tuple[elanus.Database, DeadlyLauncher]:
    """An open database with two segments that want merging and an index."""
    launcher = DeadlyLauncher(root, kills)
    world = plain_world()
    object.__setattr__(world, "make_launcher", lambda store, folder: launcher)
    db = elanus.open(root, world=world)
    for operation in OPERATIONS:
        operation.act(db)
    return db, launcher


OPERATIONS = [
    create("docs"),
    insert("docs", range(400), 1),
    upkeep("docs", "flush"),
    insert("docs", range(400, 500), 2),
    upkeep("docs", "flush"),
    create_index("docs", "HNSW", M=8, efConstruction=40),
]


def model_of_operations() -> Model:
    """What the database holds."""
    model: Model = {}
    for operation in OPERATIONS:
        model = operation.after(model)
    return model


def test_a_killed_worker_is_replaced_and_its_job_done_again(quick: Path) -> None:
    """Two deaths in a row cost nothing but time, and leave no files behind."""
    db, launcher = with_deadly_launcher(quick / "db", kills=2)
    db["docs"].optimize()
    assert launcher.kills == 0 and len(launcher.pids) == 3
    assert db["docs"].describe_index()[0]["state"] == "Finished"
    assert seen(db) == expected(model_of_operations())
    assert unnamed_files(db) == []
    db.close()
    assert are_gone(launcher.pids)
    assert check_database(quick / "db", lambda name: None) == []


@pytest.mark.slow
def test_a_worker_that_always_dies_is_explained(quick: Path) -> None:
    """After three failures the segments stay exact, and the index says why."""
    db, launcher = with_deadly_launcher(quick / "db", kills=1_000)
    with pytest.raises(JobFailed, match="ended with status -9"):
        db["docs"].optimize()
    with contextlib.suppress(JobFailed):
        db["docs"].optimize()
    state = db["docs"].describe_index()[0]
    assert state["state"] == "Failed"
    assert "ended with status -9" in state["reason"]
    assert seen(db) == expected(model_of_operations())
    launcher.kills = 0
    drop_index("docs").act(db)
    create_index("docs", "HNSW", M=8, efConstruction=40).act(db)
    db["docs"].optimize()
    assert db["docs"].describe_index()[0]["state"] == "Finished"
    assert seen(db) == expected(model_of_operations())
    db.close()
    assert are_gone(launcher.pids)


def test_a_new_owner_waits_for_the_workers_of_a_dead_one(quick: Path) -> None:
    """A worker that is about to end may still write; until then nobody opens."""
    root = quick / "db"
    open_plain(root).close()
    worker = subprocess.Popen(
        [sys.executable, "-c", LINGERING, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None and worker.stdout is not None
    assert worker.stdout.readline() == b"marked\n"
    with pytest.raises(LockedError):
        wait_for_workers(root, 0.05)
    worker.stdin.close()
    open_plain(root).close()
    worker.wait()
    worker.stdout.close()


LINGERING = """
import os, sys
from pathlib import Path
from elanus.storage.lock import mark_worker
mark_worker(Path(sys.argv[1]))
os.write(1, b"marked\\n")
os.read(0, 1)
"""


def test_a_merge_that_always_fails_is_given_up() -> None:
    """Background work does not try it for ever, and goes on with other segments."""
    states = [SegmentState(i, 100, 10_000, 0, {}, failed_merges=3) for i in range(4)]
    assert next_action(states, TINY) is None
    assert next_action(states, TINY, eager=True) is None
    fresh = [SegmentState(i, 100, 10_000, 0, {}) for i in range(4, 6)]
    action = next_action([*states, *fresh], TINY)
    assert action is not None and action.segment_ids == (4, 5)
