"""Indexes of places inside JSON documents: how the place is named, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from elanus.errors import InvalidParameter, MissingParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

_PATH = re.compile(r"([A-Za-z_$][A-Za-z0-9_]*)((?:\[[^\[\]]+\])*)\Z")
_SEGMENT = re.compile(r"\[(?:\"([^\"]+)\"|'([^']+)'|(\d+))\]")
_CASTS = frozenset(
    {"BOOL", "DOUBLE", "VARCHAR", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR", "JSON"}
)
_TO_DOUBLE = "STRING_TO_DOUBLE"
# What each kind takes, where it does not take everything.
_CASTS_OF_KIND = {
    "BITMAP": frozenset({"BOOL", "VARCHAR"}),
    "STL_SORT": frozenset({"DOUBLE", "VARCHAR"}),
}
JSON_KINDS = frozenset({"", "AUTOINDEX", "INVERTED", "NGRAM", *_CASTS_OF_KIND})


def path_of(field: FieldSchema, name: str, params: Mapping[str, Any]) -> str:
    """The place that an index is of, as a JSON pointer; empty for the whole field.

    Args:
        name: the field as the client called it: of the dynamic field, a key.

    Raises:
        InvalidParameter: the path does not parse.
    """
    if field.dtype is not DataType.JSON:
        return ""
    text = str(params.get("json_path") or name)
    match = _PATH.match(text)
    if match is None:
        if text.startswith("/"):
            raise InvalidParameter(f"cannot parse path: {text}, mismatched input '/'")
        raise InvalidParameter(f"cannot parse identifier: {text}")
    first, rest = match[1], match[2]
    segments = [next(filter(None, found)) for found in _SEGMENT.findall(rest)]
    if len(segments) < rest.count("[") or (first != field.name and first != name):
        raise InvalidParameter(f"cannot parse identifier: {text}")
    if first != field.name:
        segments.insert(0, first)
    return "".join(f"/{_escaped(segment)}" for segment in segments)


def unescaped(segment: str) -> str:
    """A key as it was before it became part of a JSON pointer."""
    return segment.replace("~1", "/").replace("~0", "~")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def check_json_index(kind: str, params: Mapping[str, Any]) -> None:
    """Raise unless a kind of index and its cast suit JSON.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    if "json_cast_type" not in params:
        if kind == "NGRAM":
            raise InvalidParameter(
                "JSON field with ngram index must specify json_cast_type"
            )
        problem = MissingParameter(
            "json index must specify cast type", missing="json_cast_type"
        )
        raise InvalidParameter(
            str(problem), expected="valid index params", actual="invalid index params"
        )
    given = params["json_cast_type"]
    cast = str(given).upper()
    if cast not in _CASTS:
        raise InvalidParameter(f"json_cast_type {given} is not supported")
    _check_function(params.get("json_cast_function"), cast)
    if kind not in JSON_KINDS:
        raise InvalidParameter(
            expected="valid index", actual=f"invalid index type: {kind}"
        )
    if kind == "NGRAM" and cast != "VARCHAR":
        raise InvalidParameter(
            f"JSON field with ngram index only supports VARCHAR cast type, got: {cast}"
        )
    if cast not in _CASTS_OF_KIND.get(kind, _CASTS):
        raise InvalidParameter(
            f"json_cast_type {given} is not supported for {kind} index"
        )


def _check_function(function: object, cast: str) -> None:
    if function is None:
        return
    if str(function).upper() != _TO_DOUBLE:
        raise InvalidParameter(f"json_cast_function {function} is not supported")
    if cast != "DOUBLE":
        raise InvalidParameter(
            f"json_cast_function {function} is not supported for json_cast_type {cast}"
        )
