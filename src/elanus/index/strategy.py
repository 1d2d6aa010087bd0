"""Which way to search one segment: a pure choice by estimated cost.

Three ways serve a search. *exact* measures every allowed row; *index* asks the index,
trying as hard as its calibration says; *sketch* scans the lossy copy and measures the
best candidates. All meet the same recall target, so the cheapest is taken. Only a
search without a filter that brings an effort of its own runs with that, as it is.

A graph walks over all rows, as deep as the filter makes necessary, and those that pass
are kept: then it shows how many there were, wherever they lie, which a walk that skips
the others would not tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from elanus.index import costs
from elanus.index.base import Calibration
from elanus.index.calibration import CALIBRATED_LIMIT, LEAST_NAMED
from elanus.index.curve import PLAIN_TARGET, USUAL_TARGET, Curve, depth_under
from elanus.index.sketch import codes

# A filter that passes nearly everything (a few deleted rows) leaves the index as good
# as without one, once the effort makes up for the rows it may not return.
_NEARLY_ALL = 0.9
_UNCALIBRATED = Calibration()
# Fewer save nothing: they cost little beside the scan, and queries unlike the rows that
# the calibration asked with would have to be scanned a second time.
_LEAST_CANDIDATES = 256
_LEAST_CANDIDATES_OF_FEW = 192  # where a quarter of the rows or fewer pass
_MORE_CANDIDATES = 2  # times as many, where more than the usual recall is asked for
_FAR = 512  # ef; nearer walks are short even where a scan would be shorter
_DEFAULT_LISTS = 32  # of an index of lists whose calibration found no effort enough
_LEAST_EFFORT = 64  # of a graph, where nothing was asked; and of places per row wanted
_EFFORT_PER_ROW = 4


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
        depth: nearest rows of all that an index is asked for, of which the allowed are
            kept; 0 where it is told which are allowed.
        names: rows that an index of lossy codes names, to be measured; 0 for the number
            that is usual for its kind.
    """

    kind: StrategyKind
    effort: int
    reason: str
    depth: int = 0
    names: int = 0

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
        calibration: what was measured to be enough.
        visits_lists: the effort counts inverted lists, not graph candidates.
        is_lossy: the index's own distances are approximate.
        recall_target: share of the true rows that the user wants; 0 for the usual one.
        kind: of the index.
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
    is_lossy: bool = False
    recall_target: float = 0.0
    kind: str = "HNSW"

    @property
    def share(self) -> float:
        """Share of the rows that are allowed."""
        return self.allowed / max(self.rows, 1)

    @property
    def target(self) -> float:
        """The recall to be met."""
        return self.recall_target or USUAL_TARGET


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
    scan = rows * costs.row_ns(dim)
    return effort > _FAR and effort * costs.walk_ns(dim) > scan


def default_effort(calibration: Calibration, limit: int, visits_lists: bool) -> int:
    """The effort where the user gave none: what the build measured for all rows.

    Milvus' own defaults (``ef`` = limit, ``nprobe`` = 8) find about three rows in four.
    """
    if calibration.curve is not None:
        measured = calibration.curve.effort(limit, PLAIN_TARGET) or 0
    else:
        measured = dict(calibration.efforts).get(_NEARLY_ALL, 0)
        if not visits_lists:
            measured *= max(1, math.ceil(limit / CALIBRATED_LIMIT))
    if visits_lists:
        return measured or _DEFAULT_LISTS
    return max(measured, _LEAST_EFFORT, _EFFORT_PER_ROW * limit)


def choose_strategy(facts: SearchFacts) -> Strategy:
    """The cheapest way to search that meets the recall target."""
    reason = _reason(facts)
    if facts.recall_target >= 1.0:
        return Strategy(StrategyKind.EXACT, 0, reason)
    ways = [(_exact_ns(facts), Strategy(StrategyKind.EXACT, 0, ""))]
    index = _index_way(facts)
    if index is not None:
        ways.append((_index_ns(facts, index), index))
    candidates = _sketch_candidates(facts) if facts.allowed else 0
    if candidates:
        cost = _sketch_ns(facts, candidates)
        ways.append((cost, Strategy(StrategyKind.SKETCH, candidates, "")))
    _, best = min(ways, key=lambda way: way[0])
    estimates = ", ".join(f"{way.kind} {cost / 1000:.0f} us" for cost, way in ways)
    return replace(best, reason=f"{reason}; {estimates}")


def without_index(facts: SearchFacts) -> Strategy:
    """The way to go on with queries for which the index found too few allowed rows."""
    reason = "the index found too few"
    candidates = _sketch_candidates(facts)
    if candidates and _sketch_ns(facts, candidates) < _exact_ns(facts):
        return Strategy(StrategyKind.SKETCH, candidates, reason)
    return Strategy(StrategyKind.EXACT, 0, reason)


def raised_effort(effort: int, full_effort: int) -> int | None:
    """The next effort when an index found too few rows; ``None``: scan exactly."""
    return min(4 * effort, full_effort) if effort < full_effort else None


def _reason(facts: SearchFacts) -> str:
    parts = []
    if facts.recall_target:
        parts.append(f"recall target {facts.recall_target:g}")
    if facts.allowed < facts.rows:
        parts.append(f"filter passes {facts.allowed} of {facts.rows} rows")
    return ", ".join(parts) or "no filter"


def _floored(facts: SearchFacts, effort: int) -> int:
    """At least what the user asked and, for a graph, a place per wanted row."""
    least = 1 if facts.visits_lists else facts.limit
    return max(1, min(max(effort, least), max(facts.full_effort, 1)))


def _per_limit(facts: SearchFacts, effort: int) -> int:
    """A calibrated effort for more rows than it was measured with."""
    return math.ceil(effort * max(1.0, facts.limit / CALIBRATED_LIMIT))


def _index_way(facts: SearchFacts) -> Strategy | None:
    """What to ask of the index; ``None``: the target is out of its reach."""
    curve = facts.calibration.curve
    if curve is None or not facts.allowed:
        effort = _uncurved_effort(facts) if _is_promised(facts) else None
        return None if effort is None else Strategy(StrategyKind.INDEX, effort, "")
    if facts.visits_lists:
        return _lists_way(facts, curve)
    depth = depth_under(facts.limit, facts.share)
    measured = curve.effort(depth, facts.target)
    if facts.share >= _NEARLY_ALL and not facts.recall_target:
        measured = math.ceil(facts.usual_effort / facts.share)
    if measured is None or depth > facts.rows:
        return None
    effort = max(_floored(facts, max(facts.effort, measured)), depth)
    names = effort if facts.is_lossy else 0
    is_sieved = facts.allowed < facts.rows
    return Strategy(StrategyKind.INDEX, effort, "", depth if is_sieved else 0, names)


def _lists_way(facts: SearchFacts, curve: Curve) -> Strategy | None:
    """Lists are told which rows are allowed, and read as deep as these lie."""
    depth = depth_under(facts.limit, facts.share)
    measured = curve.effort(depth, facts.target)
    if facts.share >= _NEARLY_ALL and not facts.recall_target:
        measured = math.ceil(facts.usual_effort / facts.share)
    if measured is None:
        return None
    names = 0
    if facts.is_lossy:
        names = min(curve.names * max(facts.limit, LEAST_NAMED), facts.allowed)
    effort = _floored(facts, max(facts.effort, measured))
    return Strategy(StrategyKind.INDEX, effort, "", names=names)


def _is_promised(facts: SearchFacts) -> bool:
    """Whether an index of an older version was measured for what is asked.

    It was for the usual recall; of lossy codes, for as much as these can tell.
    """
    if not facts.recall_target:
        return True
    is_measured = bool(facts.calibration.efforts) and not facts.is_lossy
    return is_measured and facts.recall_target <= USUAL_TARGET


def _uncurved_effort(facts: SearchFacts) -> int | None:
    """The effort that a filter of this density needs; ``None``: out of reach."""
    if facts.share >= _NEARLY_ALL:
        usual = max(facts.effort, facts.usual_effort)
        return _floored(facts, math.ceil(usual / facts.share))
    for measured_share, effort in reversed(facts.calibration.efforts):
        if measured_share <= facts.share:
            scaled = effort if facts.visits_lists else _per_limit(facts, effort)
            return _floored(facts, max(facts.effort, scaled))
    return None


def _sketch_candidates(facts: SearchFacts) -> int:
    """Candidates to measure, 0 when the sketch is no use."""
    if not facts.has_sketch:
        return 0
    measured = _measured_candidates(facts.calibration, facts.share)
    if not measured:
        return 0
    is_few = 4 * facts.allowed <= facts.rows
    least = _LEAST_CANDIDATES_OF_FEW if is_few else _LEAST_CANDIDATES
    enough = max(least, _per_limit(facts, measured))
    if facts.target > USUAL_TARGET:
        enough *= _MORE_CANDIDATES
    return min(max(facts.effort, enough), facts.allowed)


def _measured_candidates(calibration: Calibration, share: float) -> int:
    """What the next denser share needed: the more rows pass, the more look alike."""
    for measured_share, count in reversed(calibration.candidates):
        if measured_share >= share:
            return count
    densest = dict(calibration.candidates).get(_NEARLY_ALL, 0)
    return math.ceil(densest / _NEARLY_ALL)


def _exact_ns(facts: SearchFacts) -> float:
    return facts.allowed * costs.row_ns(facts.dim) + facts.rows * costs.OFFSET_NS


def _index_ns(facts: SearchFacts, way: Strategy) -> float:
    row = costs.row_ns(facts.dim)
    named = way.names * row
    if facts.visits_lists:
        visited = facts.rows * way.effort / max(facts.full_effort, 1)
        return visited * row + facts.full_effort * row / 4 + named
    return way.effort * costs.walk_ns(facts.dim, facts.kind) + named


def _sketch_ns(facts: SearchFacts, candidates: int) -> float:
    scan = costs.SCAN_NS + facts.rows * codes(facts.dim) * costs.CODE_NS
    # The best of a random order change about ln(n / k) times as often as there are
    # places; a filter of one in ten rows is asked ten times for each.
    changes = candidates * max(1.0, math.log(facts.allowed / candidates))
    scan += changes * facts.rows / facts.allowed * costs.CHECK_NS
    return scan + candidates * (costs.CANDIDATE_NS + costs.row_ns(facts.dim))
