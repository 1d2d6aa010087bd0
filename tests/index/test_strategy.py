"""The choice between exact, index and sketch, as a pure function."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.index.base import Calibration
from elanus.index.strategy import (
    SearchFacts,
    StrategyKind,
    choose_strategy,
    default_effort,
    raised_effort,
    unfiltered_strategy,
)

GRAPH = SearchFacts(
    rows=100_000,
    allowed=10_000,
    limit=10,
    dim=384,
    effort=64,
    has_sketch=True,
    full_effort=100_000,
    calibration=Calibration(
        efforts=((0.9, 96), (0.5, 192)), candidates=((0.9, 512), (0.5, 320), (0.1, 96))
    ),
)


def test_few_allowed_rows_are_measured_one_by_one() -> None:
    """Below a percent or so nothing beats looking at each row."""
    for allowed in (0, 1, 100, 1_000):
        chosen = choose_strategy(replace(GRAPH, allowed=allowed))
        assert chosen.kind is StrategyKind.EXACT


def test_a_tenth_of_the_rows_takes_the_sketch() -> None:
    """Where the graph loses its way and a scan is long, the sketch is cheapest."""
    chosen = choose_strategy(GRAPH)
    assert (chosen.kind, chosen.effort) == (StrategyKind.SKETCH, 192)


def test_nearly_all_rows_take_the_index() -> None:
    """A few deleted rows cost a walk only in proportion."""
    chosen = choose_strategy(replace(GRAPH, allowed=96_000))
    assert (chosen.kind, chosen.effort) == (StrategyKind.INDEX, 67)


def test_without_a_sketch_the_calibrated_effort_counts() -> None:
    """The effort of the next sparser share measured is taken, none beyond."""
    plain = replace(GRAPH, has_sketch=False)
    assert choose_strategy(replace(plain, allowed=60_000)).effort == 192
    assert choose_strategy(replace(plain, allowed=60_000, effort=900)).effort == 900
    beyond = choose_strategy(replace(plain, allowed=40_000))
    assert beyond.kind is StrategyKind.EXACT


def test_denser_filters_need_more_candidates() -> None:
    """The sketch takes what the next denser share needed."""
    for allowed, candidates in ((10_000, 192), (10_001, 320), (60_000, 512)):
        chosen = choose_strategy(replace(GRAPH, allowed=allowed))
        assert (chosen.kind, chosen.effort) == (StrategyKind.SKETCH, candidates)


def test_a_larger_limit_needs_more_effort() -> None:
    """What was calibrated at ten rows grows in proportion to the limit."""
    assert choose_strategy(replace(GRAPH, limit=100)).effort == 960


@given(
    rows=st.integers(1, 2_000_000),
    share=st.floats(0, 1),
    limit=st.integers(1, 5_000),
    dim=st.integers(1, 2_000),
    effort=st.integers(0, 5_000),
)
def test_the_users_effort_is_a_floor(
    rows: int, share: float, limit: int, dim: int, effort: int
) -> None:
    """No filtered search tries less than was asked, nor more than there is."""
    facts = replace(
        GRAPH,
        rows=rows,
        allowed=int(rows * share),
        limit=limit,
        dim=dim,
        effort=effort,
        full_effort=rows,
    )
    chosen = choose_strategy(facts)
    if chosen.kind is StrategyKind.INDEX:
        assert min(effort, rows) <= chosen.effort <= rows
    if chosen.kind is StrategyKind.SKETCH:
        assert min(effort, facts.allowed) <= chosen.effort <= facts.allowed


def test_without_a_filter_the_effort_is_the_users() -> None:
    """Only the limit and the size of the index bound what was asked."""
    assert unfiltered_strategy(64, 10, 1_000, False).effort == 64
    assert unfiltered_strategy(5, 10, 1_000, False).effort == 10
    assert unfiltered_strategy(5, 10, 1_000, True).effort == 5
    assert unfiltered_strategy(64, 10, 32, True).effort == 32


def test_effort_rises_to_its_end() -> None:
    """A raised effort ends at the full one, after which only a scan is left."""
    assert raised_effort(8, 100) == 32
    assert raised_effort(32, 100) == 100
    assert raised_effort(100, 100) is None


def test_a_strategy_explains_itself() -> None:
    """EXPLAIN shows the way, its effort, and the estimates compared."""
    text = str(choose_strategy(GRAPH))
    assert text.startswith("sketch(192): filter passes 10000 of 100000 rows; exact ")


@pytest.mark.parametrize(
    ("efforts", "limit", "visits_lists", "effort"),
    [
        (((0.9, 96), (0.5, 192)), 10, False, 96),
        (((0.9, 96),), 25, False, 288),
        (((0.9, 16),), 10, False, 64),
        (((0.9, 16),), 10, True, 16),
        ((), 10, False, 64),
        ((), 100, False, 400),
        ((), 10, True, 32),
    ],
)
def test_effort_where_none_is_given(
    efforts: tuple[tuple[float, int], ...],
    limit: int,
    visits_lists: bool,
    effort: int,
) -> None:
    """It is what the build measured for nearly all rows, and never very small."""
    assert default_effort(Calibration(efforts), limit, visits_lists) == effort
