"""Which rows of a segment a request may return: alive, in its partitions, matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from elanus.engine.version import SegmentView, Version
from elanus.expr.boxes import Boxes
from elanus.expr.evaluate import evaluate
from elanus.expr.jsonpath import PathColumn
from elanus.expr.predicate import Predicate
from elanus.expr.prune import may_match
from elanus.index.base import Allowed
from elanus.schema.arrays import array_of_plain
from elanus.schema.columns import Offsets, to_arrow
from elanus.segment.deletes import Mask
from elanus.segment.keys import Keys

_UNKNOWN = Allowed(np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True)
class ViewSource:
    """The columns of a segment view, as the expression evaluator reads them."""

    view: SegmentView

    @property
    def n_rows(self) -> int:
        """Rows of the view."""
        return self.view.n_rows

    def column(self, field_id: int) -> pa.Array:
        """A scalar column of the view; of lists of vectors, as Arrow has them."""
        segment, n_rows = self.view.segment, self.view.n_rows
        field = segment.schema.ever[field_id]
        if field.is_vector:
            return to_arrow(segment.vectors(field_id, n_rows), field)
        return segment.column(field_id, n_rows)

    def json_path(self, field_id: int, path: tuple[str | int, ...]) -> PathColumn:
        """The values at one path of a JSON column."""
        return self.view.segment.json_path(field_id, path, self.view.n_rows)

    def boxes(self, field_id: int) -> Boxes:
        """What surrounds the geometries of a column."""
        return self.view.segment.boxes(field_id, self.view.n_rows)


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
    visible = version.visible(position, live)
    view = version.views[position]
    matching = matching_rows(version, view, predicate, rng)
    if matching is None:
        return Allowed(np.zeros(view.n_rows, np.bool_))
    if visible is not None:
        matching &= visible
    return Allowed(matching)


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
    rng: np.random.Generator,
) -> Mask | None:
    """Rows that satisfy the predicate, hidden ones included; ``None`` for no row."""
    keys = predicate.primary_keys()
    if keys is not None:
        return _rows_of_keys(version, view, keys)
    ranges = view.segment.ranges()
    if ranges is not None and not may_match(predicate, ranges):
        return None
    return evaluate(predicate, ViewSource(view), rng)


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
        column = array_of_plain(keys).cast(version.schema.primary.arrow_type)
    except (pa.ArrowInvalid, OverflowError):
        # keys beyond 64 bits match nothing
        column = pa.array(
            [key for key in keys if isinstance(key, int) and -(2**63) <= key < 2**63],
            pa.int64(),
        )
    return view.segment.find(Keys.of(column), view.n_rows)[1]
