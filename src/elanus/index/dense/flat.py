"""FLAT: the rows themselves, unit length for COSINE. Every search is exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elanus.distance.kernels import VectorBlock, nearest_all, nearest_at
from elanus.distance.metrics import Floats
from elanus.distance.native import faiss
from elanus.distance.topk import TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, BuildRequest, IndexMeta
from elanus.index.dense.native_file import faiss_metric, open_native, write_native
from elanus.index.params import parse_build_params

_CHUNK_ROWS = 16_384


class FlatIndex:
    """An open FLAT index."""

    sketch = None
    full_effort = 1
    visits_lists = True
    is_lossy = False
    is_exact = False  # filters go the way of all kinds of numbers

    def __init__(self, meta: IndexMeta, native: Any) -> None:
        """Take over a mapped ``faiss.IndexFlat``."""
        self.meta = meta
        self._native = native
        self.raw_rows = flat_rows(native, meta)

    def search(
        self, queries: Floats, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """The nearest rows, exactly."""
        if allowed is None:
            return nearest_all(queries, self.raw_rows, limit)
        return nearest_at(queries, self.raw_rows, allowed.offsets, limit)


class Flat:
    """Kind FLAT: no parameters."""

    name = "FLAT"

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Nothing to resolve."""
        return parse_build_params(self.name, params)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Write the rows."""
        index = faiss.IndexFlat(request.dim, faiss_metric(request.metric))
        add_in_chunks(index, request, _CHUNK_ROWS, 1.0)
        write_native(index, path)
        return request.meta(self.name)

    def open(self, meta: IndexMeta, path: Path) -> FlatIndex:
        """Map the rows."""
        index = open_native(meta, path)
        if not isinstance(index, faiss.IndexFlat):
            raise CorruptionError(str(path), "is not a FLAT index")
        return FlatIndex(meta, index)


def flat_rows(flat: Any, meta: IndexMeta) -> VectorBlock:
    """The rows of a ``faiss.IndexFlat`` without a copy; valid while it lives."""
    count = meta.rows * meta.dim
    values = faiss.rev_swig_ptr(flat.get_xb(), count)
    values.flags.writeable = False
    return VectorBlock(values.reshape(meta.rows, meta.dim), meta.metric)


def add_in_chunks(
    index: Any, request: BuildRequest, chunk_rows: int, done_at: float
) -> None:
    """Add all rows, at unit length for COSINE, with progress up to ``done_at``.

    Raises:
        Cancelled: between two chunks.
    """
    for start in range(0, request.rows, chunk_rows):
        request.step(done_at * start / request.rows)
        index.add(request.compared(slice(start, start + chunk_rows)))
    request.step(done_at)
