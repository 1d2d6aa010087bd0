"""Columns of JSON text to typed columns, one per path.

The only place that goes through rows in Python, to decode them; sources cache what
comes out, so no query pays for it twice. A path follows JSON pointers (RFC 6901): a
digit key indexes an array or names a member of an object. Integers outside int64 are
kept as doubles.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from elanus.errors import InternalError
from elanus.expr.kleene import Bools

Path: TypeAlias = tuple[str | int, ...]


class Kind(IntEnum):
    """What a path holds in one row; a NULL cell is ``MISSING``."""

    MISSING = 0
    NULL = 1
    BOOL = 2
    INT = 3
    FLOAT = 4
    STRING = 5
    ARRAY = 6
    OBJECT = 7


class _Missing:
    """The type of the marker for a path that a document does not have."""


_MISSING: Final = _Missing()
_KIND_BY_TYPE = {
    _Missing: Kind.MISSING,
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    str: Kind.STRING,
    list: Kind.ARRAY,
    dict: Kind.OBJECT,
}


class PathColumn:
    """The values of one JSON path, decoded once. Immutable; safe to share.

    Attributes:
        kinds: (n,) uint8, the :class:`Kind` of each row.
        ints: (n,) int64; integers, and bools as 0 and 1; 0 elsewhere.
        floats: (n,) float64; all numbers as doubles; NaN elsewhere.
        strings: large_string, null where the row holds no string.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        kinds = bytearray(map(_KIND_BY_TYPE.__getitem__, map(type, values)))
        self.kinds: npt.NDArray[np.uint8] = np.frombuffer(kinds, np.uint8)
        self.ints: npt.NDArray[np.int64] = np.zeros(len(values), np.int64)
        self.floats: npt.NDArray[np.float64] = np.full(len(values), np.nan)
        self._fill_numbers(values)
        rows = np.flatnonzero(self.kinds >= Kind.ARRAY)
        self._nested: dict[int, Any] = {row: values[row] for row in rows.tolist()}
        self.strings: pa.Array = _strings_of(values, self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    @cached_property
    def is_number(self) -> Bools:
        """Which rows hold an integer or a float."""
        found: Bools = (self.kinds == Kind.INT) | (self.kinds == Kind.FLOAT)
        return found

    @cached_property
    def exists(self) -> Bools:
        """Which rows hold more than null or a recursively empty container."""
        found = self.kinds > Kind.NULL
        for row, value in self._nested.items():
            if _is_hollow(value):
                found[row] = False
        return found

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(n + 1,) where each row's array begins in ``elements``; others are empty."""
        lengths = np.zeros(len(self) + 1, np.int64)
        for row, value in self._nested.items():
            if type(value) is list:
                lengths[row + 1] = len(value)
        return np.cumsum(lengths)

    @cached_property
    def elements(self) -> PathColumn:
        """The elements of all arrays, in row order."""
        arrays = (value for value in self._nested.values() if type(value) is list)
        return PathColumn(list(itertools.chain.from_iterable(arrays)))

    def _fill_numbers(self, values: Sequence[Any]) -> None:
        rows = np.flatnonzero((self.kinds == Kind.INT) | (self.kinds == Kind.BOOL))
        if rows.size:
            whole = [values[row] for row in rows.tolist()]
            try:
                self.ints[rows] = np.array(whole, np.int64)
            except OverflowError:
                large = [
                    row
                    for row in rows.tolist()
                    if not -(1 << 63) <= values[row] < 1 << 63
                ]
                self.kinds[large] = Kind.FLOAT
                fitting = np.setdiff1d(rows, large)
                self.ints[fitting] = [values[row] for row in fitting.tolist()]
        rows = np.flatnonzero(self.kinds == Kind.FLOAT)
        if rows.size:
            self.floats[rows] = [float(values[row]) for row in rows.tolist()]
        is_int = self.kinds == Kind.INT
        np.copyto(self.floats, self.ints, where=is_int)


def extract(array: pa.Array, path: Path) -> PathColumn:
    """The values at one path of a column of JSON text (large_binary)."""
    return extract_many(array, (path,))[path]


def values_at(array: pa.Array, path: Path) -> list[Any]:
    """What lies at a path in each cell, as plain values; ``None`` where nothing does.

    Raises:
        InternalError: as :func:`extract_many`.
    """
    return [
        None if value is _MISSING else value for value in _walk(_decode(array), path)
    ]


def extract_many(array: pa.Array, paths: Sequence[Path]) -> dict[Path, PathColumn]:
    """The values at several paths, decoding each cell once.

    Raises:
        InternalError: a cell is not JSON, which insert should have refused.
    """
    documents = _decode(array)
    return {path: PathColumn(_walk(documents, path)) for path in paths}


def _decode(array: pa.Array) -> list[Any]:
    """All documents by one call of the decoder, as elements of one array."""
    cells = array.to_pylist()
    joined = b",".join(b"null" if cell is None else cell for cell in cells)
    try:
        documents: list[Any] = orjson.loads(b"[%b]" % joined)
    except orjson.JSONDecodeError as error:
        raise InternalError(
            f"a JSON column holds text that is no JSON: {error}"
        ) from None
    if len(documents) != len(cells):
        raise InternalError("a JSON column holds a cell with several documents")
    if array.null_count:
        for row in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
            documents[row] = _MISSING
    return documents


def _walk(values: list[Any], path: Path) -> list[Any]:
    """What lies at a path, level by level."""
    for step in path:
        key = str(step)
        index = int(key) if _is_index(key) else -1
        values = [
            value.get(key, _MISSING)
            if type(value) is dict
            else value[index]
            if type(value) is list and 0 <= index < len(value)
            else _MISSING
            for value in values
        ]
    return values


def _is_index(key: str) -> bool:
    """Whether a key may index an array: digits without a leading zero."""
    is_digits = key.isascii() and key.isdigit() and len(key) < 19
    return is_digits and (key == "0" or key[0] != "0")


def _strings_of(values: Sequence[Any], kinds: npt.NDArray[np.uint8]) -> pa.Array:
    is_string = kinds == Kind.STRING
    count = int(np.count_nonzero(is_string))
    if count == len(values):
        return pa.array(values, pa.large_string())
    if count == 0:
        return pa.nulls(len(values), pa.large_string())
    picked = [v if type(v) is str else None for v in values]
    return pa.array(picked, pa.large_string())


def _is_hollow(value: Any) -> bool:
    """Whether a value is null or a container of nothing else, at any depth."""
    pending = [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
        elif item is not None:
            return False
    return True
