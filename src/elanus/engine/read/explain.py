"""From the notes of a read to its explanation."""

from __future__ import annotations

from typing import Any

from elanus.engine.definition import CollectionDefinition
from elanus.engine.read.explanation import (
    Explanation,
    FilterExplanation,
    IndexExplanation,
    PartitionsRead,
    SearchExplanation,
    SegmentExplanation,
)
from elanus.engine.read.filter import (
    FilterStep,
    FilterWay,
    ViewSource,
    filter_step,
    rows_of_keys,
)
from elanus.engine.read.fusion_plan import Decayed, FusionPlan, Judged, Ranker
from elanus.engine.read.indexed import IndexUse, index_use
from elanus.engine.read.key_partitions import reachable
from elanus.engine.read.order import SortKey
from elanus.engine.read.plan import QueryPlan, SearchPlan
from elanus.engine.read.recorder import Filtered, ReadPlan, Recorder, Searched
from elanus.engine.version import SegmentView, Version
from elanus.expr.estimate import estimated_share
from elanus.expr.evaluate import truth
from elanus.expr.predicate import Condition, Predicate, leaves_of
from elanus.index.base import IndexMeta, VectorIndex
from elanus.index.registry import AUTOINDEX
from elanus.index.strategy import StrategyKind


def explain(
    definition: CollectionDefinition,
    operation: str,
    recorder: Recorder,
) -> Explanation:
    """What a read did, from the notes that were made of it.

    Args:
        recorder: of a read that has ended.
    """
    if recorder.parts:
        return _of_parts(definition, operation, recorder)
    version, plan = recorder.version, recorder.plan
    assert version is not None and plan is not None
    segments = tuple(
        _segment(version, position, plan, recorder)
        for position in range(len(version.views))
    )
    return Explanation(
        operation=operation,
        collection=definition.name,
        plan={**_asked(plan), **recorder.asked},
        filter="" if plan.predicate is None else str(plan.predicate),
        partitions=_partitions(definition, version, plan),
        segments=segments,
        parts=(),
        steps_ms=_steps_ms(recorder, segments),
        returned=recorder.returned,
        total_ms=_ms(recorder.total),
    )


def fusion_asked(plan: FusionPlan) -> dict[str, Any]:
    """What a hybrid search asks for beside its searches."""
    asked: dict[str, Any] = {"ranker": _ranker_text(plan.ranker), "limit": plan.limit}
    if plan.offset:
        asked["offset"] = plan.offset
    if plan.group is not None:
        asked["group scorer"] = plan.scorer.value
    return asked


def _ranker_text(ranker: Ranker) -> str:
    if isinstance(ranker, Decayed):
        return f"{ranker.mode} of the scores, decayed by {ranker.field.name}"
    if isinstance(ranker, Judged):
        return f"a model's score of {ranker.field.name}"
    return str(ranker)


def _of_parts(
    definition: CollectionDefinition, operation: str, recorder: Recorder
) -> Explanation:
    parts = tuple(explain(definition, "search", part) for part in recorder.parts)
    searched = sum(part.total_ms for part in parts)
    steps = {name: _ms(seconds) for name, seconds in recorder.seconds.items()}
    return Explanation(
        operation=operation,
        collection=definition.name,
        plan=recorder.asked,
        filter="",
        partitions=None,
        segments=(),
        parts=parts,
        steps_ms={
            "plan": steps.pop("plan", 0.0),
            "searches": round(searched, 4),
            **steps,
        },
        returned=recorder.returned,
        total_ms=_ms(recorder.total),
    )


def _asked(plan: ReadPlan) -> dict[str, Any]:
    """What was asked for, beside the filter and the partitions."""
    asked: dict[str, Any] = {}
    if isinstance(plan, SearchPlan):
        asked["field"] = plan.field.name
        asked["metric"] = plan.metric.value
    if plan.limit is not None:
        asked["limit"] = plan.limit
    if plan.offset:
        asked["offset"] = plan.offset
    if isinstance(plan, SearchPlan):
        if plan.bounds is not None:
            asked["distance"] = f"{plan.bounds.low:g} to {plan.bounds.high:g}"
        if plan.boosts is not None:
            asked["boosts"] = len(plan.boosts.functions)
        if plan.group is not None:
            names = ", ".join(key.name for key in plan.group.keys)
            asked["group by"] = f"{names} (size {plan.group.size})"
    if plan.order:
        asked["order by"] = ", ".join(map(_order_text, plan.order))
    elif isinstance(plan, QueryPlan) and plan.limit is not None:
        asked["order by"] = "primary key"
    return asked


def _order_text(key: SortKey) -> str:
    path = "".join(f"[{step!r}]" for step in key.path)
    return (
        f"{key.field.name}{path} {'descending' if key.is_descending else 'ascending'}"
    )


def _partitions(
    definition: CollectionDefinition, version: Version, plan: ReadPlan
) -> PartitionsRead:
    read, chosen_by = version.partitions, "everything"
    if plan.partitions is not None:
        read, chosen_by = read & plan.partitions, "name"
    if plan.predicate is not None:
        reached = reachable(version, plan.predicate, read)
        if reached != read:
            read, chosen_by = reached, "partition key"
    named: tuple[str, ...] = ()
    if chosen_by != "everything":
        named = tuple(n for n, id in definition.partitions.items() if id in read)
    return PartitionsRead(named, len(version.partitions), chosen_by)


def _segment(
    version: Version, position: int, plan: ReadPlan, recorder: Recorder
) -> SegmentExplanation:
    view = version.views[position]
    mask = version.visible(position, _read(version, plan))
    visible = view.n_rows if mask is None else int(mask.sum())
    filtered = recorder.filtered.get(position)
    searched = recorder.searched.get(position, [])
    matching = visible
    if filtered is not None and filtered.allowed is not None:
        matching = filtered.allowed.count
    search = None
    if isinstance(plan, SearchPlan) and searched and searched[-1].strategy is not None:
        search = _search(view, plan, searched, matching)
    found = None
    if plan.predicate is not None and filtered is not None:
        found = _filter(version, position, plan, filtered, visible)
    segment = view.segment
    return SegmentExplanation(
        segment.id, segment.is_sealed, view.n_rows, visible, found, search
    )


def _read(version: Version, plan: ReadPlan) -> frozenset[int]:
    """Ids of the partitions that the plan reads, key or no key."""
    if plan.partitions is None:
        return version.partitions
    return version.partitions & plan.partitions


def _filter(
    version: Version, position: int, plan: ReadPlan, filtered: Filtered, visible: int
) -> FilterExplanation:
    assert plan.predicate is not None
    view = version.views[position]
    step = filter_step(version, view, plan.predicate, _read(version, plan))
    matching = visible if filtered.allowed is None else filtered.allowed.count
    looked_at = view.n_rows
    if step.is_pruned:
        looked_at = 0
    elif step.keys is not None:
        looked_at = len(rows_of_keys(version, view, step.keys))
    elif step.spans is not None:
        looked_at = sum(end - start for start, end in step.spans)
    way, uses = step.way.value, _index_uses(view, plan.predicate, step)
    if uses and len(uses) == sum(1 for _ in leaves_of(plan.predicate.condition)):
        way, looked_at = "indexes", min(looked_at, sum(use.rows for use in uses))
    estimated = 0.0
    if step.way is not FilterWay.NO_PARTITION:
        estimated = _estimated(view, plan.predicate)
        if step.spans is not None:
            estimated = min(estimated, looked_at / view.n_rows)
    return FilterExplanation(
        way=way,
        looked_at=looked_at,
        matching=matching,
        estimated=estimated,
        selectivity=matching / visible if visible else 0.0,
        ms=_ms(filtered.seconds),
        indexes=tuple(
            IndexExplanation(
                use.name,
                use.kind or AUTOINDEX,
                str(use.condition),
                use.rows,
                use.is_exact,
            )
            for use in uses
        ),
    )


def _index_uses(
    view: SegmentView, predicate: Predicate, step: FilterStep
) -> list[IndexUse]:
    """The indexes that answer parts of the filter, found by running it once more."""
    if step.way is not FilterWay.COLUMNS:
        return []
    uses: list[IndexUse] = []
    for span in (None,) if step.spans is None else step.spans:
        noted: list[IndexUse] = []
        truth(predicate.condition, ViewSource(view, span, noted))
        uses += [use for use in noted if use not in uses]
    return uses


def _estimated(view: SegmentView, predicate: Predicate) -> float:
    """The share of rows likely to match, by what indexes count where they can."""

    def counted(condition: Condition) -> float | None:
        use = index_use(view, condition)
        if use is None or not use.is_exact:
            return None
        return use.rows / max(view.n_rows, 1)

    ranges = view.segment.ranges()
    return estimated_share(predicate, ranges, view.n_rows, counted)


def _search(
    view: SegmentView, plan: SearchPlan, searched: list[Searched], allowed: int
) -> SearchExplanation:
    strategy = searched[-1].strategy
    assert strategy is not None
    index: VectorIndex | None = view.segment.index(plan.field.id)
    candidates = allowed
    if strategy.kind is StrategyKind.SKETCH:
        candidates = strategy.effort
    elif strategy.kind is StrategyKind.INDEX and strategy.effort and index is not None:
        candidates = strategy.effort
        if index.visits_lists:
            share = strategy.effort / max(index.full_effort, 1)
            candidates = round(view.n_rows * min(1.0, share))
    return SearchExplanation(
        strategy=strategy.kind.value,
        index="" if index is None else _kind(index.meta),
        effort=strategy.effort,
        candidates=candidates,
        reason=strategy.reason,
        passes=len(searched),
        ms=_ms(sum(each.seconds for each in searched)),
    )


def _kind(meta: IndexMeta) -> str:
    if meta.index_type == meta.kind:
        return meta.kind
    return f"{meta.index_type} ({meta.kind})"


def _steps_ms(
    recorder: Recorder, segments: tuple[SegmentExplanation, ...]
) -> dict[str, float]:
    """Time of each step, those of segments added up, in the order they are done."""
    seconds = dict(recorder.seconds)
    steps = {"plan": _ms(seconds.pop("plan", 0.0))}
    steps["filter"] = _ms(sum(f.seconds for f in recorder.filtered.values()))
    searched = [s for each in recorder.searched.values() for s in each]
    if searched:
        steps["search"] = _ms(sum(s.seconds for s in searched))
    steps.update({name: _ms(value) for name, value in seconds.items()})
    return steps


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 4)
