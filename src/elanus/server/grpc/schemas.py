"""Collection schemas as they travel, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema.functions import FunctionSchema
from elanus.schema.schema import (
    CollectionSchema,
    FieldSchema,
    StructSchema,
    part_name,
)
from elanus.schema.types import DataType
from elanus.server.grpc.messages import Message, message_class

_SIZES = ("dim", "max_length", "max_capacity")
_STRING = 20
_OF_ELEMENTS = (DataType.ARRAY, DataType.ARRAY_OF_VECTOR)
# The name that messages give to the slot of a default value.
_SLOT_NAME = {
    "bool_data": "DataType_Bool",
    "int_data": "DataType_Int",
    "long_data": "DataType_Int64",
    "float_data": "DataType_Float",
    "double_data": "DataType_Double",
    "string_data": "DataType_VarChar",
    "timestamptz_data": "DataType_Timestamptz",
    "bytes_data": "DataType_SJON",  # as Milvus spells it
}


@dataclass(frozen=True, slots=True)
class DeclaredSchema:
    """A schema as a client declared it."""

    schema: CollectionSchema
    name: str
    is_dynamic: bool


def schema_from_message(message: Message) -> DeclaredSchema:
    """A declared schema, unchecked but for what our schemas cannot say.

    Raises:
        InvalidParameter: a type, a parameter or a default value is impossible.
        UnsupportedOperation: it uses a feature that Elanus does not have.
    """
    features = {
        "namespaces": message.enable_namespace,
        "external collections": message.external_source,
    }
    for feature, is_used in features.items():
        if is_used:
            raise UnsupportedOperation(f"{feature} in collection {message.name}")
    fields = tuple(field_from_message(field) for field in message.fields)
    structs = [struct_from_message(struct) for struct in message.struct_array_fields]
    return DeclaredSchema(
        CollectionSchema(
            (*fields, *(part for _, parts in structs for part in parts)),
            description=message.description,
            structs=tuple(struct for struct, _ in structs),
            functions=tuple(map(function_from_message, message.functions)),
        ),
        message.name,
        message.enable_dynamic_field,
    )


def message_from_schema(schema: CollectionSchema, name: str) -> Message:
    """A stored schema; ``$meta`` shows only as the flag ``enable_dynamic_field``."""
    return message_class("schema.CollectionSchema")(
        name=name,
        description=schema.description,
        fields=[_message_from_field(field) for field in schema.plain],
        struct_array_fields=[
            _message_from_struct(struct, schema.parts[struct.name])
            for struct in schema.structs
        ],
        functions=[_message_from_function(f, schema) for f in schema.functions],
        enable_dynamic_field=schema.dynamic is not None,
        version=schema.version,
    )


def function_from_message(message: Message) -> FunctionSchema:
    """A declared function, unchecked."""
    return FunctionSchema(
        name=message.name,
        kind=message.type,
        inputs=tuple(message.input_field_names),
        outputs=tuple(message.output_field_names),
        params={pair.key: pair.value for pair in message.params},
        description=message.description,
    )


def _message_from_function(
    function: FunctionSchema, schema: CollectionSchema
) -> Message:
    ids = {f.name: f.id for f in schema.fields}
    return message_class("schema.FunctionSchema")(
        name=function.name,
        id=function.id,
        description=function.description,
        type=function.kind,
        input_field_names=function.inputs,
        input_field_ids=[ids[name] for name in function.inputs],
        output_field_names=function.outputs,
        output_field_ids=[ids[name] for name in function.outputs],
        params=pairs(function.params),
    )


def pairs(values: Mapping[str, str]) -> list[Message]:
    """Texts by name as ``KeyValuePair`` messages."""
    pair = message_class("common.KeyValuePair")
    return [pair(key=key, value=value) for key, value in values.items()]


def unique(messages: Iterable[Message], what: str) -> dict[str, str]:
    """``KeyValuePair`` messages as a mapping.

    Raises:
        InvalidParameter: a key is there twice.
    """
    out: dict[str, str] = {}
    for pair in messages:
        if pair.key in out:
            raise InvalidParameter(f'duplicated {what} key "{pair.key}"')
        out[pair.key] = pair.value
    return out


def field_from_message(message: Message) -> FieldSchema:
    """A declared field, unchecked.

    Raises:
        InvalidParameter: a type, a parameter or a default value is impossible.
        UnsupportedOperation: it uses a feature that Elanus does not have.
    """
    dtype = _data_type(message.data_type, message.name)
    element = message.element_type if dtype in _OF_ELEMENTS else 0
    parameters = unique(message.type_params, "type param")
    return FieldSchema(
        name=message.name,
        dtype=dtype,
        is_primary=message.is_primary_key,
        auto_id=message.autoID,
        nullable=message.nullable,
        default=_default(message, dtype),
        element_type=_element_type(element),
        is_dynamic=message.is_dynamic,
        is_partition_key=message.is_partition_key,
        is_clustering_key=message.is_clustering_key,
        description=message.description,
        dim=_size(parameters.pop("dim", None)),
        max_length=_size(parameters.pop("max_length", None)),
        max_capacity=_size(parameters.pop("max_capacity", None)),
        properties=parameters,
    )


def struct_from_message(
    message: Message,
) -> tuple[StructSchema, tuple[FieldSchema, ...]]:
    """A declared struct array and its fields, unchecked.

    Raises: as :func:`field_from_message`.
    """
    parameters = unique(message.type_params, "type param")
    struct = StructSchema(
        name=message.name,
        nullable=message.nullable,
        max_capacity=_size(parameters.pop("max_capacity", None)),
        description=message.description,
        properties=parameters,
    )
    parts = []
    for part in message.fields:
        field = field_from_message(part)
        name = part_name(message.name, field.name)
        parts.append(replace(field, name=name, struct=message.name))
    return struct, tuple(parts)


def _size(text: str | None) -> int | None:
    """A number where the text is one; else the text, for the check to complain of."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        return cast(int, text)


def _data_type(number: int, field: str) -> DataType:
    try:
        return DataType(number)
    except ValueError:
        pass
    if number == _STRING:
        raise InvalidParameter(
            "string data type not supported yet, please use VarChar type instead"
        )
    if number == 0:
        raise InvalidParameter("data type None is not valid")
    known = message_class("schema.FieldData").DESCRIPTOR.fields_by_name["type"]
    value = known.enum_type.values_by_number.get(number)
    if value is not None:
        raise UnsupportedOperation(f"data type {value.name} of field {field}")
    raise InvalidParameter(
        expected="Invalid field", actual=f"field data type: {number} is not supported"
    )


def _element_type(number: int) -> DataType | None:
    if not number:
        return None
    try:
        return DataType(number)
    except ValueError:
        known = message_class("schema.FieldData").DESCRIPTOR.fields_by_name["type"]
        value = known.enum_type.values_by_number.get(number)
        name = number if value is None else value.name
        raise InvalidParameter(f"element type {name} is not supported") from None


def _default(message: Message, dtype: DataType) -> Any:
    if not message.HasField("default_value"):
        return None
    slot = message.default_value.WhichOneof("data")
    if slot is None:
        return None
    expected = dtype.row.default_slot or slot
    if slot != expected:
        raise InvalidParameter(
            f"type ({dtype.row.name}) of field ({message.name}) is not equal to the "
            f"type({_SLOT_NAME.get(slot, slot)}) of default_value"
        )
    return getattr(message.default_value, slot)


def _message_from_field(field: FieldSchema) -> Message:
    parameters = {
        key: str(value)
        for key in _SIZES
        if (value := getattr(field, key)) is not None and value != 0
    }
    message = message_class("schema.FieldSchema")(
        fieldID=field.id,
        name=field.part,
        is_primary_key=field.is_primary,
        description=field.description,
        data_type=int(field.dtype),
        type_params=pairs({**parameters, **field.properties}),
        autoID=field.auto_id,
        element_type=int(field.element_type or 0),
        is_partition_key=field.is_partition_key,
        is_clustering_key=field.is_clustering_key,
        nullable=field.nullable,
        is_function_output=field.is_function_output,
    )
    if field.default is not None:
        slot = field.dtype.row.default_slot
        setattr(message.default_value, slot, field.default)
    return message


def _message_from_struct(
    struct: StructSchema, parts: tuple[FieldSchema, ...]
) -> Message:
    """A stored struct array; like Milvus, without its own parameters."""
    return message_class("schema.StructArrayFieldSchema")(
        fieldID=struct.id,
        name=struct.name,
        description=struct.description,
        fields=[_message_from_field(field) for field in parts],
        nullable=struct.nullable,
    )
