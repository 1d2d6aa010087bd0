"""LIKE patterns and regular expressions as the cheapest Arrow kernel that decides them.

``%`` is any run of characters, newlines included, ``_`` exactly one; a backslash makes
either, or itself, literal. Regular expressions are RE2's, unanchored, and the dot
matches a newline.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from elanus.expr.refusal import Refusal
from elanus.schema.arrays import array_of_texts

_ANY_RUN, _ANY_ONE = object(), object()


def literal_of(pattern: str) -> str | None:
    """The only string that a pattern without wildcards matches, else None."""
    if "%" not in pattern and "_" not in pattern:
        return re.sub(r"\\([\s\S])", r"\1", pattern) if "\\" in pattern else pattern
    parts = _split(pattern)
    if all(isinstance(part, str) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    return None


def matches_like(strings: pa.Array, pattern: str) -> pa.BooleanArray:
    """Which strings match the whole pattern; null stays null."""
    parts = _split(pattern)
    words = [part for part in parts if isinstance(part, str)]
    if _ANY_ONE not in parts and len(words) <= 1:
        if not words:
            return pc.is_valid(strings) if strings.null_count == 0 else _true(strings)
        return _matches_word(strings, parts, words[0])
    return pc.match_substring_regex(strings, _like_as_regex(pattern))


def matches_regex(strings: pa.Array, pattern: str) -> pa.BooleanArray:
    """Which strings have a part that matches; null stays null."""
    return pc.match_substring_regex(strings, f"(?s){pattern}")


@lru_cache(maxsize=256)
def validate_regex(pattern: str) -> None:
    """Check that RE2 takes a pattern.

    Raises:
        Refusal: it does not; the message holds its reason.
    """
    if _depth_of(pattern) > _MOST_DEPTH:
        reason = f"expression nests too deeply: `{pattern}`"
        raise Refusal(f"invalid regex pattern: error parsing regexp: {reason}")
    try:
        matches_regex(_NOTHING, pattern)
    except pa.ArrowInvalid as error:
        told = str(error).removeprefix("Invalid regular expression: ")
        reason, _, part = told.partition(": ")
        # the words of the library for Go, which Milvus' planner asks
        reason = _GO_REASONS.get(reason, reason)
        raise Refusal(
            f"invalid regex pattern: error parsing regexp: {reason}: "
            f"`{part.removeprefix('(?s)')}`"
        ) from None


def validate_like(pattern: str) -> None:
    """Check that a LIKE pattern is of a size that can be asked for.

    Raises:
        Refusal: it has tens of thousands of wildcards.
    """
    if len(pattern) <= _SURELY_FITS:
        return
    try:
        matches_like(_NOTHING, pattern)
    except pa.ArrowInvalid:
        raise Refusal(
            f"like pattern is too large, got {len(pattern)} characters"
        ) from None


def _depth_of(pattern: str) -> int:
    """How deep groups stand in one another; escaped parentheses count as well."""
    depth = deepest = 0
    for parenthesis in re.findall(r"[()]", pattern):
        depth += 1 if parenthesis == "(" else -1
        deepest = max(deepest, depth)
    return deepest


_NOTHING: Final = array_of_texts([""], pa.large_string())
_SURELY_FITS: Final = 1_000
_MOST_DEPTH: Final = 1_000  # of Go's library, too
_GO_REASONS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
}


def _true(strings: pa.Array) -> pa.BooleanArray:
    return pc.starts_with(strings, "")


def _matches_word(
    strings: pa.Array, parts: tuple[object, ...], word: str
) -> pa.BooleanArray:
    """Patterns with one literal word: exact, prefix, suffix or infix."""
    open_left, open_right = parts[0] is _ANY_RUN, parts[-1] is _ANY_RUN
    if open_left and open_right:
        return pc.match_substring(strings, word)
    if open_left:
        return pc.ends_with(strings, word)
    if open_right:
        return pc.starts_with(strings, word)
    return pc.equal(strings, pa.scalar(word, strings.type))


@lru_cache(maxsize=256)
def _like_as_regex(pattern: str) -> str:
    out = []
    for part in _split(pattern):
        if isinstance(part, str):
            out.append(re.sub(r"([^0-9A-Za-z_\x80-\U0010ffff])", r"\\\1", part))
        else:
            out.append(".*" if part is _ANY_RUN else ".")
    return rf"(?s)\A{''.join(out)}\z"


@lru_cache(maxsize=256)
def _split(pattern: str) -> tuple[object, ...]:
    """Literal words and wildcards in order; neighbouring ``%`` are one."""
    parts: list[object] = []
    word: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == "\\":
            word.append(next(chars, "\\"))
        elif char not in "%_":
            word.append(char)
        else:
            if word:
                parts.append("".join(word))
                word = []
            if char == "_":
                parts.append(_ANY_ONE)
            elif not parts or parts[-1] is not _ANY_RUN:
                parts.append(_ANY_RUN)
    if word:
        parts.append("".join(word))
    return tuple(parts)


def prefix_of(pattern: str) -> tuple[str, bool]:
    """What matching strings begin with, and whether all that begin so match."""
    parts = _split(pattern)
    prefix = parts[0] if parts and isinstance(parts[0], str) else ""
    rest = parts[1:] if prefix else parts
    return prefix, rest == (_ANY_RUN,)


def is_at_one_end(pattern: str) -> bool:
    """Whether a look at one end of a string decides."""
    parts = _split(pattern)
    words = [part for part in parts if isinstance(part, str)]
    return len(words) == 1 and len(parts) <= 2 and _ANY_ONE not in parts


def words_of(pattern: str) -> tuple[str, ...]:
    """The literal words of a pattern: every matching string holds all of them."""
    return tuple(part for part in _split(pattern) if isinstance(part, str))
