"""Which reads are known to be short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elanus.service.pace import SHORT_S, Pace
from elanus.service.requests import ListDatabases, Search
from service.stage import query_request, search_request, vectors

SHORT, LONG = SHORT_S / 4, SHORT_S * 20


def _search(nq: int) -> Search:
    return search_request(vectors(nq))


def test_only_what_was_short_before_is_short() -> None:
    """An unknown search, another collection and other requests are not."""
    pace, search = Pace(), _search(1)
    assert not pace.is_short(search)
    pace.note(search, SHORT)
    assert pace.is_short(search)
    assert not pace.is_short(replace(search, collection="other"))
    assert not pace.is_short(replace(search, options=replace(search.options)))
    assert not pace.is_short(ListDatabases())


def test_more_queries_take_longer() -> None:
    """Eight times the queries are not short when one took a quarter of the limit."""
    pace, one = Pace(), _search(1)
    pace.note(one, SHORT)
    assert pace.is_short(one)
    assert not pace.is_short(replace(_search(8), options=one.options))


def test_a_long_one_counts_at_once_and_fades() -> None:
    """One long search makes the next ones long, until many were short."""
    pace, search = Pace(), _search(1)
    pace.note(search, SHORT)
    pace.note(search, LONG)
    assert not pace.is_short(search)
    for _ in range(3):
        pace.note(search, SHORT)
    assert not pace.is_short(search)
    for _ in range(100):
        pace.note(search, SHORT)
    assert pace.is_short(search)


def test_it_does_not_grow_without_bound() -> None:
    """Programs that make up parameters for each search do not fill the memory."""
    pace, search = Pace(), _search(1)
    kept = [replace(search.options) for _ in range(5_000)]
    for options in kept:
        pace.note(replace(search, options=options), SHORT)
    known = sum(pace.is_short(replace(search, options=options)) for options in kept)
    assert 0 < known <= 1_024


def test_filters_for_other_values_take_as_long() -> None:
    """A row by another key, not many rows, nor those that another field chooses."""
    pace = Pace()
    one = query_request("id in [7]")
    pace.note(one, SHORT)
    assert pace.is_short(replace(one, filter="id in [9]"))
    assert not pace.is_short(replace(one, filter=f"id in {list(range(1_000))}"))
    assert not pace.is_short(replace(one, filter="topic in [7]"))
    assert not pace.is_short(replace(one, filter=""))
    assert not pace.is_short(replace(one, output_fields=("*",)))


@pytest.mark.parametrize("nq", [0, 1])
def test_a_search_by_keys_is_one_query(nq: int) -> None:
    """It has no vectors of its own."""
    pace = Pace()
    search: Search = replace(_search(nq), queries=None)
    pace.note(search, SHORT)
    assert pace.is_short(search)
