"""How hard a filtered search must try: measured on the index itself, when it is built.

Random masks of several densities are searched with rising effort until the recall
target is met against an exact scan of a sample of queries. The queries are mixtures of
two rows: rows themselves would be found too easily, since a graph links each row to its
own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from elanus.distance.kernels import VectorBlock, nearest_candidates, normalised
from elanus.distance.metrics import Floats, Metric
from elanus.distance.topk import NO_ROW, Offsets, TopK
from elanus.index.base import Allowed, Calibration, VectorIndex
from elanus.schema.vectors import as_floats

TARGET_RECALL = 0.995
CALIBRATED_LIMIT = 10
SHARES = (0.9, 0.5, 0.3, 0.1, 0.03)
_QUERIES = 64
_CHUNK_ROWS = 16_384
_LARGEST_MIX = 0.5
_EFFORTS = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_CANDIDATES = (32, 48, 64, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024, 2048, 4096)
# Rows a lossy index names per row wanted; the surplus is measured and dropped.
_LOSSY_CANDIDATES = 4
_CANDIDATES_BY_KIND = {"IVF_RABITQ": 16, "SCANN": 16}
_SKETCH_SHARES = (0.9, 0.5, 0.1)
# A walk with ef beyond this share of the rows takes longer than a scan of the sketch.
_ROWS_PER_EFFORT = 256
# What a step of a graph costs, in those of HNSW; and walks that are tried in any case.
_WALK_COSTS = {"SYMPHONYQG": 0.25}
_LEAST_TRIED = {"SYMPHONYQG": 1024}

Search = Callable[[int, Allowed], TopK]


def calibrate(index: VectorIndex, block: VectorBlock, seed: int) -> Calibration:
    """Find the efforts of an index over ``block``.

    Args:
        index: complete, with its sketch if it has one.
        block: the rows as the index compares them (unit length for COSINE).
        seed: of queries and masks.
    """
    rng = np.random.default_rng(seed)
    queries = _sample_queries(block, rng)
    distances = _rough_distances(queries, block)
    efforts: list[tuple[float, int]] = []
    tried = _efforts(index)

    def walk(effort: int, allowed: Allowed) -> TopK:
        if not index.is_lossy:
            return index.search(queries, CALIBRATED_LIMIT, effort, allowed)
        named = lossy_candidates(index, queries, CALIBRATED_LIMIT, effort, allowed)
        return nearest_candidates(queries, block, named, CALIBRATED_LIMIT)

    for share in SHARES:
        allowed, truth = _masked(distances, share, rng)
        target = TARGET_RECALL
        if index.is_lossy:
            # Codes have a ceiling of their own; more effort does not lift it.
            hardest = index.full_effort if index.visits_lists else _EFFORTS[-1]
            target *= recall(walk(hardest, allowed).offsets, truth)
        enough = _smallest(tried, walk, (allowed, truth), target)
        if enough is None:
            break
        tried = [e for e in tried if e >= enough]
        efforts.append((share, enough))
    return Calibration(tuple(efforts), _candidates(index, block, queries, distances))


def lossy_candidates(
    index: VectorIndex,
    queries: Floats,
    wanted: int,
    effort: int,
    allowed: Allowed | None,
) -> TopK:
    """More rows than wanted, as an index of lossy codes orders them, to be measured."""
    available = index.meta.rows if allowed is None else allowed.count
    per_row = _CANDIDATES_BY_KIND.get(index.meta.kind, _LOSSY_CANDIDATES)
    count = min(per_row * wanted, available)
    return index.search(queries, count, effort, allowed)


def _candidates(
    index: VectorIndex, block: VectorBlock, queries: Floats, distances: Floats
) -> tuple[tuple[float, int], ...]:
    """Candidates that the sketch must name, by share of rows allowed."""
    sketch = index.sketch
    if sketch is None:
        return ()
    rng = np.random.default_rng(len(queries))

    def scan(count: int, allowed: Allowed) -> TopK:
        named = sketch.candidates(queries, count, allowed)
        return nearest_candidates(queries, block, named, CALIBRATED_LIMIT)

    found: list[tuple[float, int]] = []
    for share in _SKETCH_SHARES:
        allowed, truth = _masked(distances, share, rng)
        enough = _smallest(_CANDIDATES, scan, (allowed, truth), TARGET_RECALL)
        if enough is not None:
            found.append((share, enough))
    return tuple(found)


def _efforts(index: VectorIndex) -> list[int]:
    """Efforts worth trying, rising."""
    full = index.full_effort
    if index.visits_lists:
        return [effort for effort in _EFFORTS if effort < full] + [full]
    rows_per_effort = _ROWS_PER_EFFORT * walk_cost(index.meta.kind)
    least = _LEAST_TRIED.get(index.meta.kind, _EFFORTS[0])
    useful = max(least, index.meta.rows / rows_per_effort)
    return [effort for effort in _EFFORTS if effort <= useful]


def walk_cost(kind: str) -> float:
    """What a unit of effort costs in a kind of index, in those of HNSW."""
    return _WALK_COSTS.get(kind, 1.0)


def _sample_queries(block: VectorBlock, rng: np.random.Generator) -> Floats:
    """Mixtures of two random rows, (nq, dim) float32, C."""
    first = as_floats(block.vectors[rng.integers(0, block.rows, _QUERIES)])
    second = as_floats(block.vectors[rng.integers(0, block.rows, _QUERIES)])
    mix = rng.uniform(0.0, _LARGEST_MIX, (_QUERIES, 1)).astype(np.float32)
    queries = first * (1 - mix) + second * mix
    return normalised(queries) if block.metric.row.normalises else queries


def _rough_distances(queries: Floats, block: VectorBlock) -> Floats:
    """Distances to all rows by matrix products, (nq, rows) float32."""
    distances = np.empty((len(queries), block.rows), np.float32)
    for start in range(0, block.rows, _CHUNK_ROWS):
        rows = block.compared(slice(start, start + _CHUNK_ROWS))
        products: Floats = queries @ rows.T
        if block.metric is Metric.L2:
            squares: Floats = np.einsum("ij,ij->i", rows, rows)
            products = 2 * products - squares
        distances[:, start : start + _CHUNK_ROWS] = -products
    return distances


def _masked(
    distances: Floats, share: float, rng: np.random.Generator
) -> tuple[Allowed, Offsets]:
    """A random mask, and the nearest rows that it allows, (nq, k)."""
    mask = np.less(rng.random(distances.shape[1]), share)
    allowed = Allowed(mask)
    k = min(CALIBRATED_LIMIT, allowed.count)
    near = np.argpartition(distances[:, allowed.mask], k - 1, axis=1)[:, :k]
    return allowed, allowed.offsets[near]


def _smallest(
    efforts: Sequence[int],
    search: Search,
    masked: tuple[Allowed, Offsets],
    target: float,
) -> int | None:
    """The first effort whose recall meets the target."""
    allowed, truth = masked
    for effort in efforts:
        if recall(search(effort, allowed).offsets, truth) >= target:
            return effort
    return None


def recall(found: Offsets, truth: npt.NDArray[np.int64]) -> float:
    """Share of the true rows that were found, (nq, k) each; 1.0 where there are none.

    Empty places of either count for nothing.
    """
    wanted = int((truth != NO_ROW).sum())
    hits = sum(
        len(np.intersect1d(mine, theirs[theirs != NO_ROW]))
        for mine, theirs in zip(found, truth, strict=True)
    )
    return hits / wanted if wanted else 1.0
