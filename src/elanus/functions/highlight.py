"""Fragments of texts with what matches marked in them.

The rules are Milvus': a fragment begins some characters before a match, and has so many
characters at least, or all that are left. Matches that begin inside it, or right at its
end, are marked in it and stretch it; the next one begins another fragment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """How matches are shown.

    Attributes:
        pre_tags, post_tags: what stands before and after a match; several take turns.
        offset: characters before the first match of a fragment.
        size: the least characters of a fragment.
        most: fragments of one text.
    """

    pre_tags: tuple[str, ...] = ("<em>",)
    post_tags: tuple[str, ...] = ("</em>",)
    offset: int = 0
    size: int = 100
    most: int = 5


def fragments(text: str, matches: Sequence[Span], style: Style) -> list[str]:
    """The fragments of a text, in its order.

    Args:
        matches: first character of each, and the one after its last.
    """
    made: list[str] = []
    waiting = _joined(matches)
    while waiting and len(made) < style.most:
        first = waiting[0]
        start = max(0, first[0] - style.offset)
        end = max(first[1], min(len(text), start + style.size))
        inside: list[Span] = []
        while waiting and waiting[0][0] <= end:
            match = waiting.pop(0)
            end = max(end, match[1])
            inside.append(match)
        made.append(_marked(text, (start, end), inside, style))
    return made


def _joined(matches: Sequence[Span]) -> list[Span]:
    """Matches in order; those that overlap or touch are one."""
    joined: list[Span] = []
    for start, end in sorted(matches):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _marked(text: str, span: Span, matches: Sequence[Span], style: Style) -> str:
    """A part of a text with matches marked."""
    place, end = span
    parts: list[str] = []
    for number, (first, after) in enumerate(matches):
        before = style.pre_tags[number % len(style.pre_tags)]
        behind = style.post_tags[number % len(style.post_tags)]
        parts += [text[place:first], before, text[first:after], behind]
        place = after
    return "".join([*parts, text[place:end]])
