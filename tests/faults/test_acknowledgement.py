"""An acknowledgement comes after its sync, for the fault store and for the kernel."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import elanus
from elanus.embedded.database import Database
from faults.workload import (
    DIM,
    columns_of,
    create,
    delete,
    expected,
    insert,
    open_plain,
    plain_world,
    seen,
    upsert,
    vector_of,
)
from storage.faults import FaultStore


def open_on(store: FaultStore) -> Database:
    """A database over a fault store, with one collection."""
    db = elanus.open(store.root, world=plain_world(lambda *_: store, store.step))
    create("docs").act(db)
    return db


def test_write_then_sync_then_acknowledgement(tmp_path: Path) -> None:
    """A write returns after the log was written, and then synced."""
    store = FaultStore(tmp_path / "db")
    db = open_on(store)
    for operation in (
        insert("docs", range(10), 1),
        upsert("docs", range(5, 15), 2),
        delete("docs", [1, 2]),
    ):
        before = store.steps
        operation.act(db)
        steps = [op for op, name in store.trace[before:] if name.startswith("log/")]
        # the second write is the mark, which needs no sync
        assert steps == ["write", "sync", "write"], operation.name
    db.close()


def test_rows_under_new_keys_outlive_a_power_loss(tmp_path: Path) -> None:
    """The rows of the given keys are gone by the same record that brings the others."""
    store = FaultStore(tmp_path / "db")
    db = elanus.open(store.root, world=plain_world(lambda *_: store, store.step))
    docs = db.create_collection("docs", dim=DIM, auto_id=True)
    rows = {"vector": [vector_of(key, 1) for key in range(4)], "n": [0, 1, 2, 3]}
    old = docs.insert(rows).to_pylist()
    given = {"id": old[:2], "vector": rows["vector"][:2], "n": [10, 11]}
    new = docs.upsert(given).to_pylist()
    changed = docs.upsert({"id": old[2:3], "n": [12]}, partial=True).to_pylist()
    for seed in range(4):
        after = tmp_path / f"loss{seed}"
        store.materialise(after, random.Random(seed))
        with open_plain(after) as again:
            found = again["docs"].query(output_fields=["n"]).to_pylist()
        told = [(row["id"], row["n"]) for row in found]
        assert told == [(old[3], 3), (new[0], 10), (new[1], 11), (changed[0], 12)]
    db.close()


def test_acknowledged_rows_are_durable_with_many_writers(tmp_path: Path) -> None:
    """When any of four threads is told, its own bytes have been synced."""
    store = FaultStore(tmp_path / "db", sync_delay_s=0.001)
    db = open_on(store)
    wrong: list[int] = []

    def write(thread: int) -> None:
        for i in range(15):
            key = 1_000 * thread + i
            db["docs"].insert(columns_of([key], 1, is_text=False))
            if not is_durable(store, vector_of(key, 1).tobytes()):
                wrong.append(key)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert db["docs"].count() == 60
    db.close()


def is_durable(store: FaultStore, content: bytes) -> bool:
    """Whether the log has these bytes where a power loss cannot take them."""
    with store._lock:
        logs = [n for name, n in store._durable_names.items() if "log/" in name]
        return any(content in node.durable for node in logs)


class LyingStore(FaultStore):
    """A disk that says it has synced, and has not."""

    def _sync(self, name: str, node: object) -> None:
        self._step("sync", name)


def test_a_disk_that_lies_about_syncs_is_caught(tmp_path: Path) -> None:
    """The power losses of these tests do take what was not synced."""
    model = create("docs").after({})
    model = insert("docs", range(10), 1).after(model)
    store = LyingStore(tmp_path / "db")
    db = open_on(store)
    insert("docs", range(10), 1).act(db)
    kept = 0
    for seed in range(8):
        after = tmp_path / f"loss{seed}"
        store.materialise(after, random.Random(seed))
        try:
            with open_plain(after) as again:
                kept += seen(again) == expected(model)
        except elanus.ElanusError:
            continue
    db.close()
    assert kept < 8


TRACED = """
import os, sys
import numpy as np
import elanus
from elanus.app import World
from elanus.config import Settings
from pathlib import Path
db = elanus.open(Path(sys.argv[1]), world=World(background=False))
docs = db.create_collection("docs", dim=4)
for i in range(3):
    os.write(2, b"asked")
    docs.insert({"id": [i], "vector": np.ones((1, 4), np.float32)})
    os.write(2, b"told")
db.close()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_kernel_sees_the_sync_before_the_acknowledgement(tmp_path: Path) -> None:
    """Between the request and its answer: the log is written, then synced."""
    trace = tmp_path / "trace"
    calls = "trace=write,writev,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-e", calls, "-o", trace]
    command += [sys.executable, "-c", TRACED, tmp_path / "db"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if "ptrace" in ran.stderr and ran.returncode:
        pytest.skip("strace is not allowed here")
    assert ran.returncode == 0, ran.stderr
    told = trace.read_text()
    writes = re.findall(r'"asked".*?"told"', told, re.DOTALL)
    assert len(writes) == 3
    for between in writes:
        calls_made = re.findall(r"(\w+)\(\d+<[^>]*/log/\d+\.log>", between)
        assert calls_made == ["writev", "fdatasync", "writev"]
        assert re.search(r"fdatasync\([^)]*\.log>\)\s+= 0", between)
