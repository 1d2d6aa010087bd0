"""Whether an index answers a leaf of a filter, segment by segment: only where it pays.

Both ways give the same answer, so the choice is one of estimated time. An index that is
found damaged is given up, and the rows are scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from elanus.engine.version import SegmentView
from elanus.errors import StorageError
from elanus.expr.kleene import Mask
from elanus.expr.predicate import Condition, field_read, place_read
from elanus.expr.source import ColumnSource
from elanus.index.scalar.base import OVERHEAD_US, Lookup, ScalarIndex
from elanus.index.scalar.costs import scan_us
from elanus.index.scalar.elements import ElementIndex
from elanus.segment.attached import AttachedScalarIndex

_MARGIN: Final = 1.25
"""An index has to promise to be so much quicker: estimates are rough."""

_LEAST_US: Final = OVERHEAD_US * _MARGIN
_EARLY_US: Final = 200.0
"""Costlier look-ups wait for other parts of a conjunction to leave few rows."""


@dataclass(frozen=True, slots=True)
class IndexUse:
    """An index that answers a leaf of a filter in one segment.

    Attributes:
        condition: the leaf.
        name, kind: of the index, as the user called them.
        rows: how many rows match, by estimate; with ``is_exact``, in truth.
        cost_us, scan_us: estimated time of both ways.
        pays: whether the index is quicker than a scan, and therefore used.
    """

    condition: Condition
    name: str
    kind: str
    rows: int
    is_exact: bool
    cost_us: float
    scan_us: float
    pays: bool


class _Choice(NamedTuple):
    """The index that would answer first, and how."""

    attached: AttachedScalarIndex
    lookup: Lookup
    scan_us: float

    @property
    def pays(self) -> bool:
        """Whether the index is quicker than a scan, by estimate."""
        return self.lookup.cost_us * _MARGIN < self.scan_us

    def use_for(self, condition: Condition) -> IndexUse:
        """What is told of it."""
        return IndexUse(
            condition,
            self.attached.name,
            self.attached.kind,
            self.lookup.rows,
            self.lookup.is_exact,
            self.lookup.cost_us,
            self.scan_us,
            self.pays,
        )


def index_use(
    view: SegmentView, condition: Condition, n_rows: int | None = None
) -> IndexUse | None:
    """The best index for a leaf in one segment, whether it pays or not.

    ``None`` when the condition is no leaf, or no index would serve it in time.

    Args:
        n_rows: that a scan would read; all of the segment when not given.
    """
    choice = _best(view, condition, view.n_rows if n_rows is None else n_rows)
    return None if choice is None else choice.use_for(condition)


def served(
    view: SegmentView,
    condition: Condition,
    source: ColumnSource,
    n_rows: int,
    uses: list[IndexUse] | None,
) -> Mask | None:
    """What an index answers; ``None`` when the rows are to be scanned.

    Args:
        source: the columns of the view.
        n_rows: that a scan would read.
        uses: takes a note of the index used.
    """
    choice = _best(view, condition, n_rows, least_us=_LEAST_US)
    if choice is None or not choice.pays:
        return None
    if uses is not None:
        uses.append(choice.use_for(condition))
    return choice.lookup.answer(source)


def serves_early(view: SegmentView, condition: Condition, n_rows: int) -> bool:
    """Whether an index answers so soon that rows need not be few for it."""
    choice = _best(view, condition, n_rows, least_us=_LEAST_US)
    return choice is not None and choice.pays and choice.lookup.cost_us < _EARLY_US


def served_elements(
    view: SegmentView, condition: Condition, source: ColumnSource
) -> Mask | None:
    """What an index of an array answers about its elements, each a row."""
    field_id = field_read(condition)
    if field_id is None:
        return None
    for attached in view.segment.scalar_indexes(field_id):
        index = _usable(view, attached)
        if not isinstance(index, ElementIndex):
            continue
        scanning_us = scan_us(condition, index.elements.n_rows)
        lookup = index.elements.lookup(condition, scanning_us)
        if lookup is not None and lookup.cost_us * _MARGIN < scanning_us:
            return lookup.answer(source)
    return None


def _best(
    view: SegmentView, condition: Condition, n_rows: int, least_us: float = 0.0
) -> _Choice | None:
    """The index that answers soonest.

    Args:
        least_us: a scan that takes less is not worth a look at indexes.
    """
    field_id = field_read(condition)
    if field_id is None:
        return None
    attached_here = view.segment.scalar_indexes(field_id)
    if not attached_here:
        return None
    is_decoded = _is_decoded(view, condition)
    scanning_us = scan_us(condition, n_rows, is_decoded=is_decoded)
    if scanning_us < least_us:
        return None
    best: _Choice | None = None
    for attached in attached_here:
        index = _usable(view, attached)
        lookup = None if index is None else index.lookup(condition, scanning_us)
        if lookup is None:
            continue
        if best is None or lookup.cost_us < best.lookup.cost_us:
            best = _Choice(attached, lookup, scanning_us)
    return best


def _is_decoded(view: SegmentView, condition: Condition) -> bool:
    """Whether a scan would find its values decoded, where they are JSON."""
    place = place_read(condition)
    return place is None or view.segment.is_decoded(place.field_id, place.path)


def _usable(view: SegmentView, attached: AttachedScalarIndex) -> ScalarIndex | None:
    try:
        return attached.usable()
    except StorageError as error:
        view.segment.give_up(attached, str(error))
        return None
