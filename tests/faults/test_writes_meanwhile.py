"""Writes in the midst of a flush, a merge or a build, and a kill right after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import elanus
from elanus.embedded.database import Database
from elanus.engine.write.jobs import InlineLauncher, IsCancelled, Job, Progress
from elanus.storage.files import LocalFileStore
from faults.workload import (
    Model,
    Operation,
    abandon,
    create,
    create_index,
    create_partition,
    delete,
    drop_partition,
    expected,
    insert,
    open_plain,
    plain_world,
    seen,
    upkeep,
    upsert,
)


def writes() -> Iterator[Operation]:
    """Small writes that touch rows on files, a new one each time."""
    for i in range(0, 600, 3):
        yield delete("docs", [i])
        yield upsert("docs", [i + 1], 77)
        yield insert("docs", [1_000 + i], 78)


class Meddler:
    """Writes from another thread whenever it is told of a moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model: Model = {}
        self._writes = writes()
        self._is_meddling = False
        world = plain_world(on_meta_step=lambda step: self.meddle())
        launcher = _MeddlingLauncher(LocalFileStore(root), self)
        object.__setattr__(world, "make_launcher", lambda store, folder: launcher)
        self.db: Database = elanus.open(root, world=world)

    def revived(self) -> Meddler:
        """One that goes on with the folder."""
        other = Meddler(self.root)
        other.model, other._writes = self.model, self._writes
        return other

    def do(self, operation: Operation) -> None:
        """An operation without interruption."""
        self.model = operation.after(self.model)
        operation.act(self.db)

    def do_meddled(self, operation: Operation) -> None:
        """An operation with a write at each of its moments."""
        self._is_meddling = True
        operation.act(self.db)
        self._is_meddling = False

    def meddle(self) -> None:
        """One write, done when this returns."""
        if self._is_meddling:
            operation = next(self._writes)
            thread = threading.Thread(target=operation.act, args=(self.db,))
            thread.start()
            thread.join()
            self.model = operation.after(self.model)


class _MeddlingLauncher(InlineLauncher):
    def __init__(self, store: LocalFileStore, meddler: Meddler) -> None:
        super().__init__(store)
        self._meddler = meddler

    def run(
        self, job: Job, progress: Progress, is_cancelled: IsCancelled
    ) -> dict[str, object]:
        self._meddler.meddle()
        result = dict(super().run(job, progress, is_cancelled))
        self._meddler.meddle()
        return result


@pytest.mark.parametrize("is_killed", [False, True], ids=["open", "killed"])
def test_writes_during_background_work_are_kept(quick: Path, is_killed: bool) -> None:
    """A write at every commit and around every job: none is lost, none done twice."""
    meddler = Meddler(quick / "db")
    for operation in (
        create("docs"),
        insert("docs", range(100), 1),
        upkeep("docs", "flush"),
        insert("docs", range(100, 200), 2),
        create_index("docs", "HNSW"),
    ):
        meddler.do(operation)
    for what in ("flush", "optimize", "flush", "compact", "optimize"):
        meddler.do_meddled(upkeep("docs", what))
        assert seen(meddler.db) == expected(meddler.model), what
        if is_killed:
            abandon(meddler.db)
            with open_plain(quick / "db") as db:
                assert seen(db) == expected(meddler.model), what
            meddler = meddler.revived()
    meddler.db.close()
    with open_plain(quick / "db") as db:
        assert seen(db) == expected(meddler.model)


def test_an_upsert_counts_even_if_its_partition_is_dropped(quick: Path) -> None:
    """The rows that it replaced elsewhere stay away, after a kill too."""
    model: Model = {}
    db = open_plain(quick / "db")
    for operation in (
        create("docs"),
        insert("docs", range(10), 1),
        create_partition("docs", "p"),
        upsert("docs", range(5), 2, "p"),
        drop_partition("docs", "p"),
    ):
        model = operation.after(model)
        operation.act(db)
    assert seen(db) == expected(model)
    abandon(db)
    with open_plain(quick / "db") as again:
        assert seen(again) == expected(model)
