"""faiss indexes as files: write, map, and call them with the least overhead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.metrics import Floats, Metric
from elanus.distance.native import faiss, use_one_thread
from elanus.distance.topk import Offsets, TopK
from elanus.errors import CorruptionError
from elanus.index.base import IndexMeta

_CACHED_EFFORTS = 64


def faiss_metric(metric: Metric) -> int:
    """The number faiss has for the metric; COSINE is IP over unit vectors."""
    code: int = faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT
    return code


def write_native(index: Any, path: Path) -> None:
    """Write a faiss index to ``path``, neither synced nor checked."""
    faiss.write_index(index, str(path))


def open_native(meta: IndexMeta, path: Path) -> Any:
    """Map the faiss index at ``path``; its pages are read as searches touch them.

    The returned object owns the mapping: keep it as long as anything taken from it.

    Raises:
        CorruptionError: faiss refuses the file, or it holds another shape.
    """
    try:
        # tables between codes are for building graphs
        flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_PQ_SKIP_SDC_TABLE
        index = faiss.read_index(str(path), flags)
    except (RuntimeError, MemoryError) as error:
        raise CorruptionError(str(path), f"not a readable index: {error}") from error
    shape = (index.ntotal, index.d)
    if shape != (meta.rows, meta.dim):
        raise CorruptionError(
            str(path), f"holds {shape}, its description says {(meta.rows, meta.dim)}"
        )
    return index


class UnfilteredParams(threading.local):
    """Search parameters without a filter, made once per thread and effort.

    Making them costs a tenth of a short search.
    """

    def __init__(self, create: Callable[[int], Any]) -> None:
        """Args: create: makes the parameters of an effort."""
        use_one_thread()
        self._create = create
        self._by_effort: dict[int, Any] = {}

    def at(self, effort: int) -> Any:
        """The calling thread's parameters of this effort."""
        params = self._by_effort.get(effort)
        if params is None:
            if len(self._by_effort) >= _CACHED_EFFORTS:
                self._by_effort.clear()
            params = self._by_effort[effort] = self._create(effort)
        return params


def search_native(
    index: Any, metric: Metric, queries: Floats, limit: int, params: Any
) -> TopK:
    """One call of a faiss index; similarities come back as distances."""
    nq = len(queries)
    offsets = np.empty((nq, limit), np.int64)
    distances = np.empty((nq, limit), np.float32)
    pointer = faiss.swig_ptr
    # The checked Python wrapper of faiss costs more than a short search should wait.
    index.search_c(
        nq, pointer(queries), limit, pointer(distances), pointer(offsets), params
    )
    if metric is not Metric.L2:
        np.negative(distances, out=distances)
    if offsets[0, -1] < 0 if nq == 1 else (offsets[:, -1] < 0).any():
        # Empty places hold the largest float instead of infinity.
        distances[offsets < 0] = np.inf
    return TopK(offsets, distances)


def unlink(graph: Any, rows: Offsets) -> None:
    """Let no link of a graph lead to some rows, so that walks do not find them.

    Args:
        graph: a ``faiss.IndexHNSW`` in memory.
    """
    links = graph.hnsw.neighbors
    ends = faiss.rev_swig_ptr(links.data(), links.size())
    is_gone = np.zeros(graph.ntotal + 1, np.bool_)  # the last place is that of no link
    is_gone[rows] = True
    lost = np.flatnonzero(is_gone[ends])
    starts = faiss.vector_to_array(graph.hnsw.offsets)
    # A link to oneself leads nowhere; no link at all would end the list.
    ends[lost] = np.searchsorted(starts, lost, side="right") - 1
