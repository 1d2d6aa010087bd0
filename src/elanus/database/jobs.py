"""Background work: flushing, merging and indexing, and the process that does the heavy.

Two threads. One flushes sealed segments, trims the log and empties the trash; the other
asks the policy what to do next and has the launcher do it. Both wait on an event, so
an idle database uses no processor.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from elanus.engine.collection import Collection
from elanus.engine.shard import LocalShard
from elanus.engine.write.build import (
    attach_known,
    build,
    by_urgency,
    drop_index,
    find_sealed,
)
from elanus.engine.write.compaction import (
    compact,
    dead_rows,
    drop_dead_segments,
    horizon_of,
)
from elanus.engine.write.flush import flush_all, flush_next
from elanus.engine.write.jobs import JobFailed, Launcher, Progress, Runner
from elanus.engine.write.policy import (
    Action,
    Build,
    Compact,
    SegmentState,
    next_action,
)
from elanus.errors import Cancelled, ClosedError, ElanusError, StorageError
from elanus.heap import release_free_memory

IDLE_S = 1.0
RETRY_S = 0.2
MERGE = -1
"""In the place of a slot: the failure was of a merge."""

Merged = tuple[tuple[int, ...], int]
"""Segments, and the one that was made of them; 0 when no row was left."""

Collections = Callable[[], Iterable[Collection]]


@dataclass(slots=True)
class JobStatus:
    """What background work is doing, for statistics.

    Attributes:
        failures: by (collection, segment, slot), how often a build failed and why.
        ended: jobs by (kind, outcome); kind "build" or "merge", outcome "done",
            "void" or "failed".
    """

    current: str = ""
    progress: float = 0.0
    flush_error: str = ""
    failures: dict[tuple[int, int, int], list[str]] = field(default_factory=dict)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)


class BackgroundWork:
    """The two threads; :meth:`close` ends them before the database closes."""

    def __init__(
        self,
        collections: Collections,
        launcher: Launcher,
        trim: Callable[[], None],
        empty_trash: Callable[[], None],
    ) -> None:
        """Args:
        trim: deletes log files that no collection needs.
        empty_trash: deletes files that no reader holds.
        """
        self._collections = collections
        self._launcher = launcher
        self._trim = trim
        self._delete_trash = empty_trash
        self._wake = threading.Condition()
        self._is_closing = False
        self._work_lock = threading.Lock()
        self._preempt = 0
        self.status = JobStatus()
        self._threads = [
            threading.Thread(target=self._flush_loop, name="elanus-flush", daemon=True),
            threading.Thread(target=self._build_loop, name="elanus-build", daemon=True),
        ]

    def start(self) -> None:
        """Begin working."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Cancel what is under way and end the threads and the worker process."""
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        self._launcher.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def wake(self) -> None:
        """Look for work now."""
        with self._wake:
            self._wake.notify_all()

    def _sleep(self, seconds: float) -> bool:
        with self._wake:
            if not self._is_closing:
                self._wake.wait(seconds)
            return not self._is_closing

    # --- flushing ---------------------------------------------------------------------

    def _flush_loop(self) -> None:
        while True:
            busy = self._flush_each()
            if not busy and not self._sleep(IDLE_S if not self.backlog() else RETRY_S):
                return

    def _flush_each(self) -> bool:
        """Apart from the loop, whose frame would hold the last one while it sleeps."""
        busy = False
        for shard in self._shards():
            if not shard.is_flushed:
                busy = self._flush(shard) or busy
        self._empty_trash()
        return busy

    def _shards(self) -> list[LocalShard]:
        """Those that are open; the others have nothing to do."""
        return [shard for c in self._collections() if (shard := c.lazy.opened)]

    def backlog(self) -> bool:
        """Whether sealed rows wait for a flush."""
        return any(shard.frozen for shard in self._shards())

    def _flush(self, shard: LocalShard) -> bool:
        if self._is_closing:
            return False
        try:
            if flush_next(shard):
                self.status.flush_error = ""
                drop_dead_segments(shard)
                self.after_flush()
                return True
            if _is_stale(shard):
                flush_all(shard)
                self.after_flush()
        except StorageError as error:
            # rows stay in memory and log; the writers hear of it by back-pressure
            self.status.flush_error = str(error)
        except ClosedError:
            return False
        return False

    def after_flush(self) -> None:
        """Let go of what a flush made superfluous, and look for the next work."""
        self._trim()
        self._delete_trash()
        release_free_memory()
        self.wake()

    # --- merging and indexing ---------------------------------------------------------

    def attach_indexes(self) -> None:
        """Verify and open the indexes that the manifests name.

        Collections that need other upkeep are opened, too.
        """
        for collection in list(self._collections()):
            if self._is_closing:
                return
            if collection.lazy.opened or collection.lazy.has_upkeep:
                with self._work_lock:
                    self._guarded(partial(_attach_indexes, collection))

    def _build_loop(self) -> None:
        self.attach_indexes()
        while self._sleep_unless_work():
            pass

    def _sleep_unless_work(self) -> bool:
        for collection in list(self._collections()):
            if self._is_closing:
                return False
            if not collection.lazy.opened:
                continue
            if self._work_lock.acquire(blocking=False):
                try:
                    done = self._guarded(partial(self._step, collection))
                finally:
                    self._work_lock.release()
                if done:
                    return True
        return self._sleep(IDLE_S)

    def _guarded(self, work: Callable[[], bool | None]) -> bool:
        try:
            return bool(work())
        except (Cancelled, ClosedError):
            return False
        except ElanusError as error:
            self.status.current = f"failed: {error}"
            return False

    def _step(self, collection: Collection) -> bool:
        drop_damaged(collection.shard)
        action = self.next_action(collection, eager=False)
        if action is None:
            return False
        return self.perform(collection, action, self._report, self._should_stop)

    def _report(self, share: float) -> None:
        self.status.progress = share

    def _should_stop(self) -> bool:
        return self._is_closing or self._preempt > 0

    def next_action(
        self,
        collection: Collection,
        *,
        eager: bool,
        up_to_id: int | None = None,
        segment_bytes: int = 0,
    ) -> Action | None:
        """What the policy would do with a collection.

        Args:
            up_to_id: the dead rows of segments with a greater id do not count.
            segment_bytes: the largest segment to make; 0 for the setting.
        """
        settings = collection.node.settings
        if segment_bytes:
            settings = replace(settings, segment_bytes=segment_bytes)
        states = self.segment_states(collection, is_eager=eager)
        if up_to_id is not None:
            states = [
                state if state.segment_id <= up_to_id else replace(state, dead_rows=0)
                for state in states
            ]
        return next_action(states, settings, eager=eager)

    def segment_states(
        self, collection: Collection, *, is_eager: bool = False
    ) -> list[SegmentState]:
        """The policy's view of a collection."""
        shard = collection.shard
        with shard.state_lock:
            segments = list(shard.sealed)
            partitions = shard.partitions
            horizon = horizon_of(shard, is_eager=is_eager)
        states = []
        for segment in segments:
            missing = {
                slot: len(self.status.failures.get((shard.id, segment.id, slot), ()))
                for slot in by_urgency(shard.index_definitions)
                if slot not in segment.indexed_fields()
            }
            size = segment.hidden.size
            dead = len(dead_rows(segment, size, horizon, partitions))
            states.append(
                SegmentState(
                    segment.id,
                    segment.n_rows,
                    segment.meta.nbytes,
                    dead,
                    missing,
                    len(self.status.failures.get((shard.id, segment.id, MERGE), ())),
                )
            )
        return states

    def perform(
        self,
        collection: Collection,
        action: Action,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> bool:
        """Do one action; false if it came to nothing.

        Raises:
            Cancelled, StorageError: nothing changed.
        """
        shard = collection.shard
        ids = (
            action.segment_ids if isinstance(action, Compact) else (action.segment_id,)
        )

        def is_void() -> bool:
            return any(find_sealed(shard, segment_id) is None for segment_id in ids)

        runner = Runner(self._launcher, progress, lambda: is_cancelled() or is_void())
        self.status.current = f"{collection.definition.name}: {action}"
        self.status.progress = 0.0
        outcome = "void"
        try:
            if isinstance(action, Compact):
                done = compact(
                    shard, action.segment_ids, runner, is_eager=action.is_eager
                )
            else:
                done = build(shard, action.segment_id, action.slot, runner)
            outcome = "done" if done else "void"
            return done
        except Cancelled:
            if is_cancelled() or not is_void():
                raise
            return False  # its segment has gone meanwhile
        except JobFailed as error:
            outcome = "failed"
            self._note_failure(shard, action, str(error))
            return False
        finally:
            kind = "merge" if isinstance(action, Compact) else "build"
            self.status.ended[kind, outcome] += 1
            self.status.current = ""
            self._empty_trash()
            release_free_memory()

    def _empty_trash(self) -> None:
        try:
            self._delete_trash()
        except StorageError as error:
            self.status.flush_error = str(error)  # it stays there for the next time

    def _note_failure(self, shard: LocalShard, action: Action, reason: str) -> None:
        if isinstance(action, Build):
            keys = [(shard.id, action.segment_id, action.slot)]
        else:
            keys = [(shard.id, segment_id, MERGE) for segment_id in action.segment_ids]
        self._forget_gone()
        for key in keys:
            self.status.failures.setdefault(key, []).append(reason)

    def _forget_gone(self) -> None:
        """Forget failures of segments that there are no more, or they would add up."""
        present = {
            (shard.id, segment.id)
            for shard in self._shards()
            for segment in list(shard.sealed)
        }
        for key in [k for k in list(self.status.failures) if k[:2] not in present]:
            self.status.failures.pop(key, None)

    def optimize(
        self,
        collection: Collection,
        progress: Progress,
        *,
        merges_only: bool = False,
        segment_bytes: int = 0,
    ) -> list[Merged]:
        """Merge and index until nothing is left to do, in the calling thread.

        Args:
            merges_only: build no index.
            segment_bytes: the largest segment to make; 0 for the setting.

        Returns:
            The merges done, in order.

        Raises:
            JobFailed: an index could not be built; the message says why.
            StorageError, ClosedError: what was done so far stays.
        """
        self._preempt += 1
        # Rows that die meanwhile wait for the next time, or this would never end.
        newest_id = collection.node.ids.last
        merges: list[Merged] = []
        with self._work_lock:
            self._preempt -= 1
            while True:
                if self._is_closing:
                    raise ClosedError("the database")
                drop_damaged(collection.shard)
                attach_known(collection.shard)
                action = self.next_action(
                    collection,
                    eager=True,
                    up_to_id=newest_id,
                    segment_bytes=segment_bytes,
                )
                if isinstance(action, Build) and merges_only:
                    action = None
                if action is None:
                    self._raise_failures(collection.shard)
                    return merges
                before = _segment_ids(collection.shard)
                done = self.perform(
                    collection, action, progress, lambda: self._is_closing
                )
                if done and isinstance(action, Compact):
                    made = _segment_ids(collection.shard) - before
                    merges.append((action.segment_ids, max(made, default=0)))
                if not done and isinstance(action, Compact):
                    self._raise_failures(collection.shard)

    def _raise_failures(self, shard: LocalShard) -> None:
        limit = shard.node.settings.build_attempts
        present = {segment.id for segment in list(shard.sealed)}
        for (shard_id, segment_id, _), reasons in list(self.status.failures.items()):
            if shard_id != shard.id or segment_id not in present:
                continue  # a merge has replaced the segment since
            if len(reasons) >= limit:
                raise JobFailed(f"segment {segment_id}: {reasons[-1]}")

    def forget_failures(self, collection_id: int) -> None:
        """Try again what had failed too often, as after a new index definition."""
        for key in [k for k in list(self.status.failures) if k[0] == collection_id]:
            self.status.failures.pop(key, None)


def _segment_ids(shard: LocalShard) -> set[int]:
    return {segment.id for segment in list(shard.sealed)}


def _attach_indexes(collection: Collection) -> None:
    attach_known(collection.shard)


def drop_damaged(shard: LocalShard) -> None:
    """Forget indexes that a search found damaged, so that they are built anew."""
    for segment in list(shard.sealed):
        for field_id, problem in list(segment.damaged.items()):
            shard.damages.append(problem)
            drop_index(shard, segment, field_id)
            segment.damaged.pop(field_id, None)


def _is_stale(shard: LocalShard) -> bool:
    """Whether rows or deletes have waited so long that they hold up the log."""
    if shard.needed_seq() is None:
        return False
    age_ms = shard.node.clock.now_ms() - shard.first_pending_ms
    return age_ms > shard.node.settings.flush_age_s * 1000
