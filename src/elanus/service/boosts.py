"""The boosts that a search brings, with Milvus' texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.plan import bind_filter
from elanus.errors import FieldNotFound, InvalidParameter, QueryPlanError
from elanus.expr.predicate import Predicate
from elanus.functions.rank.boost import Boost, Boosts, Combine, RandomPart
from elanus.schema.types import DataType
from elanus.service.loaded_fields import check_filter_loaded, check_searched_loaded
from elanus.service.rank_functions import is_boost, number_of, params_of
from elanus.service.request_functions import FunctionScore

NOT_SO = "don't support use segment scorer with group_by or search_iterator"


def boosts_of(
    definition: CollectionDefinition,
    score: FunctionScore,
    filter_params: Mapping[str, Any],
    zone: str,
) -> Boosts | None:
    """The boosts among functions; ``None`` where there are none.

    Args:
        filter_params: values of ``{name}`` templates in their filters.
        zone: of points in time in their filters that name none.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    functions = tuple(
        _boost(definition, params_of(function), filter_params, zone)
        for function in score.functions
        if is_boost(function)
    )
    if not functions:
        return None
    modes = {name.lower(): text.lower() for name, text in score.params.items()}
    return Boosts(functions, _mode(modes, "function_mode"), _mode(modes, "boost_mode"))


def _mode(modes: Mapping[str, str], name: str) -> Combine:
    mode = modes.get(name, Combine.MULTIPLY.value)
    if mode not in set(Combine):
        raise InvalidParameter(f"unknown {name.replace('_', ' ')}: {mode}")
    return Combine(mode)


def _boost(
    definition: CollectionDefinition,
    params: Mapping[str, str],
    filter_params: Mapping[str, Any],
    zone: str,
) -> Boost:
    predicate = None
    text = params.get("filter", "")
    if text:
        predicate = _predicate(definition, text, filter_params, zone)
    if "weight" not in params:
        raise InvalidParameter("must set weight params for weight scorer")
    weight = number_of(params["weight"], "boost param weight")
    random = None
    if params.get("random_score"):
        random = _random(definition, params["random_score"])
    return Boost(weight, predicate, random)


def _predicate(
    definition: CollectionDefinition,
    text: str,
    filter_params: Mapping[str, Any],
    zone: str,
) -> Predicate | None:
    try:
        predicate = bind_filter(definition.schema, text, filter_params, zone)
        check_filter_loaded(definition, predicate, text)
    except QueryPlanError as error:
        raise InvalidParameter(f"parse expr failed with error {{{error}}}") from error
    if predicate is not None and predicate.element_filter is not None:
        raise InvalidParameter(
            "parse expr failed with error {element_filter says nothing of rows}"
        )
    return predicate


def _random(definition: CollectionDefinition, text: str) -> RandomPart:
    try:
        given = orjson.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InvalidParameter(f"parse random score params failed: {text}")
    # some write each as text
    seed = given.get("seed", 0)
    if isinstance(seed, bool) or not str(seed).lstrip("-").isdecimal():
        raise InvalidParameter(f"parse random seed failed: {seed} is no whole number")
    name = given.get("field")
    if not name:
        return RandomPart(int(seed))
    field = definition.schema.by_name.get(str(name))
    if field is None:
        raise FieldNotFound(str(name), "random seed field not found in schema")
    if field.dtype is not DataType.INT64:
        raise InvalidParameter(
            f"only support int64 field as random seed, but got {field.dtype.row.name}"
        )
    check_searched_loaded(definition, field)
    return RandomPart(int(seed), field)
