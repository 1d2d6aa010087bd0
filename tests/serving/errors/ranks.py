"""How errors of functions that change scores are provoked."""

from __future__ import annotations

from typing import Any

from pymilvus import Function, FunctionScore, FunctionType

from serving.errors.case import Call, Case
from serving.errors.stage import BOOKS, KEYED, LOOSE, VECTOR

DECAY = {"reranker": "decay", "function": "gauss", "origin": 0, "scale": 100}
# nobody listens there
MODEL = {
    "reranker": "model",
    "provider": "tei",
    "queries": ["what"],
    "endpoint": "http://127.0.0.1:1",
}
ABSENT = object()


def _function(base: dict[str, Any], fields: list[str], **changed: Any) -> Function:
    params = {k: v for k, v in {**base, **changed}.items() if v is not ABSENT}
    return Function("rank", FunctionType.RERANK, fields, params=params)


def _ranked(ranker: Any, collection: str = BOOKS, **more: Any) -> Call:
    return lambda c: c.search(collection, [VECTOR], limit=3, ranker=ranker, **more)


def _decay(*fields: str, collection: str = BOOKS, **changed: Any) -> Call:
    return _ranked(_function(DECAY, list(fields) or ["price"], **changed), collection)


def _model(*fields: str, **changed: Any) -> Call:
    return _ranked(_function(MODEL, list(fields) or ["title"], **changed))


def _boost(more: Any = None, **params: Any) -> Call:
    function = _function({"reranker": "boost"}, [], **params)
    return _ranked(FunctionScore([function]), **(more or {}))


# fmt: off
RANKS = [
    Case(1100, "decay reranker requires exactly 1 input field, got 2", _decay("price", "level")),
    Case(1100, "unsupported reranker 1", _decay(reranker=1)),
    Case(1100, "unsupported reranker invalid", _decay(reranker="invalid")),
    Case(1100, "unsupported reranker", _model(reranker=None)),
    Case(1100, "reranker name not specified", _model(reranker="")),
    Case(1100, 'decay: invalid function "invalid", must be one of [gauss, exp, linear]', _decay(function="invalid")),
    Case(1100, "decay param origin: [1] is not a number", _decay(origin=[1])),
    Case(1100, "decay origin not specified", _decay(origin=ABSENT)),
    Case(1100, "decay param scale: invalid is not a number", _decay(scale="invalid")),
    Case(1100, "decay scale not specified", _decay(scale=ABSENT)),
    Case(1100, "decay: scale must be > 0, got -1.0", _decay(scale=-1.0)),
    Case(1100, "decay param offset: invalid is not a number", _decay(offset="invalid")),
    Case(1100, "decay: offset must be >= 0, got -1.0", _decay(offset=-1.0)),
    Case(1100, "decay param decay: invalid is not a number", _decay(decay="invalid")),
    Case(1100, "decay: decay must be 0 < decay < 1, got 2.0", _decay(decay=2.0)),
    Case(1100, "unsupported field type: Array", _decay("tags")),
    Case(1100, "unsupported field type: JSON", _decay("info")),
    Case(1100, "unsupported field type: FloatVector", _decay("vector")),
    Case(1100, "unsupported field type: Geometry", _decay("geo", collection=KEYED)),
    Case(1100, "decay input field title must be numeric, got VarChar", _decay("title")),
    Case(1100, "input field not_exist_field not found in collection schema", _decay("not_exist_field")),
    Case(1100, "input field dynamic_fields not found in collection schema", _decay("dynamic_fields", collection=LOOSE)),
    Case(1100, "field not found", _model("nonexistent_field")),
    Case(1100, "unknown rerank model provider", _model(provider="openai")),
    Case(1100, "endpoint: [ftp://invalid.com] is not a valid http/https link", _model(endpoint="ftp://invalid.com")),
    Case(1100, "not a valid http/https link", _model(endpoint=ABSENT)),
    Case(65535, "call service failed", _model()),
    Case(1100, "parse rerank params [queries] failed", _model(queries={"key": "value"})),
    Case(1100, "rerank function missing required param: queries", _model(queries=ABSENT)),
    Case(1100, "queries count (3) != nq count (1)", _model(queries=["a", "b", "c"])),
    Case(1100, "model input field id must be VarChar, got Int64", _model("id")),
    Case(1100, "model reranker requires exactly 1 input field, got 2", _model("title", "level")),
    Case(1100, "must set weight params", _boost()),
    Case(1100, "invalid parameter", _boost(weight="invalid_float")),
    Case(1100, "segment scorer with group_by", _boost({"group_by_field": "level"}, weight=1)),
    Case(1100, "parse expr failed", _boost(weight=1, filter="invalid_field @@@ 123")),
]
# fmt: on
