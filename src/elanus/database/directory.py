"""What each name stands for: databases, and in each its collections and aliases.

In memory only; look-ups take no lock. Changes are made under the lock on definitions,
after they are durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from elanus.database.catalog import AliasEntry, DatabaseEntry
from elanus.engine.collection import Collection
from elanus.engine.definition import DEFAULT_DATABASE
from elanus.errors import CollectionNotFound, DatabaseNotFound, TooManyCollections

_Key = tuple[int, str]
_MOST_COLLECTIONS = "database.max.collections"


class Directory:
    """Names to live collections."""

    def __init__(
        self, databases: Iterable[DatabaseEntry], aliases: Iterable[AliasEntry]
    ) -> None:
        self._databases = {entry.name: entry for entry in databases}
        self._aliases = {(entry.database_id, entry.alias): entry for entry in aliases}
        self._by_name: dict[_Key, Collection] = {}
        self._by_id: dict[int, Collection] = {}
        self._keys: dict[int, _Key] = {}

    # --- databases ------------------------------------------------------------------

    def databases(self) -> list[DatabaseEntry]:
        """Every database, the default one first, then by age."""
        return sorted(self._databases.values(), key=lambda entry: entry.id)

    def database(self, name: str) -> DatabaseEntry:
        """The database called ``name``.

        Raises:
            DatabaseNotFound: there is none.
        """
        entry = self._databases.get(name)
        if entry is None:
            raise DatabaseNotFound(name)
        return entry

    def properties_of(self, name: str) -> Mapping[str, str]:
        """The properties of a database; none if there is no such database."""
        entry = self._databases.get(name)
        return {} if entry is None else entry.properties

    def database_of(self, collection: Collection) -> DatabaseEntry:
        """The database that a collection is in."""
        database_id = collection.definition.database_id
        return next(e for e in self.databases() if e.id == database_id)

    def has_database(self, name: str) -> bool:
        """Whether there is a database called ``name``."""
        return name in self._databases

    def add_database(self, entry: DatabaseEntry) -> None:
        """Let a database be found."""
        self._databases[entry.name] = entry

    def remove_database(self, entry: DatabaseEntry) -> None:
        """Forget a database."""
        del self._databases[entry.name]

    # --- collections ----------------------------------------------------------------

    def collections(self, database_id: int | None = None) -> list[Collection]:
        """Every live collection, or those of one database, oldest first."""
        live = list(self._by_id.values())
        if database_id is None:
            return live
        return [c for c in live if c.definition.database_id == database_id]

    def check_room(self, database: DatabaseEntry, most_of_all: int) -> None:
        """Raise unless one more collection may be created in a database.

        Args:
            most_of_all: how many there may be in all databases together.

        Raises:
            TooManyCollections: drop some, or alter the property of the database.
        """
        text = database.properties.get(_MOST_COLLECTIONS, "")
        most = int(text) if text.isdecimal() else most_of_all
        is_full = text.isdecimal() and len(self.collections(database.id)) >= most
        if is_full or len(self._by_id) >= most_of_all:
            raise TooManyCollections(database.name, min(most, most_of_all))

    def find(self, database_id: int, name: str) -> Collection | None:
        """The collection whose own name this is."""
        return self._by_name.get((database_id, name))

    def by_id(self, collection_id: int) -> Collection | None:
        """The collection with this number."""
        return self._by_id.get(collection_id)

    def resolve(self, name: str, database: str = DEFAULT_DATABASE) -> Collection:
        """The collection that a name or an alias stands for.

        Raises:
            DatabaseNotFound, CollectionNotFound: there is none.
        """
        database_id = self.database(database).id
        found = self._by_name.get((database_id, name))
        if found is None:
            alias = self._aliases.get((database_id, name))
            found = None if alias is None else self._by_id.get(alias.collection_id)
        if found is None:
            raise CollectionNotFound(name, database)
        return found

    def add(self, collection: Collection) -> None:
        """Let a collection be found, by a new name if it has one."""
        definition = collection.definition
        key = (definition.database_id, definition.name)
        former = self._keys.get(definition.id, key)
        self._by_name[key] = collection
        self._by_id[definition.id] = collection
        self._keys[definition.id] = key
        if former != key:
            del self._by_name[former]

    def remove(self, collection: Collection) -> None:
        """Forget a collection."""
        collection_id = collection.definition.id
        del self._by_name[self._keys.pop(collection_id)]
        del self._by_id[collection_id]

    # --- aliases --------------------------------------------------------------------

    def alias(self, database_id: int, alias: str) -> AliasEntry | None:
        """What an alias stands for."""
        return self._aliases.get((database_id, alias))

    def aliases(self, database_id: int) -> list[AliasEntry]:
        """Every alias of a database, sorted by name."""
        found = [
            e for e in list(self._aliases.values()) if e.database_id == database_id
        ]
        return sorted(found, key=lambda entry: entry.alias)

    def aliases_of(self, collection: Collection) -> list[str]:
        """The aliases of a collection, sorted."""
        definition = collection.definition
        return [
            entry.alias
            for entry in self.aliases(definition.database_id)
            if entry.collection_id == definition.id
        ]

    def add_alias(self, entry: AliasEntry) -> None:
        """Let an alias be found, in the place of one of the same name."""
        self._aliases[(entry.database_id, entry.alias)] = entry

    def remove_alias(self, entry: AliasEntry) -> None:
        """Forget an alias."""
        del self._aliases[(entry.database_id, entry.alias)]
