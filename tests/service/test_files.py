"""Flush, compaction and segments as clients see them."""

from __future__ import annotations

from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import DEFAULT, Stage, vectors


def test_a_flush_is_complete_when_it_is_answered(stage: Stage) -> None:
    """The answer is under the name asked for; every state asked for is done."""
    stage.ready()
    stage.ask(r.CreateAlias(DEFAULT, "books", "b"))
    stage.insert([1, 2])
    (entry,) = stage.ask(r.Flush(DEFAULT, ("b",))).collections
    assert (entry.name, len(entry.sealed_ids), entry.flushed_ids) == ("b", 1, ())
    assert entry.ts > 0 and entry.sealed_at_s > 0
    state = r.GetFlushState(DEFAULT, "b", entry.sealed_ids, entry.ts)
    assert stage.ask(state).value
    (segment,) = stage.ask(r.GetPersistentSegmentInfo(DEFAULT, "books")).segments
    assert (segment.id, segment.n_rows) == (entry.sealed_ids[0], 2)
    assert segment.state is a.SegmentState.FLUSHED
    stage.insert([3])
    (again,) = stage.ask(r.Flush(DEFAULT, ("books",))).collections
    assert again.flushed_ids == entry.sealed_ids


def test_flush_all(stage: Stage) -> None:
    """Everything is on files then."""
    stage.ready()
    stage.insert([1])
    ts = stage.ask(r.FlushAll(DEFAULT, ())).ts
    assert stage.ask(r.GetFlushAllState(DEFAULT, (), ts)).value
    assert len(stage.ask(r.GetPersistentSegmentInfo(DEFAULT, "books")).segments) == 1


def test_segments_that_reads_look_at(stage: Stage) -> None:
    """Sealed ones; none while nothing is loaded."""
    stage.ready()
    stage.insert([1])
    assert stage.ask(r.GetQuerySegmentInfo(DEFAULT, "books")).segments == ()
    assert stage.ask(r.GetPersistentSegmentInfo(DEFAULT, "books")).segments == ()
    stage.ask(r.Flush(DEFAULT, ("books",)))
    (segment,) = stage.ask(r.GetQuerySegmentInfo(DEFAULT, "books")).segments
    assert segment.state is a.SegmentState.SEALED
    stage.ask(r.ReleaseCollection(DEFAULT, "books"))
    assert stage.ask(r.GetQuerySegmentInfo(DEFAULT, "books")).segments == ()


def test_a_compaction_merges(stage: Stage) -> None:
    """It has a number, and a state that ends; with nothing to do, -1."""
    stage.ready()
    assert stage.ask(r.ManualCompaction(DEFAULT, "books")).id == -1
    for start in range(0, 80, 20):
        stage.insert(list(range(start, start + 20)), vectors(20, seed=start))
        stage.ask(r.Flush(DEFAULT, ("books",)))
    before = stage.ask(r.GetPersistentSegmentInfo(DEFAULT, "books")).segments
    started = stage.ask(r.ManualCompaction(DEFAULT, "books"))
    assert (started.id > 0, started.plans) == (True, 1)
    stage.service.wait()
    state = stage.ask(r.GetCompactionState(started.id))
    assert state.state is a.CompactionState.COMPLETED
    assert (state.completed, state.failed) == (1, 0)
    after = stage.ask(r.GetPersistentSegmentInfo(DEFAULT, "books")).segments
    assert len(after) < len(before)
    assert stage.count() == 80


def test_an_unknown_compaction_is_completed(stage: Stage) -> None:
    """As Milvus answers."""
    state = stage.ask(r.GetCompactionState(12345))
    assert state == a.CompactionProgress(a.CompactionState.COMPLETED)
