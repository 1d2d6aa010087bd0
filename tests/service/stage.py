"""A database in a folder with a service on it, and short ways to ask it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.app import OpenDatabase, World, open_database
from elanus.config import Settings
from elanus.engine.write.jobs import InlineLauncher
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn
from elanus.service import replies as a
from elanus.service import requests as r
from elanus.service.core import Core
from elanus.service.dispatch import LocalService

TINY = Settings(
    growing_bytes=12_000,
    index_rows=20,
    merge_factor=2,
    log_file_bytes=1 << 16,
    worker_threads=1,
    history_s=3600.0,
)
CONTEXT = r.RequestContext()
DEFAULT = "default"
DIM = 4
STRONG = r.Consistency(0, 0)
SCHEMA = CollectionSchema(
    (
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("topic", DataType.INT64),
        FieldSchema("title", DataType.VARCHAR, max_length=20, nullable=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    ),
    description="books",
)
SLOTS = {
    DataType.INT64: "long_data",
    DataType.VARCHAR: "string_data",
    DataType.JSON: "json_data",
    DataType.FLOAT_VECTOR: "float_vector",
}

Floats = npt.NDArray[np.float32]


def column(
    name: str, dtype: DataType, values: Any, *, slot: str | None = None
) -> r.ColumnData:
    """A column as a wire would decode it."""
    if dtype is DataType.FLOAT_VECTOR:
        held: Any = VectorColumn(np.asarray(values, np.float32))
    else:
        held = pa.array(values, dtype.row.arrow)
    is_dynamic = name == "$meta"
    sent = SLOTS[dtype] if slot is None else slot
    return r.ColumnData(name, int(dtype), sent, held, is_dynamic=is_dynamic)


def vectors(count: int, seed: int = 0) -> Floats:
    """Random rows, (count, DIM)."""
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def book_columns(ids: list[int], rows: Floats | None = None) -> tuple[Any, ...]:
    """Columns of :data:`SCHEMA`; topic is ``id % 10``, every third title is null."""
    held = vectors(len(ids)) if rows is None else rows
    return (
        column("id", DataType.INT64, ids),
        column("topic", DataType.INT64, [i % 10 for i in ids]),
        column(
            "title",
            DataType.VARCHAR,
            [None if i % 3 == 0 else f"book {i}" for i in ids],
        ),
        column("vector", DataType.FLOAT_VECTOR, held),
    )


class Stage:
    """A service on a database of its own; close it."""

    def __init__(self, folder: Path, now_ms: int | None = None) -> None:
        self.folder = folder
        self.now_ms = now_ms
        self._open()

    def _open(self) -> None:
        numbers = itertools.count(1)
        options: dict[str, Any] = {}
        if self.now_ms is not None:
            options["now_ms"] = lambda: self.now_ms
        world = World(
            settings=TINY,
            make_launcher=lambda store, root: InlineLauncher(store),
            background=False,
            seed=0,
            **options,
        )
        self._opened: OpenDatabase = open_database(self.folder, world)
        self.core = Core(self._opened.database, lambda: next(numbers))
        self.service = LocalService(self.core)

    def reopen(self) -> None:
        """Close the database and open it again."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close the database."""
        self._opened.close()
        self.service.wait()

    def ask(self, request: r.Request) -> Any:
        """The answer to a request."""
        return self.service.handle(request, CONTEXT)

    # --- short ways -----------------------------------------------------------------

    def create(
        self, name: str = "books", schema: CollectionSchema = SCHEMA, **options: Any
    ) -> None:
        """Create a collection."""
        database = options.pop("database", DEFAULT)
        self.ask(r.CreateCollection(database, name, schema, name, **options))

    def index(
        self, name: str = "books", metric: str = "L2", kind: str = "HNSW", **given: str
    ) -> None:
        """Define an index of the field ``vector``."""
        told = {"index_type": kind, "metric_type": metric, **given}
        self.ask(
            r.CreateIndex(DEFAULT, name, "vector", "", kind, metric, dict(given), told)
        )

    def load(self, name: str = "books") -> None:
        """Load a collection."""
        self.ask(r.LoadCollection(DEFAULT, name, r.LoadOptions()))

    def ready(self, name: str = "books", **options: Any) -> None:
        """Create, index and load."""
        metric = options.pop("metric", "L2")
        self.create(name, **options)
        self.index(name, metric)
        self.load(name)

    def insert(
        self, ids: list[int], rows: Floats | None = None, **options: Any
    ) -> a.Mutation:
        """Insert books."""
        return self.write(r.Insert, book_columns(ids, rows), len(ids), **options)

    def write(
        self, kind: Any, columns: tuple[Any, ...], n_rows: int, **options: Any
    ) -> a.Mutation:
        """Insert or upsert columns."""
        name = options.pop("collection", "books")
        partition = options.pop("partition", "")
        reply = self.ask(kind(DEFAULT, name, partition, columns, n_rows, **options))
        assert isinstance(reply, a.Mutation)
        return reply

    def delete(self, text: str, partition: str = "", name: str = "books") -> a.Mutation:
        """Delete by filter."""
        reply = self.ask(r.Delete(DEFAULT, name, partition, text, {}))
        assert isinstance(reply, a.Mutation)
        return reply

    def search(self, queries: Floats, limit: int = 5, **options: Any) -> a.SearchReply:
        """Search ``books``; options are those of the request and of its options."""
        reply = self.ask(search_request(queries, limit, **options))
        assert isinstance(reply, a.SearchReply)
        return reply

    def query(self, text: str = "", **options: Any) -> a.QueryReply:
        """Query ``books``; options are those of the request and of its options."""
        reply = self.ask(query_request(text, **options))
        assert isinstance(reply, a.QueryReply)
        return reply

    def count(self, text: str = "", **options: Any) -> int:
        """``count(*)``."""
        reply = self.query(text, output_fields=("count(*)",), **options)
        (only,) = reply.columns
        assert isinstance(only.values, pa.Array)
        return int(only.values[0].as_py())


def search_request(queries: Any, limit: int = 5, **options: Any) -> r.Search:
    """A search of ``books``."""
    sent = (
        r.Queries(101, np.asarray(queries, np.float32))
        if isinstance(queries, np.ndarray)
        else queries
    )
    return r.Search(
        options.pop("database", DEFAULT),
        options.pop("collection", "books"),
        options.pop("partitions", ()),
        0,
        sent,
        options.pop("filter", ""),
        options.pop("filter_params", {}),
        options.pop("output_fields", ()),
        query_keys=options.pop("query_keys", None),
        aggregation=options.pop("aggregation", None),
        consistency=options.pop("consistency", STRONG),
        options=r.SearchOptions(limit, **options),
    )


def query_request(text: str = "", **options: Any) -> r.Query:
    """A query of ``books``."""
    return r.Query(
        options.pop("database", DEFAULT),
        options.pop("collection", "books"),
        options.pop("partitions", ()),
        text,
        options.pop("filter_params", {}),
        options.pop("output_fields", ()),
        consistency=options.pop("consistency", STRONG),
        options=r.QueryOptions(**options),
    )


def by_name(columns: tuple[a.OutputColumn, ...]) -> Mapping[str, list[Any]]:
    """Columns of an answer as plain lists."""
    return {
        c.name: c.values.to_pylist()
        if isinstance(c.values, pa.Array)
        else c.values.rows.tolist()
        for c in columns
    }
