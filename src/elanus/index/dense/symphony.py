"""SYMPHONYQG: a graph whose links carry codes of their ends, walked many at a time.

AUTOINDEX builds it where it can. A step reads one row and estimates the distances to
all its neighbours from bits that lie beside it, so a search of the same recall takes a
third of HNSW's time. Distances that come back are those of the rows themselves.

It compares by L2, over rows of unit length for COSINE. Under IP, where lengths differ,
the library's graphs find too little.

The graph takes no filter. A filtered search asks for more rows than wanted, as many as
its effort, and keeps those allowed: whatever the filter has to do with the query, the
rows kept are the nearest allowed ones of those it reached.

What a search needs cannot be told from the graph's own rows, which it finds too easily,
nor can it forget some. So a few rows, spread evenly, are left out of it and asked with;
searches measure them one by one.

The library loads the file into memory instead of mapping it: 2.25 times the rows at 384
dimensions. How much may be loaded is a setting (``graph_bytes``).

Source: Gou, Gao, Xu and Long, "SymphonyQG: Towards Symphonious Integration of
Quantization and Graph for Approximate Nearest Neighbor Search", 2025; ``rabitqlib``.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from elanus.distance.kernels import VectorBlock, nearest_all, nearest_at
from elanus.distance.metrics import Floats, Metric
from elanus.distance.native import faiss, native_threads
from elanus.distance.topk import NO_ROW, Offsets, TopK, merge
from elanus.errors import CorruptionError
from elanus.index.base import (
    Allowed,
    BuildRequest,
    IndexMeta,
    rest_path,
    sketch_path,
)
from elanus.index.calibration import HELD_OUT, calibrate_graph
from elanus.index.dense.native_file import open_native, write_native
from elanus.index.sketch import Sketch, build_sketch
from elanus.index.strategy import default_effort

NAME = "SYMPHONYQG"
_DEGREE = 32
_EF_CONSTRUCTION = 200
# Fewer rows are no work for HNSW either; fewer dimensions the library does not rotate.
_MIN_ROWS = 4_096
_MIN_DIM = 64
_BYTES_PER_LINK = 12  # beside its bits: the neighbour and two factors
_GRAPH_SHARE = 0.95
# What tells whether a graph serves its rows: neighbours that some rows must find.
_ASKED = 48
_NEIGHBOURS = 10
_ENOUGH = 0.95
_ROUNDING = 1e-4
_METRICS = (Metric.L2, Metric.COSINE)
_open: weakref.WeakSet[SymphonyIndex] = weakref.WeakSet()


def loaded_bytes() -> int:
    """Memory that the graphs open in this process take, roughly."""
    return sum(memory_of(i.meta.rows, i.meta.dim) for i in tuple(_open))


def memory_of(rows: int, dim: int) -> int:
    """Memory that a graph of so many rows takes, roughly."""
    padded = -(-dim // _MIN_DIM) * _MIN_DIM
    return rows * (4 * dim + _DEGREE * (padded // 8 + _BYTES_PER_LINK))


def is_possible(request: BuildRequest) -> bool:
    """Whether the rows can be indexed so, here, within the memory that is left."""
    return (
        request.rows >= _MIN_ROWS
        and request.dim >= _MIN_DIM
        and request.matrix.dtype == np.float32
        and request.metric in _METRICS
        and memory_of(request.rows, request.dim) <= request.graph_bytes
        and _library() is not None
    )


def left_out(rows: int) -> Offsets:
    """Which of so many rows are beside the graph, ascending."""
    return np.arange(HELD_OUT, dtype=np.int64) * rows // HELD_OUT


class SymphonyIndex:
    """An open graph, and the rows beside it."""

    raw_rows = None
    visits_lists = False
    is_lossy = False
    is_exact = False

    def __init__(self, meta: IndexMeta, native: Any, sketch: Sketch | None) -> None:
        """Take over a ``rabitqlib.SymqgIndex``.

        Attributes:
            rest: the rows left out as they are compared; without it they are not found.
        """
        self.meta = meta
        self.sketch = sketch
        self.full_effort = meta.rows
        self.rest: VectorBlock | None = None
        self._native = native
        self._left_out = left_out(meta.rows)
        self._rows = np.delete(np.arange(meta.rows, dtype=np.int64), self._left_out)
        _open.add(self)

    def search(
        self, queries: Floats, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        """A walk with ``ef`` = ``effort``; with a filter, over as many rows."""
        found = self._walked(queries, limit, max(effort, limit), allowed)
        if self.rest is None:
            return found
        if allowed is None:
            beside = nearest_all(queries, self.rest, limit)
        else:
            chosen = np.flatnonzero(allowed.mask[self._left_out])
            beside = nearest_at(queries, self.rest, chosen, limit)
        is_near = beside.distances < _reached(found)[:, None]
        if not is_near.any():
            return found
        rows = np.where(is_near, self._left_out[beside.offsets], NO_ROW)
        distances = np.where(is_near, beside.distances, np.float32(np.inf))
        return merge((found, TopK(rows, distances)), limit).rows

    def _walked(
        self, queries: Floats, limit: int, effort: int, allowed: Allowed | None
    ) -> TopK:
        count = limit if allowed is None else effort
        try:
            named, distances = self._native.search(queries, count, effort)
        except RuntimeError:
            # Parts that no link leads to: the walk ended before it met enough rows.
            return TopK.empty(len(queries), limit)
        offsets: Offsets = self._rows[named]
        if self.meta.metric is Metric.COSINE:
            # between rows of unit length: |a - b|² = 2 - 2ab, and ours is -ab
            distances *= 0.5
            distances -= 1.0
        if allowed is None:
            return TopK(offsets, distances)
        return _kept(offsets, distances, allowed.mask[offsets], limit)


def _reached(found: TopK) -> Floats:
    """How far each list reaches, (nq,) float32; -inf where it has empty places.

    Whoever asked searches on where a list is short, so nothing may fill it up.
    """
    return np.where(found.offsets[:, -1] < 0, -np.inf, found.distances[:, -1])


def _kept(
    offsets: Offsets, distances: Floats, keep: np.ndarray[Any, Any], limit: int
) -> TopK:
    """The first ``limit`` places of each list that are to be kept."""
    found = TopK.empty(len(offsets), limit)
    places = keep.cumsum(axis=1) - 1
    keep &= places < limit
    lists = keep.nonzero()[0]
    found.offsets[lists, places[keep]] = offsets[keep]
    found.distances[lists, places[keep]] = distances[keep]
    return found


def build_symphony(request: BuildRequest, path: Path) -> IndexMeta | None:
    """Build graph, sketch and calibration; only where :func:`is_possible`.

    Returns:
        What was built, or ``None`` when the graph does not serve these rows.

    Raises:
        Cancelled: the caller stopped the build.
    """
    library = _library()
    assert library is not None
    meta = request.meta(NAME, {"degree": _DEGREE, "efConstruction": _EF_CONSTRUCTION})
    request.step(0.0)
    rows = request.compared(slice(None))
    if request.metric is Metric.COSINE and not rows.any(axis=1).all():
        return None  # a row of length zero has no place among those of length one
    held = left_out(request.rows)
    rest = rows[held]
    rows = np.delete(rows, held, axis=0)
    native = library.SymqgIndex(request.dim, _DEGREE, metric="l2")
    native.build(rows, _EF_CONSTRUCTION, request.threads)
    graph = SymphonyIndex(meta, native, None)
    del rows
    request.step(_GRAPH_SHARE)
    block = VectorBlock.of(request.matrix, request.metric)
    with native_threads(request.threads):
        graph.sketch = build_sketch(block, request.seed)
        graph.sketch.write(sketch_path(path))
        request.step((1 + _GRAPH_SHARE) / 2)
        graph.meta = replace(
            meta,
            calibration=calibrate_graph(graph, block, request.seed, held=held),
            has_sketch=True,
            has_rest=True,
        )
    graph.rest = VectorBlock(rest, request.metric)
    if not _finds_neighbours(graph, block, request.seed):
        return None
    native.save(str(path))
    beside = faiss.IndexFlat(request.dim, faiss.METRIC_L2)
    beside.add(rest)
    write_native(beside, rest_path(path))
    request.step(1.0)
    return graph.meta


def open_symphony(meta: IndexMeta, path: Path) -> SymphonyIndex:
    """Load graph and sketch.

    Raises:
        CorruptionError: the library is missing, or the file is not what ``meta`` says;
            rebuild the index.
    """
    library = _library()
    if library is None:
        raise CorruptionError(str(path), "needs rabitqlib, which is not installed")
    try:
        native = library.SymqgIndex.load(str(path))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise CorruptionError(str(path), f"not a readable index: {error}") from error
    if (native.num_points, native.dim) != (meta.rows - HELD_OUT, meta.dim):
        raise CorruptionError(str(path), "is not the graph of its index")
    graph = SymphonyIndex(meta, native, Sketch.open(meta, sketch_path(path)))
    beside = open_native(replace(meta, rows=HELD_OUT), rest_path(path))
    rest = faiss.rev_swig_ptr(beside.get_xb(), HELD_OUT * meta.dim)
    graph.rest = VectorBlock(rest.reshape(HELD_OUT, -1).copy(), meta.metric)
    return graph


def _finds_neighbours(graph: SymphonyIndex, block: VectorBlock, seed: int) -> bool:
    """Whether rows find their neighbours by the effort that was measured.

    It does not where clusters have no links between them, or lie so far apart that
    float32 tells their rows apart no more once estimates are made of squares.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(block.rows, _ASKED, replace=False))
    asked = block.compared(chosen)
    effort = default_effort(graph.meta.calibration, _NEIGHBOURS, False)
    found = graph.search(asked, _NEIGHBOURS, effort, None).distances
    # one by one: of many queries at once, faiss would make squares too
    each = [nearest_all(asked[i : i + 1], block, _NEIGHBOURS) for i in range(_ASKED)]
    last = np.concatenate([one.distances[:, -1:] for one in each])
    return bool((found <= last + _ROUNDING * np.abs(last)).mean() >= _ENOUGH)


@cache
def _library() -> Any:
    """``rabitqlib``, or ``None`` where it has no wheel."""
    try:
        import rabitqlib
    except ImportError:
        return None
    return rabitqlib
