"""Records on their way into the log, alone and in groups."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from elanus.errors import ElanusError
from elanus.storage.files import Buffer
from elanus.storage.wal_frames import FrameHead

Apply = Callable[[int, int], None]
"""Takes (seq, ts) of a durable record and makes it visible. It must not fail."""


class Ticket:
    """A record on its way into the log; pass it to :meth:`Log.wait`.

    Attributes:
        seq: its place in the log.
        ts: its hybrid timestamp.
    """

    __slots__ = (
        "apply",
        "error",
        "event",
        "head",
        "is_done",
        "is_queued",
        "length",
        "payload",
        "seq",
        "ts",
    )

    def __init__(self, payload: Sequence[Buffer], apply: Apply) -> None:
        self.payload = payload
        self.apply = apply
        self.length = sum(memoryview(part).nbytes for part in payload)
        self.seq = self.ts = 0
        self.head: FrameHead
        self.is_queued = self.is_done = False
        self.error: ElanusError | None = None
        self.event: threading.Event | None = None


class Group:
    """The records that one sync makes durable."""

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.error: ElanusError | None = None
        self.turn = threading.Event()
