"""What of a collection is loaded: kept durable, so that a restart changes nothing.

Rows are readable whether loaded or not; what is loaded is what the protocol lets its
clients read. Embedded collections are always readable.
"""

from __future__ import annotations

from dataclasses import replace

from elanus.database.database import Database
from elanus.engine.collection import Collection
from elanus.engine.definition import CollectionDefinition, LoadDefinition


def loaded_partitions(definition: CollectionDefinition) -> frozenset[int]:
    """Ids of the partitions that are loaded."""
    present = frozenset(definition.partitions.values())
    loaded = definition.loaded
    if loaded is None:
        return frozenset()
    if loaded.partitions is None:
        return present - loaded.released
    return present & loaded.partitions


def load_collection(
    core: Database, collection: Collection, fields: tuple[str, ...]
) -> None:
    """Load a whole collection.

    Args:
        fields: names of the fields to load; empty for all.
    """
    with core.ddl_lock:
        version = core.collection(collection).definition.schema.version
        loaded = LoadDefinition(None, fields, version=version)
        _set_loaded(core, collection, loaded)


def load_partitions(
    core: Database,
    collection: Collection,
    partitions: frozenset[int],
    fields: tuple[str, ...],
) -> None:
    """Load partitions beside those that are loaded already."""
    with core.ddl_lock:
        definition = core.collection(collection).definition
        loaded = definition.loaded
        if loaded is None:
            chosen = LoadDefinition(partitions, fields)
        elif loaded.partitions is None:
            chosen = LoadDefinition(None, fields, loaded.released - partitions)
        else:
            chosen = LoadDefinition(loaded.partitions | partitions, fields)
        chosen = replace(chosen, version=definition.schema.version)
        _set_loaded(core, collection, chosen)


def release_collection(core: Database, collection: Collection) -> None:
    """Release a collection; nothing happens if it is not loaded."""
    _set_loaded(core, collection, None)


def release_partitions(
    core: Database, collection: Collection, partitions: frozenset[int]
) -> None:
    """Release partitions; without any left, the collection."""
    with core.ddl_lock:
        definition = core.collection(collection).definition
        loaded, present = definition.loaded, loaded_partitions(definition)
        if loaded is None or not present & partitions:
            return
        rest = present - partitions
        if not rest:
            kept = None
        elif loaded.partitions is None:
            # dropped ones are left out: the list does not grow for ever
            gone = frozenset(definition.partitions.values()) - rest
            kept = replace(loaded, released=gone)
        else:
            kept = replace(loaded, partitions=rest)
        _set_loaded(core, collection, kept)


def _set_loaded(
    core: Database, collection: Collection, loaded: LoadDefinition | None
) -> None:
    core.need_writable()
    with core.ddl_lock:
        definition = core.collection(collection).definition
        if definition.loaded != loaded:
            core.redefine(collection, replace(definition, loaded=loaded))
