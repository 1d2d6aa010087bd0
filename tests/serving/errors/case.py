"""What a case of a refusal is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pymilvus import MilvusClient

Call: TypeAlias = Callable[[MilvusClient], object]


@dataclass(frozen=True)
class Case:
    """One refusal.

    Attributes:
        code: of the error.
        text: a part of its message; ``{}`` stands for anything.
        call: what provokes it.
    """

    code: int
    text: str
    call: Call
