"""Iterators: every row once, in order, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elanus.errors import InvalidParameter
from elanus.schema.types import DataType
from elanus.service import cursors
from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import DEFAULT, Stage, book_columns, by_name, column, vectors

COUNT = 100
ROWS = vectors(COUNT, seed=3)
ROWS[50:60] = ROWS[0]  # ties
QUERY = vectors(1, seed=4)
METRICS = ["L2", "IP", "COSINE"]


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """A collection of which half is on files."""
    stage.ready()
    _fill(stage)
    return stage


def _fill(stage: Stage) -> None:
    stage.insert(list(range(0, COUNT, 2)), ROWS[::2])
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.insert(list(range(1, COUNT, 2)), ROWS[1::2])


def _step(
    stage: Stage, size: int, before: a.SearchReply | None = None, **more: Any
) -> a.SearchReply:
    """One batch after another, as clients ask for it."""
    token = "" if before is None else before.iterator_token or ""
    bound = None if before is None else before.iterator_bound
    guarantee = 0 if before is None else before.session_ts
    return stage.search(
        QUERY,
        limit=size,
        iterator=r.SearchIterator(True, size, bound, token),
        consistency=r.Consistency(0, guarantee),
        **more,
    )


def _walk(stage: Stage, size: int, **more: Any) -> tuple[list[int], list[float]]:
    keys: list[int] = []
    scores: list[float] = []
    reply = _step(stage, size, **more)
    while len(reply.scores):
        keys += reply.keys.to_pylist()
        scores += reply.scores.tolist()
        reply = _step(stage, size, reply, **more)
    return keys, scores


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [2, 7, 1000])
def test_a_walk_finds_every_row_once(stage: Stage, metric: str, size: int) -> None:
    """In order of the score, equal ones by key, across segments."""
    stage.ready(metric=metric)
    _fill(stage)
    keys, scores = _walk(stage, size)
    assert sorted(keys) == list(range(COUNT))
    sign = 1 if metric == "L2" else -1
    order = sorted(zip([sign * s for s in scores], keys, strict=True))
    assert [key for _, key in order] == keys
    whole = stage.search(QUERY, limit=COUNT, params={"ef": COUNT})
    assert np.array_equal(whole.scores, np.array(scores, np.float32))


def test_a_walk_with_a_filter(filled: Stage) -> None:
    """Only matching rows, and the columns asked for."""
    keys, _ = _walk(filled, 3, filter="topic == 4")
    assert sorted(keys) == list(range(4, COUNT, 10))
    reply = _step(filled, 5, output_fields=("topic",))
    assert by_name(reply.columns)["topic"] == [k % 10 for k in reply.keys.to_pylist()]


def test_a_walk_does_not_see_later_writes(filled: Stage) -> None:
    """Rows written or deleted after the first batch change nothing."""
    first = _step(filled, 10)
    expected = filled.search(QUERY, limit=20, params={"ef": COUNT}).keys.to_pylist()
    filled.insert([1000], QUERY)
    filled.delete(f"id in [{expected[15]}]")
    second = _step(filled, 10, first)
    assert first.keys.to_pylist() + second.keys.to_pylist() == expected


@pytest.mark.parametrize("forgets", ["restart", "room", "age"])
def test_a_forgotten_place_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    """By the client's bound; rows of exactly that score count as received."""
    stage = Stage(tmp_path / "db", now_ms=1_700_000_000_000)
    stage.ready()
    _fill(stage)
    expected, _ = _walk(stage, 1000)
    first = _step(stage, 40)
    if forgets == "restart":
        stage.reopen()
    elif forgets == "room":
        monkeypatch.setattr(cursors, "CURSORS", 1)
        _step(stage, 2)
    else:
        assert stage.now_ms is not None
        stage.now_ms += cursors.IDLE_MS
    second = _step(stage, 1000, first)
    stage.close()
    bound = np.float32(first.iterator_bound)
    assert (second.scores > bound).all()
    beyond = [k for k in expected if k in second.keys.to_pylist()]
    assert second.keys.to_pylist() == beyond
    assert len(beyond) >= COUNT - 40 - 10


def test_a_lost_answer_is_given_again(filled: Stage) -> None:
    """A client that repeats a step, because its answer was lost, misses nothing."""
    first = _step(filled, 10)
    lost = _step(filled, 10, first)
    again = _step(filled, 10, first)
    assert again.keys.to_pylist() == lost.keys.to_pylist()


def test_places_are_bounded_in_memory(
    filled: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest ones make room."""
    monkeypatch.setattr(cursors, "CURSOR_BYTES", 5 * COUNT * 20)
    for _ in range(20):
        _step(filled, 2)
    assert 1 <= len(filled.core.cursors) <= 5


def test_the_end_repeats_the_bound(filled: Stage) -> None:
    """An empty batch says where the client was; an empty walk, the worst score."""
    last = _step(filled, 1000)
    end = _step(filled, 1000, last)
    assert end.counts.tolist() == [0]
    assert end.iterator_bound == last.iterator_bound
    assert _step(filled, 10, filter="id < 0").iterator_bound < -1e38


def test_the_probe_tells_a_token(filled: Stage) -> None:
    """Clients first ask for one row, only to see that walks are possible."""
    reply = _step(filled, 1)
    nearest = filled.search(QUERY, limit=1)
    assert reply.iterator_token and reply.session_ts
    assert reply.keys.to_pylist() == nearest.keys.to_pylist()
    assert len(filled.core.cursors) == 0


WRONG_STEPS = [
    (r.SearchIterator(True, None, None, ""), {}, "batch size is required"),
    (r.SearchIterator(True, 0, None, ""), {}, "batch size is invalid"),
    (r.SearchIterator(True, 5, 1.0, "x"), {}, "invalid token format"),
    (r.SearchIterator(True, 5, None, ""), {"offset": 1}, "Setting an offset is not pe"),
    (r.SearchIterator(True, 5, None, ""), {"collection_id": 5}, "is not consistent to"),
]


@pytest.mark.parametrize(("iterator", "more", "text"), WRONG_STEPS)
def test_wrong_steps(
    filled: Stage, iterator: r.SearchIterator, more: dict[str, int], text: str
) -> None:
    """Milvus' texts."""
    with pytest.raises(InvalidParameter, match=text):
        filled.search(QUERY, iterator=iterator, **more)


def test_an_old_walk_by_radius(filled: Stage) -> None:
    """Older clients walk by growing rings; the limit is cut, not refused."""
    old = r.SearchIterator(False, None, None, "")
    expected, scores = _walk(filled, 1000)
    inner, outer = scores[20], scores[40]
    reply = filled.search(
        QUERY,
        limit=20_000,
        iterator=old,
        params={"radius": outer, "range_filter": inner},
    )
    ring = [k for k, s in zip(expected, scores, strict=True) if inner <= s < outer]
    assert reply.keys.to_pylist() == ring
    assert reply.iterator_token is None


def test_a_query_iterator(filled: Stage) -> None:
    """Pages by key, all of the moment that the first page named."""
    first = filled.query("id < 9223372036854775807", limit=30, is_iterator=True)
    assert first.session_ts > 0
    filled.insert([15_000])
    filled.delete("id in [31]")
    filled.write(r.Upsert, _changed(40), 1)
    seen = by_name(first.columns)["id"]
    while True:
        page = filled.query(
            f"id > {seen[-1]}",
            limit=30,
            is_iterator=True,
            output_fields=("topic",),
            consistency=r.Consistency(0, first.session_ts),
        )
        values = by_name(page.columns)
        if not values["id"]:
            break
        seen += values["id"]
        assert values["topic"] == [i % 10 for i in values["id"]]
    assert seen == list(range(COUNT))


def _changed(key: int) -> Any:
    columns = {c.name: c for c in book_columns([key])}
    columns["topic"] = column("topic", DataType.INT64, [77])
    return tuple(columns.values())
