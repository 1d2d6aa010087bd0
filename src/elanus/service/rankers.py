"""The ranker of a hybrid search, from its name and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elanus.engine.read.fusion import (
    RRF,
    GroupScorer,
    Ranker,
    Weighted,
    check_ranker,
)
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.service.requests import HybridOptions

# Milvus has them; they change the scores of one search.
_OF_SCORES = frozenset({"decay", "model", "boost"})


def ranker_of(options: HybridOptions, searches: int) -> Ranker:
    """How the answers of so many searches become one; RRF when nothing is said.

    Raises:
        InvalidParameter: with Milvus' text.
        UnsupportedOperation: Milvus has such a ranker, Elanus has not.
    """
    name = options.ranker.lower()
    if name in ("", "rrf"):
        ranker: Ranker = RRF(options.params.get("k", RRF().k))
    elif name == "weighted":
        ranker = _weighted(options.params)
    elif options.is_function and name in _OF_SCORES:
        raise UnsupportedOperation(f"reranker {name} in a hybrid search")
    elif options.is_function:
        raise InvalidParameter(f"rerank_builder: unsupported reranker {options.ranker}")
    else:
        raise InvalidParameter(f"unsupported rank type {options.ranker}")
    check_ranker(ranker, searches)
    return ranker


def scorer_of(options: HybridOptions) -> GroupScorer:
    """How rows make the score of their group; the best one when nothing is said.

    Raises:
        InvalidParameter: there is no such way.
    """
    name = options.group_scorer or GroupScorer.MAX
    try:
        return GroupScorer(name)
    except ValueError:
        raise InvalidParameter(
            f"input group scorer:{name} is not legal, only support max, sum, avg"
        ) from None


def _weighted(params: Mapping[str, Any]) -> Weighted:
    weights = params.get("weights")
    if weights is None:
        raise InvalidParameter(
            "rerank_builder: weighted reranker requires weights parameter"
        )
    if not isinstance(weights, list):
        raise InvalidParameter("Parse weights param failed")
    is_normed = params.get("norm_score", False)
    if not isinstance(is_normed, bool):
        raise InvalidParameter("the type of rank param norm_score should be bool")
    return Weighted(tuple(weights), is_normed)
