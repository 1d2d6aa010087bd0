"""CRC-32C of a file in blocks of 1 MiB, so that a part can be verified alone.

Owns the block size and the compact form kept in a segment's metadata. When to verify
is the reader's business.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import CorruptionError
from elanus.storage.files import Buffer, FileStore, WritableFile

BLOCK_BYTES = 1 << 20
"""Bytes per checksum; the last block of a file is shorter."""


def crc32c(buffer: Buffer, crc: int = 0) -> int:
    """CRC-32C of the buffer, going on from ``crc``."""
    # The C function takes no writable memoryview; an Arrow buffer wraps any.
    whole = buffer if isinstance(buffer, bytes) else pa.py_buffer(buffer)
    return int(google_crc32c.extend(crc, whole))


def with_checksum(body: bytes) -> bytes:
    """A small text of one line, followed by its checksum on a line of its own."""
    return body + b"\n%08x\n" % crc32c(body)


def checked_body(name: str, text: bytes) -> bytes:
    """The inverse of :func:`with_checksum`.

    Raises:
        CorruptionError: the text fails its checksum.
    """
    body, _, tail = text.partition(b"\n")
    if tail != b"%08x\n" % crc32c(body):
        raise CorruptionError(name, "checksum does not match")
    return body


@dataclass(frozen=True, eq=False)
class BlockChecksums:
    """Size and block checksums of one file.

    Attributes:
        size: bytes in the file.
        values: (ceil(size / BLOCK_BYTES),) uint32.
    """

    size: int
    values: npt.NDArray[np.uint32]

    def to_json(self) -> dict[str, object]:
        """A JSON-ready form; the checksums as base64 of little-endian u32."""
        packed = base64.b64encode(self.values.astype("<u4").tobytes())
        return {"size": self.size, "crc32c": packed.decode("ascii")}

    @staticmethod
    def from_json(record: Mapping[str, object]) -> BlockChecksums:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: sizes do not fit together.
        """
        size = record["size"]
        packed = base64.b64decode(str(record["crc32c"]), validate=True)
        values = np.frombuffer(packed, "<u4").astype(np.uint32)
        if not isinstance(size, int) or size < 0 or len(values) != block_count(size):
            raise ValueError("block checksums do not fit the file size")
        return BlockChecksums(size, values)

    def damaged_block(
        self, name: str, buffer: pa.Buffer, block: int
    ) -> CorruptionError | None:
        """The error for one block of the file's ``buffer``, or None if it is right."""
        start = block * BLOCK_BYTES
        length = min(BLOCK_BYTES, self.size - start)
        if google_crc32c.value(buffer.slice(start, length)) == self.values[block]:
            return None
        return CorruptionError(
            name, f"wrong checksum in bytes {start} to {start + length}"
        )

    def verify(self, name: str, buffer: pa.Buffer) -> None:
        """Check the whole file.

        Raises:
            CorruptionError: the size or a block differs.
        """
        for error in self.damages(name, buffer):
            raise error

    def damages(self, name: str, buffer: pa.Buffer) -> Iterable[CorruptionError]:
        """Every damage of the file, lazily; after a wrong size nothing else."""
        if buffer.size != self.size:
            yield CorruptionError(
                name, f"has {buffer.size} bytes, {self.size} were written"
            )
            return
        for block in range(len(self.values)):
            if error := self.damaged_block(name, buffer, block):
                yield error


class ChecksummingWriter:
    """Computes block checksums of all that passes through it to a file."""

    def __init__(self, file: WritableFile) -> None:
        """Write to ``file``, which must be empty."""
        self._file = file
        self._values: list[int] = []
        self._crc = 0
        self._filled = 0

    def write(self, buffer: Buffer) -> int:
        """Append the buffer; returns its size in bytes."""
        whole = pa.py_buffer(buffer)
        size = int(whole.size)
        start = 0
        while start < size:
            length = min(size - start, BLOCK_BYTES - self._filled)
            self._crc = google_crc32c.extend(self._crc, whole.slice(start, length))
            self._filled += length
            start += length
            if self._filled == BLOCK_BYTES:
                self._end_block()
        self._file.write(whole)
        return size

    def finish(self) -> BlockChecksums:
        """The checksums of everything written; call once, at the end."""
        if self._filled:
            self._end_block()
        return BlockChecksums(self._file.tell(), np.array(self._values, np.uint32))

    def _end_block(self) -> None:
        self._values.append(self._crc)
        self._crc = self._filled = 0


def block_count(size: int) -> int:
    """Blocks in a file of ``size`` bytes."""
    return -(-size // BLOCK_BYTES)


def checksum_file(store: FileStore, name: str) -> BlockChecksums:
    """Checksums of an existing file, as one that a native writer made."""
    mapped = store.map(name)
    try:
        mapped.check()
        values = [
            google_crc32c.value(
                mapped.buffer.slice(start, min(BLOCK_BYTES, mapped.size - start))
            )
            for start in range(0, mapped.size, BLOCK_BYTES)
        ]
        return BlockChecksums(mapped.size, np.array(values, np.uint32))
    finally:
        mapped.close()


def verify_file(store: FileStore, name: str, expected: BlockChecksums) -> None:
    """Check a whole file against its checksums.

    Raises:
        CorruptionError: the size or a block differs.
        StorageError: the file cannot be read.
    """
    mapped = store.map(name)
    try:
        mapped.check()
        expected.verify(name, mapped.buffer)
    finally:
        mapped.close()
