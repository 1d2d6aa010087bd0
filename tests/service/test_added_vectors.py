"""Fields of vectors and of geometries that come while a collection is in use."""

from __future__ import annotations

import pyarrow as pa
import pytest

from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.service import requests as r
from elanus.service import requests_alter as ra
from service.stage import DEFAULT, DIM, Stage, book_columns, by_name, column, vectors

MORE = FieldSchema("more", DataType.FLOAT_VECTOR, dim=DIM, nullable=True)
PLACE = FieldSchema("place", DataType.GEOMETRY, nullable=True, default="POINT (1 1)")
AREA = "POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))"


def add(stage: Stage, field: FieldSchema) -> None:
    """Add a field."""
    stage.ask(ra.AddCollectionField(DEFAULT, "books", field))


def index_more(stage: Stage) -> None:
    """Define an index of the field that came."""
    told = {"index_type": "HNSW", "metric_type": "L2"}
    stage.ask(r.CreateIndex(DEFAULT, "books", "more", "", "HNSW", "L2", {}, told))


def test_an_added_vector_field_is_searched_after_loading_again(stage: Stage) -> None:
    """Not before, not even when it has an index; other fields are not disturbed."""
    stage.ready()
    rows = vectors(4)
    stage.insert([1, 2], rows[:2])
    add(stage, MORE)
    index_more(stage)
    columns = (*book_columns([3, 4], rows[2:]), column("more", MORE.dtype, rows[:2]))
    stage.write(r.Insert, columns, 2)
    text = "field index of the field: more is not loaded, please reload the collection"
    with pytest.raises(InvalidParameter, match=text):
        stage.search(rows[:1], anns_field="more")
    assert len(stage.search(rows[:1], anns_field="vector").keys) == 4
    stage.reopen()
    with pytest.raises(InvalidParameter, match=text):
        stage.search(rows[:1], anns_field="more")
    stage.ask(r.ReleaseCollection(DEFAULT, "books"))
    stage.load()
    hits = stage.search(rows[:1], anns_field="more")
    assert hits.keys.to_pylist() == [3, 4]


def test_a_search_by_rows_without_a_vector_finds_nothing(stage: Stage) -> None:
    """Each of the other rows finds what it would find alone."""
    stage.ready()
    rows = vectors(4)
    stage.insert([1, 2], rows[:2])
    add(stage, MORE)
    index_more(stage)
    columns = (*book_columns([3, 4], rows[2:]), column("more", MORE.dtype, rows[:2]))
    stage.write(r.Insert, columns, 2)
    stage.load()

    def found(*keys: int) -> tuple[list[int], list[int]]:
        asked = pa.array(keys, pa.int64())
        hits = stage.search(None, anns_field="more", query_keys=asked)
        return hits.counts.tolist(), hits.keys.to_pylist()

    assert found(1, 4, 2, 3) == ([0, 2, 0, 2], [4, 3, 3, 4])
    assert found(1, 2) == ([0, 0], [])


def test_an_added_vector_field_needs_an_index_to_be_loaded(stage: Stage) -> None:
    """What is loaded stays searchable until it is released."""
    stage.ready()
    stage.insert([1])
    add(stage, MORE)
    assert len(stage.search(vectors(1), anns_field="vector").keys) == 1
    stage.ask(r.ReleaseCollection(DEFAULT, "books"))
    with pytest.raises(InvalidParameter, match=r"no vector index on field: \[more\]"):
        stage.load()
    index_more(stage)
    stage.load()
    assert stage.search(vectors(1), anns_field="more").keys.to_pylist() == []


def test_dropping_another_field_leaves_what_is_loaded(stage: Stage) -> None:
    """The schema has a new version then, but no new field."""
    stage.ready()
    stage.insert([1])
    stage.ask(ra.DropFromSchema(DEFAULT, "books", "title"))
    assert stage.search(vectors(1)).keys.to_pylist() == [1]


def with_place(ids: list[int], texts: list[str | None]) -> tuple[r.ColumnData, ...]:
    """Columns of books that lie somewhere."""
    place = r.ColumnData(
        "place",
        int(PLACE.dtype),
        PLACE.dtype.row.slot,
        pa.array(texts, pa.large_string()),
    )
    return (*book_columns(ids), place)


def test_an_added_geometry_is_filtered_wherever_its_rows_lie(stage: Stage) -> None:
    """Older rows have its default: in memory, on files, merged with newer ones."""
    stage.ready()
    stage.insert([1, 2])
    add(stage, PLACE)

    def inside() -> list[int]:
        found = stage.query(f"st_within(place, '{AREA}')", output_fields=("place",))
        shown = by_name(found.columns)
        assert set(shown["place"]) <= {"POINT (1 1)", "POINT (1.5 1)"}
        return sorted(shown["id"])

    assert inside() == [1, 2]
    texts = ["POINT (1.5 1)", "POINT (9 9)", None]
    stage.write(r.Insert, with_place([3, 4, 5], texts), 3)
    assert inside() == [1, 2, 3, 5]
    stage.ask(r.Flush(DEFAULT, ("books",)))
    assert inside() == [1, 2, 3, 5]
    stage.write(r.Upsert, with_place([2], ["POINT (7 7)"]), 1)
    stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.ask(r.ManualCompaction(DEFAULT, "books"))
    stage.service.wait()
    assert inside() == [1, 3, 5]
    stage.reopen()
    assert inside() == [1, 3, 5]
    assert stage.count(f"not st_within(place, '{AREA}')") == 2
    assert stage.delete("st_dwithin(place, 'POINT (9 9)', 10)").deleted == 1
    assert stage.count("place is not null") == 4


def test_a_spatial_index_is_told_and_changes_no_answer(stage: Stage) -> None:
    """RTREE and AUTOINDEX are for geometries, INVERTED is not."""
    schema = CollectionSchema(
        (
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("place", DataType.GEOMETRY),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
        )
    )
    stage.create(schema=schema)
    for kind in ("RTREE", "AUTOINDEX"):
        told = {"index_type": kind}
        stage.ask(r.CreateIndex(DEFAULT, "books", "place", "at", kind, "", {}, told))
        (index,) = stage.ask(r.DescribeIndex(DEFAULT, "books", "", "at")).indexes
        assert (index.field, index.params["index_type"]) == ("place", kind)
        stage.ask(r.DropIndex(DEFAULT, "books", "place", "at"))
    with pytest.raises(InvalidParameter, match="INVERTED are not supported on Geom"):
        told = {"index_type": "INVERTED"}
        stage.ask(
            r.CreateIndex(DEFAULT, "books", "place", "", "INVERTED", "", {}, told)
        )
