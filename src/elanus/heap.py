"""Giving freed memory back to the operating system.

glibc keeps freed blocks of a few megabytes for later use. After a flush that is tens of
megabytes which a quiet database never needs again.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def release_free_memory() -> None:
    """Return free heap pages to the system, where the C library can do that."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
