"""Query iterators while another client writes, flushes and compacts: one moment each.

The writer's requests are all or nothing, and what each writes is spread over all pages:
whoever saw two moments would see a part of a request.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, MilvusClient

NAME, DIM = "things", 2
STABLE, MOVING, BORN = "stable", "moving", "born"
EACH = 40
# Keys of a kind are at equal distances over the whole range.
SPREAD = 1_000
GENERATIONS = 50


def rows_of(kind: str, number: int, first: int) -> list[dict[str, Any]]:
    """Rows of one request: a number in each of them, their keys far apart."""
    return [
        {
            "id": first + SPREAD * place,
            "kind": kind,
            "number": number,
            "vector": [float(place), 1.0],
        }
        for place in range(EACH)
    ]


def create(client: MilvusClient) -> None:
    """The collection with the rows that stay as they are and those that move."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("kind", DataType.VARCHAR, max_length=8)
    schema.add_field("number", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(NAME, schema=schema, index_params=index)
    client.insert(NAME, rows_of(STABLE, 0, first=0))
    client.insert(NAME, rows_of(MOVING, 0, first=1))
    client.insert(NAME, rows_of(BORN, 0, first=2))


class Writer:
    """Upserts, inserts and deletes until it is stopped, or fails."""

    def __init__(self, client: MilvusClient) -> None:
        self.rounds = 0
        self.began = threading.Event()
        self._client = client
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        assert self.began.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._round(self.rounds + 1)
                self.rounds += 1
                self.began.set()
        except Exception as error:  # noqa: BLE001 - raised where the test waits
            self._error = error
            self.began.set()

    def _round(self, number: int) -> None:
        client = self._client
        client.upsert(NAME, rows_of(MOVING, number, first=1))
        born = rows_of(BORN, number, first=2 + number % GENERATIONS)
        client.insert(NAME, born)
        gone = [row["id"] for row in rows_of(BORN, 0, 2 + (number - 1) % GENERATIONS)]
        client.delete(NAME, ids=gone)
        if number % 5 == 0:
            client.flush(NAME)
        if number % 10 == 0:
            client.compact(NAME)


def walked(client: MilvusClient, text: str, batch_size: int) -> list[dict[str, Any]]:
    """All rows that an iterator returns."""
    walk = client.query_iterator(
        NAME, filter=text, batch_size=batch_size, output_fields=["kind", "number"]
    )
    found: list[dict[str, Any]] = []
    while page := walk.next():
        assert len(page) <= batch_size
        found += page
    walk.close()
    return found


def check(rows: list[dict[str, Any]], least: int, most: int) -> None:
    """Whole requests only, of rounds that could be seen."""
    keys = [row["id"] for row in rows]
    assert keys == sorted(set(keys))
    counts = Counter((row["kind"], row["number"]) for row in rows)
    assert set(counts.values()) == {EACH}, counts
    assert counts[STABLE, 0] == EACH
    (moved,) = (number for kind, number in counts if kind == MOVING)
    assert least <= moved <= most + 1
    born = sorted(number for kind, number in counts if kind == BORN)
    # the newest, beside it the one before while that is not deleted yet
    assert born in ([moved], [moved - 1, moved], [moved - 1])


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[tuple[MilvusClient, MilvusClient]]:
    """One that reads and one that writes."""
    reader = elanus.MilvusClient(tmp_path / "app.db")
    writer = elanus.MilvusClient(tmp_path / "app.db")
    create(reader)
    yield reader, writer
    writer.close()
    reader.close()


def walk_often(clients: tuple[MilvusClient, MilvusClient], times: int) -> None:
    """Walks of different pages and filters while the other client writes."""
    reader, client = clients
    with Writer(client) as writer:
        for time in range(times):
            least = writer.rounds
            text = ("", "number >= 0", f'kind in ["{STABLE}", "{MOVING}", "{BORN}"]')
            rows = walked(reader, text[time % 3], batch_size=(7, 16, 50)[time % 3])
            check(rows, least, writer.rounds)


def test_a_walk_while_others_write(clients: tuple[MilvusClient, MilvusClient]) -> None:
    """Every row of its first moment once, and nothing of a later one."""
    walk_often(clients, 3)


@pytest.mark.slow
def test_many_walks(clients: tuple[MilvusClient, MilvusClient]) -> None:
    """The same for longer, so that many flushes and compactions lie in between."""
    walk_often(clients, 400)
