"""The ranker of a hybrid search, from its name and parameters."""

from __future__ import annotations

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.fusion_plan import RRF, GroupScorer, Ranker, check_ranker
from elanus.errors import InvalidParameter
from elanus.functions.providers.services import Services
from elanus.service.rank_functions import (
    is_boost,
    ranker_of_functions,
    weighted,
)
from elanus.service.request_functions import FunctionScore
from elanus.service.requests import HybridOptions, HybridSearch


def ranker_of(
    definition: CollectionDefinition, request: HybridSearch, services: Services
) -> Ranker:
    """How the answers of its searches become one; RRF when nothing is said.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    score, searches = request.score, len(request.searches)
    if score is not None and score.functions:
        return _ranker_of_functions(definition, score, searches, services)
    options = request.options
    name = options.ranker.lower()
    if name in ("", "rrf"):
        ranker: Ranker = RRF(options.params.get("k", RRF().k))
    elif name == "weighted":
        ranker = _weighted(options)
    else:
        raise InvalidParameter(f"unsupported rank type {options.ranker}")
    check_ranker(ranker, searches)
    return ranker


def scorer_of(name: str) -> GroupScorer:
    """How rows make the score of their group; the best one when nothing is said.

    Raises:
        InvalidParameter: there is no such way.
    """
    try:
        return GroupScorer(name or GroupScorer.MAX)
    except ValueError:
        raise InvalidParameter(
            f"input group scorer:{name} is not legal, only support max, sum, avg"
        ) from None


def _ranker_of_functions(
    definition: CollectionDefinition,
    score: FunctionScore,
    searches: int,
    services: Services,
) -> Ranker:
    if any(is_boost(function) for function in score.functions):
        # one search has segments to boost in, a whole hybrid one has none
        raise InvalidParameter("rerank_builder: unsupported reranker boost")
    ranker = ranker_of_functions(definition, score, services)
    assert ranker is not None
    check_ranker(ranker, searches)
    return ranker


def _weighted(options: HybridOptions) -> Ranker:
    try:
        return weighted(options.params)
    except InvalidParameter as error:
        if "requires weights" not in str(error):
            raise
        raise error.within("rerank_builder") from error
