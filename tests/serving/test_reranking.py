"""Rerank functions and function chains, asked for by the real client over a socket."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import (
    AnnSearchRequest,
    DataType,
    Function,
    FunctionChain,
    FunctionChainStage,
    FunctionScore,
    FunctionType,
    MilvusClient,
)
from pymilvus.exceptions import MilvusException
from pymilvus.function_chain import FunctionChainExpr, col, fn

from functions.standin import StandIn, score_of, standing_in
from model.worlds import quick_folder
from serving.process import serve

COUNT, LIMIT = 60, 8
QUERY = [1.0, 0.5]
TEXTS = ["apples", "pears", "a plum", "figs and dates", "quince", "medlar", "sloe"]
L0, L2 = FunctionChainStage.L0_RERANK, FunctionChainStage.L2_RERANK


def row(key: int) -> dict[str, Any]:
    """A row; its score for ``QUERY`` is its inner product."""
    turn = key * 2.399963
    return {
        "id": key,
        "vector": [math.cos(turn) * (1 + key % 5), math.sin(turn)],
        "age": None if key % 9 == 0 else key,
        "likes": (key * 7) % 10,
        "text": None if key % 8 == 0 else TEXTS[key % len(TEXTS)],
    }


ROWS = {key: row(key) for key in range(COUNT)}


def score(key: int) -> float:
    """The inner product of a row and the query."""
    vector = ROWS[key]["vector"]
    return float(vector[0] * QUERY[0] + vector[1] * QUERY[1])


NEAREST = sorted(ROWS, key=score, reverse=True)


@dataclass(frozen=True)
class Stage:
    """A client of a server with rows on files and in memory, and a model service."""

    client: MilvusClient
    other: MilvusClient
    model: StandIn


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Rows, the first half of them flushed."""
    with ExitStack() as stack:
        folder = stack.enter_context(quick_folder())
        uri = f"http://{stack.enter_context(serve(folder / 'db')).address}"
        clients = [MilvusClient(uri, dedicated=True) for _ in range(2)]
        for client in clients:
            stack.callback(client.close)
        client = clients[0]
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("age", DataType.INT64, nullable=True)
        schema.add_field("likes", DataType.FLOAT)
        schema.add_field("text", DataType.VARCHAR, max_length=40, nullable=True)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="IP")
        client.create_collection("docs", schema=schema, index_params=index)
        rows = list(ROWS.values())
        client.insert("docs", rows[: COUNT // 2])
        client.flush("docs")
        client.insert("docs", rows[COUNT // 2 :])
        yield Stage(clients[0], clients[1], stack.enter_context(standing_in()))


def found(stage: Stage, **options: Any) -> list[tuple[int, float]]:
    """Keys and scores of one query."""
    hits = stage.client.search("docs", [QUERY], limit=LIMIT, **options)[0]
    return [(hit["id"], hit["distance"]) for hit in hits]


def same(given: list[tuple[int, float]], wanted: dict[int, float]) -> None:
    """The best of these rows, in order."""
    best = sorted(wanted.items(), key=lambda pair: (-pair[1], pair[0]))
    assert [key for key, _ in given] == [key for key, _ in best]
    assert [told for _, told in given] == pytest.approx(
        [told for _, told in best], rel=1e-5, abs=1e-6
    )


def decay(**more: Any) -> Function:
    """A decay of the age."""
    params = {"reranker": "decay", "function": "exp", "origin": 30, "scale": 20, **more}
    return Function("fade", FunctionType.RERANK, ["age"], params=params)


def kept(key: int) -> float:
    """What that decay leaves."""
    age = ROWS[key]["age"]
    return 0.0 if age is None else math.exp(math.log(0.5) / 20 * abs(age - 30))


def judge(stage: Stage, queries: list[str], **more: Any) -> Function:
    """A model behind the stand-in."""
    params = {
        "reranker": "model",
        "provider": "tei",
        "queries": queries,
        "endpoint": stage.model.url,
        **more,
    }
    return Function("judge", FunctionType.RERANK, ["text"], params=params)


def text(key: int) -> str:
    """What a model reads of a row."""
    return ROWS[key]["text"] or ""


def test_decay(stage: Stage) -> None:
    """Rows in memory and on files, in the order of what is left of their scores."""
    same(found(stage, ranker=decay()), {k: score(k) * kept(k) for k in NEAREST[:LIMIT]})


def test_boosts(stage: Stage) -> None:
    """Among all rows, and by several functions."""

    def boost(**params: Any) -> Function:
        params = {"reranker": "boost", **params}
        return Function("boost", FunctionType.RERANK, [], params=params)

    functions = [
        boost(weight=3.0, filter="likes > 5"),
        boost(weight=0.5, filter="text is null"),
    ]
    ranker = FunctionScore(functions, params={"function_mode": "sum"})

    def boosted(key: int) -> float:
        weights = [3.0] * (ROWS[key]["likes"] > 5) + [0.5] * (not text(key))
        return score(key) * sum(weights) if weights else score(key)

    best = sorted(ROWS, key=boosted, reverse=True)[:LIMIT]
    same(found(stage, ranker=ranker), {key: boosted(key) for key in best})
    lucky = boost(weight=1, random_score={"seed": 3, "field": "id"})
    first, again = (found(stage, ranker=lucky) for _ in range(2))
    assert first == again
    assert first != found(stage)


def test_a_model_judges(stage: Stage) -> None:
    """Texts of a search and of a hybrid one; what is null is an empty text."""
    ranker = judge(stage, ["plums"])
    wanted = {key: score_of("plums", text(key)) for key in NEAREST[:LIMIT]}
    same(found(stage, ranker=ranker), wanted)
    parts = [
        AnnSearchRequest([QUERY], "vector", {}, 4),
        AnnSearchRequest([QUERY], "vector", {}, 4, expr="id >= 30"),
    ]
    hits = stage.client.hybrid_search("docs", parts, ranker, limit=LIMIT)[0]
    keys = {*NEAREST[:4], *[key for key in NEAREST if key >= 30][:4]}
    wanted = {key: score_of("plums", text(key)) for key in keys}
    same([(hit["id"], hit["distance"]) for hit in hits], wanted)
    fade = decay(score_mode="sum")
    hits = stage.client.hybrid_search("docs", parts, fade, limit=20)[0]
    paths = [NEAREST[:4], [key for key in NEAREST if key >= 30][:4]]
    times = {key: sum(key in path for path in paths) for key in keys}
    wanted = {key: times[key] * score(key) * kept(key) for key in keys}
    same([(hit["id"], hit["distance"]) for hit in hits], wanted)


def test_a_model_has_a_text_for_every_query(stage: Stage) -> None:
    """Of queries by key, for those too whose rows there are; else it is refused."""
    stage.model.asked.clear()
    hits = stage.client.search(
        "docs", ids=[5, 6], limit=2, ranker=judge(stage, ["one", "two"])
    )
    assert [len(one) for one in hits] == [2, 2]
    assert {asked.body["query"] for asked in stage.model.asked} == {"one", "two"}
    with pytest.raises(MilvusException, match=r"queries count \(2\) != nq count \(1\)"):
        found(stage, ranker=judge(stage, ["one", "two"]))
    with pytest.raises(MilvusException, match=r"queries count \(2\) != nq count \(1\)"):
        stage.client.hybrid_search(
            "docs",
            [AnnSearchRequest([QUERY], "vector", {}, 4)],
            judge(stage, ["one", "two"]),
            limit=2,
        )


def test_who_waits_for_a_model_makes_nobody_wait(stage: Stage) -> None:
    """Twenty searches that hang leave the others as quick as they were."""
    release, arrived = threading.Event(), threading.Semaphore(0)

    def late(asked: Any) -> tuple[int, dict[str, str], bytes]:
        arrived.release()
        release.wait(20)
        scores = b",".join(
            b'{"index":%d,"score":1}' % i for i in range(len(asked.body["texts"]))
        )
        return 200, {}, b"[" + scores + b"]"

    stage.model.answer = late
    answers: list[Any] = []

    def ask() -> None:
        answers.append(found(stage, ranker=judge(stage, ["late"])))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(8):  # as many as are at it at once
            assert arrived.acquire(timeout=20)
        hits = stage.other.search("docs", [QUERY] * 100, limit=LIMIT)
        assert [hit["id"] for hit in hits[99]] == NEAREST[:LIMIT]
        assert stage.other.get("docs", [1])[0]["id"] == 1
        assert not answers
    finally:
        release.set()
        for thread in threads:
            thread.join()
        stage.model.answer = None
    assert [len(one) for one in answers] == [LIMIT] * 20


def chain(stage: FunctionChainStage = L2) -> FunctionChain:
    """A chain with nothing in it."""
    return FunctionChain(stage, name="made")


def test_a_chain_computes_sorts_and_cuts(stage: Stage) -> None:
    """Step after step, on the rows that the search returns."""
    fade = {"function": "linear", "origin": 0, "scale": 50, "offset": 5, "decay": 0.2}
    made = (
        chain()
        .map("fresh", fn.decay(col("age"), **fade))
        .map(
            "mixed",
            fn.num_combine(
                col("$score"),
                col("fresh"),
                col("likes"),
                mode="weighted",
                weights=[0.5, 2.0, 0.1],
            ),
        )
        .map("$score", fn.round_decimal(col("mixed"), decimal=2))
        .sort(col("$score"), desc=True, tie_break_col=col("$id"))
        .limit(4, offset=1)
    )

    def mixed(key: int) -> float:
        age = ROWS[key]["age"]
        far = 0.0 if age is None else max(0.0, age - 5.0)
        fresh = 0.0 if age is None else max(0.2, 1 - 0.8 / 50 * far)
        told = 0.5 * score(key) + 2 * fresh + 0.1 * ROWS[key]["likes"]
        return math.floor(told * 100 + 0.5) / 100

    wanted = sorted(NEAREST[:LIMIT], key=lambda key: (-mixed(key), key))[1:5]
    given = found(stage, function_chains=made)
    assert [key for key, _ in given] == wanted
    assert [told for _, told in given] == pytest.approx([mixed(key) for key in wanted])


@pytest.mark.parametrize("mode", ["multiply", "sum", "max", "min", "avg"])
def test_numbers_combine_in_every_mode(stage: Stage, mode: str) -> None:
    """Unknown where one is unknown: such rows come last, with nothing."""
    made = chain().map("$score", fn.num_combine(col("age"), col("likes"), mode=mode))
    combine = {
        "multiply": math.prod,
        "sum": sum,
        "max": max,
        "min": min,
        "avg": lambda pair: sum(pair) / 2,
    }[mode]
    known = [key for key in NEAREST[:LIMIT] if ROWS[key]["age"] is not None]
    value = {key: combine((ROWS[key]["age"], ROWS[key]["likes"])) for key in known}
    wanted = sorted(known, key=lambda key: (-value[key], key))
    unknown = sorted(set(NEAREST[:LIMIT]) - set(known))
    given = found(stage, function_chains=made)
    assert [key for key, _ in given] == [*wanted, *unknown]
    told = [value[key] for key in wanted] + [0.0] * len(unknown)
    assert [one for _, one in given] == pytest.approx(told)


def test_a_chain_may_order_without_scores(stage: Stage) -> None:
    """Ascending, by texts, nulls last; the scores stay what they were."""
    made = chain().sort("text", desc=False, tie_break_col="$id")
    wanted = sorted(NEAREST[:LIMIT], key=lambda k: (not text(k), text(k), k))
    given = found(stage, function_chains=made)
    assert [key for key, _ in given] == wanted
    assert [told for _, told in given] == pytest.approx([score(k) for k in wanted])


def test_chains_have_stages(stage: Stage) -> None:
    """What comes before the offset sees the rows that it would leave out."""
    by_likes = fn.num_combine(col("likes"), col("likes"), mode="max")
    early, late = (chain(s).map("$score", by_likes) for s in (L0, L2))
    window = {"search_params": {"offset": 3}}

    def likes(keys: list[int]) -> list[int]:
        return sorted(keys, key=lambda key: (-ROWS[key]["likes"], key))

    first = found(stage, function_chains=early, **window)
    assert [key for key, _ in first] == likes(NEAREST[: LIMIT + 3])[3:]
    second = found(stage, function_chains=late, **window)
    assert [key for key, _ in second] == likes(NEAREST[3 : LIMIT + 3])
    both = found(stage, function_chains=[chain().limit(2), early], **window)
    assert both == first[:2]


def test_a_chain_may_ask_a_model(stage: Stage) -> None:
    """As a function does."""
    asked = fn.rerank_model(
        col("text"), queries=["plums"], provider="tei", endpoint=stage.model.url
    )
    given = found(stage, function_chains=chain().map("$score", asked))
    same(given, {key: score_of("plums", text(key)) for key in NEAREST[:LIMIT]})


NUMBERS = fn.num_combine(col("likes"), col("likes"))
REFUSED: list[tuple[FunctionChain, dict[str, Any], str]] = [
    (chain(), {}, "function chain 'made' has no operations"),
    (
        chain().map("$id", NUMBERS),
        {},
        "function chain map cannot write $id",
    ),
    (
        chain().map("a", fn.round_decimal(col("zz"), decimal=1)),
        {},
        "input field zz not found in collection schema",
    ),
    (
        chain().map("a", fn.round_decimal(col("text"), decimal=1)),
        {},
        "round_decimal input field text must be numeric, got VarChar",
    ),
    (
        chain().map("a", fn.round_decimal(col("vector"), decimal=1)),
        {},
        "unsupported field type: FloatVector",
    ),
    (chain().sort("zz"), {}, "input field zz not found in collection schema"),
    (
        chain().map("a", fn.decay(col("age"), function="exp", origin=0, scale=0)),
        {},
        "decay: scale must be > 0, got 0.000000",
    ),
    (
        chain().map("a", fn.xgboost(col("age"), model_resource="m")),
        {},
        "function xgboost in a function chain: unsupported operation",
    ),
    (
        chain().map("a", FunctionChainExpr("guess", (col("age"),))),
        {},
        "unsupported function in chain: guess",
    ),
    (
        chain().map("a", fn.rerank_model(col("age"), queries=["q"], provider="tei")),
        {},
        "model input field age must be VarChar, got Int64",
    ),
    (
        chain().map("a", fn.rerank_model(col("text"), queries=["q"], provider="x")),
        {},
        "unknown rerank model provider: x",
    ),
    (
        chain(FunctionChainStage.POST_PROCESS).limit(1),
        {},
        "function chain stage POST_PROCESS in a search: unsupported operation",
    ),
    (
        chain().limit(1),
        {"order_by_fields": [{"field": "age"}]},
        "order_by and function_chains cannot be used together",
    ),
    (
        chain().limit(1),
        {"group_by_field": "age"},
        "function_chains and group_by cannot be used together",
    ),
]


@pytest.mark.parametrize(("made", "options", "words"), REFUSED)
def test_what_chains_cannot_do_is_said(
    stage: Stage, made: FunctionChain, options: dict[str, Any], words: str
) -> None:
    """A typed error with its reason."""
    with pytest.raises(MilvusException) as caught:
        found(stage, function_chains=made, **options)
    assert words in caught.value.message
    assert caught.value.code in (1100, 3000)
