"""Aliases: second names of collections, that can be pointed elsewhere at once."""

from __future__ import annotations

from elanus.database.catalog import AliasEntry, alias_record, dropped_alias_record
from elanus.database.database import Database
from elanus.engine.collection import Collection
from elanus.errors import (
    AliasConflict,
    AliasExists,
    AliasNotFound,
    CollectionNotFound,
)
from elanus.schema.names import check_alias


def create_alias(core: Database, database: str, alias: str, name: str) -> None:
    """Give a collection, by its own name, an alias; once more does no harm.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound.
        AliasConflict: a collection has this name.
        AliasExists: it stands for another collection.
    """
    core.need_writable()
    check_alias(alias)
    with core.ddl_lock:
        database_id = core.directory.database(database).id
        if core.directory.find(database_id, alias) is not None:
            raise AliasConflict(alias, database)
        target = core.directory.find(database_id, name)
        if target is None:
            raise CollectionNotFound(name, database)
        known = core.directory.alias(database_id, alias)
        if known is None:
            _point(core, alias, target)
        elif known.collection_id != target.id:
            other = core.directory.by_id(known.collection_id)
            assert other is not None
            raise AliasExists(alias, database, other.definition.name)


def alter_alias(core: Database, database: str, alias: str, name: str) -> None:
    """Point an alias at another collection, by its own name.

    Raises:
        InvalidParameter, DatabaseNotFound, AliasNotFound.
        AliasConflict: a collection has this name.
        CollectionNotFound: there is nothing to point at.
    """
    core.need_writable()
    check_alias(alias)
    with core.ddl_lock:
        database_id = core.directory.database(database).id
        if core.directory.find(database_id, alias) is not None:
            raise AliasConflict(alias, database)
        if core.directory.alias(database_id, alias) is None:
            raise AliasNotFound(alias, database)
        target = core.directory.find(database_id, name)
        if target is None:
            raise CollectionNotFound(name, "")
        _point(core, alias, target)


def drop_alias(core: Database, database: str, alias: str) -> None:
    """Remove an alias; nothing happens if there is none.

    Raises:
        InvalidParameter, DatabaseNotFound.
    """
    core.need_writable()
    check_alias(alias)
    with core.ddl_lock:
        known = core.directory.alias(core.directory.database(database).id, alias)
        if known is not None:
            core.node.commit(dropped_alias_record(known))
            core.directory.remove_alias(known)


def collection_of_alias(core: Database, database: str, alias: str) -> Collection:
    """What an alias stands for.

    Raises:
        InvalidParameter, DatabaseNotFound, AliasNotFound.
    """
    check_alias(alias)
    known = core.directory.alias(core.directory.database(database).id, alias)
    found = None if known is None else core.directory.by_id(known.collection_id)
    if found is None:
        raise AliasNotFound(alias, database)
    return found


def _point(core: Database, alias: str, target: Collection) -> None:
    definition = target.definition
    entry = AliasEntry(definition.database_id, alias, definition.id)
    core.node.commit(alias_record(entry))
    core.directory.add_alias(entry)
