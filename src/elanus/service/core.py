"""What every operation works with: the database, and what a server remembers beside it.

Resolves the names of requests. Nothing here is durable.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from elanus.database.database import Database
from elanus.engine.collection import Collection
from elanus.errors import CollectionNotFound
from elanus.functions.providers.services import Services
from elanus.schema.names import check_collection_name
from elanus.service.compactions import Compactions
from elanus.service.cursors import Cursors
from elanus.service.remembered import Remembered
from elanus.service.requests import CollectionRequest

RandomId = Callable[[], int]
NODE_ID = 1
SEARCH_PLANS = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server says it is.

    Attributes:
        version: of Milvus' protocol, spelled as Milvus'; clients compare it.
        platform: what it runs on, shown where Milvus names its Go version.
    """

    version: str = "v2.6.6"
    build_time: str = ""
    git_commit: str = ""
    platform: str = "python"


@dataclass(frozen=True, slots=True)
class Core:
    """A database and the memory of its server.

    Attributes:
        random_id: a random number of 64 bits.
        cursors: places of search iterators.
        compactions: those that clients asked for.
        search_plans: plans of searches asked for lately, filled by their operation.
        services: models elsewhere that may be asked.
    """

    database: Database
    random_id: RandomId
    identity: Identity = field(default_factory=Identity)
    cursors: Cursors = field(default_factory=Cursors)
    compactions: Compactions = field(default_factory=Compactions)
    search_plans: Remembered[Any] = field(
        default_factory=lambda: Remembered(SEARCH_PLANS)
    )
    services: Services = field(default_factory=Services)

    def collection(self, request: CollectionRequest) -> Collection:
        """The collection that a request names, by its own name or an alias.

        Raises:
            InvalidParameter: it cannot be a name.
            DatabaseNotFound, CollectionNotFound: there is none.
        """
        return self.named(request.collection, request.database)

    def named(self, name: str, database: str) -> Collection:
        """The collection of this name or alias.

        Raises: as :meth:`collection`.
        """
        self.database.need_open()
        try:
            return self.database.directory.resolve(name, database)
        except CollectionNotFound:
            check_collection_name(name)
            raise

    def searched(self, request: CollectionRequest) -> Collection:
        """The same for a search, which does not ask whether the name is a good one.

        Raises:
            InvalidParameter: it is empty.
            DatabaseNotFound, CollectionNotFound: there is none.
        """
        self.database.need_open()
        if not request.collection:
            return self.collection(request)
        return self.database.directory.resolve(request.collection, request.database)

    def numbered(self, collection_id: int) -> Collection:
        """The collection of this number.

        Raises:
            CollectionNotFound: there is none.
        """
        self.database.need_open()
        found = self.database.directory.by_id(collection_id)
        if found is None:
            raise CollectionNotFound(collection_id, "")
        return found

    def now(self) -> int:
        """A hybrid timestamp newer than every one before."""
        return self.database.node.clock.next()

    def new_token(self) -> str:
        """A random UUID."""
        number = (self.random_id() << 64) | self.random_id()
        return str(uuid.UUID(int=number & (1 << 128) - 1, version=4))
