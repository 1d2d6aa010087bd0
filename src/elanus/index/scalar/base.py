"""Contract of scalar indexes: which conditions one answers, at what cost, and how.

An answer is the one that a scan of the column gives, row for row, unknown rows
included; a condition that an index cannot answer so is left to the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import Cancelled
from elanus.expr.kleene import Bools, Mask
from elanus.expr.predicate import Condition
from elanus.expr.source import ColumnSource
from elanus.schema.arrays import array_of
from elanus.schema.schema import FieldSchema

Parts: TypeAlias = Mapping[str, pa.Array]
"""What a layout consists of: arrays by name."""

Rows: TypeAlias = npt.NDArray[np.uint32]
"""Row offsets in one segment."""

OVERHEAD_US = 15.0
"""What a look-up costs that finds nothing."""

ROW_US = 0.0035
"""What a row costs that is found: it is marked where it lies."""

MASK_ROW_US = 0.0001
"""What a row of the segment costs, found or not: an empty mask is made."""


class Lookup(NamedTuple):
    """One condition that an index can answer.

    Attributes:
        rows: how many rows match, by estimate.
        is_exact: whether ``rows`` is the number and no estimate.
        cost_us: estimated microseconds of :attr:`answer`.
        answer: finds the rows. It is given the segment's columns, for what the index
            does not hold.
    """

    rows: int
    is_exact: bool
    cost_us: float
    answer: Callable[[ColumnSource], Mask]


class ScalarIndex(Protocol):
    """An open index. Immutable; safe to share among threads."""

    def lookup(self, condition: Condition, budget_us: float = inf) -> Lookup | None:
        """How a leaf of a filter would be answered; ``None`` for what is not served.

        Args:
            budget_us: what costs more is of no use, and need not be looked into.
        """
        ...


@dataclass(frozen=True)
class ScalarBuild:
    """One index to build.

    Attributes:
        field: the field.
        column: its values in the segment, in the field's Arrow type.
        kind: Milvus' name of the kind; empty for AUTOINDEX.
        params: build parameters as the user gave them.
        path: of a JSON field, the keys on the way into its documents.
        progress: called with the share done, 0 to 1.
        is_cancelled: asked between chunks of work.
    """

    field: FieldSchema
    column: pa.Array
    kind: str
    params: Mapping[str, Any]
    path: tuple[str, ...] = ()
    progress: Callable[[float], None] = lambda share: None
    is_cancelled: Callable[[], bool] = lambda: False

    def step(self, share: float) -> None:
        """Report progress and stop here if the caller wants that.

        Raises:
            Cancelled: the build was cancelled.
        """
        if self.is_cancelled():
            raise Cancelled("index build cancelled")
        self.progress(share)


@dataclass(frozen=True, slots=True)
class Built:
    """A layout ready to be written.

    Attributes:
        layout: its name; ``none`` when no layout would serve these rows.
        parts: its arrays.
    """

    layout: str
    parts: Parts


def packed(mask: Bools | None) -> pa.Array:
    """A mask, eight rows a byte, least significant first; empty for ``None``."""
    if mask is None:
        return array_of(np.empty(0, np.uint8))
    return array_of(np.packbits(mask, bitorder="little"))


def unpacked(bits: npt.NDArray[np.uint8], n_rows: int) -> Bools | None:
    """The inverse of :func:`packed`, as a fresh array."""
    if not len(bits):
        return None
    return np.unpackbits(bits, count=n_rows, bitorder="little").view(np.bool_)
