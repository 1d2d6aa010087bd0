"""The condition that a text holds some words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from elanus.expr.tree import quoted
from elanus.text.match import Phrase, Similar, Words

if TYPE_CHECKING:
    from elanus.expr.predicate import Column

TextQuery: TypeAlias = Words | Similar | Phrase


@dataclass(frozen=True, slots=True)
class TextMatch:
    """The texts of a column match a query; unknown where there is no text.

    Attributes:
        query: in tokens of the field's analyzer.
        function: that asked for it.
        text: as it was asked for.
        option: what it was asked with beside the text, as source.
    """

    operand: Column
    query: TextQuery
    function: str
    text: str
    option: str = ""

    def __str__(self) -> str:
        option = f", {self.option}" if self.option else ""
        return f"{self.function}({self.operand}, {quoted(self.text)}{option})"
