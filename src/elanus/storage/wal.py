"""The node's log: every change of every stream, in one order, made durable in groups.

Owns the write order (seq and timestamp), the group commit and the order of applying.
What records mean belongs to the engine, which hands in a function to apply each.

The first writer that waits becomes the leader of all that is queued: it writes and
syncs the group, lets the next leader write the next group, and then applies its own, in
seq order. A lone writer does all this in its own thread. After: Ghemawat & Dean,
LevelDB, ``DBImpl::Write``; there the group is applied before the hand-over, and the
leader does not wait for company. Without that wait, many writers fall into two groups
that take turns, and half of each sync is wasted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from elanus.clock import HybridClock
from elanus.errors import (
    ClosedError,
    CorruptionError,
    ElanusError,
    InternalError,
    ReadOnlyError,
    StorageError,
    UnknownOutcome,
)
from elanus.storage.checksums import crc32c
from elanus.storage.files import Buffer, FileStore
from elanus.storage.interrupts import held_interrupts
from elanus.storage.wal_frames import Frame, FrameHead
from elanus.storage.wal_recovery import (
    LogEnd,
    LogFile,
    RecoveredLog,
    log_damages,
    recover_log,
    replay_file,
)
from elanus.storage.wal_tickets import Apply, Group, Ticket
from elanus.storage.wal_writer import LogOptions, LogWriter, Syncs

__all__ = ["Apply", "Frame", "Log", "LogEnd", "LogOptions", "Ticket", "log_damages"]

_PATIENCE = 0.5  # of the time a write takes
# Writers are woken together: each at once would take Python's lock from the one who
# still applies the records of the others.
_WAKE_AFTER_S = 0.001


class Log:
    """An append-only log shared by any number of writing threads."""

    def __init__(
        self,
        store: FileStore,
        clock: HybridClock,
        options: LogOptions,
        recovered: RecoveredLog,
    ) -> None:
        """For :meth:`open` only."""
        self._store = store
        self._clock = clock
        self._options = options
        self._files = recovered.files
        self._writer: LogWriter | None = None
        self._stopped: ElanusError | None = None
        self.found_generation: int = recovered.generation
        if store.read_only:
            self._stopped = ReadOnlyError("the database is open read-only")
            self._end = _end_of(recovered)
        else:
            self._writer = LogWriter(store, options, recovered)
            self._end = self._writer.end
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._arrived = threading.Condition(self._mutex)
        self._company = 0
        self._last_write_s = 0.0
        self._trimming = threading.Lock()
        self._last_seq = self._applied_seq = recovered.last_seq
        self._settled_seq = recovered.last_seq
        self._queue: list[Ticket] = []
        self._queued_bytes = 0
        self._is_writing = self._is_applying = self._is_closed = False
        self._wanted_alone = 0
        self._to_apply: deque[Group] = deque()

    @staticmethod
    def open(
        store: FileStore,
        clock: HybridClock,
        options: LogOptions,
        known_end: LogEnd | None = None,
    ) -> Log:
        """Verify the log, cut its torn tail, and make ready to replay and append.

        The clock is moved past the newest timestamp found.

        Args:
            store: where the files are; with a read-only one nothing is mended.
            clock: issues the timestamps.
            options: settings.
            known_end: a durable place noted earlier, at best by :meth:`close`.

        Raises:
            CorruptionError: bytes that were durable are damaged or gone.
            StorageError: the tail cannot be mended.
        """
        recovered = recover_log(store, options.folder, known_end)
        clock.advance_to(recovered.last_ts)
        return Log(store, clock, options, recovered)

    @property
    def last_seq(self) -> int:
        """The newest seq given out."""
        return self._last_seq

    @property
    def applied_seq(self) -> int:
        """The newest record applied; all before it are applied or have failed."""
        return self._applied_seq

    @property
    def is_settled(self) -> bool:
        """Whether every record given a place has been applied or has failed."""
        return self._settled_seq == self._last_seq

    @property
    def generation(self) -> int:
        """The metadata generation that marks carry."""
        return (
            self.found_generation if self._writer is None else self._writer.generation
        )

    @generation.setter
    def generation(self, value: int) -> None:
        if self._writer is not None:
            self._writer.generation = value

    @property
    def size_bytes(self) -> int:
        """Bytes in all files of the log."""
        with self._mutex:
            return sum(file.end for file in self._files)

    @property
    def oldest_seq(self) -> int:
        """The smallest seq that may still be in the log."""
        with self._mutex:
            return self._files[0].header.first_seq if self._files else 1

    def replay(self, after_seq: int) -> Iterator[Frame]:
        """The records newer than ``after_seq``, oldest first.

        One file is mapped at a time. Meant for before the first write.

        Raises:
            CorruptionError: records that must be there are not.
        """
        with self._mutex:
            files = [LogFile(file.name, file.header, file.end) for file in self._files]
            last_seq = self._last_seq
        first_seq = files[0].header.first_seq if files else 1
        if after_seq > last_seq:
            raise CorruptionError(
                self._options.folder,
                f"ends at record {last_seq}, {after_seq} was checkpointed",
            )
        if first_seq > after_seq + 1:
            raise CorruptionError(
                self._options.folder,
                f"begins at record {first_seq}, {after_seq + 1} is needed",
            )
        following = [file.header.first_seq for file in files[1:]] + [last_seq + 1]
        for file, next_seq in zip(files, following, strict=False):
            if next_seq > after_seq + 1:
                for frame in replay_file(self._store, file):
                    if frame.seq > after_seq:
                        yield frame

    def append(
        self, stream: int, kind: int, payload: Sequence[Buffer], apply: Apply
    ) -> Ticket:
        """:meth:`submit` and :meth:`wait` in one."""
        ticket = self.submit(stream, kind, payload, apply)
        self.wait(ticket)
        return ticket

    def submit(
        self, stream: int, kind: int, payload: Sequence[Buffer], apply: Apply
    ) -> Ticket:
        """Give a record its place in the order, without waiting for the disk.

        Args:
            stream: whose record it is, below 2**64.
            kind: label for the reader, 1 to 65535.
            payload: contiguous buffers, not to be changed until the wait is over.
            apply: called with (seq, ts) once the record is durable, by any thread,
                strictly in seq order, exactly once, and not at all if it fails.

        Raises:
            ReadOnlyError: the log takes no more writes; reopen it.
            ClosedError: the log is closed.
        """
        if not 0 < kind < 1 << 16:
            raise InternalError(f"log records cannot be of kind {kind}")
        ticket = Ticket(payload, apply)
        crc = 0
        for part in payload:
            crc = crc32c(part, crc)
        with self._mutex:
            self._await_room(ticket.length)
            self._need_open()
            ticket.seq = self._last_seq = self._last_seq + 1
            ticket.ts = self._clock.next()
            ticket.head = FrameHead(
                ticket.seq, ticket.ts, stream, kind, ticket.length, crc
            )
            ticket.is_queued = True
            self._queue.append(ticket)
            self._queued_bytes += ticket.length
            if self._is_complete():
                self._arrived.notify()
        return ticket

    def wait(self, ticket: Ticket) -> None:
        """Return once the record is durable and applied.

        Raises:
            DiskFull, StorageError: it is not in the log and never will be.
            UnknownOutcome: a sync failed; reopening tells whether it survived.
            ReadOnlyError: an earlier sync had failed; it is not in the log.
            InternalError: applying it or an earlier record failed; it is in the log.
        """
        while True:
            group = None
            with self._mutex:
                if ticket.is_done:
                    break
                if ticket.is_queued:
                    group = self._take_group()
                if group is None:
                    event = ticket.event = ticket.event or threading.Event()
                    event.clear()
            if group is None:
                self._sleep(event)
            else:
                self._commit(group)
        if ticket.error is not None:
            raise ticket.error

    def wait_applied(self, seq: int) -> None:
        """Return once every record up to ``seq`` is applied or has failed.

        Raises:
            ElanusError: the log stopped before that.
        """
        while True:
            with self._mutex:
                if self._settled_seq >= seq:
                    return
                if self._stopped is not None and not self._is_busy():
                    raise _told(self._stopped)
                group = self._take_group()
                if group is None:
                    self._changed.wait()
                    continue
            self._commit(group)

    def trim(self, up_to_seq: int, *, rotate: bool = False) -> None:
        """Delete the files all of whose records are at most ``up_to_seq``.

        The active file stays; with ``rotate`` it is replaced first if it could go.

        Raises:
            StorageError: the system refused; what is left is still a whole log.
        """
        with self._trimming:
            if rotate:
                self._rotate_if_old(up_to_seq)
            while True:
                with self._mutex:
                    self._need_open()
                    files = self._files
                    if len(files) < 2 or files[1].header.first_seq > up_to_seq + 1:
                        return
                    oldest = files[0]
                # One by one: a power loss may undo deletions, but leaves no hole.
                self._store.delete(oldest.name)
                self._store.sync_folder(self._options.folder)
                with self._mutex:
                    del self._files[0]

    def can_trim(self, up_to_seq: int, *, rotate: bool = False) -> bool:
        """Whether :meth:`trim` with these arguments would delete anything."""
        with self._mutex:
            files = self._files
            if not files or self._stopped is not None:
                return False
            if len(files) > 1:
                return files[1].header.first_seq <= up_to_seq + 1
            return rotate and files[0].header.first_seq <= self._end.seq <= up_to_seq

    @property
    def syncs(self) -> Syncs:
        """How often it has waited for the disk, and how long."""
        return Syncs() if self._writer is None else self._writer.syncs

    @property
    def is_sound(self) -> bool:
        """Whether no write or sync has made it read-only."""
        return self._stopped is None

    def end(self) -> LogEnd:
        """A place up to which everything is durable; note it with the metadata."""
        with self._mutex:
            return self._end

    def close(self) -> LogEnd:
        """Finish what is queued, take no more, and release the files."""
        with self._mutex:
            self._is_closed = True
        self._drain()
        if self._writer is not None:
            with self._alone():
                self._writer.close(sync=self._stopped is None)
                self._end = self._writer.end
        return self._end

    # --- taking part in the commit; the mutex is held where it says so ----------

    def _need_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the log")
        if self._stopped is not None:
            raise _told(self._stopped)

    def _await_room(self, length: int) -> None:
        """Wait, with the mutex held, until the queue can take ``length`` bytes."""
        limit = self._options.queue_bytes
        while self._queued_bytes and self._queued_bytes + length > limit:
            group = self._take_group()
            if group is None:
                self._changed.wait()
                continue
            self._mutex.release()
            try:
                self._commit(group)
            finally:
                self._mutex.acquire()

    def _take_group(self) -> Group | None:
        """Become the leader, with the mutex held, unless there is one."""
        if self._is_writing or self._wanted_alone or not self._queue:
            return None
        self._is_writing = True
        return Group()

    def _gather(self, group: Group) -> None:
        """Take the queue, after giving the writers of the last groups time to return.

        They were just told, so most queue their next record within a moment.
        """
        with self._mutex:
            if len(self._queue) < self._company:
                patience_s = self._last_write_s * _PATIENCE
                self._arrived.wait_for(self._is_complete, patience_s)
            group.tickets, self._queue = self._queue, []
            for ticket in group.tickets:
                ticket.is_queued = False

    def _is_complete(self) -> bool:
        return len(self._queue) >= self._company

    def _hand_over(self) -> None:
        """Wake, with the mutex held, whoever may lead or wait for a change."""
        for ticket in self._queue:
            if ticket.event is not None:
                ticket.event.set()
                break
        self._changed.notify_all()

    def _sleep(self, event: threading.Event) -> None:
        try:
            event.wait()
        except BaseException:
            # An interrupted thread may just have been called to lead.
            with self._mutex:
                self._hand_over()
            raise

    def _is_busy(self) -> bool:
        return bool(self._queue or self._is_writing or self._is_applying)

    def _commit(self, group: Group) -> None:
        """Lead one group through writing and applying."""
        with held_interrupts():
            self._lead(group)

    def _lead(self, group: Group) -> None:
        try:
            self._gather(group)
            group.error = self._write(group)
        except BaseException as error:
            group.error = self._stop(
                InternalError(f"writing the log was interrupted: {error!r}")
            )
            raise
        finally:
            self._end_write(group)
            self._apply_in_turn(group)

    def _write(self, group: Group) -> ElanusError | None:
        if self._stopped is not None or self._writer is None:
            return self._stopped
        started = self._options.timer()
        try:
            self._writer.write([(t.head, t.payload) for t in group.tickets])
        except UnknownOutcome as error:
            self._stop(ReadOnlyError(f"{error}; reopen the database"))
            return error
        except StorageError as error:
            return error
        self._last_write_s = self._options.timer() - started
        return None

    def _end_write(self, group: Group) -> None:
        with self._mutex:
            self._is_writing = False
            self._company = len(self._queue) + len(group.tickets)
            self._queued_bytes -= sum(ticket.length for ticket in group.tickets)
            if group.error is None and self._writer is not None:
                self._end = self._writer.end
            if self._is_applying:
                self._to_apply.append(group)
            else:
                self._is_applying = True
                group.turn.set()
            self._hand_over()

    def _apply_in_turn(self, group: Group) -> None:
        interrupt: BaseException | None = None
        while not group.turn.is_set():
            try:
                group.turn.wait()
            except BaseException as error:  # noqa: BLE001 (raised below)
                interrupt = error
        woken, woken_s = 0, self._options.timer()
        for number, ticket in enumerate(group.tickets, 1):
            interrupt = self._apply(ticket, group.error) or interrupt
            if self._options.timer() - woken_s > _WAKE_AFTER_S:
                self._wake(group.tickets[woken:number])
                woken, woken_s = number, self._options.timer()
        self._wake(group.tickets[woken:])
        with self._mutex:
            if self._to_apply:
                self._to_apply.popleft().turn.set()
            else:
                self._is_applying = False
            self._changed.notify_all()
        if interrupt is not None:
            raise interrupt

    def _apply(self, ticket: Ticket, error: ElanusError | None) -> BaseException | None:
        """Apply one record unless its write failed."""
        interrupt: BaseException | None = None
        if error is None and isinstance(self._stopped, InternalError):
            error = self._stopped
        if error is None:
            try:
                ticket.apply(ticket.seq, ticket.ts)
            except BaseException as cause:  # noqa: BLE001 (told to every writer)
                error = self._stop(
                    InternalError(
                        f"record {ticket.seq} could not be applied: {cause!r}"
                    )
                )
                error.__cause__ = cause
                interrupt = None if isinstance(cause, Exception) else cause
        with self._mutex:
            if error is None:
                self._applied_seq = ticket.seq
            if not isinstance(error, UnknownOutcome | InternalError):
                self._settled_seq = ticket.seq
            ticket.error = None if error is None else _told(error)
            ticket.payload = ()
            ticket.is_done = True
        return interrupt

    def _wake(self, tickets: Sequence[Ticket]) -> None:
        """Tell the writers of these records, which are done."""
        with self._mutex:
            for ticket in tickets:
                if ticket.event is not None:
                    ticket.event.set()

    def _stop(self, error: ElanusError) -> ElanusError:
        """Take no more writes; the first reason stands."""
        if self._stopped is None or not isinstance(self._stopped, InternalError):
            self._stopped = error
        return error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep leaders away from the writer."""
        with self._mutex:
            self._wanted_alone += 1
            try:
                while self._is_writing:
                    self._changed.wait()
                self._is_writing = True
            finally:
                self._wanted_alone -= 1
        try:
            yield
        finally:
            with self._mutex:
                self._is_writing = False
                self._hand_over()

    def _drain(self) -> None:
        while True:
            with self._mutex:
                if not self._is_busy():
                    return
                group = self._take_group()
                if group is None:
                    self._changed.wait()
                    continue
            self._commit(group)

    def _rotate_if_old(self, up_to_seq: int) -> None:
        if self._writer is None:
            return
        with self._alone():
            written = self._writer.end.seq
            is_empty = self._files[-1].header.first_seq > written
            if self._stopped is None and not is_empty and written <= up_to_seq:
                try:
                    self._writer.rotate()
                except UnknownOutcome as error:
                    self._stop(ReadOnlyError(f"{error}; reopen the database"))
                    raise
                self._end = self._writer.end


def _told(error: ElanusError) -> ElanusError:
    """A copy of its own for each writer, for tracebacks are kept in the object."""
    copy = error.within("log")
    copy.__cause__ = error
    return copy


def _end_of(recovered: RecoveredLog) -> LogEnd:
    if not recovered.files:
        return LogEnd(0, 0, 0)
    last = recovered.files[-1]
    return LogEnd(last.header.number, last.end, recovered.last_seq)
