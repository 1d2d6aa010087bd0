"""Requests that change what a collection is; frozen dataclasses as all requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elanus.schema.functions import FunctionSchema
from elanus.schema.schema import FieldSchema, StructSchema
from elanus.service.requests import CollectionRequest, DatabaseRequest


@dataclass(frozen=True, slots=True)
class AlterDatabase(DatabaseRequest):
    """Set properties, or delete some."""

    properties: Mapping[str, str]
    delete_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterCollection(CollectionRequest):
    """Set properties, or delete some."""

    properties: Mapping[str, str]
    delete_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterCollectionField(CollectionRequest):
    """Set parameters of a field, or delete some."""

    field: str
    properties: Mapping[str, str]
    delete_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterIndex(CollectionRequest):
    """Set properties of an index, or delete some."""

    index: str
    properties: Mapping[str, str]
    delete_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddCollectionField(CollectionRequest):
    """Add a field, as declared."""

    field: FieldSchema


@dataclass(frozen=True, slots=True)
class AddCollectionStruct(CollectionRequest):
    """Add a struct array and its fields, as declared."""

    struct: StructSchema
    parts: tuple[FieldSchema, ...]


@dataclass(frozen=True, slots=True)
class AddToSchema(CollectionRequest):
    """Add fields and functions."""

    fields: tuple[FieldSchema, ...]
    functions: tuple[FunctionSchema, ...] = ()


@dataclass(frozen=True, slots=True)
class AddCollectionFunction(CollectionRequest):
    """Add a function whose output field is there."""

    function: FunctionSchema


@dataclass(frozen=True, slots=True)
class AlterCollectionFunction(CollectionRequest):
    """Give the function of this name another definition."""

    name: str
    function: FunctionSchema


@dataclass(frozen=True, slots=True)
class DropCollectionFunction(CollectionRequest):
    """Drop a function, but not its output field."""

    name: str


@dataclass(frozen=True, slots=True)
class DropFromSchema(CollectionRequest):
    """Drop a field, by name or number, or a function."""

    field: str = ""
    field_id: int = 0
    function: str = ""


@dataclass(frozen=True, slots=True)
class AlterSchemaByNothing(CollectionRequest):
    """A change of the schema that says nothing."""
