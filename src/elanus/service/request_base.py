"""What every operation has in common, who asks for it, and what serves it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from elanus.errors import ElanusError
from elanus.service.replies import Reply
from elanus.service.steps import Work as Work


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who asks, and until when an answer is of use.

    Attributes:
        authorization: the credential as sent, undecoded; empty when there is none.
        client_id: the number that ``Connect`` gave the client, as text.
        request_id: the client's own name for this call, for logs.
        peer: the client's address.
        deadline: on the monotonic clock, in seconds; ``None`` for no deadline.
        is_cancelled: whether the client has gone or cancelled the call.
    """

    authorization: str = ""
    client_id: str = ""
    request_id: str = ""
    peer: str = ""
    deadline: float | None = None
    is_cancelled: Callable[[], bool] = lambda: False


class Service(Protocol):
    """What every wire talks to."""

    def handle(self, request: Request, context: RequestContext) -> Reply:
        """Do what is asked. Called by many threads at once.

        Raises:
            NotAuthenticated, PermissionDenied: the caller may not; ends the call.
            ElanusError: anything else that went wrong; becomes a part of the answer.
        """
        ...

    def steps(self, request: Request, context: RequestContext) -> Work | None:
        """A long request as steps, which any thread may do, one at a time.

        Each raises as :meth:`handle`. ``None`` for a request that is to be handled.
        """
        ...

    def plan_key(self, request: Request) -> Hashable | None:
        """Requests of equal keys may be handled together; ``None`` for alone."""
        ...

    def is_short(self, request: Request, count: int = 1) -> bool:
        """Whether handling so many like it takes less than handing them on; a guess."""
        ...

    def is_long(self, request: Request) -> bool:
        """Whether handling it takes many times as long as others of its kind."""
        ...

    def waits(self, request: Request) -> bool:
        """Whether handling it waits for others than this database."""
        ...

    def handle_together(
        self, requests: Sequence[Request], contexts: Sequence[RequestContext]
    ) -> Sequence[Reply | ElanusError]:
        """Answers to requests of one :meth:`plan_key`: what each would have alone.

        Raises:
            ElanusError: what went wrong for all of them.
        """
        ...


# --- what requests have in common ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """Base of every operation."""


@dataclass(frozen=True, slots=True)
class DatabaseRequest(Request):
    """An operation inside one database; its name is never empty."""

    database: str


@dataclass(frozen=True, slots=True)
class CollectionRequest(DatabaseRequest):
    """An operation on one collection, named or by alias."""

    collection: str


@dataclass(frozen=True, slots=True)
class PartitionRequest(CollectionRequest):
    """An operation on one partition."""

    partition: str


@dataclass(frozen=True, slots=True)
class PartitionsRequest(CollectionRequest):
    """An operation on several partitions of a collection."""

    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexRequest(CollectionRequest):
    """An operation on an index, named by its field, its own name, or neither."""

    field: str
    index: str
