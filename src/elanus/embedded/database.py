"""``elanus.open``: a database in a folder, in your own process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict, Unpack

from elanus.app import OpenDatabase, World, open_database
from elanus.config import Settings
from elanus.database.creation import NewCollection
from elanus.distance.metrics import Metric
from elanus.embedded.collection import Collection
from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType


def open(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    settings: Settings | None = None,
    world: World | None = None,
) -> Database:
    """Open the database in a folder, creating it if the folder is missing or empty.

    Args:
        path: the folder; any name, ``.db`` at the end is a habit.
        read_only: take no writes; several readers may have it open at once.
        settings: sizes and ages; the defaults suit most uses.
        world: clock, files and processes, for tests.

    Raises:
        FormatError: the path holds something that is not ours; it is left as it is.
        LockedError: another process or handle has it open.
        CorruptionError: a file is damaged or missing; the message names it.
    """
    if world is None:
        world = World() if settings is None else World(settings=settings)
    return Database(open_database(Path(path), world, read_only=read_only), Path(path))


class CollectionOptions(TypedDict, total=False):
    """Further choices when a collection is created.

    Attributes:
        id_type: "int" (INT64, the default) or "str" (VARCHAR).
        auto_id: ids are made on insert.
        dynamic: whether columns that are no field are kept; by default only without a
            schema.
        partitions: how many the partition key spreads rows over; 16 by default.
    """

    id_type: str
    auto_id: bool
    dynamic: bool
    partitions: int


class Database:
    """An open database. Close it, or use it as a context manager."""

    def __init__(self, opened: OpenDatabase, path: Path) -> None:
        self._opened = opened
        self._core = opened.database
        self.path = path

    def create_collection(
        self,
        name: str,
        schema: CollectionSchema | Sequence[FieldSchema] | None = None,
        *,
        dim: int | None = None,
        metric: str = "",
        **options: Unpack[CollectionOptions],
    ) -> Collection:
        """Create a collection, from a schema or just from a dimension.

        With ``dim`` the fields are ``id`` (the primary key) and ``vector``, and all
        other columns go into the dynamic field. An identical collection that exists
        already is returned.

        Args:
            schema: all fields; then ``dim``, ``id_type`` and ``auto_id`` are not used.
            metric: until an index says otherwise; COSINE when empty, of bits HAMMING,
                of sparse vectors IP.
            options: see :class:`CollectionOptions`.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken, or
                a different collection has this name.
        """
        dynamic = options.get("dynamic")
        if schema is None:
            schema = _quick_schema(
                dim, options.get("id_type", "int"), options.get("auto_id", False)
            )
            dynamic = True if dynamic is None else dynamic
        elif not isinstance(schema, CollectionSchema):
            schema = CollectionSchema(tuple(schema))
        metrics = {
            f.name.strip(): Metric.from_name(
                metric,
                f.vector_type,
                f.vector.metrics[0],
                of_lists=f.is_vector_list,
            ).value
            for f in schema.vectors
        }
        new = NewCollection(
            name,
            schema,
            bool(dynamic),
            metrics,
            is_loaded=True,
            partitions=options.get("partitions", 0),
        )
        return Collection(self._core, self._core.create_collection(new))

    def collection(self, name: str) -> Collection:
        """The collection called ``name``.

        Raises:
            CollectionNotFound: there is none.
        """
        return Collection(self._core, self._core.collection(name))

    __getitem__ = collection

    def list_collections(self) -> list[str]:
        """Names of all collections, sorted."""
        return self._core.names()

    def __contains__(self, name: object) -> bool:
        return name in self._core.names()

    def drop_collection(self, name: str) -> None:
        """Drop a collection and its rows; nothing happens if there is none."""
        self._core.drop_collection(name)

    def rename_collection(self, name: str, to: str) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFound, InvalidParameter.
        """
        self._core.rename_collection(name, to)

    def stats(self) -> dict[str, Any]:
        """Statistics of every collection, by name."""
        return {name: self._core.stats(name) for name in self._core.names()}

    def flush(self) -> None:
        """Write every collection's rows to column files."""
        for collection in self._core.collections():
            self._core.flush(collection)

    def close(self) -> None:
        """Finish writes under way and release the folder; a second call is ignored."""
        self._opened.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<elanus.Database {str(self.path)!r}>"


def _quick_schema(dim: int | None, id_type: str, auto_id: bool) -> CollectionSchema:
    if dim is None:
        raise InvalidParameter("a collection needs either dim or a schema")
    if id_type not in ("int", "str"):
        raise InvalidParameter(f"id_type is 'int' or 'str', got {id_type!r}")
    is_text = id_type == "str"
    primary = FieldSchema(
        "id",
        DataType.VARCHAR if is_text else DataType.INT64,
        is_primary=True,
        auto_id=auto_id,
        max_length=limits.VARCHAR_BYTES if is_text else None,
    )
    return CollectionSchema(
        (primary, FieldSchema("vector", DataType.FLOAT_VECTOR, dim=dim))
    )
