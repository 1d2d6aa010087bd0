"""What background work does next: merges by size, purges by ratio, indexes last."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.config import Settings
from elanus.engine.write.policy import Build, Compact, SegmentState, next_action

KIB = 1 << 10
SETTINGS = Settings(
    segment_bytes=1000 * KIB,
    merge_factor=4,
    dead_ratio=0.25,
    index_rows=100,
    build_attempts=3,
)


def segment(
    number: int,
    kib: int = 100,
    *,
    rows: int = 1000,
    dead: int = 0,
    missing: Mapping[int, int] | None = None,
    failed: int = 0,
) -> SegmentState:
    """A sealed segment as the policy sees it."""
    return SegmentState(number, rows, kib * KIB, dead, missing or {}, failed)


@pytest.mark.parametrize(("dead", "is_due"), [(0, False), (249, False), (250, True)])
def test_a_segment_is_purged_at_the_ratio(dead: int, is_due: bool) -> None:
    """Of its rows a quarter is dead, be they deleted or expired: not before."""
    action = next_action([segment(1, dead=dead)], SETTINGS)
    assert (action is not None) == is_due
    if is_due:
        assert isinstance(action, Compact)
        assert action.segment_ids == (1,)
        assert action.reason == "25 % of its rows are dead"


def test_segments_of_one_size_are_merged() -> None:
    """As many as the factor says; larger and smaller ones are left alone."""
    small = [segment(number, 100) for number in range(1, 4)]
    assert next_action([*small, segment(9, 600)], SETTINGS) is None
    action = next_action([*small, segment(4, 110), segment(9, 600)], SETTINGS)
    assert isinstance(action, Compact)
    assert action.segment_ids == (1, 2, 3, 4)


def test_live_bytes_make_the_size() -> None:
    """A segment counts by what a merge would write of it."""
    segments = [segment(number, 400, dead=200) for number in range(1, 5)]
    assert next_action(segments, SETTINGS) is None  # 1280 KiB are too many
    lighter = [segment(number, 290, dead=200) for number in range(1, 5)]
    action = next_action(lighter, SETTINGS)
    assert isinstance(action, Compact)
    assert action.segment_ids == (1, 2, 3, 4)


def test_indexes_wait_for_merges() -> None:
    """Then the largest segment comes first; small ones get none, nor failed ones."""
    missing = {101: 0}
    due = [segment(number, 100, missing=missing) for number in range(1, 5)]
    assert isinstance(next_action(due, SETTINGS), Compact)
    segments = [
        segment(1, 100, missing=missing),
        segment(2, 900, missing={101: 3, 102: 1}),
        segment(3, 10, rows=99, missing=missing),
    ]
    assert next_action(segments, SETTINGS) == Build(2, 102)
    assert next_action([segments[0], segments[2]], SETTINGS) == Build(1, 101)
    assert next_action([segments[2]], SETTINGS) is None


def test_what_fails_is_left_after_some_attempts() -> None:
    """A segment that cannot be merged does not keep the others from it."""
    segments = [segment(number, 100) for number in range(1, 6)]
    broken = [segment(1, 100, failed=3), *segments[1:]]
    action = next_action(broken, SETTINGS)
    assert isinstance(action, Compact)
    assert action.segment_ids == (2, 3, 4, 5)
    assert next_action([segment(1, dead=900, failed=3)], SETTINGS) is None


def test_asked_to_optimise() -> None:
    """Everything that fits becomes one, and the last dead row goes."""
    segments = [segment(1, 500), segment(2, 100), segment(3, 700)]
    action = next_action(segments, SETTINGS, eager=True)
    assert isinstance(action, Compact)
    assert action.segment_ids == (1, 2)
    single = next_action([segment(3, 700, dead=1)], SETTINGS, eager=True)
    assert isinstance(single, Compact)
    assert single.segment_ids == (3,)
    assert next_action([segment(3, 700)], SETTINGS, eager=True) is None


SEGMENTS = st.lists(
    st.tuples(st.integers(1, 1500), st.integers(1, 2000), st.floats(0, 1)), max_size=12
)


@given(SEGMENTS, st.booleans())
def test_merging_ends(shapes: list[tuple[int, int, float]], eager: bool) -> None:
    """Each step makes fewer segments or fewer dead rows, and none grows too large."""
    segments = [
        segment(number, kib, rows=rows, dead=int(rows * share))
        for number, (kib, rows, share) in enumerate(shapes)
    ]
    for step in range(100, 200):
        action = next_action(segments, SETTINGS, eager=eager)
        if action is None:
            break
        assert isinstance(action, Compact)
        chosen = [s for s in segments if s.segment_id in action.segment_ids]
        live = sum(s.nbytes * (s.n_rows - s.dead_rows) // s.n_rows for s in chosen)
        assert len(chosen) == 1 or live <= SETTINGS.segment_bytes
        rows = sum(s.n_rows - s.dead_rows for s in chosen)
        segments = [s for s in segments if s not in chosen]
        if rows:
            segments.append(SegmentState(step, rows, live, 0, {}))
    else:
        raise AssertionError("it merges for ever")
