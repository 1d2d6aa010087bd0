"""A system that refuses: errors at every step, and a disk that fills up."""

from __future__ import annotations

import errno
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

import elanus
from elanus.app import check_database
from elanus.embedded.database import Database
from elanus.errors import (
    DiskFull,
    ElanusError,
    ReadOnlyError,
    StorageError,
    UnknownOutcome,
)
from faults.workload import (
    REOPEN,
    Model,
    Operation,
    abandon,
    afterlife,
    create,
    create_index,
    create_partition,
    delete,
    expected,
    insert,
    life,
    open_plain,
    plain_world,
    seen,
    truncate,
    unnamed_files,
    upkeep,
)
from storage.faults import FaultStore, SimulatedCrash

SAMPLES = 24
COMMITTED = ("step", "meta end")
"""What comes after a metadata commit cannot make it fail any more."""


class Sufferer:
    """Lives a life in which one step fails, and checks what it is told."""

    def __init__(self, store: FaultStore, label: str) -> None:
        self.store = store
        self.label = label
        self.model: Model = {}
        self.after: Model = {}
        self.errors: list[ElanusError] = []
        self.db: Database | None = None

    def live(self) -> None:
        """All of it; an operation that fails is checked and done again."""
        self._open()
        for operation in life():
            self.after = operation.after(self.model)
            if operation is REOPEN:
                self._close()
                self._open()
            self._do(operation)
            self.model = self.after
        self._leaves_nothing()
        self._close()

    def _leaves_nothing(self) -> None:
        """Work that came to nothing has not cost space for good."""
        assert self.db is not None
        node = self.db._core.node
        node.trash.empty(node.store)
        assert unnamed_files(self.db) == [], self.label

    def _do(self, operation: Operation) -> None:
        assert self.db is not None
        try:
            operation.act(self.db)
        except UnknownOutcome as error:
            self.errors.append(error)
            self._is_as_before(operation)
            self._refuses_writes()
            self._reopen_and_repeat(operation)
        except ReadOnlyError as error:
            # a sync failed while the log was being trimmed, which harmed no one
            self.errors.append(error)
            self._is_as_before(operation)
            self._reopen_and_repeat(operation)
        except ElanusError as error:
            self.errors.append(error)
            self._is_as_before(operation)
            operation.act(self.db)

    def _is_as_before(self, operation: Operation) -> None:
        """Readers see nothing of what failed, and see all else."""
        assert self.db is not None
        assert seen(self.db) == expected(self.model), f"{self.label}, {operation.name}"

    def _refuses_writes(self) -> None:
        """After a failed sync the log takes nothing until it is reopened."""
        assert self.db is not None
        for name, table in self.model.items():
            with pytest.raises((ReadOnlyError, UnknownOutcome)):
                insert(name, [999], 9, text=table.is_text).act(self.db)

    def _reopen_and_repeat(self, operation: Operation) -> None:
        assert self.db is not None
        self._close()
        self._open()
        found = seen(self.db)
        if found != expected(self.after):
            assert found == expected(self.model), f"{self.label}, {operation.name}"
            operation.act(self.db)

    def _open(self) -> None:
        """A failed opening leaves nothing behind that keeps the next one away."""
        world = plain_world(lambda *_: self.store, self.store.step)
        try:
            self.db = elanus.open(self.store.root, world=world)
        except ElanusError as error:
            self.errors.append(error)
            self.db = elanus.open(self.store.root, world=world)

    def _close(self) -> None:
        """A failed closing releases the folder all the same."""
        assert self.db is not None
        try:
            self.db.close()
        except ElanusError as error:
            self.errors.append(error)
        self.db = None


def trace_of_life(folder: Path) -> list[tuple[str, str]]:
    """Every step of a life in which nothing fails."""
    sufferer = Sufferer(FaultStore(folder), "none")
    sufferer.live()
    assert sufferer.errors == []
    return sufferer.store.trace


def fail_at(step: int, number: int, root: Path) -> Sufferer:
    """Let one step fail; nothing acknowledged is lost, and the folder stays sound."""
    store = FaultStore(root, seed=step, fail_at={step: number})
    sufferer = Sufferer(store, f"{errno.errorcode[number]} at step {step}")
    sufferer.live()
    assert check_database(root, lambda name: None) == [], sufferer.label
    with open_plain(root) as db:
        assert seen(db) == expected(sufferer.model), sufferer.label
    shutil.rmtree(root)
    return sufferer


def fail_and_crash(step: int, number: int, crash: int, folder: Path) -> None:
    """Let one step fail and a later one be the last, and recover from that."""
    store = FaultStore(
        folder / "live", seed=step, fail_at={step: number}, crash_at=crash
    )
    label = f"{errno.errorcode[number]} at step {step}, crash at step {crash}"
    sufferer = Sufferer(store, label)
    try:
        sufferer.live()
    except SimulatedCrash:
        if sufferer.db is not None:
            abandon(sufferer.db)
    store.materialise(folder / "loss", random.Random(step))
    for root in (folder / "live", folder / "loss"):
        with open_plain(root) as db:
            allowed = [expected(sufferer.model), expected(sufferer.after)]
            assert seen(db) in allowed, label
        assert check_database(root, lambda name: None) == [], label
        shutil.rmtree(root)


def test_any_step_may_fail(quick: Path) -> None:
    """At a sample of steps: a typed error, right answers, and then it goes on."""
    trace = trace_of_life(quick / "whole")
    told = 0
    for i, step in enumerate(range(3, len(trace), len(trace) // SAMPLES)):
        if trace[step - 1] != COMMITTED:
            number = (errno.EIO, errno.ENOSPC)[i % 2]
            told += bool(fail_at(step, number, quick / "live").errors)
    assert told > SAMPLES // 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(4))
def test_every_kind_of_step_may_fail(quick: Path, part: int) -> None:
    """At every step but most of the many writes to column files, with a later crash."""
    trace = trace_of_life(quick / "whole")
    rng = random.Random(part)
    for step in range(1 + part, len(trace) + 1, 4):
        op, name = trace[step - 1]
        is_common = op == "write" and not name.startswith("log/")
        if (op, name) == COMMITTED or (is_common and step % 10 != part):
            continue
        number = rng.choice((errno.EIO, errno.ENOSPC))
        fail_at(step, number, quick / "live")
        fail_and_crash(step, number, step + rng.randrange(1, 80), quick)


def test_a_full_disk_refuses_writes_and_takes_them_again(quick: Path) -> None:
    """Fill, be refused, read, free space, go on without reopening, lose nothing."""
    store = FaultStore(quick / "db")
    world = plain_world(lambda *_: store, store.step)
    model: Model = {}
    db = elanus.open(store.root, world=world)
    operation = create("docs")
    operation.act(db)
    model = operation.after(model)
    for start, room in ((0, 20_000), (10_000, 3_000), (20_000, 0), (30_000, 400)):
        store.capacity_bytes = room
        for first in range(start, start + 10_000, 20):
            operation = insert("docs", range(first, first + 20), first % 97)
            try:
                operation.act(db)
            except DiskFull:
                break
            model = operation.after(model)
        else:
            pytest.fail("the disk never filled up")
        assert seen(db) == expected(model)
        try:
            db["docs"].flush()
        except DiskFull:
            assert seen(db) == expected(model)
        store.capacity_bytes = 1 << 30
        for operation in afterlife("docs"):
            model = operation.after(model)
            operation.act(db)
        assert seen(db) == expected(model)
    upkeep("docs", "optimize").act(db)
    db.close()
    assert check_database(quick / "db", lambda name: None) == []
    with open_plain(quick / "db") as again:
        assert seen(again) == expected(model)


def test_a_record_that_failed_does_not_hide_a_later_one(quick: Path) -> None:
    """A collection made after a failed write keeps its first rows over restarts."""
    store = FaultStore(quick / "db")
    world = plain_world(lambda *_: store, store.step)
    with elanus.open(store.root, world=world) as db:
        create("docs").act(db)
        store.fail_next("write", errno.ENOSPC)
        with pytest.raises(DiskFull):
            insert("docs", range(5), 1).act(db)
        create("more").act(db)
    with open_plain(quick / "db") as db:
        insert("more", range(3), 1).act(db)
    with open_plain(quick / "db") as db:
        assert db["more"].count() == 3


def test_a_failed_truncation_changes_nothing(quick: Path) -> None:
    """Keys that live in two partitions are still shown once."""
    model: Model = {}
    store = FaultStore(quick / "db")
    world = plain_world(lambda *_: store, store.step)
    with elanus.open(store.root, world=world) as db:
        for operation in (
            create("docs"),
            create_partition("docs", "p"),
            insert("docs", range(5), 1),
            insert("docs", range(3), 2, "p"),
        ):
            operation.act(db)
            model = operation.after(model)
        store.fail_next("step", errno.EIO)
        with pytest.raises(StorageError):
            truncate("docs").act(db)
        insert("docs", [9], 3).act(db)
        model = insert("docs", [9], 3).after(model)
        assert seen(db) == expected(model)


def test_flushes_and_merges_in_vain_leave_no_files(quick: Path) -> None:
    """While no commit succeeds, each attempt takes its files away again."""
    store = FaultStore(quick / "db")
    world = plain_world(lambda *_: store, store.step)
    with elanus.open(store.root, world=world) as db:
        for operation in (
            create("docs"),
            insert("docs", range(50), 1),
            upkeep("docs", "flush"),
            insert("docs", range(50, 90), 1),
            upkeep("docs", "flush"),
            create_index("docs", "HNSW"),
        ):
            operation.act(db)
        delete("docs", [1, 2, 60]).act(db)
        docs = db["docs"]
        merge = partial(db._core.background.optimize, docs._engine, lambda share: None)
        for attempt in (docs.flush, merge):
            files = store.list("collections")
            for _ in range(3):
                store.fail_next("step", errno.ENOSPC)
                with pytest.raises(DiskFull):
                    attempt()
                assert store.list("collections") == files
            attempt()
        assert unnamed_files(db) == []
