"""What a search is aggregated by, from its message."""

from __future__ import annotations

from elanus.engine.read.bucket_plan import (
    AggregationRequest,
    LevelRequest,
    MetricRequest,
    SortRequest,
    TopHitsRequest,
)
from elanus.server.grpc.messages import Message


def aggregation(message: Message) -> AggregationRequest:
    """``SearchAggregationSpec``, whose levels lie in one another."""
    levels = [_level(message)]
    while message.HasField("sub_aggregation"):
        message = message.sub_aggregation
        levels.append(_level(message))
    return tuple(levels)


def _level(message: Message) -> LevelRequest:
    metrics = message.metrics
    return LevelRequest(
        fields=tuple(message.fields),
        size=message.size,
        search_size=message.search_size,
        metrics=tuple(
            MetricRequest(alias, metrics[alias].op, metrics[alias].field_name)
            for alias in sorted(metrics)
        ),
        order=tuple(
            SortRequest(order.key, order.direction, order.null_first)
            for order in message.order
        ),
        top_hits=_top_hits(message.top_hits) if message.HasField("top_hits") else None,
    )


def _top_hits(message: Message) -> TopHitsRequest:
    sort = tuple(
        SortRequest(sort.field_name, sort.direction, sort.null_first)
        for sort in message.sort
    )
    return TopHitsRequest(message.size, sort)
