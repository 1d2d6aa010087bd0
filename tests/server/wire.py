"""Calls made by hand: requests of any message, answered without a transport."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elanus.server.grpc.dispatcher import Dispatcher, Limits
from elanus.server.grpc.handlers import Lane
from elanus.server.grpc.messages import METHODS, message_class
from elanus.server.grpc.status import GrpcCode
from elanus.server.grpc.transport import Call, Metadata
from elanus.service.requests import Service

SMALL = dict.fromkeys(Lane, 1)


class HandCall(Call):
    """A call that keeps its answer."""

    def __init__(
        self,
        method: str,
        payload: bytes,
        metadata: Metadata = (),
        deadline: float | None = None,
    ) -> None:
        super().__init__(method, payload, metadata, "by hand", deadline)
        self.replies: list[bytes] = []
        self.failures: list[tuple[GrpcCode, str]] = []

    def respond(self, payload: bytes) -> None:
        """Keep the reply."""
        self.replies.append(payload)

    def fail(self, code: GrpcCode, message: str) -> None:
        """Keep the reason."""
        self.failures.append((code, message))

    @property
    def answers(self) -> int:
        """How often it was answered; once is right."""
        return len(self.replies) + len(self.failures)


@contextmanager
def dispatching(service: Service, limits: Limits | None = None) -> Iterator[Dispatcher]:
    """A dispatcher with one thread per lane."""
    dispatcher = Dispatcher(service, limits or Limits(threads=SMALL))
    try:
        yield dispatcher
    finally:
        dispatcher.close(10)


def asked(dispatcher: Dispatcher, method: str, payload: bytes, **options: Any) -> Any:
    """The reply message to a request, through the whole of decode and encode."""
    call = HandCall(method, payload, **options)
    dispatcher.answer(call)
    assert not call.failures, call.failures
    return METHODS[method].reply.FromString(call.replies[0])


def message(name: str, /, **values: Any) -> Any:
    """A message of our own pool: ``message("schema.FieldData", ...)``."""
    return message_class(name)(**values)


def status_of(reply: Any, method: str) -> Any:
    """Where a reply says how it went."""
    field = METHODS[method].status_field
    assert field is not None
    return getattr(reply, field) if field else reply
