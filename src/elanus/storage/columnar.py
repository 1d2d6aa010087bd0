"""Column files: one record batch as a plain Arrow IPC file, mapped and verified lazily.

Owns the layout (one batch, uncompressed, the first buffer on a 64-byte boundary, the
others on 8, block checksums kept beside in the segment's metadata;
``docs/formats/columns.md``) and the rule that no byte of a file is used before its
block's checksum was found right. What the columns mean is the segment's business.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from elanus.errors import ClosedError, CorruptionError, InternalError, StorageError
from elanus.storage.checksums import BlockChecksums, ChecksummingWriter
from elanus.storage.column_content import MESSAGE, Content, Offsets
from elanus.storage.files import FileStore, MappedFile

_ALIGNMENT = 64
_PADDING_KEY = b"elanus.padding"
_REFUSED = (
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_list,
    pa.types.is_dictionary,
    pa.types.is_map,
    pa.types.is_run_end_encoded,
    pa.types.is_union,
)


@dataclass(frozen=True)
class FileStamp:
    """What must be known of a file to trust it: its name and its checksums."""

    name: str
    checksums: BlockChecksums

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.checksums.size

    def to_json(self) -> dict[str, object]:
        """A JSON-ready form."""
        return {"name": self.name, **self.checksums.to_json()}

    @staticmethod
    def from_json(record: Mapping[str, object]) -> FileStamp:
        """The inverse of :meth:`to_json`. Raises ValueError on a wrong record."""
        return FileStamp(str(record["name"]), BlockChecksums.from_json(record))


def write_columns(store: FileStore, name: str, batch: pa.RecordBatch) -> FileStamp:
    """Write and sync a new column file; the folder is the caller's to sync.

    Data buffers go to the file as they are, without a copy of the whole.

    Raises:
        InternalError: a column type that :class:`ColumnFile` does not read.
        DiskFull, StorageError: the system refused; a partial file is deleted.
    """
    for field in batch.schema:
        _refuse_type(field.type)
    file = store.create(name)
    try:
        writer = ChecksummingWriter(file)
        _write_ipc(_Sink(writer.write), _aligned_schema(batch), batch)
        stamp = FileStamp(name, writer.finish())
        file.sync()
    except StorageError:
        file.close()
        store.delete(name)
        raise
    finally:
        file.close()
    return stamp


class ColumnFile:
    """A column file open for reading. Safe to share among threads.

    Opening reads nothing; a column's blocks are verified when it is first touched, and
    again after the file's modification time changed. Arrays handed out are views of
    the mapping and outlive :meth:`close`.
    """

    def __init__(self, store: FileStore, stamp: FileStamp) -> None:
        """Prepare to map the file that ``stamp`` describes."""
        self.stamp = stamp
        self._store = store
        self._lock = threading.Lock()
        self._mapped: MappedFile | None = None
        self._is_closed = False
        self._content: Content | None = None

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._current().schema

    @property
    def num_rows(self) -> int:
        """Rows in the file."""
        return self._current().num_rows

    def column(self, name: str) -> pa.Array:
        """The whole column, verified.

        Raises:
            CorruptionError: a block is damaged or the file changed its size.
        """
        content = self._current()
        ready = content.ready.get(name)
        return content.verified(name) if ready is None else ready

    def take(self, name: str, offsets: Offsets) -> pa.Array:
        """The values of some rows; only the blocks they touch are verified.

        Args:
            offsets: (n,) int64, each in [0, num_rows).

        Raises:
            CorruptionError: a block is damaged or the file changed its size.
        """
        content = self._current()
        taker = content.takers.get(name)
        if taker is None:
            taker = content.make_taker(name)
        return taker(content, offsets)

    def matrix(self, name: str, *, verify: bool = True) -> npt.NDArray[Any]:
        """A FixedSizeList column as a read-only matrix (num_rows, dim), C order.

        Rows that are null hold whatever was stored there. With ``verify=False`` the
        caller passes the rows it reads to :meth:`verify_rows` first.
        """
        content = self._current()
        if verify and name not in content.ready:
            content.verified(name)
        view = content.matrices.get(name)
        return content.make_matrix(name) if view is None else view

    def verify_rows(self, name: str, offsets: Offsets) -> None:
        """Verify the blocks that hold these rows of a FixedSizeList column."""
        content = self._current()
        if name not in content.ready:
            view = self.matrix(name, verify=False)
            content.verify_fixed(name, view, offsets)

    def verify_all(self) -> list[str]:
        """Every damage of the file in words; empty when it is sound."""
        try:
            content = self._current()
            mapped = content.mapped
            found = self.stamp.checksums.damages(mapped.name, mapped.buffer)
            return [str(error) for error in found]
        except StorageError as error:
            return [str(error)]

    def close(self) -> None:
        """Release the file; views of it stay valid."""
        with self._lock:
            self._is_closed = True
            self._content = None
            if self._mapped is not None:
                self._mapped.close()
                self._mapped = None

    def _current(self) -> Content:
        """The content as it is now, unverified anew when the file was modified."""
        content = self._content
        if content is not None and content.mapped.check() == content.modified_ns:
            return content
        with self._lock:
            if self._is_closed:
                raise ClosedError(self.stamp.name)
            if self._mapped is None:
                self._mapped = self._map()
            content = Content(self._mapped, self.stamp.checksums)
            self._content = content
            return content

    def _map(self) -> MappedFile:
        mapped = self._store.map(self.stamp.name)
        if mapped.size == self.stamp.size:
            return mapped
        mapped.close()
        raise CorruptionError(
            self.stamp.name,
            f"has {mapped.size} bytes, {self.stamp.size} were written",
        )


class _Sink(io.RawIOBase):
    """Hands what Arrow writes to a function."""

    def __init__(self, write: Callable[[Any], int]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._write(data)


def _write_ipc(sink: _Sink, schema: pa.Schema, batch: pa.RecordBatch) -> None:
    with (
        pa.PythonFile(sink, mode="w") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _aligned_schema(batch: pa.RecordBatch) -> pa.Schema:
    """The schema, padded so that the first buffer falls on a 64-byte boundary.

    Arrow's Python writer aligns to 8 bytes. So a column of vectors without nulls, alone
    in its file, lies on cache lines. The padding is an entry of the schema's metadata,
    found by writing one row to memory.
    """
    padding = b""
    for _ in range(_ALIGNMENT // 8):
        schema = batch.schema.with_metadata({_PADDING_KEY: padding})
        off = _body_start(schema, batch.slice(0, 1)) % _ALIGNMENT
        if off == 0:
            break
        # The encoder rounds lengths up, so the first answer may not be the last.
        padding += b" " * (_ALIGNMENT - off)
    return schema


def _body_start(schema: pa.Schema, row: pa.RecordBatch) -> int:
    parts: list[bytes] = []

    def keep(data: Any) -> int:
        parts.append(bytes(data))
        return len(parts[-1])

    _write_ipc(_Sink(keep), schema, row)
    written = b"".join(parts)
    position = 8
    for _ in range(2):
        position += MESSAGE.size + MESSAGE.unpack_from(written, position)[1]
    return position


def _refuse_type(kind: pa.DataType) -> None:
    if any(is_refused(kind) for is_refused in _REFUSED):
        raise InternalError(f"column files hold no {kind}; use the large_ kinds")
    for child in _children(kind):
        _refuse_type(child)


def _children(kind: pa.DataType) -> Iterator[pa.DataType]:
    for index in range(kind.num_fields):
        yield kind.field(index).type
