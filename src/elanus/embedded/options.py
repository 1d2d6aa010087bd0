"""Further choices of searches and queries of a collection in your own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from elanus.embedded.hybrid import check_queries, grouped
from elanus.embedded.rows import queries_from
from elanus.engine.collection import Collection as Engine
from elanus.engine.read.plan import SearchPlan, SearchRequest
from elanus.index.params import RECALL_TARGET
from elanus.schema.vectors import VectorRows


class QueryOptions(TypedDict, total=False):
    """Further choices of a query.

    Attributes:
        offset: rows to skip; only together with a limit.
        partitions: names of the partitions to read; all when not given.
        filter_params: values of ``{name}`` templates in the filter.
        order_by: fields to put the rows in order by, with direction and place of nulls:
            ``"price:asc,rating:desc:nulls_first"``. Of a search, the rows found, which
            may be told to be ordered by keys of JSON fields too.
    """

    offset: int
    partitions: Sequence[str]
    filter_params: Mapping[str, Any]
    order_by: str


class SearchOptions(QueryOptions, total=False):
    """Further choices of a search.

    Attributes:
        field: the vector field, where there are several.
        metric: checked against the field's.
        group_by: fields whose values make groups, or one place in a JSON field such as
            ``info["author"]``, or one dynamic key. Limit and offset count groups then,
            which come in the order of their nearest rows; nulls are a group, too.
        group_size: rows of each group, the nearest, 1 to 10; 1 when not given.
        strict_group_size: whether groups are filled up. Otherwise what is farther than
            the nearest row of the last group is left out.
        recall_target: share of the true rows to be found, such as 0.99, in place of an
            effort in the parameters; 1.0 for an exact search.
    """

    field: str
    metric: str
    group_by: str | Sequence[str]
    group_size: int
    strict_group_size: bool
    recall_target: float


def plan_search(
    engine: Engine, query: Any, options: SearchOptions, **named: Any
) -> tuple[SearchPlan, VectorRows]:
    """The plan of a search, its options among it, and its queries.

    Raises:
        InvalidParameter, QueryPlanError: the message says what to change.
    """
    plan = engine.plan_search(_search_request(options, **named))
    queries = queries_from(plan.asked, query)
    check_queries(queries)
    return plan, queries


def _search_request(options: SearchOptions, **named: Any) -> SearchRequest:
    rest: dict[str, Any] = dict(options)
    group = grouped(rest)
    target = rest.pop(RECALL_TARGET, None)
    if target is not None:
        named["params"] = {**(named["params"] or {}), RECALL_TARGET: target}
    return SearchRequest(**named, **rest, group=group)


def names_of(names: Any) -> Sequence[str]:
    """One name, or several, as several."""
    if isinstance(names, str):
        return (names,)
    return tuple(names)
