"""Rows in the order of their values: the ``order_by`` of searches and queries.

A value becomes its rank among those of its column, so that keys of any type, direction
and place of nulls are compared as whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.version import SegmentView, gather
from elanus.errors import InvalidParameter
from elanus.schema.arrays import values_of
from elanus.schema.columns import Offsets
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

Path = tuple[str | int, ...]
Ranks = npt.NDArray[np.int64]

_SORTABLE = frozenset(
    {
        DataType.BOOL,
        DataType.INT8,
        DataType.INT16,
        DataType.INT32,
        DataType.INT64,
        DataType.FLOAT,
        DataType.DOUBLE,
        DataType.VARCHAR,
        DataType.TIMESTAMPTZ,
    }
)
_IS_DESCENDING = {"asc": False, "ascending": False, "desc": True, "descending": True}
_NULLS_FIRST = {"nulls_first": True, "nulls_last": False}
_PATH = re.compile(r"([A-Za-z_$][A-Za-z0-9_]*)((?:\[[^\[\]]+\])+)\Z")
_SEGMENT = re.compile(r"\[(?:\"([^\"]+)\"|'([^']+)'|(\d+))\]")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# Below and above every rank.
_FIRST, _LAST = -1, np.iinfo(np.int64).max


class Ordered(Enum):
    """What is put in order; the two differ in what they take and say."""

    SEARCH = "search"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One value to order by.

    Attributes:
        path: place inside a JSON field; empty for the field itself.
    """

    field: FieldSchema
    path: Path = ()
    is_descending: bool = False
    nulls_first: bool = False


def parse_order(
    schema: CollectionSchema, text: str, ordered: Ordered
) -> tuple[SortKey, ...]:
    """The keys of ``"price:asc,rating:desc:nulls_first"``; none for an empty text.

    Raises:
        InvalidParameter: with Milvus' text; there is no such field or direction, or the
            field's values have no order.
    """
    return tuple(_key(schema, spec, ordered) for spec in _split(text, ",") if text)


def sorted_rows(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    keys: Sequence[SortKey],
    first: Sequence[Ranks] = (),
) -> Offsets:
    """Positions of rows in the order of the keys; equal rows stay as they are.

    Args:
        parts: position in ``views`` of each row; ``None`` when all are of the first.
        offsets: row offset in its segment.
        first: ranks that count before every key.
    """
    ranked = [*first, *(_ranks(views, parts, offsets, key) for key in keys)]
    order: Offsets = np.lexsort(ranked[::-1])
    return order


def ranked(values: pa.Array, *, is_descending: bool, nulls_first: bool) -> Ranks:
    """The rank of each value among all, from 0; equal values share one."""
    ranks = np.full(len(values), _FIRST if nulls_first else _LAST, np.int64)
    known = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    if len(known):
        direction = "descending" if is_descending else "ascending"
        found = pc.rank(values.drop_null(), direction, tiebreaker="dense")
        ranks[known] = values_of(found).astype(np.int64) - 1
    return ranks


def _key(schema: CollectionSchema, spec: str, ordered: Ordered) -> SortKey:
    name, *rest = [part.strip() for part in _split(spec, ":")]
    field, path = _place(schema, name, ordered)
    is_descending = _direction(name, rest[0] if rest else "asc", ordered)
    nulls_first = is_descending
    if len(rest) > 1:
        if rest[1].lower() not in _NULLS_FIRST:
            raise InvalidParameter(
                f"invalid null ordering '{rest[1]}', expected 'nulls_first' or "
                f"'nulls_last'"
            )
        nulls_first = _NULLS_FIRST[rest[1].lower()]
    if len(rest) > 2:
        raise InvalidParameter(f"invalid order_by field '{spec}'")
    return SortKey(field, path, is_descending, nulls_first)


def _direction(name: str, text: str, ordered: Ordered) -> bool:
    is_descending = _IS_DESCENDING.get(text.lower())
    if is_descending is None:
        expected = "expected" if ordered is Ordered.SEARCH else "must be"
        raise InvalidParameter(
            f"invalid order direction '{text}' for field '{name}', {expected} 'asc' or "
            f"'desc'"
        )
    return is_descending


def _place(
    schema: CollectionSchema, name: str, ordered: Ordered
) -> tuple[FieldSchema, Path]:
    field = schema.by_name.get(name)
    path: Path = ()
    if ordered is Ordered.SEARCH and field is None:
        field, path = json_place(schema, name)
    if field is None:
        raise InvalidParameter(
            f"order_by field '{name}' does not exist in collection schema"
        )
    if path or field.dtype in _SORTABLE:
        return field, path
    if ordered is Ordered.QUERY:
        raise InvalidParameter(
            f"order_by field '{name}' has type {field.dtype.row.name} which is not "
            f"sortable"
        )
    raise InvalidParameter(
        f"order_by field '{name}' has unsortable type {field.dtype.row.name}; "
        f"supported types: bool, int8/16/32/64, float, double, string, varchar; for "
        f'JSON fields use path syntax like field["key"]'
    )


def json_place(schema: CollectionSchema, name: str) -> tuple[FieldSchema | None, Path]:
    """A place inside a JSON field, or a key of the dynamic field."""
    if _KEY.match(name):
        return schema.dynamic, (name,)
    match = _PATH.match(name)
    if match is None:
        return None, ()
    found = _SEGMENT.findall(match[2])
    if len(found) < match[2].count("["):
        return None, ()
    path: Path = tuple(int(index) if index else a or b for a, b, index in found)
    field = schema.by_name.get(match[1])
    if field is None:
        return schema.dynamic, (match[1], *path)
    return (field, path) if field.dtype is DataType.JSON else (None, ())


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that stand outside brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _ranks(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    key: SortKey,
) -> Ranks:
    if not len(offsets):
        return np.empty(0, np.int64)
    column = gather(views, parts, offsets, key.field.id)
    assert isinstance(column, pa.Array)
    if not key.path:
        return ranked(
            column, is_descending=key.is_descending, nulls_first=key.nulls_first
        )
    values = [_comparable(text, key.path) for text in column.to_pylist()]
    known = sorted({v for v in values if v is not None}, reverse=key.is_descending)
    rank_of = {value: rank for rank, value in enumerate(known)}
    missing = _FIRST if key.nulls_first else _LAST
    ranks = [missing if value is None else rank_of[value] for value in values]
    return np.array(ranks, np.int64)


def _comparable(text: bytes | None, path: Path) -> tuple[int, Any] | None:
    """A JSON value as something that has an order: bools, numbers, then texts.

    What is missing, null, an array or an object counts as null.
    """
    value = orjson.loads(text) if text else None
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, int | float):
        return 1, value
    return (2, value.encode()) if isinstance(value, str) else None
