"""HNSW_SQ and HNSW_PQ: the graph of HNSW over rows kept as codes only.

The graph is built over the rows as they are, so that no link is chosen by a code's
error; then the codes take their place. A search walks by codes, and what it names is
measured on the segment's own rows (:mod:`elanus.index.search`).

Sources: as :mod:`elanus.index.dense.hnsw` and :mod:`elanus.index.dense.ivf`. Code books
are fitted to few rows, and to 256 MiB of tables between the codes: 32 books get at most
10 bits. With fewer than 16 rows HNSW_PQ keeps the rows (``nbits`` 0 in the resolved
parameters).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats
from elanus.distance.native import faiss, native_threads
from elanus.distance.topk import TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, BuildRequest, IndexMeta
from elanus.index.calibration import calibrate_graph
from elanus.index.dense.flat import add_in_chunks
from elanus.index.dense.native_file import (
    UnfilteredParams,
    faiss_metric,
    open_native,
    search_native,
    unlink,
    write_native,
)
from elanus.index.params import SQ_TYPE, check_subquantizers, parse_build_params

_CHUNK_ROWS = 8_192
_GRAPH_SHARE = 0.85
_CODED_SHARE = 0.95
_TRAINING_ROWS_PER_CODE = 64
_LEAST_TRAINING_ROWS = 8_192
_MIN_PQ_ROWS = 16
_TRAINING_ROUNDS = 10
_TABLE_VALUES = 1 << 26
# Fewer rows are measured one by one sooner than a calibration pays.
_MIN_CALIBRATED_ROWS = 4_096
_SEED_BITS = 0x7FFFFFFF
_QUANTIZERS = {
    "sq4u": "QT_4bit_uniform",
    "sq6": "QT_6bit",
    "sq8": "QT_8bit",
    "bf16": "QT_bf16",
    "fp16": "QT_fp16",
}


class CodedHnswIndex:
    """An open graph over codes."""

    raw_rows = None
    sketch = None
    visits_lists = False
    is_lossy = True
    is_exact = False

    def __init__(self, meta: IndexMeta, native: Any) -> None:
        """Take over a ``faiss.IndexHNSW`` whose storage holds codes."""
        self.meta = meta
        self.full_effort = max(1, meta.rows)
        self._native = native
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
        return search_native(self._native, self.meta.metric, queries, limit, params)


@dataclass(frozen=True)
class CodedHnsw:
    """A kind of graph over rows in one encoding."""

    name: str

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """The parameters with their defaults, fitted to few rows and large tables."""
        parsed = parse_build_params(self.name, params)
        if "m" not in parsed:
            return parsed
        check_subquantizers(dim, parsed["m"], of="the vector")
        if rows:
            tables = int(math.log2(_TABLE_VALUES / parsed["m"])) // 2
            fitted = min(parsed["nbits"], rows.bit_length() - 1, tables)
            parsed["nbits"] = fitted if rows >= _MIN_PQ_ROWS else 0
        return parsed

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build the graph, put codes in the place of its rows, calibrate."""
        resolved = self.resolve(request.params, request.rows, request.dim)
        meta = request.meta(self.name, resolved)
        code = faiss_metric(request.metric)
        graph = faiss.IndexHNSWFlat(request.dim, resolved["M"], code)
        graph.hnsw.efConstruction = resolved["efConstruction"]
        with native_threads(request.threads):
            add_in_chunks(graph, request, _CHUNK_ROWS, _GRAPH_SHARE)
            if request.rows:
                _replace_rows(graph, _coded(meta, request))
            request.step(_CODED_SHARE)
            write_native(graph, path)
            if request.rows >= _MIN_CALIBRATED_ROWS:
                block = VectorBlock.of(request.matrix, request.metric)
                coded = CodedHnswIndex(meta, graph)
                found = calibrate_graph(
                    coded, block, request.seed, lambda held: unlink(graph, held)
                )
                meta = replace(meta, calibration=found)
        request.step(1.0)
        return meta

    def open(self, meta: IndexMeta, path: Path) -> CodedHnswIndex:
        """Load graph and codes."""
        native = open_native(meta, path)
        if not isinstance(native, faiss.IndexHNSW):
            raise CorruptionError(str(path), f"is not an {self.name} index")
        return CodedHnswIndex(meta, native)


def _params(effort: int) -> Any:
    return faiss.SearchParametersHNSW(efSearch=effort)


def _replace_rows(graph: Any, storage: Any) -> None:
    """Let a graph walk over other forms of the same rows; it owns them then."""
    rows = faiss.downcast_index(graph.storage)
    graph.storage = storage
    storage.this.disown()
    rows.this.own(True)  # freed with this name


def _coded(meta: IndexMeta, request: BuildRequest) -> Any:
    """The rows as codes, in their order."""
    storage = _new_storage(meta)
    if not storage.is_trained:
        if isinstance(storage, faiss.IndexPQ):
            storage.pq.cp.seed = request.seed & _SEED_BITS
            storage.pq.cp.min_points_per_centroid = 1
            storage.pq.cp.niter = _TRAINING_ROUNDS
        storage.train(_training_rows(request, meta.resolved))
    for start in range(0, request.rows, _CHUNK_ROWS):
        storage.add(request.compared(slice(start, start + _CHUNK_ROWS)))
    return storage


def _new_storage(meta: IndexMeta) -> Any:
    code = faiss_metric(meta.metric)
    if SQ_TYPE.name in meta.resolved:
        name = SQ_TYPE.values[meta.resolved[SQ_TYPE.name]]
        quantizer = getattr(faiss.ScalarQuantizer, _QUANTIZERS[name])
        return faiss.IndexScalarQuantizer(meta.dim, quantizer, code)
    if not meta.resolved["nbits"]:
        return faiss.IndexFlat(meta.dim, code)
    return faiss.IndexPQ(meta.dim, meta.resolved["m"], meta.resolved["nbits"], code)


def _training_rows(request: BuildRequest, resolved: Mapping[str, int]) -> Floats:
    codes = 1 << resolved.get("nbits", 0)
    enough = max(_LEAST_TRAINING_ROWS, _TRAINING_ROWS_PER_CODE * codes)
    rng = np.random.default_rng(request.seed)
    count = min(request.rows, enough)
    chosen = np.sort(rng.choice(request.rows, count, replace=False))
    return request.compared(chosen)
