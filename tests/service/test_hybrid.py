"""Hybrid searches and groups as clients ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from elanus.errors import ElanusError
from elanus.service import replies as a
from elanus.service import requests as r
from service.stage import CONTEXT, DEFAULT, STRONG, Stage, search_request, vectors

COUNT = 40
QUERY = vectors(2, seed=3)


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """Rows in memory and on files; the topic is ``id % 10``."""
    stage.ready()
    stage.insert(list(range(COUNT // 2)), vectors(COUNT // 2, seed=1))
    stage.ask(r.Flush("default", ("books",)))
    stage.insert(list(range(COUNT // 2, COUNT)), vectors(COUNT // 2, seed=2))
    return stage


def hybrid(searches: tuple[r.Search, ...], limit: int = 5, **told: Any) -> Any:
    """A hybrid search of ``books``; options are those of the ranker."""
    names = told.pop("output_fields", ())
    partitions = told.pop("partitions", ())
    options = r.HybridOptions(limit, **told)
    return r.HybridSearch(
        DEFAULT, "books", partitions, searches, names, options, STRONG
    )


def two(**options: Any) -> tuple[r.Search, ...]:
    """Two searches, of queries that differ."""
    first = search_request(QUERY, 10, **options)
    return first, search_request(QUERY[::-1].copy(), 10, **options)


def test_a_search_groups_what_it_returns(filled: Stage) -> None:
    """Together, in pieces or alone; the reply tells what the rows are grouped by."""
    options = r.SearchOptions(4, group_by_field="topic", group_size=2)
    request = replace(search_request(QUERY), options=options)
    alone = filled.ask(request)
    topics = [key % 10 for key in alone.keys.to_pylist()]
    assert alone.group_columns[0].values.to_pylist() == topics
    assert alone.group_columns[0].name == "topic"
    one, other = (
        replace(request, queries=r.Queries(101, QUERY[i : i + 1])) for i in (0, 1)
    )
    together = filled.service.handle_together([one, other], [CONTEXT, CONTEXT])
    keys: list[int] = []
    for reply in together:
        assert isinstance(reply, a.SearchReply)
        assert len(set(reply.group_columns[0].values.to_pylist())) == 4
        keys += reply.keys.to_pylist()
    assert keys == alone.keys.to_pylist()


def test_an_effort_for_fewer_rows_is_one_for_any_groups(filled: Stage) -> None:
    """It bounds the rows of a search, and groups are sought as deep as it takes."""
    few = {"ef": 1}
    with pytest.raises(ElanusError, match="should be larger than k"):
        filled.ask(search_request(QUERY, 5, params=few))
    reply = filled.ask(search_request(QUERY, 5, group_by_field="topic", params=few))
    assert reply.counts.tolist() == [5, 5]


def test_both_searches_count(filled: Stage) -> None:
    """A row that one of them has is found; equal scores ascend by key."""
    reply = filled.ask(hybrid(two(), 20, output_fields=("topic",)))
    first, second = (filled.ask(part) for part in two())
    for query in (0, 1):
        mine = reply.keys.to_pylist()[sum(reply.counts[:query]) :]
        mine = mine[: reply.counts[query]]
        known = slice(10 * query, 10 * query + 10)
        found = {*first.keys.to_pylist()[known], *second.keys.to_pylist()[known]}
        assert set(mine) == found
    scores = reply.scores.tolist()[: reply.counts[0]]
    assert scores == sorted(scores, reverse=True)
    assert reply.columns[0].values.to_pylist() == [
        key % 10 for key in reply.keys.to_pylist()
    ]


def test_rows_in_memory_are_left_out_of_one_search_only(filled: Stage) -> None:
    """Each search decides for itself; the rows found are the same rows."""
    sealed = search_request(QUERY, 40, ignore_growing=True)
    reply = filled.ask(hybrid((sealed,), 40, output_fields=("id",)))
    assert sorted(reply.keys.to_pylist()) == sorted(2 * list(range(COUNT // 2)))
    assert reply.columns[0].values.to_pylist() == reply.keys.to_pylist()
    both = filled.ask(hybrid((sealed, search_request(QUERY, 40)), 40))
    assert both.counts.tolist() == [COUNT, COUNT]


def test_scores_are_rounded_halves_upwards(filled: Stage) -> None:
    """Other than those of a plain search."""
    exact = filled.ask(hybrid(two(), 20))
    reply = filled.ask(hybrid(two(), 20, round_decimal=2))
    wanted = [int(100 * score + 0.5) / 100 for score in exact.scores.tolist()]
    assert reply.scores.tolist() == pytest.approx(wanted)
    assert reply.keys.to_pylist() == exact.keys.to_pylist()


def test_rankers_have_their_names(filled: Stage) -> None:
    """As strategy or function; raw distances rank the smallest first."""
    raw = filled.ask(
        hybrid(two(), 10, ranker="weighted", params={"weights": [0.5, 0.5]})
    )
    scores = raw.scores.tolist()[: raw.counts[0]]
    assert scores == sorted(scores)
    params = {"weights": [0.5, 0.5], "norm_score": True}
    normed = filled.ask(hybrid(two(), 10, ranker="weighted", params=params))
    scores = normed.scores.tolist()[: normed.counts[0]]
    assert scores == sorted(scores, reverse=True) and max(scores) <= 1


GROUP = {"group_by_field": "topic"}
WEIGHTS = {"weights": [0.5, 0.5], "norm_score": 1}
ERRORS = [
    (hybrid(()), 1100, "nq [0] is invalid, nq (number of search vector per search"),
    (hybrid(two()[:1] * 1025), 1100, "maximum of ann search requests is 1024"),
    (hybrid(two(), 0), 1100, "limit [0] is invalid, should be greater than 0"),
    (hybrid(two(), 16385), 1100, "(offset+limit) should be in range [1, 16384], but "),
    (hybrid(two(), 5, offset=-1), 1100, "offset [-1] is invalid, should be gte than"),
    (hybrid(two(), 5, round_decimal=7), 1100, "round_decimal [7] is invalid, should"),
    (hybrid(two(), ranker="best"), 1100, "unsupported rank type best"),
    (hybrid(two(), params={"k": "x"}), 1100, "the type of rank param k should be flo"),
    (hybrid(two(), params={"k": 0}), 1100, "The rank params k should be in range (0,"),
    (hybrid(two(), ranker="weighted"), 1100, "weighted reranker requires weights par"),
    (
        hybrid(two(), ranker="weighted", params=WEIGHTS),
        1100,
        "the type of rank param norm_score should be bool",
    ),
    (
        hybrid(two(), ranker="weighted", params={"weights": [1]}),
        1100,
        "the length of weights param mismatch with ann search requests: invalid "
        "parameter[expected=2][actual=1]",
    ),
    (hybrid(two(order_by_fields="topic")), 1100, "order_by is not supported for hybri"),
    (
        hybrid(two(iterator=r.SearchIterator(True, 5, None, ""))),
        1100,
        "search iterator is not supported for hybrid search",
    ),
    (hybrid((two()[0], search_request(QUERY[:1]))), 1100, "sub search request nq sho"),
    (hybrid(two(anns_field="zz")), 1100, "failed to create query plan: failed to get"),
    (hybrid(two(), output_fields=("zz",)), 1100, "field zz not exist"),
    (hybrid(two(**GROUP, group_size=11)), 1100, "exceeds configured max group size:10"),
    (hybrid(two(**GROUP), group_scorer="min"), 1100, "input group scorer:min is not"),
    (hybrid((search_request(QUERY, 16385),)), 1100, "topk [16385] is invalid, it sho"),
    (
        search_request(QUERY, **GROUP, iterator=r.SearchIterator(True, 5, None, "")),
        1100,
        "Not allowed to do groupBy when doing iteration",
    ),
    (search_request(QUERY, group_by_field="zz"), 1700, "groupBy field not found in sc"),
    (
        search_request(QUERY, extra={"group_by_fields": "id, zz"}),
        1700,
        "groupBy field not found in schema: field not found[field=zz]",
    ),
    (
        search_request(
            QUERY, extra={"group_by_fields": "id,topic"}, order_by_fields="id"
        ),
        1100,
        "order_by_fields is not supported with multi-field group_by_fields",
    ),
    (
        search_request(QUERY, **GROUP, extra={"json_type": "Float"}),
        None,
        "",
    ),
]


@pytest.mark.parametrize(("request_", "code", "message"), ERRORS)
def test_what_is_wrong_is_said_in_the_same_words(
    filled: Stage, request_: Any, code: int | None, message: str
) -> None:
    """Code and text as Milvus'; a JSON type without JSON means nothing."""
    if code is None:
        assert filled.ask(request_).counts.tolist() == [5, 5]
        return
    with pytest.raises(ElanusError) as caught:
        filled.ask(request_)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_an_unloaded_collection_is_not_searched(stage: Stage) -> None:
    """As any read."""
    stage.create()
    stage.index()
    with pytest.raises(ElanusError, match="failed to search: collection not loaded"):
        stage.ask(hybrid(two()))
