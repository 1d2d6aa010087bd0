"""Analyzers as clients run them, and those that fields cannot have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elanus.errors import (
    CollectionNotLoaded,
    FieldNotFound,
    InvalidParameter,
)
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from elanus.service import requests_alter as ra
from elanus.service.replies_text import AnalyzedToken
from elanus.service.requests_text import ComputePhraseMatchSlop, RunAnalyzer
from service.stage import DEFAULT, DIM, Stage

MATCHED = {"enable_analyzer": "true", "enable_match": "true"}


def text_field(name: str = "text", **properties: str) -> FieldSchema:
    """A VarChar field with parameters."""
    return FieldSchema(
        name, DataType.VARCHAR, max_length=200, nullable=True, properties=properties
    )


def create(stage: Stage, *fields: FieldSchema) -> None:
    """A collection with these fields."""
    schema = CollectionSchema(
        (
            FieldSchema("id", DataType.INT64, is_primary=True),
            *fields,
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
        )
    )
    stage.ask(r.CreateCollection(DEFAULT, "books", schema, "books", False))


def run(stage: Stage, *texts: str, **options: Any) -> list[list[str]]:
    """The tokens of texts."""
    contents = tuple(text.encode() for text in texts)
    place = options.pop("collection", "")
    request = RunAnalyzer(
        DEFAULT, place, contents, options.pop("description", ""), **options
    )
    return [[token.text for token in one] for one in stage.ask(request).texts]


def test_places_are_bytes(stage: Stage) -> None:
    """Tokens tell their place in the bytes of the text, position and hash if asked."""
    request = RunAnalyzer(
        DEFAULT, "", ("né à Paris".encode(),), "", has_detail=True, has_hash=True
    )
    (tokens,) = stage.ask(request).texts
    assert tokens[1:] == (
        AnalyzedToken("à", 4, 6, 1, 1, 0x77D8359A),
        AnalyzedToken("paris", 7, 12, 2, 1, 0x962CCBE2),
    )


def test_a_field_lends_its_analyzer(stage: Stage) -> None:
    """By name of the field, once the collection is loaded."""
    create(stage, text_field(**MATCHED, analyzer_params='{"type": "english"}'))
    stage.index()
    with pytest.raises(CollectionNotLoaded):
        run(stage, "running", collection="books", field="text")
    stage.load()
    told = run(stage, "running dogs", collection="books", field="text")
    assert told == [["run", "dog"]]
    with pytest.raises(FieldNotFound):
        run(stage, "running", collection="books", field="title")
    with pytest.raises(InvalidParameter, match="must set field name"):
        run(stage, "running", collection="books")
    with pytest.raises(InvalidParameter, match="in same time"):
        run(stage, "a", collection="books", field="text", description="{}")


def test_no_text_no_tokens(stage: Stage) -> None:
    """Nothing to cut is no error; what is not UTF-8 is one."""
    assert run(stage) == []
    with pytest.raises(InvalidParameter, match="must be utf8"):
        stage.ask(RunAnalyzer(DEFAULT, "", (b"\xff",), ""))


REFUSED = [
    ({"enable_match": "true"}, "must also enable_analyzer"),
    (
        {**MATCHED, "analyzer_params": '{"type": "x"}'},
        "unknown build-in analyzer type: x",
    ),
    (
        {**MATCHED, "multi_analyzer_params": "{}"},
        "multi analyzer now only support for bm25, but now field text enable match",
    ),
]


@pytest.mark.parametrize(("properties", "text"), REFUSED)
def test_fields_refused(stage: Stage, properties: dict[str, str], text: str) -> None:
    """A field whose analyzer cannot be is refused, at first and when it is added."""
    with pytest.raises(InvalidParameter) as caught:
        create(stage, text_field(**properties))
    assert text in str(caught.value)
    create(stage)
    with pytest.raises(InvalidParameter) as caught:
        stage.ask(ra.AddCollectionField(DEFAULT, "books", text_field(**properties)))
    assert text in str(caught.value)


def test_unused_parameters_are_not_read(stage: Stage) -> None:
    """An analyzer that nothing asks is not made, as in Milvus."""
    create(stage, text_field(analyzer_params=json.dumps({"type": "x"})))


def test_least_slops(stage: Stage) -> None:
    """How far a phrase has to be bent to be found in a text, if it can."""
    texts = ("machine learning", "machine deep learning", "learning machine", "machine")
    asked = ComputePhraseMatchSlop("", "Machine Learning", texts)
    assert stage.ask(asked).slops == (0, 1, 2, None)
    with pytest.raises(InvalidParameter):
        stage.ask(ComputePhraseMatchSlop("", "!", texts))
