"""Changing what a collection is while it is used: its fields and properties.

One metadata transaction each. Rows are not touched: those written before a field was
added read as its default or null, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from elanus.database.database import Database, Named
from elanus.engine.definition import (
    TTL_FIELD,
    CollectionDefinition,
    LoadDefinition,
)
from elanus.errors import InvalidParameter
from elanus.schema.check import (
    check_added_field,
    check_added_struct,
    check_dropped_field,
    check_dropped_struct,
)
from elanus.schema.schema import (
    DYNAMIC_FIELD,
    CollectionSchema,
    FieldSchema,
    StructSchema,
)
from elanus.schema.types import DataType
from elanus.text.fields import check_text_fields

Change = Callable[[CollectionDefinition], CollectionDefinition]


def alter(core: Database, name: Named, change: Change) -> None:
    """Make another definition of a collection durable, and let it show.

    Args:
        change: from the definition as it is to that which shall be; may raise.

    Raises:
        CollectionNotFound: there is none.
        StorageError, DiskFull: nothing changed.
    """
    core.need_writable()
    with core.ddl_lock:
        collection = core.collection(name)
        old = collection.definition
        new = change(old)
        if new == old:
            return
        new = replace(new, updated_ts=core.node.clock.next())
        gone = [i for i in old.all_indexes if i.field_id not in new.schema.by_id]
        for index in gone:
            new = new.without_index(index)
        shard = collection.shard
        with shard.order_lock:
            shard.settle()
            core.redefine(collection, new)
        for index in gone:
            core.forget_index(collection, index)
    core.background.wake()


def add_field(core: Database, name: Named, field: FieldSchema) -> None:
    """Add a field, which must be nullable.

    Raises:
        InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
        CollectionNotFound, StorageError, DiskFull: nothing changed.
    """

    def change(old: CollectionDefinition) -> CollectionDefinition:
        added = check_added_field(field, old.schema, old.name, old.zone)
        check_text_fields((added,), old.schema, old.name)
        return replace(old, schema=old.schema.with_field(added))

    alter(core, name, change)


def _check_unused(field: FieldSchema, definition: CollectionDefinition) -> None:
    if definition.properties.get(TTL_FIELD) == field.name:
        raise InvalidParameter(
            f"cannot drop field {field.name} because it is referenced by collection "
            f"property {TTL_FIELD}, drop the property first"
        )


def drop_field(core: Database, name: Named, field_id: int) -> None:
    """Drop a field with its values and indexes; nothing happens if there is none.

    Raises:
        InvalidParameter: the collection cannot be without it.
        CollectionNotFound, StorageError, DiskFull: nothing changed.
    """

    def change(old: CollectionDefinition) -> CollectionDefinition:
        field = old.schema.by_id.get(field_id)
        if field is not None:
            check_dropped_field(field, old.schema)
            _check_unused(field, old)
        return without_field(old, field_id)

    alter(core, name, change)


def add_struct(
    core: Database, name: Named, struct: StructSchema, parts: tuple[FieldSchema, ...]
) -> None:
    """Add a struct array, which must be nullable.

    Raises: as :func:`add_field`.
    """

    def change(old: CollectionDefinition) -> CollectionDefinition:
        added = check_added_struct(struct, parts, old.schema, old.name)
        return replace(old, schema=old.schema.with_struct(*added))

    alter(core, name, change)


def drop_struct(core: Database, name: Named, struct_name: str) -> None:
    """Drop a struct array with all its fields; nothing happens if there is none.

    Raises: as :func:`drop_field`.
    """

    def change(old: CollectionDefinition) -> CollectionDefinition:
        struct = old.schema.struct_by_name.get(struct_name)
        if struct is None:
            return old
        check_dropped_struct(struct, old.schema)
        kept = _without_names(old.loaded, {struct_name})
        return replace(old, schema=old.schema.without_struct(struct), loaded=kept)

    alter(core, name, change)


def without_field(old: CollectionDefinition, field_id: int) -> CollectionDefinition:
    """The same collection without a field."""
    field = old.schema.by_id.get(field_id)
    if field is None:
        return old
    loaded = _without_names(old.loaded, {field.name})
    return replace(old, schema=old.schema.without_field(field), loaded=loaded)


def _without_names(
    loaded: LoadDefinition | None, names: set[str]
) -> LoadDefinition | None:
    """What is loaded, fields of these names left out."""
    if loaded is None or names.isdisjoint(loaded.fields):
        return loaded
    rest = tuple(n for n in loaded.fields if n not in names)
    return replace(loaded, fields=rest)


def with_dynamic(schema: CollectionSchema, *, enabled: bool) -> CollectionSchema:
    """The schema with or without the dynamic field."""
    dynamic = schema.dynamic
    if enabled and dynamic is None:
        return schema.with_field(
            FieldSchema(DYNAMIC_FIELD, DataType.JSON, nullable=True, is_dynamic=True)
        )
    if not enabled and dynamic is not None:
        return schema.without_field(dynamic)
    return schema
