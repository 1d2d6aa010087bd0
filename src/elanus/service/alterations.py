"""Operations that change what a collection is: properties, fields, their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from elanus.database.alteration import (
    add_field,
    add_struct,
    alter,
    drop_field,
    drop_struct,
    with_dynamic,
    without_field,
)
from elanus.engine.collection import Collection
from elanus.engine.definition import CollectionDefinition
from elanus.errors import (
    CollectionNotFound,
    CollectionUnknown,
    InvalidParameter,
    MissingParameter,
)
from elanus.schema.names import RESERVED_NAMES
from elanus.schema.schema import CollectionSchema, FieldSchema, StructSchema
from elanus.service import requests_alter as r
from elanus.service.altered_field import (
    altered_field,
    altered_struct,
    cleared_field,
)
from elanus.service.altered_properties import (
    CONSISTENCY,
    DESCRIPTION,
    DYNAMIC,
    check_altered,
    check_deleted,
    consistency_level,
    is_true,
)
from elanus.service.core import Core
from elanus.service.functions import refuse_added
from elanus.service.replies import Done
from elanus.service.requests import CollectionRequest
from elanus.service.warmup import check_field_warmup

DONE = Done()


def alter_collection(core: Core, request: r.AlterCollection) -> Done:
    """Set properties of a collection, or delete some.

    Raises:
        InvalidParameter, IllegalSchema: a property cannot have this value.
        CollectionLoaded, IndexAmbiguous: release it, or drop the index, first.
        CollectionNotFound, UnsupportedOperation.
    """
    given, gone = dict(request.properties), request.delete_keys
    if not given and not gone:
        raise InvalidParameter("no properties or delete keys provided")
    if given and gone:
        raise InvalidParameter("cannot provide both DeleteKeys and ExtraParams")
    collection = core.collection(request)
    if gone:
        check_deleted(collection.definition, gone)
        alter(core.database, collection, lambda old: _without(old, gone))
    else:
        check_altered(collection.definition, given)
        alter(core.database, collection, lambda old: _with(old, given))
    return DONE


def _without(old: CollectionDefinition, keys: tuple[str, ...]) -> CollectionDefinition:
    kept = {k: v for k, v in old.properties.items() if k not in keys}
    return replace(old, properties=kept)


def _with(old: CollectionDefinition, given: Mapping[str, str]) -> CollectionDefinition:
    if DYNAMIC in given:
        if not is_true(given[DYNAMIC]) and old.schema.dynamic is not None:
            return without_field(old, old.schema.dynamic.id)
        schema = with_dynamic(old.schema, enabled=is_true(given[DYNAMIC]))
        return replace(old, schema=schema)
    rest = dict(given)
    description = rest.pop(DESCRIPTION, old.schema.description)
    level = rest.pop(CONSISTENCY, None)
    properties = {**old.properties, **rest}
    return replace(
        old,
        schema=old.schema
        if description == old.schema.description
        else replace(old.schema, description=description),
        consistency_level=old.consistency_level
        if level is None
        else consistency_level(level),
        properties=properties,
    )


def alter_collection_field(core: Core, request: r.AlterCollectionField) -> Done:
    """Set parameters of a field, or delete some.

    Raises:
        InvalidParameter: a parameter cannot be changed, or not to this value.
        CollectionLoaded: release it first.
        CollectionNotFound.
    """
    given, gone = dict(request.properties), request.delete_keys
    if not given and not gone:
        raise InvalidParameter("no properties or delete keys provided")
    collection = core.collection(request)
    definition = collection.definition
    struct = definition.schema.struct_by_name.get(request.field)
    if struct is not None:
        _alter_struct(core, collection, altered_struct(definition, struct, given, gone))
        return DONE
    field = definition.schema.by_name.get(request.field)
    if field is None:
        raise InvalidParameter(f"field {request.field} does not exist in collection")
    if gone:
        changed = cleared_field(definition, field, gone)
    else:
        changed = altered_field(definition, field, given)

    def change(old: CollectionDefinition) -> CollectionDefinition:
        return replace(old, schema=old.schema.with_changed(changed))

    if changed != field:
        alter(core.database, collection, change)
    return DONE


def _alter_struct(core: Core, collection: Collection, changed: StructSchema) -> None:
    def change(old: CollectionDefinition) -> CollectionDefinition:
        return replace(old, schema=old.schema.with_changed_struct(changed))

    alter(core.database, collection, change)


def add_collection_field(core: Core, request: r.AddCollectionField) -> Done:
    """Add a field; rows that are there have its default, or null.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
        CollectionUnknown, UnsupportedOperation.
    """
    collection = _described(core, request)
    check_field_warmup(request.field)
    add_field(core.database, collection, request.field)
    return DONE


def add_collection_struct(core: Core, request: r.AddCollectionStruct) -> Done:
    """Add a struct array; rows that are there are without it.

    Raises: as :func:`add_collection_field`.
    """
    collection = _described(core, request)
    for field in request.parts:
        check_field_warmup(field)
    add_struct(core.database, collection, request.struct, request.parts)
    return DONE


def add_to_schema(core: Core, request: r.AddToSchema) -> Done:
    """Add a field; functions cannot be added.

    Raises: as :func:`add_collection_field`.
    """
    collection = _described(core, request)
    refuse_added(request)
    if not request.fields:
        raise InvalidParameter("fieldInfos and function schema are both empty")
    check_field_warmup(request.fields[0])
    add_field(core.database, collection, request.fields[0])
    return DONE


def drop_from_schema(core: Core, request: r.DropFromSchema) -> Done:
    """Drop a field with its values and indexes.

    Raises:
        MissingParameter: nothing is named.
        InvalidParameter: there is no such field, or it cannot be dropped.
        CollectionUnknown.
    """
    collection = _described(core, request)
    if request.function:
        raise InvalidParameter(f"function not found: {request.function}")
    struct = _struct_to_drop(collection.schema, request)
    if struct is not None:
        drop_struct(core.database, collection, struct.name)
        return DONE
    field = _field_to_drop(collection.schema, request)
    drop_field(core.database, collection, field.id)
    return DONE


def alter_schema_by_nothing(core: Core, request: r.AlterSchemaByNothing) -> Done:
    """Raise: a change of the schema must say what it changes.

    Raises:
        InvalidParameter, CollectionUnknown.
    """
    _described(core, request)
    raise InvalidParameter("action is nil in alter schema task")


def _described(core: Core, request: CollectionRequest) -> Collection:
    try:
        return core.collection(request)
    except CollectionNotFound as error:
        raise CollectionUnknown(request.collection, request.database) from error


def _struct_to_drop(
    schema: CollectionSchema, request: r.DropFromSchema
) -> StructSchema | None:
    if request.field:
        return schema.struct_by_name.get(request.field)
    numbered = {struct.id: struct for struct in schema.structs}
    return numbered.get(request.field_id)


def _field_to_drop(schema: CollectionSchema, request: r.DropFromSchema) -> FieldSchema:
    if not request.field and not request.field_id:
        raise MissingParameter(
            "drop request must specify field_name, field_id, or function_name"
        )
    if request.field in RESERVED_NAMES:
        raise InvalidParameter(f"cannot drop system field: {request.field}")
    if request.field:
        field = schema.by_name.get(request.field)
        if field is None:
            raise InvalidParameter(f"field not found: {request.field}")
        return field
    field = schema.by_id.get(request.field_id)
    if field is None:
        raise InvalidParameter(f"field not found with id: {request.field_id}")
    return field
