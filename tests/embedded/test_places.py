"""Where a database may lie, who may open it, and what is left untouched."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus.errors import (
    CollectionNotFound,
    ElanusError,
    FormatError,
    LockedError,
    ReadOnlyError,
)
from elanus.storage.checksums import with_checksum

OTHER_PROCESS = """
import sys, elanus
try:
    elanus.open(sys.argv[1])
except elanus.ElanusError as error:
    print(type(error).__name__, error)
"""


def content(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time of change, or the file itself."""
    paths = [root] if root.is_file() else sorted(root.rglob("*"))
    return {
        str(path.relative_to(root.parent)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in paths
    }


def add_rows(path: Path, count: int = 10) -> None:
    """A database with one collection of ``count`` rows."""
    with elanus.open(path) as db:
        docs = db.create_collection("docs", dim=4)
        docs.insert({"id": range(count), "vector": np.ones((count, 4))})


@pytest.mark.parametrize("name", ["app.db", "app", "a b", "ünï.db", "deep/er/app.db"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    """A missing folder is made, parents included; an empty one is used."""
    add_rows(tmp_path / name)
    (tmp_path / "empty").mkdir()
    add_rows(tmp_path / "empty")
    with elanus.open(str(tmp_path / name)) as db:
        assert len(db["docs"]) == 10
        assert db.path == tmp_path / name


def test_a_relative_path_outlives_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database stays where it was opened."""
    monkeypatch.chdir(tmp_path)
    with elanus.open("app.db") as db:
        docs = db.create_collection("docs", dim=4)
        monkeypatch.chdir("/")
        docs.insert({"id": [1], "vector": np.ones((1, 4))})
        docs.flush()
    with elanus.open(tmp_path / "app.db") as db:
        assert len(db["docs"]) == 1


def test_an_error_inside_the_block_closes_the_database(tmp_path: Path) -> None:
    """The context manager lets the error through and frees the folder."""
    with pytest.raises(ZeroDivisionError), elanus.open(tmp_path / "a.db"):
        raise ZeroDivisionError
    add_rows(tmp_path / "a.db")


def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    """Neither this process nor another opens a folder that is in use."""
    path = tmp_path / "a.db"
    with elanus.open(path) as db:
        for read_only in (False, True):
            with pytest.raises(LockedError):
                elanus.open(path, read_only=read_only)
        printed = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        assert printed.startswith("LockedError")
        assert str(os.getpid()) in printed
        db.create_collection("docs", dim=4)
    add_rows(path)


def test_reading_only(tmp_path: Path) -> None:
    """Several readers at once see everything and change not a byte."""
    path = tmp_path / "a.db"
    add_rows(path)
    with elanus.open(path) as db:
        db["docs"].flush()
        db["docs"].insert({"id": [77], "vector": np.ones((1, 4))})
    before = content(path)
    with (
        elanus.open(path, read_only=True) as first,
        elanus.open(path, read_only=True) as second,
    ):
        for db in (first, second):
            docs = db["docs"]
            assert len(docs) == 11
            assert docs.search(np.ones(4), limit=20).num_rows == 11
        docs = first["docs"]
        for write in (
            lambda: docs.insert({"id": [1], "vector": np.ones((1, 4))}),
            lambda: docs.upsert({"id": [1], "vector": np.ones((1, 4))}),
            lambda: docs.delete([1]),
            lambda: docs.delete(filter="id > 3"),
            docs.truncate,
            docs.flush,
            docs.compact,
            docs.optimize,
            lambda: docs.create_index("vector"),
            lambda: docs.drop_index("vector"),
            lambda: docs.create_partition("p"),
            lambda: docs.drop_partition("p"),
            lambda: first.create_collection("other", dim=4),
            lambda: first.drop_collection("docs"),
            lambda: first.rename_collection("docs", "other"),
            first.flush,
        ):
            with pytest.raises(ReadOnlyError):
                write()
        with pytest.raises(LockedError):
            elanus.open(path)
    assert content(path) == before


def test_reading_only_what_is_not_there(tmp_path: Path) -> None:
    """A missing database is not made by a reader."""
    with pytest.raises(FormatError):
        elanus.open(tmp_path / "none.db", read_only=True)
    assert os.listdir(tmp_path) == []


def _foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def _milvus_lite_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table collection_meta (name text)")
    connection.commit()
    connection.close()


def _newer_format(path: Path) -> None:
    add_rows(path)
    body = b'{"elanus": "database", "format": 99}'
    (path / "elanus.json").write_bytes(with_checksum(body))


@pytest.mark.parametrize(
    "make",
    [
        _foreign_folder,
        _milvus_lite_file,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello"),
        _newer_format,
    ],
    ids=["folder", "milvus lite", "empty file", "text", "newer"],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_not_ours_is_left_alone(
    tmp_path: Path, make: object, read_only: bool
) -> None:
    """A file, a folder of another program and a newer format are refused, unchanged."""
    path = tmp_path / "app.db"
    assert callable(make)
    make(path)
    before = content(path)
    with pytest.raises(FormatError):
        elanus.open(path, read_only=read_only)
    after = content(path)
    after.pop("app.db/LOCK", None)
    before.pop("app.db/LOCK", None)
    assert after == before


def test_settings_are_taken(tmp_path: Path) -> None:
    """Settings can be given without knowing the rest of the world."""
    settings = elanus.Settings(index_rows=5)
    with elanus.open(tmp_path / "a.db", settings=settings) as db:
        docs = db.create_collection("docs", dim=4)
        vectors = np.random.default_rng(0).random((10, 4))
        docs.insert({"id": range(10), "vector": vectors})
        docs.create_index("vector", index_type="HNSW")
        docs.optimize()
        assert docs.stats()["segments"][0]["indexed"] == ["vector"]


def test_a_backup_is_a_copy_of_the_folder(tmp_path: Path) -> None:
    """The copy of a closed database is a database of its own."""
    add_rows(tmp_path / "a.db")
    subprocess.run(["cp", "-r", tmp_path / "a.db", tmp_path / "b.db"], check=True)
    with elanus.open(tmp_path / "a.db") as one, elanus.open(tmp_path / "b.db") as two:
        one["docs"].truncate()
        assert len(two["docs"]) == 10
    with elanus.open(tmp_path / "b.db") as two:
        assert len(two["docs"]) == 10


def test_errors_have_one_root() -> None:
    """Every error can be caught as ``elanus.ElanusError``."""
    assert issubclass(CollectionNotFound, elanus.ElanusError)
    assert elanus.ElanusError is ElanusError
