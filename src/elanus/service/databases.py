"""Operations on databases."""

from __future__ import annotations

from elanus.database import databases
from elanus.database.catalog import DatabaseEntry
from elanus.service import requests as r
from elanus.service.core import Core
from elanus.service.properties import check_timezone
from elanus.service.replies import DatabaseInfo, DatabaseList, Done

DONE = Done()


def create_database(core: Core, request: r.CreateDatabase) -> Done:
    """Create a database.

    Raises:
        InvalidParameter, DatabaseNameInvalid, TooManyDatabases.
    """
    check_timezone(request.properties)
    databases.create_database(core.database, request.database, request.properties)
    return DONE


def drop_database(core: Core, request: r.DropDatabase) -> Done:
    """Drop an empty database; nothing happens if there is none.

    Raises:
        InvalidParameter, DatabaseNameInvalid.
    """
    databases.drop_database(core.database, request.database)
    return DONE


def list_databases(core: Core, request: r.ListDatabases) -> DatabaseList:
    """All databases, the default one first."""
    return DatabaseList(tuple(map(_info, core.database.directory.databases())))


def describe_database(core: Core, request: r.DescribeDatabase) -> DatabaseInfo:
    """One database.

    Raises:
        DatabaseNotFound.
    """
    return _info(core.database.directory.database(request.database))


def _info(entry: DatabaseEntry) -> DatabaseInfo:
    return DatabaseInfo(entry.name, entry.id, entry.created_ts, entry.properties)
