"""Rerankers that read: a model says how well each text answers a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from elanus.distance.metrics import Floats


class TextScorer(Protocol):
    """What judges texts, in this process or elsewhere. It may take seconds."""

    def scores(self, texts: Sequence[Sequence[str]]) -> list[Floats]:
        """The score of each text for its query, larger being better.

        Args:
            texts: those of each query, in the order in which the queries were asked.

        Raises:
            ElanusError: it could not be asked, or made no sense.
        """
        ...
