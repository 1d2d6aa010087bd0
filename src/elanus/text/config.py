"""Analyzers as users describe them: JSON in, an analyzer or Milvus' refusal out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from elanus.errors import InvalidParameter
from elanus.text import dictionaries, filters, identify, languages, synonyms, tokenizers
from elanus.text.analyzer import Analyzer, Filter, Tokenizer

_Parameters = dict[str, Any]


@lru_cache(maxsize=256)
def analyzer_from(description: str) -> Analyzer:
    """The analyzer of a JSON text; the standard one of an empty text.

    Raises:
        InvalidParameter: it describes none.
        UnsupportedOperation: it needs what is not installed.
    """
    if not description:
        return _build({})
    try:
        parameters = orjson.loads(description)
    except orjson.JSONDecodeError as error:
        raise InvalidParameter(f"analyzer params is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise InvalidParameter("params should be a json map")
    return _build(parameters)


def _build(parameters: _Parameters) -> Analyzer:
    if not parameters:
        return _standard([])
    if "type" in parameters:
        return _built_in(parameters)
    chosen = parameters.get("tokenizer")
    if "tokenizer" not in parameters:
        raise InvalidParameter("tokenizer name or type must be set")
    if not isinstance(chosen, (str, dict)):
        raise InvalidParameter("tokenizer name should be string or dict")
    tokenizer = _tokenizer(chosen)
    for key in parameters:
        if key not in ("tokenizer", "filter"):
            raise InvalidParameter(f"unknown analyzer option key: {key}")
    described = parameters.get("filter", [])
    if not isinstance(described, list):
        raise InvalidParameter("filter params should be array")
    return Analyzer(tokenizer, tuple(map(_filter, described)))


# --- built-in analyzers ------------------------------------------------------------


def _built_in(parameters: _Parameters) -> Analyzer:
    kind = parameters["type"]
    if not isinstance(kind, str):
        raise InvalidParameter("analyzer type should be string")
    build = _BUILT_IN.get(kind)
    if build is None:
        raise InvalidParameter(f"unknown build-in analyzer type: {kind}")
    label = "filter stop_words"
    words = dictionaries.words_option(parameters, "stop_words", label)
    return build(words)


def _stopped(words: list[str]) -> tuple[Filter, ...]:
    return (dictionaries.stop(words),) if words else ()


def _standard(words: list[str]) -> Analyzer:
    return Analyzer(tokenizers.standard(), (filters.lowercase, *_stopped(words)))


def _english(words: list[str]) -> Analyzer:
    # the list is of words, compared with stems: as in Milvus
    stem = dictionaries.stemmer({"language": "english"})
    stops = dictionaries.stop(["_english_"])
    made = (filters.lowercase, stem, stops, *_stopped(words))
    return Analyzer(tokenizers.standard(), made)


def _chinese(words: list[str]) -> Analyzer:
    return Analyzer(languages.jieba({}), (filters.cnalphanumonly, *_stopped(words)))


def _thai(words: list[str]) -> Analyzer:
    stops = dictionaries.stop(["_thai_"])
    made = (filters.lowercase, filters.decimaldigit, stops, *_stopped(words))
    return Analyzer(languages.thai(), made)


def _arabic(words: list[str]) -> Analyzer:
    made = (
        filters.lowercase,
        filters.decimaldigit,
        filters.arabic_normalization,
        dictionaries.stemmer({"language": "arabic"}),
        dictionaries.stop(["_arabic_"]),
        *_stopped(words),
    )
    return Analyzer(tokenizers.standard(), made)


_BUILT_IN: dict[str, Callable[[list[str]], Analyzer]] = {
    "standard": _standard,
    "english": _english,
    "chinese": _chinese,
    "thai": _thai,
    "arabic": _arabic,
}


# --- tokenizers --------------------------------------------------------------------


def _tokenizer(described: str | _Parameters) -> Tokenizer:
    if isinstance(described, str):
        name, parameters = described, None
    else:
        if "type" not in described:
            raise InvalidParameter("customized tokenizer must set type")
        name, parameters = described["type"], described
        if not isinstance(name, str):
            raise InvalidParameter("tokenizer type should be string")
    build = _TOKENIZERS.get(name)
    if build is None:
        raise InvalidParameter(f"unsupported tokenizer: {name}")
    if parameters is None and name in _NEED_PARAMETERS:
        raise InvalidParameter(f"{name} tokenizer must be customized")
    return build(parameters or {})


_TOKENIZERS: dict[str, Callable[[_Parameters], Tokenizer]] = {
    "standard": lambda _: tokenizers.standard(),
    "whitespace": lambda _: tokenizers.whitespace(),
    "char_group": tokenizers.char_group,
    "jieba": languages.jieba,
    "icu": lambda _: languages.icu(),
    "thai": lambda _: languages.thai(),
    "lindera": languages.lindera,
    "language_identifier": lambda p: identify.language_identifier(p, _build),
}
_NEED_PARAMETERS = frozenset(("lindera", "language_identifier", "char_group"))


# --- filters -----------------------------------------------------------------------


def _filter(described: Any) -> Filter:
    if isinstance(described, str):
        build = _PLAIN_FILTERS.get(described)
        if build is None:
            raise InvalidParameter(
                f"build analyzer failed, filter not found :{described}"
            )
        return build({})
    if not isinstance(described, dict):
        raise InvalidParameter("filter item should be string or dict")
    if "type" not in described:
        raise InvalidParameter("no type field in filter params")
    kind = described["type"]
    if not isinstance(kind, str):
        raise InvalidParameter("filter type should be string")
    build = _FILTERS.get(kind)
    if build is None:
        raise InvalidParameter(f"unsupport filter type: {kind}")
    return build(described)


# Those that a name alone describes.
_PLAIN_FILTERS: dict[str, Callable[[_Parameters], Filter]] = {
    "lowercase": lambda _: filters.lowercase,
    "asciifolding": lambda _: dictionaries.asciifolding(),
    "alphanumonly": lambda _: filters.alphanumonly,
    "cncharonly": lambda _: filters.cncharonly,
    "cnalphanumonly": lambda _: filters.cnalphanumonly,
    "removepunct": lambda _: filters.removepunct,
    "decimaldigit": lambda _: filters.decimaldigit,
    "arabic_normalization": lambda _: filters.arabic_normalization,
    "pinyin": synonyms.pinyin,
}
_FILTERS: dict[str, Callable[[_Parameters], Filter]] = {
    **_PLAIN_FILTERS,
    "length": filters.length,
    "stop": dictionaries.stop_filter,
    "stemmer": dictionaries.stemmer,
    "decompounder": dictionaries.decompounder,
    "regex": filters.pattern,
    "synonym": synonyms.synonym,
}
