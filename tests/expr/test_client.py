"""Random filters through a Milvus client: what the wire does to texts and values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings

import elanus
from elanus.schema.types import DataType
from expr.pools import Maker
from expr.populations import inserted, schema
from expr.reference import FILTERS, Sample
from model.worlds import quick_folder

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType as MilvusType

ROWS = Maker(7).rows(60)
NAME = "rows"


def declared(client: Any) -> Any:
    """The fields of ``FIELDS`` and a vector, as a client declares them."""
    ours, theirs = schema(), client.create_schema(enable_dynamic_field=True)
    parts = client.create_struct_field_schema()
    for field in ours.fields:
        name, options = field.name, {}
        if field.max_length is not None:
            options["max_length"] = field.max_length
        if field.struct:
            part = name[len(field.struct) + 1 : -1]
            parts.add_field(part, MilvusType(int(field.element_type or 0)), **options)
            continue
        if field.dtype is DataType.ARRAY:
            options["max_capacity"] = field.max_capacity
            options["element_type"] = MilvusType(int(field.element_type or 0))
        if field.dtype is DataType.FLOAT_VECTOR:
            options["dim"] = field.dim
        kind = MilvusType(int(field.dtype))
        theirs.add_field(
            name, kind, is_primary=field.is_primary, nullable=field.nullable, **options
        )
    theirs.add_field(
        "s",
        MilvusType.ARRAY,
        element_type=MilvusType.STRUCT,
        struct_schema=parts,
        max_capacity=8,
        nullable=True,
    )
    return theirs


def sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a client takes it: dynamic keys beside fields, plain JSON as text."""
    given = inserted(row)
    dynamic = given.pop("$meta")
    if isinstance(given["doc"], str):
        given["doc"] = json.dumps(given["doc"])
    return {**given, **dynamic}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client whose rows are in part on files, in part in memory."""
    with quick_folder() as folder:
        opened = elanus.MilvusClient(folder / "app.db")
        fill(opened)
        yield opened
        opened.close()


def fill(opened: Any) -> None:
    """Create the collection, insert, flush, and insert more."""
    index = opened.prepare_index_params()
    index.add_index("v", index_type="FLAT", metric_type="L2")
    opened.create_collection(NAME, schema=declared(opened), index_params=index)
    opened.insert(NAME, [sent(row) for row in ROWS[:40]])
    opened.flush(NAME)
    opened.insert(NAME, [sent(row) for row in ROWS[40:]])


def travels(value: Any) -> bool:
    """Whether the client sends a template's value as it is.

    Of lists of several types, it takes strings for JSON text, and bools for integers.
    """
    types = set(map(type, value)) if isinstance(value, list) else set()
    return len(types) < 2 or types == {int, float}


@pytest.mark.slow
@settings(max_examples=600)
@given(FILTERS)
def test_filters_mean_the_same_through_a_client(client: Any, sample: Sample) -> None:
    """Text, values of templates and rows arrive as they were meant."""
    assume(all(map(travels, sample.params.values())))
    found = client.query(
        NAME, sample.text, output_fields=["id"], filter_params=dict(sample.params)
    )
    wanted = [row["id"] for row in ROWS if sample.decide(row) is True]
    assert sorted({row["id"] for row in found}) == wanted
