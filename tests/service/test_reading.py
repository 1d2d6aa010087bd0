"""What searches and queries can be asked for beside queries and filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import CollectionNotLoaded
from elanus.schema.types import DataType
from elanus.service import replies as a
from elanus.service import requests as r
from elanus.service.search_batch import plan_key
from service.stage import (
    CONTEXT,
    DEFAULT,
    Stage,
    book_columns,
    by_name,
    search_request,
    vectors,
)

COUNT = 60
ROWS = vectors(COUNT, seed=1)
QUERIES = vectors(3, seed=2)


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """A loaded collection of two partitions, a part of it on files."""
    return _filled(stage, "L2")


def _filled(stage: Stage, metric: str) -> Stage:
    stage.ready(metric=metric)
    stage.ask(r.CreatePartition(DEFAULT, "books", "odd"))
    stage.insert(list(range(0, COUNT, 2)), ROWS[::2])
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.insert(list(range(1, COUNT, 2)), ROWS[1::2], partition="odd")
    return stage


def _scores(metric: str, query: Any) -> Any:
    if metric == "L2":
        return ((ROWS - query) ** 2).sum(axis=1)
    scale = 1.0 if metric == "IP" else np.linalg.norm(ROWS, axis=1)
    length = 1.0 if metric == "IP" else np.linalg.norm(query)
    return ROWS @ query / scale / length


@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_range_search(stage: Stage, metric: str) -> None:
    """All rows within the bounds and no other, nearest first, up to the limit."""
    _filled(stage, metric)
    sign = 1 if metric == "L2" else -1
    scores = _scores(metric, QUERIES[0])
    ranked = sorted(range(COUNT), key=lambda key: sign * scores[key])
    inner, outer = (
        float(scores[ranked[10]] + scores[ranked[11]]) / 2,
        float(scores[ranked[30]] + scores[ranked[31]]) / 2,
    )
    cases: list[tuple[dict[str, float], list[int]]] = [
        ({"radius": outer}, ranked[:31]),
        ({"radius": outer, "range_filter": inner}, ranked[11:31]),
    ]
    for params, expected in cases:
        found = stage.search(QUERIES[:1], limit=50, params=params)
        assert found.keys.to_pylist() == expected
        few = stage.search(QUERIES[:1], limit=4, offset=2, params=params)
        assert few.keys.to_pylist() == expected[2:6]
    nobody = stage.search(QUERIES, params={"radius": -5.0 if metric == "L2" else 1e9})
    assert nobody.counts.tolist() == [0, 0, 0]


def test_bounds_are_half_open(stage: Stage) -> None:
    """L2: range_filter <= distance < radius."""
    stage.ready()
    rows = np.zeros((4, 4), np.float32)
    rows[:, 0] = [0, 1, 2, 3]
    stage.insert([0, 1, 2, 3], rows)
    found = stage.search(rows[:1], params={"radius": 9.0, "range_filter": 1.0})
    assert found.keys.to_pylist() == [1, 2]


def test_scores_are_rounded_half_away_from_zero(filled: Stage) -> None:
    """To the places asked for; the order stays."""
    exact = filled.search(QUERIES, limit=4)
    rounded = filled.search(QUERIES, limit=4, round_decimal=2)
    assert rounded.keys.to_pylist() == exact.keys.to_pylist()
    wide = exact.scores.astype(np.float64)
    expected = np.floor(wide * 100 + 0.5) / 100
    assert np.allclose(rounded.scores, expected, atol=1e-6)


def test_partitions(filled: Stage) -> None:
    """Reads look at the partitions named only."""
    found = filled.search(QUERIES, limit=50, partitions=("odd",))
    assert {key % 2 for key in found.keys.to_pylist()} == {1}
    assert filled.count(partitions=("odd",)) == COUNT // 2
    assert filled.count("topic == 3", partitions=("_default",)) == 0
    assert by_name(filled.query("id < 4", partitions=("odd",)).columns)["id"] == [1, 3]


def test_ignore_growing(filled: Stage) -> None:
    """Only rows on files are read."""
    found = filled.search(QUERIES, limit=50, ignore_growing=True)
    assert {key % 2 for key in found.keys.to_pylist()} == {0}
    again = filled.search(QUERIES, limit=50, params={"ignore_growing": "True"})
    assert again.keys.to_pylist() == found.keys.to_pylist()
    assert filled.count(ignore_growing=True) == COUNT // 2


def test_search_by_keys(filled: Stage) -> None:
    """The rows' own vectors are the queries, in the order of the keys."""
    keys = pa.array([41, 6, 41], pa.int64())
    found = filled.ask(search_request(None, 1, query_keys=keys))
    assert found.keys.to_pylist() == [41, 6, 41]
    assert np.allclose(found.scores, 0, atol=1e-5)


def test_offset_and_limit(filled: Stage) -> None:
    """Ranks ``offset`` to ``offset + limit`` of each query."""
    whole = filled.search(QUERIES, limit=10).keys.to_pylist()
    part = filled.search(QUERIES, limit=3, offset=4).keys.to_pylist()
    assert part == whole[4:7] + whole[14:17] + whole[24:27]


def test_query_pages(filled: Stage) -> None:
    """Ascending by key; an offset without a limit is not looked at."""
    page = filled.query("id >= 10", limit=3, offset=2)
    assert by_name(page.columns)["id"] == [12, 13, 14]
    everything = filled.query("id >= 0", offset=50)
    assert len(by_name(everything.columns)["id"]) == COUNT
    assert by_name(filled.query(limit=2).columns)["id"] == [0, 1]


def test_an_answer_without_rows_has_its_columns(filled: Stage) -> None:
    """Clients need the type of a column even if it is empty."""
    found = filled.query("id < 0", output_fields=("*",))
    names = [c.name for c in found.columns]
    assert names == ["id", "topic", "title", "vector"]
    assert [c.dtype for c in found.columns][-1] is DataType.FLOAT_VECTOR
    assert found.columns[-1].values.rows.shape == (0, 4)
    nothing = filled.search(QUERIES, filter="id < 0", output_fields=("vector", "title"))
    assert nothing.counts.tolist() == [0, 0, 0]
    assert [len(c.values) for c in nothing.columns] == [0, 0]


def test_count_is_one_column(filled: Stage) -> None:
    """Named exactly so, however it was written."""
    reply = filled.query("topic in [1, 2]", output_fields=("COUNT(*)",))
    assert by_name(reply.columns) == {"count(*)": [12]}
    assert reply.output_fields == ("count(*)",)


def test_templates(filled: Stage) -> None:
    """Values of a filter come apart from it."""
    params = {"wanted": [3, 5]}
    found = filled.query("id in {wanted}", filter_params=params)
    assert by_name(found.columns)["id"] == [3, 5]
    hits = filled.search(QUERIES, filter="id in {wanted}", filter_params=params)
    assert set(hits.keys.to_pylist()) == {3, 5}


def test_consistency_levels_never_wait(filled: Stage) -> None:
    """Each level, and a guarantee far in the future, is answered with all rows."""
    for level in (None, 0, 1, 2, 3, 4):
        for guarantee in (0, 1, 2, 1 << 62):
            consistency = r.Consistency(level, guarantee)
            assert filled.count(consistency=consistency) == COUNT
            found = filled.search(QUERIES, limit=50, consistency=consistency)
            assert found.counts.tolist() == [50, 50, 50]


def test_the_columns_of_hits(filled: Stage) -> None:
    """They belong to their rows, whichever segment these are of."""
    hits = filled.search(QUERIES, limit=20, output_fields=("*",))
    values = by_name(hits.columns)
    assert values["id"] == hits.keys.to_pylist()
    assert np.allclose(values["vector"], ROWS[values["id"]])
    titles = [None if key % 3 == 0 else f"book {key}" for key in values["id"]]
    assert values["title"] == titles


def test_together_as_alone(filled: Stage) -> None:
    """Searches that run as one have the answers that they would have alone."""
    requests = [
        search_request(vectors(nq, nq), 7, filter="topic < 8", output_fields=("*",))
        for nq in (1, 3, 2)
    ]
    bad = r.Queries(101, QUERIES * np.nan)
    requests.insert(1, replace(requests[0], queries=bad))
    assert len({filled.service.plan_key(request) for request in requests}) == 1
    answers = filled.service.handle_together(requests, [CONTEXT] * len(requests))
    assert "not a number" in str(answers.pop(1))
    requests.pop(1)
    for request, answer in zip(requests, answers, strict=True):
        assert isinstance(answer, a.SearchReply)
        alone = filled.ask(request)
        assert answer.keys.to_pylist() == alone.keys.to_pylist()
        assert answer.counts.tolist() == alone.counts.tolist()
        assert np.allclose(answer.scores, alone.scores)
        assert by_name(answer.columns) == by_name(alone.columns)


def test_remembered_plans_follow_the_collection(filled: Stage) -> None:
    """The same parameters again: after a release, and under another metric."""
    request = search_request(QUERIES)
    first = filled.ask(request)
    assert filled.ask(request).keys.to_pylist() == first.keys.to_pylist()
    assert len(filled.core.search_plans) == 1
    filled.ask(r.ReleaseCollection(DEFAULT, "books"))
    with pytest.raises(CollectionNotLoaded):
        filled.ask(request)
    filled.ask(r.DropIndex(DEFAULT, "books", "vector", ""))
    filled.index(metric="IP")
    filled.load()
    best = [int(np.argmax(_scores("IP", query))) for query in QUERIES]
    found = filled.ask(request)
    assert [found.keys[i].as_py() for i in range(0, 15, 5)] == best


def test_what_cannot_run_together() -> None:
    """Iterators, searches by key, and filters with values of their own run alone."""
    key = search_request(QUERIES)
    iterator = r.SearchIterator(True, 5, None, "")
    assert plan_key(key) is not None
    assert plan_key(search_request(QUERIES, limit=6)) != plan_key(key)
    assert plan_key(search_request(QUERIES, params={"ef": 9})) != plan_key(key)
    assert plan_key(search_request(QUERIES, iterator=iterator)) is None
    assert plan_key(search_request(QUERIES, filter_params={"a": 1})) is None
    assert plan_key(search_request(None, query_keys=pa.array([1]))) is None


def test_only_requested_keys_of_the_dynamic_field(stage: Stage) -> None:
    """Names that are no field are keys; ``$meta["k"]`` is one, too."""
    stage.ready(is_dynamic=True)
    text = b'{"color":"red","size":3}'
    meta = r.ColumnData(
        "", 23, "json_data", pa.array([text], pa.large_binary()), is_dynamic=True
    )
    stage.write(r.Insert, (*book_columns([1], ROWS[:1]), meta), 1)
    cases: dict[tuple[str, ...], bytes] = {
        ("color",): b'{"color":"red"}',
        ('$meta["size"]',): b'{"size":3}',
        ("nothing",): b"{}",
        ("$meta",): text,
        ("*", "color"): text,
    }
    for names, expected in cases.items():
        hits = stage.search(ROWS[:1], output_fields=names)
        assert by_name(hits.columns)["$meta"] == [expected]
        rows = stage.query("id == 1", output_fields=names)
        assert by_name(rows.columns)["$meta"] == [expected]
