"""Which token stands where: the inverted index of a column of texts.

One entry for each occurrence, in order of token, row and position. Rows are only ever
added, by blocks; blocks of like size are joined, so that there are few.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.text.analyzer import Analyzer

Numbers = npt.NDArray[np.int32]
_NONE: Numbers = np.empty(0, np.int32)


class Occurrences(Protocol):
    """Where tokens stand in the rows of one segment."""

    def occurrences(self, token: str) -> tuple[Numbers, Numbers]:
        """Rows and positions of a token, in order of both; a row may be repeated."""
        ...

    def vocabulary(self) -> list[str]:
        """Every token that occurs."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """The occurrences of some consecutive rows.

    Attributes:
        starts: where the occurrences of each token begin, by its number, and the end of
            those of the last, (tokens + 1,) int64.
        rows: of each occurrence, (occurrences,) int32.
        positions: of each occurrence, (occurrences,) int32.
    """

    starts: npt.NDArray[np.int64]
    rows: Numbers
    positions: Numbers

    def of(self, number: int) -> slice:
        """The occurrences of a token."""
        if number + 1 >= len(self.starts):
            return slice(0, 0)
        return slice(int(self.starts[number]), int(self.starts[number + 1]))


def block_of(
    numbers: npt.NDArray[np.int64], rows: Numbers, positions: Numbers
) -> Block:
    """Occurrences in any order of tokens, but of one token in order of rows."""
    order = np.argsort(numbers, kind="stable")
    count = int(numbers.max()) + 1 if len(numbers) else 0
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(numbers, minlength=count), out=starts[1:])
    return Block(starts, rows[order], positions[order])


def joined(first: Block, second: Block) -> Block:
    """One block of two, of which the second has the later rows."""
    numbers = np.concatenate([_numbers(first), _numbers(second)])
    rows = np.concatenate([first.rows, second.rows])
    positions = np.concatenate([first.positions, second.positions])
    return block_of(numbers, rows, positions)


def _numbers(block: Block) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(block.starts) - 1), np.diff(block.starts))


class Postings:
    """The occurrences of a column of texts that may grow.

    Safe to share among threads.
    """

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._number_by_token: dict[str, int] = {}
        self._blocks: list[Block] = []
        self._n_rows = 0
        self._lock = threading.Lock()

    def upto(self, column: pa.Array) -> ReadPostings:
        """The occurrences in a column, which may be longer or shorter than before."""
        with self._lock:
            if len(column) > self._n_rows:
                self._add(column.slice(self._n_rows))
            return ReadPostings(self._number_by_token, tuple(self._blocks), len(column))

    def _add(self, texts: pa.Array) -> None:
        # built aside, so that an analyzer that fails leaves nothing half added
        known = self._number_by_token
        numbers, rows, positions = array("q"), array("i"), array("i")
        for row, text in enumerate(texts.to_pylist(), self._n_rows):
            if not text:
                continue
            words, places = self._analyzer.placed(text)
            numbers.extend([known.setdefault(word, len(known)) for word in words])
            rows.extend([row] * len(words))
            positions.extend(places)
        blocks = self._blocks
        added = block_of(
            np.array(numbers, np.int64),
            np.array(rows, np.int32),
            np.array(positions, np.int32),
        )
        while blocks and len(blocks[-1].rows) <= 2 * len(added.rows):
            added = joined(blocks.pop(), added)
        self._blocks = [*blocks, added]
        self._n_rows += len(texts)


@dataclass(frozen=True, slots=True)
class ReadPostings:
    """The occurrences in the first rows of a column; see :class:`Occurrences`."""

    number_by_token: dict[str, int]
    blocks: tuple[Block, ...]
    n_rows: int

    def occurrences(self, token: str) -> tuple[Numbers, Numbers]:
        """See :class:`Occurrences`."""
        number = self.number_by_token.get(token)
        if number is None:
            return _NONE, _NONE
        found = [(block, block.of(number)) for block in self.blocks]
        rows = np.concatenate([_NONE, *(block.rows[part] for block, part in found)])
        positions = [block.positions[part] for block, part in found]
        seen = int(np.searchsorted(rows, self.n_rows))
        return rows[:seen], np.concatenate([_NONE, *positions])[:seen]

    def vocabulary(self) -> list[str]:
        """See :class:`Occurrences`."""
        return list(self.number_by_token)


@dataclass(frozen=True, slots=True)
class CutPostings:
    """The occurrences in the rows from one to before another; see :class:`Occurrences`.

    Rows are numbered from the first.
    """

    whole: Occurrences
    first: int
    past: int

    def occurrences(self, token: str) -> tuple[Numbers, Numbers]:
        """See :class:`Occurrences`."""
        rows, positions = self.whole.occurrences(token)
        start, end = np.searchsorted(rows, (self.first, self.past))
        return rows[start:end] - np.int32(self.first), positions[start:end]

    def vocabulary(self) -> list[str]:
        """See :class:`Occurrences`; tokens of other rows are among them."""
        return self.whole.vocabulary()
