"""Giving freed memory back to the operating system.

glibc and Arrow's allocator keep freed blocks for later use. After a flush that is tens
of megabytes which a quiet database never needs again.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import pyarrow as pa


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def release_free_memory() -> None:
    """Return free pages of Arrow's pool, and of the heap where the C library can."""
    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
