"""The verified content of one mapped column file.

Owns the bookkeeping of blocks known to be right and the quickest ways to a column, a
matrix or a few rows. Files, their life and their writing are ``columnar``'s.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import CorruptionError, InternalError
from elanus.schema.arrays import array_of
from elanus.storage.checksums import BLOCK_BYTES, BlockChecksums
from elanus.storage.files import MappedFile

Offsets = npt.NDArray[np.int64]
"""Row numbers, (n,) int64."""

MESSAGE = struct.Struct("<Ii")
"""Continuation mark and metadata length in front of each Arrow message."""

_MAGIC = b"ARROW1"
_CONTINUATION = 0xFFFFFFFF


class Content:
    """What is known to be right of a mapped file since its last modification.

    Threads may verify a block twice; the results are the same.

    Attributes:
        mapped: the file.
        modified_ns: its modification stamp when nothing was verified yet.
        ready: columns all of whose blocks are right.
        takers: functions that take rows of a column, made on demand. They are given
            the content they are of: held by them it would be in a cycle, and a dropped
            file stay mapped and on the disk until the collector comes by.
        matrices: views of vector columns, whether verified or not.
        schema: of the columns.
        num_rows: in each column.
    """

    def __init__(self, mapped: MappedFile, checksums: BlockChecksums) -> None:
        """Verify and parse the metadata of the file.

        Raises:
            CorruptionError: it is damaged.
        """
        self.mapped = mapped
        self.modified_ns = mapped.check()
        self.ready: dict[str, pa.Array] = {}
        self.takers: dict[str, Taker] = {}
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

    def make_taker(self, name: str) -> Taker:
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

    def _plain_taker(self, name: str, array: pa.Array) -> Taker:
        kind = array.type
        buffer = array.buffers()[1]
        width = kind.bit_width // 8
        dtype = f"u{width}" if width in (1, 2, 4, 8) else f"V{width}"
        view = np.frombuffer(buffer, dtype)[: len(array)]
        start = buffer.address - self._base
        from_buffers, py_buffer = pa.Array.from_buffers, pa.py_buffer
        ready = self.ready

        def take(content: Content, offsets: Offsets) -> pa.Array:
            if name not in ready and len(offsets):
                content._verify_rows(start, width, offsets)
                content._settle(name, array)
            rows = view[offsets]
            return from_buffers(kind, len(rows), [None, py_buffer(rows)])

        return take

    def _matrix_taker(self, name: str, array: pa.Array) -> Taker:
        view = self.make_matrix(name)
        kind = array.type

        def take(content: Content, offsets: Offsets) -> pa.Array:
            content.verify_fixed(name, view, offsets)
            values = array_of(view[offsets].reshape(-1))
            return pa.FixedSizeListArray.from_arrays(values, type=kind)

        return take

    @staticmethod
    def _general_taker(name: str, array: pa.Array) -> Taker:
        def take(content: Content, offsets: Offsets) -> pa.Array:
            if name not in content.ready:
                content._verify_rows_of(array, offsets)
                content._settle(name, array)
            return array.take(array_of(offsets))

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
        start = position + MESSAGE.size
        if start <= size:
            self._verify_span(position, start)
            marker, length = MESSAGE.unpack(self._bytes(position, MESSAGE.size))
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


Taker = Callable[[Content, Offsets], pa.Array]
"""Takes rows of one column of the content given."""


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
