"""Functions that searches bring, against scores made row by row in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from elanus.errors import ElanusError
from elanus.functions.rank.randomness import uniform
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from elanus.service.request_functions import FunctionScore, RankFunction
from service.stage import (
    DEFAULT,
    DIM,
    STRONG,
    Stage,
    column,
    search_request,
    vectors,
)

COUNT, LIMIT = 120, 9
METRICS = ("L2", "IP", "COSINE")
QUERIES = vectors(3, seed=7)
ROWS = vectors(COUNT, seed=8)
AGES = [None if key % 11 == 0 else (key * 37) % 100 for key in range(COUNT)]
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("age", DataType.INT64, nullable=True),
        FieldSchema("text", DataType.VARCHAR, max_length=20, nullable=True),
        FieldSchema("info", DataType.JSON, nullable=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)


def fill(stage: Stage, metric: str) -> None:
    """Rows with an index, rows of another segment, and rows in memory."""
    stage.ready(metric=metric, schema=SCHEMA)
    third = COUNT // 3
    for start in (0, third, 2 * third):
        keys = list(range(start, start + third))
        columns = (
            column("id", DataType.INT64, keys),
            column("age", DataType.INT64, [AGES[key] for key in keys]),
            column("text", DataType.VARCHAR, [f"text {key}" for key in keys]),
            column("info", DataType.JSON, [None for _ in keys]),
            column("vector", DataType.FLOAT_VECTOR, ROWS[start : start + third]),
        )
        stage.write(r.Insert, columns, third)
        if start < 2 * third:
            stage.ask(r.Flush(DEFAULT, ("books",)))


Stages = Mapping[str, Stage]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """The same rows under each kind of sign and scale; nothing changes them."""
    with ExitStack() as stack:
        made = {}
        for metric in METRICS:
            made[metric] = Stage(tmp_path_factory.mktemp(metric) / "db")
            stack.callback(made[metric].close)
            fill(made[metric], metric)
            # so that no test is the first to open a file
            made[metric].search(QUERIES, COUNT, output_fields=("*",))
        yield made


def raw(metric: str, query: int, key: int) -> float:
    """The score of one row, as a search tells it."""
    one, other = QUERIES[query].astype(float), ROWS[key].astype(float)
    if metric == "L2":
        return float(((one - other) ** 2).sum())
    product = float(one @ other)
    if metric == "COSINE":
        product /= math.sqrt(float(one @ one) * float(other @ other))
    return product


def normed(metric: str, score: float) -> float:
    """The score between 0 and 1."""
    if metric == "COSINE":
        return (1 + score) / 2
    turn = math.atan(score) / math.pi
    return 1 - 2 * turn if metric == "L2" else 0.5 + turn


def function(name: str, *inputs: str, **params: str) -> RankFunction:
    """A function of a request."""
    return RankFunction("f", 3, inputs, {"reranker": name, **params})


def scored(*functions: RankFunction, **params: str) -> FunctionScore:
    """Functions and how they work together."""
    return FunctionScore(functions, params)


def asked(score: FunctionScore | None, limit: int = LIMIT, **options: Any) -> r.Search:
    """A search with functions."""
    return replace(search_request(QUERIES, limit, **options), score=score)


Answer = list[list[tuple[int, float]]]


def answer(stage: Stage, request: Any) -> Answer:
    """Keys and scores of each query."""
    reply = stage.ask(request)
    pairs = list(zip(reply.keys.to_pylist(), reply.scores.tolist(), strict=True))
    ends = np.cumsum(reply.counts).tolist()
    starts = [0, *ends[:-1]]
    return [pairs[start:end] for start, end in zip(starts, ends, strict=True)]


def same(found: Answer, wanted: Answer) -> None:
    """The same rows in the same order, scores up to the rounding of float32."""
    assert [[key for key, _ in one] for one in found] == [
        [key for key, _ in one] for one in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert [score for _, score in one] == pytest.approx(
            [score for _, score in other], rel=2e-5, abs=2e-6
        )


def best(score_of: Mapping[int, float], *, ascending: bool = False) -> Any:
    """Keys and scores, the best first, equal ones by key."""
    sign = 1 if ascending else -1
    return sorted(score_of.items(), key=lambda pair: (sign * pair[1], pair[0]))


def factor(key: int) -> float:
    """What the decay of these tests leaves."""
    age = AGES[key]
    if age is None:
        return 0.0
    far = max(0.0, abs(age - 20.0) - 5.0)
    return math.exp(math.log(0.4) * far**2 / 30.0**2)


DECAY = {
    "function": "gauss",
    "origin": "20",
    "scale": "30",
    "offset": "5",
    "decay": "0.4",
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("norm", ["true", "False"])
def test_decay_reorders_what_a_search_returns(
    stages: Stages, metric: str, norm: str
) -> None:
    """Distances turn around; nulls come last with nothing; the page stays the page."""
    stage = stages[metric]
    score = scored(function("decay", "age", norm_score=norm, **DECAY))
    is_normed = norm == "true" or metric == "L2"
    for offset in (0, 4):
        plain = answer(stage, asked(None, offset=offset))
        wanted = [
            best(
                {
                    key: factor(key) * (normed(metric, told) if is_normed else told)
                    for key, told in one
                }
            )
            for one in plain
        ]
        same(answer(stage, asked(score, offset=offset)), wanted)


def combined(weights: list[float], mode: str) -> float | None:
    """What the boosts of one row are together; ``None`` for none."""
    if not weights:
        return None
    return sum(weights) if mode == "sum" else math.prod(weights)


BOOSTS: list[tuple[dict[str, str], Callable[[int], float | None]]] = [
    ({"weight": "2.5", "filter": "id % 7 == 3"}, lambda k: 2.5 if k % 7 == 3 else None),
    ({"weight": "0.25", "filter": "id >= 60"}, lambda k: 0.25 if k >= 60 else None),
    ({"weight": "-1.5", "filter": "age > 90"}, lambda k: _old(k, -1.5)),
    ({"weight": "0", "filter": "age > 90"}, lambda k: _old(k, 0.0)),
    ({"weight": "0.5"}, lambda _: 0.5),
    (
        {"weight": "3", "filter": "id > 20", "random_score": '{"seed": 9}'},
        lambda k: 3 * RANDOM[k] if k > 20 else None,
    ),
]


def _old(key: int, weight: float) -> float | None:
    age = AGES[key]
    return weight if age is not None and age > 90 else None


RANDOM = uniform(pa.array(range(COUNT), pa.int64()), 9)


CHOSEN = ((0,), (0, 1), (2,), (3, 0), (4, 1), (5,), (5, 0, 1, 2))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("chosen", CHOSEN)
def test_boosts_count_among_all_rows(
    stages: Stages, metric: str, chosen: tuple[int, ...]
) -> None:
    """Not only among those that were near enough without; of distances, negated."""
    sign = -1 if metric == "L2" else 1
    functions = [function("boost", **BOOSTS[i][0]) for i in chosen]
    for among, mode in product(("multiply", "sum"), repeat=2):
        score = scored(*functions, function_mode=among, boost_mode=mode)

        def final(query: int, key: int, among: str = among, mode: str = mode) -> float:
            told = sign * raw(metric, query, key)
            given = [BOOSTS[i][1](key) for i in chosen]
            boost = combined([w for w in given if w is not None], among)
            if boost is not None:
                told = told * boost if mode == "multiply" else told + boost
            return sign * told

        for text, allowed in (("", range(COUNT)), ("id < 90", range(90))):
            wanted = [
                best({k: final(q, k) for k in allowed}, ascending=metric == "L2")
                for q in range(len(QUERIES))
            ]
            request = asked(score, filter=text, offset=2)
            same(answer(stages[metric], request), [w[2 : LIMIT + 2] for w in wanted])


def test_a_boost_stands_beside_another_function(stages: Stages) -> None:
    """It chooses the rows whose scores the other changes."""
    stage = stages["IP"]
    boost = function("boost", weight="4", filter="id % 7 == 3")
    boosted = answer(stage, asked(scored(boost)))
    both = answer(stage, asked(scored(boost, function("decay", "age", **DECAY))))
    same(both, [best({k: s * factor(k) for k, s in one}) for one in boosted])


def test_range_and_boost_go_together(stages: Stages) -> None:
    """The bounds are those of the score before its boost."""
    stage = stages["L2"]
    params = {"radius": 6.0, "range_filter": 1.5}
    weights = {"weight": "0.01", "filter": "id % 2 == 0"}
    for extra in ({}, {"random_score": '{"seed": 1}'}):
        score = scored(function("boost", **weights, **extra))
        found = answer(stage, asked(score, 200, params=params))
        plain = answer(stage, asked(None, 200, params=params))
        assert [{key for key, _ in one} for one in found] == [
            {key for key, _ in one} for one in plain
        ]
        assert any(plain)


def test_groups_are_reordered_as_groups(stages: Stages) -> None:
    """By the scores of their rows, which stay together."""
    stage = stages["IP"]
    options = {"group_by_field": "text", "group_size": 2}
    plain = answer(stage, asked(None, **options))
    score = scored(function("decay", "age", **DECAY))
    found = answer(stage, asked(score, **options))
    same(found, [best({k: s * factor(k) for k, s in one}) for one in plain])


def test_scores_are_rounded_halves_upwards(stages: Stages) -> None:
    """After all that changes them."""
    stage = stages["IP"]
    score = scored(function("decay", "age", **DECAY))
    exact = answer(stage, asked(score))
    found = answer(stage, asked(score, round_decimal=2))
    wanted = [[(k, math.floor(s * 100 + 0.5) / 100) for k, s in one] for one in exact]
    same(found, wanted)


def test_many_queries_in_pieces_have_the_same_answers(stages: Stages) -> None:
    """A long search is done in pieces; its functions see the whole."""
    stage = stages["IP"]
    score = scored(
        function("boost", weight="2", filter="id % 7 == 3"),
        function("decay", "age", **DECAY),
    )
    one = asked(score)
    many = np.concatenate([QUERIES] * 20)
    long = replace(one, queries=r.Queries(101, many))
    steps = stage.service.steps(long, r.RequestContext())
    assert steps is not None
    while (reply := steps.advance()) is None:
        pass
    short = stage.ask(one)
    assert reply.keys.to_pylist() == 20 * short.keys.to_pylist()
    assert reply.scores.tolist() == pytest.approx(20 * short.scores.tolist())
    assert stage.service.plan_key(one) is None
    assert not stage.service.is_short(one)


@pytest.mark.parametrize("mode", ["max", "sum", "avg"])
@pytest.mark.parametrize("norm", ["true", "false"])
def test_decay_of_a_hybrid_search(stages: Stages, mode: str, norm: str) -> None:
    """The scores of a row become one, and then less."""
    stage = stages["L2"]
    parts = (
        search_request(QUERIES, 30),
        search_request(QUERIES[::-1].copy(), 30, filter="id % 2 == 0"),
    )
    told: list[dict[int, list[float]]] = [{} for _ in QUERIES]
    for part in parts:
        for query, one in enumerate(answer(stage, part)):
            for key, score in one:
                told[query].setdefault(key, []).append(normed("L2", score))
    combine = {"max": max, "sum": sum, "avg": lambda s: sum(s) / len(s)}[mode]
    wanted = [
        best({key: combine(scores) * factor(key) for key, scores in one.items()})[3:13]
        for one in told
    ]
    decay = function("decay", "age", score_mode=mode, norm_score=norm, **DECAY)
    request = r.HybridSearch(
        DEFAULT,
        "books",
        (),
        parts,
        (),
        r.HybridOptions(10, 3),
        STRONG,
        scored(decay),
    )
    same(answer(stage, request), wanted)


def test_boosts_in_a_part_of_a_hybrid_search(stages: Stages) -> None:
    """They change what that part finds."""
    stage = stages["IP"]
    boost = scored(function("boost", weight="5", filter="id % 7 == 3"))
    options = r.HybridOptions(LIMIT, ranker="weighted", params={"weights": [1.0]})
    request = r.HybridSearch(DEFAULT, "books", (), (asked(boost),), (), options, STRONG)
    same(answer(stage, request), answer(stage, asked(boost)))


ONE = function("decay", "age", **DECAY)
BOOST = function("boost", weight="2")
IN_GROUPS = {"group_by_field": "text"}
WALK = {"iterator": r.SearchIterator(True, 5, None, "")}
OLD_WALK = {"iterator": r.SearchIterator(False, None, None, "")}


def lacking(name: str) -> RankFunction:
    """A decay without one of its parameters."""
    return function("decay", "age", **{k: v for k, v in DECAY.items() if k != name})


def random(text: str) -> RankFunction:
    """A boost with such a random part."""
    return function("boost", weight="1", random_score=text)


ERRORS: list[tuple[FunctionScore, dict[str, Any], int, str]] = [
    (scored(ONE, ONE), {}, 1100, "rerank_builder: currently only supports one rerank"),
    (scored(function("")), {}, 1100, "rerank_builder: reranker name not specified"),
    (scored(function("1")), {}, 1100, "rerank_builder: unsupported reranker 1"),
    (
        scored(replace(ONE, type_number=1)),
        {},
        1100,
        "rerank_builder: function f is not a rerank function",
    ),
    (
        scored(replace(ONE, inputs=("age", "id"))),
        {},
        1100,
        "rerank_builder: decay reranker requires exactly 1 input field, got 2",
    ),
    (
        scored(replace(ONE, inputs=("zz",))),
        {},
        1100,
        "input field zz not found in collection schema: field not found[field=zz]",
    ),
    (
        scored(replace(ONE, inputs=("text",))),
        {},
        1100,
        "decay input field text must be numeric, got VarChar",
    ),
    (scored(replace(ONE, inputs=("info",))), {}, 1100, "unsupported field type: JSON"),
    (
        scored(replace(ONE, inputs=("vector",))),
        {},
        1100,
        "unsupported field type: FloatVector",
    ),
    (scored(lacking("function")), {}, 1100, "decay function not specified"),
    (scored(lacking("origin")), {}, 1100, "decay origin not specified"),
    (scored(lacking("scale")), {}, 1100, "decay scale not specified"),
    (
        scored(function("decay", "age", **{**DECAY, "scale": "[1]"})),
        {},
        1100,
        "decay param scale: [1] is not a number",
    ),
    (
        scored(function("decay", "age", score_mode="min", **DECAY)),
        {},
        1100,
        "unsupported score_mode: min, only supports [max, sum, avg]",
    ),
    (
        scored(function("decay", "age", norm_score="maybe", **DECAY)),
        {},
        1100,
        "decay param norm_score: maybe is not a bool",
    ),
    (
        scored(function("rrf", "age")),
        {},
        1100,
        "rrf reranker requires no input fields, got 1",
    ),
    (
        scored(function("weighted", weights="[0.5, 0.5]")),
        {},
        1100,
        "the length of weights param mismatch with ann search requests",
    ),
    (scored(function("boost")), {}, 1100, "must set weight params for weight scorer"),
    (
        scored(function("boost", weight="x")),
        {},
        1100,
        "boost param weight: x is not a number",
    ),
    (
        scored(function("boost", weight="1", filter="zz @@ 1")),
        {},
        1100,
        "parse expr failed with error",
    ),
    (scored(BOOST, boost_mode="max"), {}, 1100, "unknown boost mode: max"),
    (scored(BOOST, Function_Mode="max"), {}, 1100, "unknown function mode: max"),
    (scored(random("x")), {}, 1100, "parse random score params failed: x"),
    (scored(random('{"seed": "a"}')), {}, 1100, "parse random seed failed: a"),
    (scored(random('{"field": "zz"}')), {}, 1700, "field not found[field=zz]"),
    (
        scored(random('{"field": "text"}')),
        {},
        1100,
        "only support int64 field as random seed, but got VarChar",
    ),
    (scored(BOOST), IN_GROUPS, 1100, "don't support use segment scorer with group_by"),
    (scored(BOOST), WALK, 1100, "segment scorer with group_by or search_iterator"),
    (scored(BOOST), OLD_WALK, 1100, "segment scorer with group_by or search_iterator"),
    (scored(ONE), WALK, 1100, "function_score is not supported when using search ite"),
    (
        scored(ONE),
        {"order_by_fields": "age"},
        1100,
        "order_by and function_score cannot be used together: they specify "
        "conflicting sort criteria",
    ),
]


def test_what_is_wrong_is_said_in_the_same_words(stages: Stages) -> None:
    """Code and text as Milvus'."""
    for score, options, code, message in ERRORS:
        with pytest.raises(ElanusError) as caught:
            stages["IP"].ask(asked(score, **options))
        assert message in str(caught.value)
        assert caught.value.code == code


def test_a_hybrid_search_has_functions_of_its_own(stages: Stages) -> None:
    """No boost for the whole, nothing but boosts for its parts."""
    for score, part, message in (
        (scored(BOOST), None, "rerank_builder: unsupported reranker boost"),
        (None, scored(ONE), "only boost functions are supported in the sub-requests"),
        (None, scored(BOOST), "don't support use segment scorer with group_by"),
    ):
        options = IN_GROUPS if part is not None and part.functions == (BOOST,) else {}
        request = r.HybridSearch(
            DEFAULT,
            "books",
            (),
            (asked(part, **options),),
            (),
            r.HybridOptions(5),
            STRONG,
            score,
        )
        with pytest.raises(ElanusError) as caught:
            stages["IP"].ask(request)
        assert message in str(caught.value)
        assert caught.value.code == 1100
