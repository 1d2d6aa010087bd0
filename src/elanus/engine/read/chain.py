"""Function chains: columns computed of the rows found, which then order and cut them.

The rows of a query are a table with a column for each name: ``$id``, ``$score``, those
of fields, and what the chain has computed. The last ``$score`` is what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.order import ranked
from elanus.engine.read.search import SearchHits
from elanus.engine.version import gather
from elanus.functions.rank.combine import Combination
from elanus.functions.rank.decay import Decay
from elanus.functions.rank.model import TextScorer
from elanus.functions.rank.scale import rounded_down
from elanus.schema.arrays import array_of
from elanus.schema.columns import Floats, Offsets
from elanus.schema.schema import FieldSchema

ID, SCORE = "$id", "$score"

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Combine:
    """Columns, or plain numbers, as one."""

    how: Combination
    args: tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class Fade:
    """What the distance of a column from its origin leaves of 1."""

    decay: Decay
    column: str


@dataclass(frozen=True, slots=True)
class Round:
    """A column rounded to decimal places."""

    places: int
    column: str


@dataclass(frozen=True, slots=True)
class Judge:
    """What a model says of a column of texts."""

    scorer: TextScorer
    column: str


Compute: TypeAlias = Combine | Fade | Round | Judge


@dataclass(frozen=True, slots=True)
class Map:
    """A column of this name, computed."""

    output: str
    compute: Compute


@dataclass(frozen=True, slots=True)
class Sort:
    """The rows of each query in the order of a column; nulls last, ties as they are.

    Attributes:
        tie: a column that orders rows of equal values, ascending.
    """

    column: str
    is_descending: bool = True
    tie: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """Some of the rows of each query, by their place."""

    limit: int
    offset: int = 0


Step: TypeAlias = Map | Sort | Limit


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps, one after the other.

    Attributes:
        fields: those that the steps read, by name.
    """

    steps: tuple[Step, ...]
    fields: Mapping[str, FieldSchema]


@dataclass(slots=True)
class _Table:
    """The rows of all queries, and which of the hits each is."""

    nq: int
    rows: Offsets
    query: Offsets
    columns: dict[str, pa.Array]

    def numbers(self, name: str) -> Doubles:
        """A column of numbers, (rows,) float64; NaN for null."""
        column = self.columns[name].cast(pa.float64(), safe=False)
        numbers: Doubles = pc.fill_null(column, np.nan).to_numpy()
        return numbers

    def take(self, order: Offsets) -> None:
        """Keep the rows at ``order``."""
        self.rows, self.query = self.rows[order], self.query[order]
        chosen = array_of(order)
        self.columns = {name: c.take(chosen) for name, c in self.columns.items()}


def run_chain(chain: Chain, hits: SearchHits) -> SearchHits:
    """The rows found, after a chain.

    Where a chain changes ``$score`` and does not sort afterwards, the best come first.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
        ModelServiceFailed: a model could not be asked.
    """
    if not len(hits.offsets):
        return hits
    table = _table(chain, hits)
    is_ordered = True
    for step in chain.steps:
        if isinstance(step, Map):
            table.columns[step.output] = _computed(step.compute, table)
            is_ordered = is_ordered and step.output != SCORE
        elif isinstance(step, Sort):
            _sort(table, step)
            is_ordered = True
        else:
            if not is_ordered:
                _sort(table, Sort(SCORE, tie=ID))
                is_ordered = True
            _cut(table, step)
    if not is_ordered:
        _sort(table, Sort(SCORE, tie=ID))
    return _hits(hits, table)


def _table(chain: Chain, hits: SearchHits) -> _Table:
    assert isinstance(hits.keys, pa.Array)
    columns = {ID: hits.keys, SCORE: array_of(hits.scores)}
    views = hits.version.views
    for name, field in chain.fields.items():
        column = gather(views, hits.parts, hits.offsets, field.id)
        assert isinstance(column, pa.Array)
        columns[name] = column
    nq = len(hits.counts)
    query = np.repeat(np.arange(nq), hits.counts)
    return _Table(nq, np.arange(len(query)), query, columns)


def _computed(compute: Compute, table: _Table) -> pa.Array:
    if isinstance(compute, Combine):
        parts = [
            table.numbers(arg)
            if isinstance(arg, str)
            else np.full(len(table.rows), arg, np.float64)
            for arg in compute.args
        ]
        return _known(compute.how.of(parts))
    if isinstance(compute, Fade):
        return array_of(compute.decay.factors(table.columns[compute.column]))
    if isinstance(compute, Round):
        numbers = rounded_down(table.numbers(compute.column), compute.places)
        return _known(numbers)
    return array_of(_judged(compute, table).astype(np.float64))


def _judged(judge: Judge, table: _Table) -> Floats:
    texts = pc.fill_null(table.columns[judge.column], "").to_pylist()
    bounds = np.searchsorted(table.query, np.arange(table.nq + 1)).tolist()
    asked = [texts[bounds[query] : bounds[query + 1]] for query in range(table.nq)]
    return np.concatenate(judge.scorer.scores(asked))


def _known(numbers: npt.NDArray[np.floating]) -> pa.Array:
    """An Arrow array with nulls in the place of NaN."""
    valid = np.packbits(~np.isnan(numbers), bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(np.ascontiguousarray(numbers))]
    return pa.Array.from_buffers(pa.float64(), len(numbers), buffers)


def _sort(table: _Table, sort: Sort) -> None:
    keys: list[npt.NDArray[np.int64]] = []
    if sort.tie is not None:
        keys.append(
            ranked(table.columns[sort.tie], is_descending=False, nulls_first=False)
        )
    column = table.columns[sort.column]
    keys.append(ranked(column, is_descending=sort.is_descending, nulls_first=False))
    table.take(np.lexsort((*keys, table.query)))


def _cut(table: _Table, limit: Limit) -> None:
    starts = np.searchsorted(table.query, np.arange(table.nq))
    place = np.arange(len(table.query)) - starts[table.query]
    kept = (place >= limit.offset) & (place < limit.offset + limit.limit)
    table.take(np.flatnonzero(kept))


def _hits(hits: SearchHits, table: _Table) -> SearchHits:
    rows = table.rows
    scores = np.nan_to_num(table.numbers(SCORE), nan=0.0)
    assert isinstance(hits.keys, pa.Array)
    return hits._replace(
        counts=np.bincount(table.query, minlength=table.nq).astype(np.int64),
        parts=None if hits.parts is None else hits.parts[rows],
        offsets=hits.offsets[rows],
        scores=scores.astype(np.float32),
        keys=hits.keys.take(array_of(table.rows)),
        elements=None if hits.elements is None else hits.elements[rows],
    )
