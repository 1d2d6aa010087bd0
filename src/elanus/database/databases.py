"""Databases: named spaces of collections inside one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from elanus.database.catalog import (
    DatabaseEntry,
    database_record,
    dropped_database_record,
)
from elanus.database.database import Database
from elanus.engine.definition import DEFAULT_DATABASE, DEFAULT_DATABASE_ID
from elanus.errors import InvalidParameter, TooManyDatabases
from elanus.schema import limits
from elanus.schema.names import check_database_name

Change = Callable[[Mapping[str, str]], Mapping[str, str]]


def create_database(core: Database, name: str, properties: Mapping[str, str]) -> None:
    """Create a database.

    Raises:
        DatabaseNameInvalid, TooManyDatabases.
        InvalidParameter: it exists already.
    """
    core.need_writable()
    check_database_name(name)
    with core.ddl_lock:
        if core.directory.has_database(name):
            raise InvalidParameter(f"database already exist: {name}")
        most = core.node.settings.max_databases or limits.DATABASES
        if len(core.directory.databases()) > most:
            raise TooManyDatabases(most)
        number = core.node.ids.next()
        if number == DEFAULT_DATABASE_ID:
            number = core.node.ids.next()
        entry = DatabaseEntry(number, name, core.node.clock.next(), dict(properties))
        core.node.commit(database_record(entry))
        core.directory.add_database(entry)


def alter_database(core: Database, name: str, change: Change) -> None:
    """Give a database other properties.

    Args:
        change: from the properties as they are to those that shall be.

    Raises:
        DatabaseNotFound.
        StorageError, DiskFull: nothing changed.
    """
    core.need_writable()
    with core.ddl_lock:
        old = core.directory.database(name)
        new = replace(old, properties=change(old.properties))
        if new == old:
            return
        core.node.commit(database_record(new))
        core.directory.add_database(new)


def drop_database(core: Database, name: str) -> None:
    """Drop an empty database; nothing happens if there is none.

    Raises:
        DatabaseNameInvalid.
        InvalidParameter: it is the default one, or holds collections.
    """
    core.need_writable()
    check_database_name(name)
    if name == DEFAULT_DATABASE:
        raise InvalidParameter("can not drop default database")
    with core.ddl_lock:
        if not core.directory.has_database(name):
            return
        entry = core.directory.database(name)
        if core.directory.collections(entry.id):
            raise InvalidParameter(
                f"database:{name} not empty, must drop all collections before drop "
                f"database"
            )
        core.node.commit(dropped_database_record(entry))
        core.directory.remove_database(entry)
