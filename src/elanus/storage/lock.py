"""The lock on a database folder: one writer, or any number of readers.

Held by the operating system (``flock``), so the death of its owner frees it and a
stale file is simply taken over. Who else may use the owner's socket is told by the text
kept in the file; that text is the caller's.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from elanus.errors import LockedError
from elanus.storage.files import storage_errors

LOCK_NAME = "LOCK"
_POLL_S = 0.01


class FolderLock:
    """A lock held on one folder until :meth:`release` or the end of the process."""

    def __init__(self, folder: Path, *, shared: bool = False, text: str = "") -> None:
        """Take the lock at once or fail.

        Args:
            folder: an existing folder.
            shared: for reading only; other shared holders are let in. A folder that
                has no lock file is then taken as unlocked, for it may not be writable.
            text: one line for others to read, for instance an address.

        Raises:
            LockedError: someone else holds it; the message names the process.
        """
        self.path = folder / LOCK_NAME
        self._descriptor = -1
        self._pid = os.getpid()
        if shared and not self.path.exists():
            return
        flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
        with storage_errors(LOCK_NAME):
            descriptor = os.open(self.path, flags | os.O_CLOEXEC, 0o644)
        try:
            self._take(descriptor, shared)
            if not shared:
                self._describe(descriptor, text)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if os.getpid() == self._pid:
            # A child forked meanwhile holds a copy; without this it keeps the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def set_text(self, text: str) -> None:
        """Replace the line that others read; for the exclusive holder."""
        self._describe(self._descriptor, text)

    def _take(self, descriptor: int, shared: bool) -> None:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid, text = read_lock(self.path.parent)
            holder = f"process {pid}" if pid else "another process"
            place = f" ({text})" if text else ""
            raise LockedError(
                f"{self.path.parent} is in use by {holder}{place}: close it there first"
            ) from error

    def _describe(self, descriptor: int, text: str) -> None:
        with storage_errors(LOCK_NAME):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n{text}\n".encode(), 0)


def lock_taken_at(folder: Path) -> int:
    """When the lock was last taken or its text set, in nanoseconds; 0: never."""
    try:
        return os.stat(folder / LOCK_NAME).st_mtime_ns
    except OSError:
        return 0


def mark_worker(folder: Path) -> int:
    """Show, for as long as this process lives, that it may write into the folder.

    A worker calls this before it does anything, and then makes sure that its parent
    still lives; see :func:`wait_for_workers`.

    Returns:
        The descriptor that holds the mark.
    """
    with storage_errors(str(folder)):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def wait_for_workers(folder: Path, patience_s: float) -> None:
    """Return once no worker of an earlier owner is left; they end soon after it.

    Raises:
        LockedError: one still lives after ``patience_s``.
    """
    tick = threading.Event()
    with storage_errors(str(folder)):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for _ in range(max(1, int(patience_s / _POLL_S))):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                tick.wait(_POLL_S)
    finally:
        os.close(descriptor)
    raise LockedError(
        f"{folder} is in use by a worker process whose owner has died: end it"
    )


def read_lock(folder: Path) -> tuple[int | None, str]:
    """The pid and text of the last exclusive holder, dead or alive."""
    try:
        lines = (folder / LOCK_NAME).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None, ""
    pid = int(lines[0]) if lines and lines[0].isdecimal() else None
    return pid, lines[1] if len(lines) > 1 else ""
