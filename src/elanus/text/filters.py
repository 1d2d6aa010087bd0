"""Filters of tokens by their characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from elanus.errors import InvalidParameter
from elanus.text.analyzer import Filter
from elanus.text.tokenizers import compiled

_HAN = r"\p{Han}"
_HAN_OR_ASCII = r"[\p{Han}A-Za-z0-9]"
_SIGN_OR_BLANK = r"[\p{P}\s]"
# One token may take so long to match a pattern that looks back and forth.
_PATTERN_S = 1.0


def lowercase(word: str) -> Sequence[str]:
    """Small letters, each by itself: a sigma at the end of a word is as any other."""
    if word.isascii() or "Σ" not in word:
        return (word.lower(),)
    return ("".join(map(str.lower, word)),)


def alphanumonly(word: str) -> Sequence[str]:
    """Only tokens of ASCII letters and digits."""
    return (word,) if word.isascii() and word.isalnum() else ()


def cncharonly(word: str) -> Sequence[str]:
    """Only tokens with a Han character."""
    return (word,) if compiled(_HAN).search(word) else ()


def cnalphanumonly(word: str) -> Sequence[str]:
    """Only tokens with a Han character, an ASCII letter or digit."""
    return (word,) if compiled(_HAN_OR_ASCII).search(word) else ()


def removepunct(word: str) -> Sequence[str]:
    """Only tokens without a punctuation mark and without a blank."""
    return () if compiled(_SIGN_OR_BLANK).search(word) else (word,)


def decimaldigit(word: str) -> Sequence[str]:
    """The digits of every script as those of ASCII."""
    if word.isascii():
        return (word,)
    return ("".join(str(unicodedata.decimal(c, c)) for c in word),)


_ARABIC_LETTERS = str.maketrans(
    {
        "\u0622": "\u0627",
        "\u0623": "\u0627",
        "\u0625": "\u0627",
        "\u0629": "\u0647",
        "\u0649": "\u064a",
        "\u0640": None,
        **{chr(mark): None for mark in range(0x064B, 0x0660)},
    }
)


def arabic_normalization(word: str) -> Sequence[str]:
    """Arabic letters in one form each, without vowel signs and stretching."""
    return (word.translate(_ARABIC_LETTERS),)


def length(parameters: dict[str, Any]) -> Filter:
    """Only tokens of at most ``max`` bytes of UTF-8.

    Raises:
        InvalidParameter: there is no such number.
    """
    limit = parameters.get("max")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise InvalidParameter("lenth max param was none or not uint")
    most = limit

    def within(word: str) -> Sequence[str]:
        size = len(word) if word.isascii() else len(word.encode())
        return (word,) if size <= most else ()

    return within


def pattern(parameters: dict[str, Any]) -> Filter:
    """Only tokens in which a pattern is found; what takes too long to try is kept.

    Raises:
        InvalidParameter: there is no pattern, or it cannot be read.
    """
    expression = parameters.get("expr")
    if expression is None:
        raise InvalidParameter("must set expr for regex filter")
    if not isinstance(expression, str):
        raise InvalidParameter("expr must be string")
    try:
        found_by = compiled(expression)
    except ValueError as error:
        raise InvalidParameter(
            f"regex expression invalid, expr:{expression}, err: {error}"
        ) from error

    def found(word: str) -> Sequence[str]:
        try:
            return (word,) if found_by.search(word, timeout=_PATTERN_S) else ()
        except TimeoutError:
            return (word,)

    return found
