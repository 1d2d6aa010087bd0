"""Random filters on random rows of every type, in segments of every state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from expr.populations import STATES, Population, populations
from expr.reference import FILTERS, Sample


@pytest.fixture(scope="module")
def everywhere() -> Iterator[list[Population]]:
    """The same rows growing, sealed, in both, and after a compaction."""
    with populations() as made:
        yield made


@settings(max_examples=30)
@given(FILTERS)
def test_a_filter_answers_alike_wherever_rows_are(
    everywhere: list[Population], sample: Sample
) -> None:
    """Exactly the rows of which it is true, whatever holds them."""
    for population in everywhere:
        population.check(sample)


@pytest.mark.slow
@settings(max_examples=1500)
@given(FILTERS)
def test_thousands_of_filters_do(everywhere: list[Population], sample: Sample) -> None:
    """The same, for long."""
    for population in everywhere:
        population.check(sample)


KEYS = range(3, 100_003, 5)
HUGE = {
    "deep": Sample(
        "(id > 0 and (short < 0 or " * 500 + "id == 1" + "))" * 500,
        lambda row: row["id"] > 0 and (row["short"] < 0 or row["id"] == 1),
    ),
    "negated": Sample(
        "not (id > 5 and " * 1_001 + "id < 9" + ")" * 1_001,
        lambda row: row["id"] <= 5 or row["id"] >= 9,
    ),
    "chain": Sample(
        " or ".join(f"id == {key}" for key in KEYS[:5_000]),
        lambda row: row["id"] in KEYS,
    ),
    "list": Sample(
        f"short > 2 or id in {list(KEYS)}",
        lambda row: row["short"] > 2 or row["id"] in KEYS,
    ),
    "template": Sample(
        "id in {keys}", lambda row: row["id"] in KEYS, {"keys": list(KEYS)}
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_deep_and_huge_filters_are_answered(
    everywhere: list[Population], name: str
) -> None:
    """A thousand levels, thousands of terms, tens of thousands of values."""
    sample, population = HUGE[name], everywhere[STATES.index("mixed")]
    population.check(sample)
    hits = population.collection.search(
        [0.0, 1.0], filter=sample.text, limit=1_000, filter_params=dict(sample.params)
    )
    assert len(hits) == sum(sample.decide(row) is True for row in population.rows)
