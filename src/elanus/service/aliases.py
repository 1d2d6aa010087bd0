"""Operations on aliases."""

from __future__ import annotations

from elanus.database import aliases
from elanus.database.aliases import collection_of_alias
from elanus.errors import CollectionNotFound
from elanus.schema.names import check_alias, check_collection_name
from elanus.service import requests as r
from elanus.service.core import Core
from elanus.service.replies import AliasInfo, AliasList, Done

DONE = Done()


def create_alias(core: Core, request: r.CreateAlias) -> Done:
    """Give a collection an alias; once more does no harm.

    Raises:
        InvalidParameter, DatabaseNotFound, CollectionNotFound.
        AliasConflict, AliasExists.
    """
    _check_names(request)
    aliases.create_alias(
        core.database, request.database, request.alias, request.collection
    )
    return DONE


def alter_alias(core: Core, request: r.AlterAlias) -> Done:
    """Point an alias at another collection.

    Raises:
        InvalidParameter, DatabaseNotFound, AliasNotFound, AliasConflict.
        CollectionNotFound.
    """
    _check_names(request)
    aliases.alter_alias(
        core.database, request.database, request.alias, request.collection
    )
    return DONE


def _check_names(request: r.CreateAlias | r.AlterAlias) -> None:
    check_alias(request.alias)
    check_collection_name(request.collection)


def drop_alias(core: Core, request: r.DropAlias) -> Done:
    """Remove an alias; nothing happens if there is none.

    Raises:
        InvalidParameter, DatabaseNotFound.
    """
    aliases.drop_alias(core.database, request.database, request.alias)
    return DONE


def describe_alias(core: Core, request: r.DescribeAlias) -> AliasInfo:
    """What an alias stands for.

    Raises:
        InvalidParameter, DatabaseNotFound, AliasNotFound.
    """
    found = collection_of_alias(core.database, request.database, request.alias)
    return AliasInfo(request.alias, found.definition.name, request.database)


def list_aliases(core: Core, request: r.ListAliases) -> AliasList:
    """The aliases of a collection, or of all collections of a database.

    Raises:
        DatabaseNotFound, CollectionNotFound.
    """
    directory = core.database.directory
    database = directory.database(request.database)
    if not request.collection:
        found = tuple(entry.alias for entry in directory.aliases(database.id))
        return AliasList(found, "", request.database)
    collection = directory.find(database.id, request.collection)
    if collection is None:
        raise CollectionNotFound(request.collection, "")
    known = tuple(directory.aliases_of(collection))
    return AliasList(known, request.collection, request.database)
