"""The contract between transports and the rest of the server.

A transport turns a connection's bytes into :class:`Call` objects, hands each to a
:class:`Receiver`, and carries the one answer back. It knows no message and no method.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Protocol, TypeAlias

from elanus.server.grpc.status import GrpcCode
from elanus.service.requests import Request, Work

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class Call(ABC):
    """One remote procedure call, from its arrival until its answer is sent.

    Attributes:
        method: without the service.
        payload: the request message; let go of once it is decoded.
        deadline: on the monotonic clock, in seconds; ``None`` for no deadline.
        is_cancelled: whether nobody waits for the answer any more.
        size_bytes: of the payload as it arrived.
        request: the decoded request, once there is one.
        plan_key: calls of equal keys may be answered together; ``None`` for alone.
    """

    __slots__ = (
        "deadline",
        "is_cancelled",
        "metadata",
        "method",
        "payload",
        "peer",
        "plan_key",
        "request",
        "size_bytes",
        "work",
    )

    def __init__(
        self,
        method: str,
        payload: bytes,
        metadata: Metadata,
        peer: str,
        deadline: float | None,
    ) -> None:
        self.method = method
        self.payload = payload
        self.metadata = metadata
        self.peer = peer
        self.deadline = deadline
        self.is_cancelled = False
        self.size_bytes = len(payload)
        self.request: Request | None = None
        self.plan_key: Hashable | None = None
        self.work: Work | None = None

    @abstractmethod
    def respond(self, payload: bytes) -> None:
        """Send the reply. Does nothing if the client has gone."""

    @abstractmethod
    def fail(self, code: GrpcCode, message: str) -> None:
        """End the call without a reply. Does nothing if the client has gone."""


class Receiver(Protocol):
    """Takes the calls that transports receive."""

    def submit(self, call: Call) -> None:
        """Take over a call, which always ends in one answer to it.

        Never blocks, and never takes longer than to hand the call to another thread.
        """
        ...

    def submit_together(self, calls: Sequence[Call]) -> None:
        """The same with calls that arrived at once; short ones may be answered here."""
        ...

    def drain(self, grace_s: float) -> bool:
        """Refuse new calls and wait for those at work; false if time ran out."""
        ...


class Transport(Protocol):
    """Listens on one address from :meth:`start` to :meth:`stop`."""

    @property
    def address(self) -> str:
        """Where clients reach it, ``host:port`` or ``unix:path``."""
        ...

    def start(self) -> None:
        """Begin to accept connections.

        Raises:
            OSError: the address is taken or cannot be bound.
        """
        ...

    def stop(self, grace_s: float) -> None:
        """Refuse new calls, finish those at work, and close; may be called twice."""
        ...
