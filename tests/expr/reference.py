"""Random typed expressions, each with a plain Python function that decides one row.

The functions answer True, False or None (unknown) from the row's dictionary and share
nothing with the implementation: they are the specification, row by row.
"""

from __future__ import annotations

from hypothesis import strategies as st

from expr.conditions import (
    PLACES,
    chains,
    column_pairs,
    comparisons,
    containments,
    list_equalities,
    matches,
    memberships,
    presences,
    ranges,
    sums,
)
from expr.meaning import (
    Place,
    Sample,
    constants_for,
    kleene_and,
    kleene_not,
    kleene_or,
    quote,
)
from expr.pools import FIELDS, ROW
from expr.special import SPECIAL, element_filters

__all__ = [
    "EXPRESSIONS",
    "FIELDS",
    "FILTERS",
    "LEAVES",
    "PLACES",
    "ROW",
    "Place",
    "Sample",
    "constants_for",
    "kleene_and",
    "kleene_not",
    "quote",
]

LEAVES = st.one_of(
    comparisons(),
    ranges(),
    memberships(),
    chains(),
    matches(),
    sums(),
    containments(),
    list_equalities(),
    presences(),
    column_pairs(),
    SPECIAL,
)


def _negation(part: Sample) -> Sample:
    return Sample(
        f"not ({part.text})", lambda row: kleene_not(part.decide(row)), part.params
    )


def _params(parts: list[Sample]) -> dict[str, object]:
    return {name: value for part in parts for name, value in part.params.items()}


def _conjunction(parts: list[Sample]) -> Sample:
    return Sample(
        " and ".join(f"({part.text})" for part in parts),
        lambda row: kleene_and([part.decide(row) for part in parts]),
        _params(parts),
    )


def _disjunction(parts: list[Sample]) -> Sample:
    return Sample(
        " || ".join(f"({part.text})" for part in parts),
        lambda row: kleene_or([part.decide(row) for part in parts]),
        _params(parts),
    )


def _joined(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        inner.map(_negation), several.map(_conjunction), several.map(_disjunction)
    )


EXPRESSIONS = st.recursive(LEAVES, _joined, max_leaves=5)
FILTERS = st.one_of(EXPRESSIONS, EXPRESSIONS, element_filters(EXPRESSIONS))
