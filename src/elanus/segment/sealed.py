"""An immutable segment on files: mapped when first read, verified as it is touched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.distance.block import Block, block_of
from elanus.distance.kernels import inverse_norms
from elanus.distance.metrics import Floats, Metric
from elanus.errors import CorruptionError
from elanus.expr.boxes import Boxes
from elanus.expr.jsonpath import PathColumn
from elanus.index.base import VectorIndex
from elanus.schema.arrays import values_of
from elanus.schema.columns import Column, Offsets, absent, column_name
from elanus.schema.schema import CollectionSchema
from elanus.schema.vectors import VectorColumn, single_vectors, vectors_from_arrow
from elanus.segment.attached import Attached, AttachedIndex, AttachedScalarIndex
from elanus.segment.base import Ranges, Spans
from elanus.segment.decoded import DecodedBoxes, DecodedPaths, DecodedTexts
from elanus.segment.deletes import HiddenRows, Mask
from elanus.segment.files import TS_COLUMN, SegmentMeta, vector_file
from elanus.segment.keys import Keys, matches_in
from elanus.segment.words import KnownWords
from elanus.storage.columnar import ColumnFile
from elanus.storage.files import FileStore
from elanus.text.postings import Occurrences


class SealedSegment:
    """Rows whose files never change; only :attr:`hidden` grows and indexes come."""

    is_sealed = True

    def __init__(
        self, store: FileStore, folder: str, meta: SegmentMeta, schema: CollectionSchema
    ) -> None:
        self.id = meta.segment_id
        self.folder = folder
        self.meta = meta
        self.schema = schema
        self.hidden = HiddenRows()
        self.n_rows = meta.n_rows
        self._files = {
            name: ColumnFile(store, stamp) for name, stamp in meta.files.items()
        }
        self._scalars = self._files["scalars.arrow"]
        self._keys = self._files["pk.arrow"]
        self._columns = {
            f.id: (
                self._files[vector_file(f.id)] if f.is_vector else self._scalars,
                column_name(f.id),
                f.width if f.is_vector else None,
            )
            for f in schema.fields
            if f.since <= meta.schema_version
        }
        self._absent: dict[int, pa.Array] = {}
        self._indexes: dict[int, Attached] = {}
        self._scalar_indexes: dict[int, tuple[AttachedScalarIndex, ...]] = {}
        self.damaged: dict[int, str] = {}
        self._norms: dict[int, Floats] = {}
        self._vectors: dict[int, tuple[object, VectorColumn]] = {}
        self._decoded = DecodedPaths()
        self._boxes = DecodedBoxes()
        self._texts = DecodedTexts()
        self.words = KnownWords()

    # --- reading ---------------------------------------------------------------

    def column(self, field_id: int, n_rows: int) -> pa.Array:
        """See :class:`elanus.segment.base.Segment`."""
        if field_id in self._columns:
            return self._scalars.column(column_name(field_id))
        known = self._absent.get(field_id)
        if known is None:
            field = self.schema.ever[field_id]
            known = self._absent[field_id] = absent(field, self.n_rows)
        return known

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
        if field_id not in self._columns:
            missing = absent(self.schema.ever[field_id], self.n_rows)
            assert isinstance(missing, VectorColumn)
            return missing
        file, name, width = self._columns[field_id]
        stored = file.column(name)
        known = self._vectors.get(field_id)
        # another array means that the file was changed underneath, and verified anew
        if known is None or known[0] is not stored:
            known = stored, vectors_from_arrow(stored, width or 0)
            self._vectors[field_id] = known
        return known[1]

    def block(self, field_id: int, metric: Metric, n_rows: int) -> Block:
        """See :class:`elanus.segment.base.Segment`."""
        rows = self.vectors(field_id, n_rows).rows
        norms: Floats | None = None
        vectors = single_vectors(rows)
        if metric.row.normalises and vectors is not None:
            norms = self._norms.get(field_id)
            if norms is None:
                norms = self._norms[field_id] = inverse_norms(vectors)
        return block_of(rows, metric, norms)

    def take(self, field_id: int, offsets: Offsets) -> Column:
        """See :class:`elanus.segment.base.Segment`."""
        if field_id not in self._columns:
            return absent(self.schema.ever[field_id], len(offsets))
        file, name, width = self._columns[field_id]
        values = file.take(name, offsets)
        return values if width is None else vectors_from_arrow(values, width)

    def row_ts(self, n_rows: int) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        stamps: Offsets = values_of(self._scalars.column(TS_COLUMN))
        return stamps

    def oldest_ts(self) -> int:
        """See :class:`elanus.segment.base.Segment`."""
        return self.meta.ts_range[0]

    def row_ts_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        stamps: Offsets = values_of(self._scalars.take(TS_COLUMN, offsets))
        return stamps

    def in_partitions(self, partitions: frozenset[int], n_rows: int) -> Mask | None:
        """See :class:`elanus.segment.base.Segment`."""
        if self.meta.partitions.keys() <= partitions:
            return None
        mask = np.zeros(self.n_rows, np.bool_)
        for partition, (start, end) in self.meta.partitions.items():
            if partition in partitions:
                mask[start:end] = True
        return mask

    def spans(self, partitions: frozenset[int]) -> Spans | None:
        """See :class:`elanus.segment.base.Segment`."""
        known = self.meta.partitions
        if known.keys() <= partitions:
            return None
        found = sorted(known[p] for p in partitions if p in known)
        joined: list[tuple[int, int]] = []
        for start, end in found:
            if joined and joined[-1][1] == start:
                start, _ = joined.pop()
            joined.append((start, end))
        return tuple(joined)

    def partition_at(self, offsets: Offsets) -> npt.NDArray[np.int64]:
        """See :class:`elanus.segment.base.Segment`."""
        return self.meta.partition_at(offsets)

    def find(
        self, keys: Keys, n_rows: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """See :class:`elanus.segment.base.Segment`."""
        part = keys.within(*self.meta.key_range)
        if part.start >= part.stop:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        codes = values_of(self._keys.column("code"))
        which, positions = matches_in(codes, keys.codes[part])
        if not len(which):
            return which, positions
        rows = values_of(self._keys.column("offset"))
        offsets = rows[positions].astype(np.int64)
        given = keys.order[part][which]
        primary = self.schema.primary
        if pa.types.is_integer(primary.arrow_type):
            return given, offsets
        stored = self._scalars.take(column_name(primary.id), offsets).to_pylist()
        same = np.fromiter(
            (keys.values[i] == s for i, s in zip(given.tolist(), stored, strict=True)),
            np.bool_,
            len(given),
        )
        return given[same], offsets[same]

    def check_keys(self, *, with_values: bool) -> None:
        """Verify what :meth:`find` reads, so that it cannot fail in the next moment.

        Args:
            with_values: the keys themselves too, not only their codes.

        Raises:
            CorruptionError: names the file.
        """
        self._keys.column("code")
        self._keys.column("offset")
        if with_values:
            self._scalars.column(column_name(self.schema.primary.id))

    def keys_in_code_order(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every row's key code, ascending, and its offset."""
        codes = values_of(self._keys.column("code"))
        return codes, values_of(self._keys.column("offset"))

    def index(self, field_id: int) -> VectorIndex | None:
        """See :class:`elanus.segment.base.Segment`."""
        attached = self._indexes.get(field_id)
        if not isinstance(attached, AttachedIndex):
            return None
        try:
            return attached.usable()
        except CorruptionError as error:
            # the rows are intact: answer exactly, and let background work rebuild it
            self.detach(field_id)
            self.damaged[field_id] = str(error)
            return None

    def scalar_indexes(self, field_id: int) -> Sequence[AttachedScalarIndex]:
        """See :class:`elanus.segment.base.Segment`."""
        return self._scalar_indexes.get(field_id, ())

    def give_up(self, index: AttachedScalarIndex, problem: str) -> None:
        """See :class:`elanus.segment.base.Segment`."""
        for slot, known in self._indexes.items():
            if known is index:
                self.detach(slot)
                self.damaged[slot] = problem

    def indexed_fields(self) -> frozenset[int]:
        """Slots whose indexes are in use at the moment."""
        return frozenset(self._indexes)

    def ranges(self) -> Ranges | None:
        """See :class:`elanus.segment.base.Segment`."""
        return dict(self.meta.ranges)

    # --- what background work changes --------------------------------------------

    def attach(self, slot: int, index: Attached) -> None:
        """Use this index from now on; see :attr:`IndexDefinition.slot`."""
        self._set_indexes({**self._indexes, slot: index})

    def detach(self, slot: int) -> None:
        """Do without this index from now on."""
        self._set_indexes({k: v for k, v in self._indexes.items() if k != slot})

    def _set_indexes(self, indexes: dict[int, Attached]) -> None:
        self._indexes = indexes
        by_field: dict[int, tuple[AttachedScalarIndex, ...]] = {}
        for index in indexes.values():
            if isinstance(index, AttachedScalarIndex):
                known = by_field.get(index.field_id, ())
                by_field[index.field_id] = (*known, index)
        self._scalar_indexes = by_field

    def verify(self) -> list[str]:
        """Every damage found in the column files, one line each."""
        return [damage for file in self._files.values() for damage in file.verify_all()]

    def close(self) -> None:
        """Unmap the files. No reader may use the segment afterwards."""
        for index in self._indexes.values():
            index.close()
        self._set_indexes({})
        self._vectors = {}
        for file in self._files.values():
            file.close()
