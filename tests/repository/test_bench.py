"""How figures are judged and written down, and that the data recipe is stable."""

from __future__ import annotations

import numpy as np
import pytest

from bench.figures import Figure, markdown
from examples import sentences


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [
        (0.8, True, "pass"),
        (0.79, True, "MISS"),
        (0.8, False, "pass"),
        (1, False, "MISS"),
    ],
)
def test_a_bar_is_met_from_its_side(value: float, at_least: bool, verdict: str) -> None:
    """A figure passes when it lies on the bar or on the right side of it."""
    assert Figure("a", "b", value, "×", 0.8, at_least).verdict == verdict


def test_small_data_is_not_judged() -> None:
    """A figure measured on another scale than its bar says neither pass nor miss."""
    assert Figure("a", "b", 0.1, "×", 0.8, comparable=False).verdict == ""


def test_the_table_names_value_bar_and_peer() -> None:
    """One row per figure, under headings, with everything a reader needs to judge."""
    table = markdown(
        [Figure("insert", "rows", 123456.7, "rows/s", 100_000, note="disk")]
    )
    heading, rule, row = table.splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    for part in (
        "insert",
        "rows",
        "123,457 rows/s",
        "≥ 100,000 rows/s",
        "pass",
        "disk",
    ):
        assert part in row


def test_vectors_of_a_seed_are_always_the_same() -> None:
    """The recipe gives unit vectors that depend on nothing but the seed."""
    real = sentences.load().vectors
    one, again = (sentences.mixed(real, 50, seed=7) for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, sentences.mixed(real, 50, seed=8))
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)


def test_the_extract_holds_documents_and_queries() -> None:
    """2,000 documents and 100 queries, with unit vectors of 384 dimensions."""
    documents, queries = sentences.load(), sentences.load("query")
    assert (len(documents), len(queries)) == (2_000, 100)
    assert documents.vectors.shape == (2_000, sentences.DIM)
    assert np.allclose(np.linalg.norm(documents.vectors, axis=1), 1, atol=1e-3)
    assert not set(documents.texts) & set(queries.texts)
