"""Requests about analyzers themselves."""

from __future__ import annotations

from dataclasses import dataclass

from elanus.service.requests import CollectionRequest, Request


@dataclass(frozen=True, slots=True)
class RunAnalyzer(CollectionRequest):
    """Cut texts into tokens; by a field's analyzer when a collection is named.

    Attributes:
        texts: UTF-8, unchecked.
        description: of the analyzer, as JSON.
        field: of the collection, whose analyzer it is instead.
        analyzers: names of those of the field, one for all texts or one for each.
    """

    texts: tuple[bytes, ...]
    description: str
    field: str = ""
    analyzers: tuple[str, ...] = ()
    has_detail: bool = False
    has_hash: bool = False


@dataclass(frozen=True, slots=True)
class ComputePhraseMatchSlop(Request):
    """Ask how far the words of a phrase stand from it in each text."""

    description: str
    phrase: str
    texts: tuple[str, ...]
