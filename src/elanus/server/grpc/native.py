"""The default transport: HTTP/2 in Rust threads, calls to Python in batches.

The library has no limit on a message's size and no bound on its queue, so the queue is
always emptied, and the dispatcher refuses what is too much. It binds a Unix socket over
a live one without a word: whoever opens one holds the folder's lock first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pygrpc_native import EVENT_CALL, NativeGrpcFront

from elanus.server.grpc.messages import METHODS
from elanus.server.grpc.status import GrpcCode
from elanus.server.grpc.transport import Call, Receiver

_BATCH = 64
_METADATA_BYTES = 64 << 10
# Closing discards answers that are not on the network yet, and nothing tells when they
# are; 5 MB to a client on the same machine are out after 10 ms.
_SENDING_S = 0.2


class NativeTransport:
    """Serves one address through ``pygrpc-native``. No TLS, no Windows."""

    def __init__(
        self,
        target: str,
        receiver: Receiver,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind ``host:port`` (0 for any port) or ``unix:path``.

        Raises:
            OSError: the address is taken or cannot be bound.
        """
        self._names = [name for name in METHODS if not METHODS[name].is_streaming]
        self._front = NativeGrpcFront(
            target,
            [(METHODS[name].path, False) for name in self._names],
            call_details=True,
            max_metadata_size=_METADATA_BYTES,
        )
        self._target = target
        self._receiver = receiver
        self._monotonic = monotonic
        self._open: dict[int, _NativeCall] = {}
        self._sent = _Sent(self._front, monotonic)
        self._thread = threading.Thread(
            target=self._receive, name="elanus-receive", daemon=True
        )
        self._is_stopped = False

    @property
    def address(self) -> str:
        """Where clients reach it, ``host:port`` or ``unix:path``."""
        if self._target.startswith("unix:"):
            return self._target
        host = self._target.rsplit(":", 1)[0]
        return f"{host}:{self._front.bound_port}"

    def start(self) -> None:
        """Begin to accept connections."""
        self._front.start()
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Refuse new calls, finish those at work, and close; may be called twice."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._receiver.drain(grace_s)
        unsent_s = self._sent.last_at + _SENDING_S - self._monotonic()
        if unsent_s > 0:
            threading.Event().wait(unsent_s)
        self._front.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _receive(self) -> None:
        front, names, open_calls = self._front, self._names, self._open
        while (events := front.recv_batch_details(_BATCH)) is not None:
            calls = []
            for kind, call_id, method_id, payload, _, details in events:
                if kind != EVENT_CALL:
                    gone = open_calls.pop(call_id, None)
                    if gone is not None:
                        gone.is_cancelled = True
                    continue
                metadata, peer, remaining_s = details or ((), "", None)
                deadline = (
                    None if remaining_s is None else self._monotonic() + remaining_s
                )
                call = _NativeCall(
                    names[method_id], payload or b"", metadata, peer, deadline
                )
                call.bind(self._sent, call_id, open_calls)
                open_calls[call_id] = call
                calls.append(call)
            self._receiver.submit_together(calls)


class _Sent:
    """Where answers go, and when the newest went."""

    def __init__(self, front: NativeGrpcFront, monotonic: Callable[[], float]) -> None:
        self.front = front
        self.last_at = -_SENDING_S
        self._monotonic = monotonic

    def note(self) -> None:
        """Remember that an answer goes out now."""
        self.last_at = self._monotonic()


class _NativeCall(Call):
    """A call that is answered by its number."""

    __slots__ = ("_id", "_open", "_sent")

    def bind(
        self, sent: _Sent, call_id: int, open_calls: dict[int, _NativeCall]
    ) -> None:
        """Say where the answer goes."""
        self._sent = sent
        self._id = call_id
        self._open = open_calls

    def respond(self, payload: bytes) -> None:
        """Send the reply. Does nothing if the client has gone."""
        self._open.pop(self._id, None)
        self._sent.front.respond(self._id, payload)
        self._sent.note()

    def fail(self, code: GrpcCode, message: str) -> None:
        """End the call without a reply. Does nothing if the client has gone."""
        self._open.pop(self._id, None)
        self._sent.front.fail(self._id, int(code), message)
        self._sent.note()
