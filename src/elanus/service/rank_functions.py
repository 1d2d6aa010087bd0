"""The functions that a search brings to change its scores, with Milvus' texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.fusion_plan import (
    RRF,
    Decayed,
    Judged,
    Ranker,
    Weighted,
)
from elanus.errors import InvalidParameter
from elanus.functions.providers.rerank import ServiceScorer, service_scorer
from elanus.functions.providers.services import Services
from elanus.functions.rank.decay import checked_decay
from elanus.functions.rank.model import TextScorer
from elanus.functions.rank.scale import ScoreMode
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.service.loaded_fields import check_searched_loaded
from elanus.service.request_functions import FunctionScore, RankFunction

RERANK = 3
BOOST = "boost"
_NAME = "reranker"
_PREFIX = "rerank_builder"
# What columns of an answer are made of; the rest has no form for functions.
_READABLE = frozenset(
    {
        DataType.BOOL,
        DataType.INT8,
        DataType.INT16,
        DataType.INT32,
        DataType.INT64,
        DataType.FLOAT,
        DataType.DOUBLE,
        DataType.VARCHAR,
        DataType.TEXT,
        DataType.TIMESTAMPTZ,
    }
)


def is_boost(function: RankFunction) -> bool:
    """Whether a function acts before the best rows are chosen."""
    return params_of(function).get(_NAME, "").lower() == BOOST


def params_of(function: RankFunction) -> Mapping[str, str]:
    """The parameters of a function, by names in small letters."""
    return {name.lower(): text for name, text in function.params.items()}


def asks_a_service(score: FunctionScore | None) -> bool:
    """Whether a model elsewhere has to be asked."""
    return score is not None and any(
        params_of(function).get(_NAME, "").lower() == "model"
        for function in score.functions
    )


def ranker_of_functions(
    definition: CollectionDefinition, score: FunctionScore, services: Services
) -> Ranker | None:
    """The one function that is no boost; ``None`` where there is none.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    others = [function for function in score.functions if not is_boost(function)]
    if len(others) > 1:
        raise InvalidParameter(
            f"{_PREFIX}: currently only supports one rerank function"
        )
    if not others:
        return None
    try:
        return _ranker(definition, others[0], services)
    except InvalidParameter as error:
        raise error.within(_PREFIX) from error


def for_queries(
    scorer: TextScorer, nq: int, asked: npt.NDArray[np.bool_] | None
) -> TextScorer:
    """A scorer for the queries that are asked.

    Args:
        nq: queries of the search.
        asked: which of them are asked; all for ``None``.

    Raises:
        InvalidParameter: it has a text for more queries, or fewer.
    """
    if not isinstance(scorer, ServiceScorer):
        return scorer
    count = len(scorer.queries)
    if count != nq:
        raise InvalidParameter(
            f"rerank_model: queries count ({count}) != nq count ({nq})"
        )
    if asked is None:
        return scorer
    return replace(scorer, queries=tuple(compress(scorer.queries, asked.tolist())))


def readable_field(definition: CollectionDefinition, name: str) -> FieldSchema:
    """A field whose values functions can read.

    Raises:
        InvalidParameter: there is none, or its values have no form for functions.
    """
    field = definition.schema.by_name.get(name)
    if field is None or field.is_dynamic:
        raise InvalidParameter(
            f"input field {name} not found in collection schema: field not "
            f"found[field={name}]"
        )
    if field.dtype not in _READABLE:
        raise InvalidParameter(f"unsupported field type: {field.dtype.row.name}")
    check_searched_loaded(definition, field)
    return field


def numeric_field(
    definition: CollectionDefinition, name: str, what: str
) -> FieldSchema:
    """A field of numbers.

    Raises:
        InvalidParameter: it is none.
    """
    field = readable_field(definition, name)
    if not field.dtype.is_numeric:
        raise InvalidParameter(
            f"{what} input field {name} must be numeric, got {field.dtype.row.name}"
        )
    return field


def text_field(definition: CollectionDefinition, name: str) -> FieldSchema:
    """A field of texts, for a model to read.

    Raises:
        InvalidParameter: it is none.
    """
    field = readable_field(definition, name)
    if field.dtype not in (DataType.VARCHAR, DataType.TEXT):
        raise InvalidParameter(
            f"model input field {name} must be VarChar, got {field.dtype.row.name}"
        )
    return field


def number_of(text: str, what: str) -> float:
    """A finite number.

    Raises:
        InvalidParameter: the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidParameter(f"{what}: {text} is not a number")
    return value


def json_value(text: str) -> Any:
    """A value that was made a text; Python's own spelling of bools among them."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def query_texts(text: str) -> tuple[str, ...]:
    """The texts that a model compares with, one for each query.

    Raises:
        InvalidParameter: they are no list of texts.
    """
    try:
        queries = orjson.loads(text)
    except ValueError:
        queries = None
    if not isinstance(queries, list) or not all(isinstance(q, str) for q in queries):
        raise InvalidParameter(
            f"parse rerank params [queries] failed: {text} is no list of texts"
        )
    return tuple(queries)


def _ranker(
    definition: CollectionDefinition, function: RankFunction, services: Services
) -> Ranker:
    params = params_of(function)
    name = params.get(_NAME, "")
    if not name:
        raise InvalidParameter("reranker name not specified")
    if function.type_number != RERANK:
        raise InvalidParameter(f"function {function.name} is not a rerank function")
    kind = name.lower()
    if kind == "decay":
        return _decayed(definition, function, params)
    if kind == "model":
        return _judged(definition, function, params, services)
    if kind not in ("rrf", "weighted"):
        raise InvalidParameter(f"unsupported reranker {name}")
    if function.inputs:
        raise InvalidParameter(
            f"{kind} reranker requires no input fields, got {len(function.inputs)}"
        )
    values = {key: json_value(text) for key, text in params.items()}
    return RRF(values.get("k", RRF().k)) if kind == "rrf" else weighted(values)


def weighted(params: Mapping[str, Any]) -> Weighted:
    """The weighted ranker of these parameters.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    weights = params.get("weights")
    if weights is None:
        raise InvalidParameter("weighted reranker requires weights parameter")
    if not isinstance(weights, list):
        raise InvalidParameter("Parse weights param failed")
    is_normed = params.get("norm_score", False)
    if not isinstance(is_normed, bool):
        raise InvalidParameter("the type of rank param norm_score should be bool")
    return Weighted(tuple(weights), is_normed)


def _only_input(function: RankFunction, what: str) -> str:
    if len(function.inputs) != 1:
        raise InvalidParameter(
            f"{what} reranker requires exactly 1 input field, got "
            f"{len(function.inputs)}"
        )
    return function.inputs[0]


def _decayed(
    definition: CollectionDefinition, function: RankFunction, params: Mapping[str, str]
) -> Decayed:
    field = numeric_field(definition, _only_input(function, "decay"), "decay")
    if "function" not in params:
        raise InvalidParameter("decay function not specified")
    numbers = {}
    for name, usual in (
        ("origin", ""),
        ("scale", ""),
        ("offset", "0"),
        ("decay", ".5"),
    ):
        text = params.get(name, usual)
        if name not in params and not usual:
            raise InvalidParameter(f"decay {name} not specified")
        numbers[name] = number_of(text, f"decay param {name}")
    mode = params.get("score_mode", ScoreMode.MAX.value).lower()
    if mode not in set(ScoreMode):
        raise InvalidParameter(
            f"unsupported score_mode: {mode}, only supports [max, sum, avg]"
        )
    norm = params.get("norm_score", "false")
    if norm.lower() not in ("true", "false"):
        raise InvalidParameter(f"decay param norm_score: {norm} is not a bool")
    decay = checked_decay(params["function"], **numbers)
    return Decayed(field, decay, ScoreMode(mode), norm.lower() == "true")


def _judged(
    definition: CollectionDefinition,
    function: RankFunction,
    params: Mapping[str, str],
    services: Services,
) -> Judged:
    field = text_field(definition, _only_input(function, "model"))
    if "queries" not in params:
        raise InvalidParameter("rerank function missing required param: queries")
    queries = query_texts(params["queries"])
    return Judged(field, service_scorer(services, queries, params))
