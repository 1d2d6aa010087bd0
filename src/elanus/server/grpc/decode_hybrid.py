"""Hybrid searches from their messages: several searches and a ranker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.server.grpc.decode_explain import explain_form, without_explain
from elanus.server.grpc.decode_functions import function_chains, function_score
from elanus.server.grpc.decode_rows import keys_from_message
from elanus.server.grpc.decode_search import (
    Pairs,
    consistency_of,
    explained,
    json_of,
    number_of,
    pairs_of,
    refuse_namespace,
    search_options,
    template_values,
    unquoted,
)
from elanus.server.grpc.messages import Message
from elanus.server.grpc.placeholder import queries_from_bytes
from elanus.service.requests import HybridOptions, HybridSearch, Search
from elanus.service.requests_explain import Explain

_WINDOW = "invalid max query result window"
_GROUPING = (
    "group_by_field",
    "group_by_fields",
    "group_size",
    "strict_group_size",
    "json_path",
    "json_type",
    "strict_cast",
)
# Milvus reads them of the whole request only.
_NOT_OF_PARTS = frozenset({*_GROUPING, "offset"})
_REFUSED_PARTS = {
    "highlighter": "not support hybrid search with highlight now",
    "search_aggregation": "search aggregation is not supported for hybrid search",
}


def hybrid_search(message: Message, database: str) -> HybridSearch | Explain:
    """``HybridSearchRequest``.

    Raises:
        InvalidParameter: a parameter is missing, or not of its type.
        UnsupportedOperation: it uses a feature that Elanus does not have.
    """
    refuse_namespace(message)
    if message.function_chains:
        raise UnsupportedOperation("function_chains in a hybrid search")
    given = pairs_of(message.rank_params)
    options = _options(given)
    grouping = tuple(pair for pair in given if pair[0] in _GROUPING)
    rows = options.limit + options.offset
    read = HybridSearch(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
        tuple(
            _part(message, part, database, grouping, rows) for part in message.requests
        ),
        without_explain(message.output_fields),
        options,
        consistency_of(message),
        function_score(message),
    )
    asked = [explain_form((), search.options.params) for search in read.searches]
    asked.append(explain_form(message.output_fields, options.params))
    form = next((form for form in asked if form is not None), None)
    return read if form is None else explained(read, form)


def _part(
    whole: Message, message: Message, database: str, grouping: Pairs, rows: int
) -> Search:
    """One of the searches.

    Args:
        rows: its limit, if it has none of its own.
    """
    refuse_namespace(message)
    for part, complaint in _REFUSED_PARTS.items():
        if message.HasField(part):
            raise InvalidParameter(complaint)
    source = message.WhichOneof("search_input")
    return Search(
        whole.db_name or database,
        whole.collection_name,
        tuple(whole.partition_names),
        message.nq,
        queries_from_bytes(message.placeholder_group)
        if source == "placeholder_group"
        else None,
        message.dsl,
        template_values(message.expr_template_values),
        (),
        search_options(_own_pairs(pairs_of(message.search_params), grouping, rows)),
        consistency_of(whole),
        keys_from_message(message.ids) if source == "ids" else None,
        function_score(message),
        function_chains(message.function_chains),
    )


@lru_cache(maxsize=512)
def _own_pairs(given: Pairs, grouping: Pairs, rows: int) -> Pairs:
    texts = {key: text for key, text in given if key not in _NOT_OF_PARTS}
    try:
        int(texts.get("topk", ""))
    except ValueError:
        texts["topk"] = str(rows)
    return (*texts.items(), *grouping)


@lru_cache(maxsize=512)
def _options(given: Pairs) -> HybridOptions:
    texts = dict(given)
    limit = texts.get("limit")
    if limit is None:
        raise InvalidParameter("limit not found in rank_params")
    offset = texts.get("offset", "0")
    places = texts.get("round_decimal", "-1")
    return HybridOptions(
        limit=number_of(limit, _WINDOW + ", limit [{}] is invalid"),
        offset=number_of(offset, _WINDOW + ", offset [{}] is invalid"),
        round_decimal=number_of(
            places,
            "round_decimal [{}] is invalid, should be -1 or an integer in range [0, 6]",
        ),
        ranker=unquoted(texts.get("strategy", "")),
        params=_rank_params(texts.get("params", "")),
        group_scorer=unquoted(texts.get("rank_group_scorer", "")),
    )


def _rank_params(text: str) -> Mapping[str, Any]:
    params = json_of(text, "rank params") if text else {}
    if not isinstance(params, dict):
        raise InvalidParameter("rank params are not a JSON object", actual=text)
    return params
