"""Highlighters of searches through ``MilvusClient``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, Function, FunctionType, LexicalHighlighter
from pymilvus.exceptions import MilvusException

import elanus

TEXTS = [
    "I have the seat full of water! Like, full of water!",
    "Must be Water.",
    None,
    "",
    "running waters",
]
QUERY = [1.0, 0.0]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    """Texts cut in different ways, some rows on files."""
    client = elanus.MilvusClient(uri=tmp_path / "app.db")
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    words = {"max_length": 200, "nullable": True, "enable_analyzer": True}
    plain = {"tokenizer": "standard"}
    schema.add_field("plain", DataType.VARCHAR, analyzer_params=plain, **words)
    stem = {"type": "english"}
    schema.add_field("stem", DataType.VARCHAR, analyzer_params=stem, **words)
    schema.add_field("raw", DataType.VARCHAR, max_length=200, nullable=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    bm25 = Function("f", FunctionType.BM25, ["plain"], ["words"])
    schema.add_function(bm25)
    index = client.prepare_index_params()
    index.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("docs", schema=schema, index_params=index)
    rows = [
        {"id": i, "vector": [1.0, float(i)], "plain": text, "stem": text, "raw": text}
        for i, text in enumerate(TEXTS)
    ]
    client.insert("docs", rows[:2])
    client.flush("docs")
    client.insert("docs", rows[2:])
    yield client
    client.close()


def highlighter(*queries: tuple[str, str], **more: Any) -> LexicalHighlighter:
    """What marks words with braces."""
    asked = [{"type": "TextMatch", "field": f, "text": t} for f, t in queries]
    options = {"pre_tags": ["{"], "post_tags": ["}"], **more}
    return LexicalHighlighter(highlight_query=asked or None, **options)


def test_words_are_marked_as_their_fields_cut_them(client: Any) -> None:
    """Every hit has its fragments, none where nothing matches; queries share them."""
    marks = highlighter(("plain", "water"), ("stem", "run"), ("stem", "WATER"))
    for hits in client.search(
        "docs", [QUERY, QUERY], anns_field="vector", limit=5, highlighter=marks
    ):
        found = [
            [hit["highlight"][name]["fragments"] for name in ("plain", "stem")]
            for hit in hits
        ]
        both = "{water}! Like, full of {water}!"
        assert found == [
            [[both], [both]],
            [[], ["{Water}."]],
            [[], []],
            [[], []],
            [[], ["{running} {waters}"]],
        ]


def test_fragments_have_their_size(client: Any) -> None:
    """Parameters count; a page has the fragments of its rows."""
    marks = highlighter(("plain", "water"), fragment_size=1, num_of_fragments=1)
    hits = client.search(
        "docs", [QUERY], anns_field="vector", limit=1, highlighter=marks
    )[0]
    assert hits[0]["highlight"]["plain"]["fragments"] == ["{water}"]
    page = {"offset": 1}
    hits = client.search(
        "docs",
        [QUERY],
        anns_field="vector",
        limit=2,
        search_params=page,
        highlighter=marks,
    )[0]
    assert [hit["highlight"]["plain"]["fragments"] for hit in hits] == [[], []]
    filtered = client.search(
        "docs",
        [QUERY],
        anns_field="vector",
        limit=2,
        filter="id > 99",
        highlighter=marks,
    )
    assert list(filtered[0]) == []


def test_words_of_the_search_are_marked(client: Any) -> None:
    """Those of each query in its own answer, beside those of other texts."""
    marks = highlighter(("plain", "seat"), highlight_search_text=True, fragment_size=1)
    given = client.search(
        "docs",
        ["water running", "Must", "waters"],
        anns_field="words",
        limit=5,
        highlighter=marks,
    )
    found = [
        {hit["id"]: hit["highlight"]["plain"]["fragments"] for hit in hits}
        for hits in given
    ]
    assert found == [
        {0: ["{seat}", "{water}", "{water}"], 4: ["{running}"]},
        {1: ["{Must}"]},
        {4: ["{waters}"]},
    ]
    with pytest.raises(MilvusException, match="input field of BM25 annsField not fou"):
        client.search(
            "docs",
            ["water"],
            anns_field="vector",
            search_params={"metric_type": "BM25"},
            highlighter=marks,
        )
    with pytest.raises(MilvusException, match="please provide varchar/text for BM25"):
        client.search("docs", [QUERY], anns_field="words", highlighter=marks)


REFUSED: list[tuple[LexicalHighlighter, str]] = [
    (highlighter(("plain", "a"), fragment_size=0), "invalid fragment_size: 0: invalid"),
    (highlighter(("plain", "a"), fragment_size=0.1), "invalid fragment_size: 0.1: inv"),
    (highlighter(("plain", "a"), fragment_offset=-1), "invalid fragment_offset: -1: i"),
    (
        highlighter(("plain", "a"), num_of_fragments=0.1),
        "invalid num_of_fragments: 0.1: invalid parameter",
    ),
    (highlighter(("plain", "a"), pre_tags=[]), "pre_tags cannot be empty list: invali"),
    (highlighter(("plain", "a"), post_tags=[]), "post_tags cannot be empty list: inva"),
    (highlighter(("plain", "a"), pre_tags=[1]), "unmarshal pre_tags as string list"),
    (
        highlighter(highlight_search_text=True),
        'Search highlight only support with metric type "BM25" but was: : invalid para',
    ),
    (highlighter(), "highlight_search_text or highlight_query is required"),
    (highlighter(("zz", "a")), "highlight field zz not found in collection schema"),
    (highlighter(("raw", "a")), "highlight field raw must be VarChar or Text with ena"),
]


def test_what_cannot_be_marked_is_refused(client: Any) -> None:
    """With Milvus' text where Milvus' tests have one."""
    for marks, words in REFUSED:
        with pytest.raises(MilvusException) as caught:
            client.search(
                "docs", [QUERY], anns_field="vector", limit=1, highlighter=marks
            )
        assert words in caught.value.message
    marks = LexicalHighlighter(highlight_query=[{"type": "Fuzzy"}])
    with pytest.raises(MilvusException, match="unsupported highlight query type: Fuzz"):
        client.search("docs", [QUERY], anns_field="vector", limit=1, highlighter=marks)
