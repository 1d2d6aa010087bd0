"""Full text search: scores by the published formula, wherever the rows lie."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema.functions import FunctionKind, FunctionSchema
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import DEFAULT, Stage, by_name, column, search_request

TEXT = FieldSchema(
    "text",
    DataType.VARCHAR,
    max_length=200,
    nullable=True,
    properties={"enable_analyzer": "true"},
)
FUNCTION = FunctionSchema("f", FunctionKind.BM25, ("text",), ("words",))
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        TEXT,
        FieldSchema("language", DataType.VARCHAR, max_length=9, nullable=True),
        FieldSchema("words", DataType.SPARSE_FLOAT_VECTOR),
    ),
    functions=(FUNCTION,),
)
CORPUS: dict[int, str | None] = {
    0: "the quick brown fox",
    1: "the lazy dog and the quick cat",
    2: "a fox is a fox",
    3: None,
    4: "",
    5: "dogs and cats live together in one large house by the quiet river",
    6: "quick quick quick",
}


def ready(stage: Stage, schema: CollectionSchema = SCHEMA, **params: str) -> None:
    """The collection, indexed and loaded."""
    stage.create("books", schema)
    told = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25", **params}
    kind, metric = told["index_type"], told["metric_type"]
    stage.ask(
        r.CreateIndex(DEFAULT, "books", "words", "", kind, metric, dict(params), told)
    )
    stage.load()


def write(
    stage: Stage, texts: dict[int, str | None], kind: Any = r.Insert, **options: Any
) -> None:
    """Insert or upsert texts by key."""
    language = options.pop("language", [None] * len(texts))
    columns = (
        column("id", DataType.INT64, list(texts)),
        column("text", DataType.VARCHAR, list(texts.values())),
        column("language", DataType.VARCHAR, language),
    )
    stage.write(kind, columns, len(texts), **options)


def flush(stage: Stage) -> None:
    """Write what is in memory to files."""
    stage.ask(r.Flush(DEFAULT, ("books",)))


def find(stage: Stage, *texts: str, limit: int = 10, **options: Any) -> list[Any]:
    """Keys and scores found for each text."""
    sent = r.Queries(21, None, tuple(text.encode() for text in texts))
    reply = stage.ask(search_request(sent, limit, anns_field="words", **options))
    keys, scores, start, found = reply.keys.to_pylist(), reply.scores, 0, []
    for count in reply.counts.tolist():
        part = slice(start, start + count)
        found.append(dict(zip(keys[part], scores[part].tolist(), strict=True)))
        start += count
    return found


def plain(
    corpus: dict[int, str | None], text: str, k1: float = 1.2, b: float = 0.75
) -> dict[int, float]:
    """The formula, word by word."""
    texts = {key: (value or "").lower().split() for key, value in corpus.items()}
    mean = sum(map(len, texts.values())) / len(texts)
    scores: dict[int, float] = {}
    for word, asked in Counter(text.lower().split()).items():
        having = {
            key: words.count(word) for key, words in texts.items() if word in words
        }
        idf = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for key, tf in having.items():
            long = k1 * (1 - b + b * len(texts[key]) / mean)
            term = asked * idf * tf * (k1 + 1) / (tf + long)
            scores[key] = scores.get(key, 0.0) + term
    return scores


QUERIES = ["fox", "quick fox", "the quick quick dog", "river", "nothing of it", ""]


def check(stage: Stage, corpus: dict[int, str | None], **how: float) -> None:
    """Every query has the scores of the formula, best first."""
    for text, found in zip(QUERIES, find(stage, *QUERIES), strict=True):
        expected = plain(corpus, text, **how)
        assert found == pytest.approx(expected, rel=1e-5), text
        assert list(found) == sorted(found, key=lambda k: (-found[k], k)), text


def test_worked_by_hand(stage: Stage) -> None:
    """Two texts of two words, every factor written out."""
    ready(stage)
    write(stage, {1: "red apple", 2: "green pear"})
    # N 2, df 1: idf = ln(1 + 1.5 / 1.5) = ln 2; tf 1, |d| = avgdl: 2.2 / 2.2 = 1
    assert find(stage, "apple") == [{1: pytest.approx(math.log(2), rel=1e-6)}]


def test_scores_do_not_depend_on_segments(stage: Stage) -> None:
    """In memory, on files, merged and opened again, scores are the formula's."""
    ready(stage)
    keys = list(CORPUS)
    for part in (keys[:2], keys[2:3], keys[3:]):
        write(stage, {key: CORPUS[key] for key in part})
        flush(stage)
    check(stage, CORPUS)
    stage.reopen()
    check(stage, CORPUS)
    write(stage, {7: "a quick river"})
    check(stage, {**CORPUS, 7: "a quick river"})


def test_deleted_and_replaced_texts_do_not_count(stage: Stage) -> None:
    """Statistics are those of the texts that are there."""
    ready(stage)
    write(stage, CORPUS)
    flush(stage)
    stage.delete("id in [0, 6]")
    write(stage, {1: "nothing but a fox", 2: "cat"}, r.Upsert)
    left = {k: v for k, v in CORPUS.items() if k not in (0, 6)}
    corpus = {**left, 1: "nothing but a fox", 2: "cat"}
    check(stage, corpus)
    flush(stage)
    check(stage, corpus)
    stage.reopen()
    check(stage, corpus)


def test_parameters_of_the_index(stage: Stage) -> None:
    """k1 and b are the index's."""
    ready(stage, bm25_k1="1.6", bm25_b="0.3")
    write(stage, CORPUS)
    check(stage, CORPUS, k1=1.6, b=0.3)


def test_filters_change_no_score(stage: Stage) -> None:
    """A filter, a partition and a range leave rows out; the others score as before."""
    ready(stage)
    write(stage, CORPUS)
    scores = plain(CORPUS, "quick fox")
    (found,) = find(stage, "quick fox", filter="id > 0")
    assert found == pytest.approx({k: v for k, v in scores.items() if k > 0})
    best = max(scores.values())
    (found,) = find(stage, "quick fox", params={"radius": best - 0.01})
    assert list(found.values()) == pytest.approx([best])
    (found,) = find(stage, "quick fox", limit=1)
    assert len(found) == 1


def test_groups(stage: Stage) -> None:
    """Rows come in groups as of any metric."""
    ready(stage)
    write(stage, CORPUS, language=["a", "b", "a", "b", "a", "b", "b"])
    (found,) = find(stage, "quick fox", group_by_field="language")
    assert len(found) == 2


def test_a_text_of_several_analyzers(stage: Stage) -> None:
    """The language of a row chooses its analyzer, a parameter that of the search."""
    described = (
        '{"by_field": "language", "alias": {"en": "english"}, "analyzers": '
        '{"english": {"type": "english"}, "default": {"tokenizer": "whitespace"}}}'
    )
    properties = {**TEXT.properties, "multi_analyzer_params": described}
    text = replace(TEXT, properties=properties)
    fields = tuple(text if f is TEXT else f for f in SCHEMA.fields)
    ready(stage, replace(SCHEMA, fields=fields))
    write(stage, {1: "Running", 2: "Running"}, language=["en", "xx"])
    assert [list(found) for found in find(stage, "Running", "runs")] == [[2], []]
    (found,) = find(stage, "runs", params={"analyzer_name": "english"})
    assert list(found) == [1]


def test_what_is_made_is_neither_given_nor_told(stage: Stage) -> None:
    """Vectors of words are written by the server, and stay there."""
    ready(stage)
    write(stage, CORPUS)
    reply = stage.query("id == 0", output_fields=("*",))
    assert set(by_name(reply.columns)) == {"id", "text", "language"}
    with pytest.raises(InvalidParameter, match="not allowed to retrieve raw data"):
        stage.query("id == 0", output_fields=("words",))
    with pytest.raises(InvalidParameter, match="please provide varchar/text"):
        stage.ask(search_request(r.Queries(101, None, (b"\0\0\0\0",)), 1))


def test_the_function_is_told(stage: Stage) -> None:
    """Describing a collection tells its functions, after a restart, too."""
    ready(stage)
    stage.reopen()
    info = stage.ask(r.DescribeCollection(DEFAULT, "books"))
    assert info.schema.functions == (replace(FUNCTION, id=100),)
    assert [f.name for f in info.schema.fields if f.is_function_output] == ["words"]


def _schema(**changes: Any) -> CollectionSchema:
    return replace(SCHEMA, functions=(replace(FUNCTION, **changes),))


def _analyzed(**properties: str) -> CollectionSchema:
    text = replace(TEXT, properties={**TEXT.properties, **properties})
    return replace(
        SCHEMA, fields=tuple(text if f is TEXT else f for f in SCHEMA.fields)
    )


REFUSED = [
    (_analyzed(analyzer_params='{"type": "x"}'), "unknown build-in analyzer type: x"),
    (_analyzed(multi_analyzer_params="{}"), "multi analyzer params must set analyzers"),
    (
        _analyzed(
            multi_analyzer_params='{"by_field": "x", "analyzers": {"default": {}}}'
        ),
        "multi analyzer dependent field x not exist in collection books",
    ),
    (_schema(name=""), "function name cannot be empty"),
    (_schema(inputs=("x",)), "function input field not found: x"),
    (_schema(outputs=("x",)), "function output field not found: x"),
    (_schema(inputs=("id",)), "input field must be a VARCHAR/TEXT field, got 1 field"),
    (_schema(inputs=("language",)), "must set enable_analyzer to true"),
    (_schema(outputs=("text",)), "cannot be both input and output"),
    (_schema(params={"a": "b"}), "BM25 function accepts no params"),
    (_schema(outputs=("id",)), "function output field cannot be primary key"),
    (replace(SCHEMA, functions=(FUNCTION,) * 2), "duplicate function name: f"),
]


@pytest.mark.parametrize(("schema", "text"), REFUSED)
def test_refused_functions(stage: Stage, schema: CollectionSchema, text: str) -> None:
    """A function that cannot be is refused in Milvus' words."""
    with pytest.raises(InvalidParameter) as caught:
        stage.create("books", schema)
    assert text in str(caught.value)


def test_other_functions_are_not_here(stage: Stage) -> None:
    """A function that Elanus does not have is refused as such."""
    with pytest.raises(UnsupportedOperation):
        stage.create("books", _schema(kind=FunctionKind.TEXT_EMBEDDING))


@pytest.mark.parametrize("metric", ["IP", "L2"])
def test_other_metrics(stage: Stage, metric: str) -> None:
    """Vectors of words are compared as such, and no others are."""
    stage.create("books", SCHEMA)
    with pytest.raises(InvalidParameter, match="output field must be BM25, got"):
        stage.ask(
            r.CreateIndex(DEFAULT, "books", "words", "", "AUTOINDEX", metric, {}, {})
        )
