"""Requests that change what a collection is, from their messages."""

from __future__ import annotations

from elanus.errors import InvalidParameter
from elanus.server.grpc.messages import DecodeError, Message, message_class
from elanus.server.grpc.schemas import (
    field_from_message,
    function_from_message,
    struct_from_message,
    unique,
)
from elanus.service import requests_alter as r
from elanus.service.requests import Request


def alter_database(message: Message, database: str) -> Request:
    """``AlterDatabaseRequest``."""
    return r.AlterDatabase(
        message.db_name or database,
        unique(message.properties, "property"),
        tuple(message.delete_keys),
    )


def alter_collection(message: Message, database: str) -> Request:
    """``AlterCollectionRequest``."""
    return r.AlterCollection(
        message.db_name or database,
        message.collection_name,
        unique(message.properties, "property"),
        tuple(message.delete_keys),
    )


def alter_collection_field(message: Message, database: str) -> Request:
    """``AlterCollectionFieldRequest``."""
    return r.AlterCollectionField(
        message.db_name or database,
        message.collection_name,
        message.field_name,
        unique(message.properties, "property"),
        tuple(message.delete_keys),
    )


def alter_index(message: Message, database: str) -> Request:
    """``AlterIndexRequest``."""
    return r.AlterIndex(
        message.db_name or database,
        message.collection_name,
        message.index_name,
        unique(message.extra_params, "property"),
        tuple(message.delete_keys),
    )


def add_collection_field(message: Message, database: str) -> Request:
    """``AddCollectionFieldRequest``.

    Raises:
        InvalidParameter, UnsupportedOperation: the field cannot be.
    """
    try:
        field = message_class("schema.FieldSchema").FromString(message.schema)
    except DecodeError as error:
        raise InvalidParameter(f"failed to parse the field: {error}") from error
    return r.AddCollectionField(
        message.db_name or database,
        message.collection_name,
        field_from_message(field),
    )


def add_collection_struct_field(message: Message, database: str) -> Request:
    """``AddCollectionStructFieldRequest``.

    Raises:
        InvalidParameter, UnsupportedOperation: the struct cannot be.
    """
    struct, parts = struct_from_message(message.struct_array_field_schema)
    return r.AddCollectionStruct(
        message.db_name or database, message.collection_name, struct, parts
    )


def add_collection_function(message: Message, database: str) -> Request:
    """``AddCollectionFunctionRequest``."""
    return r.AddCollectionFunction(
        message.db_name or database,
        message.collection_name,
        function_from_message(message.functionSchema),
    )


def alter_collection_function(message: Message, database: str) -> Request:
    """``AlterCollectionFunctionRequest``."""
    return r.AlterCollectionFunction(
        message.db_name or database,
        message.collection_name,
        message.function_name,
        function_from_message(message.functionSchema),
    )


def drop_collection_function(message: Message, database: str) -> Request:
    """``DropCollectionFunctionRequest``."""
    return r.DropCollectionFunction(
        message.db_name or database, message.collection_name, message.function_name
    )


def alter_collection_schema(message: Message, database: str) -> Request:
    """``AlterCollectionSchemaRequest``.

    Raises:
        InvalidParameter, UnsupportedOperation: a field cannot be.
    """
    place = (message.db_name or database, message.collection_name)
    action = message.action
    if action.HasField("add_request"):
        added = action.add_request
        return r.AddToSchema(
            *place,
            tuple(field_from_message(info.field_schema) for info in added.field_infos),
            tuple(map(function_from_message, added.func_schema)),
        )
    if action.HasField("drop_request"):
        dropped = action.drop_request
        return r.DropFromSchema(
            *place, dropped.field_name, dropped.field_id, dropped.function_name
        )
    return r.AlterSchemaByNothing(*place)
