"""The same rows as collections whose segments are in every state, for filters.

A population is a native collection; what its filters must answer, its rows say. Rows
that were replaced or deleted meanwhile must not come through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import elanus
from elanus.embedded.collection import Collection
from elanus.embedded.database import Database
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType
from expr.columns import schema_of
from expr.meaning import Sample
from expr.pools import FIELDS, Maker, Row
from expr.special import iso
from model.worlds import inline_world, no_background_threads, quick_folder

STATES = ("growing", "sealed", "mixed", "compacted")


@dataclass(frozen=True)
class Population:
    """A collection in one state, and the rows that it has to show."""

    state: str
    collection: Collection
    database: Database
    rows: Sequence[Row]

    def check(self, sample: Sample) -> None:
        """Assert that a filter finds the rows of which it is true, and counts them."""
        params = dict(sample.params)
        found = self.collection.query(sample.text, filter_params=params)
        wanted = [row["id"] for row in self.rows if sample.decide(row) is True]
        assert found["id"].to_pylist() == wanted, self.state
        if "element_filter" not in sample.text:
            count = self.collection.count(sample.text, filter_params=params)
            assert count == len(wanted), self.state


def schema() -> CollectionSchema:
    """The fields of ``FIELDS``, and a vector, which a collection has to have."""
    lines = [line for line in FIELDS if not line.startswith("$meta")]
    plain = schema_of([*lines, "v FloatVector"])
    fields = []
    for field in plain.fields:
        kinds = (field.dtype, field.element_type)
        fields.append(
            replace(
                field,
                id=0,
                max_length=64 if DataType.VARCHAR in kinds else None,
                max_capacity=8 if field.dtype is DataType.ARRAY else None,
            )
        )
    structs = tuple(replace(struct, id=0) for struct in plain.structs)
    return CollectionSchema(tuple(fields), structs=structs)


def inserted(row: Row) -> dict[str, Any]:
    """A row of ``FIELDS`` as a collection takes it."""
    when = row["when"]
    return {
        **row,
        "v": [float(row["id"]), 1.0],
        "when": None if when is None else iso(when),
    }


@contextmanager
def populations(
    count: int = 120, seed: int = 0, states: Sequence[str] = STATES
) -> Iterator[list[Population]]:
    """The same ``count`` rows, drawn from ``seed``, once in each state."""
    maker = Maker(seed)
    rows, others = maker.rows(count), maker.rows(count)
    with (
        quick_folder() as folder,
        no_background_threads(),
        elanus.open(folder / "db", world=inline_world()) as database,
    ):
        yield [_populate(database, state, rows, others) for state in states]


def _populate(
    database: Database, state: str, rows: list[Row], others: list[Row]
) -> Population:
    """Older versions of some rows and rows that go come first, or in between."""
    collection = database.create_collection(state, schema(), dynamic=True)
    new, old = list(map(inserted, rows)), list(map(inserted, others))
    half = len(rows) // 2
    gone = [{**row, "id": len(rows) + row["id"]} for row in old[: half // 2]]
    collection.insert(old[:half] + gone)
    if state in ("mixed", "compacted"):
        collection.flush()
    collection.upsert(new[: half // 2])
    if state == "compacted":
        collection.flush()
    collection.upsert(new[half // 2 : half])
    collection.insert(new[half:])
    collection.delete(filter=f"id >= {len(rows)}")
    if state == "sealed":
        collection.flush()
    if state == "compacted":
        collection.compact()
    return Population(state, collection, database, rows)
