"""Operations on databases."""

from __future__ import annotations

from collections.abc import Mapping

from elanus.database import databases
from elanus.database.catalog import DatabaseEntry
from elanus.errors import InvalidParameter
from elanus.service import requests as r
from elanus.service import requests_alter as ra
from elanus.service.core import Core
from elanus.service.properties import check_timezone
from elanus.service.replies import DatabaseInfo, DatabaseList, Done

DONE = Done()
_CIPHER = "cipher."


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


def alter_database(core: Core, request: ra.AlterDatabase) -> Done:
    """Set properties of a database, or delete some; collections keep their time zone.

    Raises:
        InvalidParameter: a property cannot have this value, or cannot be changed.
        DatabaseNotFound.
    """
    given, gone = dict(request.properties), request.delete_keys
    core.database.directory.database(request.database)
    if not given and not gone:
        raise InvalidParameter(
            "alter database with empty properties and delete keys, expected to set "
            "either properties or delete keys"
        )
    if given and gone:
        raise InvalidParameter(
            "alter database cannot modify properties and delete keys at the same time"
        )
    if any(key.startswith(_CIPHER) for key in (*given, *gone)):
        raise InvalidParameter("can not alter cipher related properties")
    check_timezone(given)

    def change(old: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in old.items() if key not in gone}
        return {**kept, **given}

    databases.alter_database(core.database, request.database, change)
    return DONE


def _info(entry: DatabaseEntry) -> DatabaseInfo:
    return DatabaseInfo(entry.name, entry.id, entry.created_ts, entry.properties)
