"""Lists of the nearest rows: select them, merge several, break ties.

Owns the order of results. Ties of distance are broken by the smaller offset, or by keys
that the caller gives, so that the same request always has the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]

NO_ROW = -1


@dataclass(frozen=True, slots=True)
class TopK:
    """The nearest rows of each query, nearest first.

    Attributes:
        offsets: (nq, k) int64, C; -1 in empty places, which come last.
        distances: (nq, k) float32, C, ascending; +inf in empty places.
    """

    offsets: Offsets
    distances: Floats

    @classmethod
    def empty(cls, nq: int, k: int) -> TopK:
        """``nq`` lists of ``k`` empty places."""
        return cls(
            np.full((nq, k), NO_ROW, np.int64), np.full((nq, k), np.inf, np.float32)
        )

    @property
    def nq(self) -> int:
        """Number of queries."""
        return len(self.offsets)

    @property
    def k(self) -> int:
        """Places per query."""
        return int(self.offsets.shape[1])

    def fewest_rows(self) -> int:
        """Rows found for the query that got the fewest."""
        nq, k = self.offsets.shape
        if k == 0 or nq == 0:
            return 0
        # Empty places come last, so one look at the last column settles most calls.
        if nq == 1 and self.offsets[0, -1] != NO_ROW:
            return int(k)
        if (self.offsets[:, -1] != NO_ROW).all():
            return int(k)
        return int((self.offsets != NO_ROW).sum(axis=1).min())

    def resized(self, k: int) -> TopK:
        """The first ``k`` places, filled up with empty ones where there are fewer."""
        if k == self.k:
            return self
        if k < self.k:
            return TopK(
                np.ascontiguousarray(self.offsets[:, :k]),
                np.ascontiguousarray(self.distances[:, :k]),
            )
        wider = TopK.empty(self.nq, k)
        wider.offsets[:, : self.k] = self.offsets
        wider.distances[:, : self.k] = self.distances
        return wider


@dataclass(frozen=True, slots=True)
class MergedTopK:
    """The nearest rows of several lists.

    Attributes:
        rows: the merged lists; an offset is the one it had in its part.
        parts: (nq, k) int64, which part a row came from; -1 in empty places.
    """

    rows: TopK
    parts: Offsets


def select(distances: Floats, k: int, offsets: Offsets | None = None) -> TopK:
    """The ``k`` nearest columns of a distance matrix; ties go to the smaller offset.

    Args:
        distances: (nq, n) float32.
        k: places wanted; may exceed ``n``.
        offsets: (n,) int64, the row each column stands for; its number when not given.
    """
    nq, n = distances.shape
    found = TopK.empty(nq, k)
    wanted = min(k, n)
    if wanted == 0:
        return found
    for query in range(nq):
        row = distances[query]
        worst = np.partition(row, wanted - 1)[wanted - 1]
        near = np.flatnonzero(row <= worst)
        named = near if offsets is None else offsets[near]
        order = np.lexsort((named, row[near]))[:wanted]
        found.offsets[query, :wanted] = named[order]
        found.distances[query, :wanted] = row[near][order]
    return found


def sort_ties(found: TopK, keys: npt.NDArray[np.generic] | None = None) -> TopK:
    """The same rows, equal distances ordered by key.

    Args:
        found: lists in ascending order of distance.
        keys: (nq, k), sortable; the offsets when not given.
    """
    if not (found.distances[:, 1:] == found.distances[:, :-1]).any():
        return found
    order = _order(found.distances, found.offsets if keys is None else keys)
    # Empty places hold -1, which would come first among rows at +inf.
    filled = np.take_along_axis(found.offsets != NO_ROW, order, axis=1)
    order = np.take_along_axis(order, np.argsort(~filled, axis=1, kind="stable"), 1)
    return TopK(
        np.take_along_axis(found.offsets, order, axis=1),
        np.take_along_axis(found.distances, order, axis=1),
    )


def merge(
    parts: Sequence[TopK],
    k: int,
    keys: Sequence[npt.NDArray[np.generic]] | None = None,
) -> MergedTopK:
    """The ``k`` nearest rows of several lists of the same queries.

    Args:
        parts: lists of one and the same ``nq``; their ``k`` may differ.
        k: places wanted.
        keys: per part (nq, k of the part), sortable, one dtype for all; equal distances
            are ordered by them (then by part). Without keys: by part, then offset.
    """
    offsets = np.concatenate([part.offsets for part in parts], axis=1)
    distances = np.concatenate([part.distances for part in parts], axis=1)
    sources = np.repeat(np.arange(len(parts)), [part.k for part in parts])
    source = np.broadcast_to(sources, offsets.shape)
    by_part = np.lexsort((offsets, source, distances), axis=1)
    if keys is None:
        order = by_part
    else:
        joined = np.take_along_axis(np.concatenate(keys, axis=1), by_part, axis=1)
        nearest = np.take_along_axis(distances, by_part, axis=1)
        order = np.take_along_axis(by_part, _order(nearest, joined), axis=1)
    empty = np.take_along_axis(offsets == NO_ROW, order, axis=1)
    order = np.take_along_axis(order, np.argsort(empty, axis=1, kind="stable"), axis=1)
    order = order[:, :k]
    rows = TopK(
        np.take_along_axis(offsets, order, axis=1),
        np.take_along_axis(distances, order, axis=1),
    )
    part_of = np.where(
        rows.offsets == NO_ROW, NO_ROW, np.take_along_axis(source, order, axis=1)
    )
    rows = rows.resized(k)
    if part_of.shape[1] < k:
        fill = np.full((rows.nq, k - part_of.shape[1]), NO_ROW, np.int64)
        part_of = np.concatenate([part_of, fill], axis=1)
    return MergedTopK(rows, part_of.astype(np.int64, copy=False))


def _order(distances: Floats, keys: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Positions sorted by distance, then key, then position; (nq, n)."""
    by_key = np.argsort(keys, axis=1, kind="stable")
    nearest = np.take_along_axis(distances, by_key, axis=1)
    by_distance = np.argsort(nearest, axis=1, kind="stable")
    return np.take_along_axis(by_key, by_distance, axis=1)
