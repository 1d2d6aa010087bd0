"""The driver's database behind pymilvus' own client, wherever that leads.

:class:`RemoteCollection` has the methods of ``elanus.embedded`` that the harness calls,
so that the same driver and the same comparisons run over a socket.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pymilvus import MilvusClient, MilvusException

from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from model.harness import INDEXES, Harness, Pinned, assert_rows
from model.oracle import Filter, Key, Row, schema_of

MOST = 16_384
NO_INDEX = "FLAT"  # a served collection needs one to be loaded
TYPES = {
    "id": None,
    "vector": pa.list_(pa.float32()),
    "owner": pa.int64(),
    "topic": pa.int64(),
    "level": pa.int64(),
    "label": pa.string(),
    "price": pa.float64(),
    "flag": pa.bool_(),
    "info": pa.string(),
    "tags": pa.list_(pa.int64()),
    "$meta": pa.string(),
    "color": pa.string(),
}


class Place(Protocol):
    """Where a client's calls are answered."""

    path: Path
    client: MilvusClient

    def reopen(self) -> None:
        """Have the owner of the folder end in peace, and another follow."""
        ...

    def crash(self) -> None:
        """Kill the owner of the folder, and have another follow."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


class RemoteDatabase:
    """What the harness asks of a database."""

    def __init__(self, place: Place, schema: CollectionSchema, metric: str) -> None:
        self.place = place
        self._schema = schema
        self._metric = metric

    @property
    def path(self) -> Path:
        """The folder."""
        return self.place.path

    def __getitem__(self, name: str) -> RemoteCollection:
        return RemoteCollection(self.place, name, self._schema, self._metric)

    def __contains__(self, name: str) -> bool:
        return bool(self.place.client.has_collection(name))

    def create_collection(
        self, name: str, schema: CollectionSchema, *, metric: str, dynamic: bool
    ) -> None:
        """Create, index and load a collection."""
        client = self.place.client
        wanted = client.create_schema(enable_dynamic_field=dynamic)
        for field in schema.fields:
            wanted.add_field(**_field_arguments(field))
        client.create_collection(name, schema=wanted)
        self[name].create_index("vector", index_type=NO_INDEX, params={})

    def drop_collection(self, name: str) -> None:
        """Drop it."""
        self.place.client.drop_collection(name)

    def rename_collection(self, name: str, target: str) -> None:
        """Give it another name."""
        self.place.client.rename_collection(name, target)


def _field_arguments(field: FieldSchema) -> dict[str, Any]:
    given: dict[str, Any] = {
        "field_name": field.name,
        "datatype": int(field.dtype.value),
        "is_primary": field.is_primary or None,
        "nullable": field.nullable or None,
        "max_length": field.max_length,
        "dim": field.dim,
        "max_capacity": field.max_capacity,
        "default_value": field.default,
    }
    if field.element_type is not None:
        given["element_type"] = int(field.element_type.value)
    return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class RemoteCollection:
    """What the harness asks of a collection."""

    place: Place
    name: str
    schema: CollectionSchema
    metric: str

    @property
    def client(self) -> MilvusClient:
        """The one of the moment: it may be another after a crash."""
        return self.place.client

    # --- writing ----------------------------------------------------------------------

    def insert(self, columns: dict[str, Any], *, partition: str) -> pa.Array:
        """The keys that were inserted."""
        rows = rows_of(columns)
        answer = self.client.insert(self.name, rows, partition_name=partition)
        return pa.array(list(answer["ids"]))

    def upsert(
        self,
        columns: dict[str, Any],
        *,
        partition: str,
        partial: bool = False,
        field_ops: dict[str, str] | None = None,
    ) -> None:
        """Replace rows, or some of their fields."""
        rows = rows_of(columns)
        ops = {name: op.lower() for name, op in (field_ops or {}).items()}
        answer = self.client.upsert(
            self.name,
            rows,
            partition_name=partition,
            partial_update=partial,
            field_ops=ops or None,
        )
        assert answer["upsert_count"] == len(rows)

    def delete(
        self,
        keys: Sequence[Key] | None = None,
        *,
        filter: str = "",
        partitions: Sequence[str] = (),
    ) -> int:
        """The number that the server tells: of keys asked for, or of rows deleted."""
        where = {"filter": filter} if keys is None else {"ids": list(keys)}
        limits = {"partition_name": partitions[0]} if partitions else {}
        return int(
            self.client.delete(self.name, **where, **limits).get("delete_count", 0)
        )

    def truncate(self) -> None:
        """Remove every row."""
        self.client.truncate_collection(self.name)

    # --- definitions and upkeep -------------------------------------------------------

    def create_partition(self, name: str) -> None:
        """Add a partition."""
        self.client.create_partition(self.name, name)

    def drop_partition(self, name: str) -> None:
        """It has to be released first."""
        self.client.release_partitions(self.name, [name])
        self.client.drop_partition(self.name, name)

    def create_index(
        self, field: str, *, index_type: str, params: dict[str, Any]
    ) -> None:
        """Create an index and load the collection."""
        wanted = self.client.prepare_index_params()
        wanted.add_index(
            field, index_type=index_type, metric_type=self.metric, params=params
        )
        # With sync it waits half a second before it first looks.
        self.client.create_index(self.name, wanted, sync=False)
        self.client.load_collection(self.name)

    def drop_index(self, field: str) -> None:
        """Drop it, for which the collection has to be released first."""
        self.client.release_collection(self.name)
        self.client.drop_index(self.name, field)

    def flush(self) -> None:
        """Write rows to files."""
        self.client.flush(self.name)

    def compact(self) -> None:
        """Merge segments, and wait for it."""
        job = self.client.compact(self.name)
        conn = self.client._get_connection()
        if self.client.get_compaction_state(job) != "Completed":
            conn.wait_for_compaction_completed(job)

    def optimize(self) -> None:
        """Merge segments and wait for the indexes."""
        self.flush()
        self.compact()
        conn = self.client._get_connection()
        conn.wait_for_creating_index(self.name, "vector")

    def describe_index(self) -> list[dict[str, Any]]:
        """The indexes, as the server describes them."""
        names = self.client.list_indexes(self.name)
        return [self.client.describe_index(self.name, name) for name in names]

    def stats(self) -> dict[str, Any]:
        """What the server counts."""
        return dict(self.client.get_collection_stats(self.name))

    # --- reading ----------------------------------------------------------------------

    def count(self, where: str = "", partitions: Sequence[str] = ()) -> int:
        """Every row that a filter lets pass."""
        found = self.client.query(
            self.name,
            filter=where,
            output_fields=["count(*)"],
            partition_names=list(partitions) or None,
        )
        return int(found[0]["count(*)"])

    def __len__(self) -> int:
        return self.count()

    def query(
        self,
        where: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        output_fields: Sequence[str] = ("id",),
        partitions: Sequence[str] = (),
    ) -> pa.Table:
        """The rows that a filter lets pass."""
        if limit is None and not where:
            limit = MOST - offset
        found = self.client.query(
            self.name,
            filter=where,
            output_fields=list(output_fields),
            partition_names=list(partitions) or None,
            **({} if limit is None else {"limit": limit, "offset": offset}),
        )
        return self._table(found)

    def get(self, keys: Sequence[Key], *, partitions: Sequence[str] = ()) -> pa.Table:
        """Rows by key."""
        wanted = keys if isinstance(keys, list) else [keys]
        found = self.client.get(
            self.name,
            wanted,
            output_fields=["*", "color"],
            partition_names=list(partitions) or None,
        )
        return self._table(found)

    def search(
        self,
        queries: np.ndarray[Any, Any],
        *,
        limit: int,
        offset: int,
        filter: str,
        partitions: Sequence[str] | None,
        params: dict[str, Any],
        output_fields: Sequence[str],
    ) -> pa.Table:
        """The nearest rows to each query."""
        found = self.client.search(
            self.name,
            list(queries),
            filter=filter,
            limit=limit,
            output_fields=list(output_fields),
            search_params={"params": params, "offset": offset},
            partition_names=partitions,
        )
        rows = [
            {
                **hit["entity"],
                "id": hit["id"],
                "score": hit["distance"],
                "query": number,
            }
            for number, hits in enumerate(found)
            for hit in hits
        ]
        return self._table(rows, score=pa.float32(), query=pa.int64())

    def iterate(
        self,
        where: str,
        *,
        batch_size: int,
        output_fields: Sequence[str],
        partitions: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Batches of the rows that a filter lets pass."""
        pages = self.client.query_iterator(
            self.name,
            batch_size=batch_size,
            filter=where,
            output_fields=list(output_fields),
            partition_names=list(partitions) or None,
        )
        yield from batches(pages, self._picked)

    def _picked(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        key = [row["id"] for row in rows]
        return pa.table({"id": key, "topic": [row["topic"] for row in rows]})

    def _table(self, rows: Sequence[dict[str, Any]], **more: pa.DataType) -> pa.Table:
        return table_of(rows, {"id": self._key_type, **more})

    @property
    def _key_type(self) -> pa.DataType:
        is_text = self.schema.primary.dtype is DataType.VARCHAR
        return pa.string() if is_text else pa.int64()


def batches(pages: Any, make: Any) -> Iterator[pa.Table]:
    """Everything that an iterator of the client has left."""
    while rows := pages.next():
        yield make(rows)
    pages.close()


def rows_of(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns as the client's rows; a color that a row has not is left out."""
    rows = []
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        if row.get("color", "") is None:
            del row["color"]
        rows.append(row)
    return rows


def table_of(rows: Sequence[dict[str, Any]], types: dict[str, pa.DataType]) -> pa.Table:
    """The client's rows as a table like those of ``elanus.embedded``."""
    known = {**TYPES, **types}
    shown = rows[0] if rows else {}
    names = [name for name in known if name in types or name in shown]
    columns: dict[str, list[Any]] = {n: [row.get(n) for row in rows] for n in names}
    if "info" in columns:
        info = columns["info"]
        columns["info"] = [None if v is None else json.dumps(v) for v in info]
        colors = [row.get("color") for row in rows]
        columns["$meta"] = [json.dumps({"color": c} if c else {}) for c in colors]
        columns["color"] = colors
    return pa.table(
        {n: pa.array(values, known.get(n)) for n, values in columns.items()}
    )


@dataclass
class RemoteHarness(Harness):
    """The harness over a client.

    A snapshot is an iterator here: begun at one moment, read to its end at another.

    Attributes:
        joins: whether the collection is there already.
    """

    refusal = MilvusException

    place: Place | None = None
    joins: bool = False

    def __post_init__(self) -> None:
        self.iterators: list[tuple[Any, list[Row]]] = []
        schema = schema_of(self.key_type)
        self.db = RemoteDatabase(  # type: ignore[assignment]
            self.place_, schema, self.metric
        )
        if not self.joins:
            self.create()

    def shared_with(self, scope: Filter) -> Harness:
        """As ever, with iterators of its own."""
        mine = super().shared_with(scope)
        assert isinstance(mine, RemoteHarness)
        mine.iterators = []
        return mine

    def delete_keys(self, keys: list[Key], partitions: Sequence[str] = ()) -> None:
        """Delete by key; the server answers how many keys it was given."""
        told = self.collection.delete(keys, partitions=list(partitions))
        assert told in (len(keys), len(set(keys)))
        self.oracle.delete(keys, partitions)

    def delete_where(self, where: Filter, partitions: Sequence[str] = ()) -> None:
        """As ever; a filter that names keys is a delete by key."""
        keys = [row.key for row in self.oracle.visible(where, partitions)]
        told = self.collection.delete(filter=where.text, partitions=list(partitions))
        gone = self.oracle.delete(keys, partitions)
        assert told == gone or "id in [" in where.text or "id == " in where.text

    def define_index(self, kind: str) -> None:
        """Replace the index by one of another kind."""
        self.collection.drop_index("vector")
        self.collection.create_index("vector", index_type=kind, params=INDEXES[kind])
        self.index = kind

    def drop_index(self) -> None:
        """Search exactly from now on."""
        self.collection.drop_index("vector")
        self.collection.create_index("vector", index_type=NO_INDEX, params={})
        self.index = ""

    def create(self) -> None:
        """As ever; iterators end with the collection."""
        self.iterators.clear()
        super().create()

    def drop(self) -> None:
        """Drop the collection and create it again, empty."""
        self.db.drop_collection(self.name)
        assert self.name not in self.db
        self.create()

    def rename(self) -> None:
        """As ever; an iterator asks for the collection by its name."""
        self.iterators.clear()
        super().rename()

    def truncate(self) -> None:
        """As ever; moments before it cannot be read any more."""
        self.iterators.clear()
        super().truncate()

    def drop_partition(self, name: str) -> None:
        """As ever; moments before it cannot be read any more."""
        self.iterators.clear()
        super().drop_partition(name)

    def pin(self) -> None:
        """Begin to iterate."""
        pages = self.place_.client.query_iterator(
            self.name, batch_size=5, filter=self.scope.text, output_fields=["*"]
        )
        self.iterators.append((pages, self.oracle.visible(self.scope)))
        del self.iterators[:-3]

    def note_moment(self) -> None:
        """Moments are iterators here."""
        self.pin()

    def past(self) -> list[Pinned]:
        """Nothing; what iterators show is compared by :meth:`compare_all`."""
        return []

    def compare_all(self, rng: np.random.Generator, where: Filter) -> None:
        """As ever; now and then an iterator is read to its end."""
        super().compare_all(rng, where)
        if self.iterators and rng.random() < 0.5:
            pages, expected = self.iterators.pop(0)
            key_type = self.collection._key_type  # type: ignore[attr-defined]
            tables = list(batches(pages, lambda r: table_of(r, {"id": key_type})))
            if tables or expected:
                found = pa.concat_tables(tables, promote_options="default")
                assert_rows(found.sort_by("id"), expected)

    def reopen(self) -> None:
        """The owner ends, and another follows; iterators end with their client."""
        client = self.place_.client
        self.place_.reopen()
        if self.place_.client is not client:
            self.iterators.clear()

    def crash(self) -> None:
        """The owner is killed, and another follows."""
        self.place_.crash()

    def close(self) -> None:
        """End every process."""
        self.place_.close()

    @property
    def place_(self) -> Place:
        """The place, which is always there."""
        assert self.place is not None
        return self.place
