"""What a reopened log holds after a crash, and how damage is told from a torn tail."""

from __future__ import annotations

import errno
import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.clock import HybridClock
from elanus.errors import CorruptionError, ReadOnlyError, StorageError, UnknownOutcome
from elanus.storage.files import LocalFileStore
from elanus.storage.wal import Log, LogEnd, LogOptions, Ticket, log_damages
from elanus.storage.wal_frames import FILE_HEADER_BYTES
from storage.faults import FaultStore, SimulatedCrash

FIRST = "log/0000000001.log"


def options(seed: int = 1, rotate_bytes: int = 32 << 20) -> LogOptions:
    """Settings with repeatable file ids."""
    rng = random.Random(seed)
    return LogOptions(lambda: rng.getrandbits(64), rotate_bytes=rotate_bytes)


def clock() -> HybridClock:
    """A clock that stands still but for its counter."""
    return HybridClock(lambda: 1_000)


def payload(seq: int, size: int = 20) -> bytes:
    """The bytes that record ``seq`` must hold."""
    return random.Random(seq).randbytes(size)


def ignore(seq: int, ts: int) -> None:
    """Apply nothing."""


def write(log: Log, count: int, size: int = 20) -> None:
    """Append ``count`` records."""
    for seq in range(log.last_seq + 1, log.last_seq + 1 + count):
        log.append(7, 1, [payload(seq, size)], ignore)


def contents(log: Log, after_seq: int = 0) -> list[tuple[int, bytes]]:
    """What replay gives."""
    return [(f.seq, bytes(f.payload)) for f in log.replay(after_seq)]


def expected(last: int, size: int = 20) -> list[tuple[int, bytes]]:
    """What replay must give for records 1 to ``last``."""
    return [(seq, payload(seq, size)) for seq in range(1, last + 1)]


def small_log(root: Path, count: int = 4) -> tuple[bytes, LogEnd]:
    """The bytes of a log of one file, as a killed process leaves it, and its end."""
    log = Log.open(LocalFileStore(root), clock(), options())
    write(log, count)
    return (root / FIRST).read_bytes(), log.end()


def test_reopening_gives_the_same_records_and_goes_on(tmp_path: Path) -> None:
    """Seq, ts, stream, kind and payload survive; new records follow the old ones."""
    store = LocalFileStore(tmp_path)
    log = Log.open(store, clock(), options())
    first = log.append(3, 9, [b"ab", memoryview(b"cd"), b""], ignore)
    second = log.append(2**63, 65535, [], ignore)
    end = log.close()
    log = Log.open(store, clock(), options(2), end)
    frames = list(log.replay(0))
    assert [(f.seq, f.ts, f.stream, f.kind, bytes(f.payload)) for f in frames] == [
        (1, first.ts, 3, 9, b"abcd"),
        (2, second.ts, 2**63, 65535, b""),
    ]
    third = log.append(3, 9, [b"x"], ignore)
    assert third.seq == 3
    assert third.ts > second.ts
    assert [f.seq for f in log.replay(1)] == [2, 3]
    log.close()


def test_rotation_and_trimming_keep_the_newer_records(tmp_path: Path) -> None:
    """Files whose records are all old enough go; the log still replays the rest."""
    store = LocalFileStore(tmp_path)
    log = Log.open(store, clock(), options(rotate_bytes=500))
    write(log, 40)
    assert len(store.list("log")) > 3
    log.trim(20)
    assert 1 < log.oldest_seq <= 21
    end = log.close()
    log = Log.open(store, clock(), options(2, rotate_bytes=500), end)
    assert contents(log, 20) == expected(40)[20:]
    with pytest.raises(CorruptionError):
        list(log.replay(0))
    with pytest.raises(CorruptionError):
        list(log.replay(41))
    log.trim(40, rotate=True)
    assert len(store.list("log")) == 1
    last = log.append(1, 1, [b"x"], ignore)
    log.close()
    log = Log.open(store, clock(), options(3))
    assert [(f.seq, f.ts) for f in log.replay(40)] == [(41, last.ts)]
    log.close()


def test_timestamps_do_not_go_back_after_everything_was_trimmed(
    tmp_path: Path,
) -> None:
    """The file header carries the newest timestamp of the files before it."""
    store = LocalFileStore(tmp_path)
    log = Log.open(store, clock(), options())
    ticket = log.append(1, 1, [b"x"], ignore)
    log.trim(1, rotate=True)
    log.close()
    later = HybridClock(lambda: 0)
    log = Log.open(store, later, options(2))
    assert later.next() > ticket.ts
    log.close()


def test_every_flipped_byte_is_found_or_harmless(tmp_path: Path) -> None:
    """After a kill: a flip in acknowledged bytes is corruption, never a lost record."""
    data, _ = small_log(tmp_path)
    everything = expected(4)
    damaged = 0
    for position in range(len(data)):
        for bit in (0x01, 0x80):
            changed = bytearray(data)
            changed[position] ^= bit
            (tmp_path / FIRST).write_bytes(changed)
            store = LocalFileStore(tmp_path, read_only=True)
            try:
                log = Log.open(store, clock(), options())
            except CorruptionError as error:
                assert FIRST in str(error)
                assert log_damages(store) == [str(error)]
                damaged += 1
            else:
                assert contents(log) == everything
                log.close()
    assert damaged > 1.5 * len(data)


def test_truncation_gives_a_prefix_or_an_error(tmp_path: Path) -> None:
    """A log cut anywhere holds a prefix; with a known end, cutting is corruption."""
    data, end = small_log(tmp_path)
    everything = expected(4)
    for size in range(len(data)):
        (tmp_path / FIRST).write_bytes(data[:size])
        store = LocalFileStore(tmp_path, read_only=True)
        log = Log.open(store, clock(), options())
        found = contents(log)
        assert found == everything[: len(found)]
        log.close()
        if size < end.offset:
            with pytest.raises(CorruptionError):
                Log.open(store, clock(), options(), end)


def test_a_torn_tail_is_cut_and_overwritten(tmp_path: Path) -> None:
    """Bytes after the last whole record go, and do not come back later."""
    data, _ = small_log(tmp_path)
    store = LocalFileStore(tmp_path)
    half_a_record = data[FILE_HEADER_BYTES : FILE_HEADER_BYTES + 70]
    for tail in (half_a_record, bytes(1000), b"x"):
        (tmp_path / FIRST).write_bytes(data + tail)
        log = Log.open(store, clock(), options(2))
        assert contents(log) == expected(4)
        assert store.size(FIRST) == len(data)
        write(log, 1)
        log.close()
        log = Log.open(store, clock(), options(3))
        assert contents(log) == expected(5)
        log.close()


def test_missing_files_are_noticed(tmp_path: Path) -> None:
    """A hole, a lost end or a lost log is corruption."""
    store = LocalFileStore(tmp_path)
    log = Log.open(store, clock(), options(rotate_bytes=300))
    write(log, 12)
    end = log.close()
    names = store.list("log")
    assert len(names) > 3
    kept = {name: store.read(name) for name in names}
    for lost in (names[1], names[-1]):
        store.delete(lost)
        with pytest.raises(CorruptionError, match=lost):
            Log.open(store, clock(), options(), end)
        (tmp_path / lost).write_bytes(kept[lost])
    store.delete(names[0])
    log = Log.open(LocalFileStore(tmp_path, read_only=True), clock(), options(), end)
    with pytest.raises(CorruptionError):
        list(log.replay(0))
    store.delete_folder("log")
    with pytest.raises(CorruptionError):
        Log.open(store, clock(), options(), end)


def test_damage_in_an_older_file_is_found(tmp_path: Path) -> None:
    """A closed file must reach exactly the end that its successor names."""
    store = LocalFileStore(tmp_path)
    log = Log.open(store, clock(), options(rotate_bytes=300))
    write(log, 12)
    log.close()
    path = tmp_path / FIRST
    data = path.read_bytes()
    for changed in (data[:-1], data[:-64], data + bytes(8), data[:-3] + b"xyz", b""):
        path.write_bytes(changed)
        with pytest.raises(CorruptionError, match=FIRST):
            Log.open(LocalFileStore(tmp_path), clock(), options())


def test_a_read_only_log_is_left_alone(tmp_path: Path) -> None:
    """Reading changes no byte, and writing is refused."""
    data, _ = small_log(tmp_path)
    torn = data + b"torn"
    (tmp_path / FIRST).write_bytes(torn)
    log = Log.open(LocalFileStore(tmp_path, read_only=True), clock(), options())
    assert contents(log) == expected(4)
    with pytest.raises(ReadOnlyError):
        log.append(1, 1, [b"x"], ignore)
    log.close()
    assert (tmp_path / FIRST).read_bytes() == torn


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_any_bytes_give_records_or_our_error(data: st.DataObject) -> None:
    """The scanner never fails in another way, whatever it is fed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        original, _ = small_log(root, 2)
        content = bytearray(original)
        for _ in range(data.draw(st.integers(0, 4))):
            start = data.draw(st.integers(0, len(content)))
            length = data.draw(st.integers(0, 80))
            content[start : start + length] = data.draw(st.binary(max_size=80))
        (root / FIRST).write_bytes(content)
        try:
            log = Log.open(LocalFileStore(root), clock(), options())
        except StorageError:
            return
        found = contents(log)
        assert found == expected(2)[: len(found)]
        log.close()


class Life:
    """One run of a writing program on a faulty store, and what it may expect."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.acknowledged: dict[int, bytes] = {}
        self.submitted: dict[int, bytes] = {}
        self.trimmed = 0
        self.end: LogEnd | None = None

    def reopen(self, store: FaultStore) -> Log:
        """Open the log and compare it with what was acknowledged."""
        seed = self.rng.randrange(99)
        while True:
            try:
                log = Log.open(store, clock(), options(seed, 20_000), self.end)
                break
            except CorruptionError:
                raise
            except StorageError:
                continue  # an injected failure while mending; try again
        found = {f.seq: bytes(f.payload) for f in log.replay(self.trimmed)}
        lost = {seq for seq in self.acknowledged if seq > self.trimmed} - set(found)
        assert not lost, f"acknowledged records lost: {lost}"
        for seq, content in found.items():
            assert self.submitted.get(seq) == content, f"record {seq} is not ours"
        self.acknowledged.update(found)
        self.submitted = dict(self.acknowledged)
        return log

    def write(self, log: Log) -> None:
        """Write, trim and note the end until the log refuses or the process dies."""
        while True:
            tickets = []
            for _ in range(self.rng.randint(1, 4)):
                content = self.rng.randbytes(
                    self.rng.choice([0, 5, 100, 6_000, 15_000])
                )
                self.submitted[log.last_seq + 1] = content
                tickets.append(log.submit(1, 1, [content], ignore))
            for ticket in tickets:
                self.settle(log, ticket)
            if self.rng.random() < 0.2:
                self.trimmed = self.rng.randint(self.trimmed, log.applied_seq)
                log.trim(self.trimmed, rotate=self.rng.random() < 0.3)
            if self.rng.random() < 0.2:
                self.end = log.end()

    def settle(self, log: Log, ticket: Ticket) -> None:
        """Wait and note what was promised about the record."""
        try:
            log.wait(ticket)
            self.acknowledged[ticket.seq] = self.submitted[ticket.seq]
        except UnknownOutcome:
            raise
        except (StorageError, ReadOnlyError):
            del self.submitted[ticket.seq]


def crash_round(root: Path, seed: int) -> None:
    """Write, fail, crash somewhere, lose power, reopen, compare; three lives."""
    rng = random.Random(seed)
    life = Life(rng)
    for number in range(3):
        errors = [errno.ENOSPC, errno.EIO]
        store = FaultStore(
            root / f"{number}",
            rng.randrange(1 << 30),
            crash_at=rng.randint(1, 80),
            fail_at={rng.randint(1, 80): rng.choice(errors) for _ in range(seed % 4)},
        )
        try:
            while True:
                log = life.reopen(store)
                with suppress(StorageError, ReadOnlyError):
                    life.write(log)
        except SimulatedCrash:
            store.materialise(root / f"{number + 1}", rng)
    life.reopen(FaultStore(root / "3"))


@pytest.mark.parametrize("block", range(4))
def test_a_power_loss_takes_no_acknowledged_record(tmp_path: Path, block: int) -> None:
    """Whatever subset of unsynced pages reaches the disk, and after further crashes.

    Nor does a record come back whose write was reported as failed.
    """
    for seed in range(block * 75, block * 75 + 75):
        try:
            crash_round(tmp_path / f"{seed}", seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        shutil.rmtree(tmp_path / f"{seed}")
