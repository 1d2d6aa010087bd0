"""The file of a scalar index: a column file of one row, each part a list in it.

Parts differ in length, so each is the only value of a column of lists
(``docs/formats/scalar_indexes.md``). All of them are verified when the file is opened,
and again after it was modified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.index.scalar.base import Parts
from elanus.schema.arrays import array_of, values_of
from elanus.storage.columnar import ColumnFile, FileStamp, write_columns
from elanus.storage.files import FileStore

Numbers = npt.NDArray[Any]


def write_parts(store: FileStore, name: str, parts: Parts) -> FileStamp:
    """Write and sync the file of an index; the folder is the caller's to sync.

    Raises:
        DiskFull, StorageError: the system refused; a partial file is deleted.
    """
    columns = [
        pa.LargeListArray.from_arrays(array_of(np.array([0, len(part)])), part)
        for part in parts.values()
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=list(parts))
    return write_columns(store, name, batch)


class PartsFile:
    """The file of an index, open. Safe to share among threads."""

    def __init__(self, store: FileStore, stamp: FileStamp) -> None:
        """Prepare to map the file that ``stamp`` describes."""
        self._file = ColumnFile(store, stamp)
        self._known: tuple[pa.Array, Mapping[str, pa.Array]] | None = None

    @property
    def name(self) -> str:
        """Of the file."""
        return self._file.stamp.name

    def parts(self) -> Mapping[str, pa.Array]:
        """All parts, verified; the same object as long as the file is as it was.

        Raises:
            CorruptionError: a block is damaged or the file changed its size.
            StorageError: the file cannot be opened.
        """
        known = self._known
        if known is not None:
            # another array means that the file was changed, and is verified anew
            name = next(iter(known[1]))
            if self._file.column(name) is known[0]:
                return known[1]
        lists = {name: self._file.column(name) for name in self._file.schema.names}
        parts = {name: stored.values for name, stored in lists.items()}
        self._known = next(iter(lists.values())), parts
        return parts

    def close(self) -> None:
        """Release the file; arrays of it stay valid."""
        self._file.close()


def numbers(part: pa.Array) -> Numbers:
    """A part of numbers, without a copy."""
    return values_of(part)
