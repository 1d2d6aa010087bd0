"""Sparse vectors: rows of few (index, value) pairs, and the bytes they travel as.

On the wire a row is its entries one after another, 8 bytes each: the index as a
little-endian uint32, then the value as a float32, ascending by index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.errors import InvalidParameter
from elanus.schema import limits

ENTRY_BYTES = 8


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Vectors of few entries each.

    Attributes:
        ends: (n + 1,) int64, ascending: row ``i`` has the entries from ``ends[i]`` to
            ``ends[i + 1]``. The first need not be 0.
        indices: (entries,) uint32, ascending within a row, none twice.
        values: (entries,) float32, of the same length.
    """

    ends: npt.NDArray[np.int64]
    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, n_rows: int = 0) -> SparseRows:
        """Rows without entries."""
        ends = np.zeros(n_rows + 1, np.int64)
        return cls(ends, np.empty(0, np.uint32), np.empty(0, np.float32))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> SparseRows:
        """The rows of a slice without a step, shared; or those at offsets, copied."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            ends = self.ends[start : max(start, stop) + 1]
            return SparseRows(ends, self.indices, self.values)
        starts, lengths = self.ends[rows], self.lengths[rows]
        ends = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        entries = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
        return SparseRows(ends, self.indices[entries], self.values[entries])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Entries of each row, (n,) int64."""
        return np.diff(self.ends)

    @property
    def entries(self) -> slice:
        """Where the entries of all rows are."""
        return slice(int(self.ends[0]), int(self.ends[-1]))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        n_entries = self.entries.stop - self.entries.start
        return int(self.ends.nbytes) + ENTRY_BYTES * int(n_entries)


def concat_sparse(parts: Sequence[SparseRows]) -> SparseRows:
    """Rows one after another, in memory of their own."""
    lengths = np.concatenate([part.lengths for part in parts])
    return SparseRows(
        _ends_of(lengths),
        np.concatenate([part.indices[part.entries] for part in parts]),
        np.concatenate([part.values[part.entries] for part in parts]),
    )


def sparse_from_bytes(contents: Sequence[bytes]) -> SparseRows:
    """Rows from their bytes on the wire; :func:`check_sparse` is left to the caller.

    Raises:
        InvalidParameter: a row is not made of whole entries.
    """
    lengths = np.fromiter(map(len, contents), np.int64, len(contents))
    uneven = np.flatnonzero(lengths % ENTRY_BYTES)
    if len(uneven):
        raise InvalidParameter(
            f"invalid data length in sparse float vector: {lengths[uneven[0]]}"
        )
    words = np.frombuffer(b"".join(contents), "<u4")
    return SparseRows(
        _ends_of(lengths // ENTRY_BYTES),
        words[::2].copy(),
        words[1::2].copy().view("<f4"),
    )


def sparse_to_bytes(rows: SparseRows) -> list[bytes]:
    """The bytes of each row, the inverse of :func:`sparse_from_bytes`."""
    entries = rows.entries
    words = np.empty((entries.stop - entries.start, 2), "<u4")
    words[:, 0] = rows.indices[entries]
    words[:, 1] = rows.values[entries].view("<u4")
    content = words.tobytes()
    ends = (ENTRY_BYTES * (rows.ends - entries.start)).tolist()
    return [content[start:end] for start, end in pairwise(ends)]


def sparse_from_values(rows: Sequence[Any]) -> SparseRows:
    """Rows from mappings, pairs or SciPy's sparse rows, in any order of indices.

    Raises:
        InvalidParameter: a row is none of these, or an index is no index.
    """
    pairs = [_sorted_pairs(row) for row in rows]
    flat = [pair for row in pairs for pair in row]
    indices = np.array([index for index, _ in flat], np.int64)
    wrong = (indices < 0) | (indices > limits.SPARSE_INDEX_MAX)
    if wrong.any():
        raise InvalidParameter(_WRONG_INDEX)
    lengths = np.fromiter(map(len, pairs), np.int64, len(pairs))
    with np.errstate(over="ignore"):  # what overflows is infinite: refused later
        values = np.array([value for _, value in flat], np.float64).astype(np.float32)
    return SparseRows(_ends_of(lengths), indices.astype(np.uint32), values)


def check_sparse(rows: SparseRows) -> None:
    """Refuse what Milvus refuses of a sparse vector, with its texts.

    Raises:
        InvalidParameter: indices out of order, twice or too large; values that are
            not finite, or negative.
    """
    entries = rows.entries
    indices, values = rows.indices[entries], rows.values[entries]
    if not len(indices):
        return
    rises = np.ones(len(indices), np.bool_)
    rises[1:] = indices[1:] > indices[:-1]
    starts = rows.ends[:-1] - entries.start
    rises[starts[starts < len(indices)]] = True
    if not rises.all():
        raise InvalidParameter("unsorted or same indices in sparse float vector")
    if indices.max() > limits.SPARSE_INDEX_MAX:
        raise InvalidParameter(_WRONG_INDEX)
    unfit = ~np.isfinite(values)
    if unfit.any():
        value = float(values[unfit][0])
        name = "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
        raise InvalidParameter(f"value '{name}' is not a number or infinity")
    if (values < 0).any():
        raise InvalidParameter("negative value in sparse float vector")


_WRONG_INDEX = "invalid index in sparse float vector: must be less than 2^32-1"


def _ends_of(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def _sorted_pairs(row: Any) -> list[tuple[int, float]]:
    try:
        if hasattr(row, "tocoo"):  # one of SciPy's
            sparse = row.tocoo()
            row = zip(sparse.col.tolist(), sparse.data.tolist(), strict=True)
        elif isinstance(row, Mapping):
            row = row.items()
        pairs = [_pair(entry) for entry in row]
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidParameter(
            f"invalid input for sparse float vector: {error}"
        ) from error
    return sorted(pairs)


def _pair(entry: Any) -> tuple[int, float]:
    if isinstance(entry, Mapping):  # as Arrow tells it
        entry = entry["index"], entry["value"]
    index, value = entry
    if isinstance(index, bool) or int(index) != index:
        raise TypeError(f"{index!r} is not an index")
    return int(index), float(value)
