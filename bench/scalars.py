"""Filters with an index of their field and without, another literal each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bench.figures import Figure
from bench.setup import Setup
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType

FIELDS = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    FieldSchema("rank", DataType.INT64),
    FieldSchema("name", DataType.VARCHAR, max_length=32),
    FieldSchema("text", DataType.VARCHAR, max_length=128),
    FieldSchema("doc", DataType.JSON),
    FieldSchema("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4),
    FieldSchema("place", DataType.GEOMETRY),
]
INDEXES: list[tuple[str, str, dict[str, str]]] = [
    ("rank", "STL_SORT", {}),
    ("name", "TRIE", {}),
    ("text", "NGRAM", {"min_gram": "2", "max_gram": "3"}),
    ("doc", "AUTOINDEX", {"json_path": 'doc["n"]', "json_cast_type": "double"}),
    ("tags", "INVERTED", {}),
    ("place", "RTREE", {}),
]
WORDS = ("alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta", "zeta")
BATCH = 20_000


class Case(NamedTuple):
    """A filter, made anew of a number below the number of rows."""

    name: str
    text: Callable[[int, int], str]
    bar: float | None = None


def _range(share: float) -> Callable[[int, int], str]:
    return lambda n, rows: f"{n} <= rank < {n + max(1, round(rows * share))}"


CASES = [
    *(Case(f"integers, {s:.2%}", _range(s), b) for s, b in ((1e-4, 1.0), (1e-2, 1.0))),
    *(Case(f"integers, {s:.0%}", _range(s)) for s in (0.1, 0.5)),
    Case("10,000 integers in a list", lambda n, rows: f"rank in {_spread(n, 10_000)}"),
    Case("one string", lambda n, rows: f'name == "n{n:07}"', 1.0),
    Case("1,000 strings in a list", lambda n, rows: f"name in {_names(n)}"),
    Case("like 'x%'", lambda n, rows: f'name like "n{n // 10:06}%"', 1.0),
    Case("like '%x%'", lambda n, rows: f'text like "%{n:06}%"', 1.0),
    Case("a regular expression", lambda n, rows: f'text =~ "eta {n // 100:04}[0-9]"'),
    Case("a number in JSON", lambda n, rows: f'{n} <= doc["n"] < {n + 50}'),
    Case("an element", lambda n, rows: f"array_contains(tags, {n % 1000})", 1.0),
    Case("inside a polygon", lambda n, rows: f"st_within(place, '{_square(n)}')", 1.0),
]


def _spread(start: int, count: int) -> str:
    return str([start + 1000 * step for step in range(count)])


def _names(start: int) -> str:
    return "[" + ", ".join(f'"n{start + 7 * i:07}"' for i in range(1_000)) + "]"


def _square(n: int) -> str:
    x, y = n % 160 - 80, n % 70
    return f"POLYGON(({x} {y}, {x + 9} {y}, {x + 9} {y + 9}, {x} {y + 9}, {x} {y}))"


def measure(setup: Setup) -> list[Figure]:
    """How many times as quick ``count(*)`` with a filter is, and the time of both."""
    rows = setup.scale.rows
    with setup.open("scalars.db") as db:
        plain, indexed = (_filled(db, name, rows) for name in ("plain", "indexed"))
        for field, kind, params in INDEXES:
            indexed.create_index(field, index_type=kind, params=params)
        plain.optimize()
        indexed.optimize()
        return [_figure(setup, case, plain, indexed) for case in CASES]


def _filled(db: Any, name: str, rows: int) -> Any:
    docs = db.create_collection(name, FIELDS, metric="L2")
    rng = np.random.default_rng(3)
    order = rng.permutation(rows)
    for start in range(0, rows, BATCH):
        ids = np.arange(start, min(start + BATCH, rows))
        ranks = order[ids]
        words = rng.choice(WORDS, (len(ids), 4))
        xy = rng.uniform((-180, -80), (180, 80), (len(ids), 2)).round(5)
        docs.insert(
            {
                "id": ids,
                "vector": np.zeros((len(ids), 2), np.float32),
                "rank": ranks,
                "name": [f"n{rank:07}" for rank in ranks],
                "text": [
                    f"{' '.join(w)} {rank:06}"
                    for w, rank in zip(words, ranks, strict=True)
                ],
                "doc": [{"n": int(rank), "kind": "x"} for rank in ranks],
                "tags": pa.array(rng.integers(0, 1_000, (len(ids), 4)).tolist()),
                "place": [f"POINT({x} {y})" for x, y in xy],
            }
        )
    return docs


def _figure(setup: Setup, case: Case, plain: Any, indexed: Any) -> Figure:
    rows, repeats = setup.scale.rows, 10 * setup.scale.repeats
    numbers = np.random.default_rng(5).integers(0, rows * 9 // 10, repeats)
    times = []
    for docs in (plain, indexed):
        taken = []
        for number in numbers.tolist():
            text = case.text(number, rows)
            begin = time.perf_counter()
            docs.count(text)
            taken.append(time.perf_counter() - begin)
        times.append(float(np.median(taken)) * 1e6)
    return Figure(
        "scalar indexes",
        f"{case.name}: with the index",
        times[0] / times[1],
        "×",
        case.bar,
        note=f"{times[0]:,.0f} µs by a scan, {times[1]:,.0f} µs with the index",
        comparable=setup.scale.is_full,
    )
