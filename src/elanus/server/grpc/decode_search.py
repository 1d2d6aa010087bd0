"""Searches and queries from their messages; parameters arrive as texts by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.server.grpc.decode_aggregation import aggregation
from elanus.server.grpc.decode_explain import explain_form, without_explain
from elanus.server.grpc.decode_functions import (
    function_chains,
    function_score,
    highlighter,
)
from elanus.server.grpc.decode_rows import keys_from_message
from elanus.server.grpc.messages import Message, message_class
from elanus.server.grpc.placeholder import queries_from_bytes
from elanus.service.requests import (
    Consistency,
    HybridSearch,
    Query,
    QueryOptions,
    Search,
    SearchIterator,
    SearchOptions,
)
from elanus.service.requests_explain import Explain, ExplainForm

Pairs = tuple[tuple[str, str], ...]
_SearchRequest = message_class("milvus.SearchRequest")
_SHARED_BYTES = 4096


def search(message: Message, database: str) -> Search | Explain:
    """``SearchRequest``; its queries are taken out of the message.

    Raises:
        InvalidParameter: a parameter is not of its type.
        UnsupportedOperation: it uses a feature that Elanus does not have.
    """
    queries = keys = None
    nq = message.nq
    source = message.WhichOneof("search_input")
    if source == "placeholder_group":
        queries = queries_from_bytes(message.placeholder_group)
    elif source == "ids":
        keys = keys_from_message(message.ids)
    if source is not None:
        message.ClearField(source)
    message.ClearField("nq")
    rest = message.SerializeToString()
    if len(rest) <= _SHARED_BYTES:
        same, form = _shared_search(rest, database)
    else:
        same, form = _search_without_queries(message, database)
    read = Search(
        same.database,
        same.collection,
        same.partitions,
        nq,
        queries,
        same.filter,
        same.filter_params,
        same.output_fields,
        same.options,
        same.consistency,
        keys,
        same.score,
        same.chains,
        same.aggregation,
        same.highlighter,
    )
    return read if form is None else explained(read, form)


@lru_cache(maxsize=512)
def _shared_search(content: bytes, database: str) -> tuple[Search, ExplainForm | None]:
    """What a program's searches have in common is read once: all but the queries."""
    return _search_without_queries(_SearchRequest.FromString(content), database)


def _search_without_queries(
    message: Message, database: str
) -> tuple[Search, ExplainForm | None]:
    refuse_namespace(message)
    levels = None
    if message.HasField("search_aggregation"):
        if message.HasField("highlighter"):
            raise InvalidParameter(
                "highlighter and search_aggregation cannot be used simultaneously"
            )
        levels = aggregation(message.search_aggregation)
    options = search_options(pairs_of(message.search_params))
    search = Search(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
        0,
        None,
        message.dsl,
        template_values(message.expr_template_values),
        without_explain(message.output_fields),
        options,
        consistency_of(message),
        score=function_score(message),
        chains=function_chains(message.function_chains),
        aggregation=levels,
        highlighter=highlighter(message),
    )
    return search, explain_form(message.output_fields, options.params)


def query(message: Message, database: str) -> Query | Explain:
    """``QueryRequest``.

    Raises:
        InvalidParameter: a parameter is not of its type.
        UnsupportedOperation: it uses a feature that Elanus does not have.
    """
    refuse_namespace(message)
    options = _query_options(pairs_of(message.query_params))
    read = Query(
        message.db_name or database,
        message.collection_name,
        tuple(message.partition_names),
        message.expr,
        template_values(message.expr_template_values),
        without_explain(message.output_fields),
        options,
        consistency_of(message),
    )
    form = explain_form(message.output_fields, options.extra)
    return read if form is None else explained(read, form)


def explained(read: Search | Query | HybridSearch, form: ExplainForm) -> Explain:
    """The request to do a read and tell how."""
    return Explain(read.database, read.collection, read.partitions, read, form)


def refuse_namespace(message: Message) -> None:
    """Refuse a request for one tenant's rows, rather than answer for all of them.

    Raises:
        UnsupportedOperation: it names a tenant.
    """
    if message.namespace:
        raise UnsupportedOperation("namespaces")


def template_values(messages: Mapping[str, Message]) -> Mapping[str, Any]:
    """Values of a filter's templates, by name."""
    if not messages:
        return _NO_VALUES
    return {name: _template_value(messages[name]) for name in messages}


def _template_value(message: Message) -> Any:
    kind = message.WhichOneof("val")
    if kind is None:
        return None
    value = getattr(message, kind)
    return _template_array(value) if kind == "array_val" else value


def _template_array(message: Message) -> list[Any]:
    kind = message.WhichOneof("data")
    if kind is None:
        return []
    data = getattr(message, kind).data
    if kind == "array_data":
        return [_template_array(part) for part in data]
    if kind == "json_data":
        return [json_of(value, "template value") for value in data]
    return list(data)


def pairs_of(messages: Iterable[Message]) -> Pairs:
    """Parameters as texts by name."""
    return tuple([(pair.key, pair.value) for pair in messages])


def consistency_of(message: Message) -> Consistency:
    """How fresh a request wants its rows."""
    level = None if message.use_default_consistency else message.consistency_level
    return Consistency(level, message.guarantee_timestamp)


# --- parameters: the same texts come with every call of a program -------------------


@lru_cache(maxsize=512)
def search_options(pairs: Pairs) -> SearchOptions:
    """A search's parameters; the same object for equal ones.

    Raises:
        InvalidParameter: a parameter is missing, or not of its type.
    """
    texts = dict(pairs)
    limit = texts.pop("topk", None)
    if limit is None:
        raise InvalidParameter("topk is required")
    return SearchOptions(
        limit=number_of(limit, "topk [{}] is invalid"),
        offset=number_of(texts.pop("offset", "0"), "offset [{}] is invalid"),
        anns_field=texts.pop("anns_field", ""),
        metric_type=texts.pop("metric_type", ""),
        params=_search_params(texts.pop("params", "")),
        round_decimal=number_of(
            texts.pop("round_decimal", "-1"),
            "round_decimal [{}] is invalid, should be -1 or an integer in range [0, 6]",
        ),
        ignore_growing=_ignores_growing(texts),
        group_by_field=unquoted(texts.pop("group_by_field", "")),
        group_size=_group_size(texts),
        strict_group_size=flag_of(texts, "strict_group_size"),
        order_by_fields=texts.pop("order_by_fields", ""),
        iterator=_iterator(texts),
        collection_id=_optional_number(texts, "collection_id") or 0,
        extra=texts,
    )


@lru_cache(maxsize=512)
def _query_options(pairs: Pairs) -> QueryOptions:
    texts = dict(pairs)
    limit = texts.pop("limit", None)
    window = "invalid max query result window"
    return QueryOptions(
        limit=None if limit is None else number_of(limit, "limit [{}] is invalid"),
        offset=number_of(texts.pop("offset", "0"), window + ", offset [{}] is invalid"),
        ignore_growing=_ignores_growing(texts),
        is_iterator=flag_of(texts, "iterator"),
        stop_for_best=flag_of(texts, "reduce_stop_for_best"),
        collection_id=_optional_number(texts, "collection_id") or 0,
        order_by_fields=texts.pop("order_by_fields", ""),
        group_by_fields=texts.pop("group_by_fields", ""),
        extra=texts,
    )


def _iterator(texts: dict[str, str]) -> SearchIterator | None:
    is_iterator = flag_of(texts, "iterator")
    is_v2 = flag_of(texts, "search_iter_v2")
    bound = texts.pop("search_iter_last_bound", "")
    batch_rows = _optional_number(texts, "search_iter_batch_size")
    token = texts.pop("search_iter_id", "")
    if is_v2 and not is_iterator:
        raise InvalidParameter(
            "parse iterator v2 info failed: both iterator and search_iter_v2 must be "
            "set in the SDK"
        )
    if not is_iterator:
        return None
    return SearchIterator(is_v2, batch_rows, _bound(bound), token)


def _bound(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidParameter(
            f"parse iterator v2 info failed: failed to parse input last bound, {text}"
        ) from None


def number_of(text: str, complaint: str) -> int:
    """A whole number of 64 bits.

    Raises:
        InvalidParameter: the text is none; with this message.
    """
    try:
        value = int(text)
    except ValueError:
        value = 1 << 63
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidParameter(complaint.format(text.strip()))
    return value


def _optional_number(texts: dict[str, str], key: str) -> int | None:
    text = texts.pop(key, "")
    return number_of(text, key + " [{}] is invalid") if text else None


def _group_size(texts: dict[str, str]) -> int | None:
    text = texts.pop("group_size", "")
    return number_of(text, "failed to parse input group size:{}") if text else None


def unquoted(text: str) -> str:
    """A name, which some clients send as JSON."""
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1] if is_quoted else text


def flag_of(texts: dict[str, str], key: str) -> bool:
    """Whether a parameter, which is taken out, is true."""
    return texts.pop(key, "").lower() == "true"


def _ignores_growing(texts: dict[str, str]) -> bool:
    text = texts.pop("ignore_growing", "") or "false"
    if text not in _BOOLS:
        raise InvalidParameter("parse ignore growing field failed")
    return _BOOLS[text]


def _search_params(text: str) -> Mapping[str, Any]:
    if not text:
        return _NO_VALUES
    params = json_of(text, "search params")
    if not isinstance(params, dict):
        raise InvalidParameter(
            "search params are not a JSON object", expected="object", actual=text
        )
    return params


def json_of(text: str | bytes, what: str) -> Any:
    """What JSON text says.

    Raises:
        InvalidParameter: it is no JSON.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise InvalidParameter(f"failed to parse {what}: {error}") from error


_NO_VALUES: Mapping[str, Any] = {}
# Spellings that Go's strconv.ParseBool takes.
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
