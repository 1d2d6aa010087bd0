"""Searches: the rows nearest to each query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.engine.collection import Collection
from elanus.engine.read.bucket_plan import BucketPlan
from elanus.engine.read.group_plan import GroupBy
from elanus.engine.read.grouping import group_values
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.recorder import Recorder
from elanus.engine.read.search import SearchHits
from elanus.engine.version import Version
from elanus.functions.rank.scale import rounded_down
from elanus.schema.columns import Floats
from elanus.schema.vectors import VectorRows
from elanus.service.core import Core
from elanus.service.highlighting import Highlighting
from elanus.service.list_searches import check_single
from elanus.service.output import Shape, columns_of
from elanus.service.queries import asked_of, queries_of
from elanus.service.reading import session_ts, version_at, without_growing, without_rows
from elanus.service.replies import OutputColumn, SearchReply
from elanus.service.requests import Search, SearchOptions
from elanus.service.rescoring import NOTHING, Rescoring
from elanus.service.search_buckets import for_all, told_buckets
from elanus.service.search_iterator import Walk, next_batch
from elanus.service.search_plan import find_plan, with_filter
from elanus.service.times import TimeForm, as_told


@dataclass(frozen=True, slots=True)
class Prepared:
    """A search, checked and planned: what is left is to run it.

    Searches with the same ``plan`` object and version can run as one.

    Attributes:
        queries: as the field compares them.
        asked: which of the queries are there; the others find nothing. All for None.
        rescoring: what is done with the rows found, and of which ``plan`` finds more
            than are returned.
        buckets: what becomes of the rows found, of an aggregated search.
        highlighting: what is marked in the answer.
    """

    request: Search
    collection: Collection
    version: Version
    plan: SearchPlan
    shape: Shape
    queries: VectorRows
    asked: npt.NDArray[np.bool_] | None = None
    rescoring: Rescoring = NOTHING
    buckets: BucketPlan | None = None
    highlighting: Highlighting | None = None

    @property
    def found_by(self) -> SearchPlan:
        """The plan that is run."""
        return self.rescoring.widened(self.plan)


def search(core: Core, request: Search) -> SearchReply:
    """Find the rows nearest to each query.

    Raises:
        InvalidParameter, QueryPlanError: the request does not fit the collection.
        CollectionNotFound, CollectionNotLoaded, PartitionNotLoaded.
        UnsupportedOperation, CorruptionError.
    """
    prepared = prepare(core, request)
    iterator = request.options.iterator
    if iterator is not None and iterator.is_v2:
        walk = Walk(
            prepared.collection, prepared.version, prepared.plan, prepared.queries
        )
        batch = next_batch(core, walk, iterator)
        version = batch.version
        return SearchReply(
            collection=request.collection,
            primary_name=prepared.collection.schema.primary.name,
            counts=np.array([len(batch.offsets)], np.int64),
            keys=batch.keys,
            scores=rounded(batch.scores, request.options.round_decimal),
            columns=columns_of(
                version.views, batch.parts, batch.offsets, prepared.shape
            ),
            output_fields=prepared.shape.names,
            session_ts=session_ts(core, version),
            iterator_token=batch.token,
            iterator_bound=batch.bound,
            elements=batch.elements,
        )
    return run(core, prepared)


def run(
    core: Core, prepared: Prepared, recorder: Recorder | None = None
) -> SearchReply:
    """Run a search that is no iterator's and make its answer.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    version, plan = prepared.version, prepared.found_by
    hits = prepared.collection.search(version, plan, prepared.queries, recorder)
    return reply_of(core, prepared, hits)


def reply_of(core: Core, prepared: Prepared, hits: SearchHits) -> SearchReply:
    """The answer made of what a search found.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
        ModelServiceFailed: a model could not be asked.
    """
    request, version, marks = prepared.request, prepared.version, prepared.highlighting
    plan, shape, asked = prepared.plan, prepared.shape, prepared.asked
    round_scores, group, buckets = rounded, plan.group, None
    if prepared.rescoring.is_any:
        hits = prepared.rescoring.applied(plan, hits)
        round_scores = rounded_down
    scores = round_scores(hits.scores, request.options.round_decimal)
    if prepared.buckets is not None:
        hits = hits._replace(scores=scores)
        buckets, hits = told_buckets(hits, plan, prepared.buckets)
        scores, group = hits.scores, None
        buckets = buckets if asked is None else for_all(buckets, asked)
    return SearchReply(
        collection=request.collection,
        primary_name=version.schema.primary.name,
        counts=_for_all(hits.counts, asked),
        keys=hits.keys,
        scores=scores,
        columns=columns_of(version.views, hits.parts, hits.offsets, shape),
        output_fields=shape.names,
        session_ts=session_ts(core, version),
        group_columns=group_columns(hits, group, shape.times),
        elements=hits.elements,
        buckets=buckets,
        highlights=() if marks is None else marks.of(hits),
    )


def group_columns(
    hits: SearchHits, group: GroupBy | None, times: TimeForm
) -> tuple[OutputColumn, ...]:
    """What the rows found were grouped by, a column for each of its values."""
    if group is None:
        return ()
    views = hits.version.views
    columns = (
        OutputColumn(
            key.name,
            key.dtype,
            group_values(views, hits.parts, hits.offsets, key),
            field_id=key.field.id,
        )
        for key in group.keys
    )
    return tuple(as_told(column, times) for column in columns)


def _for_all(
    counts: npt.NDArray[np.int64], asked: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.int64]:
    """Hits per query, those without a vector among them."""
    if asked is None:
        return counts
    every = np.zeros(len(asked), np.int64)
    every[asked] = counts
    return every


def prepare(core: Core, request: Search) -> Prepared:
    """Check and plan a search.

    Raises: as :func:`search`.
    """
    collection = core.searched(request)
    planned = find_plan(core, collection, request)
    plan = with_filter(planned, request)
    check_single(plan, request.options)
    version = _version(collection, request)
    shape, buckets = planned.shape, planned.buckets
    rows: npt.NDArray[np.bool_] | None = None
    if request.query_keys is None or request.options.iterator is not None:
        queries = queries_of(collection, version, plan, request)
    else:
        asked = asked_of(collection, version, plan, request)
        queries, rows = asked.rows, asked.valid
        if not len(queries):
            version = without_rows(version)
    n_asked = len(queries) if rows is None else len(rows)
    rescoring = planned.rescoring
    if rescoring.is_any:
        rescoring = rescoring.of_queries(n_asked, rows)
    if buckets is not None:
        buckets.check_entries(n_asked)
    marks = planned.highlighting
    if marks is not None:
        marks = marks.for_queries(request.queries)
    return Prepared(
        request,
        collection,
        version,
        plan,
        shape,
        queries,
        rows,
        rescoring,
        buckets,
        marks,
    )


def rounded(scores: Floats, places: int) -> Floats:
    """Scores rounded to decimal places, half away from zero; unchanged for -1."""
    if places < 0:
        return scores
    scale = 10.0**places
    wide = scores.astype(np.float64) * scale
    out: Floats = (np.copysign(np.floor(np.abs(wide) + 0.5), wide) / scale).astype(
        np.float32
    )
    return out


def _version(collection: Collection, request: Search) -> Version:
    options = request.options
    iterator = options.iterator
    if iterator is not None and (iterator.token or not iterator.is_v2):
        version = version_at(collection, request.consistency.guarantee_ts)
    else:
        version = collection.pin()
    return without_growing(version) if skips_growing(options) else version


def skips_growing(options: SearchOptions) -> bool:
    """Whether a search leaves out rows that are in memory only."""
    return options.ignore_growing or _is_true(options.params, "ignore_growing")


def _is_true(params: Mapping[str, Any], key: str) -> bool:
    return str(params.get(key, "")).lower() == "true"
