"""Buckets of an aggregated search as ``AggBucket`` bytes.

A message of them has no place for lists and vectors: those travel as JSON text, and
vectors of anything but float32 as their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from elanus.engine.read.buckets import Bucket
from elanus.schema.sparse import SparseRows
from elanus.schema.types import DataType
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import VectorRows
from elanus.server.grpc import packed
from elanus.server.grpc.messages import Message, message_class
from elanus.service.replies import AnyColumn, OutputColumn, SearchReply, StructColumn

# Field numbers of SearchResultData.
_BUCKETS, _COUNTS = 18, 19

_Bucket = message_class("schema.AggBucket")
_Entry = message_class("schema.BucketKeyEntry")
_Hit = message_class("schema.AggHit")
_Field = message_class("schema.AggHitField")
_Metric = message_class("schema.MetricValue")


class _Shown(NamedTuple):
    """One column of the rows shown, a value that a message takes for each."""

    name: str
    field_id: int
    slot: str
    values: Sequence[Any]


def buckets_bytes(reply: SearchReply) -> bytes:
    """What an aggregated search adds to a ``SearchResultData``."""
    told = reply.buckets
    assert told is not None
    hits = _hits(reply)
    buckets = (
        packed.delimited(_BUCKETS, _bucket(bucket, told.keys, hits).SerializeToString())
        for buckets in told.of_queries
        for bucket in buckets
    )
    counts = b"".join(packed.varint(len(buckets)) for buckets in told.of_queries)
    return b"".join((*buckets, packed.delimited(_COUNTS, counts)))


def _bucket(
    bucket: Bucket,
    levels: Sequence[Sequence[tuple[str, int]]],
    hits: Mapping[int, Message],
) -> Message:
    """One bucket with those in it.

    Args:
        levels: names and ids of the keys of its level and of those below.
        hits: the rows shown, by position.
    """
    message = _Bucket(
        key=[
            _entry(name, field_id, value)
            for (name, field_id), value in zip(levels[0], bucket.keys, strict=True)
        ],
        count=bucket.count,
        hits=[hits[row] for row in bucket.hits],
        sub_groups=[_bucket(inner, levels[1:], hits) for inner in bucket.buckets],
    )
    for alias, value in bucket.metrics.items():
        message.metrics[alias].CopyFrom(_Metric(**{_kind(value): value}))
    return message


def _entry(name: str, field_id: int, value: Any) -> Message:
    entry = _Entry(field_id=field_id, field_name=name)
    if value is not None:
        setattr(entry, _kind(value), value)
    return entry


def _kind(value: Any) -> str:
    """The slot of a key or a metric."""
    if isinstance(value, bool):
        return "bool_val"
    if isinstance(value, int):
        return "int_val"
    return "double_val" if isinstance(value, float) else "string_val"


def _hits(reply: SearchReply) -> dict[int, Message]:
    assert reply.buckets is not None
    rows = reply.buckets.rows.tolist()
    if not rows:
        return {}
    shown = [_shown(column) for column in reply.columns]
    keys, scores = _keys(reply.keys), reply.scores.tolist()
    slot = "int_pk" if isinstance(keys[0], int) else "str_pk"
    return {
        row: _Hit(
            score=scores[place],
            fields=[_field(column, place) for column in shown],
            **{slot: keys[place]},
        )
        for place, row in enumerate(rows)
    }


def _keys(keys: pa.Array | npt.NDArray[np.int64]) -> list[Any]:
    plain: list[Any] = keys.tolist()
    return plain


def _field(column: _Shown, place: int) -> Message:
    field = _Field(field_id=column.field_id, field_name=column.name)
    value = column.values[place]
    if value is not None:
        setattr(field, column.slot, value)
    return field


def _shown(column: AnyColumn) -> _Shown:
    if isinstance(column, StructColumn):
        lists = {part.name: _plain(part) for part in column.parts}
        rows = [
            _structs(tuple(lists), row) for row in zip(*lists.values(), strict=True)
        ]
        return _Shown(column.name, column.field_id, _TEXT, _as_json(rows))
    values = _plain(column)
    slot = _SLOTS.get(column.dtype, _TEXT)
    if slot == _TEXT and column.dtype not in _TEXTS:
        values = _as_json(values)
    return _Shown(column.name, column.field_id, slot, values)


def _structs(names: Sequence[str], row: Sequence[Any]) -> list[Any] | None:
    """The elements of one row, each of its parts; ``None`` for a null row."""
    if row[0] is None:
        return None
    return [dict(zip(names, each, strict=True)) for each in zip(*row, strict=True)]


def _plain(column: OutputColumn) -> list[Any]:
    """Values as plain Python; ``None`` for a null."""
    values = column.values
    if isinstance(values, pa.Array):
        plain: list[Any] = values.to_pylist()
        return plain
    held = iter(_vectors(column.dtype, values.rows))
    valid = [True] * len(values) if values.valid is None else values.valid.tolist()
    return [next(held) if is_valid else None for is_valid in valid]


def _vectors(dtype: DataType, rows: VectorRows) -> Iterator[Any]:
    """Each vector as numbers, or bytes, or a value by index."""
    if isinstance(rows, SparseRows):
        for start, end in pairwise(rows.ends.tolist()):
            entries = rows.indices[start:end].tolist(), rows.values[start:end].tolist()
            yield dict(zip(*entries, strict=True))
    elif isinstance(rows, VectorLists):
        for start, end in pairwise(rows.ends.tolist()):
            yield rows.matrix[start:end].tolist()
    elif dtype is DataType.FLOAT_VECTOR:
        yield from rows.tolist()
    else:
        yield from (row.tobytes() for row in rows)


def _as_json(values: Sequence[Any]) -> list[str | None]:
    return [
        None
        if value is None
        else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
        for value in values
    ]


_TEXT = "string_val"
# Types whose values are texts already; what has no slot either becomes JSON.
_TEXTS = frozenset(
    {DataType.VARCHAR, DataType.TEXT, DataType.GEOMETRY, DataType.TIMESTAMPTZ}
)
_SLOTS: Mapping[DataType, str] = {
    DataType.BOOL: "bool_val",
    DataType.INT8: "int_val",
    DataType.INT16: "int_val",
    DataType.INT32: "int_val",
    DataType.INT64: "int_val",
    DataType.FLOAT: "float_val",
    DataType.DOUBLE: "double_val",
    DataType.JSON: "bytes_val",
    DataType.BINARY_VECTOR: "bytes_val",
    DataType.FLOAT16_VECTOR: "bytes_val",
    DataType.BFLOAT16_VECTOR: "bytes_val",
    DataType.INT8_VECTOR: "bytes_val",
}
