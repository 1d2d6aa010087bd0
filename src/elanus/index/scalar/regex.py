"""Literals that a regular expression cannot match without.

Reads RE2's syntax from left to right and keeps what is certain: characters that stand
for themselves outside of groups, neither repeated at will nor part of an alternative.
Where anything is not certain, fewer literals come out, or none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      \\(?P<escaped>[^0-9A-Za-z])            # a sign that stands for itself
    | \\[dDwWsSbBAz]                         # a class, or a place between characters
    | (?P<class>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])
    | (?P<open>\() | (?P<close>\))
    | (?P<repeat>[*?]|\{\d+(?:,\d*)?\})
    | [.^$+]
    | (?P<plain>[^\\\[(){*?|])
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=256)
def required_words(pattern: str) -> tuple[str, ...]:
    """Strings each of which every match of an RE2 pattern holds; empty for unknown."""
    if "|" in pattern or "(?" in pattern:
        return ()
    words, word = [], ""
    depth = place = 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            return ()
        place = token.end()
        depth += (token["open"] is not None) - (token["close"] is not None)
        literal = token["escaped"] or token["plain"]
        if literal is not None and depth == 0:
            word += literal
            continue
        # what is repeated may be absent
        words.append(word[:-1] if token["repeat"] else word)
        word = ""
    return tuple(found for found in (*words, word) if found)
