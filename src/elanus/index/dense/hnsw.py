"""HNSW: a layered graph over the rows, which it also holds, as narrow as they are.

Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search
using Hierarchical Navigable Small World graphs", 2018; faiss' implementation. Larger
indexes get a sketch (:mod:`elanus.index.sketch`) for filters that the graph serves
badly, and a calibration of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats
from elanus.distance.native import faiss, native_threads
from elanus.distance.topk import TopK
from elanus.errors import CorruptionError
from elanus.index.base import (
    Allowed,
    BuildRequest,
    IndexMeta,
    sketch_path,
)
from elanus.index.calibration import calibrate_graph
from elanus.index.dense.flat import add_in_chunks, flat_rows
from elanus.index.dense.narrow import narrow_codes, training_rows
from elanus.index.dense.native_file import (
    UnfilteredParams,
    faiss_metric,
    open_native,
    search_native,
    unlink,
    write_native,
)
from elanus.index.params import parse_build_params
from elanus.index.sketch import Sketch, build_sketch, is_worth_a_sketch

# Rows added between two looks at the cancel flag, and the fewest of those chunks. A
# chunk ends with its threads waiting for the slowest, so it must not be small.
_CHUNK_ROWS = 8_192
_GRAPH_SHARE = 0.95


class HnswIndex:
    """An open HNSW index."""

    visits_lists = False
    is_exact = False

    def __init__(self, meta: IndexMeta, native: Any, sketch: Sketch | None) -> None:
        """Take over a ``faiss.IndexHNSW``."""
        self.meta = meta
        self.sketch = sketch
        self.full_effort = meta.rows
        self._native = native
        self._metric = meta.metric
        # A downcast storage does not own its memory: self._native keeps it alive.
        storage = faiss.downcast_index(native.storage)
        self.is_lossy = not isinstance(storage, faiss.IndexFlat)
        self.raw_rows: VectorBlock | None = None
        if not self.is_lossy:
            self.raw_rows = flat_rows(storage, meta)
        self._unfiltered = UnfilteredParams(_params)

    def search(
        self, queries: Floats, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """A walk over the graph with ``ef`` = ``effort``."""
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(allowed.bits)
            params = faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        else:
            params = self._unfiltered.at(effort)
        return search_native(self._native, self._metric, queries, limit, params)


class Hnsw:
    """Kind HNSW: ``M`` links a row, ``efConstruction`` effort of the build."""

    name = "HNSW"

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """The parameters with their defaults."""
        return parse_build_params(self.name, params)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build graph, sketch and calibration."""
        resolved = self.resolve(request.params, request.rows, request.dim)
        meta = request.meta(self.name, resolved)
        code = faiss_metric(request.metric)
        native = _new_native(request, resolved["M"], code)
        native.hnsw.efConstruction = resolved["efConstruction"]
        with native_threads(request.threads):
            add_in_chunks(native, request, _CHUNK_ROWS, _GRAPH_SHARE)
            write_native(native, path)
            if not is_worth_a_sketch(request.rows):
                request.step(1.0)
                return meta
            graph = HnswIndex(meta, native, None)
            rows = graph.raw_rows or VectorBlock.of(request.matrix, request.metric)
            sketch = build_sketch(rows, request.seed)
            sketch.write(sketch_path(path))
            graph.sketch = sketch
            request.step((1 + _GRAPH_SHARE) / 2)
            found = calibrate_graph(
                graph, rows, request.seed, lambda held: unlink(native, held)
            )
        request.step(1.0)
        return replace(meta, calibration=found, has_sketch=True)

    def open(self, meta: IndexMeta, path: Path) -> HnswIndex:
        """Map graph and rows; the sketch is loaded."""
        native = open_native(meta, path)
        if not isinstance(native, faiss.IndexHNSW):
            raise CorruptionError(str(path), "is not an HNSW index")
        sketch = Sketch.open(meta, sketch_path(path)) if meta.has_sketch else None
        return HnswIndex(meta, native, sketch)


def _new_native(request: BuildRequest, m: int, code: int) -> Any:
    codes = narrow_codes(request)
    if codes is None:
        return faiss.IndexHNSWFlat(request.dim, m, code)
    native = faiss.IndexHNSWSQ(request.dim, codes, m, code)
    native.train(training_rows(request, 1))
    return native


def _params(effort: int) -> Any:
    return faiss.SearchParametersHNSW(efSearch=effort)
