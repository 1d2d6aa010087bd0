"""The analyzers of fields: what their parameters say, and which may stand together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.text.analyzer import Analyzer
from elanus.text.config import analyzer_from

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_TEXTS = (DataType.VARCHAR, DataType.TEXT)
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class AnalyzerByRow:
    """Analyzers of one field, chosen by what another field of the row says.

    Attributes:
        field: name of the other field.
        analyzers: by name; one is called "default".
        names: of analyzers, by the other names that they go by.
    """

    field: str
    analyzers: Mapping[str, Analyzer]
    names: Mapping[str, str]

    def named(self, name: str | None) -> Analyzer:
        """The analyzer of a name or another name; the default of any other."""
        if name is None:
            return self.analyzers[_DEFAULT]
        found = self.analyzers.get(self.names.get(name, name))
        return found or self.analyzers[_DEFAULT]


def is_analyzed(field: FieldSchema) -> bool:
    """Whether texts of the field are cut into tokens."""
    return field.properties.get("enable_analyzer", "") in _TRUE


def is_matched(field: FieldSchema) -> bool:
    """Whether filters may ask for tokens of the field."""
    return field.properties.get("enable_match", "") in _TRUE


def analyzer_of(field: FieldSchema) -> Analyzer:
    """The analyzer of a field; of several the default.

    Raises:
        UnsupportedOperation: a library that it needs is not installed here.
    """
    several = analyzers_of(field)
    if several is not None:
        return several.named(None)
    return analyzer_from(field.properties.get("analyzer_params", ""))


def analyzers_of(field: FieldSchema) -> AnalyzerByRow | None:
    """The analyzers of a field that has several; ``None`` if it has one.

    Raises:
        UnsupportedOperation: a library that they need is not installed here.
    """
    described = field.properties.get("multi_analyzer_params", "")
    return _several(described) if described else None


@lru_cache(maxsize=64)
def _several(described: str) -> AnalyzerByRow:
    try:
        parameters = orjson.loads(described)
    except orjson.JSONDecodeError as error:
        raise InvalidParameter(f"multi analyzer params is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise InvalidParameter("multi analyzer params should be a json map")
    analyzers = parameters.get("analyzers")
    if not isinstance(analyzers, dict):
        raise InvalidParameter("multi analyzer params must set analyzers ")
    by_field = parameters.get("by_field")
    if not isinstance(by_field, str):
        raise InvalidParameter(
            "multi analyzer params now must set by_field to specify with field decide "
            "analyzer"
        )
    if _DEFAULT not in analyzers:
        raise InvalidParameter(
            "multi analyzer must set default analyzer for all unknown value"
        )
    names = parameters.get("alias", {})
    if not isinstance(names, dict) or {*map(type, names.values())} - {str}:
        raise InvalidParameter("multi analyzer alias must be a map of strings")
    made = {name: _one(name, one) for name, one in analyzers.items()}
    return AnalyzerByRow(by_field, made, names)


def _one(name: str, described: Any) -> Analyzer:
    try:
        return analyzer_from(orjson.dumps(described).decode())
    except InvalidParameter as error:
        raise error.within(f"analyzer {name}") from error


def check_text_fields(
    fields: Iterable[FieldSchema],
    schema: CollectionSchema,
    collection: str,
    inputs: frozenset[str] = frozenset(),
) -> None:
    """Raise unless every analyzer of some fields can be made.

    Args:
        schema: of the collection, with the fields beside them.
        collection: its name.
        inputs: names of fields that functions read as tokens.

    Raises:
        InvalidParameter: a field's parameters contradict each other, or describe no
            analyzer.
        UnsupportedOperation: an analyzer needs a library that is not installed.
    """
    for field in fields:
        if not is_matched(field) and field.name not in inputs:
            continue
        if field.dtype not in _TEXTS:
            raise InvalidParameter(
                f"field {field.name} with enable_match must be a VarChar field"
            )
        if not is_analyzed(field):
            raise InvalidParameter(
                f"field {field.name} which has enable_match or is input of BM25 "
                f"function must also enable_analyzer"
            )
        if "multi_analyzer_params" in field.properties:
            _check_several(field, schema, collection)
            continue
        try:
            analyzer_of(field)
        except InvalidParameter as error:
            about = f"build analyzer of field {field.name} failed"
            raise error.within(about) from error


def _check_several(field: FieldSchema, schema: CollectionSchema, name: str) -> None:
    if is_matched(field):
        raise InvalidParameter(
            f"multi analyzer now only support for bm25, but now field {field.name} "
            f"enable match"
        )
    if "analyzer_params" in field.properties:
        raise InvalidParameter(
            f"field {field.name} analyzer params should be none if has multi analyzer "
            f"params"
        )
    several = analyzers_of(field)
    assert several is not None
    by_field = schema.by_name.get(several.field)
    if by_field is None:
        raise InvalidParameter(
            f"multi analyzer dependent field {several.field} not exist in collection "
            f"{name}"
        )
    if by_field.dtype is not DataType.VARCHAR:
        raise InvalidParameter(
            f"multi analyzer params now only support by string field, but field "
            f"{several.field} is not string"
        )
