"""One column of vectors that grows: appended by one writer, read without a lock.

A reader names how many rows it sees; what it is given is never moved or changed.
"""

from __future__ import annotations

import threading

import numpy as np

from elanus.distance.block import Block, block_of
from elanus.distance.kernels import inverse_norms
from elanus.distance.metrics import Floats, Metric
from elanus.schema.columns import Offsets
from elanus.schema.schema import FieldSchema
from elanus.schema.vectors import (
    Matrix,
    VectorColumn,
    VectorRows,
    concat_rows,
    no_vectors,
    single_vectors,
)


class GrowingVectors:
    """The vectors of one field of a growing segment.

    A matrix is preallocated: its pages cost nothing until they are written. Sparse rows
    and lists of vectors are kept in chunks that are joined when they are read.
    """

    def __init__(self, field: FieldSchema, capacity_rows: int) -> None:
        dtype, is_list = field.vector.numpy, field.vector.is_list
        self._matrix: Matrix | None = None
        if dtype is not None and not is_list:
            self._matrix = np.empty((capacity_rows, field.width), dtype)
        self._chunks: list[VectorRows] = []
        empty = no_vectors(field.vector, field.dim or 0).rows
        self._joined: tuple[int, VectorRows] = (0, empty)
        # of a nullable field: which rows have a vector, and how many of the first i do
        self._valid: np.ndarray | None = None
        self._counts: np.ndarray | None = None
        if field.nullable:
            self._valid = np.empty(capacity_rows, np.bool_)
            self._counts = np.zeros(capacity_rows + 1, np.int64)
        self._norms = np.empty(0, np.float32)
        self._lock = threading.Lock()

    def append(self, start: int, column: VectorColumn) -> None:
        """Add the rows from row number ``start`` on."""
        end = start + len(column)
        first = start
        if self._valid is not None and self._counts is not None:
            first = int(self._counts[start])
            valid = True if column.valid is None else column.valid
            self._valid[start:end] = valid
            self._counts[start + 1 : end + 1] = first + np.cumsum(
                self._valid[start:end]
            )
        if self._matrix is None:
            self._chunks.append(concat_rows([column.rows]))
        else:
            self._matrix[first : first + len(column.rows)] = column.rows

    def column(self, n_rows: int) -> VectorColumn:
        """The first ``n_rows`` rows."""
        n_vectors = self._n_vectors(n_rows)
        valid = None
        if self._valid is not None and n_vectors < n_rows:
            valid = self._valid[:n_rows]
        return VectorColumn(self._rows(n_vectors), valid)

    def take(self, offsets: Offsets) -> VectorColumn:
        """The rows at ``offsets``, in that order."""
        valid = None
        if self._valid is not None and self._counts is not None:
            valid = self._valid[offsets]
            offsets = self._counts[offsets[valid]]
        n_vectors = int(offsets.max()) + 1 if len(offsets) else 0
        return VectorColumn(self._rows(n_vectors)[offsets], valid)

    def block(self, metric: Metric, n_rows: int) -> Block:
        """The vectors of the first ``n_rows`` rows, ready to be compared."""
        rows = self._rows(self._n_vectors(n_rows))
        norms: Floats | None = None
        vectors = single_vectors(rows)
        if metric.row.normalises and vectors is not None:
            with self._lock:
                done = len(self._norms)
                if done < len(vectors):
                    fresh = inverse_norms(vectors[done:])
                    self._norms = np.concatenate([self._norms, fresh])
                norms = self._norms[: len(vectors)]
        return block_of(rows, metric, norms)

    def _n_vectors(self, n_rows: int) -> int:
        return n_rows if self._counts is None else int(self._counts[n_rows])

    def _rows(self, n_vectors: int) -> VectorRows:
        if self._matrix is not None:
            return self._matrix[:n_vectors]
        with self._lock:
            n_joined, joined = self._joined
            if len(joined) < n_vectors:
                n_chunks = len(self._chunks)
                joined = concat_rows([joined, *self._chunks[n_joined:n_chunks]])
                self._joined = (n_chunks, joined)
        return joined[:n_vectors]
