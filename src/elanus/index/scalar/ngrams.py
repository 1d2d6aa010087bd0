"""Which rows hold each run of bytes: candidates for patterns with a literal in them.

Runs of ``min_gram`` to ``max_gram`` bytes of UTF-8, of three lengths at most, are told
apart by 32 bits of a hash.
Every row that matches a pattern holds all runs of its literals, so the rows that hold
them are candidates, and the pattern is evaluated on these alone. A run in more than a
quarter of the rows is noted without its rows.

Source: R. Cox, "Regular Expression Matching with a Trigram Index", 2012.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.expr import predicate as p
from elanus.expr.jsonpath import extract
from elanus.expr.kleene import Mask, unknown_of
from elanus.expr.like import words_of
from elanus.expr.source import ColumnSource
from elanus.index.scalar.base import (
    MASK_ROW_US,
    OVERHEAD_US,
    Lookup,
    ScalarBuild,
    packed,
    unpacked,
)
from elanus.index.scalar.candidates import Candidates, answer_at
from elanus.index.scalar.dictionary import distinct
from elanus.index.scalar.json_path import CHUNK_ROWS, as_of_regex
from elanus.index.scalar.regex import required_words
from elanus.schema.arrays import array_of, values_of
from elanus.schema.types import DataType

Hashes = npt.NDArray[np.uint64]

_CHUNK_BYTES: Final = 4 << 20
_PASS_BYTES: Final = 32 << 20
"""Bytes of text whose runs are sorted at a time; more take several passes."""

_MOST_BYTES: Final = 512 << 20
"""Of text in a segment times lengths of runs; of more, nothing is built."""

_MOST_LENGTHS: Final = 3
_LONGEST: Final = 32
"""A longer run would be in hardly any pattern; nothing is built of such."""

_COMMON_SHARE: Final = 4
_FEW_CANDIDATES: Final = 64
_MOST_LISTS: Final = 6
_VERIFY_US: Final = 0.1
_LIST_ROW_US: Final = 0.01
_PRIME: Final = np.uint64(0x100000001B3)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class _Text(NamedTuple):
    """Strings end to end."""

    content: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


class NgramIndex:
    """An index of the runs of bytes in a column of strings, or at a JSON path."""

    def __init__(
        self,
        parts: Mapping[str, pa.Array],
        n_rows: int,
        lengths: tuple[int, int],
        path: tuple[str, ...] | None,
    ) -> None:
        """Args: path: the place in a JSON column; ``None`` for a column of strings."""
        self.n_rows = n_rows
        self._shortest, self._longest = lengths
        self._path = path
        self._grams = values_of(parts["grams"])
        self._counts = values_of(parts["counts"])
        self._starts = values_of(parts["starts"])
        self._rows = values_of(parts["rows"])
        self._unknown = values_of(parts["unknown"])

    def lookup(self, condition: p.Condition, budget_us: float = inf) -> Lookup | None:
        """See :class:`elanus.index.scalar.base.ScalarIndex`."""
        if not self._is_here(getattr(condition, "operand", None)):
            return None
        words = _words(condition)
        grams = {g for word in words for g in self._grams_of(word.encode())}
        if not grams:
            return None
        places = [self._place(gram) for gram in grams]
        known = [place for place in places if place is not None]
        if len(known) < len(places):
            cost = OVERHEAD_US + self.n_rows * MASK_ROW_US
            return Lookup(
                0,
                True,
                cost,
                lambda source: self._settled(condition, self._nothing(), source),
            )
        # one entry more than there are starts: where the last list ends
        lists = sorted(
            (int(self._counts[k]), k)
            for k in known
            if self._starts[k + 1] > self._starts[k]
        )[:_MOST_LISTS]
        if not lists:
            return None
        rarest = lists[0][0]
        cost = OVERHEAD_US * 6 + self.n_rows * MASK_ROW_US + rarest * _VERIFY_US
        cost += sum(count for count, _ in lists) * _LIST_ROW_US
        return Lookup(
            rarest,
            False,
            cost,
            lambda source: self._settled(
                condition,
                self._answer(condition, [k for _, k in lists], source),
                source,
            ),
        )

    def _is_here(self, operand: object) -> bool:
        if self._path is None:
            return isinstance(operand, p.Column) and operand.dtype is DataType.VARCHAR
        if not isinstance(operand, p.JsonPath):
            return False
        return self._path == tuple(map(str, operand.path))

    def _grams_of(self, word: bytes) -> set[int]:
        length = min(self._longest, len(word))
        if length < self._shortest:
            return set()
        return set(_hashed(np.frombuffer(word, np.uint8), length).tolist())

    def _place(self, gram: int) -> int | None:
        place = int(self._grams.searchsorted(np.uint32(gram)))
        if place == len(self._grams) or self._grams[place] != gram:
            return None
        return place

    def _nothing(self) -> Mask:
        return Mask(
            np.zeros(self.n_rows, np.bool_), unpacked(self._unknown, self.n_rows)
        )

    def _settled(
        self, condition: p.Condition, mask: Mask, source: ColumnSource
    ) -> Mask:
        if self._path is None or not isinstance(condition, p.Regex):
            return mask
        return as_of_regex(mask, source, condition.operand.field_id)

    def _answer(
        self, condition: p.Condition, places: list[int], source: ColumnSource
    ) -> Mask:
        rows = self._list(places[0])
        for place in places[1:]:
            if len(rows) <= _FEW_CANDIDATES:
                break
            rows = np.intersect1d(rows, self._list(place), assume_unique=True)
        offsets = rows.astype(np.int64)
        unknown = unpacked(self._unknown, self.n_rows)
        candidates = Candidates(source, offsets)
        return answer_at(condition, candidates, offsets, self.n_rows, unknown)

    def _list(self, place: int) -> npt.NDArray[np.uint32]:
        found: npt.NDArray[np.uint32] = self._rows[
            int(self._starts[place]) : int(self._starts[place + 1])
        ]
        return found


def _words(condition: p.Condition) -> tuple[str, ...]:
    """Literals that every string has for which a condition is true."""
    if isinstance(condition, p.Like):
        return words_of(condition.pattern)
    if isinstance(condition, p.Regex):
        return required_words(condition.pattern)
    if isinstance(condition, p.StartsWith):
        return (condition.prefix,)
    if isinstance(condition, p.Compare) and condition.op == "==":
        return (condition.value,) if isinstance(condition.value, str) else ()
    return ()


def _hashed(content: npt.NDArray[np.uint8], length: int) -> npt.NDArray[np.uint32]:
    """32 bits for each run of ``length`` bytes."""
    count = len(content) - length + 1
    hashes: Hashes = np.full(count, length, np.uint64)
    for place in range(length):
        hashes *= _PRIME
        hashes += content[place : place + count]
    hashes *= _MIX
    found: npt.NDArray[np.uint32] = (hashes >> np.uint64(32)).astype(np.uint32)
    return found


# --- building --------------------------------------------------------------------


def lengths_of(params: Mapping[str, Any]) -> tuple[int, int]:
    """The shortest and the longest runs that are kept, by what was asked for.

    Longer ones than these would be found by the runs in them.
    """
    shortest, longest = int(params["min_gram"]), int(params["max_gram"])
    return shortest, min(longest, shortest + _MOST_LENGTHS - 1)


def ngram_parts(
    request: ScalarBuild, lengths: tuple[int, int], *, is_json: bool
) -> dict[str, pa.Array] | None:
    """The parts of the index; ``None`` for too much text, or for runs too long."""
    if lengths[0] > _LONGEST:
        return None
    strings = _at_path(request) if is_json else request.column
    n_rows = len(strings)
    spans = lengths[1] - lengths[0] + 1
    text = _text_of(strings)
    size = int(text.offsets[-1] - text.offsets[0]) * spans
    if size > _MOST_BYTES:
        return None
    passes = max(1, -(-size // _PASS_BYTES))
    grams, counts, lists = [], [], []
    for number in range(passes):
        request.step(number / passes)
        pairs = _pairs(text, n_rows, lengths, (number, passes))
        hashes = (pairs >> np.uint64(32)).astype(np.uint32)
        firsts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        sizes = np.diff(np.append(firsts, len(hashes)))
        kept = np.repeat(sizes * _COMMON_SHARE <= n_rows, sizes)
        grams.append(hashes[firsts])
        counts.append(sizes)
        lists.append((pairs[kept] & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    all_counts = np.concatenate(counts)
    stored = np.where(all_counts * _COMMON_SHARE <= n_rows, all_counts, 0)
    starts = np.concatenate(([0], np.cumsum(stored))).astype(np.int64)
    return {
        "grams": array_of(np.concatenate(grams)),
        "counts": array_of(all_counts.astype(np.uint32)),
        "starts": array_of(starts),
        "rows": array_of(np.concatenate(lists)),
        "unknown": packed(unknown_of(strings)),
    }


def _at_path(request: ScalarBuild) -> pa.Array:
    """The strings at a path of a JSON column; null where there is none."""
    parts = [
        extract(request.column.slice(start, CHUNK_ROWS), request.path).strings
        for start in range(0, max(1, len(request.column)), CHUNK_ROWS)
    ]
    return pa.concat_arrays(parts)


def _text_of(strings: pa.Array) -> _Text:
    _, offsets, content = strings.buffers()
    if offsets is None or not len(strings):
        return _Text(np.empty(0, np.uint8), np.zeros(1, np.int64))
    ends = np.frombuffer(offsets, np.int64, len(strings) + 1, 8 * strings.offset)
    text = b"" if content is None else content
    return _Text(np.frombuffer(text, np.uint8), ends)


def _pairs(
    text: _Text, n_rows: int, lengths: tuple[int, int], part: tuple[int, int]
) -> Hashes:
    """Hash and row of every run, once, ascending: those of one part of the hashes."""
    number, parts = part
    low = (number << 32) // parts
    high = ((number + 1) << 32) // parts
    found: list[Hashes] = [np.empty(0, np.uint64)]
    for first, last in _chunks(text, n_rows):
        ends = text.offsets[first : last + 1]
        content = text.content[ends[0] : ends[-1]]
        for length in range(lengths[0], lengths[1] + 1):
            if len(content) < length:
                continue
            hashes = _hashed(content, length)
            kept = _inside(ends - ends[0], len(hashes), length)
            if parts > 1:
                kept &= (hashes >= low) & (hashes.astype(np.uint64) < high)
            places = np.flatnonzero(kept)
            rows = np.searchsorted(ends - ends[0], places, side="right") - 1 + first
            pairs = (hashes[places].astype(np.uint64) << np.uint64(32)) | rows.astype(
                np.uint64
            )
            found.append(distinct(pairs))
    return distinct(np.concatenate(found))


def _inside(
    ends: npt.NDArray[np.int64], count: int, length: int
) -> npt.NDArray[np.bool_]:
    """Which runs lie in one row."""
    kept = np.ones(count, np.bool_)
    for before in range(1, length):
        places = ends[1:-1] - before
        kept[places[(places >= 0) & (places < count)]] = False
    return kept


def _chunks(text: _Text, n_rows: int) -> Iterator[tuple[int, int]]:
    """First and past-the-last row of pieces of a few MiB; a longer row is one alone."""
    first = 0
    while first < n_rows:
        limit = text.offsets[first] + _CHUNK_BYTES
        last = int(np.searchsorted(text.offsets, limit, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield first, last
        first = last
