"""A condition evaluated on the few rows that an index could not rule out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.evaluate import truth
from elanus.expr.jsonpath import Path, PathColumn, extract
from elanus.expr.kleene import Bools, Mask, where_known
from elanus.expr.source import ColumnSource
from elanus.schema.arrays import array_of
from elanus.text.postings import Occurrences

Offsets = npt.NDArray[np.int64]


class Candidates:
    """Some rows of a source, in order; JSON is decoded of these rows only."""

    def __init__(
        self,
        source: ColumnSource,
        rows: Offsets,
        boxes: Callable[[], Boxes] | None = None,
    ) -> None:
        """Args: boxes: of these rows, where the index has them."""
        self._source = source
        self._rows = array_of(rows)
        self._boxes = boxes

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def column(self, field_id: int) -> pa.Array:
        """A column's values in these rows."""
        return self._source.column(field_id).take(self._rows)

    def json_path(self, field_id: int, path: Path) -> PathColumn:
        """The values of a JSON path in these rows."""
        return extract(self.column(field_id), path)

    def boxes(self, field_id: int) -> Boxes:
        """What surrounds the geometries of these rows."""
        if self._boxes is None:
            raise InternalError("the index holds no boxes")
        return self._boxes()

    def texts(self, field_id: int) -> Occurrences:
        """Never asked for: candidates are compared whole."""
        raise InternalError("indexes of texts are not narrowed")


def answer_at(
    condition: p.Condition,
    candidates: Candidates,
    rows: Offsets,
    n_rows: int,
    unknown: Bools | None,
) -> Mask:
    """The answer for all rows, when only the candidates ``rows`` can be true."""
    true = np.zeros(n_rows, np.bool_)
    if len(rows):
        true[rows] = truth(condition, candidates).true
    return where_known(true, unknown)
