"""What a collection should hold: a plain list of rows, newest last.

The rules, in a few lines: an insert adds rows, also of keys that exist; an upsert
deletes every row of its keys first, in all partitions; reads show the newest row of a
key among the partitions read; counts count every row that is not deleted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

DIM = 4
Key = int | str
Values = dict[str, Any]
Test = Callable[[Values], bool]

SCALARS = ("owner", "topic", "level", "label", "price", "flag", "info", "tags", "color")
REQUIRED = {"vector", "owner", "topic", "flag", "tags"}
# What a new row holds of the fields that are not given.
ABSENT = {"level": None, "label": "none", "price": None, "info": None, "color": None}
CAPACITY = 8
STORED = tuple(name for name in SCALARS if name != "color")


def schema_of(key_type: DataType) -> CollectionSchema:
    """One field of every kind; ``color`` goes into the dynamic field.

    Where keys are texts, rows may lack a vector.
    """
    length = 64 if key_type is DataType.VARCHAR else None
    no_vector = key_type is DataType.VARCHAR
    return CollectionSchema(
        (
            FieldSchema("id", key_type, is_primary=True, max_length=length),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM, nullable=no_vector),
            FieldSchema("owner", DataType.INT16),
            FieldSchema("topic", DataType.INT64),
            FieldSchema("level", DataType.INT8, nullable=True),
            FieldSchema("label", DataType.VARCHAR, default="none", max_length=32),
            FieldSchema("price", DataType.DOUBLE, nullable=True),
            FieldSchema("flag", DataType.BOOL),
            FieldSchema("info", DataType.JSON, nullable=True),
            FieldSchema(
                "tags",
                DataType.ARRAY,
                element_type=DataType.INT64,
                max_capacity=CAPACITY,
            ),
        )
    )


@dataclass(frozen=True, eq=False)
class Row:
    """One row; ``values`` holds every field but key and vector, ``color`` included."""

    key: Key
    partition: str
    order: int
    vector: np.ndarray[Any, Any] | None
    values: Values


@dataclass(frozen=True, eq=False)
class Update:
    """A partial update: of ``rows``, only the fields in ``names`` are given.

    Attributes:
        partition: where it reads and writes; empty to read everywhere.
        tags_op: what happens to ``tags``; empty to replace them.
    """

    rows: list[Row]
    names: tuple[str, ...]
    partition: str = ""
    tags_op: str = ""


@dataclass(frozen=True)
class Filter:
    """An expression and what it means; without text every row passes."""

    text: str = ""
    passes: Test = lambda values: True


@dataclass
class Oracle:
    """The rows of one collection. Cheap to copy: rows never change."""

    rows: list[Row] = field(default_factory=list)
    partitions: set[str] = field(default_factory=lambda: {"_default"})
    counter: Iterator[int] = field(default_factory=itertools.count)

    def copy(self) -> Oracle:
        """The same rows, unmoved by later writes."""
        return Oracle(list(self.rows), set(self.partitions), self.counter)

    def insert(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self.rows += rows

    def upsert(self, rows: Sequence[Row]) -> None:
        """Replace every row of these keys."""
        self.delete([row.key for row in rows])
        self.rows += rows

    def updated(self, update: Update) -> list[Row] | None:
        """The rows that a partial update leads to; ``None`` where it is refused."""
        partitions = [update.partition] if update.partition else []
        newest = {row.key: row for row in self.visible(partitions=partitions)}
        rows = []
        for given in update.rows:
            old = newest.get(given.key)
            if old is None and not set(update.names) >= required_of(given.key):
                return None
            row = self._changed(update, given, old)
            if len(row.values["tags"]) > CAPACITY:
                return None
            rows.append(row)
        return rows

    def _changed(self, update: Update, given: Row, old: Row | None) -> Row:
        values = dict(ABSENT) if old is None else dict(old.values)
        for name in set(update.names) - {"vector"}:
            value = given.values[name]
            if name == "tags" and update.tags_op and old is not None:
                kept = old.values["tags"]
                if update.tags_op == "ARRAY_APPEND":
                    value = kept + value
                else:
                    value = [tag for tag in kept if tag not in value]
            if name == "color" and value is None:
                continue  # a key that a row does not name
            values[name] = value
        kept_vector = None if old is None else old.vector
        return Row(
            given.key,
            update.partition or "_default",
            given.order,
            given.vector if "vector" in update.names else kept_vector,
            values,
        )

    def delete(self, keys: Iterable[Key], partitions: Sequence[str] = ()) -> int:
        """Delete every row of these keys; returns how many went."""
        gone, before = set(keys), len(self.rows)
        self.rows = [
            row
            for row in self.rows
            if row.key not in gone or (partitions and row.partition not in partitions)
        ]
        return before - len(self.rows)

    def truncate(self) -> None:
        """Remove every row."""
        self.rows = []

    def drop_partition(self, name: str) -> None:
        """Remove a partition and its rows."""
        self.partitions.discard(name)
        self.rows = [row for row in self.rows if row.partition != name]

    def within(self, partitions: Sequence[str]) -> list[Row]:
        """All rows of these partitions; of all partitions when none is named."""
        return [r for r in self.rows if not partitions or r.partition in partitions]

    def visible(
        self, where: Filter = Filter(), partitions: Sequence[str] = ()
    ) -> list[Row]:
        """The newest row of each key that a filter lets pass, ascending by key."""
        newest: dict[Key, Row] = {}
        for row in self.within(partitions):  # later rows are newer
            newest[row.key] = row
        rows = [r for r in newest.values() if where.passes(_named(r))]
        return sorted(rows, key=lambda row: row.key)

    def count(self, where: Filter = Filter(), partitions: Sequence[str] = ()) -> int:
        """Every row that a filter lets pass, older rows of a key included."""
        return sum(where.passes(_named(r)) for r in self.within(partitions))


def required_of(key: Key) -> set[str]:
    """Fields that a new row must have, besides its key."""
    return set(REQUIRED) - {"vector"} if isinstance(key, str) else set(REQUIRED)


def _named(row: Row) -> Values:
    return {"id": row.key, **row.values}


def scores(metric: str, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The metric's own score of each vector, float64; computed the long way."""
    matrix, wanted = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        result: np.ndarray = ((matrix - wanted) ** 2).sum(axis=1)
        return result
    products = matrix @ wanted
    if metric == "IP":
        return products
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(wanted)
    return products / lengths
