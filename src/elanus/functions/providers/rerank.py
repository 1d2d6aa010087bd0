"""Services that rerank: what each is sent, and where its scores stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from elanus.distance.metrics import Floats
from elanus.errors import ElanusError, InvalidParameter, ModelServiceFailed
from elanus.functions.providers.http import Post
from elanus.functions.providers.services import Address, Services

Params = Mapping[str, str]
Body = Callable[["Asked"], dict[str, Any]]
_AT_ONCE = 8
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")


class Asked(NamedTuple):
    """One question: which of the texts answer the query."""

    query: str
    texts: Sequence[str]
    params: Params


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of service.

    Attributes:
        variable: its name in the names of environment variables.
        url: where it is; empty for one that the client or the environment names.
        path: of its reranker.
        batch: texts of one question, unless the client says how many.
        body: what it is sent.
        place: keys that lead to the list of its scores.
        score: key of a score.
    """

    variable: str
    url: str
    path: str
    batch: int
    body: Body
    place: tuple[str, ...] = ("results",)
    score: str = "relevance_score"


def _plain(asked: Asked, **more: Any) -> dict[str, Any]:
    body = {"query": asked.query, "documents": list(asked.texts), **more}
    model = asked.params.get("model_name") or asked.params.get("model")
    return {"model": model, **body} if model else body


def _with_numbers(*names: str) -> Body:
    """A body with those of the parameters that are given, as whole numbers."""

    def body(asked: Asked) -> dict[str, Any]:
        numbers = {
            name: _number(asked.params, name) for name in names if name in asked.params
        }
        return _plain(asked, **numbers)

    return body


def _tei(asked: Asked) -> dict[str, Any]:
    body: dict[str, Any] = {"query": asked.query, "texts": list(asked.texts)}
    if _flag(asked.params, "truncate"):
        direction = asked.params.get("truncation_direction", "Right")
        if direction not in ("Left", "Right"):
            raise InvalidParameter(
                f"[truncation_direction] param's value [{direction}] is not valid, it "
                f"should be Left or Right"
            )
        body |= {"truncate": True, "truncation_direction": direction}
    return body


def _voyageai(asked: Asked) -> dict[str, Any]:
    more = {}
    if "truncation" in asked.params:
        more["truncation"] = _flag(asked.params, "truncation")
    return _plain(asked, **more)


def _ali(asked: Asked) -> dict[str, Any]:
    body = _plain(asked)
    given = {key: body.pop(key) for key in ("query", "documents")}
    return {**body, "input": given, "parameters": {"return_documents": False}}


_DASHSCOPE = Provider(
    "DASHSCOPE",
    "https://dashscope.aliyuncs.com",
    "/api/v1/services/rerank/text-rerank/text-rerank",
    128,
    _ali,
    ("output", "results"),
)
PROVIDERS: Mapping[str, Provider] = {
    "tei": Provider("TEI", "", "/rerank", 32, _tei, (), "score"),
    "vllm": Provider(
        "VLLM", "", "/v2/rerank", 32, _with_numbers("truncate_prompt_tokens")
    ),
    "cohere": Provider(
        "COHERE",
        "https://api.cohere.com",
        "/v2/rerank",
        128,
        _with_numbers("max_tokens_per_doc"),
    ),
    "voyageai": Provider(
        "VOYAGEAI", "https://api.voyageai.com", "/v1/rerank", 128, _voyageai, ("data",)
    ),
    "siliconflow": Provider(
        "SILICONFLOW",
        "https://api.siliconflow.cn",
        "/v1/rerank",
        128,
        _with_numbers("max_chunks_per_doc", "overlap_tokens"),
    ),
    "ali": _DASHSCOPE,
    "dashscope": _DASHSCOPE,
}
# Their services offer several models, so that one has to be named.
_NAMED_MODELS = frozenset({"cohere", "voyageai", "siliconflow", "ali", "dashscope"})


@dataclass(frozen=True, slots=True)
class ServiceScorer:
    """Asks a service for the scores of texts; see ``functions.rank.model``.

    Attributes:
        queries: texts, one for each query of the search.
    """

    provider: Provider
    address: Address
    post: Post
    queries: tuple[str, ...]
    params: Params
    batch: int

    def scores(self, texts: Sequence[Sequence[str]]) -> list[Floats]:
        """The score of each text for its query, larger being better.

        Raises:
            ModelServiceFailed: the service could not be asked, or made no sense.
        """
        asked = [
            (query, Asked(self.queries[query], part, self.params))
            for query, whole in enumerate(texts)
            for part in _parts(whole, self.batch)
        ]
        found: list[list[float]] = [[] for _ in texts]
        for (query, _), scores in zip(asked, self._all(asked), strict=True):
            found[query] += scores
        return [np.array(scores, np.float32) for scores in found]

    def _all(self, asked: Sequence[tuple[int, Asked]]) -> list[list[float]]:
        if len(asked) < 2:
            return [self._ask(one) for _, one in asked]
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as threads:
            return list(threads.map(self._ask, [one for _, one in asked]))

    def _ask(self, asked: Asked) -> list[float]:
        url = self.address.url + self.provider.path
        body = self.provider.body(asked)
        try:
            reply = self.post(url, self.address.headers, body)
            return _scores(self.provider, reply, len(asked.texts))
        except ElanusError as error:
            raise error.within("rerank failed") from error


def service_scorer(
    services: Services, queries: tuple[str, ...], params: Params
) -> ServiceScorer:
    """What asks the service that parameters name.

    Raises:
        InvalidParameter: there is none, or it cannot be asked so.
    """
    name = params.get("provider", "")
    provider = PROVIDERS.get(name.lower())
    if provider is None:
        raise InvalidParameter(f"unknown rerank model provider: {name}")
    if provider.url:
        address = services.address(provider.variable, provider.url)
    else:
        address = services.address_at(provider.variable, params.get("endpoint", ""))
    if name.lower() in _NAMED_MODELS and not params.get("model_name"):
        raise InvalidParameter(f"{name} rerank model name is required")
    size = "max_client_batch_size"
    batch = _number(params, size) if size in params else provider.batch
    if batch < 1:
        raise InvalidParameter(f"[{size}] param's value [{batch}] must be > 0")
    scorer = ServiceScorer(provider, address, services.post, queries, params, batch)
    provider.body(Asked("", (), params))  # what it would refuse is refused at once
    return scorer


def _parts(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _scores(provider: Provider, reply: Any, count: int) -> list[float]:
    """The scores of so many texts, in their order."""
    for key in provider.place:
        reply = reply.get(key) if isinstance(reply, dict) else None
    if not isinstance(reply, list):
        raise ModelServiceFailed("the answer holds no list of scores")
    found: dict[int, float] = {}
    for entry in reply:
        index, score = (
            (entry.get("index"), entry.get(provider.score))
            if isinstance(entry, dict)
            else (None, None)
        )
        if not isinstance(index, int) or not isinstance(score, int | float):
            raise ModelServiceFailed("a score of the answer is not one")
        if not math.isfinite(score):
            raise ModelServiceFailed("a score of the answer is not finite")
        found[index] = float(score)
    if sorted(found) != list(range(count)):
        raise ModelServiceFailed(
            f"{count} texts were sent, and {len(found)} scores came back"
        )
    return [found[index] for index in range(count)]


def _number(params: Params, name: str) -> int:
    text = params[name]
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(
            f"[{name}] param's value [{text}] is not a valid number"
        ) from None


def _flag(params: Params, name: str) -> bool:
    text = params.get(name, "false").lower()
    if text not in (*_TRUE, *_FALSE):
        raise InvalidParameter(
            f"[{name}] param's value [{params[name]}] is not a valid bool"
        )
    return text in _TRUE
