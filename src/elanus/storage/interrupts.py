"""Holding Ctrl-C back while a change must not be left half-done.

Python raises ``KeyboardInterrupt`` between any two instructions of the main thread,
also between a sync and the note that it succeeded. Nobody could tell then what is
durable.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Deliver a Ctrl-C that arrives inside the block when the block has ended.

    Does nothing outside the main thread, or where the program has its own handler.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    held: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if held:
            signal.default_int_handler(signal.SIGINT, held[-1])
