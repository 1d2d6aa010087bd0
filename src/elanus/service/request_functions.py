"""Functions and highlighters that a search brings, as they were sent; plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RankFunction:
    """One function that changes scores.

    Attributes:
        type_number: Milvus' kind of function.
        inputs: names of the fields it reads.
        params: texts; lists and objects are JSON.
    """

    name: str
    type_number: int
    inputs: tuple[str, ...]
    params: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class FunctionScore:
    """The functions of one search, and how they work together."""

    functions: tuple[RankFunction, ...]
    params: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Highlighter:
    """How the words that match are marked in the texts of an answer.

    Attributes:
        type_number: Milvus' kind of highlighter.
        params: texts; lists are JSON.
    """

    type_number: int
    params: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ColumnName:
    """An argument that stands for a column."""

    name: str


@dataclass(frozen=True, slots=True)
class ChainCall:
    """A function applied to columns and plain values.

    Attributes:
        args: :class:`ColumnName`, or values.
    """

    name: str
    args: tuple[Any, ...] = field(default=(), hash=False)
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One operation on the rows found.

    Attributes:
        op: such as "map", "sort" or "limit".
        call: what a "map" computes.
    """

    op: str
    call: ChainCall | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class FunctionChain:
    """Operations on the rows found, one after the other.

    Attributes:
        stage: Milvus' number.
    """

    name: str
    stage: int
    steps: tuple[ChainStep, ...]
