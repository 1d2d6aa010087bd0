"""Searches that are aggregated: buckets of rows instead of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.bucket_plan import (
    SCORE,
    BucketPlan,
    plan_buckets,
)
from elanus.engine.read.buckets import Bucket, buckets_of
from elanus.engine.read.plan import SearchPlan
from elanus.engine.read.search import SearchHits
from elanus.errors import InvalidParameter
from elanus.schema.columns import take
from elanus.service.loaded_fields import readable_names
from elanus.service.replies import SearchBuckets
from elanus.service.requests import Search

_EXCLUSIVE = "{} and search_aggregation cannot be used simultaneously"


def bucketed(
    definition: CollectionDefinition, plan: SearchPlan, request: Search
) -> tuple[SearchPlan, BucketPlan]:
    """The plan of a search whose rows become buckets, and that of the buckets.

    Raises:
        InvalidParameter: with Milvus' text; the search cannot be aggregated so.
    """
    options = request.options
    for name, is_given in (
        ("group_by_field", options.group_by_field.strip()),
        ("group_by_fields", options.extra.get("group_by_fields", "").strip()),
        ("order_by_fields", options.order_by_fields.strip()),
        ("function_score", request.score is not None),
        ("function_chains", request.chains),
    ):
        if is_given:
            raise InvalidParameter(_EXCLUSIVE.format(name))
    buckets = plan_buckets(definition.schema, plan.metric, request.aggregation or ())
    if options.iterator is not None:
        raise InvalidParameter(
            "search iterator is not supported with search_aggregation"
        )
    if options.offset:
        raise InvalidParameter("offset is not supported with search_aggregation")
    readable_names(definition, tuple(_names(buckets)))
    return replace(plan, limit=buckets.limit, group=buckets.group), buckets


def told_buckets(
    hits: SearchHits, plan: SearchPlan, buckets: BucketPlan
) -> tuple[SearchBuckets, SearchHits]:
    """The buckets of a search, and those of its rows that they show.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    of_queries = tuple(buckets_of(hits, buckets, plan.metric))
    shown = {row for outer in of_queries for row in _rows(outer)}
    rows = np.array(sorted(shown), np.int64)
    keys = tuple(
        tuple((key.name, key.field.id) for key in level.keys)
        for level in buckets.levels
    )
    return SearchBuckets(keys, of_queries, rows), hits._replace(
        counts=np.zeros(len(hits.counts), np.int64),
        parts=None if hits.parts is None else hits.parts[rows],
        offsets=hits.offsets[rows],
        scores=hits.scores[rows],
        keys=take(hits.keys, rows),
        elements=None,
    )


def for_all(told: SearchBuckets, asked: npt.NDArray[np.bool_]) -> SearchBuckets:
    """The same with queries among them that find nothing."""
    found = iter(told.of_queries)
    of_queries = tuple(next(found) if is_asked else () for is_asked in asked.tolist())
    return replace(told, of_queries=of_queries)


def _rows(buckets: Sequence[Bucket]) -> Iterator[int]:
    for bucket in buckets:
        yield from bucket.hits
        yield from _rows(bucket.buckets)


def _names(plan: BucketPlan) -> Iterator[str]:
    """The fields that buckets are made, measured and put in order by."""
    for level in plan.levels:
        yield from (key.name for key in level.keys)
        fields = [each.field for each in level.metrics]
        if level.top_hits is not None:
            fields += [key.field for key in level.top_hits.order]
        yield from (f.name for f in fields if f is not None and f is not SCORE)
