"""Fresh rows in memory: appended by one writer, read by many without a lock.

Scalar columns are lists of Arrow chunks; columns of vectors are in
:mod:`elanus.segment.growing_vectors`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.distance.block import Block, block_of
from elanus.distance.metrics import Metric
from elanus.errors import InternalError
from elanus.expr.boxes import Boxes
from elanus.expr.jsonpath import PathColumn
from elanus.index.base import VectorIndex
from elanus.schema.arrays import array_of
from elanus.schema.columns import (
    Batch,
    Column,
    Offsets,
    absent,
    copied,
)
from elanus.schema.schema import CollectionSchema
from elanus.schema.vectors import VectorColumn
from elanus.segment.attached import AttachedScalarIndex
from elanus.segment.base import Ranges, Spans
from elanus.segment.decoded import DecodedBoxes, DecodedPaths, DecodedTexts
from elanus.segment.deletes import HiddenRows, Mask
from elanus.segment.growing_vectors import GrowingVectors
from elanus.segment.keys import Key, Keys
from elanus.segment.words import KnownWords
from elanus.text.postings import Occurrences

ROW_OVERHEAD_BYTES = 120  # ts, partition, key table entry


class GrowingSegment:
    """Rows not yet on column files; the log holds them."""

    is_sealed = False

    def __init__(
        self, segment_id: int, schema: CollectionSchema, capacity_rows: int
    ) -> None:
        self.id = segment_id
        self.schema = schema
        self.capacity_rows = capacity_rows
        self.n_rows = 0
        self.nbytes = 0
        self.hidden = HiddenRows()
        self._is_keyed = schema.partition_key is not None
        self._ts = np.empty(capacity_rows, np.int64)
        self._partitions = np.empty(capacity_rows, np.int64)
        self._partitions_seen: frozenset[int] = frozenset()
        self._vectors = {f.id: GrowingVectors(f, capacity_rows) for f in schema.vectors}
        self._chunks: dict[int, list[pa.Array]] = {f.id: [] for f in schema.scalars}
        self._chunk_ends: list[int] = []
        self._joined: dict[int, pa.Array] = {}
        self._decoded = DecodedPaths()
        self._boxes = DecodedBoxes()
        self._texts = DecodedTexts()
        self.words = KnownWords()
        # newest row of each key, and for each row the older row of the same key
        self._newest: dict[Key, int] = {}
        self._older = np.empty(capacity_rows, np.int32)

    # --- writing: under the shard's state lock --------------------------------

    def has_room(self, n_rows: int) -> bool:
        """Whether a batch of ``n_rows`` still fits."""
        return self.n_rows + n_rows <= self.capacity_rows

    def append(self, batch: Batch, partition: int | Offsets, ts: int) -> Offsets:
        """Add rows and return the offsets of older rows with the same keys.

        Args:
            partition: id of all rows' partition, or of each row's, (n,) int64.

        The rows become visible to readers with the next published version.
        """
        start, end = self.n_rows, self.n_rows + batch.n_rows
        for field_id, vectors in self._vectors.items():
            column = batch.columns[field_id]
            assert isinstance(column, VectorColumn)
            vectors.append(start, column)
            self.nbytes += column.nbytes
        for field_id, chunks in self._chunks.items():
            chunk = copied(batch.columns[field_id])
            chunks.append(chunk)
            self.nbytes += chunk.get_total_buffer_size()
        self._chunk_ends.append(end)
        self._ts[start:end] = ts
        self._partitions[start:end] = partition
        if not isinstance(partition, int):
            self._partitions_seen |= frozenset(np.unique(partition).tolist())
        elif partition not in self._partitions_seen:
            self._partitions_seen |= {partition}
        replaced = self._index_keys(batch, start)
        self.n_rows = end
        self.nbytes += batch.n_rows * ROW_OVERHEAD_BYTES
        return replaced

    def _index_keys(self, batch: Batch, start: int) -> Offsets:
        column = batch.columns[self.schema.primary.id]
        assert isinstance(column, pa.Array)
        keys: list[Key] = column.to_pylist()
        end = start + len(keys)
        newest = self._newest
        self._older[start:end] = -1
        fresh = dict(zip(keys, range(start, end), strict=True))
        replaced: list[int] = []
        if len(fresh) == len(keys):
            for key in newest.keys() & fresh.keys():
                replaced += self._chain(fresh[key], newest[key])
            newest.update(fresh)
        else:  # the batch repeats a key of its own
            for offset, key in enumerate(keys, start):
                replaced += self._chain(offset, newest.get(key, -1))
                newest[key] = offset
        return np.array(replaced, np.int64)

    def _chain(self, offset: int, older: int) -> list[int]:
        """Note the row before ``offset`` of its key; returns rows to be shadowed."""
        self._older[offset] = older
        rows = []
        partition = self._partitions[offset]
        while older >= 0:
            rows.append(older)
            if self._is_keyed or self._partitions[older] == partition:
                break  # it made its own elders known when it came
            older = int(self._older[older])
        return rows

    # --- reading ---------------------------------------------------------------

    def column(self, field_id: int, n_rows: int) -> pa.Array:
        """See :class:`elanus.segment.base.Segment`."""
        if field_id not in self._chunks:
            return absent(self.schema.ever[field_id], n_rows)
        joined = self._joined.get(field_id)
        if joined is None or len(joined) < n_rows:
            joined = self._join(field_id, joined)
        return joined if len(joined) == n_rows else joined.slice(0, n_rows)

    def _join(self, field_id: int, joined: pa.Array | None) -> pa.Array:
        chunks = self._chunks[field_id]
        ends = self._chunk_ends[: len(chunks)]
        if not ends:
            return pa.nulls(0, self.schema.ever[field_id].arrow_type)
        done = 0 if joined is None else len(joined)
        first = int(np.searchsorted(np.array(ends), done, "right"))
        parts = chunks[first : len(ends)]
        joined = pa.concat_arrays(parts if joined is None else [joined, *parts])
        self._joined[field_id] = joined
        return joined

    def json_path(
        self, field_id: int, path: tuple[str | int, ...], n_rows: int
    ) -> PathColumn:
        """See :class:`elanus.segment.base.Segment`."""
        return self._decoded.get(
            (field_id, path), n_rows, lambda: self.column(field_id, n_rows)
        )

    def is_decoded(self, field_id: int, path: tuple[str | int, ...]) -> bool:
        """See :class:`elanus.segment.base.Segment`."""
        return self._decoded.has((field_id, path))

    def boxes(self, field_id: int, n_rows: int) -> Boxes:
        """See :class:`elanus.segment.base.Segment`."""
        return self._boxes.get(field_id, self.column(field_id, n_rows))

    def texts(self, field_id: int, n_rows: int) -> Occurrences:
        """See :class:`elanus.segment.base.Segment`."""
        field = self.schema.ever[field_id]
        return self._texts.get(field, self.column(field_id, n_rows))

    def vectors(self, field_id: int, n_rows: int) -> VectorColumn:
        """See :class:`elanus.segment.base.Segment`."""
        vectors = self._vectors.get(field_id)
        if vectors is None:
            missing = absent(self.schema.ever[field_id], n_rows)
            assert isinstance(missing, VectorColumn)
            return missing
        return vectors.column(n_rows)

    def block(self, field_id: int, metric: Metric, n_rows: int) -> Block:
        """See :class:`elanus.segment.base.Segment`."""
        vectors = self._vectors.get(field_id)
        if vectors is None:
            return block_of(self.vectors(field_id, n_rows).rows, metric)
        return vectors.block(metric, n_rows)

    def take(self, field_id: int, offsets: Offsets) -> Column:
        """See :class:`elanus.segment.base.Segment`."""
        vectors = self._vectors.get(field_id)
        if vectors is not None:
            return vectors.take(offsets)
        n_rows = int(offsets.max()) + 1 if len(offsets) else 0
        if self.schema.ever[field_id].is_vector:
            return self.vectors(field_id, n_rows).take(offsets)
        return self.column(field_id, n_rows).take(array_of(offsets))

    def row_ts(self, n_rows: int) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        return self._ts[:n_rows]

    def oldest_ts(self) -> int:
        """See :class:`elanus.segment.base.Segment`."""
        return int(self._ts[0]) if self.n_rows else 0

    def row_ts_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        return self._ts[offsets]

    def in_partitions(self, partitions: frozenset[int], n_rows: int) -> Mask | None:
        """See :class:`elanus.segment.base.Segment`."""
        if self._partitions_seen <= partitions:
            return None
        return np.isin(self._partitions[:n_rows], np.array(sorted(partitions)))

    def spans(self, partitions: frozenset[int]) -> Spans | None:
        """See :class:`elanus.segment.base.Segment`."""
        return () if self._partitions_seen.isdisjoint(partitions) else None

    def partition_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        return self._partitions[offsets]

    def find(
        self, keys: Keys, n_rows: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """See :class:`elanus.segment.base.Segment`."""
        newest, older = self._newest, self._older
        which: list[int] = []
        offsets: list[int] = []
        for i in [i for i, key in enumerate(keys.values) if key in newest]:
            offset = newest[keys.values[i]]
            while offset >= 0:
                if offset < n_rows:
                    which.append(i)
                    offsets.append(offset)
                offset = int(older[offset])
        return np.array(which, np.int64), np.array(offsets, np.int64)

    def index(self, field_id: int) -> VectorIndex | None:
        """See :class:`elanus.segment.base.Segment`."""
        return None

    def scalar_indexes(self, field_id: int) -> Sequence[AttachedScalarIndex]:
        """None: rows are still coming."""
        return ()

    def give_up(self, index: AttachedScalarIndex, problem: str) -> None:
        """Never asked for: there is no index."""
        raise InternalError("growing segments have no indexes")

    def ranges(self) -> Ranges | None:
        """See :class:`elanus.segment.base.Segment`."""
        return None
