"""What a reader may ask of a segment, growing or sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.distance.block import Block
from elanus.distance.metrics import Metric
from elanus.expr.boxes import Boxes
from elanus.expr.jsonpath import PathColumn
from elanus.index.base import VectorIndex
from elanus.schema.columns import Column, Offsets
from elanus.schema.schema import CollectionSchema
from elanus.schema.vectors import VectorColumn
from elanus.segment.attached import AttachedScalarIndex
from elanus.segment.deletes import HiddenRows, Mask
from elanus.segment.keys import Keys
from elanus.segment.words import KnownWords
from elanus.text.postings import Occurrences

Ranges = dict[int, tuple[object, object, int]]
Spans = tuple[tuple[int, int], ...]


class Segment(Protocol):
    """One slice of rows. ``n_rows`` arguments say how many rows a snapshot sees.

    Attributes:
        id: unique in the collection, never reused.
        hidden: rows that are deleted or shadowed.
        schema: the collection's, as it is now.
        words: lists of its sparse vectors by dimension.
    """

    id: int
    hidden: HiddenRows
    schema: CollectionSchema
    words: KnownWords

    @property
    def is_sealed(self) -> bool:
        """Whether the rows are on files and will not grow."""

    def column(self, field_id: int, n_rows: int) -> pa.Array:
        """A scalar column of the first ``n_rows`` rows."""

    def json_path(
        self, field_id: int, path: tuple[str | int, ...], n_rows: int
    ) -> PathColumn:
        """The values at one path of a JSON column, decoded once and kept."""

    def is_decoded(self, field_id: int, path: tuple[str | int, ...]) -> bool:
        """Whether :meth:`json_path` has the values at a path at hand."""

    def boxes(self, field_id: int, n_rows: int) -> Boxes:
        """What surrounds the geometries of a column, read once and kept."""

    def texts(self, field_id: int, n_rows: int) -> Occurrences:
        """Where the tokens of a column of texts stand, cut once and kept."""

    def vectors(self, field_id: int, n_rows: int) -> VectorColumn:
        """A column of vectors, of the first ``n_rows`` rows."""

    def block(self, field_id: int, metric: Metric, n_rows: int) -> Block:
        """The vectors of that column, ready to be compared by ``metric``.

        They are numbered as :attr:`VectorColumn.present` says.
        """

    def take(self, field_id: int, offsets: Offsets) -> Column:
        """The values of any field at ``offsets``, in that order."""

    def row_ts(self, n_rows: int) -> npt.NDArray[np.int64]:
        """The timestamp of every row, (n_rows,)."""

    def oldest_ts(self) -> int:
        """A timestamp that no row is older than; 0 when there are no rows."""

    def row_ts_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """The timestamps of the rows at ``offsets``."""

    def in_partitions(self, partitions: frozenset[int], n_rows: int) -> Mask | None:
        """Rows of these partitions; ``None`` when that is all of them."""

    def spans(self, partitions: frozenset[int]) -> Spans | None:
        """First and past-the-last offsets that rows of these partitions lie between.

        ``None`` when they may lie anywhere.
        """

    def partition_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """The partition id of the rows at ``offsets``."""

    def find(
        self, keys: Keys, n_rows: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows that hold these primary keys, hidden ones included.

        Returns:
            Index into ``keys.values`` and row offset, of every such row.
        """

    def index(self, field_id: int) -> VectorIndex | None:
        """The index to search this field with, or ``None`` for an exact scan."""

    def scalar_indexes(self, field_id: int) -> Sequence[AttachedScalarIndex]:
        """The indexes of a scalar field, and of places inside its JSON documents."""

    def give_up(self, index: AttachedScalarIndex, problem: str) -> None:
        """Answer without an index that was found damaged; it is built anew."""

    def ranges(self) -> Ranges | None:
        """Smallest value, largest value and null count by field, where known."""
