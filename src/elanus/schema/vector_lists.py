"""Rows that hold any number of vectors each: all of them in one matrix, end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class VectorLists:
    """Lists of vectors of one width.

    Attributes:
        ends: (n + 1,) int64, ascending: row ``i`` has the vectors from ``ends[i]`` to
            ``ends[i + 1]`` of the matrix. The first need not be 0.
        matrix: (vectors, width), C, in the dtype that their type is stored in.
    """

    ends: npt.NDArray[np.int64]
    matrix: npt.NDArray[Any]

    @classmethod
    def of(
        cls, lengths: npt.NDArray[np.int64], matrix: npt.NDArray[Any]
    ) -> VectorLists:
        """The vectors of a matrix, so many to each row."""
        ends = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        return cls(ends, matrix)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> VectorLists:
        """The rows of a slice without a step, shared; or those at offsets, copied."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return VectorLists(self.ends[start : max(start, stop) + 1], self.matrix)
        return VectorLists.of(self.lengths[rows], self.matrix[self.places(rows)])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Vectors of each row, (n,) int64."""
        return np.diff(self.ends)

    @property
    def vectors(self) -> npt.NDArray[Any]:
        """The vectors of all rows, shared."""
        return self.matrix[self.ends[0] : self.ends[-1]]

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The row of each of :attr:`vectors`, ascending."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.ends.nbytes + self.vectors.nbytes)

    def places(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where in the matrix the vectors of the rows at offsets are, row by row."""
        lengths = self.lengths[rows]
        before = np.cumsum(lengths) - lengths
        shifts = np.repeat(self.ends[rows] - before, lengths)
        places: npt.NDArray[np.int64] = np.arange(len(shifts)) + shifts
        return places


def concat_lists(parts: Sequence[VectorLists]) -> VectorLists:
    """Rows one after another, in memory of their own."""
    lengths = np.concatenate([part.lengths for part in parts])
    return VectorLists.of(lengths, np.concatenate([part.vectors for part in parts]))
