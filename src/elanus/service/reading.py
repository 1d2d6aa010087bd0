"""What searches and queries have in common: which rows they are about."""

from __future__ import annotations

from dataclasses import replace

from elanus.database.loading import loaded_partitions
from elanus.engine.collection import Collection
from elanus.engine.definition import CollectionDefinition
from elanus.engine.version import Version
from elanus.errors import (
    CollectionNotLoaded,
    InvalidParameter,
    PartitionNotLoaded,
)
from elanus.schema.schema import FieldSchema
from elanus.service.core import Core

STRONG_TS, EVENTUALLY_TS, BOUNDED_TS = range(3)
_SPECIAL = (STRONG_TS, EVENTUALLY_TS, BOUNDED_TS)


def partitions_to_read(
    definition: CollectionDefinition, names: tuple[str, ...], operation: str
) -> tuple[str, ...]:
    """Names of the partitions that a read looks at; empty for all.

    Raises:
        InvalidParameter: there is no such partition.
        CollectionNotLoaded, PartitionNotLoaded: load it first.
    """
    definition.refuse_partition_names(names)
    for name in names:
        if name not in definition.partitions:
            raise InvalidParameter(f"partition name {name} not found")
    loaded = definition.loaded
    if loaded is None:
        raise CollectionNotLoaded(definition.id).within(f"failed to {operation}")
    if loaded.is_everything:
        return names
    ids = loaded_partitions(definition)
    for name in names:
        if definition.partitions[name] not in ids:
            error = PartitionNotLoaded(definition.partitions[name])
            raise error.within(f"failed to {operation}")
    return names or tuple(n for n, i in definition.partitions.items() if i in ids)


def check_field_loaded(definition: CollectionDefinition, field: FieldSchema) -> None:
    """Raise if a field of vectors came after its collection was loaded.

    Raises:
        InvalidParameter: load the collection again.
    """
    if definition.loaded is not None and not definition.loaded.has(field):
        raise InvalidParameter(
            f"field index of the field: {field.name} is not loaded, please reload the "
            f"collection"
        )


def check_iterated(collection: Collection, collection_id: int) -> None:
    """Raise unless an iterator still walks the collection that it began on.

    Raises:
        InvalidParameter: begin again.
    """
    if collection_id and collection_id != collection.id:
        raise InvalidParameter(
            f"collection id:{collection_id} in the request is not consistent to that "
            f"in the search context,alias or database may have been changed: "
            f"{collection.id}"
        )


def version_at(collection: Collection, guarantee_ts: int) -> Version:
    """The rows that an iterator sees: those of the moment it began.

    Args:
        guarantee_ts: a hybrid timestamp, or one of Milvus' special values for now.
    """
    version = collection.pin()
    return version if guarantee_ts in _SPECIAL else version.as_of(guarantee_ts)


def without_growing(version: Version) -> Version:
    """The same rows, those in memory only left out."""
    sealed = tuple(view for view in version.views if view.segment.is_sealed)
    return replace(version, views=sealed, cache={})


def without_rows(version: Version) -> Version:
    """The same moment, with no row to be found."""
    return replace(version, views=(), cache={})


def session_ts(core: Core, version: Version) -> int:
    """The timestamp that a client can ask to read at again."""
    return version.ts or core.now()
