"""For each dimension of the sparse vectors of a segment, the rows that have it.

Built in memory for segments without an index: those that grow, and those whose index is
not built yet.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elanus.distance.metrics import Floats
from elanus.schema.sparse import SparseRows

Rows = npt.NDArray[np.int32]
_NO_ROWS: Rows = np.empty(0, np.int32)
_NO_VALUES: Floats = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class _Block:
    """The entries of consecutive rows, in order of dimension and row."""

    indices: npt.NDArray[np.uint32]
    rows: Rows
    values: Floats

    @classmethod
    def of(cls, rows: SparseRows, first: int) -> _Block:
        """The entries of some rows, of which the first has this offset."""
        entries = rows.entries
        numbers = np.arange(first, first + len(rows), dtype=np.int32)
        owners = np.repeat(numbers, rows.lengths)
        return cls(rows.indices[entries], owners, rows.values[entries])._in_order()

    def and_then(self, later: _Block) -> _Block:
        """The entries of these rows and of later ones."""
        return _Block(
            np.concatenate([self.indices, later.indices]),
            np.concatenate([self.rows, later.rows]),
            np.concatenate([self.values, later.values]),
        )._in_order()

    def _in_order(self) -> _Block:
        order = np.argsort(self.indices, kind="stable")
        return _Block(self.indices[order], self.rows[order], self.values[order])


class WordsInMemory:
    """The lists and the lengths of rows that may become more.

    Safe to share among threads.
    """

    def __init__(self) -> None:
        self._blocks: tuple[_Block, ...] = ()
        self._lengths: Floats = _NO_VALUES
        self._lock = threading.Lock()

    def upto(self, rows: SparseRows) -> ReadWords:
        """The lists of rows, which may be more or fewer than before."""
        with self._lock:
            done = len(self._lengths)
            if len(rows) > done:
                fresh = rows[done:]
                added = _Block.of(fresh, done)
                blocks = list(self._blocks)
                while blocks and len(blocks[-1].rows) <= 2 * len(added.rows):
                    added = blocks.pop().and_then(added)
                self._blocks = (*blocks, added)
                self._lengths = np.concatenate([self._lengths, lengths_of(fresh)])
            return ReadWords(self._blocks, self._lengths[: len(rows)])


@dataclass(frozen=True, slots=True)
class ReadWords:
    """The lists as one reader sees them; rows after its last may be in them.

    Attributes:
        lengths: the sum of the values of each row, (n_rows,).
    """

    blocks: tuple[_Block, ...]
    lengths: Floats

    def entries(self, word: int) -> tuple[Rows, Floats]:
        """See :class:`elanus.distance.lexical.WordLists`."""
        rows, values = [_NO_ROWS], [_NO_VALUES]
        key = np.uint32(word)
        for block in self.blocks:
            start = int(np.searchsorted(block.indices, key))
            end = int(np.searchsorted(block.indices, key, "right"))
            if start < end:
                rows.append(block.rows[start:end])
                values.append(block.values[start:end])
        if len(rows) == 2:
            return rows[1], values[1]
        return np.concatenate(rows), np.concatenate(values)


def lengths_of(rows: SparseRows) -> Floats:
    """The sum of the values of each row, (n,) float32."""
    entries = rows.entries
    sums = np.zeros(entries.stop - entries.start + 1, np.float64)
    np.cumsum(rows.values[entries], out=sums[1:])
    ends = rows.ends - entries.start
    lengths: Floats = (sums[ends[1:]] - sums[ends[:-1]]).astype(np.float32)
    return lengths


class KnownWords:
    """The lists and lengths of a segment's sparse fields, once a search has asked."""

    def __init__(self) -> None:
        self._words: dict[int, WordsInMemory] = {}
        self._lengths: dict[int, Floats] = {}

    def words(self, field_id: int, rows: SparseRows) -> ReadWords:
        """The lists of a field's rows."""
        return self._words.setdefault(field_id, WordsInMemory()).upto(rows)

    def lengths(self, field_id: int, rows: SparseRows) -> Floats:
        """The lengths of rows that stay as they are, without their lists."""
        known = self._lengths.get(field_id)
        if known is None:
            known = self._lengths[field_id] = lengths_of(rows)
        return known
