"""Functions that searches bring arrive at the service as they were sent."""

from __future__ import annotations

from typing import Any

from elanus.server.grpc.messages import METHODS
from elanus.service import requests as r
from elanus.service.request_functions import (
    ChainCall,
    ChainStep,
    ColumnName,
    FunctionScore,
    RankFunction,
)
from server.fake_service import FakeService
from server.wire import asked, dispatching, message, status_of


def pairs(**texts: str) -> list[Any]:
    """Parameters as messages."""
    return [message("common.KeyValuePair", key=k, value=v) for k, v in texts.items()]


SEARCH = {"collection_name": "c", "nq": 1, "search_params": pairs(topk="9")}


def asked_for(method: str, **values: Any) -> r.Request:
    """What the service is asked when a client sends such a message."""
    service = FakeService()
    with dispatching(service) as dispatcher:
        payload = METHODS[method].request(**values).SerializeToString()
        reply = asked(dispatcher, method, payload)
    assert status_of(reply, method).code == 0, status_of(reply, method).reason
    return service.last


def function(**params: str) -> Any:
    """A function that ranks."""
    return message("schema.FunctionSchema", name="f", type=3, params=pairs(**params))


def test_functions_come_as_they_were_sent() -> None:
    """With a search, a hybrid one and its parts; their parameters are texts."""
    boost = message("schema.FunctionScore", functions=[function(weight="2")])
    score = message(
        "schema.FunctionScore",
        functions=[function(reranker="weighted", weights="[0.1]")],
        params=pairs(boost_mode="sum"),
    )
    wanted = FunctionScore(
        (RankFunction("f", 3, (), {"reranker": "weighted", "weights": "[0.1]"}),),
        {"boost_mode": "sum"},
    )
    searched = asked_for("Search", **SEARCH, function_score=score)
    assert isinstance(searched, r.Search) and searched.score == wanted
    inner = {**SEARCH, "function_score": boost}
    request = asked_for(
        "HybridSearch",
        collection_name="c",
        requests=[inner],
        rank_params=pairs(limit="4"),
        function_score=score,
    )
    assert isinstance(request, r.HybridSearch)
    assert request.score == wanted
    assert request.searches[0].score == FunctionScore(
        (RankFunction("f", 3, (), {"weight": "2"}),)
    )
    assert request.options == r.HybridOptions(4)


def test_chains_come_as_they_were_sent() -> None:
    """Columns apart from values, which are plain ones of their types."""
    value = message("schema.FunctionParamValue", double_value=0.5)
    nested = message(
        "schema.FunctionParamValue",
        array_value={
            "values": [{"object_value": {"fields": {"a": {"int64_value": 1}}}}, {}]
        },
    )
    chain = {
        "name": "c",
        "stage": 5,
        "ops": [
            {
                "op": "map",
                "expr": {
                    "name": "num_combine",
                    "args": [{"column": {"name": "a"}}, {"literal": value}],
                    "params": {"weights": nested},
                },
                "outputs": ["b"],
            },
            {"op": "sort", "inputs": ["b"], "params": {"desc": {"bool_value": True}}},
        ],
    }
    request = asked_for("Search", **SEARCH, function_chains=[chain])
    assert isinstance(request, r.Search)
    call = ChainCall(
        "num_combine", (ColumnName("a"), 0.5), {"weights": [{"a": 1}, None]}
    )
    assert request.chains == (
        r.FunctionChain(
            "c",
            5,
            (
                ChainStep("map", call, (), ("b",)),
                ChainStep("sort", None, ("b",), (), {"desc": True}),
            ),
        ),
    )
    assert hash(request.chains) == hash(request.chains)
