"""Random groups, aggregates and orders of queries, against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import DataType, MilvusClient

COUNT, NAME = 300, "things"
Row = dict[str, Any]
KEYS = ("name", "tiny", "short", "whole", "when")
NUMBERS = ("tiny", "short", "whole", "real", "twice", "id")
ORDERED = (*NUMBERS, "name")
FILTERS: dict[str, Callable[[Row], bool]] = {
    "": lambda row: True,
    "whole != 1": lambda row: row["whole"] is not None and row["whole"] != 1,
    "real >= 1.5 or name is null": lambda row: (
        row["name"] is None or (row["real"] is not None and row["real"] >= 1.5)
    ),
    "id < 0": lambda row: False,
}


def schema() -> Any:
    """Every type that can be a key, be measured or be put in order."""
    made = MilvusClient.create_schema()
    made.add_field("id", DataType.INT64, is_primary=True)
    made.add_field("vector", DataType.FLOAT_VECTOR, dim=2, nullable=True)
    made.add_field("name", DataType.VARCHAR, max_length=8, nullable=True)
    made.add_field("tiny", DataType.INT8, nullable=True)
    made.add_field("short", DataType.INT16)
    made.add_field("whole", DataType.INT64, nullable=True)
    made.add_field("real", DataType.FLOAT, nullable=True)
    made.add_field("twice", DataType.DOUBLE)
    made.add_field("flag", DataType.BOOL, nullable=True)
    made.add_field("when", DataType.TIMESTAMPTZ, nullable=True)
    return made


def rows_of(rng: np.random.Generator, keys: list[int]) -> list[Row]:
    """Few values of each field, so that groups and ties are common; nulls."""

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.15 else value

    return [
        {
            "id": key,
            "vector": maybe([float(key), 1.0]),
            "name": maybe(("", "a", "B", "ö", "zz")[int(rng.integers(5))]),
            "tiny": maybe(int(rng.integers(-3, 3))),
            "short": int(rng.integers(4)),
            "whole": maybe(int(rng.choice([1, 2, -(2**40), 2**53 + 1]))),
            "real": maybe(float(rng.integers(12)) / 4),
            "twice": float(rng.integers(-9, 9)) / 8,
            "flag": maybe(bool(rng.integers(2))),
            "when": maybe(f"2024-01-0{int(rng.integers(1, 4))}T00:00:00Z"),
        }
        for key in keys
    ]


@pytest.fixture
def things(tmp_path: Path) -> Iterator[tuple[MilvusClient, dict[str, list[Row]]]]:
    """A client, and the rows of each partition: on files, in memory, some replaced."""
    client = elanus.MilvusClient(tmp_path / "app.db")
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(NAME, schema=schema(), index_params=index)
    client.create_partition(NAME, "other")
    rng = np.random.default_rng(8)
    keys = rng.permutation(COUNT).tolist()
    held: dict[str, dict[int, Row]] = {"_default": {}, "other": {}}
    for start, partition, is_flushed in (
        (0, "_default", True),
        (100, "other", True),
        (200, "_default", False),
    ):
        rows = rows_of(rng, keys[start : start + 100])
        client.insert(NAME, rows, partition_name=partition)
        held[partition] |= {row["id"]: row for row in rows}
        if is_flushed:
            client.flush(NAME)
    again = rows_of(rng, keys[:20])
    client.upsert(NAME, again)
    held["_default"] |= {row["id"]: row for row in again}
    client.delete(NAME, ids=keys[20:35] + keys[100:110])
    for key in keys[20:35] + keys[100:110]:
        held["_default"].pop(key, None)
        held["other"].pop(key, None)
    yield client, {name: list(rows.values()) for name, rows in held.items()}
    client.close()


def aggregate_of(rows: list[Row], operator: str, field: str) -> Any:
    """One aggregate, the long way."""
    if field == "*":
        return len(rows)
    values = [row[field] for row in rows if row[field] is not None]
    if operator == "count":
        return len(values)
    if not values:
        return None
    if operator in ("min", "max"):
        best = {"min": min, "max": max}[operator]
        return best(values, key=lambda v: v.encode() if isinstance(v, str) else v)
    total = sum(values)
    return total if operator == "sum" else pytest.approx(total / len(values))


def ordered(rows: list[Row], order: list[tuple[str, bool, bool]], last: str) -> None:
    """Put rows in order by field, direction and place of nulls; then by ``last``."""
    for field, is_descending, nulls_first in reversed([*order, (last, False, False)]):
        known = [row for row in rows if row[field] is not None]
        null = [row for row in rows if row[field] is None]
        known.sort(
            key=lambda row, field=field: (
                row[field].encode() if isinstance(row[field], str) else row[field]
            ),
            reverse=is_descending,
        )
        rows[:] = null + known if nulls_first else known + null


def random_order(
    rng: np.random.Generator, fields: tuple[str, ...]
) -> tuple[list[str], list[tuple[str, bool, bool]]]:
    """Keys to order by as the client takes them, and as :func:`ordered` does."""
    texts, keys = [], []
    for field in rng.permutation(fields)[: int(rng.integers(1, 4))].tolist():
        is_descending = bool(rng.integers(2))
        nulls_first = is_descending
        text = f"{field}:{'desc' if is_descending else 'asc'}"
        if rng.random() < 0.5:
            nulls_first = bool(rng.integers(2))
            text += ":nulls_first" if nulls_first else ":nulls_last"
        texts.append(text)
        keys.append((field, is_descending, nulls_first))
    return texts, keys


class Asker:
    """Asks the client at random, and the model the same."""

    def __init__(self, client: MilvusClient, held: dict[str, list[Row]], seed: int):
        self.client, self.held = client, held
        self.rng = np.random.default_rng(seed)

    def rows(self) -> tuple[dict[str, Any], list[Row]]:
        """A filter and partitions, and the rows that they leave."""
        text = str(self.rng.choice(list(FILTERS)))
        names = ((), ("_default",), ("other",))[int(self.rng.integers(3))]
        rows = [row for name in names or self.held for row in self.held[name]]
        asked = {"filter": text, "partition_names": list(names) or None}
        return asked, [row for row in rows if FILTERS[text](row)]

    def groups(self) -> None:
        """Groups by several keys, some aggregates, perhaps in order and a page."""
        asked, rows = self.rows()
        rng = self.rng
        keys = rng.permutation(KEYS)[: int(rng.integers(0, 4))].tolist()
        calls = [("count", "*")]
        for _ in range(int(rng.integers(1, 5))):
            operator = str(rng.choice(["count", "sum", "avg", "min", "max"]))
            fields = {"count": (*ORDERED, "flag", "vector"), "min": ORDERED}
            fields["max"] = ORDERED
            calls.append((operator, str(rng.choice(fields.get(operator, NUMBERS)))))
        members: dict[Any, list[Row]] = {} if keys else {(): rows}
        for row in rows if keys else ():
            members.setdefault(tuple(row[key] for key in keys), []).append(row)
        expected = [
            dict(zip(keys, values, strict=True))
            | {f"{op}({field})": aggregate_of(group, op, field) for op, field in calls}
            for values, group in members.items()
        ]
        for key in reversed(keys):
            ordered(expected, [], key)
        if keys and rng.random() < 0.5:
            texts, order = random_order(rng, tuple(keys))
            ordered_groups(expected, order)
            asked |= {"order_by_fields": texts, "limit": 1000}
        if keys and rng.random() < 0.3:
            asked |= {"limit": 7, "offset": 2}
            expected = expected[2:9]
        names = [*keys, *(f"{op}({field})" for op, field in calls)]
        found = self.client.query(
            NAME, output_fields=names, group_by_fields=keys, **asked
        )
        assert list(found) == expected, (asked, keys, calls)

    def order(self) -> None:
        """Rows in order, a page after another."""
        asked, rows = self.rows()
        texts, order = random_order(self.rng, (*ORDERED, "flag"))
        ordered(rows, order, "id")
        size = int(self.rng.integers(20, 120))
        found: list[Row] = []
        for offset in range(0, len(rows) + 1, size):
            page = self.client.query(
                NAME,
                output_fields=["id"],
                order_by_fields=texts,
                limit=size,
                offset=offset,
                **asked,
            )
            found += list(page)
        assert [row["id"] for row in found] == [row["id"] for row in rows], texts

    def count(self) -> None:
        """``count(*)``."""
        asked, rows = self.rows()
        found = self.client.query(NAME, output_fields=["count(*)"], **asked)
        assert list(found) == [{"count(*)": len(rows)}]


def ordered_groups(groups: list[Row], order: list[tuple[str, bool, bool]]) -> None:
    """The same of groups, that stand in ascending order by their keys already."""
    for key in reversed(order):
        ordered_by_one(groups, key)


def ordered_by_one(groups: list[Row], key: tuple[str, bool, bool]) -> None:
    """Stable, also where it descends."""
    field, is_descending, nulls_first = key
    values = [group[field] for group in groups if group[field] is not None]
    ranks = {v: i for i, v in enumerate(sorted(set(values), key=_bytewise))}
    sign, null = (-1 if is_descending else 1), (-1 if nulls_first else 1) * 10**9
    groups.sort(
        key=lambda group: null if group[field] is None else sign * ranks[group[field]]
    )


def _bytewise(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def ask_often(
    client: MilvusClient, held: dict[str, list[Row]], seed: int, times: int
) -> None:
    """Questions of every kind."""
    asker = Asker(client, held, seed)
    for _ in range(times):
        asker.groups()
        asker.order()
        asker.count()


def test_random_queries(things: tuple[MilvusClient, dict[str, list[Row]]]) -> None:
    """On files and in memory, with rows replaced and deleted."""
    ask_often(*things, seed=1, times=8)


@pytest.mark.slow
def test_many_random_queries(
    things: tuple[MilvusClient, dict[str, list[Row]]],
) -> None:
    """The same often: as it is, all on files, and after the segments are merged."""
    client, _ = things
    ask_often(*things, seed=2, times=150)
    client.flush(NAME)
    ask_often(*things, seed=3, times=150)
    client.compact(NAME)
    ask_often(*things, seed=4, times=150)
