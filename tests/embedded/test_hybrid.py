"""Hybrid searches against a plain Python twin that adds number by number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus import RRF, SubSearch, Weighted
from elanus.embedded.collection import Collection
from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

DIM = 4
COUNT = 120
METRICS = {"l2": "L2", "far": "L2", "ip": "IP", "cosine": "COSINE"}
FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    *(FieldSchema(name, DataType.FLOAT_VECTOR, dim=DIM) for name in METRICS),
    FieldSchema("level", DataType.INT64, nullable=True),
]
F = np.float32


def _columns() -> dict[str, Any]:
    """Whole numbers as vectors, so that many scores are equal."""
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {
        name: rng.integers(-2, 3, (COUNT, DIM)).astype(F) for name in METRICS
    }
    columns["id"] = rng.permutation(COUNT)
    columns["level"] = [None if i % 11 == 0 else int(i) % 7 for i in columns["id"]]
    return columns


COLUMNS = _columns()
LEVEL = dict(zip(COLUMNS["id"].tolist(), COLUMNS["level"], strict=True))
QUERIES = np.random.default_rng(2).integers(-2, 3, (3, DIM)).astype(F) + F(0.25)


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Collection]:
    """The rows in two segments, one on files, one in memory."""
    with elanus.open(tmp_path / "db") as db:
        things = db.create_collection("things", FIELDS)
        for name, metric in METRICS.items():
            things.create_index(name, index_type="FLAT", metric=metric)
        things.insert({name: column[:70] for name, column in COLUMNS.items()})
        things.flush()
        things.insert({name: column[70:] for name, column in COLUMNS.items()})
        yield things


def normed(score: np.float32, metric: str) -> np.float32:
    """A score between 0 and 1, larger being better, one float32 at a time."""
    turn = F(math.atan(float(score)))
    if metric == "COSINE":
        return F((F(1) + score) * F(0.5))
    if metric == "IP":
        return F(F(0.5) + turn / F(math.pi))
    return F(F(1) - F(2) * turn / F(math.pi))


def fused(
    paths: list[tuple[str, list[tuple[int, np.float32]]]], ranker: RRF | Weighted
) -> tuple[list[tuple[int, np.float32]], bool]:
    """Rows with scores, best first, of (field, rows with scores) of each search."""
    metrics = [METRICS[name] for name, _ in paths]
    is_raw = isinstance(ranker, Weighted) and not ranker.norm_score
    is_ascending = is_raw and set(metrics) == {"L2"}
    total: dict[int, np.float32] = {}
    for path, (name, rows) in enumerate(paths):
        for rank, (key, score) in enumerate(rows, 1):
            if isinstance(ranker, RRF):
                part = F(F(1) / (F(ranker.k) + F(rank)))
            elif is_ascending or (is_raw and METRICS[name] != "L2"):
                part = F(F(ranker.weights[path]) * score)
            else:
                part = F(F(ranker.weights[path]) * normed(score, METRICS[name]))
            total[key] = F(total.get(key, F(0)) + part)
    sign = 1 if is_ascending else -1
    ranked = sorted(total.items(), key=lambda row: (sign * row[1], row[0]))
    return ranked, is_ascending


def rows_for(table: Any, query: int) -> list[tuple[int, np.float32]]:
    """Keys with scores of one query."""
    mine = table.filter(np.array(table["query"]) == query)
    return [
        (key, F(score))
        for key, score in zip(
            mine["id"].to_pylist(), mine["score"].to_pylist(), strict=True
        )
    ]


RANKERS = [
    RRF(),
    RRF(1),
    Weighted((0.3, 0.9)),
    Weighted((0.3, 0.9), norm_score=False),
    Weighted((0.0, 1.0), norm_score=False),
]
PAIRS = [("l2", "far"), ("l2", "ip"), ("ip", "cosine"), ("cosine", "far"), ("ip", "ip")]


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("fields", PAIRS)
def test_scores_are_those_of_the_twin(
    things: Collection, ranker: RRF | Weighted, fields: tuple[str, str]
) -> None:
    """Bit by bit, ties by key, for every pair of metrics, limits of its own each."""
    filters, sizes = ("", "id < 90"), (30, 45)
    alone = [
        things.search(QUERIES, field=name, filter=text, limit=size)
        for name, text, size in zip(fields, filters, sizes, strict=True)
    ]
    searches = [
        SubSearch(QUERIES, name, size, text)
        for name, text, size in zip(fields, filters, sizes, strict=True)
    ]
    found = things.hybrid_search(searches, ranker=ranker, limit=20, offset=3)
    for query in range(len(QUERIES)):
        paths = [
            (name, rows_for(table, query))
            for name, table in zip(fields, alone, strict=True)
        ]
        assert rows_for(found, query) == fused(paths, ranker)[0][3:23]


@pytest.mark.parametrize("scorer", ["max", "sum", "avg"])
@pytest.mark.parametrize("fields", PAIRS)
@pytest.mark.parametrize("ranker", RANKERS)
def test_groups_are_ranked_by_their_rows(
    things: Collection, scorer: str, fields: tuple[str, str], ranker: RRF | Weighted
) -> None:
    """Best rows of a group first; equal groups by size, then by first key."""
    options: Any = {"group_by": "level", "group_size": 3}
    alone = [things.search(QUERIES, field=name, limit=5, **options) for name in fields]
    searches = [SubSearch(QUERIES, name, 5) for name in fields]
    found = things.hybrid_search(
        searches, ranker=ranker, limit=4, offset=1, group_scorer=scorer, **options
    )
    for query in range(len(QUERIES)):
        paths = [
            (name, rows_for(table, query))
            for name, table in zip(fields, alone, strict=True)
        ]
        ranked, is_ascending = fused(paths, ranker)
        groups: dict[Any, list[tuple[int, np.float32]]] = {}
        for key, score in ranked:
            members = groups.setdefault(LEVEL[key], [])
            if len(members) < 3:
                members.append((key, score))
        sign = 1 if is_ascending else -1

        def order(members: Any, sign: int = sign) -> Any:
            scores = [score for _, score in members]
            total = F(0)
            for score in scores:
                total = F(total + score)
            mean = F(total / F(len(scores)))
            value = {"max": scores[0], "sum": total, "avg": mean}[scorer]
            return sign * value, -len(scores), members[0][0]

        best = sorted(groups.values(), key=order)[1:5]
        assert rows_for(found, query) == [row for group in best for row in group]


def test_one_search_keeps_its_order(things: Collection) -> None:
    """RRF of one search alone ranks as that search does."""
    found = things.hybrid_search([SubSearch(QUERIES[0], "ip", 10)], limit=10)
    plain = things.search(QUERIES[0], field="ip", limit=10)
    assert found["id"].to_pylist() == plain["id"].to_pylist()


def test_the_overall_limit_counts_where_a_search_has_none(things: Collection) -> None:
    """Each search then places limit + offset rows."""
    searches = [SubSearch(QUERIES[0], name) for name in ("l2", "ip")]
    explicit = [SubSearch(QUERIES[0], name, 12) for name in ("l2", "ip")]
    found = things.hybrid_search(searches, limit=8, offset=4, output_fields=["level"])
    same = things.hybrid_search(explicit, limit=8, offset=4, output_fields=["level"])
    assert found.equals(same)
    assert found["level"].to_pylist() == [LEVEL[key] for key in found["id"].to_pylist()]


def test_nothing_found_is_an_empty_answer(things: Collection) -> None:
    """With groups and without."""
    searches = [SubSearch(QUERIES, name, filter="id < 0") for name in ("l2", "ip")]
    assert things.hybrid_search(searches).num_rows == 0
    assert things.hybrid_search(searches, group_by="level").num_rows == 0


@pytest.mark.parametrize(
    ("ranker", "message"),
    [
        (RRF(0), "The rank params k should be in range"),
        (RRF(16384), "The rank params k should be in range"),
        (RRF("a"), "the type of rank param k should be float"),  # type: ignore[arg-type]
        (Weighted((0.1, 2)), "rank param weight should be in range"),
        (
            Weighted((0.2, 0.4, 0.8)),
            r"the length of weights param mismatch with ann search requests: "
            r"invalid parameter\[expected=2\]\[actual=3\]",
        ),
    ],
)
def test_rankers_that_do_not_fit_are_refused(
    things: Collection, ranker: Any, message: str
) -> None:
    """With Milvus' text."""
    searches = [SubSearch(QUERIES, name) for name in ("l2", "ip")]
    with pytest.raises(InvalidParameter, match=message):
        things.hybrid_search(searches, ranker=ranker)


def test_searches_that_do_not_fit_are_refused(things: Collection) -> None:
    """No search, different numbers of queries, an unknown scorer, a bad window."""
    one, three = SubSearch(QUERIES[0], "l2"), SubSearch(QUERIES, "ip")
    with pytest.raises(InvalidParameter, match="1 to 1024 searches"):
        things.hybrid_search([])
    with pytest.raises(InvalidParameter, match="nq should be the same"):
        things.hybrid_search([one, three])
    with pytest.raises(InvalidParameter, match="only support max, sum, avg"):
        things.hybrid_search([one], group_by="level", group_scorer="min")
    with pytest.raises(InvalidParameter, match=r"topk \[0\] is invalid"):
        things.hybrid_search([one], limit=0)
