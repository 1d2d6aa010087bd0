"""Answers about analyzers themselves."""

from __future__ import annotations

from dataclasses import dataclass

from elanus.service.replies import Reply


@dataclass(frozen=True, slots=True)
class AnalyzedToken:
    """One token; its place and hash where they were asked for.

    Attributes:
        start: its first byte in the text, as UTF-8.
        end: the byte after its last.
    """

    text: str
    start: int = 0
    end: int = 0
    position: int = 0
    length: int = 0
    hash: int = 0


@dataclass(frozen=True, slots=True)
class AnalyzedTexts(Reply):
    """The tokens of each text."""

    texts: tuple[tuple[AnalyzedToken, ...], ...]


@dataclass(frozen=True, slots=True)
class PhraseSlops(Reply):
    """The least slop with which each text matches; ``None`` if none will do."""

    slops: tuple[int | None, ...]
