"""What the steps of a search cost, so that ways to do it can be compared.

Nanoseconds on one core of an EPYC with AVX-512, rows beyond the cache, measured on
100,000 x 384 and x 128; only their proportions matter.
"""

from __future__ import annotations

_ROW_NS = 20.0
_ROW_DIM_NS = 0.45
_WALK_NS = 1_600.0
_WALK_DIM_NS = 5.0
# What a unit of effort costs, in those of HNSW.
_WALKS = {"SYMPHONYQG": 0.25}
OFFSET_NS = 0.6  # per row of the segment: listing the allowed offsets
CODE_NS = 0.033  # per row and code of the sketch
CANDIDATE_NS = 100.0
SCAN_NS = 30_000.0
CHECK_NS = 8.0  # per row that looks near enough for the filter to be asked


def row_ns(dim: int) -> float:
    """Measuring one row."""
    return _ROW_NS + _ROW_DIM_NS * dim


def walk_ns(dim: int, kind: str = "HNSW") -> float:
    """Walking a graph of a kind, per unit of ef."""
    return _WALKS.get(kind, 1.0) * (_WALK_NS + _WALK_DIM_NS * dim)
