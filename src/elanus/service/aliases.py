"""Operations on aliases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from elanus.database import aliases
from elanus.database.aliases import collection_of_alias
from elanus.errors import CollectionNotFound
from elanus.schema.check import check_collection_name
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
    with _named(request.collection):
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
    with _named(request.collection):
        aliases.alter_alias(
            core.database, request.database, request.alias, request.collection
        )
    return DONE


@contextmanager
def _named(collection: str) -> Iterator[None]:
    """What cannot be the name of a collection is refused as such, not as unknown."""
    try:
        yield
    except CollectionNotFound:
        check_collection_name(collection)
        raise


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
