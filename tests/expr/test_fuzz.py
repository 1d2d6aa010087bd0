"""Broken expressions: a result or our typed error, in bounded time and memory.

Texts begin as the golden cases and as generated filters, and are then cut, spliced,
repeated and sprinkled with what hurts. Everything follows from one seed.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from elanus.errors import QueryPlanError
from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.expr.prune import may_match
from expr.test_cases import ALL_CASES, data

SOON_S = 1.0
SECONDS_A_CHARACTER = 5e-6
MOST_MEMORY_BYTES = 400 << 20

VALID = sorted(
    {case.values[0].text for case in ALL_CASES if case.values[0].rows is not None}
)
PARAMS: dict[str, Any] = {"x": 1, "y": [1, "a", 2.5, True], "lo": 0, "hi": "z"}
PIECES = [
    *"()[]{}'\"\\$%_,.=!<>+-*/&|^~ \t\n0159aex",
    *(" and ", " or ", " not ", " in ", " like ", " =~ ", "==", "**", "is null", "//"),
    *("1e308", "1e-400", "0x", "0b2", "08", "9223372036854775808", "-0", "1."),
    *("\\u00e9", "\\ud800", "\\x8", "é", "\U0001f600", "\x00", "\ufeff", "\u2028"),
    *("$meta", "$[n]", "part[0]", "a[99]", 'j["x"]["y"]', "{x}", "{y}", "threshold="),
    *("ISO '", "INTERVAL 'P1M'", "(?i)", "(a*)*b", "a{1000}", "[^", "%" * 50, "_" * 50),
    *("random_sample(0.5)", "element_filter(part, ", "match_any(part, ", "[[1], 2]"),
]


def broken(rng: random.Random) -> str:
    """A valid text after a few accidents, most of them small."""
    text = rng.choice(VALID)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randint(0, len(text))
        to = min(len(text), at + rng.choice([0, 1, 1, 2, 5, 30]))
        accident = rng.randrange(7)
        if accident == 0:
            text = text[:at] + text[to:]
        elif accident == 1:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif accident == 2:
            text = text[:at] + text[at:to] * rng.randint(2, 30) + text[to:]
        elif accident == 3:
            text = text[:at] + rng.choice(VALID)[to:]
        elif accident == 4:
            word = rng.choice([" and ", " or ", "(", " not ", ", "])
            text = f"{text}{word}{rng.choice(VALID)}"
        elif accident == 5:
            text = f"{rng.choice(['(', 'not (', '!(('])}{text}{')' * rng.randint(0, 2)}"
        else:
            text = (
                text[:at] + chr(rng.choice([rng.randrange(128), 0x10FFFF])) + text[at:]
            )
        text = text[:5_000]
    return text


def noise(rng: random.Random) -> str:
    """Random bytes, or random words of the language."""
    if rng.random() < 0.5:
        return rng.randbytes(rng.randint(1, 60)).decode("latin-1")
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40)))


def hostile(rng: random.Random) -> str:
    """One short piece, many thousand times."""
    piece = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 3)))
    start = rng.choice(["", "id == 1 and ", "s in [", 's like "', "s =~ '", "j"])
    return start + piece * rng.randint(1_000, 20_000)


def texts(seed: int, count: int) -> Iterator[str]:
    """Texts of all three kinds, the costly ones rare."""
    rng = random.Random(seed)
    for number in range(count):
        if number % 200 == 199:
            yield hostile(rng)
        else:
            yield noise(rng) if number % 4 == 3 else broken(rng)


def survive(text: str) -> bool:
    """Whether a text is a filter; whether or not, that is told soon and properly."""
    schema, columns = data(0)
    began = time.perf_counter()
    try:
        predicate = compile_filter(text, schema, PARAMS)
    except QueryPlanError as error:
        assert str(error).endswith("invalid parameter")
        is_filter = False
    else:
        may_match(predicate, {})
        mask = evaluate(predicate, columns, np.random.default_rng(0))
        assert mask.shape == (columns.n_rows,) and str(predicate)
        is_filter = True
    taken_s = time.perf_counter() - began
    assert taken_s < SOON_S + len(text) * SECONDS_A_CHARACTER, f"{taken_s} s"
    return is_filter


def survive_all(seed: int, count: int) -> None:
    """Let all pass; some must be filters still, or nothing past the parser is met."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    filters = 0
    for text in texts(seed, count):
        try:
            filters += survive(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text[:5_000]!r}") from error
    assert filters > count // 10
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown << 10 < MOST_MEMORY_BYTES


def test_broken_expressions_are_filters_or_typed_errors() -> None:
    """Some hundreds of them, always the same."""
    survive_all(seed=20, count=500)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_more_are_too(seed: int) -> None:
    """The same, for long."""
    survive_all(seed, count=20_000)
