"""The metadata store: all or nothing, and no damage goes unnoticed."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elanus.errors import (
    ClosedError,
    CorruptionError,
    DiskFull,
    FormatError,
    ReadOnlyError,
    StorageError,
)
from elanus.storage.files import LocalFileStore
from elanus.storage.meta import META_NAME, MetaStore
from storage.faults import FaultStore, SimulatedCrash

Key = tuple[str, str]


def open_meta(root: Path) -> MetaStore:
    """The store in a folder, made when missing."""
    store = LocalFileStore(root)
    return MetaStore(store, create=not store.exists(META_NAME))


def everything(meta: MetaStore) -> dict[Key, bytes]:
    """All records of the spaces that these tests use."""
    return {(s, k): v for s in ("a", "b") for k, v in meta.read(s).items()}


def test_records_are_put_replaced_and_deleted(tmp_path: Path) -> None:
    """A model of random commits, checked after each and after reopening."""
    rng = np.random.default_rng(1)
    model: dict[Key, bytes] = {}
    meta = open_meta(tmp_path)
    for number in range(60):
        puts: dict[Key, bytes | None] = {}
        for _ in range(rng.integers(1, 5)):
            key = (str(rng.choice(["a", "b"])), f"k{rng.integers(8)}")
            puts[key] = (
                None if rng.random() < 0.3 else rng.bytes(int(rng.integers(3_000)))
            )
        assert meta.commit(puts) == number + 1 == meta.generation
        for key, body in puts.items():
            if body is None:
                model.pop(key, None)
            else:
                model[key] = body
        assert everything(meta) == model
        if number % 10 == 0:
            meta.close()
            meta = open_meta(tmp_path)
    for key, body in model.items():
        assert meta.get(*key) == body
    assert meta.get("a", "no such") is None
    meta.close()
    with pytest.raises(ClosedError):
        meta.read("a")


def test_a_failed_commit_leaves_nothing(tmp_path: Path) -> None:
    """An error in the middle of a commit undoes all of it, and the store goes on."""
    meta = open_meta(tmp_path)
    meta.commit({("a", "1"): b"one"})
    for wrong in ({("a", "1"): b"two", ("", "generation"): b"x"}, {("a", "1"): "text"}):
        with pytest.raises((StorageError, TypeError)):
            meta.commit(wrong)  # type: ignore[arg-type]
    assert everything(meta) == {("a", "1"): b"one"}
    assert meta.commit({("a", "1"): b"three"}) == 2
    meta.close()


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """When the file cannot grow nothing is changed, and reading goes on."""
    meta = open_meta(tmp_path)
    meta.commit({("a", "1"): b"one"})
    assert meta._connection is not None
    pages = meta._connection.execute("PRAGMA page_count").fetchone()[0]
    meta._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull, match=META_NAME):
        meta.commit({("a", "1"): b"two", ("a", "2"): b"x" * 100_000})
    assert everything(meta) == {("a", "1"): b"one"}
    meta._connection.execute("PRAGMA max_page_count = 1000000")
    assert meta.commit({("a", "2"): b"x" * 100_000}) == 2
    meta.close()


def test_steps_around_a_commit_can_fail_and_crash(tmp_path: Path) -> None:
    """Before the commit nothing is there, after it everything; so tests can stop it."""
    store = FaultStore(tmp_path / "0")
    meta = MetaStore(store, create=True, on_step=store.step)
    meta.commit({("a", "1"): b"one"})
    assert store.trace[-2:] == [("step", "meta begin"), ("step", "meta end")]
    store.fail_next("step", errno.ENOSPC)
    with pytest.raises(StorageError):
        meta.commit({("a", "1"): b"two"})
    for number, expected in ((1, b"one"), (2, b"three")):
        store.crash_at = store.steps + number
        with pytest.raises(SimulatedCrash):
            meta.commit({("a", "1"): b"three"})
        meta.close()
        rng = random.Random(number)
        store.materialise(tmp_path / f"{number}", rng)
        store = FaultStore(tmp_path / f"{number}")
        meta = MetaStore(store, on_step=store.step)
        assert everything(meta) == {("a", "1"): expected}
    meta.close()


def test_every_damage_is_found_or_harmless(tmp_path: Path) -> None:
    """A flipped bit anywhere gives an error naming the file, or the records."""
    meta = open_meta(tmp_path)
    rng = np.random.default_rng(2)
    model = {("a", f"{i}"): rng.bytes(200) for i in range(40)}
    model |= {("b", f"{i}"): rng.bytes(5_000) for i in range(3)}
    meta.commit(model)
    meta.close()
    path = tmp_path / META_NAME
    content = path.read_bytes()
    positions = [*range(200), *rng.integers(200, len(content), 500)]
    found = 0
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            meta = open_meta(tmp_path)
            assert everything(meta) == model
            meta.close()
        except (CorruptionError, FormatError) as error:
            assert META_NAME in str(error)
            found += 1
    assert found > len(positions) // 2
    for size in (0, 1, 100, 4096, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises((CorruptionError, FormatError), match=META_NAME):
            open_meta(tmp_path)


def test_a_lost_or_stale_record_is_noticed(tmp_path: Path) -> None:
    """Rows that are well formed but too few, too many or too old are corruption."""
    meta = open_meta(tmp_path)
    meta.commit({("a", "1"): b"one", ("a", "2"): b"two"})
    meta.commit({("a", "1"): b"new"})
    meta.close()
    path = tmp_path / META_NAME
    content = path.read_bytes()
    for statement in (
        "DELETE FROM record WHERE key = '1'",
        "DELETE FROM record WHERE key = 'generation'",
        "UPDATE record SET key = '3' WHERE key = '2'",
        "UPDATE record SET body = x'00' WHERE key = '2'",
        "DROP TABLE record",
    ):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        with pytest.raises(CorruptionError, match=META_NAME):
            open_meta(tmp_path)
        path.write_bytes(content)
    meta = open_meta(tmp_path)
    assert everything(meta) == {("a", "1"): b"new", ("a", "2"): b"two"}
    meta.close()


def test_damage_while_open_is_found_on_read(tmp_path: Path) -> None:
    """Each body is verified when it is read, not only at opening."""
    meta = open_meta(tmp_path)
    meta.commit({("a", "1"): b"one" * 100})
    with sqlite3.connect(tmp_path / META_NAME) as other:
        other.execute("UPDATE record SET body = x'00' WHERE key = '1'")
    other.close()
    with pytest.raises(CorruptionError, match=META_NAME):
        meta.get("a", "1")
    with pytest.raises(CorruptionError, match=META_NAME):
        meta.read("a")
    meta.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A missing file, another program's, and a newer version's are told apart."""
    store = LocalFileStore(tmp_path)
    with pytest.raises(CorruptionError, match="missing"):
        MetaStore(store)
    path = tmp_path / META_NAME
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(FormatError):
        MetaStore(store, create=True)
    assert path.read_bytes() == content
    path.unlink()
    open_meta(tmp_path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(FormatError, match="format 2"):
        open_meta(tmp_path)


def test_a_read_only_store_reads(tmp_path: Path) -> None:
    """Reading works, committing does not, and nothing is created."""
    meta = open_meta(tmp_path)
    meta.commit({("a", "1"): b"one"})
    meta.close()
    meta = MetaStore(LocalFileStore(tmp_path, read_only=True))
    assert everything(meta) == {("a", "1"): b"one"}
    with pytest.raises(ReadOnlyError):
        meta.commit({("a", "1"): b"two"})
    meta.close()
    with pytest.raises(CorruptionError):
        MetaStore(LocalFileStore(tmp_path / "no", read_only=True), create=True)


COMMITTER = """
import sys, pathlib
from elanus.storage.files import LocalFileStore
from elanus.storage.meta import MetaStore
meta = MetaStore(LocalFileStore(pathlib.Path(sys.argv[1])))
while True:
    n = int.from_bytes(meta.get("a", "0") or b"") + 1
    body = n.to_bytes(4, "big")
    meta.commit({("a", str(i)): body * (300 if i else 1) for i in range(8)})
    print(n, flush=True)
"""


def test_a_killed_process_leaves_whole_commits(tmp_path: Path) -> None:
    """After SIGKILL each record is of one commit, not older than the last reported."""
    open_meta(tmp_path).close()
    rng = np.random.default_rng(4)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        for _ in range(int(rng.integers(1, 8))):
            reported = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        meta = open_meta(tmp_path)
        records = meta.read("a")
        assert len({body[:4] for body in records.values()}) == 1
        assert int.from_bytes(records["0"]) >= reported
        meta.close()
