"""A scripted life of a database, what it must hold after each step, and how to look.

Rows are made from their key and a number, so that a wrong row shows as a wrong value.
The model is a plain list of rows in the order they were written.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import elanus
from elanus.app import World
from elanus.config import Settings
from elanus.embedded.database import Database
from elanus.engine.write.jobs import InlineLauncher
from elanus.engine.write.recovery import named_folders
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.storage.files import FileStore, LocalFileStore

DIM = 4
DEFAULT = "_default"
TINY = Settings(
    growing_bytes=5_000,
    index_rows=16,
    merge_factor=2,
    log_file_bytes=4_096,
    worker_threads=1,
    flush_age_s=1e9,
)

Row = tuple[int, int, str]
"""Key number, value and partition."""
Numbers = Sequence[int]


@dataclass
class Table:
    """What one collection must hold."""

    is_text: bool
    partitions: set[str] = field(default_factory=lambda: {DEFAULT})
    rows: list[Row] = field(default_factory=list)
    index: str | None = None

    def shown(self, partition: str | None = None) -> list[Row]:
        """The newest row of each key, by key."""
        newest = {r[0]: r for r in self.rows if partition in (None, r[2])}
        return sorted(newest.values())


Model = dict[str, Table]
Act = Callable[[Database], object]
Change = Callable[[Model], object]


@dataclass(frozen=True)
class Operation:
    """Something done to the database, and to the model."""

    name: str
    act: Act
    change: Change = lambda model: None

    def after(self, model: Model) -> Model:
        """The model when it is done; the given one stays."""
        changed = copy.deepcopy(model)
        self.change(changed)
        return changed


def plain_world(
    make_store: Callable[[Path, bool], FileStore] | None = None,
    on_meta_step: Callable[[str], None] | None = None,
    settings: Settings = TINY,
) -> World:
    """A world in which nothing happens by itself, and all can be repeated."""
    numbers = iter(range(1, 1 << 62))
    clock = iter(range(1_700_000_000_000, 1 << 62))
    return World(
        settings=settings,
        now_ms=lambda: next(clock),
        make_store=make_store
        or (lambda root, read_only: LocalFileStore(root, read_only=read_only)),
        make_launcher=lambda store, root: InlineLauncher(store),
        on_meta_step=on_meta_step,
        background=False,
        random_id=lambda: next(numbers) * 0x9E3779B97F4A7C15 % (1 << 64),
        seed=1,
    )


def abandon(db: Database) -> None:
    """Leave the database as the death of its process does."""
    db._core.node.meta.close()
    db._opened.lock.release()


# --- operations -------------------------------------------------------------------


@functools.cache
def vector_of(key: int, value: int) -> np.ndarray[Any, Any]:
    """The vector of a row, (DIM,) float32."""
    rng = np.random.default_rng([key, value])
    return rng.random(DIM, dtype=np.float32)


def columns_of(keys: Numbers, value: int, *, is_text: bool) -> dict[str, Any]:
    """Rows of these keys, all with one value."""
    return {
        "id": [f"k{key:05}" for key in keys] if is_text else list(keys),
        "value": np.full(len(keys), value, np.int64),
        "vector": np.stack([vector_of(key, value) for key in keys]),
    }


def create(name: str, *, is_text: bool = False) -> Operation:
    """Create a collection."""
    primary = FieldSchema(
        "id",
        DataType.VARCHAR if is_text else DataType.INT64,
        is_primary=True,
        max_length=20 if is_text else None,
    )
    fields = [
        primary,
        FieldSchema("value", DataType.INT64),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    ]

    def act(db: Database) -> None:
        db.create_collection(name, fields, metric="L2")

    return Operation(f"create {name}", act, lambda m: m.update({name: Table(is_text)}))


def insert(
    name: str,
    keys: Numbers,
    value: int,
    partition: str = DEFAULT,
    *,
    text: bool = False,
) -> Operation:
    """Insert rows, repeated keys among them if so asked."""
    data = columns_of(keys, value, is_text=text)
    return Operation(
        f"insert {name} {keys} into {partition}",
        lambda db: db[name].insert(data, partition=partition),
        lambda m: m[name].rows.extend((key, value, partition) for key in keys),
    )


def upsert(
    name: str,
    keys: Numbers,
    value: int,
    partition: str = DEFAULT,
    *,
    text: bool = False,
) -> Operation:
    """Replace rows."""
    data = columns_of(keys, value, is_text=text)

    def change(model: Model) -> None:
        kept = [row for row in model[name].rows if row[0] not in set(keys)]
        model[name].rows = kept + [(key, value, partition) for key in keys]

    return Operation(
        f"upsert {name} {keys} into {partition}",
        lambda db: db[name].upsert(data, partition=partition),
        change,
    )


def update(name: str, keys: Numbers, value: int) -> Operation:
    """Give the vectors of rows that have this value; the value has to stay."""
    data = columns_of(keys, value, is_text=False)
    del data["value"]

    def change(model: Model) -> None:
        kept = [row for row in model[name].rows if row[0] not in set(keys)]
        model[name].rows = kept + [(key, value, DEFAULT) for key in keys]

    return Operation(
        f"update {name} {keys}",
        lambda db: db[name].upsert(data, partial=True),
        change,
    )


def delete(name: str, keys: Numbers, *, text: bool = False) -> Operation:
    """Delete by key."""
    ids: list[Any] = [f"k{key:05}" for key in keys] if text else list(keys)

    def change(model: Model) -> None:
        model[name].rows = [r for r in model[name].rows if r[0] not in set(keys)]

    return Operation(f"delete {name} {keys}", lambda db: db[name].delete(ids), change)


def delete_value(name: str, value: int) -> Operation:
    """Delete by expression: the keys whose newest row has this value."""

    def change(model: Model) -> None:
        gone = {row[0] for row in model[name].shown() if row[1] == value}
        model[name].rows = [r for r in model[name].rows if r[0] not in gone]

    text = f"value == {value}"
    return Operation(
        f"delete {name} where {text}", lambda db: db[name].delete(filter=text), change
    )


def create_partition(name: str, partition: str) -> Operation:
    """Add a partition."""
    return Operation(
        f"create partition {partition}",
        lambda db: db[name].create_partition(partition),
        lambda m: m[name].partitions.add(partition),
    )


def drop_partition(name: str, partition: str) -> Operation:
    """Drop a partition and its rows."""

    def change(model: Model) -> None:
        model[name].partitions.discard(partition)
        model[name].rows = [r for r in model[name].rows if r[2] != partition]

    return Operation(
        f"drop partition {partition}",
        lambda db: db[name].drop_partition(partition),
        change,
    )


def create_index(name: str, kind: str, **params: int) -> Operation:
    """Define the index of the vectors."""
    return Operation(
        f"create index {kind}",
        lambda db: db[name].create_index(index_type=kind, params=params),
        lambda m: setattr(m[name], "index", kind),
    )


def index_values(name: str) -> Operation:
    """Define the index of the values, which nothing shows but files."""
    return Operation("index values", lambda db: db[name].create_index("value"))


def drop_index(name: str) -> Operation:
    """Remove the index of the vectors."""
    return Operation(
        "drop index",
        lambda db: db[name].drop_index("vector"),
        lambda m: setattr(m[name], "index", None),
    )


def truncate(name: str) -> Operation:
    """Remove every row."""
    return Operation(
        f"truncate {name}",
        lambda db: db[name].truncate(),
        lambda m: m[name].rows.clear(),
    )


def drop(name: str) -> Operation:
    """Drop a collection."""
    return Operation(
        f"drop {name}", lambda db: db.drop_collection(name), lambda m: m.pop(name)
    )


def rename(name: str, to: str) -> Operation:
    """Give a collection another name."""
    return Operation(
        f"rename {name}",
        lambda db: db.rename_collection(name, to),
        lambda m: m.update({to: m.pop(name)}),
    )


def upkeep(name: str, what: str) -> Operation:
    """``flush``, ``compact`` or ``optimize``: nothing changes for the reader."""
    return Operation(f"{what} {name}", lambda db: getattr(db[name], what)())


REOPEN = Operation("reopen", lambda db: None)


def life() -> list[Operation]:
    """Every kind of operation, each met by rows in memory and on files."""
    return [
        create("docs"),
        insert("docs", range(20), 1),
        create_partition("docs", "p"),
        insert("docs", range(20, 40), 2, "p"),
        upsert("docs", [*range(5, 12), *range(35, 45)], 3),
        delete("docs", [0, 1, 22]),
        upkeep("docs", "flush"),
        create("texts", is_text=True),
        insert("texts", range(20), 1, text=True),
        create_index("docs", "HNSW", M=8, efConstruction=40),
        index_values("docs"),
        insert("docs", range(45, 65), 4),
        update("docs", [52, 53, 61], 4),
        insert("docs", range(45, 50), 5),
        insert("docs", range(50, 53), 5, "p"),
        upkeep("docs", "optimize"),
        update("docs", [6, 44], 3),
        delete_value("docs", 3),
        upkeep("docs", "flush"),
        delete("docs", [60, 61]),
        upsert("docs", range(50, 70), 6, "p"),
        upsert("texts", range(10, 30), 2, text=True),
        REOPEN,
        delete("texts", [3, 4, 15], text=True),
        upkeep("docs", "flush"),
        upkeep("docs", "compact"),
        drop_index("docs"),
        create_index("docs", "IVF_FLAT", nlist=2),
        upkeep("docs", "optimize"),
        upsert("docs", [2, 3, 66], 7, "p"),
        drop_partition("docs", "p"),
        upkeep("texts", "optimize"),
        insert("docs", range(100, 120), 8),
        truncate("texts"),
        insert("texts", range(5), 3, text=True),
        upsert("docs", range(110, 130), 9),
        drop("texts"),
        update("docs", range(100, 104), 8),
        rename("docs", "papers"),
        upkeep("papers", "optimize"),
        REOPEN,
        insert("papers", range(200, 205), 10),
    ]


def afterlife(name: str) -> list[Operation]:
    """A few writes more, which must do what they did before a fault."""
    return [
        upsert(name, range(15, 30), 50),
        delete(name, [16, 17]),
        insert(name, range(300, 310), 51),
        upkeep(name, "flush"),
        delete(name, [301]),
    ]


# --- looking ------------------------------------------------------------------------

QUERIES = np.stack([vector_of(1000, i) for i in range(3)])
Sight = dict[str, Any]


def expected(model: Model) -> Sight:
    """What must be seen."""
    return {name: _expected(table) for name, table in model.items()}


def _expected(table: Table) -> dict[str, Any]:
    shown = table.shown()
    return {
        "partitions": sorted(table.partitions),
        "index": table.index,
        "count": len(table.rows),
        "rows": [(key, value) for key, value, _ in shown],
        "by partition": {
            partition: [(key, value) for key, value, _ in table.shown(partition)]
            for partition in table.partitions
        },
        "nearest": _nearest(shown),
        "nearest above 2": _nearest([row for row in shown if row[1] > 2]),
    }


def _nearest(rows: list[Row]) -> list[list[int]]:
    vectors = np.array([vector_of(row[0], row[1]) for row in rows]).reshape(-1, DIM)
    found = []
    for query in QUERIES:
        distances = ((vectors - query) ** 2).sum(axis=1)
        found.append([rows[i][0] for i in np.argsort(distances)[:5].tolist()])
    return found


def seen(db: Database) -> Sight:
    """What is there."""
    return {name: _seen(db, name) for name in db.list_collections()}


def _seen(db: Database, name: str) -> dict[str, Any]:
    docs = db[name]
    indexes = [i for i in docs.describe_index() if i["field"] == "vector"]
    return {
        "partitions": docs.partitions,
        "index": indexes[0]["index_type"] if indexes else None,
        "count": docs.count(),
        "rows": _pairs(docs.query(output_fields=["value"])),
        "by partition": {
            partition: _pairs(
                docs.query(output_fields=["value"], partitions=[partition])
            )
            for partition in docs.partitions
        },
        "nearest": _hits(docs, ""),
        "nearest above 2": _hits(docs, "value > 2"),
    }


def _number(key: int | str) -> int:
    return int(key[1:]) if isinstance(key, str) else key


def _pairs(table: Any) -> list[tuple[int, int]]:
    keys = map(_number, table.column("id").to_pylist())
    return list(zip(keys, table.column("value").to_pylist(), strict=True))


def _hits(docs: Any, text: str) -> list[list[int]]:
    params = {"ef": 200, "nprobe": 16}
    hits = docs.search(QUERIES, limit=5, filter=text, params=params).to_pydict()
    found: list[list[int]] = [[] for _ in QUERIES]
    for query, key in zip(hits["query"], hits["id"], strict=True):
        found[query].append(_number(key))
    return found


def unnamed_files(db: Database) -> list[str]:
    """Files in the folder that nothing refers to."""
    core = db._core
    folders = named_folders(c.lazy.manifest for c in core.collections())
    store = core.node.store
    return [
        name
        for name in store.list()
        if (
            name.startswith(("collections/", "jobs/"))
            and name.rpartition("/")[0] not in folders
        )
        or name.endswith((".new", ".tmp"))
    ]


def open_plain(root: Path) -> Database:
    """The database with a sound file store."""
    return elanus.open(root, world=plain_world())
