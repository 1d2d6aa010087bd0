"""What background work to do next: pure, from the state of a shard to one action.

Segments are merged in tiers, as in log-structured merge trees: ``merge_factor``
segments of about one size become one, until it would exceed ``segment_bytes``. A
segment with many dead rows is rewritten alone. Indexes are built when no merge is due,
largest segment first, so that work is seldom thrown away.

Source of tiering: O'Neil et al., "The Log-Structured Merge-Tree", 1996; size tiers as
in Apache Cassandra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from elanus.config import Settings


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What the policy may know of one sealed segment.

    Attributes:
        dead_rows: rows a rewrite would remove.
        missing: failures so far to build each index that is defined and not built, by
            its slot, the most urgent first.
        failed_merges: how often a merge with this segment failed.
    """

    segment_id: int
    n_rows: int
    nbytes: int
    dead_rows: int
    missing: Mapping[int, int]
    failed_merges: int = 0


@dataclass(frozen=True, slots=True)
class Compact:
    """Write these segments as one, without their dead rows.

    Attributes:
        is_eager: whether rows are dead that expired of late.
    """

    segment_ids: tuple[int, ...]
    reason: str
    is_eager: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """Build one index of one segment."""

    segment_id: int
    slot: int


Action = Compact | Build


def next_action(
    segments: Sequence[SegmentState], settings: Settings, *, eager: bool = False
) -> Action | None:
    """The most useful thing to do, or ``None``.

    Args:
        eager: the user asked to optimise: merge all that fits, drop every dead row.
    """
    sound = [s for s in segments if s.failed_merges < settings.build_attempts]
    compact = _merge_all(sound, settings) if eager else _merge(sound, settings)
    return compact or _build(segments, settings)


def _live_bytes(segment: SegmentState) -> int:
    if not segment.n_rows:
        return 0
    return segment.nbytes * (segment.n_rows - segment.dead_rows) // segment.n_rows


def _merge(segments: Sequence[SegmentState], settings: Settings) -> Compact | None:
    tiers: dict[int, list[SegmentState]] = {}
    for segment in segments:
        if segment.dead_rows >= max(1, segment.n_rows * settings.dead_ratio):
            share = 100 * segment.dead_rows // segment.n_rows
            return Compact((segment.segment_id,), f"{share} % of its rows are dead")
        size = max(1 << 16, _live_bytes(segment))
        tiers.setdefault(int(log(size, settings.merge_factor)), []).append(segment)
    for _, tier in sorted(tiers.items()):
        chosen = _that_fit(tier, settings)
        if len(chosen) >= settings.merge_factor:
            return Compact(_ids(chosen), f"{len(chosen)} segments of about one size")
    return None


def _merge_all(segments: Sequence[SegmentState], settings: Settings) -> Compact | None:
    chosen = _that_fit(sorted(segments, key=_live_bytes), settings)
    if len(chosen) > 1:
        return Compact(_ids(chosen), "asked to optimise", is_eager=True)
    for segment in segments:
        if segment.dead_rows:
            return Compact((segment.segment_id,), "asked to optimise", is_eager=True)
    return None


def _that_fit(
    segments: Sequence[SegmentState], settings: Settings
) -> list[SegmentState]:
    chosen, total = [], 0
    for segment in segments:
        total += _live_bytes(segment)
        if total > settings.segment_bytes:
            break
        chosen.append(segment)
    return chosen


def _ids(segments: Sequence[SegmentState]) -> tuple[int, ...]:
    return tuple(sorted(segment.segment_id for segment in segments))


def _build(segments: Sequence[SegmentState], settings: Settings) -> Build | None:
    for segment in sorted(segments, key=_live_bytes, reverse=True):
        if segment.n_rows < settings.index_rows:
            continue
        for slot, failures in segment.missing.items():
            if failures < settings.build_attempts:
                return Build(segment.segment_id, slot)
    return None
