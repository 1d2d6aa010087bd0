"""Filters on the words of texts, wherever the rows lie."""

from __future__ import annotations

from typing import Any

import pytest

from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from service.stage import DEFAULT, DIM, Stage, by_name, column, vectors

MATCHED = {"enable_analyzer": "true", "enable_match": "true"}
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema(
            "text",
            DataType.VARCHAR,
            max_length=200,
            nullable=True,
            properties={**MATCHED, "analyzer_params": '{"type": "english"}'},
        ),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    )
)
TEXTS = [
    "Running along the river",
    None,
    "A river runs through it",
    "machine learning",
    "learning about machines",
    "",
    "the machine keeps learning",
]


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """A collection of texts in three batches."""
    stage.create("books", SCHEMA)
    stage.index()
    stage.load()
    for ids in ([0, 1, 2], [3], [4, 5, 6]):
        write(stage, r.Insert, ids, [TEXTS[i] for i in ids])
    return stage


def write(
    stage: Stage, kind: Any, ids: list[int], texts: list[str | None], **options: str
) -> None:
    """Insert or upsert texts."""
    columns = (
        column("id", DataType.INT64, ids),
        column("text", DataType.VARCHAR, texts),
        column("vector", DataType.FLOAT_VECTOR, vectors(len(ids))),
    )
    stage.write(kind, columns, len(ids), **options)


def found(stage: Stage, text: str, **options: Any) -> list[int]:
    """Keys of the rows that match."""
    reply = stage.query(text, output_fields=("id",), **options)
    return by_name(reply.columns)["id"]


CASES = [
    ('text_match(text, "run")', [0, 2]),
    ('text_match(text, "rivers learn")', [0, 2, 3, 4, 6]),
    ('text_match(text, "rivers learn machines", minimum_should_match=2)', [3, 4, 6]),
    ('not text_match(text, "river")', [3, 4, 5, 6]),
    ('text_match(text, "river") or text is null', [0, 1, 2]),
    ('text_match(text, "the")', []),
    ('phrase_match(text, "machine learning")', [3]),
    ('phrase_match(text, "machine learning", 1)', [3, 6]),
    ('phrase_match(text, "learning machine", 1)', [4]),
    ('phrase_match(text, "learning machine", 2)', [3, 4]),
    ('text_match_fuzzy(text, "rivet", max_edit_distance=1) and id > 0', [2]),
]


def test_answers_stay_the_same(filled: Stage) -> None:
    """Growing, sealed, merged and opened again, rows match alike."""
    for change in (lambda: None, lambda: flush(filled), filled.reopen):
        change()
        for text, keys in CASES:
            assert found(filled, text) == keys, text


def flush(stage: Stage) -> None:
    """Write what is in memory to files."""
    stage.ask(r.Flush(DEFAULT, ("books",)))


def test_changed_rows(filled: Stage) -> None:
    """Rows that are deleted or replaced match as they are now."""
    flush(filled)
    filled.delete("id in [0]")
    write(filled, r.Upsert, [2, 7], ["no water", "river"])
    assert found(filled, 'text_match(text, "river")') == [7]
    filled.delete('text_match(text, "machine")')
    assert found(filled, "id >= 0") == [1, 2, 5, 7]


def test_searches_are_filtered(filled: Stage) -> None:
    """A search finds matching rows only."""
    reply = filled.search(vectors(1), 5, filter='text_match(text, "learn")')
    assert sorted(reply.keys.to_pylist()) == [3, 4, 6]


def test_partitions(filled: Stage) -> None:
    """Of a partition whose rows stand together in a file, its own match."""
    filled.ask(r.CreatePartition(DEFAULT, "books", "more"))
    filled.ask(r.LoadPartitions(DEFAULT, "books", ("more",), r.LoadOptions()))
    texts: list[str | None] = [f"river {i}" for i in range(40)]
    write(filled, r.Insert, list(range(100, 140)), texts, partition="more")
    for change in (lambda: None, lambda: flush(filled)):
        change()
        asked = 'text_match(text, "river")'
        assert found(filled, asked, partitions=("more",)) == list(range(100, 140))
        assert found(filled, asked, partitions=("_default",)) == [0, 2]
        assert found(filled, 'phrase_match(text, "river 7")') == [107]
