"""Running a query plan: rows by filter in key order, counts, and iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.filter import allowed_rows, matching_rows, rows_named
from elanus.engine.read.first import first_rows, values_at
from elanus.engine.read.order import sorted_rows
from elanus.engine.read.output import output_columns
from elanus.engine.read.plan import QueryPlan
from elanus.engine.read.recorder import Recorder
from elanus.engine.version import SegmentView, Version
from elanus.expr.predicate import Predicate
from elanus.index.base import Allowed
from elanus.schema.arrays import array_of, values_of
from elanus.schema.columns import Offsets, concat
from elanus.segment.keys import Codes, codes_of
from elanus.segment.sealed import SealedSegment


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows chosen from a version: position in its views, and row offset, of each.

    Attributes:
        keys: the primary key of each, where it was read anyway.
    """

    parts: Offsets
    offsets: Offsets
    keys: pa.Array | None = None

    @classmethod
    def none(cls) -> Rows:
        """No rows."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def take(self, order: Offsets) -> Rows:
        """The rows at ``order``."""
        keys = None if self.keys is None else self.keys.take(array_of(order))
        return Rows(self.parts[order], self.offsets[order], keys)


def query(
    version: Version,
    plan: QueryPlan,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> pa.Table:
    """The rows of a plan, in its order.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    rows = matching(version, plan, rng, recorder)
    arrays = output_columns(version.views, rows.parts, rows.offsets, plan.outputs)
    if recorder is not None:
        recorder.step("output")
    return pa.Table.from_arrays(list(arrays.values()), names=list(arrays))


def matching(
    version: Version,
    plan: QueryPlan,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> Rows:
    """Which rows a plan returns, in its order."""
    end = None if plan.limit is None else plan.offset + plan.limit
    rows = _by_key(version, plan, end, rng, recorder)
    if plan.order:
        order = sorted_rows(version.views, rows.parts, rows.offsets, plan.order)
        rows = rows.take(order[plan.offset : end] if end is not None else order)
    if recorder is not None:
        recorder.step("order")
    return rows


def _by_key(
    version: Version,
    plan: QueryPlan,
    end: int | None,
    rng: np.random.Generator,
    recorder: Recorder | None,
) -> Rows:
    """The plan's rows ascending by primary key.

    Args:
        end: how many are wanted, the plan's offset included; of a plan with an order,
            all that can be among the first of it come, its offset not taken off.
    """
    primary = version.schema.primary.id
    parts, offsets, keys = [], [], []
    named = None if plan.predicate is None else plan.predicate.primary_keys()
    for position, view in enumerate(version.views):
        if named is not None and recorder is None:
            chosen = rows_named(version, position, plan.partitions, named)
        else:
            allowed = allowed_rows(
                version, position, plan.partitions, plan.predicate, rng
            )
            chosen = np.arange(view.n_rows) if allowed is None else allowed.offsets
            if recorder is not None:
                recorder.filter_ran(position, allowed)
        if not len(chosen):
            continue
        if end is not None:
            chosen = first_rows(view, chosen, plan.order, end, primary)
        values = values_at(view, chosen, primary)
        parts.append(np.full(len(chosen), position, np.int64))
        offsets.append(chosen)
        keys.append(values)
        if recorder is not None:
            recorder.step("order")
    if not parts:
        return Rows.none()
    column = concat(list(keys))
    assert isinstance(column, pa.Array)
    rows = Rows(np.concatenate(parts), np.concatenate(offsets), column)
    order = _ascending(column)
    if end is None or plan.order:
        return rows.take(order)
    return rows.take(order[plan.offset : end])


def _ascending(keys: pa.Array) -> Offsets:
    """Positions of the keys in ascending order."""
    if pa.types.is_integer(keys.type):
        return np.argsort(values_of(keys), kind="stable")
    found: Offsets = values_of(pc.sort_indices(keys)).astype(np.int64)
    return found


def count(
    version: Version,
    predicate: Predicate | None,
    partitions: frozenset[int] | None,
    rng: np.random.Generator,
    recorder: Recorder | None = None,
) -> int:
    """How many rows there are; rows of repeated keys count each, as in Milvus."""
    live = version.partitions if partitions is None else partitions & version.partitions
    total = 0
    for position, view in enumerate(version.views):
        mask = view.counted(live)
        if predicate is not None:
            matching = matching_rows(version, view, predicate, live, rng)
            if matching is None:
                matching = np.zeros(view.n_rows, np.bool_)
            mask = matching if mask is None else matching & mask
        total += view.n_rows if mask is None else int(np.count_nonzero(mask))
        if recorder is not None:
            rows = None if mask is None else Allowed(mask)
            recorder.filter_ran(position, rows)
    return total


def iterate(
    version: Version, plan: QueryPlan, batch_rows: int, rng: np.random.Generator
) -> Iterator[pa.Table]:
    """All rows of a plan in tables of up to ``batch_rows``, in bounded memory.

    INT64 keys ascend; VARCHAR keys come in the order of their hash. ``limit`` and
    ``offset`` of the plan are not looked at.
    """
    cursors = []
    for position in range(len(version.views)):
        allowed = allowed_rows(version, position, plan.partitions, plan.predicate, rng)
        if allowed is None or allowed.count:
            cursors.append(_Cursor(version, position, allowed, batch_rows))
    while cursors := [cursor for cursor in cursors if cursor.refill()]:
        bound = min(cursor.last_code for cursor in cursors)
        taken = [cursor.take_up_to(bound) for cursor in cursors]
        codes = np.concatenate([code for code, _, _ in taken])
        rows = Rows(
            np.concatenate([part for _, part, _ in taken]),
            np.concatenate([offset for _, _, offset in taken]),
        ).take(np.argsort(codes, kind="stable"))
        for start in range(0, len(codes), batch_rows):
            piece = rows.take(np.arange(start, min(start + batch_rows, len(codes))))
            arrays = output_columns(
                version.views, piece.parts, piece.offsets, plan.outputs
            )
            yield pa.Table.from_arrays(list(arrays.values()), names=list(arrays))


class _Cursor:
    """Walks the allowed rows of one segment in order of key code, a chunk at a time."""

    def __init__(
        self, version: Version, position: int, allowed: Allowed | None, rows: int
    ) -> None:
        view = version.views[position]
        self._position = position
        self._mask = None if allowed is None else allowed.mask
        self._all_codes, self._all_offsets = _in_code_order(version, view)
        self._next = 0
        self._chunk = max(rows, 1024)
        self._codes: Codes = np.empty(0, np.int64)
        self._offsets: Offsets = np.empty(0, np.int64)

    def refill(self) -> bool:
        """Make sure that a row is at hand; false at the end."""
        while not len(self._codes) and self._next < len(self._all_codes):
            end = self._next + self._chunk
            offsets = self._all_offsets[self._next : end].astype(np.int64)
            codes = self._all_codes[self._next : end]
            if self._mask is not None:
                kept = self._mask[offsets]
                codes, offsets = codes[kept], offsets[kept]
            self._codes, self._offsets, self._next = codes, offsets, end
        return len(self._codes) > 0

    @property
    def last_code(self) -> int:
        """The largest code at hand."""
        return int(self._codes[-1])

    def take_up_to(self, bound: int) -> tuple[Codes, Offsets, Offsets]:
        """Remove and return the rows at hand whose code is not beyond ``bound``."""
        end = int(np.searchsorted(self._codes, bound, "right"))
        codes, offsets = self._codes[:end], self._offsets[:end]
        self._codes, self._offsets = self._codes[end:], self._offsets[end:]
        return codes, np.full(end, self._position, np.int64), offsets


def _in_code_order(
    version: Version, view: SegmentView
) -> tuple[Codes, npt.NDArray[np.integer]]:
    segment = view.segment
    if isinstance(segment, SealedSegment):
        return segment.keys_in_code_order()
    codes = codes_of(segment.column(version.schema.primary.id, view.n_rows))
    order = np.argsort(codes, kind="stable")
    return codes[order], order
