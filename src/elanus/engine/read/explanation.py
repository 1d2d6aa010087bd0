"""What a read did, step by step: plain values in a tree that prints as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IndexExplanation:
    """A part of the filter that an index answered, where a scan would take longer.

    Attributes:
        kind: as the user called it; AUTOINDEX where he did not.
        rows: how many rows match this part, by the index.
        is_exact: whether that is the number, and no estimate.
    """

    name: str
    kind: str
    condition: str
    rows: int
    is_exact: bool

    def __str__(self) -> str:
        """One line."""
        about = "" if self.is_exact else "about "
        return (
            f"index {self.name} ({self.kind}): {_shortened(self.condition)}, "
            f"{about}{_rows(self.rows)}"
        )


@dataclass(frozen=True, slots=True)
class FilterExplanation:
    """How the rows of one segment that match the filter were found.

    Attributes:
        way: ``columns``, ``indexes`` where these answered every part, ``primary key
            index``, ``pruned by partition`` or ``pruned by min/max``.
        looked_at: rows whose values were compared, or that indexes named.
        matching: rows that match and are visible.
        estimated: share of the visible rows expected to match, from statistics and what
            indexes count.
        selectivity: share of the visible rows that match.
        indexes: parts that indexes answered.
    """

    way: str
    looked_at: int
    matching: int
    estimated: float
    selectivity: float
    ms: float
    indexes: tuple[IndexExplanation, ...] = ()

    @property
    def is_pruned(self) -> bool:
        """Whether statistics alone told that no row can match."""
        return self.way.startswith("pruned")

    def __str__(self) -> str:
        """One line."""
        if self.is_pruned:
            return f"filter: {self.way}, no row looked at, {_ms(self.ms)}"
        return (
            f"filter by {self.way}: {_rows(self.looked_at)} looked at, "
            f"{self.matching} match ({_percent(self.selectivity)}, expected "
            f"{_percent(self.estimated)}), {_ms(self.ms)}"
        )


@dataclass(frozen=True, slots=True)
class SearchExplanation:
    """How one segment was searched.

    Attributes:
        strategy: ``exact``, ``index`` or ``sketch``.
        index: the kind of the index, where the segment has one.
        effort: ``ef`` or ``nprobe`` of an index, candidates of a sketch; else 0.
        candidates: rows of which the distance to a query was measured, for each query;
            of a graph, those that are kept while it is walked.
        reason: why this strategy.
        passes: how many times the segment was searched, deeper each time; those of
            groups are.
    """

    strategy: str
    index: str
    effort: int
    candidates: int
    reason: str
    passes: int
    ms: float

    def __str__(self) -> str:
        """One line, and why."""
        kind = f" {self.index}" if self.index and self.strategy != "exact" else ""
        effort = f", effort {self.effort}" if self.effort else ""
        passes = f", {self.passes} passes" if self.passes > 1 else ""
        return (
            f"search by {self.strategy}{kind}{effort}: {self.candidates} candidates"
            f"{passes}, {_ms(self.ms)} ({self.reason})"
        )


@dataclass(frozen=True, slots=True)
class SegmentExplanation:
    """What was done with one segment.

    Attributes:
        rows: of the segment.
        visible: those that are not deleted, expired or in a partition that is not read.
        filter, search: ``None`` where there was none, or no row left for it.
    """

    id: int
    is_sealed: bool
    rows: int
    visible: int
    filter: FilterExplanation | None = None
    search: SearchExplanation | None = None

    def lines(self) -> Iterator[str]:
        """As text."""
        kind = "sealed" if self.is_sealed else "growing"
        yield f"segment {self.id}: {kind}, {self.visible} of {_rows(self.rows)} visible"
        if self.filter is not None:
            yield f"  {self.filter}"
            yield from (f"    {index}" for index in self.filter.indexes)
        if self.search is not None:
            yield f"  {self.search}"


@dataclass(frozen=True, slots=True)
class PartitionsRead:
    """Which partitions can hold rows of the answer.

    Attributes:
        names: those that were read; empty for all.
        total: how many the collection has.
        chosen_by: ``everything``, ``name`` or ``partition key``.
    """

    names: tuple[str, ...]
    total: int
    chosen_by: str

    def __str__(self) -> str:
        """One line."""
        if self.chosen_by == "everything":
            return "all"
        shown = ", ".join(self.names[:_MOST_NAMES])
        more = ", ..." if len(self.names) > _MOST_NAMES else ""
        which = f" ({shown}{more})" if self.names else ""
        return f"{len(self.names)} of {self.total} by {self.chosen_by}{which}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one read did. Prints as text; :meth:`as_dict` is for programs.

    Attributes:
        operation: ``search``, ``hybrid search``, ``query`` or ``count``.
        plan: what was asked for, names resolved: field, metric, limit and so on.
        filter: as it was bound; empty when every row matches.
        partitions: ``None`` of a hybrid search, whose parts say it.
        parts: the searches of a hybrid one.
        steps_ms: time of each step of the whole.
        returned: rows of the answer.
        total_ms: from the request to the answer, its bytes not yet made.
    """

    operation: str
    collection: str
    plan: Mapping[str, Any]
    filter: str
    partitions: PartitionsRead | None
    segments: tuple[SegmentExplanation, ...]
    parts: tuple[Explanation, ...]
    steps_ms: Mapping[str, float]
    returned: int
    total_ms: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, as JSON has them."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        asked = ", ".join(f"{name} {value}" for name, value in self.plan.items())
        yield f"{self.operation} of {self.collection}" + (f": {asked}" if asked else "")
        if self.filter:
            yield f"  filter: {_shortened(self.filter)}"
        if self.partitions is not None:
            yield f"  partitions: {self.partitions}"
        for segment in self.segments:
            yield from (f"  {line}" for line in segment.lines())
        for part in self.parts:
            yield from (f"  {line}" for line in part._lines())
        steps = ", ".join(f"{name} {_ms(ms)}" for name, ms in self.steps_ms.items())
        yield f"  {_rows(self.returned)} in {_ms(self.total_ms)}: {steps}"


_MOST_NAMES = 8
_MOST_TEXT = 1000


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _ms(value: float) -> str:
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _shortened(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"{text[:_MOST_TEXT]}... ({len(text)} characters)"
