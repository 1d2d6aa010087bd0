"""The IVF family: rows in lists around centres; a search reads a few lists.

Sources: Jégou, Douze and Schmid, "Product quantization for nearest neighbor search",
2011; for SCANN, whose codes are half a byte for two dimensions, André, Kermarrec and Le
Scouarnec, "Quicker ADC", 2019; for IVF_RABITQ, whose codes are a bit a dimension, Gao
and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
for Approximate Nearest Neighbor Search", 2024; faiss' implementations.

Parameters are fitted to few rows as Milvus does it: at least 39 rows a list, and for
IVF_PQ no more codes than rows. With fewer than 16 rows IVF_PQ and SCANN keep the rows
themselves (``nbits`` 0 in the resolved parameters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats
from elanus.distance.native import faiss, native_threads
from elanus.distance.topk import Offsets, TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, BuildRequest, IndexMeta
from elanus.index.calibration import Lists, calibrate_lists
from elanus.index.dense.flat import add_in_chunks
from elanus.index.dense.narrow import narrow_codes, training_rows
from elanus.index.dense.native_file import (
    UnfilteredParams,
    faiss_metric,
    open_native,
    search_native,
    write_native,
)
from elanus.index.params import check_subquantizers, parse_build_params

_ROWS_PER_LIST = 39
_MIN_PQ_ROWS = 16
_SCANN_BITS = 4
_CHUNK_ROWS = 16_384
_TRAINED_AT = 0.4
_ADDED_AT = 0.9
# Fewer rows are measured one by one sooner than a calibration pays.
_MIN_CALIBRATED_ROWS = 4_096
_SEED_BITS = 0x7FFFFFFF


class IvfIndex:
    """An open index of the IVF family."""

    raw_rows = None
    sketch = None
    visits_lists = True
    is_exact = False

    def __init__(self, meta: IndexMeta, native: Any) -> None:
        """Take over a ``faiss.IndexIVF``."""
        self.meta = meta
        self.full_effort: int = native.nlist
        self.is_lossy = not isinstance(native, faiss.IndexIVFFlat)
        self._native = native
        self._unfiltered = UnfilteredParams(_params)

    def search(
        self, queries: Floats, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """Read the ``nprobe`` = ``effort`` nearest lists."""
        nprobe = min(effort, self.full_effort)
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(allowed.bits)
            params = faiss.IVFSearchParameters(sel=selector, nprobe=nprobe)
        else:
            params = self._unfiltered.at(nprobe)
        return search_native(self._native, self.meta.metric, queries, limit, params)


@dataclass(frozen=True)
class Ivf:
    """A kind of the IVF family: ``nlist`` lists of rows in one encoding."""

    name: str

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """The parameters with their defaults, fitted to few rows."""
        parsed = parse_build_params(self.name, params)
        if "m" in parsed:
            check_subquantizers(dim, parsed["m"])
        if rows == 0:
            return parsed
        if self.name == "SCANN":
            parsed["m"] = dim if dim % 2 else dim // 2
            parsed["nbits"] = _SCANN_BITS
        parsed["nlist"] = max(1, min(parsed["nlist"], rows // _ROWS_PER_LIST))
        if "nbits" in parsed:
            fitted = min(parsed["nbits"], rows.bit_length() - 1)
            parsed["nbits"] = fitted if rows >= _MIN_PQ_ROWS else 0
        return parsed

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Train on a sample, add all rows, calibrate."""
        resolved = self.resolve(request.params, request.rows, request.dim)
        meta = request.meta(self.name, resolved)
        with native_threads(request.threads):
            if request.rows:
                meta = self._build_lists(request, meta, path)
            else:
                # Lists cannot be trained on nothing; an empty index is never searched.
                code = faiss_metric(request.metric)
                write_native(faiss.IndexFlat(request.dim, code), path)
        request.step(1.0)
        return meta

    def open(self, meta: IndexMeta, path: Path) -> IvfIndex:
        """Map the lists."""
        native = open_native(meta, path)
        if meta.rows == 0:
            native = faiss.IndexIVFFlat(native, meta.dim, 1, faiss_metric(meta.metric))
        if not isinstance(native, faiss.IndexIVF):
            raise CorruptionError(str(path), f"is not an {self.name} index")
        return IvfIndex(meta, native)

    def _build_lists(
        self, request: BuildRequest, meta: IndexMeta, path: Path
    ) -> IndexMeta:
        native = _new_native(self.name, meta, narrow_codes(request))
        native.cp.seed = request.seed & _SEED_BITS
        request.step(0.0)
        centres = max(meta.resolved["nlist"], 1 << meta.resolved.get("nbits", 0))
        native.train(training_rows(request, centres))
        request.step(_TRAINED_AT)
        _add(native, request)
        write_native(native, path)
        if request.rows < _MIN_CALIBRATED_ROWS:
            return meta
        block = VectorBlock.of(request.matrix, request.metric)
        lists = _lists(IvfIndex(meta, native), native)
        return replace(meta, calibration=calibrate_lists(block, lists, request.seed))


def _lists(index: IvfIndex, native: Any) -> Lists:
    """The lists of an index as its calibration sees them."""
    of_rows = np.empty(index.meta.rows, np.int64)
    for number in range(native.nlist):
        count = native.invlists.list_size(number)
        if count:
            ids = faiss.rev_swig_ptr(native.invlists.get_ids(number), count)
            of_rows[ids] = number

    def nearest(queries: Floats) -> Offsets:
        order: Offsets = native.quantizer.search(queries, native.nlist)[1]
        return order

    def named(queries: Floats, count: int) -> Offsets:
        return index.search(queries, count, native.nlist, None).offsets

    return Lists(of_rows, nearest, named if index.is_lossy else None)


def _params(nprobe: int) -> Any:
    return faiss.IVFSearchParameters(nprobe=nprobe)


def _add(native: Any, request: BuildRequest) -> None:
    def onwards(share: float) -> None:
        request.progress(_TRAINED_AT + share * (_ADDED_AT - _TRAINED_AT))

    add_in_chunks(native, replace(request, progress=onwards), _CHUNK_ROWS, 1.0)


def _new_native(kind: str, meta: IndexMeta, narrow: int | None) -> Any:
    """An untrained faiss index of the kind; ``narrow`` codes keep the rows as such."""
    code = faiss_metric(meta.metric)
    nlist = meta.resolved["nlist"]
    nbits = meta.resolved.get("nbits", 0)
    centres = faiss.IndexFlat(meta.dim, code)
    shape = (centres, meta.dim, nlist)
    if kind == "IVF_SQ8":
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        native = faiss.IndexIVFScalarQuantizer(*shape, eight_bits, code)
    elif kind == "IVF_PQ" and nbits:
        native = faiss.IndexIVFPQ(*shape, meta.resolved["m"], nbits, code)
        native.pq.cp.min_points_per_centroid = 1
    elif kind == "SCANN" and nbits:
        native = faiss.IndexIVFPQFastScan(*shape, meta.resolved["m"], nbits, code)
        native.pq.cp.min_points_per_centroid = 1
    elif kind == "IVF_RABITQ":
        native = faiss.IndexIVFRaBitQ(*shape, code)
    elif narrow is not None:
        # codes of the rows, not of differences to a centre
        native = faiss.IndexIVFScalarQuantizer(*shape, narrow, code, False)
    else:
        native = faiss.IndexIVFFlat(*shape, code)
    # The index frees its centres; two owners would free them twice.
    native.own_fields = True
    centres.this.disown()
    native.cp.min_points_per_centroid = 1
    native.cp.spherical = meta.metric.row.normalises
    return native
