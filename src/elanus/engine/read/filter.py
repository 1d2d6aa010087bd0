"""Which rows of a segment a request may return: alive, in its partitions, matching."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

from elanus.engine.read.indexed import (
    IndexUse,
    served,
    served_elements,
    serves_early,
)
from elanus.engine.read.key_partitions import reachable
from elanus.engine.version import SegmentView, Version
from elanus.errors import InternalError
from elanus.expr.boxes import Boxes
from elanus.expr.evaluate import evaluate
from elanus.expr.jsonpath import PathColumn
from elanus.expr.kleene import Mask as Truth
from elanus.expr.predicate import Condition, Predicate
from elanus.expr.prune import may_match
from elanus.expr.source import IndexedSource
from elanus.index.base import Allowed
from elanus.schema.arrays import array_of_plain
from elanus.schema.columns import Offsets, to_arrow
from elanus.schema.types import DataType
from elanus.segment.base import Spans
from elanus.segment.deletes import Mask
from elanus.segment.keys import Keys
from elanus.text.postings import CutPostings, Occurrences

_UNKNOWN = Allowed(np.empty(0, np.bool_))
# Each span costs as much as a few thousand rows.
_MOST_SPANS = 32
_LARGEST_SHARE = 0.75


class FilterWay(StrEnum):
    """The ways to find the rows of a segment that match a filter."""

    KEYS = "primary key index"
    NO_PARTITION = "pruned by partition"
    NO_VALUE = "pruned by min/max"
    COLUMNS = "columns"


@dataclass(frozen=True, slots=True)
class FilterStep:
    """How the rows of one segment that match a filter are found.

    Attributes:
        way: the way.
        keys: the primary keys that are looked up.
        spans: first and past-the-last offsets of the rows looked at; ``None`` for all.
    """

    way: FilterWay
    keys: list[int] | list[str] | None = None
    spans: Spans | None = None

    @property
    def is_pruned(self) -> bool:
        """Whether no row is looked at, as none can match."""
        return self.way in (FilterWay.NO_PARTITION, FilterWay.NO_VALUE)


@dataclass(frozen=True, slots=True)
class ViewSource(IndexedSource):
    """The columns of a segment view, as the expression evaluator reads them.

    Attributes:
        span: first and past-the-last offset of the rows read; ``None`` for all.
        uses: takes a note of each index that answers, where somebody wants to know.
    """

    view: SegmentView
    span: tuple[int, int] | None = None
    uses: list[IndexUse] | None = None

    @property
    def n_rows(self) -> int:
        """Rows read."""
        if self.span is not None:
            return self.span[1] - self.span[0]
        return self.view.n_rows

    def column(self, field_id: int) -> pa.Array:
        """A scalar column of the view; of lists of vectors, as Arrow has them."""
        segment, n_rows = self.view.segment, self.view.n_rows
        field = segment.schema.ever[field_id]
        if field.is_vector:
            column = to_arrow(segment.vectors(field_id, n_rows), field)
        else:
            column = segment.column(field_id, n_rows)
        return column if self.span is None else column.slice(self.span[0], self.n_rows)

    def json_path(self, field_id: int, path: tuple[str | int, ...]) -> PathColumn:
        """The values at one path of a JSON column, of all rows."""
        if self.span is not None:
            raise InternalError("JSON paths are cached whole and are not cut")
        return self.view.segment.json_path(field_id, path, self.view.n_rows)

    def boxes(self, field_id: int) -> Boxes:
        """What surrounds the geometries of a column."""
        boxes = self.view.segment.boxes(field_id, self.view.n_rows)
        return boxes if self.span is None else boxes.part(*self.span)

    def texts(self, field_id: int) -> Occurrences:
        """Where the tokens of a column of texts stand."""
        whole = self.view.segment.texts(field_id, self.view.n_rows)
        return whole if self.span is None else CutPostings(whole, *self.span)

    def served(self, condition: Condition) -> Truth | None:
        """See :class:`elanus.expr.source.IndexedSource`."""
        if self.span is None:
            return served(self.view, condition, self, self.n_rows, self.uses)
        whole = ViewSource(self.view)
        mask = served(self.view, condition, whole, self.n_rows, self.uses)
        if mask is None:
            return None
        part = slice(*self.span)
        unknown = None if mask.unknown is None else mask.unknown[part]
        return Truth(mask.true[part], unknown)

    def serves(self, condition: Condition) -> bool:
        """See :class:`elanus.expr.source.IndexedSource`."""
        return serves_early(self.view, condition, self.n_rows)

    def served_elements(self, condition: Condition) -> Truth | None:
        """See :class:`elanus.expr.source.IndexedSource`."""
        if self.span is not None:
            return None
        return served_elements(self.view, condition, self)


def allowed_rows(
    version: Version,
    position: int,
    partitions: frozenset[int] | None,
    predicate: Predicate | None,
    rng: np.random.Generator,
) -> Allowed | None:
    """Rows of one segment that reads may return; ``None`` when that is every row."""
    live = version.partitions
    if partitions is not None:
        live &= partitions
    if predicate is None:
        return _all_visible(version, position, live)
    view = version.views[position]
    matching = matching_rows(version, view, predicate, live, rng)
    if matching is None:
        return Allowed(np.zeros(view.n_rows, np.bool_))
    visible = version.visible(position, live)
    if visible is not None:
        matching &= visible
    return Allowed(matching)


def rows_named(
    version: Version,
    position: int,
    partitions: frozenset[int] | None,
    keys: list[int] | list[str],
) -> Offsets:
    """Offsets of the rows of one segment with these keys that reads may return.

    What a filter of keys alone leaves, without a pass over the others.
    """
    live = version.partitions
    if partitions is not None:
        live &= partitions
    offsets = np.unique(rows_of_keys(version, version.views[position], keys))
    visible = version.visible(position, live) if len(offsets) else None
    return offsets if visible is None else offsets[visible[offsets]]


def _all_visible(
    version: Version, position: int, partitions: frozenset[int]
) -> Allowed | None:
    if version.repeated_keys:
        mask = version.visible(position, partitions)
        return None if mask is None else Allowed(mask)
    # a view outlives its version, so that a write elsewhere does not cost its bitmap
    cache = version.views[position].cache
    known: Allowed | None = cache.get(partitions, _UNKNOWN)
    if known is _UNKNOWN:
        mask = version.visible(position, partitions)
        known = cache[partitions] = None if mask is None else Allowed(mask)
    return known


def matching_rows(
    version: Version,
    view: SegmentView,
    predicate: Predicate,
    partitions: frozenset[int],
    rng: np.random.Generator,
) -> Mask | None:
    """Rows that satisfy the predicate, hidden ones included; ``None`` for no row.

    Args:
        partitions: rows of other partitions count neither way.
    """
    step = filter_step(version, view, predicate, partitions)
    if step.is_pruned:
        return None
    if step.keys is not None:
        return _rows_of_keys(version, view, step.keys)
    if step.spans is None:
        return evaluate(predicate, ViewSource(view), rng)
    mask = np.zeros(view.n_rows, np.bool_)
    for start, end in step.spans:
        mask[start:end] = evaluate(predicate, ViewSource(view, (start, end)), rng)
    return mask


def filter_step(
    version: Version,
    view: SegmentView,
    predicate: Predicate,
    partitions: frozenset[int],
) -> FilterStep:
    """How to find the rows of a segment that match.

    Args:
        partitions: those that are read.
    """
    keys = predicate.primary_keys()
    if keys is not None:
        return FilterStep(FilterWay.KEYS, keys)
    spans = view.segment.spans(reachable(version, predicate, partitions))
    if spans == ():
        return FilterStep(FilterWay.NO_PARTITION)
    ranges = view.segment.ranges()
    if ranges is not None and not may_match(predicate, ranges):
        return FilterStep(FilterWay.NO_VALUE)
    if spans is not None and not _is_worth_cutting(view, predicate, spans):
        spans = None
    return FilterStep(FilterWay.COLUMNS, spans=spans)


def _is_worth_cutting(view: SegmentView, predicate: Predicate, spans: Spans) -> bool:
    """Whether the rows of some partitions are looked at alone."""
    if predicate.sample is not None or len(spans) > _MOST_SPANS:
        return False
    if sum(end - start for start, end in spans) > _LARGEST_SHARE * view.n_rows:
        return False
    fields = view.segment.schema.ever
    return all(fields[id].dtype is not DataType.JSON for id in predicate.fields)


def _rows_of_keys(
    version: Version, view: SegmentView, keys: list[int] | list[str]
) -> Mask | None:
    offsets = rows_of_keys(version, view, keys)
    if not len(offsets):
        return None
    mask = np.zeros(view.n_rows, np.bool_)
    mask[offsets] = True
    return mask


def rows_of_keys(
    version: Version, view: SegmentView, keys: list[int] | list[str]
) -> Offsets:
    """Offsets of the rows of a segment that hold these keys, hidden ones included."""
    try:
        column = array_of_plain(keys)
        if column.type != version.schema.primary.arrow_type:
            column = column.cast(version.schema.primary.arrow_type)
    except (pa.ArrowInvalid, OverflowError):
        # keys beyond 64 bits match nothing
        column = pa.array(
            [key for key in keys if isinstance(key, int) and -(2**63) <= key < 2**63],
            pa.int64(),
        )
    return view.segment.find(Keys.of(column), view.n_rows)[1]
