"""Many clients at once, while what they talk about comes and goes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from elanus.errors import ElanusError
from elanus.service import requests as r
from service.stage import (
    CONTEXT,
    DEFAULT,
    Stage,
    book_columns,
    query_request,
    search_request,
    vectors,
)

ROUNDS = 3
# dropped meanwhile, not found, not loaded
EXPECTED = {2, 100, 101}


def _work() -> list[list[r.Request]]:
    """What each thread asks for, again and again."""
    iterator = r.SearchIterator(True, 5, None, "")
    return [
        [
            search_request(vectors(2), output_fields=("*",)),
            search_request(vectors(1), filter="topic < 5"),
            search_request(vectors(1), iterator=iterator),
        ],
        [
            query_request("id > 3", output_fields=("*",)),
            query_request("id > 3", output_fields=("count(*)",)),
            r.DescribeCollection(DEFAULT, "books"),
            r.ShowCollections(DEFAULT, True, ()),
        ],
        [
            r.Upsert(DEFAULT, "books", "", book_columns([1, 2, 3]), 3),
            r.Delete(DEFAULT, "books", "", "topic == 2", {}),
            r.Flush(DEFAULT, ("books",)),
        ],
    ]


def test_changes_of_what_exists_meet_typed_errors_only(stage: Stage) -> None:
    """Readers and writers see a collection, or are told that there is none."""
    stage.ready()
    over = threading.Event()
    codes: set[int] = set()
    done = [0, 0, 0]

    def loop(which: int, requests: list[r.Request]) -> Callable[[], None]:
        def run() -> None:
            while not over.is_set():
                for request in requests:
                    try:
                        stage.service.handle(request, CONTEXT)
                        done[which] += 1
                    except ElanusError as error:
                        codes.add(error.code)

        return run

    threads = [
        threading.Thread(target=loop(which, requests))
        for which, requests in enumerate(_work())
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(ROUNDS):
            stage.ask(r.RenameCollection(DEFAULT, "books", "away", ""))
            stage.ask(r.RenameCollection(DEFAULT, "away", "books", ""))
            stage.ask(r.CreatePartition(DEFAULT, "books", "p"))
            stage.ask(r.ReleaseCollection(DEFAULT, "books"))
            stage.ask(r.DropPartition(DEFAULT, "books", "p"))
            stage.ask(r.TruncateCollection(DEFAULT, "books"))
            stage.ask(r.DropCollection(DEFAULT, "books"))
            stage.ready()
            stage.insert(list(range(40)), vectors(40))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert codes <= EXPECTED
    assert all(done)
    rows = stage.count()
    stage.reopen()
    assert stage.count() == rows > 0
