"""How hard a search must try: measured on the index itself, when it is built.

The questions are rows held out of the index, which are of the same kind as what will be
asked, and mixtures of two rows, which are not quite. A graph would find its own rows
too easily, since it links each to its neighbours: so no link leads to those rows any
more. Graphs are walked with rising effort until every target is met, or the work
allowed is done. Of lists it is enough to know where the true neighbours lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.distance.binary import BinaryBlock
from elanus.distance.kernels import VectorBlock, nearest_candidates, normalised
from elanus.distance.metrics import Floats
from elanus.distance.native import use_one_thread
from elanus.distance.topk import NO_ROW, Offsets, TopK
from elanus.index.base import Allowed, Calibration, VectorIndex
from elanus.index.costs import row_ns, walk_ns
from elanus.index.curve import TARGETS, USUAL_TARGET, Curve
from elanus.schema.vectors import as_floats

CALIBRATED_LIMIT = 10
DEPTHS = (3, 10, 30, 100, 300)
HELD_OUT = 192
_MIXED = 64
_LARGEST_MIX = 0.5
# What is unlike the rows may be missed so many times as often.
_MIXED_MISSES = 2.0
# From this recall on they are harder than what is like the rows: no margin is needed.
_HARD = 0.95
_DEVIATIONS = 1.5
# Distances that an index derives from others differ in their last bits.
_ROUNDING = 1e-5
_ROWS_PER_DEPTH = 16  # of an index, for each row of the deepest measurement
_EFFORTS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
_DEEPEST_EFFORTS = (2048, 3072, 4096)
# All walks together may take this share of the effort that built the graph, which is
# efConstruction for every row: bounded for large graphs, enough for small ones.
_WORK_SHARE = 0.1
_WORK = (100_000, 8_000_000)
_CANDIDATES = (32, 48, 64, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024, 2048, 4096)
_SKETCH_SHARES = (0.9, 0.5, 0.1)
# Rows that lists of lossy codes name for each row wanted, to be measured.
_NAMES = (1, 2, 4, 8, 16, 32, 64)
_NAMED_ENOUGH = 0.9995
LEAST_NAMED = 10  # rows wanted; to be named for fewer costs little
_LOSSY_CANDIDATES = 4
_CANDIDATES_BY_KIND = {"IVF_RABITQ": 16, "SCANN": 16}

_NO_ROWS = np.empty(0, np.int64)

Found = npt.NDArray[np.bool_]
Passed = dict[tuple[int, float], int]


@dataclass(frozen=True, slots=True)
class Exam:
    """Questions with their true answers.

    Attributes:
        queries: as the index takes them; the rows held out come first.
        held: which rows these are, ascending; they are no answers.
        truth: the nearest other rows, as many as the deepest measurement looks at.
    """

    queries: Any
    held: Offsets
    truth: TopK

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths that the truth reaches."""
        return tuple(depth for depth in DEPTHS if depth <= self.truth.k)

    def passes(self, found: Found, target: float) -> bool:
        """Whether enough was found of either kind of question, (nq, depth)."""
        count = len(self.held)
        lenient = 1.0 - _MIXED_MISSES * (1.0 - target)
        if not count and target >= _HARD:
            return bool(found.mean() >= target)
        if not count:
            return _is_sure(found, target)
        return _is_sure(found[:count], target) and found[count:].mean() >= lenient


def _is_sure(found: Found, target: float) -> bool:
    """Whether enough was found, and not because the questions were easy by chance."""
    each = found.mean(axis=1)
    error = each.std() / math.sqrt(len(each))
    return bool(each.mean() - _DEVIATIONS * error >= target)


def calibrate_graph(
    index: VectorIndex,
    block: VectorBlock,
    seed: int,
    hold_out: Callable[[Offsets], None] | None = None,
    held: Offsets | None = None,
) -> Calibration:
    """Find the efforts of a graph over ``block``.

    Args:
        index: complete, with its sketch if it has one. It lacks links afterwards.
        block: the rows as the index compares them (unit length for COSINE).
        seed: of the queries.
        hold_out: takes out every link that leads to these rows.
        held: rows that the graph does not have. With neither, all questions are
            mixtures.
    """
    use_one_thread()  # again it changes nothing: walks keep the threads of the build
    rng = np.random.default_rng(seed)
    if held is None and hold_out is not None:
        held = _drawn(block, rng)
    exam = _exam(block, rng, _NO_ROWS if held is None else held)
    candidates = _candidates(index, block, rng)
    if hold_out is not None:
        hold_out(exam.held)
    passed: Passed = {}
    built = _WORK_SHARE * block.rows * index.meta.resolved["efConstruction"]
    work = min(max(built, _WORK[0]), _WORK[1])
    for effort in _useful_efforts(block, index.meta.kind):
        work -= effort * len(exam.queries)
        if work < 0 or len(passed) == len(exam.depths) * len(TARGETS):
            break
        walked = _walked(index, block, exam, effort)
        for depth in exam.depths:
            if depth <= effort:
                _note(passed, exam, depth, effort, _hits(walked, exam.truth, depth))
    return Calibration(candidates=candidates, curve=_curve(exam, passed))


def _walked(index: VectorIndex, block: VectorBlock, exam: Exam, effort: int) -> TopK:
    """The nearest rows that a walk finds."""
    deepest = min(effort, exam.truth.k)
    if not index.is_lossy:
        return index.search(exam.queries, deepest, effort, None)
    named = index.search(exam.queries, effort, effort, None)
    return nearest_candidates(exam.queries, block, named, deepest)


def _hits(found: TopK, truth: TopK, depth: int) -> Found:
    """Which of the rows found are as near as the last of the true ones."""
    last = truth.distances[:, depth - 1 : depth]
    rounding = _ROUNDING * np.abs(last)
    hits: Found = found.distances[:, :depth] <= last + rounding
    return hits


def _note(passed: Passed, exam: Exam, depth: int, effort: int, found: Found) -> None:
    """Write down which targets an effort meets for the first time."""
    for target in TARGETS:
        if (depth, target) not in passed and exam.passes(found, target):
            passed[depth, target] = effort


def _useful_efforts(block: VectorBlock, kind: str) -> list[int]:
    """Efforts worth trying, rising: with more, to measure every row is quicker."""
    most = block.rows * row_ns(block.dim) / walk_ns(block.dim, kind)
    return [e for e in (*_EFFORTS, *_DEEPEST_EFFORTS) if e <= max(most, _EFFORTS[0])]


@dataclass(frozen=True, slots=True)
class Lists:
    """What a calibration asks of inverted lists.

    Attributes:
        of_rows: (rows,) the list of each row.
        nearest: for queries, all lists in the order they would be read, (nq, nlist).
        named: of lossy codes, for queries and a count, the rows that look nearest.
    """

    of_rows: Offsets
    nearest: Callable[[Any], Offsets]
    named: Callable[[Any, int], Offsets] | None = None


def calibrate_lists(
    block: VectorBlock | BinaryBlock, lists: Lists, seed: int
) -> Calibration:
    """Find how many lists must be read.

    Args:
        block: the rows as the index compares them (unit length for COSINE).
        seed: of the queries.
    """
    use_one_thread()
    rng = np.random.default_rng(seed)
    exam = _exam(block, rng, _drawn(block, rng))
    order = lists.nearest(exam.queries)
    nlist = order.shape[1]
    place = np.empty(order.shape, np.int64)
    np.put_along_axis(place, order, np.arange(nlist)[None, :], axis=1)
    places = np.take_along_axis(place, lists.of_rows[exam.truth.offsets], axis=1)
    names, ranks = 1, None
    if lists.named is not None:
        names, ranks = _named(exam, lists.named)
    passed: Passed = {}
    for depth in exam.depths:
        at = places[:, :depth]
        if ranks is not None:
            is_named = ranks[:, :depth] < names * max(depth, LEAST_NAMED)
            at = np.where(is_named, at, nlist)
        for target in TARGETS:
            enough = _lists_enough(exam, at, nlist, target)
            if enough <= nlist:
                passed[depth, target] = enough
    return Calibration(curve=_curve(exam, passed, names))


def _lists_enough(exam: Exam, places: Offsets, nlist: int, target: float) -> int:
    """The least number of lists that meets a target; more than all if none does."""
    low, high = 1, nlist + 1
    while low < high:
        middle = (low + high) // 2
        if exam.passes(places < middle, target):
            high = middle
        else:
            low = middle + 1
    return low


def _named(
    exam: Exam, named: Callable[[Any, int], Offsets]
) -> tuple[int, npt.NDArray[np.int64]]:
    """Rows to be named for each row wanted, and which place each true row comes at.

    Rows held out are named as well, and stand in the way as others would.
    """
    count = max(_NAMES[-1] * LEAST_NAMED, 4 * exam.truth.k)
    places = np.full(exam.truth.offsets.shape, np.iinfo(np.int64).max)
    found = named(exam.queries, count)
    for query, (true, offsets) in enumerate(
        zip(exam.truth.offsets, found, strict=True)
    ):
        order = np.argsort(offsets)
        at = np.searchsorted(offsets, true, sorter=order).clip(max=len(offsets) - 1)
        is_there = offsets[order[at]] == true
        places[query, is_there] = order[at][is_there]
    shallow = places[:, :LEAST_NAMED]
    for names in _NAMES:
        if (shallow < names * LEAST_NAMED).mean() >= _NAMED_ENOUGH:
            return names, places
    return _NAMES[-1], places


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
    index: VectorIndex, block: VectorBlock, rng: np.random.Generator
) -> tuple[tuple[float, int], ...]:
    """Candidates that the sketch must name, by share of rows allowed."""
    sketch = index.sketch
    if sketch is None:
        return ()
    queries = _mixed(block, rng)
    found: list[tuple[float, int]] = []
    for share in _SKETCH_SHARES:
        allowed = Allowed(np.less(rng.random(block.rows), share))
        k = min(CALIBRATED_LIMIT, allowed.count)
        truth = block.nearest_at(queries, allowed.offsets, k).offsets
        for count in _CANDIDATES:
            named = sketch.candidates(queries, count, allowed)
            best = nearest_candidates(queries, block, named, CALIBRATED_LIMIT)
            if recall(best.offsets, truth) >= USUAL_TARGET:
                found.append((share, count))
                break
    return tuple(found)


def _curve(exam: Exam, passed: Passed, names: int = 1) -> Curve:
    efforts = tuple(
        tuple(passed.get((depth, target), 0) for target in TARGETS)
        for depth in exam.depths
    )
    return Curve(exam.depths, TARGETS, efforts, names)


def _drawn(block: VectorBlock | BinaryBlock, rng: np.random.Generator) -> Offsets:
    """Rows to be held out."""
    count = min(HELD_OUT, block.rows // 4)
    return np.sort(rng.choice(block.rows, count, replace=False))


def _exam(
    block: VectorBlock | BinaryBlock, rng: np.random.Generator, held: Offsets
) -> Exam:
    if isinstance(block, BinaryBlock):
        asked: Any = block.vectors[held]
    else:
        asked = block.compared(held)
    mixed = _mixed(block, rng, _MIXED if len(held) else HELD_OUT)
    queries = np.ascontiguousarray(np.concatenate((asked, mixed)))
    others = np.delete(np.arange(block.rows, dtype=np.int64), held)
    deepest = max(d for d in DEPTHS if d * _ROWS_PER_DEPTH <= block.rows or d == 3)
    return Exam(queries, held, block.nearest_at(queries, others, deepest))


def _mixed(
    block: VectorBlock | BinaryBlock, rng: np.random.Generator, count: int = _MIXED
) -> Any:
    """Mixtures of two random rows, as queries, more of the one than of the other."""
    first = block.vectors[rng.integers(0, block.rows, count)]
    second = block.vectors[rng.integers(0, block.rows, count)]
    mix = rng.uniform(0.0, _LARGEST_MIX, (count, 1)).astype(np.float32)
    if isinstance(block, BinaryBlock):
        is_second = rng.random((_MIXED, 8 * first.shape[1])) < mix
        taken = np.packbits(is_second, axis=1)
        return (first & ~taken) | (second & taken)
    queries = as_floats(first) * (1 - mix) + as_floats(second) * mix
    return normalised(queries) if block.metric.row.normalises else queries


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
