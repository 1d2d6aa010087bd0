"""The one import of faiss, with its threading tamed.

OpenMP threads that spin while they wait starve the other engine threads, and more than
one per search thread gains nothing when searches already run side by side. So the
passive wait policy is set before faiss is loaded, and every thread that searches calls
:func:`use_one_thread` once. Index builds set their own count.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import faiss as _faiss

__all__ = ["faiss", "native_threads", "use_one_thread"]

# Its generated classes carry no usable types.
faiss: Any = _faiss

_local = threading.local()


def use_one_thread() -> None:
    """Keep OpenMP to the calling thread; the setting is per thread and sticks."""
    if not hasattr(_local, "is_set"):
        faiss.omp_set_num_threads(1)
        _local.is_set = True


@contextmanager
def native_threads(count: int) -> Iterator[None]:
    """Let faiss use ``count`` OpenMP threads for calls of this thread in the block."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
