"""A collection in your own process: NumPy, pandas or Arrow in, Arrow tables out.

Reading it is in :mod:`elanus.embedded.reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.database.alteration import add_field, drop_field, drop_struct
from elanus.database.database import Database as Core
from elanus.database.lifetimes import set_ttl, set_ttl_field, set_zone
from elanus.embedded.indexes import index_of
from elanus.embedded.reader import Reader, Snapshot
from elanus.embedded.rows import columns_from
from elanus.engine.collection import Collection as Engine
from elanus.engine.definition import DEFAULT_PARTITION, IndexDefinition
from elanus.engine.write.array_ops import FieldOp
from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema

Progress = Callable[[float], None]


class Collection(Reader):
    """An open collection. Safe to use from many threads."""

    def __init__(self, core: Core, engine: Engine) -> None:
        super().__init__(core, engine, None)

    def snapshot(self) -> Snapshot:
        """The collection as it is now, unmoved by later writes."""
        return Snapshot(self._core, self._engine, self._engine.pin())

    # --- writing ----------------------------------------------------------------------

    def insert(self, data: Any, *, partition: str = DEFAULT_PARTITION) -> pa.Array:
        """Add rows and return their primary keys, once they are durable.

        Args:
            data: a dict of columns, an Arrow table, a DataFrame or a list of dicts.
                Names that are no field go into the dynamic field.

        Raises:
            InvalidParameter, PartitionNotFound: nothing was written.
            RateLimited, DiskFull, ReadOnlyError, StorageError: nothing was written.
            UnknownOutcome: a sync failed; reopen and look.
        """
        self._core.need_writable()
        return self._engine.insert(columns_from(data), partition)[0]

    def upsert(
        self,
        data: Any,
        *,
        partition: str = "",
        partial: bool = False,
        field_ops: Mapping[str, str] | None = None,
    ) -> pa.Array:
        """Replace the rows of the given keys, or add them; readers see all or none.

        Returns the keys of the rows: where the collection makes the ids, new ones.

        Args:
            data: as for :meth:`insert`, the primary keys among it.
            partition: where the rows go, the default partition when empty. A partial
                update that names one changes its rows only; keys elsewhere are new.
            partial: keep the fields, and the keys of the dynamic field, that ``data``
                does not name. Keys that there are not yet become rows.
            field_ops: ``ARRAY_APPEND`` or ``ARRAY_REMOVE`` by array field: what to do
                with its elements instead of replacing them. Makes the update partial.

        Raises: as :meth:`insert`.
        """
        self._core.need_writable()
        if partial or field_ops:
            ops = {name: _field_op(name, op) for name, op in (field_ops or {}).items()}
            return self._engine.update(columns_from(data), partition, ops)[0]
        target = partition or DEFAULT_PARTITION
        return self._engine.upsert(columns_from(data), target)[0]

    def delete(
        self,
        ids: Any = None,
        *,
        filter: str = "",
        filter_params: dict[str, Any] | None = None,
        partitions: Sequence[str] | None = None,
    ) -> int:
        """Delete rows by primary key or by filter; returns how many went.

        Raises:
            InvalidParameter: neither or both were given, or the filter restricts
                nothing (use ``truncate``).
            and as :meth:`insert`.
        """
        self._core.need_writable()
        if (ids is None) == (not filter):
            raise InvalidParameter("delete takes either ids or a filter")
        if ids is None:
            return self._engine.delete_where(filter, filter_params, partitions).deleted
        keys = [ids] if isinstance(ids, int | str | np.integer) else ids
        return self._engine.delete_keys(keys, partitions).deleted

    def truncate(self) -> None:
        """Remove every row."""
        self._core.truncate(self._live_name())

    # --- fields -----------------------------------------------------------------------

    def add_field(self, field: FieldSchema) -> None:
        """Add a nullable scalar field; rows that are there have its default, or null.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
        """
        self._live_name()
        add_field(self._core, self._engine, field)

    def drop_field(self, name: str) -> None:
        """Drop a field, or a struct array, with its values and indexes.

        Raises:
            InvalidParameter: there is none by this name, or it is indispensable.
        """
        self._live_name()
        if name in self.schema.parts:
            drop_struct(self._core, self._engine, name)
            return
        field = self.schema.by_name.get(name)
        if field is None:
            raise InvalidParameter(f"field not found: {name}")
        drop_field(self._core, self._engine, field.id)

    def set_ttl(self, seconds: int = 0, *, field: str | None = None) -> None:
        """Let rows vanish so many seconds after they were written; 0 for never.

        Args:
            field: instead, the name of a field of points in time: rows vanish when
                theirs has come, those without one never. Empty for no field.

        Raises:
            InvalidParameter: the number is too large, it is no such field, or the other
                of the two is in use.
        """
        self._live_name()
        if field is None:
            set_ttl(self._core, self._engine, seconds)
        else:
            set_ttl_field(self._core, self._engine, field)

    def set_timezone(self, name: str) -> None:
        """Take points in time that name no zone in this one, UTC at first.

        Raises:
            InvalidParameter: give an IANA name such as Asia/Shanghai.
        """
        self._live_name()
        set_zone(self._core, self._engine, name)

    # --- partitions and indexes -------------------------------------------------------

    @property
    def partitions(self) -> list[str]:
        """Names of all partitions, sorted."""
        return sorted(self._engine.definition.partitions)

    def create_partition(self, name: str) -> None:
        """Add a partition; nothing happens if it exists."""
        self._core.create_partition(self._live_name(), name)

    def drop_partition(self, name: str) -> None:
        """Drop a partition and its rows; nothing happens if there is none."""
        self._core.drop_partition(self._live_name(), name)

    def create_index(
        self,
        field: str = "",
        *,
        index_type: str = "AUTOINDEX",
        metric: str = "",
        params: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> None:
        """Define the index of a field; it is built in the background.

        Searches and filters scan until then. :meth:`optimize` waits for it. An index of
        scalars changes no answer; filters use it where it is quicker than a scan.

        Args:
            field: its name, or a key of the dynamic field; empty for the only vectors.
            index_type: AUTOINDEX for all fields; of numbers FLAT, IVF_FLAT, IVF_SQ8,
                IVF_PQ, IVF_RABITQ, SCANN, HNSW, HNSW_SQ, HNSW_PQ, DISKANN; of bits
                BIN_FLAT, BIN_IVF_FLAT; of sparse vectors SPARSE_INVERTED_INDEX. Int8
                vectors take those that begin with HNSW. Of scalars INVERTED, BITMAP,
                STL_SORT, TRIE, NGRAM, RTREE.
            metric: L2, IP or COSINE; of bits HAMMING or JACCARD, of sparse vectors IP;
                the collection's when empty. None of scalars.
            params: build parameters, such as ``{"M": 16, "efConstruction": 200}``; of
                JSON ``{"json_cast_type": "double", "json_path": 'doc["price"]'}``.

        Raises:
            InvalidParameter: the type, metric or a parameter is not allowed.
        """
        asked = IndexDefinition(name, 0, index_type, metric, dict(params or {}))
        index = index_of(self._engine.definition, asked, field)
        self._core.create_index(self._live_name(), index)

    def drop_index(self, name: str) -> None:
        """Remove an index; its field is searched exactly then.

        Raises:
            IndexNotFound: there is none by this name.
        """
        self._core.drop_index(self._live_name(), name)

    def describe_index(self, name: str = "") -> list[dict[str, Any]]:
        """Each index with its parameters, progress and, if a build failed, why."""
        return [
            entry
            for entry in self._core.describe_indexes(self._live_name())
            if not name or entry["name"] == name
        ]

    # --- upkeep -----------------------------------------------------------------------

    def flush(self) -> None:
        """Write rows from memory to column files. Never needed for safety.

        Raises:
            StorageError, DiskFull: rows stay in memory and log.
        """
        self._live_name()
        self._core.flush(self._engine)

    def compact(self, progress: Progress | None = None) -> None:
        """Merge segments and drop the space of deleted rows; waits.

        Raises:
            JobFailed, StorageError.
        """
        self.flush()
        self._core.background.optimize(
            self._engine, progress or _silent, merges_only=True
        )

    def optimize(self, progress: Progress | None = None) -> None:
        """Flush, merge and build every index; waits until nothing is left to do.

        Args:
            progress: called with the share done of each step, 0 to 1.

        Raises:
            JobFailed: an index could not be built; the message says why.
            StorageError.
        """
        self.flush()
        self._core.background.optimize(self._engine, progress or _silent)

    def stats(self) -> dict[str, Any]:
        """Rows, segments, bytes, background work and damages found."""
        return self._core.stats(self._live_name())

    def _live_name(self) -> str:
        """The name, as long as it is not that of a successor of the same name.

        Raises:
            ClosedError: the collection was dropped or its database closed.
        """
        self._engine.pin()
        return self.name

    def __repr__(self) -> str:
        return f"<elanus.Collection {self.name!r}>"


def _field_op(field: str, name: str) -> FieldOp:
    try:
        return FieldOp[name]
    except KeyError:
        known = ", ".join(FieldOp.__members__)
        raise InvalidParameter(
            f'unknown partial-update op for field "{field}"',
            expected=known,
            actual=name,
        ) from None


def _silent(share: float) -> None:
    return None
