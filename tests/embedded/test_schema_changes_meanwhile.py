"""Fields come and go while others write, read, flush and merge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus.app import World
from elanus.config import Settings
from elanus.embedded.database import Database
from elanus.engine.write.jobs import InlineLauncher, Job
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

DIM = 4
PAGES = FieldSchema("pages", DataType.INT64, nullable=True)
TINY = Settings(growing_bytes=20_000, index_rows=32, merge_factor=2, worker_threads=1)
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("value", DataType.INT64),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
]


def _rows(start: int, count: int, **more: int) -> dict[str, Any]:
    ids = list(range(start, start + count))
    vectors = np.array([[i, 1, 2, 3] for i in ids], np.float32)
    extra = {name: [value] * count for name, value in more.items()}
    return {"id": ids, "value": ids, "vector": vectors, **extra}


def _in_threads(*acts: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(acts)) as threads:
        for running in [threads.submit(act) for act in acts]:
            running.result()


def test_writers_and_readers_go_on(tmp_path: Path) -> None:
    """No write is lost or refused, no read fails, and the log replays to the same."""
    with elanus.open(tmp_path / "db", settings=TINY) as db:
        docs = db.create_collection("docs", FIELDS, metric="L2")
        changed = threading.Event()

        def write(start: int) -> None:
            for i in range(60):
                docs.insert(_rows(start + 5 * i, 5))

        def read() -> None:
            while not changed.is_set():
                docs.query("value >= 0", output_fields=["*"])
                docs.search([1, 1, 2, 3], limit=5, output_fields=["*"])

        def change() -> None:
            try:
                for _ in range(10):
                    docs.add_field(PAGES)
                    docs.flush()
                    docs.drop_field("pages")
                docs.add_field(PAGES)
            finally:
                changed.set()

        _in_threads(lambda: write(0), lambda: write(1000), read, change)
        found = docs.query(output_fields=["value", "pages"])
        assert found["id"].to_pylist() == [*range(300), *range(1000, 1300)]
        assert found["value"].equals(found["id"])
        assert found["pages"].null_count == 600
    with elanus.open(tmp_path / "db", settings=TINY) as db:
        assert db["docs"].query(output_fields=["value", "pages"]).equals(found)


class Interrupting(InlineLauncher):
    """Does something else in the midst of the first job."""

    act: Callable[[], None] | None = None

    def run(self, job: Job, *rest: Any) -> Mapping[str, Any]:
        """See :class:`InlineLauncher`; then the interruption."""
        result = super().run(job, *rest)
        if self.act is not None:
            act, self.act = self.act, None
            act()
        return result


@pytest.fixture
def launchers() -> list[Interrupting]:
    """The launchers that were made."""
    return []


def _open(folder: Path, launchers: list[Interrupting]) -> Database:
    def make(store: Any, root: Path) -> Interrupting:
        launchers.append(Interrupting(store))
        return launchers[-1]

    world = World(settings=TINY, make_launcher=make, background=False)
    return elanus.open(folder, world=world)


def _two_segments(db: Database) -> Any:
    docs = db.create_collection("docs", FIELDS, metric="L2")
    for start in (0, 50):
        docs.insert(_rows(start, 50))
        docs.flush()
    return docs


def test_a_merge_that_began_before_a_field_came(
    tmp_path: Path, launchers: list[Interrupting]
) -> None:
    """Its rows have the default, as those that were not merged."""
    with _open(tmp_path / "db", launchers) as db:
        docs = _two_segments(db)
        launchers[-1].act = lambda: docs.add_field(PAGES)
        docs.compact()
        docs.insert(_rows(100, 1, pages=7))
        assert docs.count("pages is null") == 100
        docs.compact()
        assert docs.query("pages == 7")["id"].to_pylist() == [100]
    with _open(tmp_path / "db", launchers) as db:
        assert db["docs"].count("pages is null") == 100


def test_a_merge_that_began_before_a_field_went(
    tmp_path: Path, launchers: list[Interrupting]
) -> None:
    """What it wrote of the field is not seen again, not by a field of its name."""
    with _open(tmp_path / "db", launchers) as db:
        docs = _two_segments(db)
        launchers[-1].act = lambda: docs.drop_field("value")
        docs.compact()
        docs.add_field(FieldSchema("value", DataType.INT64, nullable=True))
        assert docs.count("value is null") == 100
    with _open(tmp_path / "db", launchers) as db:
        assert db["docs"].count("value is null") == 100


def test_a_snapshot_outlives_its_fields(tmp_path: Path) -> None:
    """Rows of before stay readable by it when fields come and go."""
    with elanus.open(tmp_path / "db", settings=TINY) as db:
        docs = _two_segments(db)
        snapshot = docs.snapshot()
        docs.delete(list(range(90)))
        docs.add_field(PAGES)
        docs.drop_field("value")
        docs.compact()
        assert len(snapshot) == 100
        assert snapshot.query("id < 3", output_fields=["*"]).num_rows == 3
        assert snapshot.search([1, 1, 2, 3], limit=3).num_rows == 3
        assert len(docs) == 10
