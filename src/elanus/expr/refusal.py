"""The reasons for which an expression is turned down, before they meet its text."""

from __future__ import annotations


class Refusal(Exception):
    """An expression was turned down; carries the reason alone.

    Attributes:
        reason: what is wrong, in Milvus' words.
        names_text: whether Milvus puts "cannot parse expression: <text>" in front.
    """

    def __init__(self, reason: str, *, names_text: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.names_text = names_text


def not_supported_yet(what: str) -> Refusal:
    """The refusal of a construct that the grammar has and this engine lacks."""
    return Refusal(f"{what} is not supported yet")
