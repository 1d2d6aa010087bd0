"""Hybrid searches: the rows that several searches together place best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from elanus.engine.collection import Collection
from elanus.engine.read.aggregate import is_aggregate
from elanus.engine.read.collapse import collapsed
from elanus.engine.read.explain import fusion_asked
from elanus.engine.read.fusion import fuse
from elanus.engine.read.fusion_plan import FusionPlan, Judged
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.search import SearchHits
from elanus.engine.version import Version
from elanus.errors import InvalidParameter
from elanus.functions.rank.scale import rounded_down
from elanus.schema import limits
from elanus.schema.vectors import VectorRows
from elanus.service.core import Core
from elanus.service.list_searches import collapses
from elanus.service.loaded_fields import readable_names
from elanus.service.output import columns_of, shape_of
from elanus.service.queries import queries_of
from elanus.service.rank_functions import for_queries
from elanus.service.rankers import ranker_of, scorer_of
from elanus.service.reading import session_ts, without_growing
from elanus.service.replies import SearchReply
from elanus.service.requests import HybridOptions, HybridSearch, Search
from elanus.service.rescoring import check_part
from elanus.service.search import group_columns, skips_growing
from elanus.service.search_plan import find_plan, with_filter
from elanus.service.times import time_form

_WINDOW = "invalid max query result window"


def hybrid_search(
    core: Core, request: HybridSearch, recorder: Recorder | None = None
) -> SearchReply:
    """Find the rows that several searches together place best.

    Raises:
        InvalidParameter, QueryPlanError: the request does not fit the collection.
        CollectionNotFound, CollectionNotLoaded, PartitionNotLoaded.
        UnsupportedOperation, CorruptionError.
        ModelServiceFailed: a model could not be asked.
    """
    collection = core.searched(request)
    options, searches = request.options, request.searches
    _check_parts(searches)
    _check_window(options, collection.definition.largest_limit)
    if any(map(is_aggregate, request.output_fields)):
        raise InvalidParameter("aggregates are not supported in search request")
    planned = [find_plan(core, collection, search) for search in searches]
    plans = [with_filter(*both) for both in zip(planned, searches, strict=True)]
    how = collapses(plans, searches)
    fusion = FusionPlan(
        paths=tuple(plans),
        ranker=ranker_of(collection.definition, request, core.services),
        limit=options.limit,
        offset=options.offset,
        group=plans[0].group,
        scorer=scorer_of(options.group_scorer),
    )
    times = time_form(collection.definition, searches[0].options.extra)
    names = readable_names(collection.definition, request.output_fields)
    shape = shape_of(collection.schema, names, times, with_key=False)
    version = collection.pin()
    queries = _queries(collection, version, fusion, searches)
    fusion = _asking(fusion, len(queries[0]))
    if recorder is not None:
        recorder.asked = fusion_asked(fusion)
        recorder.step("plan")
    parts = list(zip(plans, searches, queries, strict=True))
    found = [
        hits if way is None else collapsed(hits, plan.metric, way)
        for hits, plan, way in zip(
            _searched(collection, version, parts, recorder), plans, how, strict=True
        )
    ]
    hits = fuse(version, fusion, found)
    if recorder is not None:
        recorder.step("fusion")
    return SearchReply(
        collection=request.collection,
        primary_name=version.schema.primary.name,
        counts=hits.counts,
        keys=hits.keys,
        scores=rounded_down(hits.scores, options.round_decimal),
        columns=columns_of(version.views, hits.parts, hits.offsets, shape),
        output_fields=shape.names,
        session_ts=session_ts(core, version),
        group_columns=group_columns(hits, fusion.group, times),
        elements=hits.elements,
    )


def _check_parts(searches: tuple[Search, ...]) -> None:
    if not searches:
        raise InvalidParameter(
            f"nq [0] is invalid, nq (number of search vector per search request) "
            f"should be in range [1, {limits.NQ}], but got 0"
        )
    if len(searches) > limits.HYBRID_SEARCHES:
        raise InvalidParameter(
            f"maximum of ann search requests is {limits.HYBRID_SEARCHES}"
        )
    for search in searches:
        if search.options.order_by_fields:
            raise InvalidParameter("order_by is not supported for hybrid search")
        if search.options.iterator is not None:
            raise InvalidParameter("search iterator is not supported for hybrid search")
        check_part(search)


def _check_window(options: HybridOptions, largest: int) -> None:
    if options.limit <= 0:
        raise InvalidParameter(
            f"{_WINDOW}, limit [{options.limit}] is invalid, should be greater than 0"
        )
    if options.offset < 0:
        raise InvalidParameter(
            f"{_WINDOW}, offset [{options.offset}] is invalid, should be gte than 0"
        )
    rows = options.limit + options.offset
    if rows > largest:
        raise InvalidParameter(
            f"{_WINDOW}, (offset+limit) should be in range "
            f"[1, {largest}], but got {rows}"
        )
    if not -1 <= options.round_decimal <= 6:
        raise InvalidParameter(
            f"round_decimal [{options.round_decimal}] is invalid, should be -1 or an "
            f"integer in range [0, 6]"
        )


def _queries(
    collection: Collection,
    version: Version,
    fusion: FusionPlan,
    searches: tuple[Search, ...],
) -> list[VectorRows]:
    """What each search asks with."""
    queries = [
        queries_of(collection, version, plan, search)
        for plan, search in zip(fusion.paths, searches, strict=True)
    ]
    if len({len(vectors) for vectors in queries}) > 1:
        raise InvalidParameter("sub search request nq should be the same")
    return queries


def _asking(fusion: FusionPlan, nq: int) -> FusionPlan:
    """The same, after a look at whether a model has a text for each query."""
    ranker = fusion.ranker
    if not isinstance(ranker, Judged):
        return fusion
    scorer = for_queries(ranker.scorer, nq, None)
    return replace(fusion, ranker=replace(ranker, scorer=scorer))


def _searched(
    collection: Collection,
    version: Version,
    parts: list[tuple[SearchPlan, Search, VectorRows]],
    recorder: Recorder | None,
) -> list[SearchHits]:
    """What each search finds, all in rows of one version."""
    found = []
    for plan, search, vectors in parts:
        read = version
        if skips_growing(search.options):
            read = without_growing(version)
        part = None if recorder is None else recorder.part()
        if part is not None:
            part.planned(read, plan)
        hits = collection.search(read, plan, vectors, part)
        if recorder is not None:
            recorder.part_ended(len(hits.offsets))
        found.append(hits if read is version else _in_rows_of(version, hits))
    return found


def _in_rows_of(version: Version, hits: SearchHits) -> SearchHits:
    """The same hits, told by the views of a version that has more of them."""
    place = {view.segment.id: i for i, view in enumerate(version.views)}
    places = np.array([place[view.segment.id] for view in hits.version.views], np.int64)
    if hits.parts is not None:
        parts = places[hits.parts]
    else:
        first = places[0] if len(places) else 0
        parts = np.full(len(hits.offsets), first, np.int64)
    return hits._replace(version=version, parts=parts)
