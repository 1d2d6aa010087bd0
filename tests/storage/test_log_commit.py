"""Group commit: order, speed, and what each writer is told when something fails."""

from __future__ import annotations

import errno
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from elanus.clock import HybridClock
from elanus.errors import (
    ClosedError,
    DiskFull,
    ElanusError,
    InternalError,
    ReadOnlyError,
    StorageError,
    UnknownOutcome,
)
from elanus.storage.wal import Log, LogOptions, Ticket
from storage.faults import FaultStore

Apply = Callable[[int, int], None]


def open_log(store: FaultStore, seed: int = 1, **settings: int) -> Log:
    """A log on the store with a clock that stands still."""
    rng = random.Random(seed)
    options = LogOptions(lambda: rng.getrandbits(64), **settings)  # type: ignore[arg-type]
    return Log.open(store, HybridClock(lambda: 1_000), options)


def ignore(seq: int, ts: int) -> None:
    """Apply nothing."""


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(i)`` in ``count`` threads; none may hang."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a writer hangs"


def outcome(log: Log, content: bytes = b"x", apply: Apply = ignore) -> type | None:
    """The class of the error that an append gives, or None."""
    try:
        log.append(1, 1, [content], apply)
    except ElanusError as error:
        return type(error)
    return None


def test_applies_run_once_in_write_order(tmp_path: Path) -> None:
    """With many writers, seqs are applied without a gap and ts rises with seq."""
    log = open_log(FaultStore(tmp_path), rotate_bytes=3_000)
    applied: list[tuple[int, int]] = []

    def work(writer: int) -> None:
        for _ in range(100):
            seen: list[int] = []

            def apply(seq: int, ts: int, seen: list[int] = seen) -> None:
                applied.append((seq, ts))
                seen.append(seq)

            ticket = log.append(writer, 1, [b"x" * writer], apply)
            assert seen == [ticket.seq]

    in_threads(8, work)
    assert [seq for seq, _ in applied] == list(range(1, 801))
    assert [ts for _, ts in applied] == sorted({ts for _, ts in applied})
    assert log.applied_seq == log.last_seq == 800
    log.wait_applied(800)
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [(f.seq, f.ts) for f in log.replay(0)] == applied
    log.close()


def test_a_record_is_applied_only_after_its_sync(tmp_path: Path) -> None:
    """When a record becomes visible its write has been followed by a sync."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    tails: list[list[str]] = []
    for _ in range(3):
        before = store.steps
        log.append(
            1,
            1,
            [b"x"],
            lambda seq, ts, at=before: tails.append([op for op, _ in store.trace[at:]]),
        )
    # The last write is the mark, which needs no sync.
    assert tails == [["write", "sync", "write"]] * 3
    log.close()


def test_many_writers_share_syncs(tmp_path: Path) -> None:
    """With 5 ms per sync, 16 writers reach at least 8 times the rate of one."""

    def rate(writers: int, each: int) -> float:
        store = FaultStore(tmp_path / f"{writers}", sync_delay_s=0.005)
        log = open_log(store)
        start = time.perf_counter()
        in_threads(
            writers,
            lambda _: (
                [log.append(1, 1, [b"x" * 100], ignore) for _ in range(each)] and None
            ),
        )
        elapsed = time.perf_counter() - start
        log.close()
        return writers * each / elapsed

    assert rate(16, 60) >= 8 * rate(1, 60)


def test_the_next_group_syncs_while_one_applies(tmp_path: Path) -> None:
    """A slow apply does not keep the disk idle."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    applying, second_synced = threading.Event(), threading.Event()
    order: list[str] = []

    def slow(seq: int, ts: int) -> None:
        applying.set()
        assert second_synced.wait(10), "the second group waits for the first"
        order.append("first")

    first = threading.Thread(target=lambda: log.append(1, 1, [b"a"], slow))
    first.start()
    assert applying.wait(10)
    real_step = store._step

    def watching(op: str, name: str) -> None:
        real_step(op, name)
        if op == "sync":
            second_synced.set()

    store._step = watching  # type: ignore[method-assign]
    log.append(1, 1, [b"b"], lambda seq, ts: order.append("second"))
    first.join(10)
    assert order == ["first", "second"]
    log.close()


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Refused records are nowhere, earlier ones stay, and space lets writing go on."""
    store = FaultStore(tmp_path, capacity_bytes=2_000)
    log = open_log(store)
    applied: list[int] = []
    results: list[int] = []
    failed: list[int] = []

    def attempt(size: int) -> bool:
        ticket = log.submit(1, 1, [b"x" * size], lambda seq, ts: applied.append(seq))
        try:
            log.wait(ticket)
        except DiskFull:
            failed.append(ticket.seq)
            return False
        results.append(ticket.seq)
        return True

    while attempt(200):
        pass
    assert not attempt(300)
    assert [f.seq for f in log.replay(0)] == results == applied
    assert log.applied_seq == results[-1]
    log.wait_applied(failed[-1])
    store.capacity_bytes = None
    assert attempt(300)
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [f.seq for f in log.replay(0)] == results
    assert not set(failed) & set(results)
    log.close()


def test_a_full_disk_at_rotation_refuses_and_recovers(tmp_path: Path) -> None:
    """A new file that cannot be made leaves the old one as it was."""
    store = FaultStore(tmp_path)
    log = open_log(store, rotate_bytes=100)
    assert outcome(log) is None
    for op, number in (("create", errno.ENOSPC), ("write", errno.ENOSPC)):
        store.fail_next(op, number)
        assert outcome(log) is DiskFull
        assert store.list("log") == ["log/0000000001.log"]
    assert outcome(log) is None
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [bytes(f.payload) for f in log.replay(0)] == [b"x", b"x"]
    log.close()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """After an I/O error in a write the record is gone and the log works."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    for _ in range(5):
        store.fail_next("write", errno.EIO)
        assert outcome(log, b"bad" * 50) is StorageError
        assert outcome(log, b"good") is None
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [bytes(f.payload) for f in log.replay(0)] == [b"good"] * 5
    log.close()


def test_a_mark_that_fails_takes_nothing(tmp_path: Path) -> None:
    """The mark after a group is a hint: the record counts, and writing goes on."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    for _ in range(5):
        store.fail_at = {store.steps + 3: errno.ENOSPC}
        assert outcome(log, b"good") is None
        assert outcome(log, b"also") is None
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [bytes(f.payload) for f in log.replay(0)] == [b"good", b"also"] * 5
    log.close()


def test_a_mark_that_fails_is_gone_before_rotation(tmp_path: Path) -> None:
    """A file followed by another ends exactly where its last record does."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    store.fail_at = {store.steps + 3: errno.ENOSPC}
    assert outcome(log) is None
    store.fail_next("delete", errno.EIO)
    with pytest.raises(StorageError):
        log.trim(1, rotate=True)
    assert outcome(log) is None
    log.close()
    log = open_log(FaultStore(tmp_path), 2)
    assert [f.seq for f in log.replay(0)] == [1, 2]
    log.close()


@pytest.mark.parametrize("failing", ["sync", "truncate"])
def test_after_a_failed_sync_the_log_is_read_only(tmp_path: Path, failing: str) -> None:
    """The outcome is unknown, no sync is repeated, and reopening works."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    assert outcome(log, b"kept") is None
    if failing == "truncate":
        store.fail_next("write", errno.EIO)
    store.fail_next(failing, errno.EIO)
    assert outcome(log) is UnknownOutcome
    steps = store.steps
    assert outcome(log) is ReadOnlyError
    with pytest.raises(ReadOnlyError):
        log.wait_applied(2)
    log.close()
    assert store.steps == steps
    assert log.applied_seq == 1
    log = open_log(store, 2)
    assert bytes(next(log.replay(0)).payload) == b"kept"
    assert outcome(log) is None
    log.close()


def test_no_writer_hangs_when_a_sync_fails(tmp_path: Path) -> None:
    """Of many waiting writers each is told; only acknowledged records are applied."""
    store = FaultStore(tmp_path, sync_delay_s=0.002)
    log = open_log(store)
    applied: list[int] = []
    outcomes: list[type | None] = []
    store.fail_at = {store.steps + 40: errno.EIO, store.steps + 41: errno.EIO}

    def work(_: int) -> None:
        for _ in range(40):
            outcomes.append(outcome(log, apply=lambda seq, ts: applied.append(seq)))

    in_threads(8, work)
    assert outcomes.count(None) == len(applied)
    assert set(outcomes) <= {None, UnknownOutcome, ReadOnlyError, StorageError}
    assert len(outcomes) == 320
    log.close()


def test_a_failing_apply_stops_the_log(tmp_path: Path) -> None:
    """Nobody sees state with a hole: every later write is refused, nobody hangs."""
    log = open_log(FaultStore(tmp_path, sync_delay_s=0.001))
    applied: list[int] = []

    def apply(seq: int, ts: int) -> None:
        if seq == 20:
            raise ValueError("a bug")
        applied.append(seq)

    outcomes: list[type | None] = []
    in_threads(
        4, lambda _: outcomes.extend(outcome(log, apply=apply) for _ in range(20))
    )
    assert applied == list(range(1, 20))
    assert outcomes.count(None) == 19
    assert outcomes.count(InternalError) == 61
    with pytest.raises(InternalError):
        log.wait_applied(20)
    log.close()


def test_ctrl_c_waits_for_the_commit(tmp_path: Path) -> None:
    """It is raised when the record is durable and applied; the log stays usable."""
    log = open_log(FaultStore(tmp_path))
    applied: list[int] = []

    def apply(seq: int, ts: int) -> None:
        signal.raise_signal(signal.SIGINT)
        applied.append(seq)

    with pytest.raises(KeyboardInterrupt):
        log.append(1, 1, [b"x"], apply)
    assert applied == [1]
    assert outcome(log) is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    log.close()


def test_an_interrupt_reaches_its_thread_and_stops_the_log(tmp_path: Path) -> None:
    """What an apply raises itself is not swallowed, be it no ordinary error."""
    log = open_log(FaultStore(tmp_path))

    def apply(seq: int, ts: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.append(1, 1, [b"x"], apply)
    assert outcome(log) is InternalError
    log.close()


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    """A thread that only submits writes out what is queued when the bound is met."""
    store = FaultStore(tmp_path)
    log = open_log(store, queue_bytes=1_000)
    tickets: list[Ticket] = []
    for _ in range(20):
        tickets.append(log.submit(1, 1, [b"x" * 300], ignore))
        assert log.last_seq - log.applied_seq <= 3
    big = log.submit(1, 1, [b"x" * 5_000], ignore)
    log.wait(big)
    assert all(ticket.is_done for ticket in tickets)
    log.close()


def test_waiting_for_a_seq_writes_what_nobody_waits_for(tmp_path: Path) -> None:
    """``wait_applied`` and ``close`` finish records that were only submitted."""
    log = open_log(FaultStore(tmp_path))
    applied: list[int] = []
    for _ in range(3):
        log.submit(1, 1, [b"x"], lambda seq, ts: applied.append(seq))
    log.wait_applied(2)
    assert applied == [1, 2, 3]
    log.submit(1, 1, [b"x"], lambda seq, ts: applied.append(seq))
    end = log.close()
    assert applied == [1, 2, 3, 4]
    assert end.seq == 4
    assert log.close() == end
    with pytest.raises(ClosedError):
        log.append(1, 1, [b"x"], ignore)


def test_marks_carry_the_generation(tmp_path: Path) -> None:
    """The newest metadata generation seen by the log is found again after a kill."""
    store = FaultStore(tmp_path)
    log = open_log(store)
    log.generation = 17
    log.append(1, 1, [b"x"], ignore)
    again = open_log(store, 2)
    assert again.found_generation == again.generation == 17
    again.close()
    log.close()


def test_trimming_and_writing_go_together(tmp_path: Path) -> None:
    """Writers go on while files are rotated and deleted, and lose nothing."""
    store = FaultStore(tmp_path)
    log = open_log(store, rotate_bytes=2_000)
    stop = threading.Event()

    def trim() -> None:
        while not stop.is_set():
            log.trim(max(log.applied_seq - 20, 0), rotate=True)

    trimmer = threading.Thread(target=trim)
    trimmer.start()
    in_threads(
        4,
        lambda _: [log.append(1, 1, [b"x" * 50], ignore) for _ in range(100)] and None,
    )
    stop.set()
    trimmer.join(10)
    log.trim(350)
    assert [f.seq for f in log.replay(380)] == list(range(381, 401))
    assert log.oldest_seq > 300
    assert log.size_bytes == sum(store.size(name) for name in store.list("log"))
    log.close()
