"""Properties of databases that forbid calls, and that bound what there may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from elanus.errors import AccessDisabled, DatabaseNotFound, TooManyCollections
from elanus.service import requests as r
from elanus.service import requests_alter as ra
from service.stage import CONTEXT, DEFAULT, SCHEMA, Stage, search_request, vectors


def alter(stage: Stage, *gone: str, **given: str) -> None:
    """Set or delete properties ``database.force.deny.*``."""
    properties = {f"database.force.deny.{key}": value for key, value in given.items()}
    keys = tuple(f"database.force.deny.{key}" for key in gone)
    stage.ask(ra.AlterDatabase(DEFAULT, properties, keys))


def test_what_is_forbidden_is_refused_until_it_is_permitted(tmp_path: Path) -> None:
    """Calls of one kind only; altering the database itself is always possible."""
    stage = Stage(tmp_path / "db")
    stage.ready()
    stage.insert([1])
    alter(stage, writing="true")
    with pytest.raises(AccessDisabled, match="disabled by the administrator"):
        stage.insert([2])
    assert stage.count() == 1
    alter(stage, writing="false", reading="TRUE")
    stage.insert([2])
    for _ in range(2):
        with pytest.raises(AccessDisabled):
            stage.count()
        with pytest.raises(AccessDisabled):
            stage.search(vectors(1), limit=1)
        stage.reopen()
    alter(stage, "reading")
    assert stage.count() == 2
    alter(stage, ddl="true")
    for request in (
        r.DropCollection(DEFAULT, "books"),
        r.CreatePartition(DEFAULT, "books", "new"),
        r.DropIndex(DEFAULT, "books", "vector", ""),
        r.Flush(DEFAULT, ("books",)),
        r.ManualCompaction(DEFAULT, "books"),
    ):
        with pytest.raises(AccessDisabled):
            stage.ask(request)
    alter(stage, "ddl")
    alter(stage, flush="true")
    stage.ask(r.CreatePartition(DEFAULT, "books", "new"))
    with pytest.raises(AccessDisabled):
        stage.ask(r.Flush(DEFAULT, ("books",)))
    stage.close()


def test_searches_that_run_as_one_are_refused_together(tmp_path: Path) -> None:
    """Each gets the error."""
    stage = Stage(tmp_path / "db")
    stage.ready()
    stage.insert([1])
    alter(stage, reading="true")
    request = search_request(vectors(1), limit=1)
    answers = stage.service.handle_together([request] * 3, [CONTEXT] * 3)
    assert [type(answer) for answer in answers] == [AccessDisabled] * 3
    stage.close()


def test_a_database_may_hold_fewer_collections(tmp_path: Path) -> None:
    """By its own limit, told in the error; what is no number is no limit."""
    stage = Stage(tmp_path / "db")
    stage.ask(r.CreateDatabase("small", {"database.max.collections": "2"}))
    for name in ("a", "b"):
        stage.ask(r.CreateCollection("small", name, SCHEMA))
    stage.ask(r.CreateCollection("small", "a", SCHEMA))  # it exists
    with pytest.raises(TooManyCollections, match=r"\[dbName=small\]\[limit=2\]"):
        stage.ask(r.CreateCollection("small", "c", SCHEMA))
    stage.ask(ra.AlterDatabase("small", {"database.max.collections": "many"}))
    stage.ask(r.CreateCollection("small", "c", SCHEMA))
    with pytest.raises(DatabaseNotFound):
        stage.ask(r.CreateCollection("gone", "c", SCHEMA))
    stage.close()
