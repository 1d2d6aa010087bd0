"""What all shards of one process share, passed in rather than looked up."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from elanus.clock import HybridClock
from elanus.config import Settings
from elanus.engine.sampling import RecallSampler
from elanus.errors import StorageError
from elanus.segment.sealed import SealedSegment
from elanus.storage.files import FileStore
from elanus.storage.meta import MetaStore
from elanus.storage.wal import Log

RecordKey = tuple[str, str]
COUNTER: RecordKey = ("counter", "id")
LOG_END: RecordKey = ("log", "end")
NEWEST_TS: RecordKey = ("clock", "newest")


class IdSource:
    """Numbers that are never given twice, as long as each use is committed."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._lock = threading.Lock()

    def next(self) -> int:
        """A number larger than all before."""
        with self._lock:
            self._last += 1
            return self._last

    @property
    def last(self) -> int:
        """The newest number given."""
        return self._last


class Trash:
    """Files and folders to delete once no reader holds the segment that maps them."""

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._files: queue.SimpleQueue[str] = queue.SimpleQueue()

    def retire(self, segment: SealedSegment, folders: list[str]) -> None:
        """Delete ``folders`` after the last reference to ``segment`` is gone."""
        for folder in folders:
            weakref.finalize(segment, self._ready.put, folder).atexit = False

    def add(self, folder: str) -> None:
        """Delete ``folder`` at the next opportunity."""
        self._ready.put(folder)

    def add_file(self, name: str) -> None:
        """Delete one file at the next opportunity."""
        self._files.put(name)

    def empty(self, store: FileStore) -> None:
        """Delete everything that is ready.

        Raises:
            StorageError: the system refused; the rest is tried again next time.
        """
        _delete_all(self._files, store.delete)
        _delete_all(self._ready, store.delete_folder)


def _delete_all(names: queue.SimpleQueue[str], delete: Callable[[str], None]) -> None:
    while True:
        try:
            name = names.get_nowait()
        except queue.Empty:
            return
        try:
            delete(name)
        except StorageError:
            names.put(name)
            raise


class Bell:
    """Tells a waiting thread that there is work; may be rung from under any lock."""

    def __init__(self) -> None:
        self._ring: Callable[[], None] | None = None

    def answer_with(self, ring: Callable[[], None]) -> None:
        """Call ``ring`` from now on."""
        self._ring = ring

    def __call__(self) -> None:
        """Ring, if anyone listens."""
        if self._ring is not None:
            self._ring()


@dataclass(frozen=True)
class Node:
    """The services a shard writes with and reads from.

    Attributes:
        wake_flusher: to be called when rows are ready to be flushed.
        sampler: measures the recall of searches.
    """

    store: FileStore
    meta: MetaStore
    log: Log
    clock: HybridClock
    settings: Settings
    ids: IdSource
    trash: Trash = field(default_factory=Trash)
    wake_flusher: Bell = field(default_factory=Bell)
    sampler: RecallSampler | None = None

    def commit(self, records: Mapping[RecordKey, bytes | None]) -> None:
        """Make metadata records durable, all or none.

        The id counter goes with them, the newest timestamp, which is not older than
        any in the files that the records name, and how far the log is known to reach:
        anything missing before that place is damage, not a torn tail.

        Raises:
            StorageError, DiskFull: nothing changed.
        """
        counter = str(self.ids.last).encode()
        end = orjson.dumps(self.log.end().to_json())
        self.log.generation = self.meta.commit(
            {
                **records,
                COUNTER: counter,
                LOG_END: end,
                NEWEST_TS: str(self.clock.last).encode(),
            }
        )
