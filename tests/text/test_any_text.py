"""Analyzers take any Unicode, and say where its tokens are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.text.config import analyzer_from

_FILTERS: list[Any] = [
    "lowercase",
    "asciifolding",
    "alphanumonly",
    "cnalphanumonly",
    "cncharonly",
    "removepunct",
    "decimaldigit",
    "arabic_normalization",
    "pinyin",
    {"type": "length", "max": 8},
    {"type": "stemmer", "language": "english"},
    {"type": "stop", "stop_words": ["a", "_english_", "_chinese_", "_thai_"]},
    {"type": "decompounder", "word_list": ["a", "b", "京"]},
    {"type": "regex", "expr": "[^x]"},
]
_TOKENIZERS: list[Any] = [
    "standard",
    "whitespace",
    "jieba",
    "icu",
    "thai",
    {"type": "lindera", "dict_kind": "ko-dic"},
    {"type": "char_group", "delimiters": ["letter", "symbol"]},
    {
        "type": "language_identifier",
        "analyzers": {
            "default": {"tokenizer": "whitespace"},
            "Mandarin": {"tokenizer": "jieba"},
        },
    },
]
# Scripts beside each other find more than code points at random.
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="aB1_ é京数ก่ا٣😀\u200d\u0301ß東のक्\t\n\x0b.Σ", max_size=30),
)


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", _TOKENIZERS, ids=str)
@settings(max_examples=25, deadline=None)
@given(text=_TEXTS, filters=st.lists(st.sampled_from(_FILTERS), max_size=3))
def test_any_text(tokenizer: Any, text: str, filters: list[Any]) -> None:
    """Words and tokens agree; tokens lie in the text in order of their places."""
    plain = analyzer_from(json.dumps({"tokenizer": tokenizer}))
    tokens = plain.tokens(text)
    assert [t.text for t in tokens] == plain.words(text)
    assert all(text[t.start : t.end] == t.text for t in tokens)
    words, positions = plain.placed(text)
    assert positions == [t.position for t in tokens]
    filtered = analyzer_from(json.dumps({"tokenizer": tokenizer, "filter": filters}))
    kept = filtered.tokens(text)
    assert filtered.words(text) == [t.text for t in kept]
    assert {t.position for t in kept} <= set(positions)
    assert len(words) == len(positions)
