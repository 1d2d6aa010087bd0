"""Scalar indexes in a database: never another answer, built, rebuilt, dropped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings

import elanus
from elanus.embedded.collection import Collection
from elanus.embedded.database import Database
from elanus.engine.read import indexed
from elanus.engine.read.filter import ViewSource
from elanus.engine.read.indexed import IndexUse, index_use
from elanus.engine.write.policy import Build
from elanus.errors import Cancelled
from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import evaluate
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from expr.populations import Population, populations
from expr.reference import FILTERS, Sample
from model.worlds import inline_world, no_background_threads

STATES = ("growing", "sealed", "mixed", "compacted")
GRAMS = {"min_gram": "1", "max_gram": "3"}
KINDS = {
    "small": "BITMAP",
    "big": "STL_SORT",
    "word": "TRIE",
    "flag": "BITMAP",
    "place": "RTREE",
    "text": "NGRAM",
}
PATHS = [
    ("doc", 'doc["x"]', "DOUBLE", "INVERTED"),
    ("doc", 'doc["x"]["k"]', "VARCHAR", "NGRAM"),
    ("doc", 'doc["y"]', "ARRAY_VARCHAR", "INVERTED"),
    ("doc", 'doc["y"][0]', "BOOL", "BITMAP"),
    ("dyn", 'dyn["m"]', "VARCHAR", "STL_SORT"),
    ("dyn", "dyn", "DOUBLE", "AUTOINDEX"),
    ("more", "more", "ARRAY_DOUBLE", "AUTOINDEX"),
]


def index_everything(collection: Collection) -> None:
    """Give each field and some places in JSON an index, on all that is on files."""
    for field in collection.schema.scalars:
        kind = KINDS.get(field.name, "AUTOINDEX")
        if field.dtype is not DataType.JSON:
            params = GRAMS if kind == "NGRAM" else {}
            collection.create_index(field.name, index_type=kind, params=params)
    for name, path, cast, kind in PATHS:
        grams = GRAMS if kind == "NGRAM" else {}
        params = {"json_path": path, "json_cast_type": cast, **grams}
        collection.create_index(name, index_type=kind, params=params)
    collection._core.background.optimize(collection._engine, lambda share: None)


@contextmanager
def always_used() -> Iterator[None]:
    """Indexes answer whatever they can, though a scan of so few rows is quicker."""
    with mock.patch.object(indexed, "scan_us", lambda *given, **more: math.inf):
        yield


@pytest.fixture(scope="module")
def everywhere() -> Iterator[list[Population]]:
    """The same rows growing, sealed, in both, and after a compaction; all indexed."""
    with populations(states=STATES) as made:
        for population in made:
            index_everything(population.collection)
        yield made


@settings(max_examples=60)
@given(FILTERS)
def test_filters_answer_alike_with_indexes(
    everywhere: list[Population], sample: Sample
) -> None:
    """Exactly the rows of which a filter is true, whatever holds them."""
    with always_used():
        for population in everywhere:
            population.check(sample)


@pytest.mark.slow
@settings(max_examples=1500)
@given(FILTERS)
def test_thousands_of_filters_do(everywhere: list[Population], sample: Sample) -> None:
    """The same, for long."""
    with always_used():
        for population in everywhere:
            population.check(sample)


# --- the life of an index ------------------------------------------------------------

FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    FieldSchema("name", DataType.VARCHAR, max_length=16),
    FieldSchema("info", DataType.JSON),
]
COUNT = 400
ASKED = 'name == "n0077"'


def insert(things: Collection, start: int, count: int) -> None:
    """Rows whose names tell their keys."""
    rows = [
        {"id": n, "vector": [0, 1], "name": f"n{n:04}", "info": {"x": n}}
        for n in range(start, start + count)
    ]
    things.insert(rows)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database whose background work is done when a test asks for it."""
    with no_background_threads(), opened(tmp_path) as db:
        things = db.create_collection("things", FIELDS, metric="L2")
        insert(things, 0, COUNT)
        things.flush()
        yield db


def opened(folder: Path) -> Database:
    """The database in a folder."""
    return elanus.open(folder / "db", world=inline_world())


def uses(things: Collection, text: str = ASKED) -> list[IndexUse]:
    """The indexes that can answer a filter; the answers must be those of a scan."""
    noted: list[IndexUse] = []
    predicate = compile_filter(text, things.schema)
    for view in things._engine.pin().views:
        with always_used():
            matching = evaluate(predicate, ViewSource(view, uses=noted))
        with mock.patch.object(indexed, "scan_us", lambda *given, **more: 0.0):
            assert (evaluate(predicate, ViewSource(view)) == matching).all()
    return noted


def names_of(found: list[IndexUse]) -> set[str]:
    """What the indexes are called."""
    return {use.name for use in found}


def index_files(db: Database) -> list[str]:
    """Files of indexes."""
    return [name for name in db._core.node.store.list() if "/indexes/" in name]


def state_of(things: Collection, name: str) -> tuple[str, int, int]:
    """State, rows indexed, and rows there are."""
    (found,) = [i for i in things.describe_index() if i["name"] == name]
    return found["state"], found["indexed_rows"], found["total_rows"]


def test_an_index_serves_once_it_is_built(database: Database) -> None:
    """Until then rows are scanned; what is told of it is true."""
    things = database["things"]
    things.create_index("name")
    assert state_of(things, "name")[0] == "InProgress"
    assert uses(things) == []
    things.optimize()
    assert state_of(things, "name") == ("Finished", COUNT, COUNT)
    assert names_of(uses(things)) == {"name"}
    assert things.query(ASKED)["id"].to_pylist() == [77]
    assert sum(use.rows for use in uses(things)) == 1
    assert all(use.is_exact for use in uses(things))


def test_indexes_of_several_places_in_one_field(database: Database) -> None:
    """Each has files of its own, and goes alone."""
    things = database["things"]
    for key in ("x", "y"):
        params = {"json_path": f'info["{key}"]', "json_cast_type": "double"}
        things.create_index("info", index_type="INVERTED", params=params)
    things.optimize()
    asked = 'info["x"] == 5 or info["y"] == 5'
    assert names_of(uses(things, asked)) == {"info/x", "info/y"}
    before = len(index_files(database))
    things.drop_index("info/x")
    assert names_of(uses(things, asked)) == {"info/y"}
    database._core.background._delete_trash()
    assert 0 < len(index_files(database)) < before


def test_a_dropped_index_leaves_no_file(database: Database) -> None:
    """Nor does one whose collection goes."""
    things = database["things"]
    things.create_index("name")
    things.optimize()
    assert index_files(database)
    things.drop_index("name")
    assert uses(things) == []
    database._core.background._delete_trash()
    assert not index_files(database)


def test_new_segments_get_theirs(database: Database) -> None:
    """Those of a flush, and those of a merge; rows in memory are scanned."""
    things = database["things"]
    things.create_index("name")
    things.optimize()
    insert(things, COUNT, COUNT)
    asked = f'name in ["n0077", "n{COUNT + 5:04}"]'
    assert things.query(asked)["id"].to_pylist() == [77, COUNT + 5]
    things.optimize()
    assert state_of(things, "name") == ("Finished", 2 * COUNT, 2 * COUNT)
    things.delete(filter="id < 77")
    things.optimize()
    assert names_of(uses(things)) == {"name"}
    assert things.query(asked)["id"].to_pylist() == [77, COUNT + 5]


def test_an_index_outlives_a_restart(tmp_path: Path) -> None:
    """It is found by the manifest; without files, as in old folders, it is built."""
    with no_background_threads():
        with opened(tmp_path) as db:
            things = db.create_collection("things", FIELDS, metric="L2")
            insert(things, 0, COUNT)
            things.create_index("name")
            things.optimize()
            things.create_index("info", params={"json_cast_type": "double"})
        with opened(tmp_path) as db:
            things = db["things"]
            db._core.background.attach_indexes()
            assert names_of(uses(things)) == {"name"}
            assert state_of(things, "info")[0] == "InProgress"
            things.optimize()
            assert state_of(things, "info")[0] == "Finished"


@pytest.mark.parametrize("when", ["while open", "closed"])
def test_damage_costs_no_answer(tmp_path: Path, when: str) -> None:
    """A damaged file is noticed before it is used; then it is built anew."""
    with no_background_threads():
        with opened(tmp_path) as db:
            things = db.create_collection("things", FIELDS, metric="L2")
            insert(things, 0, COUNT)
            things.create_index("name")
            things.optimize()
            assert uses(things)
            if when == "while open":
                damage_indexes(db)
                check_damaged(db)
                return
            damage_indexes(db)
        with opened(tmp_path) as db:
            db._core.background.attach_indexes()
            check_damaged(db)


def damage_indexes(db: Database) -> None:
    """Flip a bit in the middle of each file."""
    store = db._core.node.store
    for name in index_files(db):
        path = store.local_path(name)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        with open(path, "r+b") as file:
            file.write(content)


def check_damaged(db: Database) -> None:
    """Reads are right without the index, and it is built anew."""
    things = db["things"]
    assert uses(things) == []
    assert things.query(ASKED)["id"].to_pylist() == [77]
    things.optimize()
    assert any("main" in damage for damage in things.stats()["damages"])
    assert names_of(uses(things)) == {"name"}


def test_what_no_layout_serves_is_scanned(database: Database) -> None:
    """An index that would not help is done, and never used."""
    things = database["things"]
    floats = FieldSchema("real", DataType.DOUBLE, nullable=True)
    things.add_field(floats)
    things.create_index("real", index_type="INVERTED")
    things.create_index("info", params={"json_cast_type": "json"})
    too_long = {"min_gram": "1000", "max_gram": "1000000000"}
    things.create_index("name", index_type="NGRAM", params=too_long)
    things.optimize()
    assert state_of(things, "name")[0] == "Finished"
    assert things.query(ASKED)["id"].to_pylist() == [77]
    assert state_of(things, "real")[0] == state_of(things, "info")[0] == "Finished"
    assert things.query("real > 1").num_rows == 0
    assert things.count('info["x"] < 10') == 10


def test_conjunctions_use_what_leaves_few_rows(database: Database) -> None:
    """Both ends of a range are one look-up; costly parts see only what is left."""
    things = database["things"]
    things.create_index("id", index_type="STL_SORT")
    things.create_index("name")
    things.optimize()
    found = uses(things, 'id >= 10 and id < 20 and name like "%7"')
    of_keys = [use for use in found if use.name == "id"]
    assert {str(use.condition) for use in of_keys} == {"10 <= id < 20"}
    assert sum(use.rows for use in of_keys) == 10


def test_an_index_is_used_where_it_pays(database: Database) -> None:
    """Many rows and few of them wanted; else a scan is quicker."""
    things = database["things"]
    things.create_index("id", index_type="STL_SORT")
    things.optimize()
    (view,) = things._engine.pin().views
    few = compile_filter("1 <= id < 5", things.schema).condition
    use = index_use(view, few, n_rows=100)
    assert use is not None
    assert not use.pays
    use = index_use(view, few, n_rows=1_000_000)
    assert use is not None
    assert use.pays


def test_an_explanation_names_the_indexes(database: Database) -> None:
    """Which part each answered, and a better guess of how many rows match."""
    things = database["things"]
    things.create_index("id", index_type="STL_SORT")
    things.create_index("name")
    things.optimize()
    with always_used():
        (segment,) = things.explain.query('id < 20 and name != "n0007"').segments
        (other,) = things.explain.query('id < 20 and info["x"] > 5').segments
    assert segment.filter is not None
    assert [str(index) for index in segment.filter.indexes] == [
        "index id (STL_SORT): id < 20, 20 rows",
        f'index name (AUTOINDEX): name != "n0007", {COUNT - 1} rows',
    ]
    assert (segment.filter.way, segment.filter.matching) == ("indexes", 19)
    assert segment.filter.estimated == pytest.approx(19 / COUNT, abs=0.01)
    assert other.filter is not None
    assert (other.filter.way, len(other.filter.indexes)) == ("columns", 1)
    assert str(other.filter.indexes[0]) in "\n".join(other.lines())


def test_a_cancelled_build_leaves_nothing(database: Database) -> None:
    """Its files are of no manifest, and go."""
    things = database["things"]
    things.optimize()
    things.create_index("name")
    background = database._core.background
    action = background.next_action(things._engine, eager=False)
    assert isinstance(action, Build)
    with pytest.raises(Cancelled):
        background.perform(things._engine, action, lambda share: None, lambda: True)
    database._core.background._delete_trash()
    assert not index_files(database)
