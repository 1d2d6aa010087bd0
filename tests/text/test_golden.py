"""What analyzers make of texts: the tokenisations that Milvus documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elanus.text.analyzer import token_hash
from elanus.text.config import analyzer_from

SCALE = "The Milvus vector database is built for scale!"
LENGTHS = (
    "The length filter allows control over token length requirements for text "
    "processing."
)
STOPS = "The stop filter allows control over common stop words for text processing."
WORDS = ["dampf", "schiff", "fahrt", "brot", "backen", "automat"]


def _standard(*filters: Any) -> dict[str, Any]:
    return {"tokenizer": "standard", "filter": list(filters)}


GOLDEN: list[tuple[dict[str, Any], str, str]] = [
    (
        _standard("lowercase"),
        SCALE,
        "the milvus vector database is built for scale",
    ),
    (
        {"tokenizer": "whitespace", "filter": ["lowercase"]},
        SCALE,
        "the milvus vector database is built for scale!",
    ),
    (
        {"type": "standard", "stop_words": ["for"]},
        SCALE,
        "the milvus vector database is built scale",
    ),
    (
        {"type": "english", "stop_words": ["a", "an", "the"]},
        "Milvus is a vector database built for scale!",
        "milvus vector databas built scale",
    ),
    (
        _standard({"type": "stemmer", "language": "english"}),
        "running runs looked ran runner",
        "run run look ran runner",
    ),
    (
        _standard({"type": "stop", "stop_words": ["of", "to", "_english_"]}),
        STOPS,
        "The stop filter allows control over common stop words text processing",
    ),
    (
        _standard({"type": "length", "max": 10}),
        LENGTHS,
        "The length filter allows control over token length for text processing",
    ),
    (
        _standard("asciifolding"),
        "Café Möller serves crème brûlée and piñatas.",
        "Cafe Moller serves creme brulee and pinatas",
    ),
    (
        _standard("alphanumonly"),
        "Milvus 2.0 @ Scale! #AI #Vector_Databasé",
        "Milvus 2 0 Scale AI Vector",
    ),
    (
        _standard({"type": "decompounder", "word_list": WORDS}),
        "dampfschifffahrt brotbackautomat",
        "dampf schiff fahrt brotbackautomat",
    ),
    (
        _standard({"type": "regex", "expr": "^(?!test)"}),
        "testItem apple testCase banana",
        "apple banana",
    ),
    (
        {"tokenizer": "icu", "filter": ["removepunct"]},
        "Привет! Как дела?",
        "Привет Как дела",
    ),
    (
        {"type": "chinese"},
        "Milvus 是一个高性能、可扩展的向量数据库！",
        "Milvus 是 一个 高性 性能 高性能 可 扩展 的 向量 数据 据库 数据库",
    ),
    (
        {
            "tokenizer": {
                "type": "jieba",
                "dict": ["结巴分词器"],
                "mode": "exact",
                "hmm": False,
            }
        },
        "milvus结巴分词器中文测试",
        "milvus 结巴分词器 中 文 测 试",
    ),
    (_standard("decimaldigit"), "Arabic ١٢٣ Thai ๑๒๓", "Arabic 123 Thai 123"),
    (
        _standard("arabic_normalization"),
        "آدم أحمد إسلام مدرسة كبرى كِتَابٌ عـــربي",
        "ادم احمد اسلام مدرسه كبري كتاب عربي",
    ),
    ({"type": "arabic"}, "كِتَابٌ عـــربي ١٢٣", "كتاب عرب 123"),
    (
        {"type": "thai"},
        "ฉันรักการค้นหาข้อความใน Milvus ๑๒๓",
        "ฉัน รัก ค้นหา ข้อความ milvus 123",
    ),
    ({}, "It's state-of-the-art", "it s state of the art"),
    (_standard("cncharonly"), "数据 base 2024年", "数据 2024年"),
    (
        _standard("lowercase", {"type": "stop", "stop_words": ["_german_", "_none_"]}),
        "Der Hund und die _none_",
        "hund none",
    ),
    (
        _standard({"type": "synonym", "synonyms": ["a, b => c"], "expand": False}),
        "a b c d",
        "c c c d",
    ),
    (
        _standard({"type": "synonym", "synonyms": ["x, y"], "expand": True}),
        "x z",
        "x y z",
    ),
    (_standard("pinyin"), "中文", "中文 zhong wen"),
    (
        {"tokenizer": {"type": "char_group", "delimiters": ["whitespace", "-"]}},
        "one-two three,four",
        "one two three,four",
    ),
    (
        {
            "tokenizer": {
                "type": "lindera",
                "dict_kind": "ipadic",
                "filter": [{"kind": "japanese_stop_tags", "tags": ["助詞,連体化"]}],
            }
        },
        "東京の駅",
        "東京 駅",
    ),
    (
        {
            "tokenizer": {
                "type": "language_identifier",
                "analyzers": {
                    "default": {"tokenizer": "whitespace"},
                    "English": {"type": "english"},
                    "zh": {"type": "chinese"},
                },
                "mapping": {"Mandarin": "zh"},
            }
        },
        "测试中文文本",
        "测试 中文 文本",
    ),
]


@pytest.mark.parametrize(("described", "text", "tokens"), GOLDEN)
def test_tokens(described: dict[str, Any], text: str, tokens: str) -> None:
    """Each analyzer makes the documented tokens, with and without their places."""
    analyzer = analyzer_from(json.dumps(described))
    assert analyzer.words(text) == tokens.split(" ")
    assert [token.text for token in analyzer.tokens(text)] == tokens.split(" ")


def test_icu_keeps_blanks_and_signs() -> None:
    """The tokens of ICU are everything between two boundaries, placed by character."""
    tokens = analyzer_from('{"tokenizer": "icu"}').tokens("Привет! 😀ого")
    assert [t.text for t in tokens] == ["Привет", "!", " ", "😀", "ого"]
    assert [(t.start, t.end, t.position) for t in tokens[-2:]] == [
        (8, 9, 8),
        (9, 12, 9),
    ]


def test_places() -> None:
    """Dropped tokens leave gaps in the positions; those of jieba are characters."""
    standard = analyzer_from(
        json.dumps(_standard({"type": "stop", "stop_words": ["b"]}))
    )
    assert standard.placed("a b c") == (["a", "c"], [0, 2])
    tokens = analyzer_from('{"tokenizer": "jieba"}').tokens("高性能")
    assert [(t.text, t.position, t.length) for t in tokens] == [
        ("高性", 0, 2),
        ("性能", 1, 2),
        ("高性能", 0, 3),
    ]


def test_signs_of_indic_scripts_belong_to_words() -> None:
    """Vowel signs do not cut a word of Hindi."""
    assert analyzer_from("").words("हिन्दी भाषा")[-1] == "भाषा"


def test_hashes() -> None:
    """Hashes are CRC-32 of a hundred bytes, and never the largest number."""
    assert token_hash("x" * 100) == token_hash("x" * 101)
    assert token_hash("a") == 0xE8B7BE43
