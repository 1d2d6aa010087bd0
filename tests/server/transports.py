"""The transports under one roof, each serving a fake service of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from elanus.server.grpc.dispatcher import Dispatcher, Limits
from elanus.server.grpc.grpcio import GrpcioTransport
from elanus.server.grpc.handlers import Lane
from elanus.server.grpc.inprocess import InProcessChannel
from elanus.server.grpc.messages import METHODS
from elanus.server.grpc.native import NativeTransport
from elanus.server.grpc.transport import Transport
from server.fake_service import FakeService

WAIT_S = 30
SOCKETS = ("native", "grpcio")
ALL = (*SOCKETS, "in-process")
THREADS = {**dict.fromkeys(Lane, 1), Lane.OTHER: 2}


@dataclass
class Server:
    """One transport at work, and the channels that tests have opened to it."""

    kind: str
    service: FakeService
    dispatcher: Dispatcher
    transport: Transport | None
    channels: list[Any] = field(default_factory=list)

    def channel(self) -> Any:
        """A connection of its own."""
        if self.transport is None:
            return InProcessChannel(self.dispatcher)
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
        ]
        channel = grpc.insecure_channel(self.transport.address, options)
        self.channels.append(channel)
        return channel

    def method(self, name: str, channel: Any = None) -> Any:
        """Something to call a method with, message in and message out."""
        method = METHODS[name]
        return (channel or self.channel()).unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )


def make(kind: str, dispatcher: Dispatcher, target: str = "127.0.0.1:0") -> Transport:
    """A transport of a kind, bound and not started."""
    if kind == "native":
        return NativeTransport(target, dispatcher)
    request_bytes = dispatcher.limits.request_bytes
    return GrpcioTransport(target, dispatcher, request_bytes=request_bytes)


@contextmanager
def serving(
    kind: str, limits: Limits | None = None, target: str = "127.0.0.1:0"
) -> Iterator[Server]:
    """A transport at work until the end of the block."""
    service = FakeService()
    dispatcher = Dispatcher(service, limits or Limits(threads=THREADS))
    server = Server(kind, service, dispatcher, None)
    try:
        if kind != "in-process":
            server.transport = make(kind, dispatcher, target)
            server.transport.start()
        yield server
    finally:
        service.gate.set()
        for channel in server.channels:
            channel.close()
        if server.transport is not None:
            server.transport.stop(WAIT_S)
        dispatcher.close(WAIT_S)


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in good time."""
    never = threading.Event()
    for _ in range(WAIT_S * 200):
        if condition():
            return True
        never.wait(0.005)
    return False


def together(jobs: Sequence[Callable[[], None]]) -> list[BaseException]:
    """Run jobs at once, a thread each, and tell what went wrong in them."""
    errors: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 (told to the test)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
