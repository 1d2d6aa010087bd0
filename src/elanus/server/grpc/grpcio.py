"""The other transport: grpcio, for TLS and where ``pygrpc-native`` has no wheel.

Its threads only wait: calls are served by the dispatcher's, as with any transport.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from elanus.server.grpc.messages import SERVICE
from elanus.server.grpc.status import GrpcCode
from elanus.server.grpc.transport import Call, Receiver

_THREADS = 64
# grpcio tells of a call without a deadline that it has three hundred thousand years.
_FOREVER_S = 1e9
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # clients ping every ten seconds, with or without calls
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts: the server's key and certificates, and whom clients must be signed by.

    Attributes:
        client_ca: when given, a client without a certificate of it is refused.
    """

    key: bytes
    certificates: bytes
    client_ca: bytes | None = None


class GrpcioTransport:
    """Serves one address through grpcio."""

    def __init__(
        self,
        target: str,
        receiver: Receiver,
        *,
        request_bytes: int = 64 << 20,
        tls: Tls | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind ``host:port`` (0 for any port) or ``unix:path``.

        Raises:
            OSError: the address is taken or cannot be bound.
        """
        self._target = target
        self._receiver = receiver
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(_THREADS, "elanus-grpcio")
        self._server = grpc.server(
            self._pool,
            handlers=(_AnyMethod(self._serve),),
            options=(*_OPTIONS, ("grpc.max_receive_message_length", request_bytes)),
        )
        self._port = self._bind(tls)

    @property
    def address(self) -> str:
        """Where clients reach it, ``host:port`` or ``unix:path``."""
        if self._target.startswith("unix:"):
            return self._target
        return f"{self._target.rsplit(':', 1)[0]}:{self._port}"

    def start(self) -> None:
        """Begin to accept connections."""
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Refuse new calls, finish those at work, and close; may be called twice."""
        stopped = self._server.stop(grace_s)
        self._receiver.drain(grace_s)
        stopped.wait()
        self._pool.shutdown()

    def _bind(self, tls: Tls | None) -> int:
        try:
            if tls is None:
                return int(self._server.add_insecure_port(self._target))
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificates)],
                root_certificates=tls.client_ca,
                require_client_auth=tls.client_ca is not None,
            )
            return int(self._server.add_secure_port(self._target, credentials))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._target}: {error}") from error

    def _serve(self, method: str, payload: bytes, context: Any) -> bytes:
        remaining_s = context.time_remaining()
        if remaining_s is not None and remaining_s > _FOREVER_S:
            remaining_s = None
        call = _GrpcioCall(
            method,
            payload,
            [(item.key, item.value) for item in context.invocation_metadata()],
            context.peer(),
            None if remaining_s is None else self._monotonic() + remaining_s,
        )
        call.expect()
        if not context.add_callback(call.cancel):
            call.is_cancelled = True
            return b""
        self._receiver.submit(call)
        call.done.wait()
        if call.failure is not None:
            code, message = call.failure
            context.abort(_STATUS[int(code)], message)
        return call.reply


class _GrpcioCall(Call):
    """A call whose own thread waits for the answer."""

    __slots__ = ("done", "failure", "reply")

    def expect(self) -> None:
        """Make ready for the answer."""
        self.done = threading.Event()
        self.reply = b""
        self.failure: tuple[GrpcCode, str] | None = None

    def respond(self, payload: bytes) -> None:
        """Give the reply to the waiting thread."""
        self.reply = payload
        self.done.set()

    def fail(self, code: GrpcCode, message: str) -> None:
        """Give the reason to the waiting thread."""
        self.failure = (code, message)
        self.done.set()

    def cancel(self) -> None:
        """Let the waiting thread go: the call is over, one way or another."""
        self.is_cancelled = True
        self.done.set()


class _AnyMethod(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Takes every path of the service, so that an unknown one gets our own words."""

    def __init__(self, serve: Callable[[str, bytes, Any], bytes]) -> None:
        self._serve = serve

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call, which knows its method's name."""
        service, _, name = handler_call_details.method.lstrip("/").rpartition("/")
        if service != SERVICE:
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda payload, context: self._serve(name, payload, context)
        )
