"""Bytes of the log: file headers, frames, and which of them can be believed.

Owns the encoding (``docs/formats/log.md``) and the decision between a torn tail and
corruption. Pure functions of a mapped file; what to do about it is ``wal_recovery``'s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import google_crc32c
import pyarrow as pa

from elanus.errors import CorruptionError, FormatError
from elanus.storage.files import Buffer, MappedFile

VERSION = 1
MARK = 0
"""Kind of the frames by which the log says how far it is durable."""

_MAGIC = b"ELANUSLG"
_FILE = struct.Struct("<8sIIQQQQQQ")
_CRC = struct.Struct("<II")
FILE_HEADER_BYTES = _FILE.size + _CRC.size

_FRAME = struct.Struct("<IQQQQQQHHI")
_FRAME_CRC = struct.Struct("<I")
FRAME_HEADER_BYTES = _FRAME_CRC.size + _FRAME.size
_FILE_ID_AT = 16
_SEARCH_BYTES = 1 << 20
_PADDING = bytes(8)


@dataclass(frozen=True)
class FileHeader:
    """The first bytes of a log file.

    Attributes:
        file_id: random, not 0; repeated in each frame, so that bytes of another file
            are never taken for frames of this one.
        number: of the file, counting from 1.
        first_seq: the smallest seq its frames may have.
        previous_end: where the valid frames of file ``number - 1`` end; 0 when there
            was none.
        last_ts: no frame of an earlier file has a newer timestamp.
    """

    file_id: int
    number: int
    first_seq: int
    previous_end: int
    last_ts: int

    def pack(self) -> bytes:
        """The ``FILE_HEADER_BYTES`` that stand for it."""
        fixed = _FILE.pack(
            _MAGIC,
            VERSION,
            0,
            self.file_id,
            self.number,
            self.first_seq,
            self.previous_end,
            self.last_ts,
            0,
        )
        return fixed + _CRC.pack(google_crc32c.value(fixed), 0)

    @staticmethod
    def parse(name: str, data: bytes) -> FileHeader:
        """The header at the start of ``data``.

        Raises:
            CorruptionError: it is damaged or cut short.
            FormatError: written by a newer version.
        """
        if len(data) < FILE_HEADER_BYTES:
            raise CorruptionError(name, f"has {len(data)} bytes, too few for a header")
        fixed = data[: _FILE.size]
        magic, version, _, file_id, number, first, end, ts, _ = _FILE.unpack(fixed)
        crc, _ = _CRC.unpack_from(data, _FILE.size)
        if magic != _MAGIC or crc != google_crc32c.value(fixed):
            raise CorruptionError(name, "the file header is damaged")
        if version != VERSION:
            raise FormatError(f"{name}: log format {version}, this build reads 1")
        return FileHeader(file_id, number, first, end, ts)


class Frame(NamedTuple):
    """One record of the log, as read back.

    Attributes:
        seq: position in the log; rises, gaps are writes that failed.
        ts: hybrid timestamp, rising with seq.
        stream: whose record it is (for a mark: the metadata generation).
        kind: the writer's label, 1 to 65535; 0 is a mark.
        payload: the bytes, a view of the mapped file.
        durable_to: file offset known to be synced when the frame was written.
        end: file offset just after the frame.
    """

    seq: int
    ts: int
    stream: int
    kind: int
    payload: pa.Buffer
    durable_to: int
    end: int


class FrameHead(NamedTuple):
    """What a frame's header says, beside the place it is written to."""

    seq: int
    ts: int
    stream: int
    kind: int
    length: int
    payload_crc: int


def frame_buffers(
    head: FrameHead, payload: Sequence[Buffer], file_id: int, durable_to: int
) -> list[Buffer]:
    """The buffers to write for one frame; a multiple of 8 bytes in all."""
    fixed = _FRAME.pack(
        head.payload_crc,
        head.length,
        file_id,
        head.seq,
        durable_to,
        head.ts,
        head.stream,
        head.kind,
        0,
        0,
    )
    header = _FRAME_CRC.pack(google_crc32c.value(fixed)) + fixed
    padding = _PADDING[: -head.length % 8]
    return [header, *payload, padding] if padding else [header, *payload]


def frames_in(
    mapped: MappedFile, header: FileHeader, limit: int | None = None
) -> Iterator[Frame]:
    """The unbroken run of valid frames, marks included, up to ``limit``.

    Raises:
        CorruptionError: the file changes its size meanwhile.
    """
    position = FILE_HEADER_BYTES
    end = mapped.size if limit is None else min(limit, mapped.size)
    while position < end:
        mapped.check()
        frame = _frame_at(mapped.buffer, position, end, header.file_id)
        if frame is None:
            return
        yield frame
        position = frame.end


def is_known_durable(mapped: MappedFile, position: int, file_id: int) -> bool:
    """Whether some later frame proves that the byte at ``position`` was synced.

    A bad frame there is corruption then; otherwise it is the tail that a crash tore,
    of which any page may be missing while later ones are there.
    """
    pattern = struct.pack("<Q", file_id)
    start = position
    while start < mapped.size:
        mapped.check()
        window = bytes(
            mapped.buffer.slice(
                start, min(_SEARCH_BYTES + FRAME_HEADER_BYTES, mapped.size - start)
            )
        )
        found = window.find(pattern)
        while found >= 0:
            first = found - _FILE_ID_AT
            head = window[first : first + FRAME_HEADER_BYTES] if first >= 0 else b""
            if _durable_to(head) > position:
                return True
            found = window.find(pattern, found + 1)
        start += _SEARCH_BYTES
    return False


def _frame_at(buffer: pa.Buffer, position: int, end: int, file_id: int) -> Frame | None:
    if position + FRAME_HEADER_BYTES > end:
        return None
    head = bytes(buffer.slice(position, FRAME_HEADER_BYTES))
    fixed = head[_FRAME_CRC.size :]
    if _FRAME_CRC.unpack_from(head)[0] != google_crc32c.value(fixed):
        return None
    crc, length, found_id, seq, durable_to, ts, stream, kind, _, _ = _FRAME.unpack(
        fixed
    )
    start = position + FRAME_HEADER_BYTES
    after = start + length + (-length % 8)
    if found_id != file_id or after > end:
        return None
    payload = buffer.slice(start, length)
    if google_crc32c.value(payload) != crc:
        return None
    return Frame(seq, ts, stream, kind, payload, durable_to, after)


def _durable_to(head: bytes) -> int:
    """The field of a frame header, or 0 when the header is not valid."""
    if len(head) < FRAME_HEADER_BYTES:
        return 0
    fixed = head[_FRAME_CRC.size :]
    if _FRAME_CRC.unpack_from(head)[0] != google_crc32c.value(fixed):
        return 0
    return int(_FRAME.unpack(fixed)[4])
