"""Hybrid searches of a collection in your own process: what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from elanus.embedded.rows import queries_from
from elanus.engine.collection import Collection as Engine
from elanus.engine.read.fusion_plan import FusionPlan, GroupScorer, Ranker, check_ranker
from elanus.engine.read.group_plan import GroupRequest
from elanus.engine.read.plan import SearchRequest
from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.vectors import VectorRows


@dataclass(frozen=True, slots=True)
class SubSearch:
    """One of the searches of a hybrid one; see :meth:`Reader.search`.

    Attributes:
        limit: rows that it may place; as many as wanted of the whole when not given.
    """

    query: Any
    field: str = ""
    limit: int | None = None
    filter: str = ""
    params: Mapping[str, Any] | None = None
    filter_params: Mapping[str, Any] | None = None
    metric: str = ""


class HybridOptions(TypedDict, total=False):
    """Further choices of a hybrid search.

    Attributes:
        offset: ranks, or groups, to skip.
        partitions: names of the partitions to read; all when not given.
        group_by, group_size, strict_group_size: as of a search.
        group_scorer: how rows make the score of their group: ``max`` when not given,
            ``sum`` or ``avg``.
    """

    offset: int
    partitions: Sequence[str]
    group_by: str | Sequence[str]
    group_size: int
    strict_group_size: bool
    group_scorer: str


def plan_hybrid(
    engine: Engine,
    searches: Sequence[SubSearch],
    ranker: Ranker,
    limit: int,
    options: HybridOptions,
) -> tuple[FusionPlan, list[VectorRows]]:
    """The plan of a hybrid search, and the queries of each of its searches.

    Raises:
        InvalidParameter, QueryPlanError: the message says what to change.
    """
    if not 1 <= len(searches) <= limits.HYBRID_SEARCHES:
        raise InvalidParameter(
            f"a hybrid search is made of 1 to {limits.HYBRID_SEARCHES} searches"
        )
    check_ranker(ranker, len(searches))
    rest: dict[str, Any] = dict(options)
    group = grouped(rest)
    offset = rest.pop("offset", 0)
    # the window of the whole is checked as that of a search
    engine.plan_search(
        SearchRequest(limit=limit, offset=offset, field=searches[0].field)
    )
    paths = tuple(
        engine.plan_search(
            SearchRequest(
                limit=limit + offset if search.limit is None else search.limit,
                field=search.field,
                metric=search.metric,
                filter=search.filter,
                filter_params=search.filter_params,
                partitions=rest.get("partitions"),
                params=search.params,
                group=group,
            )
        )
        for search in searches
    )
    queries = [
        queries_from(path.asked, search.query)
        for path, search in zip(paths, searches, strict=True)
    ]
    for vectors in queries:
        check_queries(vectors)
    if len({len(vectors) for vectors in queries}) > 1:
        raise InvalidParameter("sub search request nq should be the same")
    scorer = _scorer(rest.get("group_scorer", GroupScorer.MAX))
    return FusionPlan(paths, ranker, limit, offset, paths[0].group, scorer), queries


def check_queries(queries: VectorRows) -> None:
    """Raise unless there are as many queries as a search takes.

    Raises:
        InvalidParameter.
    """
    if len(queries) > limits.NQ:
        raise InvalidParameter(
            f"nq [{len(queries)}] is invalid, nq (number of search vector per search "
            f"request) should be in range [1, {limits.NQ}], but got {len(queries)}"
        )


def grouped(options: dict[str, Any]) -> GroupRequest | None:
    """What a search is grouped by; its options are taken out of all."""
    names = options.pop("group_by", ())
    size = options.pop("group_size", 1)
    is_strict = options.pop("strict_group_size", False)
    if not names:
        return None
    fields = (names,) if isinstance(names, str) else tuple(names)
    return GroupRequest(fields, size, is_strict)


def _scorer(name: str) -> GroupScorer:
    try:
        return GroupScorer(name)
    except ValueError:
        raise InvalidParameter(
            f"input group scorer:{name} is not legal, only support max, sum, avg"
        ) from None
