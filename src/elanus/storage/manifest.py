"""A manifest: which files make up a collection at one moment.

A manifest is one small record in the metadata store. Writing it is the only way a
flush, an index build, a compaction or a truncation becomes visible after a restart.
Specified in ``docs/formats/meta.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from elanus.storage.columnar import FileStamp


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A built index of one field of one segment.

    Attributes:
        index_id: names the folder ``indexes/<index_id>``.
        definition: the parameters it was built with; another definition of the field
            makes the entry stale.
        description: what the index kind needs to open it (its own durable form).
        files: stamp of each of its files by short name.
    """

    index_id: int
    definition: Mapping[str, Any]
    description: Mapping[str, Any]
    files: Mapping[str, FileStamp]

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        return {
            "id": self.index_id,
            "definition": dict(self.definition),
            "description": dict(self.description),
            "files": {k: v.to_json() for k, v in self.files.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> IndexEntry:
        """The inverse of :meth:`to_dict`."""
        files = {k: FileStamp.from_json(v) for k, v in data["files"].items()}
        return cls(data["id"], data["definition"], data["description"], files)


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A sealed segment: its folder, its delete files in order, its indexes by field.

    Attributes:
        rows: how many there are in its files; ``None`` in records of older versions.
    """

    segment_id: int
    deletes: tuple[FileStamp, ...] = ()
    indexes: Mapping[int, IndexEntry] = field(default_factory=dict)
    rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        return {
            "id": self.segment_id,
            "deletes": [stamp.to_json() for stamp in self.deletes],
            "indexes": {str(k): v.to_dict() for k, v in self.indexes.items()},
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SegmentEntry:
        """The inverse of :meth:`to_dict`."""
        return cls(
            data["id"],
            tuple(FileStamp.from_json(stamp) for stamp in data["deletes"]),
            {int(k): IndexEntry.from_dict(v) for k, v in data["indexes"].items()},
            data.get("rows"),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The durable state of one collection's rows.

    Attributes:
        version: counts up with every change.
        checkpoint_seq: every log record of the collection up to here is in the files.
        floor_ts: records not newer than this were truncated away.
        repeated_keys: primary keys that live in more than one partition.
    """

    collection_id: int
    version: int = 0
    segments: tuple[SegmentEntry, ...] = ()
    checkpoint_seq: int = 0
    floor_ts: int = 0
    repeated_keys: tuple[int | str, ...] = ()

    def to_bytes(self) -> bytes:
        """The record's body, JSON."""
        return orjson.dumps(
            {
                "collection": self.collection_id,
                "version": self.version,
                "segments": [entry.to_dict() for entry in self.segments],
                "checkpoint_seq": self.checkpoint_seq,
                "floor_ts": self.floor_ts,
                "repeated_keys": self.repeated_keys,
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Manifest:
        """The inverse of :meth:`to_bytes`."""
        data = orjson.loads(body)
        return cls(
            data["collection"],
            data["version"],
            tuple(SegmentEntry.from_dict(entry) for entry in data["segments"]),
            data["checkpoint_seq"],
            data["floor_ts"],
            tuple(data["repeated_keys"]),
        )


def collection_folder(collection_id: int) -> str:
    """Where all files of a collection lie."""
    return f"collections/{collection_id}"


def segment_folder(collection_id: int, segment_id: int) -> str:
    """Where the files of a segment lie."""
    return f"{collection_folder(collection_id)}/segments/{segment_id}"


def index_folder(collection_id: int, index_id: int) -> str:
    """Where the files of a built index lie."""
    return f"{collection_folder(collection_id)}/indexes/{index_id}"


def deletes_file(collection_id: int, segment_id: int, number: int) -> str:
    """Name of a file of deletes on a segment, in the segment's folder."""
    return f"{segment_folder(collection_id, segment_id)}/deletes-{number}.arrow"
