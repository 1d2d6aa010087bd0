"""What must hold over many openings: copies are backups, and nothing leaks."""

from __future__ import annotations

import gc
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.app import World, check_database
from elanus.embedded.database import Database
from faults.workload import (
    REOPEN,
    TINY,
    Model,
    afterlife,
    expected,
    life,
    open_plain,
    seen,
)

OPENINGS = 50


def lived(root: Path) -> tuple[Database, Model]:
    """A database with all of its life behind it, still open."""
    model: Model = {}
    db = open_plain(root)
    for operation in life():
        model = operation.after(model)
        if operation is not REOPEN:
            operation.act(db)
    return db, model


def is_the_same(root: Path, model: Model) -> None:
    """A copy is sound, holds the same, and goes on by itself."""
    assert check_database(root, lambda name: None) == []
    with open_plain(root) as db:
        assert seen(db) == expected(model)
        for operation in afterlife("papers"):
            model = operation.after(model)
            operation.act(db)
        assert seen(db) == expected(model)


def test_a_copy_of_a_closed_database_is_a_backup(tmp_path: Path) -> None:
    """Copying the folder is all it takes."""
    db, model = lived(tmp_path / "db")
    db.close()
    shutil.copytree(tmp_path / "db", tmp_path / "copy")
    is_the_same(tmp_path / "copy", model)
    is_the_same(tmp_path / "db", model)


def test_a_copy_of_a_quiet_open_database_is_a_backup(tmp_path: Path) -> None:
    """Also while it is open, as long as nothing is written meanwhile."""
    db, model = lived(tmp_path / "db")
    shutil.copytree(tmp_path / "db", tmp_path / "copy")
    is_the_same(tmp_path / "copy", model)
    assert seen(db) == expected(model)
    db.close()


def descriptors() -> int:
    """Open descriptors of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_fifty_openings_leak_nothing(quick: Path) -> None:
    """Descriptors and threads are as many after fifty openings as after the first."""
    world = World(settings=TINY)
    counts = []
    for i in range(OPENINGS):
        with elanus.open(quick / "db", world=world) as db:
            docs = db.create_collection("docs", dim=4)
            docs.insert({"id": [i], "vector": np.full((1, 4), i, np.float32)})
            if i % 10 == 0:
                docs.flush()
            assert len(docs.search(np.zeros(4), limit=1)) == 1
        if i in (0, 10, OPENINGS - 1):
            counts.append((descriptors(), threading.active_count()))
    assert len(set(counts)) == 1, counts
