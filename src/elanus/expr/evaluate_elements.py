"""Which elements a filter with ``element_filter`` lets pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from elanus.expr import predicate as p
from elanus.expr.elements import ElementSource, lengths_of
from elanus.expr.evaluate import truth
from elanus.expr.kleene import Bools
from elanus.expr.source import ColumnSource


def element_mask(condition: p.Condition, source: ColumnSource) -> Bools:
    """Which elements of all rows a filter lets pass, row by row.

    Conditions on rows hold for all elements of a row.
    """
    found = p.element_filter_of(condition)
    assert found is not None
    lengths = lengths_of(source, found.field_id)
    return _mask(condition, source, np.repeat(np.arange(source.n_rows), lengths))


def _mask(
    condition: p.Condition, source: ColumnSource, owners: npt.NDArray[np.int64]
) -> Bools:
    if isinstance(condition, p.Match) and condition.kind is p.MatchKind.FILTER:
        return truth(condition.part, ElementSource(source, condition.field_id)).true
    if p.element_filter_of(condition) is None:
        return truth(condition, source).true[owners]
    assert isinstance(condition, (p.And, p.Or))
    masks = [_mask(part, source, owners) for part in condition.parts]
    combine = np.logical_and if isinstance(condition, p.And) else np.logical_or
    mask: Bools = combine.reduce(masks)
    return mask
