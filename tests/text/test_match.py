"""Which texts match: against tantivy, and against a plain definition."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tantivy

from elanus.text.config import analyzer_from
from elanus.text.match import Phrase, Similar, Words
from elanus.text.postings import Postings, ReadPostings

LETTERS = "abcdef"
COUNT = 600


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Short texts of few words."""
    rng = np.random.default_rng(7)
    return [
        " ".join(rng.choice(list(LETTERS), rng.integers(1, 9))) for _ in range(COUNT)
    ]


@pytest.fixture(scope="module")
def index(texts: list[str]) -> ReadPostings:
    """The texts, indexed in uneven steps."""
    postings = Postings(analyzer_from(""))
    column = pa.array(texts, pa.large_string())
    for count in (1, 2, 300, 301, 450):
        postings.upto(column.slice(0, count))
    return postings.upto(column)


@pytest.fixture(scope="module")
def searched(texts: list[str]) -> Any:
    """The same texts in an index of tantivy."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("t", tokenizer_name="default", index_option="position")
    builder.add_integer_field("row", stored=True)
    held = tantivy.Index(builder.build())
    writer = held.writer(20_000_000, 1)
    for row, text in enumerate(texts):
        document = tantivy.Document()
        document.add_text("t", text)
        document.add_integer("row", row)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    held.reload()
    return held


def phrases() -> Iterator[tuple[list[str], int]]:
    """Pairs with every slop, longer phrases as they stand."""
    for pair in product("abc", "abcd"):
        for slop in range(6):
            yield list(pair), slop
    for three in product("ab", "bc", "ca"):
        yield list(three), 0


def test_phrases_as_tantivy(index: ReadPostings, searched: Any) -> None:
    """The rows of a phrase are those that Milvus' own library finds."""
    searcher = searched.searcher()
    for words, slop in phrases():
        query = tantivy.Query.phrase_query(searched.schema, "t", words, slop)
        hits = searcher.search(query, limit=COUNT).hits
        expected = {searcher.doc(place)["row"][0] for _, place in hits}
        asked = Phrase(tuple((word, i) for i, word in enumerate(words)), slop)
        assert set(np.flatnonzero(asked.rows(index, COUNT))) == expected, (words, slop)


def _apart(words: list[str], text: list[str]) -> int:
    """By definition: try every place of every word."""
    places = [[i for i, t in enumerate(text) if t == word] for word in words]
    spreads = [
        max(at) - min(at)
        for one in product(*places)
        for at in [[place - i for i, place in enumerate(one)]]
    ]
    return min(spreads, default=1000)


def test_phrases_of_more_words(index: ReadPostings, texts: list[str]) -> None:
    """The slop is how far the words stand apart, were each the first of the phrase."""
    for words in product("ab", "cd", "ef"):
        for slop in (1, 2, 4):
            asked = Phrase(tuple((word, i) for i, word in enumerate(words)), slop)
            expected = [_apart(list(words), text.split()) <= slop for text in texts]
            assert asked.rows(index, COUNT).tolist() == expected


def test_words(index: ReadPostings, texts: list[str]) -> None:
    """Each mention of a word counts, in the query and not in the text."""
    for tokens, least in ((("a",), 1), (("a", "b", "a"), 2), (("a", "z"), 2), ((), 1)):
        expected = [
            bool(tokens) and sum(token in text.split() for token in tokens) >= least
            for text in texts
        ]
        assert Words(tokens, least).rows(index, COUNT).tolist() == expected


def test_fewer_rows_than_indexed(index: ReadPostings, texts: list[str]) -> None:
    """A reader of an earlier moment sees the rows of that moment."""
    postings = Postings(analyzer_from(""))
    column = pa.array(texts, pa.large_string())
    postings.upto(column)
    earlier = postings.upto(column.slice(0, 100))
    whole = Words(("a",)).rows(index, COUNT)
    assert Words(("a",)).rows(earlier, 100).tolist() == whole[:100].tolist()


def test_similar_words() -> None:
    """An edit is a letter more, less, another, or two swapped."""
    words = ["word", "words", "wrod", "wor", "cord", "core", "sword", "other", None]
    index = Postings(analyzer_from("")).upto(pa.array(words, pa.large_string()))
    rows = [Similar(("word",), edits).rows(index, len(words)) for edits in range(3)]
    assert [np.flatnonzero(r).tolist() for r in rows] == [
        [0],
        [0, 1, 2, 3, 4, 6],
        [0, 1, 2, 3, 4, 5, 6],
    ]
