"""Breaks the files of a database in every way, and looks at what becomes of it.

Runs in a process of its own (``python -m faults.damage``), since the worst outcome is
the death of the process. Prints each case before it is tried, and failures as ``FAIL``.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elanus.app import check_database
from elanus.embedded.database import Database
from elanus.errors import ElanusError, FormatError
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from faults.workload import DIM, open_plain, vector_of

ROWS = 4_200
"""Enough for an index with a sketch."""
REGION = 4_096
REBUILD_EVERY = 8
HARMLESS = ("log/", "meta.db")
"""Files with bytes that mean nothing: padding, and pages SQLite does not use."""
Look = dict[str, Any]


def make_template(root: Path, unclosed: Path | None = None) -> None:
    """A closed database with a file of every kind, none of them trivial.

    Args:
        unclosed: where to copy it before it is closed, as a killed process leaves it.
    """
    with open_plain(root) as db:
        _fill(db)
        if unclosed is not None:
            shutil.copytree(root, unclosed)


def _fill(db: Database) -> None:
    rng = np.random.default_rng(5)
    keys = np.arange(ROWS)
    docs = db.create_collection("docs", dim=DIM, metric="L2")
    columns = {
        "id": keys,
        "value": (keys % 10).tolist(),
        "vector": rng.random((ROWS, DIM), dtype=np.float32),
    }
    docs.insert(columns)
    docs.create_index(
        index_type="HNSW", params={"M": 4, "efConstruction": 40}, name="graph"
    )
    docs.create_index("value", params={"json_cast_type": "double"})
    docs.optimize()
    docs.delete(list(range(50, 70)))
    docs.flush()
    texts = db.create_collection("texts", _text_fields(), metric="COSINE")
    texts.insert(_texts(range(40)))
    texts.flush()
    texts.delete(["k3", "k4"])
    texts.flush()
    texts.upsert(_texts(range(30, 45)))
    texts.delete(filter="tags is null")
    docs.insert({name: column[:1] for name, column in columns.items()})


def _text_fields() -> list[FieldSchema]:
    return [
        FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=10),
        FieldSchema("text", DataType.VARCHAR, max_length=100),
        FieldSchema(
            "tags",
            DataType.ARRAY,
            element_type=DataType.INT64,
            max_capacity=8,
            nullable=True,
        ),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    ]


def _texts(keys: range) -> list[dict[str, Any]]:
    return [
        {
            "id": f"k{key}",
            "text": "word " * (key % 7),
            "tags": None if key % 9 == 8 else [key, key + 1],
            "vector": vector_of(key, 0),
        }
        for key in keys
    ]


def look(db: Database) -> Look:
    """Every row and several searches, through every file."""
    docs, texts = db["docs"], db["texts"]
    near, far = np.full(DIM, 0.4, np.float32), np.eye(2, DIM, dtype=np.float32)
    params = {"ef": 200}
    return {
        "rows": docs.query(output_fields=["*"]),
        "texts": texts.query(output_fields=["*"]),
        "counts": (docs.count(), texts.count(), docs.count("value == 3")),
        "got": docs.get([7, 55, 4100]),
        "found": texts.get(["k31", "k3"]),
        "some": texts.query('text like "word%" and tags[0] > 20'),
        "near": _ranked(docs.search(near, limit=20, params=params)),
        "far": _ranked(docs.search(far, limit=5, filter="value < 2", params=params)),
        "similar": _ranked(texts.search(near, limit=5)),
    }


def _ranked(hits: Any) -> list[tuple[int, Any, float]]:
    """Hits with the score rounded: an index adds up in another order than a scan."""
    rows = hits.to_pydict()
    scores = [round(score, 4) for score in rows["score"]]
    return list(zip(rows["query"], rows["id"], scores, strict=True))


@dataclass(frozen=True)
class Damage:
    """One way to break one file."""

    file: str
    label: str
    do: Callable[[Path], None]

    @property
    def is_index(self) -> bool:
        """Whether the file can be made anew from the rows."""
        return "/indexes/" in self.file


def damages_of(name: str, size: int, per_region: int, seed: int) -> Iterator[Damage]:
    """Bit flips all over a file, truncations, an extension, and its deletion."""
    rng = random.Random(f"{seed} {name}")
    places = {0, 1, size // 2, size - 2, size - 1} | {
        min(start + rng.randrange(REGION), size - 1)
        for start in range(0, size, REGION)
        for _ in range(per_region)
    }
    for place in sorted(place for place in places if 0 <= place < size):
        bit = 1 << rng.randrange(8)
        yield Damage(name, f"flip {bit} at {place}", _flip(place, bit))
    for cut in sorted({0, 1, size // 2, max(size - REGION, 0), size - 1}):
        yield Damage(
            name, f"cut to {cut}", lambda path, cut=cut: os.truncate(path, cut)
        )
    yield Damage(name, "extend", _extend)
    yield Damage(name, "delete", lambda path: path.unlink())


def _flip(place: int, bit: int) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        with open(path, "r+b", buffering=0) as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ bit]))

    return do


def _extend(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"\x5a" * 100)


class Cases:
    """Tries damages on copies of a template."""

    def __init__(self, template: Path, scratch: Path) -> None:
        self.template = template
        self.scratch = scratch
        with open_plain(self._copy()) as db:
            db._core.background.attach_indexes()
            self.right = look(db)
        self.failures = 0
        self._index_cases = 0

    def _copy(self) -> Path:
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self.template, self.scratch)
        return self.scratch

    def before_opening(self, damage: Damage) -> None:
        """The file is broken when the database is opened."""
        root = self._copy()
        damage.do(root / damage.file)
        reported = check_reports(root)
        self._check_report(damage, reported)
        self._look_at(damage, root)

    def flipped_before_opening(self, damage: Damage) -> None:
        """As above, but no truncation: after a kill it looks like a torn end."""
        if damage.label.startswith("flip"):
            self.before_opening(damage)

    def while_open(self, damage: Damage) -> None:
        """The file is broken under a database that has read it before."""
        root = self._copy()
        db = open_plain(root)
        db._core.background.attach_indexes()
        assert look(db) == self.right
        damage.do(root / damage.file)
        self._answers(damage, db, "while open")
        if damage.is_index:
            self._is_sometimes_rebuilt(damage, db)
        elif damage.file.startswith("collections/"):
            self._writes_are_safe(damage, db)
        try:
            db.close()
        except ElanusError as error:
            self._is_named(damage, error, "closing")
        self._look_at(damage, root, "after reopening")

    def _look_at(self, damage: Damage, root: Path, when: str = "opened") -> None:
        try:
            db = open_plain(root)
        except ElanusError as error:
            self._is_named(damage, error, when)
            return
        try:
            db._core.background.attach_indexes()
            self._answers(damage, db, when)
            if damage.is_index:
                self._is_sometimes_rebuilt(damage, db)
        finally:
            db.close()

    def _answers(self, damage: Damage, db: Database, when: str) -> None:
        """Every read is right, or says which file is broken."""
        try:
            found = look(db)
        except ElanusError as error:
            if damage.is_index:
                self._fail(damage, f"{when}: an index cost the answer: {error}")
            self._is_named(damage, error, when)
            return
        for what, right in self.right.items():
            if found[what] != right:
                self._fail(damage, f"{when}: wrong answer to {what}")

    def _is_sometimes_rebuilt(self, damage: Damage, db: Database) -> None:
        """The index is made anew; looked at now and then, for it takes a while."""
        self._index_cases += 1
        if self._index_cases % REBUILD_EVERY != 1:
            return
        db["docs"].optimize()
        state = db["docs"].describe_index()[0]
        if state["state"] != "Finished" or state["pending_rows"]:
            self._fail(damage, f"the index is not built anew: {state}")
        self._answers(damage, db, "rebuilt")

    def _writes_are_safe(self, damage: Damage, db: Database) -> None:
        """A write that needs a broken file is refused; the log stays usable."""
        for name, data in (("docs", {"id": [1]}), ("texts", {"id": ["k1"]})):
            try:
                db[name].delete(data["id"])
            except ElanusError as error:
                self._is_named(damage, error, "write")
        fresh = db.create_collection("fresh", dim=DIM)
        fresh.insert({"id": [1], "vector": [[0.0] * DIM]})
        db.drop_collection("fresh")

    def _check_report(self, damage: Damage, reported: list[str]) -> None:
        if any(_names(line, damage.file) for line in reported):
            return
        if reported or not damage.file.startswith(HARMLESS):
            self._fail(damage, f"check says {reported}")

    def _is_named(self, damage: Damage, error: ElanusError, when: str) -> None:
        if not _names(str(error), damage.file):
            self._fail(damage, f"{when}: does not name the file: {error!r}")

    def _fail(self, damage: Damage, what: str) -> None:
        self.failures += 1
        _say(f"FAIL {damage.file}, {damage.label}: {what}")


def _say(line: str) -> None:
    """Out before anything else happens: the process may die of the next thing."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def check_reports(root: Path) -> list[str]:
    """What ``elanus check`` prints of a folder."""
    try:
        return check_database(root, lambda name: None)
    except FormatError as error:
        return [str(error)]


def _names(message: str, file: str) -> bool:
    """A missing log file can only be told by what is left of the log."""
    return file in message or (file.startswith("log/") and "log" in message)


def files_of(root: Path) -> dict[str, int]:
    """Name and size of every file that matters."""
    return {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("LOCK", "meta.db-journal")
    }


def main(arguments: list[str]) -> int:
    """Args: template, scratch, way, per region, seed, share, file names or none.

    With a share below 1 that part of the damages is tried, chosen by the seed, and at
    least one of each file.
    """
    template, scratch, way, per_region, seed, share, *names = arguments
    cases = Cases(Path(template), Path(scratch))
    attempt = getattr(cases, way)
    rng = random.Random(seed)
    done = 0
    for name, size in files_of(cases.template).items():
        if names and name not in names:
            continue
        damages = list(damages_of(name, size, int(per_region), int(seed)))
        sure = rng.randrange(len(damages))
        for i, damage in enumerate(damages):
            if i == sure or rng.random() < float(share):
                _say(f"{damage.file} {damage.label}")
                attempt(damage)
                done += 1
    shutil.rmtree(cases.scratch, ignore_errors=True)
    _say(f"done {done}")
    return min(cases.failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
