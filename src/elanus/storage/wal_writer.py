"""The end of the log where frames are written; one thread at a time.

Owns the active file, its rotation, and what is promised when a write or a sync fails:
after a failed write nothing of the group survives, after a failed sync nobody can know.
Who writes when, and what happens to the records afterwards, is ``wal``'s.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elanus.errors import StorageError, UnknownOutcome
from elanus.storage.files import Buffer, FileStore, WritableFile
from elanus.storage.wal_frames import (
    FILE_HEADER_BYTES,
    MARK,
    FileHeader,
    FrameHead,
    frame_buffers,
)
from elanus.storage.wal_recovery import (
    LogEnd,
    LogFile,
    RecoveredLog,
    log_file_name,
)


@dataclass(frozen=True)
class LogOptions:
    """Settings of a log.

    Attributes:
        new_file_id: a random number of 64 bits at each call.
        folder: in the file store.
        rotate_bytes: a file of this size is followed by a new one.
        queue_bytes: writers wait while this much payload is on its way.
        timer: seconds from any start, for measuring durations.
    """

    new_file_id: Callable[[], int]
    folder: str = "log"
    rotate_bytes: int = 32 << 20
    queue_bytes: int = 64 << 20
    timer: Callable[[], float] = time.perf_counter


@dataclass
class Syncs:
    """Syncs of the log since it was opened, and the seconds that they took."""

    count: int = 0
    seconds: float = 0.0


class LogWriter:
    """Appends groups of frames and makes them durable."""

    def __init__(
        self, store: FileStore, options: LogOptions, log: RecoveredLog
    ) -> None:
        """Mend the tail of the recovered log and open it for appending.

        Raises:
            StorageError: the tail cannot be mended, or the first file not be made.
        """
        self.files = log.files
        self.generation = log.generation
        self.syncs = Syncs()
        self._store = store
        self._options = options
        self._last = (log.last_seq, log.last_ts)
        self._file: WritableFile | None = None
        self._tail_is_dirty = False
        if log.unborn is not None:
            store.delete(log.unborn)
            store.sync_folder(options.folder)
        if log.files:
            self._mend(log)
        else:
            self._start_file(1, 0)

    @property
    def end(self) -> LogEnd:
        """How far the log is durable."""
        return LogEnd(self.files[-1].header.number, self._synced, self._last[0])

    @property
    def size_bytes(self) -> int:
        """Bytes in all files."""
        return sum(file.end for file in self.files)

    def write(self, group: Sequence[tuple[FrameHead, Sequence[Buffer]]]) -> None:
        """Append the frames, sync them, and note that they are durable.

        Raises:
            UnknownOutcome: a sync failed; write no more until the log is reopened.
            DiskFull, StorageError: nothing of the group is in the log; try later.
        """
        if self._tail_is_dirty:
            self._undo()
        if self.files[-1].end >= self._options.rotate_bytes:
            self.rotate()
        active = self.files[-1]
        buffers: list[Buffer] = []
        for head, payload in group:
            buffers += frame_buffers(head, payload, active.header.file_id, self._synced)
        file = self._open_file()
        try:
            file.write(*buffers)
        except StorageError:
            self._undo()
            raise
        self._sync(file)
        self._last = (group[-1][0].seq, group[-1][0].ts)
        active.end = file.tell()
        self._mark(file, active)

    def rotate(self) -> None:
        """Follow the active file by a new one.

        Raises:
            UnknownOutcome: as in :meth:`write`.
            DiskFull, StorageError: the old file stays the active one.
        """
        if self._tail_is_dirty:
            self._undo()
        active, old = self.files[-1], self._open_file()
        if active.end > self._synced:
            self._sync(old)
        self._start_file(active.header.number + 1, active.end)
        old.close()

    def close(self, *, sync: bool) -> None:
        """Release the file, making its last mark durable first when asked."""
        file = self._file
        if file is None:
            return
        try:
            if sync and not self._tail_is_dirty and self.files[-1].end > self._synced:
                self._sync(file)
        finally:
            self._file = None
            file.close()

    def _start_file(self, number: int, previous_end: int) -> None:
        name = log_file_name(self._options.folder, number)
        last_seq, last_ts = self._last
        file_id = self._options.new_file_id() or 1
        header = FileHeader(file_id, number, last_seq + 1, previous_end, last_ts)
        self._store.delete(name)
        file = self._store.create(name)
        try:
            file.write(header.pack())
        except StorageError:
            file.close()
            self._forget(name)
            raise
        try:
            file.sync()
            self._store.sync_folder(self._options.folder)
        except StorageError as error:
            file.close()
            raise UnknownOutcome(f"sync failed: {error}") from error
        self._file = file
        self._synced = FILE_HEADER_BYTES
        self.files.append(LogFile(name, header, FILE_HEADER_BYTES))

    def _forget(self, name: str) -> None:
        """Remove a file that must not come back: its predecessor may still grow."""
        try:
            self._store.delete(name)
            self._store.sync_folder(self._options.folder)
        except StorageError as error:
            raise UnknownOutcome(f"{name} could not be removed: {error}") from error

    def _mend(self, log: RecoveredLog) -> None:
        """Cut the torn tail; make sure that what is kept is on the disk."""
        active = log.files[-1]
        # An earlier sync may have failed, and what it left undone is not done by the
        # next: so the size, and all bytes that nobody proved to be on the disk, anew.
        self._store.truncate(active.name, active.end)
        if log.proven < active.end:
            self._store.rewrite(active.name, log.proven)
            self._store.sync_folder(self._options.folder)
        self._synced = active.end
        self._file = self._store.append(active.name)

    def _undo(self) -> None:
        """Remove what a failed write may have left, before anyone is told."""
        active = self.files[-1]
        try:
            self._store.truncate(active.name, active.end)
            self._open_file().close()
            self._file = self._store.append(active.name)
        except StorageError as error:
            raise UnknownOutcome(
                f"a failed write could not be undone: {error}"
            ) from error
        self._synced = active.end
        self._tail_is_dirty = False

    def _sync(self, file: WritableFile) -> None:
        started = self._options.timer()
        try:
            file.sync()
        except StorageError as error:
            raise UnknownOutcome(f"sync failed: {error}") from error
        self.syncs.count += 1
        self.syncs.seconds += self._options.timer() - started
        self._synced = file.tell()

    def _mark(self, file: WritableFile, active: LogFile) -> None:
        """Say, without a sync, that the group is durable.

        The mark survives the death of the process, so that damage to the last group
        is told from a torn tail; a power loss may take it, which costs nothing.
        """
        seq, ts = self._last
        head = FrameHead(seq, ts, self.generation, MARK, 0, 0)
        # A mark that cannot be written takes nothing from the group, which is
        # durable; the next write removes its remains and reports a full disk.
        self._tail_is_dirty = True
        with contextlib.suppress(StorageError):
            file.write(*frame_buffers(head, (), active.header.file_id, self._synced))
            self._tail_is_dirty = False
            active.end = file.tell()

    def _open_file(self) -> WritableFile:
        if self._file is None:
            raise StorageError(f"{self.files[-1].name} is not open for writing")
        return self._file
