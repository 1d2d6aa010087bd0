"""Which rows hold the tokens of a query, or hold them as a phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from elanus.text.postings import Numbers, Occurrences

Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Words:
    """Some of these tokens; each mention of a repeated one counts for itself."""

    tokens: tuple[str, ...]
    at_least: int = 1

    def rows(self, index: Occurrences, n_rows: int) -> Bools:
        """The rows that match, (n_rows,)."""
        if len(self.tokens) < self.at_least:
            return np.zeros(n_rows, np.bool_)
        if self.at_least == 1:
            matching = np.zeros(n_rows, np.bool_)
            for token in set(self.tokens):
                matching[index.occurrences(token)[0]] = True
            return matching
        held = np.zeros(n_rows, np.int32)
        for token in set(self.tokens):
            rows = index.occurrences(token)[0]
            held[np.unique(rows)] += self.tokens.count(token)
        return held >= self.at_least


@dataclass(frozen=True, slots=True)
class Similar:
    """Any token within so many edits of one of these."""

    tokens: tuple[str, ...]
    edits: int

    def rows(self, index: Occurrences, n_rows: int) -> Bools:
        """The rows that match, (n_rows,)."""
        near = tuple(
            known
            for known in index.vocabulary()
            if any(_is_near(token, known, self.edits) for token in self.tokens)
        )
        return Words(near).rows(index, n_rows) if near else np.zeros(n_rows, np.bool_)


def _is_near(left: str, right: str, most: int) -> bool:
    """Whether so many insertions, deletions, changes and swaps make one of other."""
    if abs(len(left) - len(right)) > most:
        return False
    if most == 0 or left == right:
        return left == right
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
        before, last = last, row
    return last[-1] <= most


@dataclass(frozen=True, slots=True)
class Phrase:
    """Tokens at positions from each other, moved by ``slop`` in all at most."""

    terms: tuple[tuple[str, int], ...]
    slop: int = 0

    def rows(self, index: Occurrences, n_rows: int) -> Bools:
        """The rows that match, (n_rows,)."""
        matching = np.zeros(n_rows, np.bool_)
        if len(self.terms) < 2:
            return Words(tuple(t for t, _ in self.terms)).rows(index, n_rows)
        places = [index.occurrences(token) for token, _ in self.terms]
        candidates = _rows_of_all([rows for rows, _ in places])
        if not len(candidates):
            return matching
        aligned = [
            _aligned(rows, positions, offset, candidates)
            for (rows, positions), (_, offset) in zip(places, self.terms, strict=True)
        ]
        if self.slop == 0:
            matching[_rows_of_exact(aligned)] = True
            return matching
        cuts = [np.searchsorted(rows, candidates[1:]) for rows, _ in aligned]
        split = [np.split(p, cut) for (_, p), cut in zip(aligned, cuts, strict=True)]
        for row, terms in zip(
            candidates.tolist(), zip(*split, strict=True), strict=True
        ):
            matching[row] = least_slop(terms) <= self.slop
        return matching


def _rows_of_all(rows: list[Numbers]) -> Numbers:
    """The rows in every list, rarest first."""
    shortest, *others = sorted(rows, key=len)
    found = np.unique(shortest)
    for other in others:
        found = found[np.isin(found, other)]
    return found


def _aligned(
    rows: Numbers, positions: Numbers, offset: int, candidates: Numbers
) -> tuple[Numbers, Numbers]:
    """The occurrences in some rows, as if the token stood first in the phrase."""
    kept = np.isin(rows, candidates)
    return rows[kept], positions[kept] - np.int32(offset)


def _rows_of_exact(aligned: list[tuple[Numbers, Numbers]]) -> Numbers:
    """The rows in which a place of every term is the same."""
    places = [(rows.astype(np.int64) << 32) + positions for rows, positions in aligned]
    common, *others = sorted(places, key=len)
    for other in others:
        common = np.intersect1d(common, other)
    return ((common + (1 << 31)) >> 32).astype(np.int32)


def least_slop(terms: Sequence[Numbers]) -> int:
    """How far apart the terms stand at least, as if all were the first of the phrase.

    Args:
        terms: of each term its positions, less its own in the phrase; ascending.
    """
    starts = np.concatenate(terms)
    ends = starts.copy()
    for places in terms:
        after = np.searchsorted(places, starts)
        is_there = after < len(places)
        starts, ends, after = starts[is_there], ends[is_there], after[is_there]
        ends = np.maximum(ends, places[after])
    return int((ends - starts).min())
