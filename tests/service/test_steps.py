"""Long searches, done in pieces: the same answer, from one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from elanus.errors import (
    Cancelled,
    CollectionNotFound,
    DeadlineExceeded,
    ElanusError,
    InternalError,
    InvalidParameter,
)
from elanus.schema.vectors import VectorColumn
from elanus.service import replies as a
from elanus.service import requests as r
from elanus.service.dispatch import Call, LocalService
from elanus.service.search_batch import plan_key
from elanus.service.search_pieces import WHOLE_QUERIES, next_size
from elanus.service.steps import Stepwise
from service.stage import CONTEXT, Stage, search_request, vectors

COUNT = 60
MANY = vectors(WHOLE_QUERIES * 5 + 3, seed=2)


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """A loaded collection, a part of it on files."""
    stage.ready()
    stage.insert(list(range(40)), vectors(40, seed=1))
    stage.ask(r.Flush("default", ("books",)))
    stage.insert(list(range(40, COUNT)), vectors(COUNT - 40, seed=3))
    return stage


def _steps(stage: Stage, request: r.Search) -> r.Work:
    work = stage.service.steps(request, CONTEXT)
    assert work is not None
    return work


def _finished(work: r.Work) -> tuple[Any, int]:
    count = 1
    while (reply := work.advance()) is None:
        count += 1
    return reply, count


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output_fields": ("title", "vector")},
        {"filter": "topic == 3", "limit": 8},
        {"filter": "id < 0"},
        {"filter": "id == 5 or id == 50"},
    ],
)
def test_pieces_have_the_answer_of_the_whole(
    filled: Stage, options: dict[str, Any]
) -> None:
    """Counts, keys, scores and columns agree with a search that is not divided."""
    request = search_request(MANY, **options)
    whole = filled.ask(request)
    pieces, count = _finished(_steps(filled, request))
    assert count > 1
    assert pieces.counts.tolist() == whole.counts.tolist()
    assert list(pieces.keys) == list(whole.keys)
    np.testing.assert_array_equal(pieces.scores, whole.scores)
    for ours, theirs in zip(pieces.columns, whole.columns, strict=True):
        assert ours.name == theirs.name
        assert np.array_equal(_plain(ours.values), _plain(theirs.values))


def _plain(values: Any) -> Any:
    return values.rows if isinstance(values, VectorColumn) else np.asarray(values)


def test_all_pieces_see_the_rows_of_one_moment(filled: Stage) -> None:
    """What is written between two steps is not found by the later one."""
    work = _steps(filled, search_request(np.repeat(MANY[:1], 500, axis=0), 3))
    assert work.advance() is None
    filled.insert([1_000], MANY[:1])
    reply, _ = _finished(work)
    assert 1_000 not in set(np.asarray(reply.keys).tolist())
    assert filled.search(MANY[:1]).keys[0].as_py() == 1_000


def test_small_searches_and_walks_are_handled_at_once(filled: Stage) -> None:
    """Only what keeps others waiting is divided."""
    small = search_request(MANY[:WHOLE_QUERIES])
    assert filled.service.steps(small, CONTEXT) is None
    iterator = r.SearchIterator(True, 5, None, "")
    walk = search_request(MANY, iterator=iterator)
    assert filled.service.steps(walk, CONTEXT) is None
    assert filled.service.steps(r.GetVersion(), CONTEXT) is None


def test_long_searches_are_not_answered_together() -> None:
    """Together they would keep others waiting again."""
    assert plan_key(search_request(MANY)) is None
    assert plan_key(search_request(MANY[:WHOLE_QUERIES])) is not None


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (replace(search_request(MANY), collection="none"), CollectionNotFound),
        (search_request(MANY[:, :-1]), InvalidParameter),
    ],
)
def test_the_first_step_tells_what_is_wrong(
    filled: Stage, request_: r.Search, error: type[ElanusError]
) -> None:
    """With the error that the whole search would have."""
    with pytest.raises(error) as whole:
        filled.ask(request_)
    with pytest.raises(error) as piece:
        _steps(filled, request_).advance()
    assert str(piece.value) == str(whole.value)


@pytest.mark.parametrize(
    ("context", "error"),
    [
        (r.RequestContext(is_cancelled=lambda: True), Cancelled),
        (r.RequestContext(deadline=0.0), DeadlineExceeded),
    ],
)
def test_what_nobody_waits_for_is_not_begun(
    filled: Stage, context: r.RequestContext, error: type[ElanusError]
) -> None:
    """A client that has gone, or whose time is over, costs nothing."""
    work = filled.service.steps(search_request(MANY), context)
    assert work is not None
    with pytest.raises(error):
        work.advance()


def test_the_observer_is_told_once(filled: Stage) -> None:
    """At the end, with the code; not for every step."""
    told: list[Call] = []
    service = LocalService(filled.core, observe=told.append)
    for request in (search_request(MANY), search_request(MANY[:, :-1])):
        work = service.steps(request, CONTEXT)
        assert work is not None
        try:
            _finished(work)
        except InvalidParameter:
            continue
    assert [(call.name, call.code) for call in told] == [
        ("Search", 0),
        ("Search", 1100),
    ]


def test_a_surprise_is_an_error_of_ours() -> None:
    """It is typed, and told once."""

    class Broken:
        def advance(self) -> a.Reply | None:
            raise ZeroDivisionError("oh")

    told: list[int] = []
    with pytest.raises(InternalError, match="Search: ZeroDivisionError: oh"):
        Stepwise("Search", Broken, told.append).advance()
    assert told == [InternalError.code]


def test_pieces_take_about_equally_long() -> None:
    """The size follows the time, within bounds, and never jumps."""
    assert next_size(32, 2e-3) == 32
    assert next_size(32, 4e-3) == 16
    assert next_size(32, 1.0) == 16
    assert next_size(8, 1.0) == 8
    assert next_size(32, 0.0) == 64
    assert next_size(256, 0.0) == 256
