"""The reasons for which an expression is turned down, before they meet its text."""

from __future__ import annotations


class Refusal(Exception):
    """An expression was turned down; carries the reason alone.

    Attributes:
        reason: what is wrong, in Milvus' words.
        names_text: whether Milvus puts "cannot parse expression: <text>" in front.
        is_plan_failure: whether Milvus puts "query plan failed" behind.
    """

    def __init__(
        self, reason: str, *, names_text: bool = True, is_plan_failure: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.names_text = names_text
        self.is_plan_failure = is_plan_failure and names_text

    def message(self, text: str) -> str:
        """The reason with Milvus' words around it; ``text`` is the expression."""
        before = f"cannot parse expression: {text}: " if self.names_text else ""
        return f"{before}{self.reason}{': query plan failed' * self.is_plan_failure}"
