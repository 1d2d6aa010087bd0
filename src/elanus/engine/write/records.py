"""Payloads of log records: rows as an Arrow message behind a small header.

Specified in ``docs/formats/log.md``. Column names are field ids, so a record needs only
the number of the schema version that wrote it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from elanus.engine.write.messages import message_parts
from elanus.errors import CorruptionError
from elanus.schema.columns import Batch, Offsets, arrow_schema
from elanus.schema.schema import CollectionSchema
from elanus.segment.keys import Keys

INSERT = 1
UPSERT = 2
DELETE = 3
REPLACE = 4

PER_ROW = 0  # partitions in the header of rows that have one each

_HEADER = struct.Struct("<IIq")  # schema version, partition count, partition
_ID = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class RowsRecord:
    """New rows; an upsert also deletes older rows of the keys.

    Attributes:
        schema: the version that the columns are of.
        partition: id of the partition of all rows, or of each, (n,) int64.
        replaced: keys whose rows these replace under keys of their own.
    """

    schema: CollectionSchema
    batch: Batch
    keys: Keys
    partition: int | Offsets
    upsert: bool
    replaced: pa.Array | None = None

    @property
    def kind(self) -> int:
        """Number of the kind in log frames."""
        if self.replaced is not None:
            return REPLACE
        return UPSERT if self.upsert else INSERT

    def deletes(self) -> Keys | None:
        """Keys whose rows in every partition go as these come."""
        if self.replaced is not None:
            return Keys.of(self.replaced)
        return self.keys if self.upsert else None

    def payload(self) -> list[bytes | pa.Buffer]:
        """The record's bytes, in parts."""
        schema = self.schema
        rows = message_parts(self.batch, schema)
        if self.replaced is not None:
            keys = _key_message(schema, self.replaced)
            rows = [_ID.pack(keys.size), keys, *rows]
        if isinstance(self.partition, int):
            return [_HEADER.pack(schema.version, 1, self.partition), *rows]
        header = _HEADER.pack(schema.version, PER_ROW, self.batch.n_rows)
        return [header, self.partition.astype("<i8").tobytes(), *rows]


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Keys whose rows are deleted, in these partitions (``None``: in all)."""

    schema: CollectionSchema
    column: pa.Array
    keys: Keys
    partitions: frozenset[int] | None

    @property
    def kind(self) -> int:
        """Number of the kind in log frames."""
        return DELETE

    def payload(self) -> list[bytes | pa.Buffer]:
        """The record's bytes, in parts."""
        schema = self.schema
        named = sorted(self.partitions or ())
        count = 0 if self.partitions is None else len(named)
        header = _HEADER.pack(schema.version, count, 0)
        ids = b"".join(_ID.pack(partition) for partition in named)
        return [header, ids, _key_message(schema, self.column)]


Record = RowsRecord | DeleteRecord


def decode(kind: int, payload: pa.Buffer, newest: CollectionSchema) -> Record:
    """The record behind a log frame.

    Args:
        newest: the collection's schema as it is now.

    Raises:
        CorruptionError: the frame is intact but its content makes no sense.
    """
    try:
        version, count, partition = _HEADER.unpack_from(payload)
        schema = newest.at(version)
        body = payload.slice(_HEADER.size)
        if kind == DELETE:
            ids = [_ID.unpack_from(body, i * _ID.size)[0] for i in range(count)]
            column = _keys_in(body.slice(count * _ID.size), schema)
            partitions = frozenset(ids) if ids else None
            return DeleteRecord(schema, column, Keys.of(column), partitions)
        places: int | Offsets = partition
        if count == PER_ROW:
            ends = partition * _ID.size
            places = np.frombuffer(body.slice(0, ends), "<i8").astype(np.int64)
            body = body.slice(ends)
        replaced = None
        if kind == REPLACE:
            (size,) = _ID.unpack_from(body)
            replaced = _keys_in(body.slice(_ID.size, size), schema)
            body = body.slice(_ID.size + size)
        arrow = pa.ipc.read_record_batch(body, arrow_schema(schema.fields))
        rows = Batch.from_arrow(arrow, schema)
        keys = Keys.of(arrow.column(schema.fields.index(schema.primary)))
        return RowsRecord(schema, rows, keys, places, kind == UPSERT, replaced)
    except (KeyError, ValueError, struct.error, pa.ArrowException, OSError) as error:
        raise CorruptionError("log", f"record of kind {kind}: {error}") from error


def _key_message(schema: CollectionSchema, keys: pa.Array) -> pa.Buffer:
    """Primary keys as an Arrow message."""
    batch = pa.RecordBatch.from_arrays([keys], schema=arrow_schema([schema.primary]))
    return batch.serialize()


def _keys_in(message: pa.Buffer, schema: CollectionSchema) -> pa.Array:
    batch = pa.ipc.read_record_batch(message, arrow_schema([schema.primary]))
    return batch.column(0)
