"""Searches and queries in the order of values, as clients ask for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elanus.errors import InvalidParameter
from elanus.service import replies as a
from elanus.service import requests as r
from elanus.service.search_batch import plan_key
from service.stage import CONTEXT, Stage, by_name, search_request, vectors

COUNT = 40


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """Rows in memory and on files; the topic is ``id % 10``."""
    stage.ready()
    stage.insert(list(range(COUNT // 2)), vectors(COUNT // 2, seed=1))
    stage.ask(r.Flush("default", ("books",)))
    stage.insert(list(range(COUNT // 2, COUNT)), vectors(COUNT // 2, seed=2))
    return stage


def test_a_search_orders_what_it_returns(filled: Stage) -> None:
    """The same rows as without an order, each with its own score."""
    query = vectors(2, seed=3)
    plain = filled.search(query, 8)
    found = filled.search(
        query, 8, order_by_fields="topic:desc", output_fields=("topic",)
    )
    topics = by_name(found.columns)["topic"]
    assert found.counts.tolist() == [8, 8]
    for start in (0, 8):
        keys = plain.keys.to_pylist()[start : start + 8]
        scores = plain.scores.tolist()[start : start + 8]
        rows = sorted(zip(keys, scores, strict=True), key=lambda row: -(row[0] % 10))
        mine = slice(start, start + 8)
        assert found.keys.to_pylist()[mine] == [key for key, _ in rows]
        assert found.scores.tolist()[mine] == [score for _, score in rows]
        assert topics[mine] == [key % 10 for key, _ in rows]


def test_only_searches_of_one_order_are_answered_together(filled: Stage) -> None:
    """Together or alone, each answer is in its order."""
    ordered = r.SearchOptions(5, order_by_fields="topic")
    requests = [
        replace(search_request(vectors(1, seed=seed)), options=ordered)
        for seed in (4, 5)
    ]
    plain = search_request(vectors(1, seed=4))
    assert plan_key(requests[0]) == plan_key(requests[1]) is not None
    assert plan_key(requests[0]) != plan_key(plain)
    together = filled.service.handle_together(requests, [CONTEXT, CONTEXT])
    for request, reply in zip(requests, together, strict=True):
        assert isinstance(reply, a.SearchReply)
        alone = filled.ask(request)
        assert reply.keys.to_pylist() == alone.keys.to_pylist()
        topics = [key % 10 for key in alone.keys.to_pylist()]
        assert topics == sorted(topics)


def test_pages_of_an_ordered_query_join(filled: Stage) -> None:
    """Equal values ascend by key, so no page repeats a row of another."""
    found = []
    for offset in range(0, COUNT, 7):
        reply = filled.query(
            "id >= 0", limit=7, offset=offset, order_by_fields="topic:desc"
        )
        found += by_name(reply.columns)["id"]
    assert found == sorted(range(COUNT), key=lambda key: (-(key % 10), key))


def test_iterators_take_no_order(filled: Stage) -> None:
    """With Milvus' texts."""
    steps = r.SearchIterator(True, 5, None, "")
    with pytest.raises(InvalidParameter, match="order_by is not supported when using"):
        filled.search(vectors(1), 5, order_by_fields="topic", iterator=steps)
    with pytest.raises(InvalidParameter, match="ORDER BY with iterator is not"):
        filled.query("id > 0", limit=5, order_by_fields="topic", is_iterator=True)
