"""Fragments with marks in them, by the rules of Milvus."""

from __future__ import annotations

import re

import pytest

from elanus.functions.highlight import Style, fragments

SEAT = "I have the seat full of water! Like, full of water!"
LEAK = "A leakage of what?"


def marked(text: str, words: str, **style: int) -> list[str]:
    """The fragments of a text in which some words match."""
    chosen = words.split()
    spans = [m.span() for m in re.finditer(r"\w+", text) if m.group() in chosen]
    return fragments(text, spans, Style(("{",), ("}",), **style))


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        ({"size": 1, "most": 1}, ["{water}"]),
        ({"size": 1, "most": 2}, ["{water}", "{water}"]),
        ({"size": 9}, ["{water}! Li", "{water}!"]),
        ({"size": 100}, ["{water}! Like, full of {water}!"]),
        ({"size": 100, "most": 0}, []),
        ({"size": 5, "offset": 5}, ["l of {water}", "l of {water}"]),
        (
            {"size": 5, "offset": 100},
            [
                "I have the seat full of {water}",
                "I have the seat full of water! Like, full of {water}",
            ],
        ),
    ],
)
def test_a_fragment_begins_before_a_match(
    style: dict[str, int], wanted: list[str]
) -> None:
    """And has so many characters at least, or all that are left."""
    assert marked(SEAT, "water", **style) == wanted


def test_matches_at_its_end_stretch_a_fragment() -> None:
    """The next one begins another, in which the one before is not marked again."""
    found = marked(LEAK, "A leakage of what", size=10, offset=5)
    assert found == ["{A} {leakage} {of}", "e of {what}?"]


def test_matches_that_overlap_or_touch_are_one() -> None:
    """In whatever order they come."""
    spans = [(4, 6), (0, 2), (1, 3), (3, 4)]
    assert fragments("abcdefgh", spans, Style(("<",), (">",), size=1)) == ["<abcdef>"]


def test_tags_take_turns_within_a_fragment() -> None:
    """Each list for itself."""
    spans = [(0, 1), (2, 3), (4, 5), (6, 7)]
    style = Style(("{", "<", "="), ("}", ">"), size=5)
    assert fragments("a b c d", spans, style) == ["{a} <b> =c}", "{d}"]


def test_nothing_to_mark_is_no_fragment() -> None:
    """Nor is it of an empty text."""
    assert fragments("abc", [], Style()) == []
    assert fragments("", [], Style()) == []
