"""Which rows of one segment are hidden, since when, and why.

A :class:`HiddenRows` only grows, in order of timestamp, so a reader's snapshot is just
how much of it existed: a prefix. A row is hidden for one of two reasons:

* *deleted*: a delete or an upsert named its key; it no longer exists;
* *shadowed*: a later insert of the same key into the same partition; reads show the
  newest row of a key only, but ``count(*)`` still counts both, as Milvus does.

One writer (it holds the shard's state lock), many readers without a lock.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Offsets

Mask = npt.NDArray[np.bool_]
DELETED = 0
SHADOWED = 1

ARROW_SCHEMA = pa.schema(
    [("offset", pa.int64()), ("ts", pa.int64()), ("reason", pa.uint8())]
)


class HiddenRows:
    """Append-only list of (row offset, ts, reason), at most two entries per row."""

    def __init__(self) -> None:
        self._offsets = np.empty(0, np.int64)
        self._ts = np.empty(0, np.int64)
        self._reasons = np.empty(0, np.uint8)
        self._deleted: set[int] | Mask = set()
        self._shadowed: set[int] = set()
        self._cache: tuple[int, int, Mask] | None = None
        self._cache_lock = threading.Lock()
        self.size = 0
        self.n_deleted = 0

    def add(self, offsets: Offsets, ts: int, reason: int, n_rows: int) -> int:
        """Hide the rows at ``offsets`` as of ``ts``; those hidden so already stay.

        Returns:
            How many rows this call hid.
        """
        fresh = self._fresh(offsets, reason, n_rows)
        if not len(fresh):
            return 0
        self._reserve(len(fresh))
        end = self.size + len(fresh)
        self._offsets[self.size : end] = fresh
        self._ts[self.size : end] = ts
        self._reasons[self.size : end] = reason
        if reason == DELETED:
            self.n_deleted += len(fresh)
        self.size = end
        return len(fresh)

    def _fresh(self, offsets: Offsets, reason: int, n_rows: int) -> Offsets:
        if reason == SHADOWED:
            new = [
                o
                for o in dict.fromkeys(offsets.tolist())
                if o not in self._shadowed and not self.is_deleted(o)
            ]
            self._shadowed.update(new)
            return np.array(new, np.int64)
        if isinstance(self._deleted, set):
            if len(self._deleted) + len(offsets) <= 256:
                new = [
                    o for o in dict.fromkeys(offsets.tolist()) if o not in self._deleted
                ]
                self._deleted.update(new)
                return np.array(new, np.int64)
            self._deleted = self._as_mask(self._deleted, n_rows)
        if len(self._deleted) < n_rows:
            grown = np.zeros(max(n_rows, 2 * len(self._deleted)), np.bool_)
            grown[: len(self._deleted)] = self._deleted
            self._deleted = grown
        fresh = np.unique(offsets[~self._deleted[offsets]])
        self._deleted[fresh] = True
        return fresh

    @staticmethod
    def _as_mask(deleted: set[int], n_rows: int) -> Mask:
        mask = np.zeros(n_rows, np.bool_)
        mask[np.fromiter(deleted, np.int64, len(deleted))] = True
        return mask

    def is_deleted(self, offset: int) -> bool:
        """Whether the row is deleted now. For the writer."""
        if isinstance(self._deleted, set):
            return offset in self._deleted
        return offset < len(self._deleted) and bool(self._deleted[offset])

    def undeleted(self, offsets: Offsets) -> Mask:
        """Which of these rows are not deleted now. For the writer."""
        if isinstance(self._deleted, set):
            return np.fromiter(
                (o not in self._deleted for o in offsets.tolist()),
                np.bool_,
                len(offsets),
            )
        out = np.ones(len(offsets), np.bool_)
        known = offsets < len(self._deleted)
        out[known] = ~self._deleted[offsets[known]]
        return out

    def _reserve(self, extra: int) -> None:
        need = self.size + extra
        if need <= len(self._offsets):
            return
        capacity = max(64, need, 2 * len(self._offsets))
        # readers keep the old arrays, whose prefix stays as it is
        for name in ("_offsets", "_ts", "_reasons"):
            old = getattr(self, name)
            grown = np.empty(capacity, old.dtype)
            grown[: self.size] = old[: self.size]
            setattr(self, name, grown)

    def size_at(self, ts: int) -> int:
        """How many entries are not newer than ``ts``."""
        return int(np.searchsorted(self._ts[: self.size], ts, "right"))

    def visible(self, size: int, n_rows: int) -> Mask:
        """Rows that reads show when the first ``size`` entries count, (n_rows,) bool.

        The mask is shared: do not write to it.
        """
        cache = self._cache
        if cache is not None and cache[0] == size and cache[1] == n_rows:
            return cache[2]
        if cache is not None and cache[0] <= size and cache[1] <= n_rows:
            start, mask = cache[0], np.ones(n_rows, np.bool_)
            mask[: cache[1]] = cache[2]
        else:
            start, mask = 0, np.ones(n_rows, np.bool_)
        mask[self._offsets[start:size]] = False
        with self._cache_lock:
            if self._cache is None or self._cache[:2] <= (size, n_rows):
                self._cache = (size, n_rows, mask)
        return mask

    def counted(self, size: int, n_rows: int) -> Mask:
        """Rows that ``count(*)`` counts: those not deleted, (n_rows,) bool."""
        reasons = self._reasons[:size]
        if not reasons.any():
            return self.visible(size, n_rows)
        mask = np.ones(n_rows, np.bool_)
        mask[self._offsets[:size][reasons == DELETED]] = False
        return mask

    def deleted_in(self, size: int) -> int:
        """How many of the first ``size`` entries are deletes."""
        if size == self.size:
            return self.n_deleted
        return size - int(np.count_nonzero(self._reasons[:size]))

    def entries(self, start: int, stop: int) -> tuple[Offsets, Offsets, Mask]:
        """Offsets, timestamps and whether each entry is a shadow, for a range."""
        return (
            self._offsets[start:stop],
            self._ts[start:stop],
            self._reasons[start:stop] == SHADOWED,
        )

    def to_arrow(self, start: int, stop: int) -> pa.RecordBatch:
        """The durable form of a range of entries."""
        arrays = [
            array_of(column[start:stop].copy())
            for column in (self._offsets, self._ts, self._reasons)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=ARROW_SCHEMA)

    def load(self, batch: pa.RecordBatch, n_rows: int) -> None:
        """Append entries written by :meth:`to_arrow`."""
        self.extend(
            values_of(batch.column(0)),
            values_of(batch.column(1)),
            values_of(batch.column(2)),
            n_rows,
        )

    def extend(
        self,
        offsets: Offsets,
        ts: Offsets,
        reasons: npt.NDArray[np.uint8],
        n_rows: int,
    ) -> None:
        """Append entries of another list, kept in their order."""
        if not len(offsets):
            return
        self._reserve(len(offsets))
        end = self.size + len(offsets)
        self._offsets[self.size : end] = offsets
        self._ts[self.size : end] = ts
        self._reasons[self.size : end] = reasons
        deleted = offsets[reasons == DELETED]
        if isinstance(self._deleted, set):
            self._deleted = self._as_mask(self._deleted, n_rows)
        self._deleted[deleted] = True
        self._shadowed.update(offsets[reasons == SHADOWED].tolist())
        self.n_deleted += len(deleted)
        self.size = end
