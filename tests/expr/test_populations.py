"""Random filters on random rows of every type, in segments of every state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from expr.populations import Population, populations
from expr.reference import FILTERS, Sample


@pytest.fixture(scope="module")
def everywhere() -> Iterator[list[Population]]:
    """The same rows growing, sealed, in both, and after a compaction."""
    with populations() as made:
        yield made


@settings(max_examples=40)
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
