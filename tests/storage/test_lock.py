"""The folder lock, within one process and across several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elanus.errors import LockedError
from elanus.storage.lock import FolderLock, read_lock

HOLDER = """
import sys, pathlib
from elanus.storage.lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]), text="unix:/run/x")
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], number: int) -> None:
    """Kill the process and collect it."""
    process.send_signal(number)
    process.communicate()


def test_another_process_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    """The error names the process; its text can be read."""
    process = holder(tmp_path)
    for shared in (False, True):
        with pytest.raises(LockedError, match=str(process.pid)):
            FolderLock(tmp_path, shared=shared)
    assert read_lock(tmp_path) == (process.pid, "unix:/run/x")
    end(process, signal.SIGKILL)
    lock = FolderLock(tmp_path, text="mine")
    assert read_lock(tmp_path) == (os.getpid(), "mine")
    lock.set_text("")
    assert read_lock(tmp_path) == (os.getpid(), "")
    lock.release()


def test_one_process_cannot_lock_twice(tmp_path: Path) -> None:
    """A second handle in the same process is refused too, until the release."""
    lock = FolderLock(tmp_path)
    with pytest.raises(LockedError):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_readers_share_and_keep_writers_out(tmp_path: Path) -> None:
    """Any number of readers, no writer beside them."""
    FolderLock(tmp_path).release()
    readers = [FolderLock(tmp_path, shared=True) for _ in range(2)]
    with pytest.raises(LockedError):
        FolderLock(tmp_path)
    for reader in readers:
        reader.release()
    FolderLock(tmp_path).release()


def test_a_folder_without_lock_file_can_be_read(tmp_path: Path) -> None:
    """A copy on read-only media needs no lock, and none is made."""
    FolderLock(tmp_path, shared=True).release()
    assert list(tmp_path.iterdir()) == []
    assert read_lock(tmp_path) == (None, "")
    (tmp_path / "LOCK").write_bytes(b"\xff\xfe")
    assert read_lock(tmp_path) == (None, "")
    FolderLock(tmp_path).release()


def test_a_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    """The lock is free after the release even while a forked child lives."""
    lock = FolderLock(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        close_fds=False,
    )
    lock.release()
    FolderLock(tmp_path).release()
    child.communicate()
