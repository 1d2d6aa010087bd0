"""Several searches as one: those that wait at the same time and ask alike."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from elanus.errors import ElanusError
from elanus.schema.vectors import concat_rows
from elanus.service.core import Core
from elanus.service.queries import queries_of
from elanus.service.replies import (
    AnyColumn,
    OutputColumn,
    SearchReply,
    StructColumn,
)
from elanus.service.requests import Search
from elanus.service.search import Prepared, prepare, run
from elanus.service.search_pieces import is_long


def plan_key(request: Search) -> Hashable | None:
    """Searches of equal keys can run as one; ``None`` for those that run alone."""
    queries, options = request.queries, request.options
    if queries is None or queries.vectors is None or options.iterator is not None:
        return None
    if request.query_keys is not None or request.filter_params or is_long(request):
        return None
    brought = (request.score, request.aggregation, request.highlighter)
    if request.chains or any(part is not None for part in brought):
        return None
    return (
        request.database,
        request.collection,
        request.partitions,
        request.filter,
        request.output_fields,
        options,
    )


def search_together(
    core: Core, requests: Sequence[Search]
) -> list[SearchReply | ElanusError]:
    """Answers to searches of equal :func:`plan_key`, from one pass over the rows.

    Each has the answer that it would have alone, or the error.
    """
    prepared: list[Prepared] = []
    errors: dict[int, ElanusError] = {}
    for position, request in enumerate(requests):
        try:
            first = prepared[0] if prepared else prepare(core, request)
            prepared.append(_company(first, request))
        except ElanusError as error:
            errors[position] = error
    replies = _run_together(core, prepared) if prepared else iter(())
    return [errors.get(i) or next(replies) for i in range(len(requests))]


def _company(first: Prepared, request: Search) -> Prepared:
    queries = queries_of(first.collection, first.version, first.plan, request)
    return replace(first, request=request, queries=queries)


def _run_together(
    core: Core, prepared: Sequence[Prepared]
) -> Iterator[SearchReply | ElanusError]:
    sizes = [len(one.queries) for one in prepared]
    joined = concat_rows([one.queries for one in prepared])
    try:
        whole = run(core, replace(prepared[0], queries=joined))
    except ElanusError as error:
        yield from [error] * len(prepared)
        return
    first_query = first_hit = 0
    for size in sizes:
        counts = whole.counts[first_query : first_query + size]
        end = first_hit + int(counts.sum())
        yield _part(whole, counts, first_hit, end)
        first_query, first_hit = first_query + size, end


def _part(
    whole: SearchReply, counts: npt.NDArray[np.int64], start: int, end: int
) -> SearchReply:
    return replace(
        whole,
        counts=counts,
        keys=whole.keys[start:end],
        scores=whole.scores[start:end],
        columns=tuple(_rows(column, start, end) for column in whole.columns),
        group_columns=tuple(
            _values(column, start, end) for column in whole.group_columns
        ),
        elements=None if whole.elements is None else whole.elements[start:end],
    )


def _rows(column: AnyColumn, start: int, end: int) -> AnyColumn:
    if isinstance(column, StructColumn):
        parts = tuple(_values(part, start, end) for part in column.parts)
        return replace(column, parts=parts)
    return _values(column, start, end)


def _values(column: OutputColumn, start: int, end: int) -> OutputColumn:
    return replace(column, values=column.values[start:end])
