"""From a received call to its answer: limits, threads, errors.

Receiving threads only check and queue, and decode what is small. Working threads do the
rest, in lanes, so that reads never wait behind a write that waits for its sync.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from elanus.errors import (
    ElanusError,
    InternalError,
    NotAuthenticated,
    PermissionDenied,
)
from elanus.server.grpc.backlog import Backlog
from elanus.server.grpc.handlers import ABSENT, HANDLERS, Handler, Lane
from elanus.server.grpc.messages import METHODS, DecodeError
from elanus.server.grpc.status import (
    STOPPING,
    GrpcCode,
    busy,
    error_reply,
    unimplemented_reply,
    unknown_method,
)
from elanus.server.grpc.transport import Call, Metadata
from elanus.service.replies import Reply
from elanus.service.requests import RequestContext, Service

DEFAULT_DATABASE = "default"
# A larger request is decoded by the thread that serves it: small ones wait behind it.
_DECODED_ON_ARRIVAL_BYTES = 64 << 10
_LONG_NICENESS = 10
# What a waiting call costs beside its payload, about.
_CALL_BYTES = 2 << 10
_log = logging.getLogger("elanus.server")


def _nothing() -> None:
    """What a thread does before its first call, unless told otherwise."""


def _threads_here() -> Mapping[Lane, int]:
    cores = max(2, os.cpu_count() or 2)
    return {Lane.READ: cores, Lane.LONG: cores, Lane.REMOTE: 8, Lane.OTHER: 8}


def _give_way() -> None:
    """Let the calling thread run after all others of the process, where that is known.

    Linux has the setting per thread. A client waits for a long read anyway; a short one
    that has to share its processor with one takes several times as long.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it; then they share evenly
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LONG_NICENESS)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the server takes on.

    Attributes:
        request_bytes: the largest request; a larger one is refused for good.
        in_flight_bytes: of all requests received and not answered; beyond it clients
            are asked to come again.
        threads: how many serve each lane.
        on_thread_start: run by each of them first.
    """

    request_bytes: int = 64 << 20
    in_flight_bytes: int = 512 << 20
    threads: Mapping[Lane, int] = field(default_factory=_threads_here)
    on_thread_start: Callable[[], None] = _nothing


class Dispatcher:
    """Serves calls from any number of transports with one service."""

    def __init__(
        self,
        service: Service,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the working threads; :meth:`close` ends them."""
        self._service = service
        self.limits = limits or Limits()
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._in_flight_bytes = 0
        self._open_calls = 0
        self._is_draining = False
        self._prepared = threading.local()
        self._backlogs = {lane: Backlog() for lane in Lane}
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(lane,),
                name=f"elanus-{lane.value}-{number}",
                daemon=True,
            )
            for lane in Lane
            for number in range(self.limits.threads[lane])
        ]
        for thread in self._threads:
            thread.start()

    @property
    def in_flight_bytes(self) -> int:
        """Of requests received and not answered yet."""
        return self._in_flight_bytes

    @property
    def waiting(self) -> int:
        """Calls received that no thread serves yet."""
        return sum(len(backlog) for backlog in self._backlogs.values())

    def submit(self, call: Call) -> None:
        """Take over a call; its answer comes from another thread."""
        backlog = self._accept(call)
        if backlog is not None:
            backlog.put(call)

    def submit_together(self, calls: Sequence[Call]) -> None:
        """Take over calls that arrived at the same time.

        Waking a thread costs about as much as all the Python of a small search, so
        short ones without other company are served by the thread that received them:
        the first of them, and those that can be handled with it.
        """
        chosen: list[Call] = []
        has_company = len(self._backlogs[Lane.READ]) > 0
        for call in calls:
            backlog = self._accept(call)
            if backlog is None:
                continue
            if not has_company and self._joins(call, chosen):
                chosen.append(call)
            else:
                backlog.put(call)
        if chosen:
            self._prepare_thread()
            self._serve(chosen)

    def _accept(self, call: Call) -> Backlog | None:
        """Where a call waits for a thread; ``None`` if it is answered already."""
        handler = self._admit(call)
        if handler is None:
            return None
        if call.size_bytes <= _DECODED_ON_ARRIVAL_BYTES and not self._decode(
            call, handler
        ):
            self._release(call)
            return None
        return self._backlogs[self._lane_of(call, handler)]

    def _joins(self, call: Call, chosen: list[Call]) -> bool:
        """Whether a call is short, and can be handled with those chosen before."""
        if call.request is None:
            return False
        if chosen and (call.plan_key is None or call.plan_key != chosen[0].plan_key):
            return False
        return self._service.is_short(call.request, len(chosen) + 1)

    def _lane_of(self, call: Call, handler: Handler) -> Lane:
        if handler.lane is not Lane.READ:
            return handler.lane
        if call.request is None or self._service.is_long(call.request):
            return Lane.LONG
        if self._service.waits(call.request):
            return Lane.REMOTE
        return Lane.READ

    def _prepare_thread(self) -> None:
        """Once in a thread that was not started here."""
        if not getattr(self._prepared, "is_done", False):
            self.limits.on_thread_start()
            self._prepared.is_done = True

    def answer(self, call: Call) -> None:
        """Serve a call in the caller's own thread."""
        if self._admit(call) is not None:
            self._serve([call])

    def drain(self, grace_s: float) -> bool:
        """Refuse new calls and wait for those at work; false if time ran out."""
        with self._idle:
            self._is_draining = True
            return self._idle.wait_for(lambda: not self._open_calls, grace_s)

    def close(self, grace_s: float | None = None) -> None:
        """Serve what waits, and end the threads, without waiting longer for any."""
        with self._lock:
            self._is_draining = True
        for lane, backlog in self._backlogs.items():
            backlog.close(self.limits.threads[lane])
        for thread in self._threads:
            thread.join(grace_s)

    # --- on arrival -----------------------------------------------------------------

    def _admit(self, call: Call) -> Handler | None:
        """The call's handler, its bytes counted; ``None`` if it is answered already."""
        limit = self.limits.request_bytes
        if call.size_bytes > limit:
            call.fail(
                GrpcCode.RESOURCE_EXHAUSTED,
                f"grpc: received message larger than max ({call.size_bytes} vs. "
                f"{limit})",
            )
            return None
        handler = HANDLERS.get(call.method)
        if handler is None:
            self._answer_without_handler(call)
            return None
        bound = self.limits.in_flight_bytes
        size = call.size_bytes + _CALL_BYTES
        with self._lock:
            is_refused = self._is_draining
            is_busy = self._open_calls > 0 and self._in_flight_bytes + size > bound
            if not is_refused and not is_busy:
                self._in_flight_bytes += size
                self._open_calls += 1
                return handler
        if is_refused:
            call.fail(GrpcCode.UNAVAILABLE, STOPPING)
        else:
            self._respond_with_error(call, busy(bound))
        return None

    def _answer_without_handler(self, call: Call) -> None:
        if call.method in METHODS and call.method not in ABSENT:
            reply = unimplemented_reply(METHODS[call.method])
            if reply is not None:
                call.respond(reply)
                return
        call.fail(GrpcCode.UNIMPLEMENTED, unknown_method(call.method))

    def _release(self, call: Call) -> None:
        with self._lock:
            self._in_flight_bytes -= call.size_bytes + _CALL_BYTES
            self._open_calls -= 1
            if self._is_draining and not self._open_calls:
                self._idle.notify_all()

    def _decode(self, call: Call, handler: Handler) -> bool:
        """Make the call's request; false if it has none and was answered."""
        try:
            message = handler.parse(METHODS[call.method].request, call.payload)
            call.request = handler.decode(message, database_of(call.metadata))
            call.payload = b""
            call.plan_key = self._service.plan_key(call.request)
            return True
        except DecodeError as error:
            call.fail(
                GrpcCode.INVALID_ARGUMENT, f"grpc: error unmarshalling request: {error}"
            )
        except ElanusError as error:
            self._respond_with_error(call, error)
        except Exception as error:  # noqa: BLE001 (told to the client and the log)
            self._respond_with_surprise(call, error)
        return False

    # --- in a working thread --------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        if lane is Lane.LONG:
            _give_way()
        self.limits.on_thread_start()
        backlog = self._backlogs[lane]
        while (calls := backlog.take()) is not None:
            try:
                self._serve(calls, backlog)
            except Exception:  # noqa: BLE001 (a dead thread is missing for good)
                _log.exception("%s could not be answered", calls[0].method)

    def _serve(self, calls: list[Call], backlog: Backlog | None = None) -> None:
        """Answer calls of one plan key, or a single one.

        With a backlog, a long call goes back there after each step.
        """
        is_put_back = False
        try:
            wanted = [call for call in calls if self._is_wanted(call)]
            if len(wanted) > 1:
                self._run_together(wanted)
            elif wanted:
                if self._is_astray(wanted[0], backlog):
                    remote = self._backlogs[Lane.REMOTE]
                    is_put_back = remote.put_back(wanted[0])
                while not (is_put_back or self._run(wanted[0], backlog)):
                    is_put_back = backlog is not None and backlog.put_back(wanted[0])
        finally:
            if not is_put_back:
                for call in calls:
                    self._release(call)

    def _is_wanted(self, call: Call) -> bool:
        """Whether somebody waits for the answer, and there is a request to answer."""
        if call.is_cancelled:
            return False
        if call.deadline is not None and self.monotonic() >= call.deadline:
            call.fail(GrpcCode.DEADLINE_EXCEEDED, "deadline exceeded in the queue")
            return False
        return call.request is not None or self._decode(call, HANDLERS[call.method])

    def _is_astray(self, call: Call, backlog: Backlog | None) -> bool:
        """Whether a call that was too large to be read on arrival waits for others."""
        if backlog is not self._backlogs[Lane.LONG] or call.work is not None:
            return False
        return call.request is not None and self._service.waits(call.request)

    def _run(self, call: Call, backlog: Backlog | None) -> bool:
        """Answer a call; false if more steps of it are to be done."""
        assert call.request is not None
        answer: Reply | ElanusError | None
        try:
            context = context_of(call)
            if backlog is not None and call.work is None:
                call.work = self._service.steps(call.request, context)
            if call.work is None:
                answer = self._service.handle(call.request, context)
            else:
                answer = call.work.advance()
        except ElanusError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 (told to the client and the log)
            self._respond_with_surprise(call, error)
            return True
        if answer is None:
            return False
        self._send(call, answer)
        return True

    def _run_together(self, calls: list[Call]) -> None:
        requests = [call.request for call in calls if call.request is not None]
        contexts = [context_of(call) for call in calls]
        answers: Sequence[Reply | ElanusError]
        try:
            answers = self._service.handle_together(requests, contexts)
        except ElanusError as error:
            answers = [error] * len(calls)
        except Exception as error:  # noqa: BLE001 (told to the clients and the log)
            for call in calls:
                self._respond_with_surprise(call, error)
            return
        for call, answer in zip(calls, answers, strict=True):
            self._send(call, answer)

    def _send(self, call: Call, answer: Reply | ElanusError) -> None:
        if isinstance(answer, NotAuthenticated):
            call.fail(GrpcCode.UNAUTHENTICATED, str(answer))
        elif isinstance(answer, PermissionDenied):
            call.fail(GrpcCode.PERMISSION_DENIED, str(answer))
        elif isinstance(answer, ElanusError):
            self._respond_with_error(call, answer)
        else:
            try:
                content = HANDLERS[call.method].encode(answer)
            except Exception as error:  # noqa: BLE001 (told to the client and the log)
                self._respond_with_surprise(call, error)
            else:
                call.respond(content)

    def _respond_with_error(self, call: Call, error: ElanusError) -> None:
        reply = error_reply(METHODS[call.method], error)
        assert reply is not None, "a method with a handler has a status in its reply"
        call.respond(reply)

    def _respond_with_surprise(self, call: Call, error: Exception) -> None:
        """A fault of ours is an answer, too, or clients repeat the call for minutes."""
        _log.error("%s failed", call.method, exc_info=error)
        text = f"{type(error).__name__}: {error}: service internal error"
        self._respond_with_error(call, InternalError(text))


def database_of(metadata: Metadata) -> str:
    """The database that a call's metadata names, else the default one."""
    for key, value in metadata:
        if key == "dbname" and value:
            return value if isinstance(value, str) else value.decode()
    return DEFAULT_DATABASE


def context_of(call: Call) -> RequestContext:
    """What the service is told about a call."""
    texts = {key: value for key, value in call.metadata if isinstance(value, str)}
    return RequestContext(
        authorization=texts.get("authorization", ""),
        client_id=texts.get("identifier", ""),
        request_id=texts.get("client-request-id", "")
        or texts.get("client_request_id", ""),
        peer=call.peer,
        deadline=call.deadline,
        is_cancelled=lambda: call.is_cancelled,
    )
