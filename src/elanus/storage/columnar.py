"""Column files: one record batch as a plain Arrow IPC file, mapped and verified lazily.

Owns the layout (one batch, uncompressed, the first buffer on a 64-byte boundary, the
others on 8, block checksums kept beside in the segment's metadata;
``docs/formats/columns.md``) and the rule that no byte of a file is used before its
block's checksum was found right. What the columns mean is the segment's business.
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import ClosedError, CorruptionError, InternalError, StorageError
from elanus.storage.checksums import (
    BLOCK_BYTES,
    BlockChecksums,
    ChecksummingWriter,
)
from elanus.storage.files import FileStore, MappedFile

Offsets = npt.NDArray[np.int64]

_ALIGNMENT = 64
_PADDING_KEY = b"elanus.padding"
_MAGIC = b"ARROW1"
_MESSAGE = struct.Struct("<Ii")
_CONTINUATION = 0xFFFFFFFF
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
        self._content: _Content | None = None

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
        return taker(offsets)

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

    def _current(self) -> _Content:
        """The content as it is now, unverified anew when the file was modified."""
        content = self._content
        if content is not None and content.mapped.check() == content.modified_ns:
            return content
        with self._lock:
            if self._is_closed:
                raise ClosedError(self.stamp.name)
            if self._mapped is None:
                self._mapped = self._map()
            content = _Content(self._mapped, self.stamp.checksums)
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


class _Content:
    """What is known to be right of a mapped file since its last modification.

    Threads may verify a block twice; the results are the same.
    """

    def __init__(self, mapped: MappedFile, checksums: BlockChecksums) -> None:
        self.mapped = mapped
        self.modified_ns = mapped.check()
        self.ready: dict[str, pa.Array] = {}
        self.takers: dict[str, Callable[[Offsets], pa.Array]] = {}
        self.matrices: dict[str, npt.NDArray[Any]] = {}
        self._spans: dict[str, list[slice]] = {}
        self._checksums = checksums
        self._sound = np.zeros(len(checksums.values), np.bool_)
        self._base = mapped.buffer.address
        batch = self._open_batch()
        self.schema: pa.Schema = batch.schema.remove_metadata()
        self.num_rows: int = batch.num_rows
        names = self.schema.names
        self._arrays: dict[str, pa.Array] = dict(zip(names, batch.columns, strict=True))

    def verified(self, name: str) -> pa.Array:
        """Verify the whole column and remember that."""
        array = self._array(name)
        for buffer in array.buffers():
            if buffer is not None:
                self._verify_buffer(buffer)
        self.ready[name] = array
        return array

    def make_matrix(self, name: str) -> npt.NDArray[Any]:
        """The unverified matrix of a FixedSizeList column."""
        array = self._array(name)
        if not pa.types.is_fixed_size_list(array.type):
            raise InternalError(f"column {name} of {self.mapped.name} is no matrix")
        view = _matrix_view(array)
        self.matrices[name] = view
        return view

    def make_taker(self, name: str) -> Callable[[Offsets], pa.Array]:
        """The quickest correct way to take rows of a column."""
        array = self._array(name)
        kind = array.type
        if array.null_count == 0 and _is_plain(kind):
            taker = self._plain_taker(name, array)
        elif _is_plain_matrix(kind) and not (
            array.null_count or array.values.null_count
        ):
            taker = self._matrix_taker(name, array)
        else:
            taker = self._general_taker(name, array)
        self.takers[name] = taker
        return taker

    def verify_fixed(self, name: str, view: npt.NDArray[Any], offsets: Offsets) -> None:
        """Verify the blocks of some rows of a view with rows of one width."""
        width = view.strides[0]
        if width == 0 or len(offsets) == 0 or name in self.ready:
            return
        start = view.ctypes.data - self._base
        self._verify_rows(start, width, offsets)
        self._settle(name, self._arrays[name])

    def _plain_taker(self, name: str, array: pa.Array) -> Callable[[Offsets], pa.Array]:
        kind = array.type
        buffer = array.buffers()[1]
        width = kind.bit_width // 8
        dtype = f"u{width}" if width in (1, 2, 4, 8) else f"V{width}"
        view = np.frombuffer(buffer, dtype)[: len(array)]
        start = buffer.address - self._base
        from_buffers, py_buffer = pa.Array.from_buffers, pa.py_buffer
        ready = self.ready

        def take(offsets: Offsets) -> pa.Array:
            if name not in ready and len(offsets):
                self._verify_rows(start, width, offsets)
                self._settle(name, array)
            rows = view[offsets]
            return from_buffers(kind, len(rows), [None, py_buffer(rows)])

        return take

    def _matrix_taker(
        self, name: str, array: pa.Array
    ) -> Callable[[Offsets], pa.Array]:
        view = self.make_matrix(name)
        kind = array.type

        def take(offsets: Offsets) -> pa.Array:
            self.verify_fixed(name, view, offsets)
            values = pa.array(view[offsets].reshape(-1), kind.value_type)
            return pa.FixedSizeListArray.from_arrays(values, type=kind)

        return take

    def _general_taker(
        self, name: str, array: pa.Array
    ) -> Callable[[Offsets], pa.Array]:
        def take(offsets: Offsets) -> pa.Array:
            if name not in self.ready:
                self._verify_rows_of(array, offsets)
                self._settle(name, array)
            return array.take(pa.array(offsets))

        return take

    def _settle(self, name: str, array: pa.Array) -> None:
        """Take the quick path from now on if every block of the column is right."""
        spans = self._spans.get(name)
        if spans is None:
            spans = [
                slice(start // BLOCK_BYTES, (start + size - 1) // BLOCK_BYTES + 1)
                for start, size in (
                    (buffer.address - self._base, buffer.size)
                    for buffer in array.buffers()
                    if buffer is not None and buffer.size
                )
            ]
            self._spans[name] = spans
        if all(self._sound[span].all() for span in spans):
            self.ready[name] = array

    def _verify_rows_of(self, array: pa.Array, offsets: Offsets) -> None:
        """Verify what taking these rows of an array of any type reads."""
        if len(offsets) == 0:
            return
        kind = array.type
        buffers = array.buffers()
        if buffers[0] is not None:
            start = buffers[0].address - self._base
            self._verify_rows(start, 1, offsets >> 3)
        if pa.types.is_boolean(kind):
            self._verify_rows(buffers[1].address - self._base, 1, offsets >> 3)
        elif _is_plain(kind):
            width = kind.bit_width // 8
            self._verify_rows(buffers[1].address - self._base, width, offsets)
        elif pa.types.is_fixed_size_list(kind):
            self._verify_rows_of(array.values, _list_rows(kind.list_size, offsets))
        elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            starts, ends = self._value_ranges(buffers[1], len(array), offsets)
            if buffers[2] is not None:
                start = buffers[2].address - self._base
                self._verify_ranges(start + starts, start + ends)
        elif pa.types.is_large_list(kind):
            starts, ends = self._value_ranges(buffers[1], len(array), offsets)
            self._verify_rows_of(array.values, _expand(starts, ends))
        else:
            for buffer in buffers:
                if buffer is not None:
                    self._verify_buffer(buffer)

    def _value_ranges(
        self, buffer: pa.Buffer, rows: int, offsets: Offsets
    ) -> tuple[Offsets, Offsets]:
        self._verify_buffer(buffer)
        ends = np.frombuffer(buffer, np.int64)[: rows + 1]
        return ends[offsets], ends[offsets + 1]

    def _verify_buffer(self, buffer: pa.Buffer) -> None:
        start = buffer.address - self._base
        if buffer.size and not 0 <= start <= self.mapped.size - buffer.size:
            raise CorruptionError(self.mapped.name, "a buffer lies outside the file")
        self._verify_span(start, start + buffer.size)

    def _verify_rows(self, start: int, width: int, offsets: Offsets) -> None:
        starts = start + offsets * width
        first = starts // BLOCK_BYTES
        last = (starts + (width - 1)) // BLOCK_BYTES
        if not (self._sound[first].all() and self._sound[last].all()):
            self._verify_ranges(starts, starts + width)

    def _verify_ranges(self, starts: Offsets, ends: Offsets) -> None:
        filled = ends > starts
        spans = np.stack(
            [starts[filled] // BLOCK_BYTES, (ends[filled] - 1) // BLOCK_BYTES], axis=1
        )
        for first, last in np.unique(spans, axis=0):
            self._verify_blocks(int(first), int(last))

    def _verify_span(self, start: int, end: int) -> None:
        if end > start:
            self._verify_blocks(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES)

    def _verify_blocks(self, first: int, last: int) -> None:
        for block in range(first, last + 1):
            if self._sound[block]:
                continue
            damage = self._checksums.damaged_block(
                self.mapped.name, self.mapped.buffer, block
            )
            if damage is not None:
                raise damage
            self._sound[block] = True

    def _open_batch(self) -> pa.RecordBatch:
        """Parse the metadata, each part of it verified before."""
        size = self.mapped.size
        tail = len(_MAGIC) + 4
        if size < 2 * tail:
            raise CorruptionError(self.mapped.name, "is too short for a column file")
        self._verify_span(size - tail, size)
        footer = int.from_bytes(self._bytes(size - tail, 4), "little")
        if not 0 < footer <= size - 2 * tail:
            raise CorruptionError(self.mapped.name, "has no footer")
        self._verify_span(size - tail - footer, size)
        position = 8
        for _ in range(2):
            position = self._after_message(position)
        try:
            reader = pa.ipc.open_file(self.mapped.buffer)
            if reader.num_record_batches != 1:
                raise CorruptionError(self.mapped.name, "does not hold one batch")
            return reader.get_batch(0)
        except (pa.ArrowException, OSError) as error:
            raise CorruptionError(self.mapped.name, str(error)) from error

    def _after_message(self, position: int) -> int:
        """Verify the metadata of the message at ``position``; where it ends."""
        size = self.mapped.size
        start = position + _MESSAGE.size
        if start <= size:
            self._verify_span(position, start)
            marker, length = _MESSAGE.unpack(self._bytes(position, _MESSAGE.size))
            if marker == _CONTINUATION and 0 < length <= size - start:
                self._verify_span(start, start + length)
                return start + int(length)
        raise CorruptionError(self.mapped.name, f"has no message at byte {position}")

    def _bytes(self, start: int, length: int) -> bytes:
        return bytes(self.mapped.buffer.slice(start, length))

    def _array(self, name: str) -> pa.Array:
        array = self._arrays.get(name)
        if array is None:
            raise InternalError(f"{self.mapped.name} has no column {name}")
        return array


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
        position += _MESSAGE.size + _MESSAGE.unpack_from(written, position)[1]
    return position


def _refuse_type(kind: pa.DataType) -> None:
    if any(is_refused(kind) for is_refused in _REFUSED):
        raise InternalError(f"column files hold no {kind}; use the large_ kinds")
    for child in _children(kind):
        _refuse_type(child)


def _children(kind: pa.DataType) -> Iterator[pa.DataType]:
    for index in range(kind.num_fields):
        yield kind.field(index).type


def _is_plain(kind: pa.DataType) -> bool:
    """Whether values are whole bytes of one width in one buffer."""
    if pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        return False
    is_fixed = pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(is_fixed or pa.types.is_decimal(kind)) and kind.bit_width > 0


def _is_plain_matrix(kind: pa.DataType) -> bool:
    if not pa.types.is_fixed_size_list(kind):
        return False
    value = kind.value_type
    return bool(pa.types.is_integer(value) or pa.types.is_floating(value))


def _matrix_view(array: pa.Array) -> npt.NDArray[Any]:
    """The stored values (rows, dim), those of null rows included."""
    values = array.values
    dtype = np.dtype(values.type.to_pandas_dtype())
    data = values.buffers()[1]
    view: npt.NDArray[Any] = np.frombuffer(b"" if data is None else data, dtype)
    return view[: len(values)].reshape(len(array), array.type.list_size)


def _list_rows(length: int, offsets: Offsets) -> Offsets:
    rows: Offsets = offsets[:, None] * length + np.arange(length)
    return rows.reshape(-1)


def _expand(starts: Offsets, ends: Offsets) -> Offsets:
    """Every index in the ranges [start, end), one after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    indices: Offsets = np.arange(int(lengths.sum()), dtype=np.int64)
    indices += np.repeat(starts - before, lengths)
    return indices
