"""The files of a sealed segment: one folder, written once, described by ``meta.json``.

::

    collections/7/segments/12/
        scalars.arrow       scalar fields by id, and ``ts``, sorted by partition
        vector_101.arrow    one file per vector field
        pk.arrow            key codes ascending, and the row offset of each
        meta.json           row count, partition ranges, statistics, checksums

The layout is specified in ``docs/formats/segment.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import CorruptionError, FormatError
from elanus.schema.arrays import array_of
from elanus.schema.columns import (
    Batch,
    Column,
    Offsets,
    arrow_schema,
    column_name,
    to_arrow,
)
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.segment.keys import codes_of
from elanus.storage.checksums import checked_body, with_checksum
from elanus.storage.columnar import FileStamp, write_columns
from elanus.storage.files import FileStore

FORMAT_VERSION = 1
TS_COLUMN = "ts"
_STAT_BYTES = 64


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Rows about to be written: a batch and what the system adds to each row.

    Attributes:
        batch: the columns.
        ts: timestamp of each row, (n,) int64.
        partitions: partition id of each row, (n,) int64.
    """

    batch: Batch
    ts: npt.NDArray[np.int64]
    partitions: npt.NDArray[np.int64]

    def partition_order(self) -> Offsets | None:
        """Row order by partition, stable; ``None`` when the rows are in it already."""
        if len(self.partitions) == 0 or (np.diff(self.partitions) >= 0).all():
            return None
        return np.argsort(self.partitions, kind="stable")

    def take(self, order: Offsets) -> SegmentRows:
        """The rows at ``order``."""
        return SegmentRows(
            self.batch.take(order), self.ts[order], self.partitions[order]
        )


@dataclass(frozen=True, slots=True)
class SegmentMeta:
    """What ``meta.json`` says: enough to open the segment without reading its columns.

    Attributes:
        partitions: first and past-the-last row offset by partition id.
        key_range: smallest and largest key code; ``(0, -1)`` when empty.
        ts_range: oldest and newest row timestamp.
        ranges: smallest value, largest value and null count by field id.
        files: stamp of each column file by its short name.
    """

    segment_id: int
    n_rows: int
    schema_version: int
    partitions: Mapping[int, tuple[int, int]]
    key_range: tuple[int, int]
    ts_range: tuple[int, int]
    ranges: Mapping[int, tuple[Any, Any, int]]
    files: Mapping[str, FileStamp]

    @property
    def nbytes(self) -> int:
        """Bytes of all column files."""
        return sum(stamp.size for stamp in self.files.values())

    def partition_at(self, offsets: Offsets) -> Offsets:
        """The partition id of the rows at ``offsets``."""
        ids = np.array(list(self.partitions), np.int64)
        starts = np.array([start for start, _ in self.partitions.values()], np.int64)
        found: Offsets = ids[np.searchsorted(starts, offsets, "right") - 1]
        return found

    def to_bytes(self) -> bytes:
        """The content of ``meta.json``: a JSON body and its checksum, a line each."""
        body = orjson.dumps(
            {
                "format": FORMAT_VERSION,
                "segment": self.segment_id,
                "rows": self.n_rows,
                "schema_version": self.schema_version,
                "partitions": {str(k): v for k, v in self.partitions.items()},
                "key_range": self.key_range,
                "ts_range": self.ts_range,
                "ranges": {str(k): v for k, v in self.ranges.items()},
                "files": {k: v.to_json() for k, v in self.files.items()},
            }
        )
        return with_checksum(body)

    @classmethod
    def from_bytes(cls, text: bytes, name: str) -> SegmentMeta:
        """The inverse of :meth:`to_bytes`.

        Raises:
            CorruptionError: the text fails its checksum.
            FormatError: a newer version of Elanus wrote it.
        """
        data = orjson.loads(checked_body(name, text))
        if data["format"] != FORMAT_VERSION:
            raise FormatError(f"{name}: format {data['format']} is not known")
        return cls(
            segment_id=data["segment"],
            n_rows=data["rows"],
            schema_version=data["schema_version"],
            partitions={int(k): (v[0], v[1]) for k, v in data["partitions"].items()},
            key_range=(data["key_range"][0], data["key_range"][1]),
            ts_range=(data["ts_range"][0], data["ts_range"][1]),
            ranges={int(k): (v[0], v[1], v[2]) for k, v in data["ranges"].items()},
            files={k: FileStamp.from_json(v) for k, v in data["files"].items()},
        )


def vector_file(field_id: int) -> str:
    """Short name of a vector field's column file."""
    return f"vector_{field_id}.arrow"


def write_segment(
    store: FileStore,
    folder: str,
    segment_id: int,
    schema: CollectionSchema,
    rows: SegmentRows,
) -> SegmentMeta:
    """Write and sync every file of a segment; rows must be in partition order.

    Nothing refers to the folder until a manifest names it, so a crash in here leaves
    only files that the next start removes.
    """
    scalars = schema.scalars
    arrays = [to_arrow(rows.batch.columns[f.id], f) for f in scalars]
    fields = [*arrow_schema(scalars), pa.field(TS_COLUMN, pa.int64())]
    table = pa.RecordBatch.from_arrays(
        [*arrays, array_of(rows.ts)], schema=pa.schema(fields)
    )
    files = {"scalars.arrow": write_columns(store, f"{folder}/scalars.arrow", table)}
    for f in schema.vectors:
        name = vector_file(f.id)
        column = pa.RecordBatch.from_arrays(
            [to_arrow(rows.batch.columns[f.id], f)], names=[column_name(f.id)]
        )
        files[name] = write_columns(store, f"{folder}/{name}", column)
    codes = codes_of(rows.batch.columns[schema.primary.id])
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    keys = pa.RecordBatch.from_arrays(
        [array_of(codes), array_of(order.astype(np.uint32))], names=["code", "offset"]
    )
    files["pk.arrow"] = write_columns(store, f"{folder}/pk.arrow", keys)
    meta = SegmentMeta(
        segment_id=segment_id,
        n_rows=len(rows.ts),
        schema_version=schema.version,
        partitions=_partition_ranges(rows.partitions),
        key_range=(int(codes[0]), int(codes[-1])) if len(codes) else (0, -1),
        ts_range=(int(rows.ts.min()), int(rows.ts.max())) if len(codes) else (0, 0),
        ranges={
            f.id: known
            for f in scalars
            if (known := _range(f, rows.batch.columns[f.id])) is not None
        },
        files=files,
    )
    with closing(store.create(f"{folder}/meta.json")) as out:
        out.write(meta.to_bytes())
        out.sync()
    store.sync_folder(folder)
    return meta


def read_meta(store: FileStore, folder: str) -> SegmentMeta:
    """The description of a segment.

    Raises:
        CorruptionError: it is missing or damaged.
    """
    name = f"{folder}/meta.json"
    if not store.exists(name):
        raise CorruptionError(name, "file is missing")
    return SegmentMeta.from_bytes(store.read(name), name)


def _partition_ranges(
    partitions: npt.NDArray[np.int64],
) -> dict[int, tuple[int, int]]:
    values, starts = np.unique(partitions, return_index=True)
    ends = [*starts[1:].tolist(), len(partitions)]
    return {
        int(value): (int(start), end)
        for value, start, end in zip(values, starts, ends, strict=True)
    }


def _range(field: FieldSchema, column: Column) -> tuple[Any, Any, int] | None:
    """Smallest value, largest value and null count, for types with an order."""
    if not field.dtype.has_order:
        return None
    assert isinstance(column, pa.Array)
    both = pc.min_max(column)
    low, high = both["min"].as_py(), both["max"].as_py()
    if isinstance(low, str) and max(len(low), len(high)) > _STAT_BYTES:
        return None
    return low, high, column.null_count
