"""Small segments with and without an index, and their true neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.kernels import VectorBlock
from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import TopK
from elanus.index.base import Allowed, BuildRequest, IndexMeta, SearchParams
from elanus.index.registry import index_kind, open_index
from elanus.index.search import SegmentVectors, search_rows

EFFORT = SearchParams(64)
# What rows of numbers are compared with, one by one.
METRICS = (Metric.L2, Metric.IP, Metric.COSINE)

# One build of each kind, small enough for a test.
BUILDS: dict[str, Mapping[str, Any]] = {
    "FLAT": {},
    "IVF_FLAT": {"nlist": "32"},
    "IVF_SQ8": {"nlist": "32"},
    "IVF_PQ": {"nlist": 32, "m": "16", "nbits": 5},
    "IVF_RABITQ": {"nlist": "32"},
    "SCANN": {"nlist": "32"},
    "HNSW": {"M": "16", "efConstruction": "100"},
    "HNSW_SQ": {"M": "16", "efConstruction": "100", "sq_type": "SQ6"},
    "HNSW_PQ": {"M": "16", "efConstruction": "100", "m": 16, "nbits": 6},
    "DISKANN": {"search_list_size": "100"},
    "FAISS": {"faiss_index_name": "IVF32,Flat"},
    "AUTOINDEX": {},
}


@dataclass(frozen=True)
class Sample:
    """Rows and queries of one kind of data, drawn together."""

    rows: Floats
    queries: Floats


def clustered(count: int, dim: int, nq: int = 40, seed: int = 1) -> Sample:
    """Overlapping clusters, as embeddings are; queries are not among the rows."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(2, count // 500), dim))
    chosen = centres[rng.integers(0, len(centres), count + nq)]
    noise = rng.standard_normal((count + nq, dim))
    points = (chosen + 0.7 * noise).astype(np.float32)
    return Sample(points[:count], points[count:])


def gaussian(count: int, dim: int, nq: int = 40, seed: int = 1) -> Sample:
    """No structure at all: the hardest case for every index."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count + nq, dim)).astype(np.float32)
    return Sample(points[:count], points[count:])


def build(
    path: Path, kind: str, rows: Floats, metric: Metric, **options: Any
) -> tuple[IndexMeta, SegmentVectors]:
    """Build a kind at ``path``, open it again, and make a segment of both."""
    params = options.pop("params", BUILDS[kind])
    request = BuildRequest(rows, metric, params, kind, **options)
    built = index_kind(kind).build(request, path)
    meta = IndexMeta.from_dict(built.to_dict())
    index = open_index(meta, path)
    return meta, SegmentVectors(lambda: VectorBlock.of(rows, metric), index)


def flat_search(
    sample: Sample, metric: Metric, limit: int, allowed: Allowed | None
) -> TopK:
    """The true answer, from the rows alone."""
    bare = SegmentVectors(lambda: VectorBlock.of(sample.rows, metric))
    return search_rows(bare, sample.queries, limit, allowed)[0]


def random_mask(count: int, share: float, seed: int = 7) -> Allowed:
    """A share of the rows at random."""
    return Allowed(np.random.default_rng(seed).random(count) < share)
