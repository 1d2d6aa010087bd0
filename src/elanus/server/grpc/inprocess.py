"""A ``grpc.Channel`` that leads to the service in the same process, without a socket.

A client's stub takes it in place of a connection. A call runs in the caller's thread;
only bytes pass between the client's message classes and ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from elanus.server.grpc.dispatcher import Dispatcher
from elanus.server.grpc.status import GrpcCode
from elanus.server.grpc.transport import Call

_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_Serialize = Callable[[Any], bytes]
_Deserialize = Callable[[bytes], Any]


class InProcessChannel(grpc.Channel):  # type: ignore[misc]
    """A connection that is always ready. Safe to use from many threads."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._is_closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: _Serialize | None = None,
        response_deserializer: _Deserialize | None = None,
        _registered_method: bool | None = False,
    ) -> InProcessMethod:
        """The method of a path, as something to call."""
        return InProcessMethod(
            self._dispatcher,
            method.rpartition("/")[2],
            request_serializer or bytes,
            response_deserializer or bytes,
        )

    def subscribe(
        self, callback: Callable[[Any], None], try_to_connect: bool | None = False
    ) -> None:
        """Tell the callback at once that the connection is ready."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Do nothing: no callback is kept."""

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """A method that cannot be called; stubs make them all."""
        return self.unary_unary(method)

    stream_unary = unary_stream
    stream_stream = unary_stream

    def close(self) -> None:
        """Do nothing: the service is not the channel's to end."""

    def __enter__(self) -> InProcessChannel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class InProcessMethod(grpc.UnaryUnaryMultiCallable):  # type: ignore[misc]
    """One method of an in-process channel."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        name: str,
        serialize: _Serialize,
        deserialize: _Deserialize,
    ) -> None:
        self._dispatcher = dispatcher
        self._name = name
        self._serialize = serialize
        self._deserialize = deserialize

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> Any:
        """The reply.

        Raises:
            grpc.RpcError: the call failed, as over a socket.
        """
        return self.with_call(request, timeout, metadata)[0]

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> tuple[Any, Any]:
        """The reply, and the call's state.

        Raises:
            grpc.RpcError: the call failed, as over a socket.
        """
        call = self._call(request, timeout, metadata)
        self._dispatcher.answer(call)
        outcome = InProcessOutcome(call, self._deserialize)
        return outcome.result(), outcome

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> Any:
        """A reply to come, from one of the server's own threads."""
        call = self._call(request, timeout, metadata)
        self._dispatcher.submit(call)
        return InProcessOutcome(call, self._deserialize)

    def _call(
        self,
        request: Any,
        timeout: float | None,
        metadata: Sequence[tuple[str, str | bytes]] | None,
    ) -> _DirectCall:
        now = self._dispatcher.monotonic()
        deadline = None if timeout is None else now + timeout
        payload = self._serialize(request)
        call = _DirectCall(self._name, payload, metadata or (), "in-process", deadline)
        call.expect()
        return call


class _DirectCall(Call):
    """A call whose answer stays here for its caller to pick up."""

    __slots__ = ("_callbacks", "_lock", "done", "failure", "reply")

    def expect(self) -> None:
        """Make ready for the answer."""
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.done = threading.Event()
        self.reply = b""
        self.failure: tuple[GrpcCode, str] | None = None

    def respond(self, payload: bytes) -> None:
        """Keep the reply."""
        self._finish(payload, None)

    def fail(self, code: GrpcCode, message: str) -> None:
        """Keep the reason."""
        self._finish(b"", (code, message))

    def when_done(self, callback: Callable[[], None]) -> None:
        """Run the callback when there is an answer; at once if there is one."""
        with self._lock:
            if not self.done.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def _finish(self, reply: bytes, failure: tuple[GrpcCode, str] | None) -> None:
        with self._lock:
            if self.done.is_set():
                return
            self.reply, self.failure = reply, failure
            callbacks, self._callbacks = self._callbacks, []
            self.done.set()
        for callback in callbacks:
            callback()


class InProcessOutcome(grpc.Call, grpc.Future):  # type: ignore[misc]
    """The answer of a call, to come or there, as grpcio's own objects show it."""

    def __init__(self, call: _DirectCall, deserialize: _Deserialize) -> None:
        self._call = call
        self._deserialize = deserialize

    def result(self, timeout: float | None = None) -> Any:
        """The reply.

        Raises:
            grpc.RpcError: the call failed.
            grpc.FutureTimeoutError: there is no answer yet.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._deserialize(self._call.reply)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """What the call failed with, if it did."""
        if not self._call.done.wait(timeout):
            raise grpc.FutureTimeoutError
        if self._call.failure is None:
            return None
        return InProcessError(self._call, self._deserialize)

    def traceback(self, timeout: float | None = None) -> None:
        """Nothing: an answer has no stack."""

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` with this object once there is an answer."""
        self._call.when_done(lambda: fn(self))

    def cancel(self) -> bool:
        """Give up waiting; false if there is an answer already."""
        if self._call.done.is_set():
            return False
        self._call.is_cancelled = True
        self._call.fail(GrpcCode.CANCELLED, "the caller cancelled the call")
        return True

    def cancelled(self) -> bool:
        """Whether the call was cancelled."""
        failure = self._call.failure
        return failure is not None and failure[0] is GrpcCode.CANCELLED

    def done(self) -> bool:
        """Whether there is an answer."""
        return self._call.done.is_set()

    def running(self) -> bool:
        """Whether there is no answer yet."""
        return not self.done()

    is_active = running

    def time_remaining(self) -> None:
        """Nothing: the deadline is watched elsewhere."""

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call ``callback`` once there is an answer; false if there is one."""
        if self.done():
            return False
        self._call.when_done(callback)
        return True

    def initial_metadata(self) -> tuple[()]:
        """None is sent."""
        return ()

    trailing_metadata = initial_metadata

    def code(self) -> Any:
        """The status code of gRPC, after waiting for it."""
        self._call.done.wait()
        failure = self._call.failure
        return grpc.StatusCode.OK if failure is None else _STATUS[int(failure[0])]

    def details(self) -> str:
        """Why the call failed; empty when it did not."""
        self._call.done.wait()
        failure = self._call.failure
        return "" if failure is None else failure[1]


class InProcessError(grpc.RpcError, InProcessOutcome):  # type: ignore[misc]
    """A failed call, raised as over a socket."""

    def __init__(self, call: _DirectCall, deserialize: _Deserialize) -> None:
        InProcessOutcome.__init__(self, call, deserialize)

    def exception(self, timeout: float | None = None) -> Exception:
        """Itself."""
        return self

    def __str__(self) -> str:
        return f"<in-process call: {self.code()}, {self.details()}>"
