"""How indexes hold rows that are stored in two bytes or one a value: as narrowly.

faiss' scalar quantizers keep such values as they are, and compare them with queries in
float32. Rows of unit length, which COSINE needs, are other values: of two bytes they
are rounded once more, of one byte they get codes fitted to each dimension. In all cases
the index only names candidates, which are measured on the rows themselves.
"""

from __future__ import annotations

import numpy as np

from elanus.distance.metrics import Floats
from elanus.distance.native import faiss
from elanus.index.base import BuildRequest

_TRAINING_ROWS_PER_CENTRE = 64
_TYPES = faiss.ScalarQuantizer
_CODES = {
    (np.dtype("<f2"), False): _TYPES.QT_fp16,
    (np.dtype("<f2"), True): _TYPES.QT_fp16,
    (np.dtype("<u2"), False): _TYPES.QT_bf16,
    (np.dtype("<u2"), True): _TYPES.QT_fp16,  # unit rows need no wide range
    (np.dtype("i1"), False): _TYPES.QT_8bit_direct_signed,
    (np.dtype("i1"), True): _TYPES.QT_8bit,
}


def narrow_codes(request: BuildRequest) -> int | None:
    """Faiss' number of the code for the rows; ``None`` for float32."""
    code: int | None = _CODES.get((request.matrix.dtype, request.metric.row.normalises))
    return code


def training_rows(request: BuildRequest, centres: int) -> Floats:
    """A random sample of the rows as float32, at unit length for COSINE."""
    if not request.rows:  # an empty index must be trained, too
        return np.zeros((1, request.dim), np.float32)
    count = min(request.rows, _TRAINING_ROWS_PER_CENTRE * max(centres, 64))
    rng = np.random.default_rng(request.seed)
    chosen = np.sort(rng.choice(request.rows, count, replace=False))
    return request.compared(chosen)
