"""Which struct arrays a schema may have, with Milvus' texts for those it may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from elanus.errors import InvalidParameter
from elanus.schema.names import check_field_name
from elanus.schema.schema import (
    CollectionSchema,
    FieldSchema,
    StructSchema,
    part_name,
)
from elanus.schema.types import DataType

CheckField = Callable[[FieldSchema], FieldSchema]


def check_structs(
    schema: CollectionSchema, check_field: CheckField
) -> tuple[tuple[StructSchema, ...], tuple[FieldSchema, ...]]:
    """The structs of a schema and all their fields, as they will be stored.

    Args:
        check_field: the rules that every field follows.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: the first rule broken.
    """
    structs: list[StructSchema] = []
    parts: list[FieldSchema] = []
    for struct in schema.structs:
        name = check_field_name(struct.name)
        declared = schema.parts[struct.name]
        if not declared:
            raise InvalidParameter(f"struct array field {name} has no sub-fields")
        own = [_checked(_within(f, name), struct, check_field) for f in declared]
        _check_alike(name, own, struct)
        structs.append(replace(struct, name=name, max_capacity=own[0].max_capacity))
        parts += own
    return tuple(structs), tuple(parts)


def _within(field: FieldSchema, struct: str) -> FieldSchema:
    return replace(field, struct=struct, name=part_name(struct, field.part))


def _checked(
    field: FieldSchema, struct: StructSchema, check_field: CheckField
) -> FieldSchema:
    _check_kind(field)
    _check_flags(field)
    if field.nullable and not struct.nullable:
        raise InvalidParameter(
            f"sub-field in non-nullable struct cannot be nullable individually, set "
            f"nullable on the struct instead: structName={field.struct}, "
            f"subFieldName={field.part}"
        )
    checked = check_field(replace(field, name=field.part))
    return replace(
        checked,
        name=part_name(field.struct, checked.name),
        nullable=struct.nullable,
    )


def _check_kind(field: FieldSchema) -> None:
    element = field.element_type
    if field.dtype not in (DataType.ARRAY, DataType.ARRAY_OF_VECTOR):
        raise InvalidParameter(
            f"fields in StructArrayField must be Array or ArrayOfVector, field name = "
            f"{field.part}, field type = {field.dtype.row.name}"
        )
    if field.dtype is DataType.ARRAY:
        if element in (DataType.ARRAY, DataType.ARRAY_OF_VECTOR):
            raise InvalidParameter(f"nested array is not supported {field.part}")
        return
    row = None if element is None else element.row
    if row is None or row.vector is None or row.vector.is_sparse:
        name = "None" if row is None else row.name
        raise InvalidParameter(
            f"Unsupported element type {name} of ArrayOfVector field {field.part}, "
            f"only fixed dimension vector types are supported"
        )


def _check_flags(field: FieldSchema) -> None:
    flags = {
        "primary key": field.is_primary,
        "autoID": field.auto_id,
        "partition key": field.is_partition_key,
        "clustering key": field.is_clustering_key,
        "dynamic field": field.is_dynamic,
    }
    for flag, is_set in flags.items():
        if is_set:
            raise InvalidParameter(
                f"{flag} is not supported for struct field, field name = {field.part}"
            )
    if field.default is not None:
        raise InvalidParameter(
            f"fields in struct array field not support default_value, "
            f"type:{field.dtype.row.name}, name:{field.part}"
        )


def _check_alike(name: str, parts: list[FieldSchema], struct: StructSchema) -> None:
    """Raise unless the fields have different names, and room for as many elements."""
    expected = struct.max_capacity or parts[0].max_capacity
    seen: set[str] = set()
    for f in parts:
        if f.name in seen:
            raise InvalidParameter(f"duplicated field name {f.part} found")
        seen.add(f.name)
        if f.max_capacity != expected:
            raise InvalidParameter(
                f"all sub-fields in struct array field must have the same "
                f"max_capacity: structName={name}, subFieldName={f.part}, "
                f"max_capacity={f.max_capacity}, expected={expected}"
            )
