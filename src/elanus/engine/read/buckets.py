"""The rows that a search found, in buckets, and in these in buckets again.

All buckets of a level are made at once, those of every query and every bucket around
them: rows have the number of their bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elanus.distance.metrics import Metric
from elanus.engine.read.bucket_plan import COUNT, KEY, SCORE, BucketPlan, Level
from elanus.engine.read.group_plan import GroupBy
from elanus.engine.read.grouping import group_codes
from elanus.engine.read.order import ranked
from elanus.engine.read.search import SearchHits
from elanus.engine.read.totals import Totals, flags_of
from elanus.engine.version import gather
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Offsets
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.schema.vectors import VectorColumn

_NUMBER = FieldSchema("bucket", DataType.INT64)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows that are equal in the keys of a level, and in those of the levels around.

    Attributes:
        keys: the values of the level's own keys.
        count: how many rows there are, of those that the search found.
        metrics: by alias; those without a value are not there.
        hits: the rows shown, as positions among those that the search found.
        buckets: of the next level.
    """

    keys: tuple[Any, ...]
    count: int
    metrics: Mapping[str, Any]
    hits: tuple[int, ...]
    buckets: tuple[Bucket, ...]


def buckets_of(
    hits: SearchHits, plan: BucketPlan, metric: Metric
) -> list[tuple[Bucket, ...]]:
    """The buckets of the outermost level, for each query.

    Args:
        hits: of a search by the groups of the plan.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    found = _Found(hits, metric)
    queries = np.repeat(np.arange(len(hits.counts)), hits.counts)
    rows = np.arange(len(hits.offsets))
    return _level(found, plan.levels, rows, queries, len(hits.counts))


def _level(
    found: _Found, levels: Sequence[Level], rows: Offsets, owners: Offsets, n: int
) -> list[tuple[Bucket, ...]]:
    """The buckets of the first of these levels, for each of ``n`` owners.

    Args:
        rows: positions of hits.
        owners: the query or the bucket around it of each row.
    """
    if not levels or not len(rows):
        return [()] * n
    level = levels[0]
    numbers, firsts = _numbered(owners, found.codes(level)[rows])
    measured = _Measured(found, level, rows, numbers, firsts)
    chosen = _chosen(level, measured, owners[firsts])
    place = np.full(len(firsts), -1)
    place[chosen] = np.arange(len(chosen))
    kept = place[numbers] >= 0
    rows, numbers = rows[kept], place[numbers[kept]]
    inner = _level(found, levels[1:], rows, numbers, len(chosen))
    shown = _shown(found, level, rows, numbers, len(chosen))
    made: list[list[Bucket]] = [[] for _ in range(n)]
    for at, number in enumerate(chosen.tolist()):
        keys, count, metrics = measured.told(number)
        bucket = Bucket(keys, count, metrics, shown[at], inner[at])
        made[owners[firsts[number]]].append(bucket)
    return [tuple(buckets) for buckets in made]


def _numbered(owners: Offsets, codes: Offsets) -> tuple[Offsets, Offsets]:
    """The bucket of each row, and the first row of each; buckets in order of those."""
    pairs = owners * (int(codes.max()) + 1) + codes
    _, firsts, numbers = np.unique(pairs, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[numbers], firsts[order]


class _Found:
    """What was found, as columns, each read once."""

    def __init__(self, hits: SearchHits, metric: Metric) -> None:
        self.hits = hits
        self._larger_is_better = metric.row.larger_is_better
        self._nearness: Offsets | None = None
        self._columns: dict[int, pa.Array] = {SCORE.id: array_of(hits.scores)}

    def column(self, field: FieldSchema) -> pa.Array:
        """A field's values at the hits; of vectors, which are there."""
        known = self._columns.get(field.id)
        if known is None:
            hits = self.hits
            column = gather(hits.version.views, hits.parts, hits.offsets, field.id)
            if isinstance(column, VectorColumn):
                every = np.ones(len(column), np.bool_)
                column = flags_of(every if column.valid is None else column.valid)
            known = self._columns[field.id] = column
        return known

    def codes(self, level: Level) -> Offsets:
        """A number for each hit, the same for those with equal keys of a level."""
        hits = self.hits
        by = GroupBy(level.keys)
        return group_codes(hits.version.views, hits.parts, hits.offsets, by)

    def nearness(self) -> Offsets:
        """The place of each hit among all: nearest first, then by key."""
        if self._nearness is None:
            scores, keys = self.hits.scores, self.hits.keys
            assert isinstance(keys, pa.Array)
            by_key = values_of(pc.sort_indices(keys))
            rank = np.empty(len(scores), np.int64)
            rank[by_key] = np.arange(len(scores))
            order = np.lexsort((rank, -scores if self._larger_is_better else scores))
            self._nearness = np.empty(len(scores), np.int64)
            self._nearness[order] = np.arange(len(scores))
        return self._nearness


class _Measured:
    """The buckets of one level with what was computed of each."""

    def __init__(
        self,
        found: _Found,
        level: Level,
        rows: Offsets,
        numbers: Offsets,
        firsts: Offsets,
    ) -> None:
        taken = array_of(rows)
        self.counts = np.bincount(numbers, minlength=len(firsts))
        heads = array_of(rows[firsts])
        self.keys = [found.column(key.field).take(heads) for key in level.keys]
        totals = Totals([_NUMBER], level.metrics)
        fields = [each.field for each in level.metrics if each.field is not None]
        values = {field.id: found.column(field).take(taken) for field in fields}
        totals.add(len(rows), [array_of(numbers)], values)
        groups, results = totals.results()
        order = pc.sort_indices(groups[0])
        names = [each.name for each in level.metrics]
        taken_results = (result.take(order) for result in results)
        self.metrics = dict(zip(names, taken_results, strict=True))
        self._told_keys = [column.to_pylist() for column in self.keys]
        self._told = {name: column.to_pylist() for name, column in self.metrics.items()}

    def told(self, number: int) -> tuple[tuple[Any, ...], int, dict[str, Any]]:
        """Keys, count and metrics of one bucket."""
        keys = tuple(column[number] for column in self._told_keys)
        metrics = {
            name: values[number]
            for name, values in self._told.items()
            if values[number] is not None
        }
        return keys, int(self.counts[number]), metrics


def _chosen(level: Level, measured: _Measured, owners: Offsets) -> Offsets:
    """The buckets of a level that come, in their order inside their owners."""
    ranks = [owners]
    for key in level.order:
        if key.key == COUNT:
            columns = [array_of(measured.counts)]
        elif key.key == KEY:
            columns = measured.keys
        else:
            columns = [measured.metrics[key.key]]
        for column in columns:
            ranks.append(
                ranked(
                    column,
                    is_descending=key.is_descending,
                    nulls_first=key.nulls_first,
                )
            )
    return _first(np.lexsort(ranks[::-1]), owners, level.size)


def _first(order: Offsets, owners: Offsets, count: int) -> Offsets:
    """The first of each owner, of things in order and owner after owner."""
    in_order = owners[order]
    sizes = np.bincount(in_order)
    within = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept: Offsets = order[within < count]
    return kept


def _shown(
    found: _Found, level: Level, rows: Offsets, numbers: Offsets, n: int
) -> list[tuple[int, ...]]:
    """The hits that each of ``n`` buckets shows."""
    if level.top_hits is None:
        return [()] * n
    taken = array_of(rows)
    ranks = [numbers]
    for key in level.top_hits.order:
        column = found.column(key.field).take(taken)
        ranks.append(
            ranked(column, is_descending=key.is_descending, nulls_first=key.nulls_first)
        )
    ranks.append(found.nearness()[rows])
    chosen = _first(np.lexsort(ranks[::-1]), numbers, level.top_hits.size)
    shown: list[list[int]] = [[] for _ in range(n)]
    for number, row in zip(
        numbers[chosen].tolist(), rows[chosen].tolist(), strict=True
    ):
        shown[number].append(row)
    return [tuple(positions) for positions in shown]
