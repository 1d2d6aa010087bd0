"""Estimates from statistics, compared with what evenly spread values really match."""

from __future__ import annotations

from typing import Any

import pytest

from elanus.expr.bind import compile_filter
from elanus.expr.estimate import estimated_share
from expr.columns import schema_of
from expr.reference import FIELDS

SCHEMA = schema_of(FIELDS)
IDS = {field.name: field.id for field in SCHEMA.fields}
ROWS = 1000
RANGES: dict[int, tuple[Any, Any, int]] = {
    IDS["id"]: (0, 999, 0),
    IDS["small"]: (0, 99, 100),
    IDS["big"]: (7, 7, 0),
    IDS["wide"]: (0.0, 10.0, 0),
    IDS["flag"]: (False, True, 0),
    IDS["word"]: ("key000", "key999", 0),
}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("id == 5", 0.001),
        ("id in [1, 2, 3]", 0.003),
        ("id < 250", 0.25),
        ("id >= 250", 0.75),
        ("id <= 249", 0.25),
        ("100 <= id < 300", 0.2),
        ("id > 5000", 0.0),
        ("small == 3", 0.009),
        ("small in [3, 3, 4]", 0.018),
        ("small < 50", 0.45),
        ("small is null", 0.1),
        ("small is not null", 0.9),
        ("big == 7", 1.0),
        ("big != 7", 0.0),
        ("wide < 2.5", 0.25),
        ("wide == 2.5", 0.001),
        ("flag == true", 0.5),
        ("id < 500 and wide < 5.0", 0.25),
        ("id < 500 or wide < 5.0", 0.75),
        ("not (id < 250)", 0.75),
        ("id < 250 and random_sample(0.5)", 0.125),
        ("word < 'key500'", 0.55),  # letters count as numbers of base 256
        ("starts_with(word, 'key1')", 0.1),
        ("true", 1.0),
        ("false", 0.0),
    ],
)
def test_even_values(text: str, share: float) -> None:
    """Within a hundredth where the values are spread as the estimate takes them."""
    predicate = compile_filter(text, SCHEMA)
    assert estimated_share(predicate, RANGES, ROWS) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "text == 'a'",
        "text > 'a'",
        "text like '%a%'",
        "doc['x'] in [1, 2, 3, 4, 5, 6]",
        "array_contains(nums, 1)",
        "nums[0] == 1",
        "small + 1 > 5",
        "exists doc['x']",
        "big > small",
        "wide > 3 and doc['x'] == 1",
    ],
)
@pytest.mark.parametrize("ranges", [RANGES, None])
def test_what_is_not_known_is_guessed(text: str, ranges: Any) -> None:
    """Neither none nor all of the rows."""
    share = estimated_share(compile_filter(text, SCHEMA), ranges, ROWS)
    assert 0.0 < share < 1.0
