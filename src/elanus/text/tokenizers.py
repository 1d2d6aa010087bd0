"""Tokenizers that need no knowledge of a language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from elanus.errors import InvalidParameter
from elanus.text.analyzer import Token


@cache
def compiled(pattern: str) -> Any:
    """A pattern that may ask for properties of Unicode.

    Raises:
        ValueError: it cannot be read.
    """
    import regex  # takes long to import, and few collections have text

    try:
        return regex.compile(pattern, regex.VERSION0)
    except regex.error as error:
        raise ValueError(str(error)) from error


class PatternTokenizer:
    """Tokens are what a pattern finds; positions count them.

    Args:
        pattern: for any text.
        ascii_pattern: finds the same in texts of ASCII only, faster.
    """

    counts = True

    def __init__(
        self, pattern: str, ascii_pattern: re.Pattern[str] | None = None
    ) -> None:
        self._pattern = compiled(pattern)
        self._ascii_pattern = ascii_pattern

    def words(self, text: str) -> list[str]:
        """The texts of the tokens."""
        if self._ascii_pattern is not None and text.isascii():
            return self._ascii_pattern.findall(text)
        words: list[str] = self._pattern.findall(text)
        return words

    def tokens(self, text: str) -> list[Token]:
        """The tokens with their places."""
        found = self._pattern.finditer(text)
        return [Token(m.group(), m.start(), m.end(), i) for i, m in enumerate(found)]


# What Rust calls alphanumeric, in which Milvus' tokenizer is written: unlike \w it has
# the vowel signs of Indic scripts, and no underscore.
_ALPHANUMERICS = r"[\p{Alphabetic}\p{N}]+"
_ASCII_ALPHANUMERICS = re.compile(r"[0-9A-Za-z]+")
_NO_BLANKS = r"[^ \t\n\f\r]+"


def standard() -> PatternTokenizer:
    """Runs of letters and digits."""
    return PatternTokenizer(_ALPHANUMERICS, _ASCII_ALPHANUMERICS)


def whitespace() -> PatternTokenizer:
    """What stands between ASCII blanks."""
    return PatternTokenizer(_NO_BLANKS)


_CLASSES = {
    "whitespace": r"\s",
    "letter": r"\p{L}",
    "digit": r"\p{Nd}",
    "punctuation": r"\p{P}",
    "symbol": r"\p{S}",
    "ascii_whitespace": r" \t\n\f\r",
    "ascii_letter": "A-Za-z",
    "ascii_digit": "0-9",
    "ascii_punctuation": r"!-/:-@\[-`{-~",
}


def char_group(parameters: dict[str, Any]) -> PatternTokenizer:
    """What stands between characters of the given kinds.

    Raises:
        InvalidParameter: ``delimiters`` is missing, or names no kind of characters.
    """
    delimiters = parameters.get("delimiters")
    if not isinstance(delimiters, list) or not delimiters:
        raise InvalidParameter("char_group tokenizer delimiters must be array")
    classes = []
    for delimiter in delimiters:
        if not isinstance(delimiter, str):
            raise InvalidParameter("char_group tokenizer delimiter must be string")
        if len(delimiter) == 1:
            classes.append(re.escape(delimiter))
        elif delimiter in _CLASSES:
            classes.append(_CLASSES[delimiter])
        else:
            raise InvalidParameter(
                f"unknown char_group tokenizer delimiter: {delimiter}"
            )
    return PatternTokenizer(f"[^{''.join(classes)}]+")


def characters_of_utf16(text: str, offsets: Sequence[int]) -> Iterable[int]:
    """Offsets in UTF-16 code units, ascending, as offsets in characters."""
    if not text or max(text) < "\U00010000":
        return offsets
    units = 0
    character_by_unit = {}
    for at, character in enumerate(text):
        character_by_unit[units] = at
        units += 1 if character < "\U00010000" else 2
    character_by_unit[units] = len(text)
    return (character_by_unit[offset] for offset in offsets)
