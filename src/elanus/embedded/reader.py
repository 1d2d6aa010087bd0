"""Reading a collection in your own process: as it is now, or as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pyarrow as pa

from elanus.database.database import Database as Core
from elanus.embedded.explain import Explainer
from elanus.embedded.hybrid import (
    HybridOptions,
    SubSearch,
    plan_hybrid,
)
from elanus.embedded.options import (
    QueryOptions,
    SearchOptions,
    names_of,
    plan_search,
)
from elanus.embedded.tables import hits_table
from elanus.engine.collection import Collection as Engine
from elanus.engine.read.fusion import fuse
from elanus.engine.read.fusion_plan import RRF, Ranker
from elanus.engine.read.plan import QueryRequest, outputs_of
from elanus.engine.version import Version
from elanus.errors import ClosedError
from elanus.schema.schema import CollectionSchema


class Reader:
    """The reading half: on a collection as it is now, or on a snapshot of it."""

    def __init__(self, core: Core, engine: Engine, version: Version | None) -> None:
        self._core = core
        self._engine = engine
        self._pinned = version

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._engine.definition.name

    @property
    def schema(self) -> CollectionSchema:
        """The collection's fields, ``$meta`` included where it is dynamic."""
        return self._engine.schema

    def _version(self) -> Version:
        if self._pinned is None:
            return self._engine.pin()
        if self._core.is_closed:
            raise ClosedError("the database")
        return self._pinned

    def search(
        self,
        query: Any,
        *,
        limit: int = 10,
        filter: str = "",
        output_fields: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **options: Unpack[SearchOptions],
    ) -> pa.Table:
        """The rows nearest to each query vector.

        Args:
            query: (dim,) or (nq, dim), anything NumPy takes as numbers; for bits also
                ``bytes``, for sparse vectors a dict of value by index; or a list of
                these.
            limit: rows per query, 1 to 16384. A query that has ``limit`` matching rows
                gets ``limit`` rows.
            filter: an expression such as ``"topic in [3, 7]"``.
            output_fields: fields to return; ``"*"`` for all.
            params: search parameters of the index, such as ``{"ef": 64}``; a floor.
            options: see :class:`SearchOptions`.

        Returns:
            One row per hit: ``query`` (position of the query, int32), the primary key,
            ``score`` (float32, the metric's own sign), and the output fields. Nearest
            first within each query, equal scores by ascending key. Where a field is
            called ``query`` or ``score``, ours are ``$query`` and ``$score``.

        Raises:
            InvalidParameter, QueryPlanError: the message says what to change.
            CorruptionError: a column file is damaged; the message names it.
        """
        plan, queries = plan_search(
            self._engine,
            query,
            options,
            limit=limit,
            filter=filter,
            output_fields=names_of(output_fields) if output_fields else (),
            params=params,
        )
        hits = self._engine.search(self._version(), plan, queries)
        return hits_table(hits, self.schema.primary.name, plan.outputs)

    def hybrid_search(
        self,
        searches: Sequence[SubSearch],
        *,
        ranker: Ranker | None = None,
        limit: int = 10,
        output_fields: Sequence[str] = (),
        **options: Unpack[HybridOptions],
    ) -> pa.Table:
        """The rows that several searches together place best.

        Args:
            searches: each on a vector field, perhaps the same, for as many queries.
            ranker: :class:`RRF` or :class:`Weighted`; ``RRF()`` when not given.
            options: see :class:`HybridOptions`.

        Returns:
            As of :meth:`search`; ``score`` is the ranker's.

        Raises:
            InvalidParameter, QueryPlanError: the message says what to change.
            CorruptionError: a column file is damaged; the message names it.
        """
        plan, queries = plan_hybrid(
            self._engine, searches, ranker or RRF(), limit, options
        )
        outputs = outputs_of(self.schema, tuple(names_of(output_fields)))
        version = self._version()
        found = [
            self._engine.search(version, path, vectors)
            for path, vectors in zip(plan.paths, queries, strict=True)
        ]
        hits = fuse(version, plan, found)
        return hits_table(hits, self.schema.primary.name, outputs)

    def query(
        self,
        filter: str = "",
        *,
        output_fields: Sequence[str] = (),
        limit: int | None = None,
        **options: Unpack[QueryOptions],
    ) -> pa.Table:
        """The rows that match a filter, ascending by primary key if not told otherwise.

        Args:
            options: see :class:`QueryOptions`.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(
            filter=filter, limit=limit, output_fields=names_of(output_fields), **options
        )
        return self._engine.query(self._version(), request)

    def get(
        self,
        ids: Any,
        *,
        output_fields: Sequence[str] = ("*",),
        partitions: Sequence[str] | None = None,
    ) -> pa.Table:
        """The rows of these primary keys, ascending; missing ones are skipped.

        Raises:
            InvalidParameter: the keys are not of the primary key's type.
        """
        request = QueryRequest(
            output_fields=names_of(output_fields), partitions=partitions
        )
        keys = [ids] if isinstance(ids, int | str | np.integer) else ids
        return self._engine.get(self._version(), keys, request)

    def count(self, filter: str = "", **options: Unpack[QueryOptions]) -> int:
        """How many rows match; exact, and rows of a repeated key count each.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(filter=filter, **options)
        return self._engine.count(self._version(), request)

    def iterate(
        self,
        filter: str = "",
        *,
        batch_size: int = 1000,
        output_fields: Sequence[str] = ("*",),
        **options: Unpack[QueryOptions],
    ) -> Iterator[pa.Table]:
        """All matching rows as of now, in tables of up to ``batch_size`` rows.

        Memory stays bounded by the batch, and writes meanwhile change nothing.

        Raises:
            InvalidParameter, QueryPlanError, CorruptionError.
        """
        request = QueryRequest(
            filter=filter, output_fields=names_of(output_fields), **options
        )
        return self._engine.iterate(self._version(), request, batch_size)

    @property
    def explain(self) -> Explainer:
        """The same reads, each done and told how, instead of what was found.

        ``print(docs.explain.search(vector, filter="topic == 7"))``
        """
        return Explainer(self._engine, self._version)

    def __len__(self) -> int:
        return self.count()


class Snapshot(Reader):
    """A collection as it was when the snapshot was taken; costs nothing to hold.

    Files that it needs stay on disk until it is let go.
    """

    @property
    def ts(self) -> int:
        """The hybrid timestamp it shows."""
        return self._version().ts
