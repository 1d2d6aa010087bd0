"""A ``grpc.Channel`` to a shared database, wherever its owner is at the moment.

While this process owns it, calls are served in the caller's thread; else they go over
the owner's socket, and wait while there is no owner.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import orjson

from elanus.embedded.sharing import SharedDatabase
from elanus.server.grpc.dispatcher import Dispatcher
from elanus.server.grpc.inprocess import InProcessChannel
from elanus.server.grpc.status import STOPPING

# What can be asked again of the next owner: it only reads, or a repeat changes nothing.
# Of anything else a lost answer is the caller's to handle: an insert may be done twice,
# and a rename that was done would be told as one of a collection that is not there.
_READS = (
    *("Alloc", "Calc", "Check", "Connect", "Describe", "Get", "Has", "HybridSearch"),
    *("List", "Query", "Run", "Search", "Select", "Show"),
)
_REPEATABLE = frozenset(
    f"{verb}{what}"
    for verb, things in {
        "Create": ("Collection", "Partition", "Alias", "Index"),
        "Drop": ("Collection", "Partition", "Alias", "Index", "Database"),
        "Alter": ("Alias",),
        "Load": ("Collection", "Partitions"),
        "Release": ("Collection", "Partitions"),
        "Flush": ("", "All"),
        "Manual": ("Compaction",),
    }.items()
    for what in things
)
PATIENCE_S = 10.0
_PAUSE_S = 0.02
_LEAVING_S = 2.0
_TICK = threading.Event()
_LOST = (
    "the process that had the database open ended before it answered: whether it "
    "wrote anything is unknown"
)

# For channels that a client makes itself: calls wait while there is no owner.
CHANNEL_OPTIONS: dict[str, str | int] = {
    "grpc.service_config": orjson.dumps(
        {"methodConfig": [{"name": [{}], "waitForReady": True}]}
    ).decode(),
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200,
}
_UNLIMITED = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
}


class SharedChannel(grpc.Channel):  # type: ignore[misc]
    """A connection that outlives the owner. Safe to use from many threads.

    Whoever makes it holds a lease at least as long.
    """

    def __init__(self, shared: SharedDatabase) -> None:
        self._route = _Route(shared)

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> SharedMethod:
        """The method of a path, as something to call."""
        return SharedMethod(
            self._route, method, (request_serializer, response_deserializer)
        )

    def subscribe(
        self, callback: Callable[[Any], None], try_to_connect: bool | None = False
    ) -> None:
        """Tell the callback at once that the connection is ready: calls wait."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Do nothing: no callback is kept."""

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        """A method that cannot be called; stubs make them all."""
        return self.unary_unary(method)

    stream_unary = unary_stream
    stream_stream = unary_stream

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._route.close()

    def __enter__(self) -> SharedChannel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Route:
    """The channel to the owner, made when the owner changes."""

    def __init__(self, shared: SharedDatabase) -> None:
        self._shared = shared
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._target: Dispatcher | str | None = None
        self._channel: Any = None
        self._retired: list[Any] = []

    def channel(self) -> Any:
        """The channel to the owner.

        Raises:
            SharedCallError: nobody owns the database, and it does not open.
        """
        target = self._shared.dispatcher or self._shared.address
        if target is not self._target or os.getpid() != self._pid:
            with self._lock:
                self._turn_to(target)
        if self._shared.failure is not None:
            raise SharedCallError(
                grpc.StatusCode.INTERNAL, f"cannot open: {self._shared.failure}"
            )
        return self._channel

    def tenure(self) -> object:
        """Stands for the present owner."""
        return self._shared.tenure()

    def pause(self, leaving: object | None) -> None:
        """Wait before a call is repeated.

        An owner that is about to end drops what reaches it last without an answer, so
        it is asked nothing more: wait for another.
        """
        until = time.monotonic() + _LEAVING_S
        _TICK.wait(_PAUSE_S)
        while leaving == self.tenure() and time.monotonic() < until:
            _TICK.wait(_PAUSE_S)

    def close(self) -> None:
        """Close all connections."""
        for channel in [*self._retired, self._channel]:
            if channel is not None:
                channel.close()

    def _turn_to(self, target: Dispatcher | str) -> None:
        if target == self._target and os.getpid() == self._pid:
            self._target = target
            return
        if self._channel is not None:
            self._retired.append(self._channel)  # calls on it may still be answered
        if isinstance(target, str):
            options = CHANNEL_OPTIONS | _UNLIMITED
            self._channel = grpc.insecure_channel(target, list(options.items()))
        else:
            self._channel = InProcessChannel(target)
        self._target, self._pid = target, os.getpid()


class SharedMethod(grpc.UnaryUnaryMultiCallable):  # type: ignore[misc]
    """One method of a shared channel."""

    def __init__(self, route: _Route, method: str, codecs: tuple[Any, Any]) -> None:
        self._route = route
        self._method = method
        self._codecs = codecs
        self._is_repeatable = _is_repeatable(method)

    def __call__(
        self, request: Any, timeout: Any = None, *rest: Any, **named: Any
    ) -> Any:
        """The reply.

        Raises:
            grpc.RpcError: the call failed, as over a socket.
        """
        return self.with_call(request, timeout, *rest, **named)[0]

    def with_call(
        self, request: Any, timeout: Any = None, *rest: Any, **named: Any
    ) -> tuple[Any, Any]:
        """The reply, and the call's state.

        Raises:
            grpc.RpcError: the call failed, as over a socket.
        """
        until = time.monotonic() + (PATIENCE_S if timeout is None else timeout)
        while True:
            tenure = self._route.tenure()
            channel = self._route.channel()
            method = channel.unary_unary(self._method, *self._codecs)
            try:
                answer: tuple[Any, Any] = method.with_call(
                    request, timeout, *rest, **named
                )
                return answer
            except grpc.RpcError as error:
                is_here = isinstance(channel, InProcessChannel)
                if is_here or not self._may_repeat(error):
                    raise self._meaning(error) from error
                if time.monotonic() >= until:
                    raise
                is_leaving = error.details() == STOPPING
            self._route.pause(tenure if is_leaving else None)

    def future(
        self, request: Any, timeout: Any = None, *rest: Any, **named: Any
    ) -> Any:
        """A reply to come."""
        answer = self._method_there().future(request, timeout, *rest, **named)
        return answer if self._is_repeatable else SharedAnswer(answer, self._meaning)

    def _method_there(self) -> Any:
        return self._route.channel().unary_unary(self._method, *self._codecs)

    def _may_repeat(self, error: Any) -> bool:
        """Whether the owner went away and has certainly written nothing."""
        is_gone = error.code() is grpc.StatusCode.UNAVAILABLE
        return is_gone and (self._is_repeatable or error.details() == STOPPING)

    def _meaning(self, error: Exception) -> Exception:
        """What a failed call tells its caller."""
        is_lost = (
            not self._is_repeatable
            and isinstance(error, grpc.RpcError)
            and error.code() is grpc.StatusCode.UNAVAILABLE
        )
        # The code that clients do not retry by themselves, and that leaves the
        # outcome open.
        return (
            SharedCallError(grpc.StatusCode.DEADLINE_EXCEEDED, _LOST)
            if is_lost
            else error
        )


class LostWrites(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """For an asynchronous channel: tells that a write was lost, once and for good.

    Clients repeat a call that ended as UNAVAILABLE, and the rows would be there twice.
    """

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        """Make the call.

        Raises:
            grpc.aio.AioRpcError: its outcome is unknown.
        """
        call = await continuation(client_call_details, request)
        if (
            not _is_repeatable(client_call_details.method)
            and await call.code() is grpc.StatusCode.UNAVAILABLE
            and await call.details() != STOPPING
        ):
            none = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED, none, none, details=_LOST
            )
        return call


def _is_repeatable(method: str | bytes) -> bool:
    """Whether the method of a path can be called again without harm."""
    path = method.decode() if isinstance(method, bytes) else method
    name = path.rpartition("/")[2]
    return name in _REPEATABLE or name.startswith(_READS)


class SharedAnswer:
    """The answer of a write, to come or there: a ``grpc.Future``."""

    def __init__(self, answer: Any, meaning: Callable[[Exception], Exception]) -> None:
        self._answer = answer
        self._meaning = meaning

    def result(self, timeout: float | None = None) -> Any:
        """The reply.

        Raises:
            grpc.RpcError: the call failed.
            grpc.FutureTimeoutError: there is no answer yet.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._answer.result(timeout)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """What the call failed with, if it did."""
        error = self._answer.exception(timeout)
        return None if error is None else self._meaning(error)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` with this object once there is an answer."""
        self._answer.add_done_callback(lambda _: fn(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)


grpc.Future.register(SharedAnswer)
grpc.Call.register(SharedAnswer)


class SharedCallError(grpc.RpcError, grpc.Call, grpc.Future):  # type: ignore[misc]
    """A call that failed because of its owner. Like grpcio's, its own answer too."""

    def __init__(self, code: Any, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> Any:
        """The status code of gRPC."""
        return self._code

    def details(self) -> str:
        """Why the call failed."""
        return self._details

    def result(self, timeout: float | None = None) -> Any:
        """Nothing.

        Raises:
            SharedCallError: itself, always.
        """
        raise self

    def exception(self, timeout: float | None = None) -> Exception:
        """Itself."""
        return self

    def traceback(self, timeout: float | None = None) -> None:
        """Nothing: an answer has no stack."""

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Call ``fn`` with this object at once."""
        fn(self)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Nothing to wait for."""
        return False

    def done(self) -> bool:
        """Always."""
        return True

    def cancel(self) -> bool:
        """Never."""
        return False

    cancelled = running = is_active = cancel

    def time_remaining(self) -> None:
        """None: the call has ended."""

    def initial_metadata(self) -> tuple[()]:
        """None was sent."""
        return ()

    trailing_metadata = initial_metadata
