"""``elanus serve``: a database folder behind gRPC and http ports.

The composition root of the server: picks the transport, wires service, telemetry and
ports together, and ends them in order.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elanus.app import OpenDatabase, World, open_database
from elanus.config import Settings
from elanus.database.readings import database_readings
from elanus.distance.native import use_one_thread
from elanus.engine.sampling import is_idle
from elanus.errors import InvalidParameter
from elanus.functions.providers.services import Services
from elanus.server.grpc.dispatcher import Dispatcher, Limits
from elanus.server.grpc.transport import Transport
from elanus.server.http import HttpPort
from elanus.service.core import Core, Identity
from elanus.service.dispatch import Call, LocalService
from elanus.telemetry.metrics import Reading, Telemetry
from elanus.telemetry.process import process_readings

GRACE_S = 10.0
HISTORY_S = 600.0  # server clients read at timestamps that they were told before
_log = logging.getLogger("elanus.server")


@dataclass(frozen=True)
class ServeOptions:
    """How to serve.

    Attributes:
        data: the database folder; created when missing.
        port: of gRPC; 0 takes any free one.
        http_port: of ``/healthz`` and ``/metrics``; 0 takes any free one.
        transport: "native" or "grpcio".
        slow_s: calls that take so long are logged.
        milvus_version: that clients are told; empty for the one Elanus follows.
        is_idle: whether there is a core to spare for measuring recall.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 19530
    http_port: int = 9091
    transport: str = "native"
    slow_s: float = 1.0
    settings: Settings = field(default_factory=lambda: Settings(history_s=HISTORY_S))
    milvus_version: str = ""
    is_idle: Callable[[], bool] = is_idle


class Server:
    """A running server. :meth:`stop` drains it."""

    def __init__(self, options: ServeOptions) -> None:
        """Open the folder, bind both ports and begin to serve.

        Raises:
            FormatError, LockedError, CorruptionError: the folder cannot be opened.
            OSError: a port is taken or cannot be bound.
            InvalidParameter: there is no such transport.
        """
        world = World(settings=options.settings, is_idle=options.is_idle)
        self._slow_s = options.slow_s
        self._opened: OpenDatabase = open_database(options.data, world)
        try:
            self._service = LocalService(
                Core(
                    self._opened.database,
                    world.random_id,
                    Identity(options.milvus_version or Identity().version),
                    services=Services(world.environment),
                ),
                observe=self._observe,
            )
            self.telemetry = Telemetry(self._readings)
            self._dispatcher = Dispatcher(
                self._service, Limits(on_thread_start=use_one_thread)
            )
            self._is_stopping = threading.Event()
            self._start_ports(options)
            # A newcomer on the folder is told at once where it is served.
            self._opened.lock.set_text(f"served at {self.address}")
        except BaseException:
            self._opened.close()
            raise

    def _start_ports(self, options: ServeOptions) -> None:
        self._http = HttpPort(
            options.host,
            options.http_port,
            lambda: not self._is_stopping.is_set(),
            self.telemetry.text,
        )
        try:
            self._transport = _transport(options, self._dispatcher)
            self._transport.start()
        except BaseException:
            self._http.stop()
            self._dispatcher.close()
            raise
        self._http.start()

    @property
    def address(self) -> str:
        """Where gRPC clients reach it, ``host:port``."""
        return self._transport.address

    @property
    def http_address(self) -> str:
        """Where ``/healthz`` and ``/metrics`` are, ``host:port``."""
        return self._http.address

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Refuse new calls, finish those at work, close the database."""
        if self._is_stopping.is_set():
            return
        self._is_stopping.set()
        try:
            self._transport.stop(grace_s)
            self._dispatcher.close(grace_s)
            self._http.stop()
        finally:
            self._opened.close()
            self._service.wait()

    def _observe(self, call: Call) -> None:
        self.telemetry.count(call.name, call.code, call.seconds)
        if call.seconds >= self._slow_s:
            _log.warning(
                "slow: %s took %.2f s (code %d, peer %s, request %s)",
                call.name,
                call.seconds,
                call.code,
                call.context.peer,
                call.context.request_id,
                extra={
                    "operation": call.name,
                    "seconds": call.seconds,
                    "code": call.code,
                    "peer": call.context.peer,
                    "request_id": call.context.request_id,
                },
            )

    def _readings(self) -> Iterator[Reading]:
        yield Reading(
            "requests_in_flight_bytes",
            "Bytes of requests received and not answered.",
            self._dispatcher.in_flight_bytes,
        )
        yield Reading(
            "requests_waiting",
            "Requests that no thread serves yet.",
            self._dispatcher.waiting,
        )
        yield from process_readings()
        yield from database_readings(self._opened.database)


def _transport(options: ServeOptions, dispatcher: Dispatcher) -> Transport:
    target = f"{options.host}:{options.port}"
    if options.transport == "native":
        from elanus.server.grpc.native import NativeTransport

        return NativeTransport(target, dispatcher)
    if options.transport == "grpcio":
        from elanus.server.grpc.grpcio import GrpcioTransport

        return GrpcioTransport(target, dispatcher)
    raise InvalidParameter(
        f"transport is 'native' or 'grpcio', got {options.transport!r}"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
