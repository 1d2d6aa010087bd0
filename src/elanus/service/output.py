"""Which columns an answer carries, and the columns themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import orjson
import pyarrow as pa

from elanus.engine.version import SegmentView, gather
from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of_texts
from elanus.schema.codecs import shown
from elanus.schema.columns import Column, Offsets
from elanus.schema.schema import (
    DYNAMIC_FIELD,
    CollectionSchema,
    FieldSchema,
    StructSchema,
)
from elanus.schema.types import DataType
from elanus.schema.vectors import no_vectors
from elanus.service.replies import AnyColumn, OutputColumn, StructColumn
from elanus.service.times import TimeForm, as_told

COUNT = "count(*)"
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_META_KEY = re.compile(r"\$meta\[(\"[^\"]+\"|'[^']+')\]\Z")


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of an answer.

    Attributes:
        fields: one column each.
        structs: those that come, each with the fields asked for.
        dynamic: the ``$meta`` field, if its column comes too.
        keys: what of ``$meta`` is shown; ``None`` for all of it.
        names: what the client is told: fields and keys, in the order asked for.
        times: how points in time are told.
    """

    fields: tuple[FieldSchema, ...]
    dynamic: FieldSchema | None
    keys: tuple[str, ...] | None
    names: tuple[str, ...]
    times: TimeForm
    structs: tuple[tuple[StructSchema, tuple[FieldSchema, ...]], ...] = ()


class _Same:
    """Hashes a schema by identity, so that looking up a shape costs nothing."""

    __slots__ = ("value",)

    def __init__(self, value: CollectionSchema) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


def shape_of(
    schema: CollectionSchema,
    names: tuple[str, ...],
    times: TimeForm,
    *,
    with_key: bool,
) -> Shape:
    """The columns that output field names ask for.

    Args:
        with_key: whether the primary key comes even if it is not named.

    Raises:
        InvalidParameter: a name is no field, and no key of the dynamic field.
    """
    shape = _shape_of(_Same(schema), names, with_key)
    return replace(shape, times=times) if schema.times else shape


@lru_cache(maxsize=1024)
def _shape_of(same: _Same, names: tuple[str, ...], with_key: bool) -> Shape:
    schema = same.value
    fields: dict[str, FieldSchema] = {}
    keys: dict[str, str] = {}
    parts: dict[str, FieldSchema] = {}
    wants_all = False
    for name in names:
        if name == "*":
            fields.update((f.name, f) for f in schema.given if not f.struct)
            parts.update((f.name, f) for f in schema.visible if f.struct)
            wants_all = wants_all or schema.dynamic is not None
        elif name in schema.parts:
            parts.update((f.name, f) for f in schema.parts[name])
        elif name in schema.by_name and schema.by_name[name].is_function_output:
            raise InvalidParameter(f"not allowed to retrieve raw data of field {name}")
        elif name in schema.by_name and schema.by_name[name].struct:
            parts[name] = schema.by_name[name]
        elif name == DYNAMIC_FIELD and schema.dynamic is not None:
            wants_all = True
        elif name in schema.by_name:
            fields[name] = schema.by_name[name]
        else:
            keys[name] = _dynamic_key(schema, name)
    structs = _chosen_structs(schema, parts)
    whole = {name: schema.by_name[name].struct for name in parts}
    asked = dict.fromkeys(whole.get(name, name) for name in names)
    shown = (*fields, *(struct.name for struct, _ in structs))
    told = [n for n in asked if n in shown or n in keys]
    if "*" in names:
        told = [*shown, *(n for n in told if n not in shown)]
    if wants_all:  # told the keys, a client would show only those
        told = [*(n for n in told if n not in keys), DYNAMIC_FIELD]
    primary = schema.primary
    if with_key and primary.name not in fields:
        fields[primary.name] = primary
        told.append(primary.name)
    return Shape(
        tuple(fields.values()),
        schema.dynamic if wants_all or keys else None,
        None if wants_all else tuple(keys.values()),
        tuple(told),
        TimeForm(),
        structs,
    )


def _chosen_structs(
    schema: CollectionSchema, parts: dict[str, FieldSchema]
) -> tuple[tuple[StructSchema, tuple[FieldSchema, ...]], ...]:
    """The structs that have one of these fields, in order, with those fields."""
    chosen = (
        (struct, tuple(f for f in schema.parts[struct.name] if f.name in parts))
        for struct in schema.structs
    )
    return tuple((struct, fields) for struct, fields in chosen if fields)


def _dynamic_key(schema: CollectionSchema, name: str) -> str:
    if schema.dynamic is None:
        raise InvalidParameter(f"field {name} not exist")
    if _KEY.match(name):
        return name
    match = _META_KEY.match(name)
    if match is None:
        raise InvalidParameter(f"parse output field name failed: {name}")
    return match[1][1:-1]


def columns_of(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    shape: Shape,
    known: Mapping[int, Column] = MappingProxyType({}),
) -> tuple[AnyColumn, ...]:
    """The columns of rows of several segments, in the order of the rows.

    Args:
        parts: position in ``views`` of each row; ``None`` when all are of the first.
        offsets: row offset in its segment.
        known: columns of these rows that are there already, by field id.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    columns: list[AnyColumn] = [
        as_told(
            OutputColumn.of(
                field,
                shown(field, known[field.id])
                if field.id in known
                else shown(field, _values(views, parts, offsets, field)),
            ),
            shape.times,
        )
        for field in shape.fields
    ]
    if shape.dynamic is not None:
        stored = _values(views, parts, offsets, shape.dynamic)
        assert isinstance(stored, pa.Array)
        columns.append(
            OutputColumn(
                DYNAMIC_FIELD,
                DataType.JSON,
                _objects(stored, shape.keys),
                field_id=shape.dynamic.id,
                is_dynamic=True,
            )
        )
    for struct, fields in shape.structs:
        parts_of = tuple(
            OutputColumn.of(field, _values(views, parts, offsets, field))
            for field in fields
        )
        columns.append(StructColumn(struct.name, parts_of, struct.id))
    return tuple(columns)


def _values(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    field: FieldSchema,
) -> Column:
    if len(offsets):
        return gather(views, parts, offsets, field.id)
    if field.is_vector:
        return no_vectors(field.vector, field.dim or 0)
    return pa.nulls(0, field.arrow_type)


def _objects(stored: pa.Array, keys: tuple[str, ...] | None) -> pa.Array:
    """The dynamic field's objects, with these of their keys."""
    if keys is None and not stored.null_count:
        return stored
    texts: list[bytes | None] = []
    for text in stored.to_pylist():
        row = orjson.loads(text) if text else {}
        if keys is not None:
            row = {key: row[key] for key in keys if key in row}
        texts.append(orjson.dumps(row))
    return array_of_texts(texts, pa.large_binary())
