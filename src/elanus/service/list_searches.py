"""Rules of searches in lists of vectors, with Milvus' texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elanus.engine.read.collapse import Collapse, Strategy
from elanus.engine.read.group_plan import GroupBy
from elanus.engine.read.plan import SearchPlan
from elanus.errors import InvalidParameter
from elanus.service.requests import Search, SearchOptions

_SCOPE = "element_scope"
_OF_LISTS = "multi-search-multi on embedding list fields"
_IN_HYBRID = "vector array (embedding-list) fields in hybrid search"


def check_single(plan: SearchPlan, options: SearchOptions) -> None:
    """Raise unless a search by itself can be done in lists of vectors.

    Raises:
        InvalidParameter: it has bounds, groups or steps that such a search has not.
    """
    if not plan.field.is_vector_list:
        return
    iterator = options.iterator
    if plan.finds_elements:
        if iterator is not None and not iterator.is_v2:
            raise InvalidParameter(
                "legacy search iterator is not supported for element-level search; use "
                "search iterator v2"
            )
        if plan.group is not None and not _is_by_key(plan.group):
            raise InvalidParameter(
                "only group by primary key is supported for element-level search"
            )
        return
    if plan.bounds is not None:
        raise InvalidParameter(f"range search is not supported for {_OF_LISTS}")
    if iterator is not None:
        raise InvalidParameter(f"search iterator is not supported for {_OF_LISTS}")
    if plan.group is not None:
        raise InvalidParameter(f"group by is not supported for {_OF_LISTS}")


def collapses(
    plans: Sequence[SearchPlan], searches: Sequence[Search]
) -> list[Collapse | None]:
    """How what each search of a hybrid one finds becomes rows; ``None``: as it is.

    Where all find elements of one struct, elements are ranked, and nothing collapses.

    Raises:
        InvalidParameter: lists are not searched so, or a scope makes no sense.
    """
    for plan in plans:
        if plan.compares_lists:
            _refuse_of_lists(plan)
    is_same = _find_in_one_struct(plans)
    group = plans[0].group
    if group is not None and any(plan.finds_elements for plan in plans):
        same = "same-struct element-level vector array fields"
        if not is_same:
            raise InvalidParameter(f"group by search is only supported for {same}")
        if not _is_by_key(group):
            raise InvalidParameter(f"only group by primary key is supported for {same}")
    return [
        _collapse(plan, search.options.params, is_same=is_same)
        for plan, search in zip(plans, searches, strict=True)
    ]


def _refuse_of_lists(plan: SearchPlan) -> None:
    name = f"{_IN_HYBRID}, fieldName:{plan.field.name}"
    if plan.bounds is not None:
        raise InvalidParameter(f"range search is not supported for {name}")
    if plan.group is not None:
        raise InvalidParameter(f"group by search is not supported for {name}")


def _find_in_one_struct(plans: Sequence[SearchPlan]) -> bool:
    structs = {plan.field.struct for plan in plans}
    return all(plan.finds_elements for plan in plans) and len(structs) == 1


def _is_by_key(group: GroupBy) -> bool:
    return all(key.field.is_primary for key in group.keys)


def _collapse(
    plan: SearchPlan, params: Mapping[str, Any], *, is_same: bool
) -> Collapse | None:
    scope = params.get(_SCOPE)
    if scope is not None and is_same:
        raise InvalidParameter(
            f"{_SCOPE} is not allowed for same-struct element-level hybrid search"
        )
    if not plan.finds_elements:
        if scope is not None:
            raise InvalidParameter(
                f"{_SCOPE} is only supported for element-level search, field: "
                f"{plan.field.name}"
            )
        return None
    if is_same:
        return None
    return Collapse() if scope is None else _parsed(scope, plan)


def _parsed(scope: Any, plan: SearchPlan) -> Collapse:
    given = scope.get("collapse", {}) if isinstance(scope, dict) else None
    if not isinstance(given, dict):
        raise InvalidParameter(f"{_SCOPE} should be an object with collapse in it")
    name, topk = given.get("strategy", Strategy.MAX.value), given.get("topk", 0)
    if name not in set(Strategy):
        raise InvalidParameter(
            f"{_SCOPE}.collapse.strategy {name} is not supported, supported: "
            f"[{' '.join(Strategy)}]"
        )
    how = Collapse(Strategy(name), topk)
    is_counted = how.strategy in (Strategy.TOPK_SUM, Strategy.TOPK_AVG)
    is_number = isinstance(topk, int) and not isinstance(topk, bool)
    if is_counted and not (is_number and topk > 0):
        raise InvalidParameter(
            f"{_SCOPE}.collapse.topk should be a positive integer, got {topk}"
        )
    if how.adds and not plan.metric.row.larger_is_better:
        raise InvalidParameter(
            f"{_SCOPE}.collapse.strategy {name} is only supported for metrics of which "
            f"larger is better, got {plan.metric}"
        )
    return how
