"""What a log folder holds after any end of the process, and whether it is sound.

Owns the rules by which files form one log: numbers without a hole, each file saying
where its predecessor ended, a torn end allowed only in the last one. Reads only; the
log itself mends the tail.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elanus.errors import CorruptionError, StorageError
from elanus.storage.files import FileStore
from elanus.storage.wal_frames import (
    FILE_HEADER_BYTES,
    MARK,
    FileHeader,
    Frame,
    frames_in,
    is_known_durable,
)

_NAME = re.compile(r"\d{10}\.log")


@dataclass(frozen=True)
class LogEnd:
    """A place up to which the log is known to be durable.

    Attributes:
        number: of the log file.
        offset: bytes of that file.
        seq: of the last frame before it.
    """

    number: int
    offset: int
    seq: int

    def to_json(self) -> dict[str, object]:
        """A JSON-ready form."""
        return {"number": self.number, "offset": self.offset, "seq": self.seq}

    @staticmethod
    def from_json(record: Mapping[str, object]) -> LogEnd:
        """The inverse of :meth:`to_json`."""
        number, offset, seq = (
            int(str(record[key])) for key in ("number", "offset", "seq")
        )
        return LogEnd(number, offset, seq)


@dataclass
class LogFile:
    """One file of the log.

    Attributes:
        name: in the file store.
        header: its first bytes.
        end: where its valid frames end.
    """

    name: str
    header: FileHeader
    end: int


@dataclass
class RecoveredLog:
    """The sound part of a log folder.

    Attributes:
        files: oldest first; empty when there is no log yet.
        last_seq: of the newest frame; 0 in a new log.
        last_ts: the newest timestamp.
        generation: the newest metadata generation that a mark carries.
        proven: offset in the last file that is known to have been synced.
        torn_bytes: bytes after the valid end of the last file.
        unborn: a file whose creation a crash interrupted, to be deleted.
    """

    files: list[LogFile]
    last_seq: int = 0
    last_ts: int = 0
    generation: int = 0
    proven: int = 0
    torn_bytes: int = 0
    unborn: str | None = None


def log_file_name(folder: str, number: int) -> str:
    """The store's name of a log file."""
    return f"{folder}/{number:010d}.log"


def recover_log(
    store: FileStore, folder: str, known_end: LogEnd | None = None
) -> RecoveredLog:
    """Read and verify the whole log.

    Args:
        store: where the files are.
        folder: of the log.
        known_end: a durable place noted earlier; a log that does not reach it is
            damaged. Older ones prove less but are never wrong.

    Raises:
        CorruptionError: bytes that were durable are damaged or gone.
        FormatError: written by a newer version.
    """
    log = RecoveredLog([])
    numbers = _numbers(store, folder)
    headers = _headers(store, folder, numbers, log)
    _check_reach(folder, headers, known_end)
    for index, header in enumerate(headers):
        successor = headers[index + 1] if index + 1 < len(headers) else None
        floor = FILE_HEADER_BYTES
        if known_end is not None and known_end.number == header.number:
            floor = known_end.offset
        if successor is not None:
            floor = max(floor, successor.previous_end)
        name = log_file_name(folder, header.number)
        _scan(store, LogFile(name, header, floor), successor, log)
    if known_end is not None and log.last_seq < known_end.seq:
        raise CorruptionError(
            folder, f"ends at record {log.last_seq}, {known_end.seq} was written"
        )
    return log


def log_damages(
    store: FileStore,
    folder: str = "log",
    known_end: LogEnd | None = None,
    needed_after: int | None = None,
) -> list[str]:
    """Every damage of a closed log, in words.

    Args:
        known_end: as in :func:`recover_log`.
        needed_after: records newer than this seq must be there.
    """
    try:
        log = recover_log(store, folder, known_end)
        first_seq = log.files[0].header.first_seq if log.files else 1
        if needed_after is not None and first_seq > needed_after + 1:
            raise CorruptionError(
                folder, f"begins at record {first_seq}, {needed_after + 1} is needed"
            )
    except StorageError as error:
        return [str(error)]
    return []


def replay_file(store: FileStore, file: LogFile) -> Iterator[Frame]:
    """The frames of one file without its marks.

    Raises:
        CorruptionError: not every frame up to ``file.end`` is there.
    """
    mapped = store.map(file.name)
    try:
        position = FILE_HEADER_BYTES
        for frame in frames_in(mapped, file.header, file.end):
            position = frame.end
            if frame.kind != MARK:
                yield frame
        if position != file.end:
            raise CorruptionError(file.name, f"bad record at byte {position}")
    finally:
        mapped.close()


def _numbers(store: FileStore, folder: str) -> list[int]:
    names = [name.rpartition("/")[2] for name in store.list(folder)]
    numbers = sorted(int(name[:10]) for name in names if _NAME.fullmatch(name))
    for number, following in itertools.pairwise(numbers):
        if following != number + 1:
            raise CorruptionError(
                log_file_name(folder, number + 1), "the log file is missing"
            )
    return numbers


def _headers(
    store: FileStore, folder: str, numbers: list[int], log: RecoveredLog
) -> list[FileHeader]:
    headers: list[FileHeader] = []
    for number in numbers:
        name = log_file_name(folder, number)
        try:
            header = FileHeader.parse(name, store.read(name, 0, FILE_HEADER_BYTES))
        except CorruptionError:
            # A header is synced before anything follows it, so one without a
            # successor may be torn.
            if number == numbers[-1] and store.size(name) <= FILE_HEADER_BYTES:
                log.unborn = name
                break
            raise
        if header.number != number:
            raise CorruptionError(name, f"is log file {header.number} by its header")
        headers.append(header)
    return headers


def _check_reach(
    folder: str, headers: list[FileHeader], known_end: LogEnd | None
) -> None:
    if known_end is None:
        return
    if not headers or headers[-1].number < known_end.number:
        raise CorruptionError(
            log_file_name(folder, known_end.number), "the log file is missing"
        )


def _scan(
    store: FileStore, file: LogFile, successor: FileHeader | None, log: RecoveredLog
) -> None:
    """Verify one file, whose ``end`` is the least it must reach, and add it."""
    header, floor = file.header, file.end
    limit = None if successor is None else successor.previous_end
    log.last_seq = max(log.last_seq, header.first_seq - 1)
    log.last_ts = max(log.last_ts, header.last_ts)
    mapped = store.map(file.name)
    try:
        position, proven = FILE_HEADER_BYTES, 0
        for frame in frames_in(mapped, header, limit):
            _note(file.name, frame, log)
            position = frame.end
            proven = max(proven, frame.durable_to)
        if position < floor or (
            limit is None
            and position < mapped.size
            and is_known_durable(mapped, position, header.file_id)
        ):
            raise CorruptionError(file.name, f"bad record at byte {position}")
        log.torn_bytes = mapped.size - position
        if log.torn_bytes and limit is not None:
            # Its successor was made when it ended here, so one of them is wrong.
            raise CorruptionError(file.name, f"goes on after its end at {position}")
    finally:
        mapped.close()
    log.proven = max(proven, floor if floor > FILE_HEADER_BYTES else 0)
    log.files.append(LogFile(file.name, header, position))


def _note(name: str, frame: Frame, log: RecoveredLog) -> None:
    if frame.kind == MARK:
        log.generation = max(log.generation, frame.stream)
        return
    if frame.seq <= log.last_seq or frame.ts <= log.last_ts:
        raise CorruptionError(name, f"record {frame.seq} is out of order")
    log.last_seq, log.last_ts = frame.seq, frame.ts
