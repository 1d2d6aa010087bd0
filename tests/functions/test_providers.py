"""Services that rerank, against a stand-in: questions, answers, failures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from elanus.errors import ElanusError, InvalidParameter, ModelServiceFailed
from elanus.functions.providers import http
from elanus.functions.providers.rerank import PROVIDERS, service_scorer
from elanus.functions.providers.services import Services
from functions.standin import StandIn, score_of, standing_in

QUERIES = ("abc", "xyz")
TEXTS = [["a", "bca", "x y"], ["zzz", ""]]
KEY = "a key that nobody else should see"


@pytest.fixture
def service() -> Iterator[StandIn]:
    """A service that answers."""
    with standing_in() as made:
        yield made


def check(found: list[Any]) -> None:
    """The scores are those of the service, in the order of the texts."""
    for query, texts, scores in zip(QUERIES, TEXTS, found, strict=True):
        assert scores.dtype == np.float32
        wanted = [score_of(query, text) for text in texts]
        assert scores.tolist() == pytest.approx(wanted)


SHAPES: list[tuple[str, str, dict[str, str], str, dict[str, Any]]] = [
    ("tei", "TEI", {}, "/rerank", {"texts": TEXTS[0]}),
    (
        "TEI",
        "TEI",
        {"truncate": "True", "truncation_direction": "Left"},
        "/rerank",
        {"texts": TEXTS[0], "truncate": True, "truncation_direction": "Left"},
    ),
    ("tei", "TEI", {"truncate": "false"}, "/rerank", {"texts": TEXTS[0]}),
    (
        "vllm",
        "VLLM",
        {"truncate_prompt_tokens": "512"},
        "/v2/rerank",
        {"documents": TEXTS[0], "truncate_prompt_tokens": 512},
    ),
    (
        "cohere",
        "COHERE",
        {"model_name": "m", "max_tokens_per_doc": "4096"},
        "/v2/rerank",
        {"model": "m", "documents": TEXTS[0], "max_tokens_per_doc": 4096},
    ),
    (
        "voyageai",
        "VOYAGEAI",
        {"model_name": "m", "truncation": "False"},
        "/v1/rerank",
        {"model": "m", "documents": TEXTS[0], "truncation": False},
    ),
    (
        "siliconflow",
        "SILICONFLOW",
        {"model_name": "m", "max_chunks_per_doc": "10", "overlap_tokens": "80"},
        "/v1/rerank",
        {
            "model": "m",
            "documents": TEXTS[0],
            "max_chunks_per_doc": 10,
            "overlap_tokens": 80,
        },
    ),
]


@pytest.mark.parametrize(("name", "variable", "params", "path", "body"), SHAPES)
def test_each_service_is_asked_in_its_own_way(
    name: str, variable: str, params: dict[str, str], path: str, body: dict[str, Any]
) -> None:
    """Path, body, key, and where the scores stand."""
    with standing_in("data" if name == "voyageai" else "results") as service:
        services = Services(
            {f"ELANUS_{variable}_URL": service.url, f"{variable}_API_KEY": KEY}
        )
        scorer = service_scorer(services, QUERIES, {"provider": name, **params})
        check(scorer.scores(TEXTS))
        first = next(asked for asked in service.asked if asked.body["query"] == "abc")
    assert len(service.asked) == 2
    assert first.path == path
    assert first.body == {"query": "abc", **body}
    assert first.key == f"Bearer {KEY}"


@pytest.mark.parametrize("name", ["ali", "dashscope"])
def test_one_service_nests_what_it_is_sent(service: StandIn, name: str) -> None:
    """And what it answers."""
    services = Services(
        {"ELANUS_DASHSCOPE_URL": service.url, "MILVUSAI_DASHSCOPE_API_KEY": KEY}
    )
    params = {"provider": name, "model_name": "m"}
    check(service_scorer(services, QUERIES, params).scores(TEXTS))
    assert {asked.path for asked in service.asked} == {PROVIDERS["ali"].path}
    bodies = sorted((asked.body for asked in service.asked), key=str)
    assert bodies[0] == {
        "model": "m",
        "input": {"query": "abc", "documents": TEXTS[0]},
        "parameters": {"return_documents": False},
    }


def test_texts_go_in_batches(service: StandIn) -> None:
    """Of the size that is asked for; no text, no question."""
    params = {
        "provider": "tei",
        "endpoint": service.url + "/",
        "max_client_batch_size": "2",
    }
    scorer = service_scorer(Services(), QUERIES, params)
    check(scorer.scores(TEXTS))
    sizes = sorted(len(asked.body["texts"]) for asked in service.asked)
    assert sizes == [1, 2, 2]
    service.asked.clear()
    assert [len(scores) for scores in scorer.scores([[], []])] == [0, 0]
    assert not service.asked


def test_a_key_goes_nowhere_else(
    service: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Not to an address that a client names, nor into texts or logs."""
    caplog.set_level(logging.DEBUG)
    with standing_in() as own:
        services = Services({"ELANUS_TEI_URL": own.url, "TEI_API_KEY": KEY})
        named = service_scorer(
            services, QUERIES, {"provider": "tei", "endpoint": service.url}
        )
        named.scores(TEXTS)
        usual = service_scorer(services, QUERIES, {"provider": "tei"})
        usual.scores(TEXTS)
    assert [asked.key for asked in service.asked] == ["", ""]
    assert [asked.key for asked in own.asked] == [f"Bearer {KEY}"] * 2
    assert KEY not in repr(usual) + repr(services) + caplog.text


def test_an_address_may_be_forbidden(service: StandIn) -> None:
    """Where the environment says which may be named."""
    allowed = {"ELANUS_MODEL_ENDPOINTS": f"http://other:1 {service.url}"}
    params = {"provider": "tei", "endpoint": service.url}
    check(service_scorer(Services(allowed), QUERIES, params).scores(TEXTS))
    only = {"ELANUS_MODEL_ENDPOINTS": "http://other:1"}
    with pytest.raises(InvalidParameter, match="may not be asked by this server"):
        service_scorer(Services(only), QUERIES, params)


BAD: list[tuple[dict[str, str], str]] = [
    ({"provider": "openai"}, "unknown rerank model provider: openai"),
    ({}, "unknown rerank model provider: "),
    *(
        (
            {"provider": "tei", "endpoint": url},
            f"endpoint: [{url}] is not a valid http/https link",
        )
        for url in ("", "None", "ftp://a.b", "localhost", "http://", "http://a:x")
    ),
    ({"provider": "cohere", "model_name": "m"}, "missing credentials: set COHERE_API"),
    (
        {"provider": "tei", "endpoint": "http://a", "truncate": "maybe"},
        "[truncate] param's value [maybe] is not a valid bool",
    ),
    (
        {
            "provider": "tei",
            "endpoint": "http://a",
            "truncate": "true",
            "truncation_direction": "Up",
        },
        "[truncation_direction] param's value [Up] is not valid",
    ),
    (
        {"provider": "vllm", "endpoint": "http://a", "truncate_prompt_tokens": "x"},
        "[truncate_prompt_tokens] param's value [x] is not a valid number",
    ),
    (
        {"provider": "tei", "endpoint": "http://a", "max_client_batch_size": "0"},
        "[max_client_batch_size] param's value [0] must be > 0",
    ),
]


@pytest.mark.parametrize(("params", "text"), BAD)
def test_what_cannot_be_asked_is_refused_before(
    params: dict[str, str], text: str
) -> None:
    """With Milvus' text, and nobody is asked."""
    with pytest.raises(InvalidParameter) as caught:
        service_scorer(Services(), QUERIES, params)
    assert text in str(caught.value)


def test_a_service_of_many_models_wants_one_named() -> None:
    """Rather than choose for the user."""
    services = Services({"COHERE_API_KEY": KEY})
    with pytest.raises(InvalidParameter, match="cohere rerank model name is required"):
        service_scorer(services, QUERIES, {"provider": "cohere"})


JSON = {"Content-Type": "application/json"}
NONSENSE: list[tuple[int, dict[str, str], bytes, str]] = [
    (500, {}, b"overloaded", "status code 500, overloaded"),
    (429, {}, b"\xff", "status code 429"),
    (302, {"Location": "http://127.0.0.1:1/"}, b"", "status code 302"),
    (200, JSON, b"{", "no JSON came back"),
    (200, JSON, b"{}", "holds no list of scores"),
    (200, JSON, b"[1]", "a score of the answer is not one"),
    (200, JSON, b'[{"index": 0, "score": "x"}]', "a score of the answer is not one"),
    (200, JSON, b'[{"index": 0, "score": 1e999}]', "no JSON came back"),
    (200, JSON, b'[{"index": 0, "score": 1}]', "3 texts were sent, and 1 scores came"),
    (
        200,
        JSON,
        b'[{"index":9,"score":1},{"index":1,"score":1},{"index":2,"score":1}]',
        "3 texts were sent",
    ),
]


@pytest.mark.parametrize(("status", "headers", "content", "text"), NONSENSE)
def test_a_service_that_fails_is_a_typed_error(
    service: StandIn, status: int, headers: dict[str, str], content: bytes, text: str
) -> None:
    """What it said stands in the message; redirections are not followed."""
    service.answer = lambda _: (status, headers, content)
    params = {"provider": "tei", "endpoint": service.url}
    scorer = service_scorer(Services(), QUERIES[:1], params)
    with pytest.raises(ModelServiceFailed) as caught:
        scorer.scores(TEXTS[:1])
    assert text in str(caught.value)
    assert str(caught.value).startswith("rerank failed: call service failed: ")
    assert caught.value.code == 65535
    assert len(service.asked) == 1


def test_nobody_there_and_nobody_in_time(
    service: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told, and neither takes longer than it may."""
    monkeypatch.setattr(http, "TIMEOUT_S", 0.05)
    gone = {"provider": "tei", "endpoint": "http://127.0.0.1:1"}
    with pytest.raises(ElanusError, match="call service failed"):
        service_scorer(Services(), QUERIES[:1], gone).scores(TEXTS[:1])
    release = threading.Event()

    def late(_: Any) -> tuple[int, dict[str, str], bytes]:
        release.wait(5)
        return 200, {}, b"[]"

    service.answer = late
    slow = {"provider": "tei", "endpoint": service.url}
    try:
        with pytest.raises(ModelServiceFailed, match="timed out"):
            service_scorer(Services(), QUERIES[:1], slow).scores(TEXTS[:1])
    finally:
        release.set()


def test_an_answer_has_a_largest_size(
    service: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service cannot fill the memory of the server."""
    monkeypatch.setattr(http, "_LARGEST_ANSWER_BYTES", 100)
    service.answer = lambda _: (200, {}, b"[" + b" " * 200 + b"]")
    params = {"provider": "tei", "endpoint": service.url}
    with pytest.raises(ModelServiceFailed, match="more than 100 bytes came back"):
        service_scorer(Services(), QUERIES[:1], params).scores(TEXTS[:1])
