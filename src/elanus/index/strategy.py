"""Which way to search one segment: a pure choice by estimated cost.

Three ways serve a filter. *exact* measures every allowed row; *index* walks the index
with the filter as a bitmap, trying as hard as its calibration says; *sketch* scans the
lossy copy and measures the best candidates. All meet the same recall target, so the
cheapest is taken. Without a filter the index runs with the user's effort as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from elanus.index.base import Calibration
from elanus.index.calibration import CALIBRATED_LIMIT
from elanus.index.sketch import codes

# A filter that passes nearly everything (a few deleted rows) leaves the index as good
# as without one, once the effort makes up for the rows it may not return.
_NEARLY_ALL = 0.9
# Nanoseconds on one core of an EPYC with AVX-512, rows beyond the cache, measured on
# 100,000 x 384 and x 128; only their proportions matter.
_ROW_NS = 20.0
_ROW_DIM_NS = 0.45
_OFFSET_NS = 0.6  # per row of the segment: listing the allowed offsets
_WALK_NS = 1_600.0  # per unit of ef
_WALK_DIM_NS = 5.0  # per unit of ef and dimension
_CODE_NS = 0.033  # per row and code of the sketch
_CANDIDATE_NS = 100.0
_SCAN_NS = 30_000.0
_CHECK_NS = 8.0  # per row that looks near enough for the filter to be asked
_UNCALIBRATED = Calibration()
# Fewer save nothing: they cost little beside the scan, and queries unlike the rows that
# the calibration asked with would have to be scanned a second time.
_LEAST_CANDIDATES = 256
_LEAST_CANDIDATES_OF_FEW = 192  # where a quarter of the rows or fewer pass
_FAR = 512  # ef; nearer walks are short even where a scan would be shorter
_DEFAULT_LISTS = 32  # of an index of lists whose calibration found no effort enough


class StrategyKind(StrEnum):
    """The ways to search a segment."""

    EXACT = "exact"
    INDEX = "index"
    SKETCH = "sketch"


@dataclass(frozen=True, slots=True)
class Strategy:
    """The way chosen for one segment, printable for EXPLAIN.

    Attributes:
        kind: the way.
        effort: ``ef`` or ``nprobe`` for an index, candidates for a sketch, else 0.
        reason: why, in words.
    """

    kind: StrategyKind
    effort: int
    reason: str

    def __str__(self) -> str:
        """One line for EXPLAIN."""
        tried = f"({self.effort})" if self.effort else ""
        return f"{self.kind}{tried}: {self.reason}"


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """What the choice depends on.

    Attributes:
        rows: rows of the segment.
        allowed: rows that may be returned.
        limit: rows wanted.
        dim: dimensions.
        effort: the user's effort, a floor.
        usual_effort: what a search without a filter would do.
        has_sketch: whether there is a lossy copy.
        full_effort: the effort beyond which an index visits nothing more.
        calibration: the efforts measured for filters.
        visits_lists: the effort counts inverted lists, not graph candidates.
        walk: what a unit of effort costs, in those of HNSW.
    """

    rows: int
    allowed: int
    limit: int
    dim: int
    effort: int
    has_sketch: bool = False
    usual_effort: int = 0
    full_effort: int = 0
    calibration: Calibration = _UNCALIBRATED
    visits_lists: bool = False
    walk: float = 1.0


@lru_cache(maxsize=256)
def unfiltered_strategy(
    effort: int, limit: int, full_effort: int, visits_lists: bool
) -> Strategy:
    """The index with the user's effort as it is; a graph needs one place per row."""
    least = 1 if visits_lists else limit
    fitted = max(1, min(max(effort, least), full_effort))
    return Strategy(StrategyKind.INDEX, fitted, "no filter")


@lru_cache(maxsize=256)
def is_too_deep(effort: int, rows: int, dim: int) -> bool:
    """Whether a graph is walked far, and longer than it takes to measure every row."""
    return effort > _FAR and effort * (_WALK_NS + _WALK_DIM_NS * dim) > rows * _row_ns(
        dim
    )


@lru_cache(maxsize=256)
def default_effort(calibration: Calibration, limit: int, visits_lists: bool) -> int:
    """The effort where the user gave none: what the build measured for a full walk.

    Milvus' own defaults (``ef`` = limit, ``nprobe`` = 8) find about three rows in four.
    """
    measured = dict(calibration.efforts).get(_NEARLY_ALL, 0)
    if visits_lists:
        return measured or _DEFAULT_LISTS
    return max(measured * max(1, math.ceil(limit / CALIBRATED_LIMIT)), 64, 4 * limit)


def choose_strategy(facts: SearchFacts) -> Strategy:
    """The cheapest way to search with a filter that meets the recall target."""
    share = facts.allowed / max(facts.rows, 1)
    ways = [(_exact_ns(facts), Strategy(StrategyKind.EXACT, 0, ""))]
    effort = _index_effort(facts, share)
    if effort is not None:
        ways.append(
            (_index_ns(facts, effort), Strategy(StrategyKind.INDEX, effort, ""))
        )
    candidates = _sketch_candidates(facts) if facts.allowed else 0
    if candidates:
        cost = _sketch_ns(facts, candidates)
        ways.append((cost, Strategy(StrategyKind.SKETCH, candidates, "")))
    _, best = min(ways, key=lambda way: way[0])
    estimates = ", ".join(f"{way.kind} {cost / 1000:.0f} us" for cost, way in ways)
    reason = f"filter passes {facts.allowed} of {facts.rows} rows; {estimates}"
    return Strategy(best.kind, best.effort, reason)


def raised_effort(effort: int, full_effort: int) -> int | None:
    """The next effort when an index found too few rows; ``None``: scan exactly."""
    return min(4 * effort, full_effort) if effort < full_effort else None


def _floored(facts: SearchFacts, effort: int) -> int:
    """At least what the user asked and, for a graph, a place per wanted row."""
    least = 1 if facts.visits_lists else facts.limit
    return max(1, min(max(effort, least), max(facts.full_effort, 1)))


def _per_limit(facts: SearchFacts, effort: int) -> int:
    """A calibrated effort for more rows than it was measured with."""
    return math.ceil(effort * max(1.0, facts.limit / CALIBRATED_LIMIT))


def _index_effort(facts: SearchFacts, share: float) -> int | None:
    """The effort that a filter of this density needs; ``None``: out of reach."""
    if share >= _NEARLY_ALL:
        usual = max(facts.effort, facts.usual_effort)
        return _floored(facts, math.ceil(usual / share))
    for measured_share, effort in reversed(facts.calibration.efforts):
        if measured_share <= share:
            scaled = effort if facts.visits_lists else _per_limit(facts, effort)
            return _floored(facts, max(facts.effort, scaled))
    return None


def _sketch_candidates(facts: SearchFacts) -> int:
    """Candidates to measure, 0 when the sketch is no use."""
    if not facts.has_sketch:
        return 0
    measured = _measured_candidates(facts.calibration, facts.allowed / facts.rows)
    if not measured:
        return 0
    is_few = 4 * facts.allowed <= facts.rows
    least = _LEAST_CANDIDATES_OF_FEW if is_few else _LEAST_CANDIDATES
    enough = max(least, _per_limit(facts, measured))
    return min(max(facts.effort, enough), facts.allowed)


def _measured_candidates(calibration: Calibration, share: float) -> int:
    """What the next denser share needed: the more rows pass, the more look alike."""
    for measured_share, count in reversed(calibration.candidates):
        if measured_share >= share:
            return count
    densest = dict(calibration.candidates).get(_NEARLY_ALL, 0)
    return math.ceil(densest / _NEARLY_ALL)


def _row_ns(dim: int) -> float:
    return _ROW_NS + _ROW_DIM_NS * dim


def _exact_ns(facts: SearchFacts) -> float:
    return facts.allowed * _row_ns(facts.dim) + facts.rows * _OFFSET_NS


def _index_ns(facts: SearchFacts, effort: int) -> float:
    if facts.visits_lists:
        visited = facts.rows * effort / max(facts.full_effort, 1)
        return visited * _row_ns(facts.dim) + facts.full_effort * _row_ns(facts.dim) / 4
    return facts.walk * effort * (_WALK_NS + _WALK_DIM_NS * facts.dim)


def _sketch_ns(facts: SearchFacts, candidates: int) -> float:
    scan = _SCAN_NS + facts.rows * codes(facts.dim) * _CODE_NS
    # The best of a random order change about ln(n / k) times as often as there are
    # places; a filter of one in ten rows is asked ten times for each.
    changes = candidates * max(1.0, math.log(facts.allowed / candidates))
    scan += changes * facts.rows / facts.allowed * _CHECK_NS
    return scan + candidates * (_CANDIDATE_NS + _row_ns(facts.dim))
