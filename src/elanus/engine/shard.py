"""One stream of writes and the segments it fills: the unit of placement.

Owns the order of writes and the state they lead to. A record is submitted to the log
under ``order_lock``, applied in log order under ``state_lock`` after its sync, and then
a new :class:`Version` is published; readers take ``version`` and no lock.

Lock order: ``manifest_lock`` → ``order_lock`` → ``state_lock``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from elanus.clock import ts_at
from elanus.engine.expiry import Expiry
from elanus.engine.node import Node
from elanus.engine.version import SegmentView, Version
from elanus.engine.write.records import DeleteRecord, Record, RowsRecord
from elanus.errors import ClosedError, RateLimited
from elanus.schema.columns import Batch, Offsets
from elanus.schema.schema import CollectionSchema
from elanus.segment.base import Segment
from elanus.segment.deletes import DELETED, SHADOWED
from elanus.segment.growing import ROW_OVERHEAD_BYTES, GrowingSegment
from elanus.segment.keys import Key, Keys
from elanus.segment.sealed import SealedSegment
from elanus.storage.manifest import Manifest, SegmentEntry
from elanus.storage.wal import Ticket

KEPT_DAMAGES = 100
"""How many of the latest damages found are told; a failing disk has no last one."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A full growing segment waiting for its flush.

    Attributes:
        last_seq: log record that filled it; all older ones are in it or before it.
    """

    segment: GrowingSegment
    last_seq: int


@dataclass(slots=True)
class Outcome:
    """What applying one record changed, known once it is acknowledged."""

    ts: int = 0
    deleted: int = 0


class LocalShard:
    """A shard whose log and segments are in this process."""

    def __init__(
        self,
        node: Node,
        schema: CollectionSchema,
        partitions: frozenset[int],
        manifest: Manifest,
    ) -> None:
        self.node = node
        self.schema = schema
        self.partitions = partitions
        self.manifest = manifest
        self.order_lock = threading.RLock()
        self.state_lock = threading.Lock()
        self.manifest_lock = threading.RLock()
        self.sealed: list[SealedSegment] = []
        self.frozen: list[Frozen] = []
        self.growing: GrowingSegment | None = None
        self.repeated_keys: frozenset[Key] = frozenset(manifest.repeated_keys)
        self.applied_seq = manifest.checkpoint_seq
        self.applied_ts = manifest.floor_ts
        self.first_pending_ms = 0
        self.persisted: dict[int, int] = {}
        self.index_definitions: Mapping[int, Mapping[str, Any]] = {}
        self.damages: deque[str] = deque(maxlen=KEPT_DAMAGES)
        self.ttl_s = 0
        self.ttl_field_id: int | None = None
        self.is_closed = False
        self.has_room = threading.Condition(self.state_lock)
        self._last_ticket: Ticket | None = None
        self._number = 0
        self.version = Version(0, 0, schema, (), partitions)

    @property
    def id(self) -> int:
        """The collection's id, which also names the stream in the log."""
        return self.manifest.collection_id

    # --- writing ------------------------------------------------------------------

    def write(self, record: Record) -> Outcome:
        """Log a record, and return when it is durable and applied.

        Raises:
            RateLimited: flushing has fallen behind; wait and repeat.
            ClosedError, DiskFull, ReadOnlyError, StorageError, UnknownOutcome.
        """
        self._wait_for_room()
        ticket, outcome = self.submit(record)
        self.node.log.wait(ticket)
        return outcome

    def write_after_reading(
        self, make: Callable[[], RowsRecord]
    ) -> tuple[RowsRecord, Outcome]:
        """Log a record that depends on what there is; no write comes between.

        Args:
            make: makes the record; every write before it can be read by then.

        Raises: as :meth:`write`, and what ``make`` raises: then nothing was written.
        """
        self._wait_for_room()
        with self.order_lock:
            self.settle()
            record = make()
            ticket, outcome = self.submit(record)
        self.node.log.wait(ticket)
        return record, outcome

    def check_keys(self) -> None:
        """Make sure that applying a record will not meet a damaged key file.

        Raises:
            CorruptionError: names the file; the write is refused before it is logged.
        """
        is_text = not pa.types.is_integer(self.schema.primary.arrow_type)
        # keys in several partitions are told apart by the values themselves
        with_values = is_text or len(self.partitions) > 1
        for segment in tuple(self.sealed):
            segment.check_keys(with_values=with_values)

    def submit(self, record: Record) -> tuple[Ticket, Outcome]:
        """Put a record into the log's order; ``log.wait`` on the ticket comes next.

        Raises: as :meth:`write`, but for RateLimited.
        """
        self.check_keys()
        outcome = Outcome()
        payload = record.payload()

        def apply(seq: int, ts: int) -> None:
            outcome.ts = ts
            outcome.deleted = self.apply(record, seq, ts)

        with self.order_lock:
            if self.is_closed:
                raise ClosedError("the collection")
            ticket = self.node.log.submit(self.id, record.kind, payload, apply)
            self._last_ticket = ticket
        return ticket, outcome

    def settle(self) -> None:
        """Wait until every submitted record is applied. Hold ``order_lock``."""
        if self._last_ticket is not None:
            self.node.log.wait_applied(self._last_ticket.seq)

    def _wait_for_room(self) -> None:
        settings = self.node.settings
        if self.backlog_bytes() <= settings.backlog_bytes:
            return
        with self.has_room:
            freed = self.has_room.wait_for(
                lambda: self.backlog_bytes() <= settings.backlog_bytes,
                settings.backlog_wait_s,
            )
        if not freed:
            raise RateLimited(
                "flushing to disk has fallen behind the writers, please retry later"
            )

    def backlog_bytes(self) -> int:
        """Bytes of rows that wait for a flush."""
        return sum(frozen.segment.nbytes for frozen in self.frozen)

    def apply(self, record: Record, seq: int, ts: int) -> int:
        """Change the state as a durable record says; returns rows deleted."""
        with self.state_lock:
            if isinstance(record, DeleteRecord):
                deleted = self._hide(record.keys, ts, record.partitions)
            else:
                deleted = self._add(record, seq, ts)
            if self.applied_seq <= self.manifest.checkpoint_seq:
                self.first_pending_ms = self.node.clock.now_ms()
            self.applied_seq, self.applied_ts = seq, ts
            self.publish()
        return deleted

    def _add(self, record: RowsRecord, seq: int, ts: int) -> int:
        gone = record.deletes()
        deleted = 0 if gone is None else self._hide(gone, ts, None)
        partition = record.partition
        if isinstance(partition, int) and partition not in self.partitions:
            return deleted  # its partition was dropped after the record was logged
        batch = record.batch
        if record.schema.version != self.schema.version:
            batch = batch.fitted(self.schema)
        growing = self._growing_for(batch)
        if not record.upsert:
            self._shadow(record, ts)
        older = growing.append(batch, partition, ts)
        if len(older) and not record.upsert:
            self._shadow_rows(growing, older, partition, ts)
        if not growing.has_room(1):
            self.freeze(seq)
        return deleted

    def _hide(self, keys: Keys, ts: int, partitions: frozenset[int] | None) -> int:
        deleted = 0
        for segment in self.segments():
            n_rows = segment.n_rows
            _, offsets = segment.find(keys, n_rows)
            live = self.partitions if partitions is None else partitions
            offsets = _of_partitions(segment, offsets, live)
            if len(offsets):
                deleted += segment.hidden.add(offsets, ts, DELETED, n_rows)
        return deleted

    def _shadow(self, record: RowsRecord, ts: int) -> None:
        """Hide older rows of the keys, the growing segment's own excepted."""
        for segment in self.segments():
            if segment is self.growing:
                continue
            _, offsets = segment.find(record.keys, segment.n_rows)
            if len(offsets):
                self._shadow_rows(segment, offsets, record.partition, ts)

    def _shadow_rows(
        self,
        segment: SealedSegment | GrowingSegment,
        offsets: Offsets,
        partition: int | Offsets,
        ts: int,
    ) -> None:
        """Hide rows of which newer ones have come to this partition.

        Those of other partitions show when only these are read; where a key chooses the
        partitions nobody reads them alone, and rows are hidden wherever they are.
        """
        if self.schema.partition_key is not None:
            segment.hidden.add(offsets, ts, SHADOWED, segment.n_rows)
            return
        same = segment.partition_at(offsets) == partition
        segment.hidden.add(offsets[same], ts, SHADOWED, segment.n_rows)
        elsewhere = _of_partitions(segment, offsets[~same], self.partitions)
        elsewhere = elsewhere[segment.hidden.undeleted(elsewhere)]
        if len(elsewhere):
            values = segment.take(self.schema.primary.id, elsewhere)
            assert isinstance(values, pa.Array)
            self.repeated_keys |= frozenset(values.to_pylist())

    def _growing_for(self, batch: Batch) -> GrowingSegment:
        growing = self.growing
        if growing is not None:
            if growing.has_room(batch.n_rows) and not self._is_full(growing):
                return growing
            self.freeze(self.applied_seq)
        capacity = max(batch.n_rows, self._capacity_rows(batch))
        self.growing = GrowingSegment(self.node.ids.next(), self.schema, capacity)
        return self.growing

    def _is_full(self, growing: GrowingSegment) -> bool:
        return growing.nbytes >= self.node.settings.growing_bytes

    def _capacity_rows(self, batch: Batch) -> int:
        vectors = sum(f.vector.nbytes(f.dim or 0) for f in self.schema.vectors)
        row_bytes = vectors + ROW_OVERHEAD_BYTES
        return max(1024, self.node.settings.growing_bytes // row_bytes)

    def freeze(self, last_seq: int) -> None:
        """End the growing segment, so that it can be flushed. Hold ``state_lock``."""
        growing = self.growing
        if growing is not None and growing.n_rows:
            self.frozen.append(Frozen(growing, last_seq))
            self.node.wake_flusher()
        self.growing = None

    # --- state ----------------------------------------------------------------------

    def segments(self) -> list[SealedSegment | GrowingSegment]:
        """Every segment, oldest rows first. Hold ``state_lock``."""
        frozen = [f.segment for f in self.frozen]
        tail = [] if self.growing is None else [self.growing]
        return [*self.sealed, *frozen, *tail]

    def publish(self) -> None:
        """Let readers see the state as it is now. Hold ``state_lock``."""
        known = {id(view.segment): view for view in self.version.views}
        views = tuple(_view(known, segment) for segment in self.segments())
        self._number += 1
        self.version = Version(
            self._number,
            self.applied_ts,
            self.schema,
            views,
            self.partitions,
            self.repeated_keys,
        )

    def set_schema(self, schema: CollectionSchema) -> None:
        """Take over another schema, from now on. Hold ``order_lock``, settled.

        Rows written before it read as their fields' :attr:`FieldSchema.absent`.
        """
        with self.state_lock:
            if schema.version != self.schema.version:
                self.freeze(self.applied_seq)  # so that its rows have one version
            self.schema = schema
            for segment in self.segments():
                segment.schema = schema
            self.publish()

    def set_partitions(self, partitions: frozenset[int]) -> None:
        """Show rows of these partitions only, from now on."""
        with self.state_lock:
            self.partitions = partitions
            self.publish()

    def expiry_ts(self) -> int:
        """Rows older than this timestamp are no longer seen; 0 when all are.

        Moves once a second, so that what is known of a version can be kept that long.
        """
        if not self.ttl_s:
            return 0
        seconds = self.node.clock.now_ms() // 1000 - self.ttl_s
        return ts_at(max(0, seconds * 1000))

    def expiry(self) -> Expiry | None:
        """By which field rows expire, and now; ``None`` when by none.

        Moves ten times a second, so that what is known of a segment can be kept.
        """
        if self.ttl_field_id is None:
            return None
        tenths = self.node.clock.now_ms() // 100
        return Expiry(self.ttl_field_id, tenths * 100_000)

    def replace_segments(
        self,
        removed: Iterable[Segment],
        added: Sequence[SealedSegment],
        manifest: Manifest,
    ) -> None:
        """Swap segments and publish; the manifest is committed already.

        Hold ``manifest_lock`` and ``state_lock``.
        """
        gone = {id(segment) for segment in removed}
        kept = [s for s in self.sealed if id(s) not in gone]
        for segment in added:  # which may have been written before a schema change
            segment.schema = self.schema
        self.sealed = sorted([*kept, *added], key=lambda segment: segment.id)
        self.frozen = [f for f in self.frozen if id(f.segment) not in gone]
        self.persisted = {s.id: self.persisted.get(s.id, 0) for s in self.sealed}
        self.manifest = manifest
        self.publish()
        self.has_room.notify_all()

    def let_go(self) -> None:
        """Hold no segment any more; :meth:`close` was called, nothing is read here."""
        with self.state_lock:
            self.sealed, self.frozen, self.growing = [], [], None
            self.publish()
            self.has_room.notify_all()

    def entry(self, segment_id: int) -> SegmentEntry | None:
        """The manifest's entry of a segment."""
        entries = self.manifest.segments
        return next((e for e in entries if e.segment_id == segment_id), None)

    @property
    def is_flushed(self) -> bool:
        """Whether everything that is applied lies in files; asked without a lock."""
        return not self.frozen and self.applied_seq <= self.manifest.checkpoint_seq

    def needed_seq(self) -> int | None:
        """The newest log record not needed any more; ``None`` when none is needed."""
        with self.state_lock:
            if self.applied_seq <= self.manifest.checkpoint_seq:
                return None
            return self.manifest.checkpoint_seq

    def commit(
        self, manifest: Manifest, *, repeated_keys: frozenset[Key] | None = None
    ) -> Manifest:
        """Write the next manifest. Hold ``manifest_lock``.

        Args:
            repeated_keys: the shard's own by default.

        Raises:
            ClosedError: the collection was dropped; its records must not come back.
            StorageError, DiskFull: nothing changed.
        """
        if self.is_closed:
            raise ClosedError("the collection")
        repeated = self.repeated_keys if repeated_keys is None else repeated_keys
        manifest = replace(
            manifest,
            version=self.manifest.version + 1,
            repeated_keys=tuple(repeated),
        )
        self.node.commit({("manifest", str(self.id)): manifest.to_bytes()})
        for name in _superseded(self.manifest, manifest):
            self.node.trash.add_file(name)
        return manifest

    def close(self) -> None:
        """Refuse further writes; those under way still finish."""
        with self.order_lock:
            self.is_closed = True


def _superseded(old: Manifest, new: Manifest) -> list[str]:
    """Delete files that a surviving segment no longer needs."""
    kept = {entry.segment_id: entry for entry in new.segments}
    return [
        stamp.name
        for entry in old.segments
        if entry.segment_id in kept
        for stamp in entry.deletes
        if stamp not in kept[entry.segment_id].deletes
    ]


def _view(
    known: dict[int, SegmentView], segment: SealedSegment | GrowingSegment
) -> SegmentView:
    n_rows = segment.n_rows
    n_hidden = segment.hidden.size
    view = known.get(id(segment))
    if view is not None and (view.n_rows, view.n_hidden) == (n_rows, n_hidden):
        return view
    return SegmentView(segment, n_rows, n_hidden)


def _of_partitions(
    segment: SealedSegment | GrowingSegment,
    offsets: Offsets,
    partitions: frozenset[int],
) -> Offsets:
    mask = segment.in_partitions(partitions, segment.n_rows)
    return offsets if mask is None else offsets[mask[offsets]]
