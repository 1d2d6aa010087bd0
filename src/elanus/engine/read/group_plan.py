"""What a search groups its rows by, resolved against a schema.

A group is the rows of one value; rows without a value are one group, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elanus.engine.read.order import Path, json_place
from elanus.errors import FieldNotFound, InvalidParameter
from elanus.schema import limits
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType

_WHOLE = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
_GROUPABLE = _WHOLE | {
    DataType.BOOL,
    DataType.VARCHAR,
    DataType.JSON,
    DataType.TIMESTAMPTZ,
}
_CASTS: Mapping[str, DataType] = {
    "bool": DataType.BOOL,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "varchar": DataType.VARCHAR,
}
_ON_THE_WIRE = {
    DataType.BINARY_VECTOR: "VECTOR_BINARY",
    DataType.FLOAT_VECTOR: "VECTOR_FLOAT",
    DataType.FLOAT16_VECTOR: "VECTOR_FLOAT16",
    DataType.BFLOAT16_VECTOR: "VECTOR_BFLOAT16",
    DataType.SPARSE_FLOAT_VECTOR: "VECTOR_SPARSE_U32_F32",
    DataType.INT8_VECTOR: "VECTOR_INT8",
}


class GroupRequest(NamedTuple):
    """What a caller asks of groups, names unresolved.

    Attributes:
        fields: names of fields, or one place in a JSON field, or one dynamic key.
        size: rows wanted of each group.
        is_strict: whether to go on until the groups have that many, rather than stop
            once there are enough groups.
        json_path: the place, where ``fields`` names the JSON field alone.
        json_type: what values at a place are taken as; any value is itself without.
        is_exact_type: whether a number with a fraction of zero is no whole number.
    """

    fields: tuple[str, ...]
    size: int = 1
    is_strict: bool = False
    json_path: str = ""
    json_type: str = ""
    is_exact_type: bool = False


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One value that the rows of a group have in common.

    Attributes:
        name: as the caller wrote it.
        path: place inside a JSON field; empty for the field itself.
        cast: what JSON values are taken as; values of other types count as null.
        is_exact_type: as of :class:`GroupRequest`.
    """

    name: str
    field: FieldSchema
    path: Path = ()
    cast: DataType | None = None
    is_exact_type: bool = False

    @property
    def is_json(self) -> bool:
        """Whether the values stand in JSON text."""
        return self.field.dtype is DataType.JSON

    @property
    def dtype(self) -> DataType:
        """Type of the values; JSON values that are not cast are told as text."""
        if not self.is_json:
            return self.field.dtype
        return self.cast or DataType.VARCHAR


@dataclass(frozen=True, slots=True)
class GroupBy:
    """How the rows of a search are grouped; see :class:`GroupRequest`."""

    keys: tuple[GroupKey, ...]
    size: int = 1
    is_strict: bool = False


def parse_groups(
    schema: CollectionSchema, anns_field: FieldSchema, request: GroupRequest
) -> GroupBy:
    """Resolve what a search is grouped by.

    Raises:
        FieldNotFound: there is no such field.
        InvalidParameter: with Milvus' text; one cannot group by it, or not so.
    """
    _check_size(request.size)
    if anns_field.dtype is DataType.BINARY_VECTOR:
        raise InvalidParameter(
            "not support search_group_by operation based on binary vector column"
        )
    keys = tuple(_key(schema, name, request) for name in dict.fromkeys(request.fields))
    if len(keys) > 1:
        for key in keys:
            if key.is_json:
                raise InvalidParameter(
                    f"group_by with json path is not supported for multi-field "
                    f"group_by, field:{key.name}"
                )
    return GroupBy(keys, request.size, request.is_strict)


def check_groupable(field: FieldSchema) -> None:
    """Raise unless rows can be grouped by a field.

    Raises:
        InvalidParameter: its type has no equal values.
    """
    if field.dtype not in _GROUPABLE:
        spoken = _ON_THE_WIRE.get(field.dtype, field.dtype.name)
        raise InvalidParameter(f"unsupported data type {spoken} for group by operator")


def _check_size(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise InvalidParameter(f"failed to parse input group size:{size}")
    if size <= 0:
        raise InvalidParameter(
            f"input group size:{size} is negative, failed to do search_groupby"
        )
    if size > limits.GROUP_SIZE:
        raise InvalidParameter(
            f"input group size:{size} exceeds configured max group size:"
            f"{limits.GROUP_SIZE}"
        )


def _key(schema: CollectionSchema, name: str, request: GroupRequest) -> GroupKey:
    field, path = _place(schema, name)
    if request.json_path:
        inner, path = _place(schema, request.json_path)
        if inner is not field and field is not schema.dynamic:
            raise InvalidParameter(
                f"fieldID not match with field name: json_path {request.json_path} is "
                f"not inside the group_by field {name}"
            )
        field = inner
    check_groupable(field)
    cast = _cast(request.json_type) if field.dtype is DataType.JSON else None
    return GroupKey(name, field, path, cast, request.is_exact_type)


def _place(schema: CollectionSchema, name: str) -> tuple[FieldSchema, Path]:
    field = schema.by_name.get(name)
    if field is not None:
        return field, ()
    field, path = json_place(schema, name)
    if field is not None:
        return field, path
    owner = schema.by_name.get(name.partition("[")[0])
    if owner is not None:
        raise InvalidParameter(
            f"unsupported data type for group by: {name} is a path, and field "
            f"{owner.name} is {owner.dtype.row.name}"
        )
    if schema.dynamic is not None:
        raise InvalidParameter(f"cannot parse identifier: {name}")
    raise FieldNotFound(name, "groupBy field not found in schema")


def _cast(text: str) -> DataType | None:
    if not text:
        return None
    cast = _CASTS.get(text.lower())
    if cast is None:
        raise InvalidParameter(f"unsupported json cast type: {text}")
    return cast


def names_of(text: str) -> Sequence[str]:
    """The names in a comma-separated list, without blanks around them."""
    return [name.strip() for name in text.split(",") if name.strip()]
