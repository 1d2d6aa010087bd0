"""Rows as an Arrow message for the log, without copying what cannot change.

An insert is mostly one matrix of vectors. Serialized, it would be copied into fresh
memory, only to be copied into the file next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from elanus.schema.columns import Batch, Column
from elanus.schema.schema import CollectionSchema
from elanus.schema.vectors import VectorColumn

_LENGTH_AT, _LENGTH_BYTES = 4, 4  # of an Arrow message's metadata, after the marker


def message_parts(batch: Batch, schema: CollectionSchema) -> list[bytes | pa.Buffer]:
    """The bytes of ``batch.to_arrow(schema).serialize()``, perhaps in parts.

    What a caller may change meanwhile is copied: the bytes have to stay what their
    checksum says until they are in the file.
    """
    arrow = batch.to_arrow(schema)
    if not all(_is_constant(batch.columns[f.id]) for f in schema.fields):
        return [arrow.serialize()]
    sink = _Parts()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), arrow.schema) as stream:
        stream.write_batch(arrow)
        parts = sink.parts
        sink.parts = []  # what follows says that the stream ends
    return _without_first(parts)


def _is_constant(column: Column) -> bool:
    """Whether nobody can change the column: codecs own scalars, vectors are shared."""
    if not isinstance(column, VectorColumn):
        return True
    owner: Any = column.rows
    if not isinstance(owner, np.ndarray):
        return False
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner.obj if isinstance(owner, memoryview) else owner, bytes)


def _without_first(parts: list[bytes | pa.Buffer]) -> list[bytes | pa.Buffer]:
    """The parts after the first message, which is the schema's and has no body."""
    head = b"".join(bytes(part) for part in parts[:3])
    length = head[_LENGTH_AT : _LENGTH_AT + _LENGTH_BYTES]
    left = _LENGTH_AT + _LENGTH_BYTES + int.from_bytes(length, "little")
    for number, part in enumerate(parts):
        if not left:
            return parts[number:]
        left -= len(part)
    raise AssertionError("a stream begins with its schema")


class _Parts:
    """A file for Arrow that keeps what is written to it, uncopied."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[bytes | pa.Buffer] = []
        self._size = 0

    def write(self, part: bytes | pa.Buffer) -> int:
        self.parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True
