"""The sketch: a lossy copy of all rows, small enough to be scanned for every search.

A filter that passes a tenth of the rows is the worst case for everything else: too many
rows to measure one by one, too few for a graph walk to keep its way. The sketch keeps
half a byte per four dimensions and scans a hundred thousand rows in a third of a
millisecond, whichever rows are allowed and wherever they lie; the best candidates are
then measured exactly. 100,000 x 384 take 5 MiB. Up to 192 dimensions the codes are
twice as fine, since there the scan is cheap and short rows tell each other apart less.

Source: André, Kermarrec and Le Scouarnec, "Quicker ADC: Unlocking the hidden potential
of Product Quantization with SIMD", 2019; faiss' 4-bit fast scan. The measurements that
chose it are in ``docs/decisions/0003-filtered-search.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats, Metric
from elanus.distance.native import faiss
from elanus.distance.topk import TopK
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, IndexMeta
from elanus.index.dense.native_file import (
    faiss_metric,
    search_native,
    write_native,
)

# Fewer rows are measured one by one sooner than a sketch pays.
_MIN_ROWS = 4_096
_TRAINING_ROWS = 8_192
_CHUNK_ROWS = 16_384
_BITS = 4
_FINE_DIMS = 192


def is_worth_a_sketch(rows: int) -> bool:
    """Whether a segment is large enough for a sketch."""
    return rows >= _MIN_ROWS


class Sketch:
    """A sketch in memory. Many threads may scan it at a time."""

    def __init__(self, native: Any, dim: int, metric: Metric) -> None:
        """Take over a ``faiss.IndexIVFPQFastScan`` of one list."""
        self._native = native
        self._dim = dim
        self._metric = metric

    @classmethod
    def open(cls, meta: IndexMeta, path: Path) -> Sketch:
        """Load the sketch at ``path``.

        Raises:
            CorruptionError: the file is not the sketch of this index; rebuild it.
        """
        try:
            native = faiss.read_index(str(path))
        except (RuntimeError, MemoryError) as error:
            raise CorruptionError(
                str(path), f"not a readable sketch: {error}"
            ) from error
        is_sketch = isinstance(native, faiss.IndexIVFPQFastScan)
        if not is_sketch or (native.ntotal, native.d) != (
            meta.rows,
            _padded_dim(meta.dim),
        ):
            raise CorruptionError(str(path), "is not the sketch of its index")
        return cls(native, meta.dim, meta.metric)

    def write(self, path: Path) -> None:
        """Write the sketch to ``path``, neither synced nor checked."""
        write_native(self._native, path)

    def candidates(self, queries: Floats, count: int, allowed: Allowed) -> TopK:
        """The ``count`` allowed rows that look nearest; distances are rough."""
        selector = faiss.IDSelectorBitmap(allowed.bits)
        params = faiss.IVFSearchParameters(sel=selector, nprobe=1)
        padded = _padded(queries)
        return search_native(self._native, self._metric, padded, count, params)


def build_sketch(block: VectorBlock, seed: int) -> Sketch:
    """Sketch the rows of ``block`` as they are compared."""
    dim = _padded_dim(block.dim)
    code = faiss_metric(block.metric)
    quantizer = faiss.IndexFlat(dim, code)
    native = faiss.IndexIVFPQFastScan(quantizer, dim, 1, codes(dim), _BITS, code)
    native.own_fields = True
    quantizer.this.disown()
    # One list is no partition: codes are of the rows, not of differences to a centre.
    native.by_residual = False
    native.pq.cp.seed = seed & 0x7FFFFFFF
    native.pq.cp.niter = 10
    rng = np.random.default_rng(seed)
    sample = np.sort(
        rng.choice(block.rows, min(block.rows, _TRAINING_ROWS), replace=False)
    )
    native.train(_padded(block.compared(sample)))
    for start in range(0, block.rows, _CHUNK_ROWS):
        native.add(_padded(block.compared(slice(start, start + _CHUNK_ROWS))))
    return Sketch(native, block.dim, block.metric)


def codes(dim: int) -> int:
    """Half-byte codes of a row of ``dim`` dimensions."""
    return -(-dim // _dims_per_code(dim))


def _dims_per_code(dim: int) -> int:
    return 2 if dim <= _FINE_DIMS else 4


def _padded_dim(dim: int) -> int:
    return codes(dim) * _dims_per_code(dim)


def _padded(vectors: Floats) -> Floats:
    """The vectors with zeros up to a whole number of codes; C."""
    missing = _padded_dim(vectors.shape[1]) - vectors.shape[1]
    if not missing:
        return vectors
    wider = np.zeros((len(vectors), vectors.shape[1] + missing), np.float32)
    wider[:, : vectors.shape[1]] = vectors
    return wider
