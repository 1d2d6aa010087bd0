"""What is done with the rows that a search found, by functions that it brings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.chain import Chain, Limit, run_chain
from elanus.engine.read.fusion import fuse
from elanus.engine.read.fusion_plan import (
    FusionPlan,
    GroupScorer,
    Judged,
    Ranker,
    check_ranker,
)
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.search import SearchHits
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.functions.providers.services import Services
from elanus.service.boosts import NOT_SO
from elanus.service.function_chains import NO_CHAINS, Chains, chains_of
from elanus.service.rank_functions import (
    asks_a_service,
    for_queries,
    is_boost,
    ranker_of_functions,
)
from elanus.service.rankers import scorer_of
from elanus.service.requests import HybridSearch, Request, Search
from elanus.service.requests_explain import Explain

_CHAINED = "function_chains"
_SCORED = "function_score"


@dataclass(frozen=True, slots=True)
class Rescoring:
    """How the rows of one search get other scores.

    Attributes:
        scorer: how the rows of a group make its score.
    """

    ranker: Ranker | None = None
    chains: Chains = NO_CHAINS
    scorer: GroupScorer = GroupScorer.MAX

    @property
    def is_any(self) -> bool:
        """Whether there is anything to do."""
        return self.ranker is not None or bool(self.chains.early or self.chains.late)

    def of_queries(self, nq: int, asked: npt.NDArray[np.bool_] | None) -> Rescoring:
        """The same for the queries that are asked.

        Raises:
            InvalidParameter: a model has a text for more queries, or fewer.
        """
        ranker = self.ranker
        if isinstance(ranker, Judged):
            ranker = replace(ranker, scorer=for_queries(ranker.scorer, nq, asked))
        return replace(self, ranker=ranker, chains=self.chains.for_queries(nq, asked))

    def widened(self, plan: SearchPlan) -> SearchPlan:
        """The plan that finds the rows that all of this is done with."""
        if not self.chains.early:
            return plan
        return replace(plan, limit=plan.limit + plan.offset, offset=0)

    def applied(self, plan: SearchPlan, hits: SearchHits) -> SearchHits:
        """The rows in their new order, with their new scores.

        Args:
            plan: as it was before it was widened.
            hits: what the widened plan found.

        Raises:
            CorruptionError: a column file is damaged; the message names it.
            ModelServiceFailed: a model could not be asked.
        """
        if self.ranker is not None:
            fusion = FusionPlan(
                (plan,), self.ranker, plan.limit, 0, plan.group, self.scorer
            )
            return fuse(hits.version, fusion, [hits])
        for chain in self.chains.early:
            hits = run_chain(chain, hits)
        if self.chains.early:
            window = Chain((Limit(plan.limit, plan.offset),), {})
            hits = run_chain(window, hits)
        for chain in self.chains.late:
            hits = run_chain(chain, hits)
        return hits


NOTHING = Rescoring()


def rescoring_of(
    definition: CollectionDefinition, request: Search, services: Services
) -> Rescoring:
    """What a search wants done with the rows it finds.

    Raises:
        InvalidParameter: with Milvus' text.
        UnsupportedOperation: Milvus may have it, Elanus has not.
    """
    score, chains = request.score, request.chains
    if score is None and not chains:
        return NOTHING
    _check_company(request)
    if chains:
        return Rescoring(chains=chains_of(definition, chains, services))
    assert score is not None
    ranker = ranker_of_functions(definition, score, services)
    if ranker is not None:
        check_ranker(ranker, 1)
    scorer = scorer_of(request.options.extra.get("rank_group_scorer", ""))
    return Rescoring(ranker, scorer=scorer)


def waits_for_others(request: Request) -> bool:
    """Whether a request asks a model elsewhere, which may take long."""
    if isinstance(request, Explain):
        request = request.read
    if isinstance(request, HybridSearch):
        return asks_a_service(request.score)
    if not isinstance(request, Search):
        return False
    return asks_a_service(request.score) or any(
        step.call is not None and step.call.name == "rerank_model"
        for chain in request.chains
        for step in chain.steps
    )


def check_part(request: Search) -> None:
    """Raise unless a search of a hybrid one brings boosts only.

    Raises:
        InvalidParameter: the ranker belongs to the whole.
        UnsupportedOperation: chains have no place there.
    """
    if request.chains:
        raise UnsupportedOperation(f"{_CHAINED} in a hybrid search")
    score = request.score
    if score is None:
        return
    if not all(is_boost(function) for function in score.functions):
        raise InvalidParameter(
            "only boost functions are supported in the sub-requests of a hybrid search"
        )
    if score.functions and request.options.group_by_field:
        raise InvalidParameter(NOT_SO)


def _check_company(request: Search) -> None:
    """Refuse what does not go together with functions."""
    options, score = request.options, request.score
    if score is not None and request.chains:
        raise InvalidParameter(f"{_CHAINED} and {_SCORED} cannot be used together")
    what = _CHAINED if request.chains else _SCORED
    if options.order_by_fields:
        raise InvalidParameter(
            f"order_by and {what} cannot be used together: they specify conflicting "
            f"sort criteria"
        )
    groups = options.group_by_field or options.extra.get("group_by_fields")
    boosts = score is not None and any(map(is_boost, score.functions))
    if boosts and (groups or options.iterator is not None):
        raise InvalidParameter(NOT_SO)
    if options.iterator is not None:
        raise InvalidParameter(f"{what} is not supported when using search iterator")
    if groups and request.chains:
        raise InvalidParameter(f"{_CHAINED} and group_by cannot be used together")
