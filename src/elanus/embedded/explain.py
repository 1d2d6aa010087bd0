"""Reads of a collection in your own process, done and told how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

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
from elanus.engine.read.explain import explain, fusion_asked
from elanus.engine.read.explanation import Explanation
from elanus.engine.read.fusion import fuse
from elanus.engine.read.fusion_plan import RRF, Ranker
from elanus.engine.read.plan import QueryRequest, outputs_of
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import Version


class Explainer:
    """The reads of a collection or of a snapshot, with the same arguments.

    Each is done whole, as a measurement is meant to be, and its answer is let go.
    """

    def __init__(self, engine: Engine, pin: Callable[[], Version]) -> None:
        """Args: pin: gives the version to read."""
        self._engine = engine
        self._pin = pin

    def search(
        self,
        query: Any,
        *,
        limit: int = 10,
        filter: str = "",
        output_fields: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **options: Unpack[SearchOptions],
    ) -> Explanation:
        """How :meth:`elanus.Collection.search` does it.

        Raises: as that.
        """
        recorder = Recorder()
        plan, queries = plan_search(
            self._engine,
            query,
            options,
            limit=limit,
            filter=filter,
            output_fields=names_of(output_fields),
            params=params,
        )
        version = self._pin()
        recorder.asked = _asked(output_fields, len(queries))
        recorder.planned(version, plan)
        hits = self._engine.search(version, plan, queries, recorder)
        table = hits_table(hits, version.schema.primary.name, plan.outputs)
        recorder.step("output")
        return self._told("search", recorder, table.num_rows)

    def hybrid_search(
        self,
        searches: Sequence[SubSearch],
        *,
        ranker: Ranker | None = None,
        limit: int = 10,
        output_fields: Sequence[str] = (),
        **options: Unpack[HybridOptions],
    ) -> Explanation:
        """How :meth:`elanus.Collection.hybrid_search` does it.

        Raises: as that.
        """
        recorder = Recorder()
        plan, queries = plan_hybrid(
            self._engine, searches, ranker or RRF(), limit, options
        )
        version = self._pin()
        outputs = outputs_of(version.schema, tuple(names_of(output_fields)))
        recorder.asked = {**fusion_asked(plan), **_asked(output_fields)}
        recorder.step("plan")
        found = []
        for path, vectors in zip(plan.paths, queries, strict=True):
            part = recorder.part()
            part.planned(version, path)
            found.append(self._engine.search(version, path, vectors, part))
            recorder.part_ended(len(found[-1].offsets))
        hits = fuse(version, plan, found)
        recorder.step("fusion")
        table = hits_table(hits, version.schema.primary.name, outputs)
        recorder.step("output")
        return self._told("hybrid search", recorder, table.num_rows)

    def query(
        self,
        filter: str = "",
        *,
        output_fields: Sequence[str] = (),
        limit: int | None = None,
        **options: Unpack[QueryOptions],
    ) -> Explanation:
        """How :meth:`elanus.Collection.query` does it.

        Raises: as that.
        """
        recorder = Recorder()
        request = QueryRequest(
            filter=filter, limit=limit, output_fields=names_of(output_fields), **options
        )
        recorder.asked = _asked(output_fields)
        table = self._engine.query(self._pin(), request, recorder)
        return self._told("query", recorder, table.num_rows)

    def count(self, filter: str = "", **options: Unpack[QueryOptions]) -> Explanation:
        """How :meth:`elanus.Collection.count` does it.

        Raises: as that.
        """
        recorder = Recorder()
        request = QueryRequest(filter=filter, **options)
        self._engine.count(self._pin(), request, recorder)
        return self._told("count", recorder, 1)

    def _told(self, operation: str, recorder: Recorder, returned: int) -> Explanation:
        recorder.end(returned)
        return explain(self._engine.definition, operation, recorder)


def _asked(output_fields: Sequence[str], queries: int = 1) -> dict[str, Any]:
    asked: dict[str, Any] = {"queries": queries} if queries > 1 else {}
    names = names_of(output_fields)
    return {**asked, "output": " ".join(names)} if names else asked
