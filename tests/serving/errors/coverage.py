"""Which of the messages that Milvus' own tests compare are provoked here, and why not.

``messages.tsv`` has one per line, and after it "case", or the reason why no case here
provokes it; what the short reasons mean stands below.
"""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path(__file__).with_name("messages.tsv")
CASE = "case"
UNPROVOKED = "unprovoked"
# Reasons; one that begins with "not built: " names what is missing.
REASONS = {
    "client": "pymilvus raises it, or the call never leaves the client",
    "index parameters": "of a kind of index: tests/index and tests/service",
    "alterations": "of alterations: tests/service",
    "nodes": "of several nodes: what one answers, tests/service/test_nodes.py says",
    "highlights": "of marked words: tests/embedded/test_highlighting.py",
    "words": "of filters on words: tests/expr/cases",
    "structs": "of lists and elements of structs: tests/embedded",
    "older": "of an older Milvus or its insides; nearly all tests of it are skipped",
    "other names": "a case provokes it, with other names in it",
    UNPROVOKED: "no test provokes it yet",
}
NOT_BUILT = "not built: "
# May only become fewer.
MOST_UNPROVOKED = 1
_SHORTEST = 12


def rows() -> list[tuple[str, str]]:
    """Message and reason; ``{}`` in a message stands for anything."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [(text, why) for text, _, why in (line.rpartition("\t") for line in lines)]


def is_explained(why: str) -> bool:
    """Whether a reason is one of those that there are."""
    return why == CASE or why in REASONS or why.startswith(NOT_BUILT)


def shows(message: str, pattern: str) -> bool:
    """Whether a message is that of a pattern, perhaps with other names in it."""
    parts = re.split(r"\{[^}]*\}|%s", pattern)
    if re.search(".*".join(map(re.escape, parts)), message, re.DOTALL):
        return True
    words = [part.strip() for part in _skeleton(pattern).split("~")]
    words = [word for word in words if len(word) > 1]
    if sum(map(len, words)) < _SHORTEST:
        return False
    found = re.search(".*".join(map(re.escape, words)), _skeleton(message), re.DOTALL)
    return found is not None


def _skeleton(text: str) -> str:
    """The text without its names and numbers."""
    for variable in (
        r"\{\{?[^}]*\}?\}|%s|<[^>]*>",
        r"\[[^\[\]]*\]",
        r"\([^()]*\)",
        r"'[^']*'|\"[^\"]*\"|-?\d+(\.\d+)?",
    ):
        text = re.sub(variable, "~", text)
    return text
