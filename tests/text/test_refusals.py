"""Descriptions that make no analyzer, and what is said of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.text.config import analyzer_from


def _filter(*filters: Any) -> dict[str, Any]:
    return {"tokenizer": "standard", "filter": list(filters)}


def _tokenizer(**options: Any) -> dict[str, Any]:
    return {"tokenizer": options}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "klingon"}, "unknown build-in analyzer type: klingon"),
    ({"type": 1}, "analyzer type should be string"),
    ({"type": "standard", "stop_words": "a"}, "filter stop_words should be array"),
    ({"filter": []}, "tokenizer name or type must be set"),
    ({"tokenizer": 123}, "tokenizer name should be string or dict"),
    ({"tokenizer": None}, "tokenizer name should be string or dict"),
    ({"tokenizer": "x"}, "unsupported tokenizer: x"),
    (_tokenizer(mode="a"), "customized tokenizer must set type"),
    (_tokenizer(type=None), "tokenizer type should be string"),
    ({"tokenizer": "lindera"}, "lindera tokenizer must be customized"),
    ({"tokenizer": "standard", "x": 1}, "unknown analyzer option key: x"),
    ({"tokenizer": "standard", "filter": "a"}, "filter params should be array"),
    (_filter("stop"), "build analyzer failed, filter not found :stop"),
    (_filter({"type": "x"}), "unsupport filter type: x"),
    (_filter({"x": "y"}), "no type field in filter params"),
    (_filter({"type": None}), "filter type should be string"),
    (_filter({"type": "stop", "stop_words": "a"}), "stop_words should be array"),
    (_filter({"type": "stop", "stop_words": [1]}), "stop_words list item should be"),
    (_filter({"type": "length"}), "lenth max param was none or not uint"),
    (_filter({"type": "length", "max": -1}), "lenth max param was none or not uint"),
    (_filter({"type": "stemmer"}), "stemmer language field should be string"),
    (_filter({"type": "stemmer", "language": "x"}), "unsupport language: x"),
    (_filter({"type": "decompounder"}), "decompounder word list should be array"),
    (_filter({"type": "regex"}), "must set expr for regex filter"),
    (_filter({"type": "regex", "expr": "("}), "regex expression invalid, expr:("),
    (_filter({"type": "synonym", "synonyms": ["a b"]}), "has space between words a b"),
    (_filter({"type": "synonym", "synonyms": ["a=>b=>c"]}), 'more than one "=>"'),
    (_tokenizer(type="jieba", dict="x"), "jieba tokenizer dict must be array"),
    (_tokenizer(type="jieba", dict=[1]), "jieba tokenizer dict item must be string"),
    (_tokenizer(type="jieba", mode="x"), 'mode must be "exact" or "search"'),
    (_tokenizer(type="jieba", hmm=1), "jieba tokenizer mode must be boolean"),
    (_tokenizer(type="lindera"), "lindera tokenizer dict_kind must be set"),
    (_tokenizer(type="language_identifier"), "analyzers must be set"),
    (_tokenizer(type="language_identifier", analyzers={}), "default sub analyzer"),
    (_tokenizer(type="char_group"), "char_group tokenizer delimiters must be array"),
]


@pytest.mark.parametrize(("described", "text"), REFUSED)
def test_refused(described: dict[str, Any], text: str) -> None:
    """What is wrong is told in Milvus' words."""
    with pytest.raises(InvalidParameter) as caught:
        analyzer_from(json.dumps(described))
    assert text in str(caught.value)


def test_no_json() -> None:
    """What is no JSON object describes no analyzer."""
    for text in ("[]", "{", "1"):
        with pytest.raises(InvalidParameter):
            analyzer_from(text)


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer whose library is not installed says what to install."""

    def missing(module: str) -> None:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr("elanus.text.optional.import_module", missing)
    with pytest.raises(UnsupportedOperation, match=r"elanus\[text\]"):
        analyzer_from('{"type": "thai", "stop_words": ["missing"]}')
