"""A client that speaks just enough HTTP/2 to misbehave: it need not read answers."""

from __future__ import annotations

import socket
import struct

from elanus.server.grpc.messages import METHODS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
FRAME_BYTES = 16_384
_TIMEOUT_S = 20.0


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """One frame."""
    return (
        struct.pack(">I", len(content))[1:]
        + struct.pack(">BBI", kind, flags, stream)
        + (content)
    )


def message(payload: bytes, claimed: int | None = None) -> bytes:
    """GRPC's prefix and a message, which may claim another length."""
    size = len(payload) if claimed is None else claimed
    return b"\0" + struct.pack(">I", size) + payload


def _headers(method: str) -> bytes:
    """Header fields as literals, which need no table."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", METHODS[method].path.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    return b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in fields
    )


class RawClient:
    """One connection."""

    def __init__(self, address: str, window: int = 65_535) -> None:
        """Connect; ``window`` is how much of each answer may be sent unasked."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _TIMEOUT_S)
        setting = struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self.send(PREFACE + frame(SETTINGS, 0, 0, setting))
        self._next_stream = 1

    def send(self, content: bytes) -> None:
        """Bytes as they are."""
        self._socket.sendall(content)

    def begin(self, method: str) -> int:
        """Open a call; returns its stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self.send(frame(HEADERS, END_HEADERS, stream, _headers(method)))
        return stream

    def call(self, method: str, payload: bytes) -> int:
        """A whole call of a small message; nobody reads the answer."""
        stream = self.begin(method)
        self.send(frame(DATA, END_STREAM, stream, message(payload)))
        return stream

    def read(self) -> bytes:
        """Something that the server sent; empty at the end."""
        return self._socket.recv(65_536)

    def vanish(self) -> None:
        """Be gone without a word."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()
