"""The request for an explanation of a read, in place of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from elanus.service.requests import HybridSearch, PartitionsRequest, Query, Search


class ExplainForm(StrEnum):
    """How an explanation is told."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Explain(PartitionsRequest):
    """Do a read, and tell what was done instead of what was found."""

    read: Search | Query | HybridSearch
    form: ExplainForm
