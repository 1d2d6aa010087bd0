"""Errors as Milvus' ``Status``, and the few that end a call at gRPC's level instead.

Code, flags and text come from the error's class; only the numbers of the old error
enumeration, which clients up to 2.3 look at, are kept here.
"""

from __future__ import annotations

from enum import IntEnum

from elanus.errors import CollectionUnknown, ElanusError, RateLimited
from elanus.server.grpc.messages import SERVICE, Message, Method, message_class

_UNEXPECTED = 1
# merr code: number in the old enumeration. Every other code is an unexpected error.
_LEGACY_CODE = {
    1: 56,
    3: 52,
    7: 54,
    8: 49,
    9: 48,
    11: 55,
    100: 4,
    109: 62,
    110: 56,
    200: 15,
    400: 15,
    401: 46,
    501: 15,
    503: 46,
    505: 55,
    506: 46,
    600: 47,
    700: 25,
    904: 50,
    905: 46,
    1100: 5,
    1101: 5,
    1102: 5,
}
UNIMPLEMENTED_CODE = 10
# How a server that drains refuses a call, which it did not begin: it can be repeated.
STOPPING = "the server is stopping"


class GrpcCode(IntEnum):
    """gRPC's own status codes, as far as the server sends them.

    Clients repeat a call after the others (UNKNOWN, INTERNAL, ...) for minutes.
    """

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


def unknown_method(name: str) -> str:
    """What gRPC servers say of a method they do not have."""
    return f"unknown method {name} for service {SERVICE}"


def status_of(error: ElanusError) -> Message:
    """An error as a ``Status``."""
    text = str(error).encode("utf-8", "replace").decode()
    legacy = _LEGACY_CODE.get(error.code, _UNEXPECTED)
    if isinstance(error, CollectionUnknown):
        # clients of 2.2 ask by describing, and know "no such collection" by this number
        # and the text; later ones by the code
        legacy = _UNEXPECTED
    status = message_class("common.Status")(
        error_code=legacy,
        reason=text,
        code=error.code,
        # a caller's fault is not mended by repeating it
        retriable=error.retriable and not error.is_input_error,
        detail=text,
    )
    if error.is_input_error:
        status.extra_info["is_input_error"] = "true"
    return status


def error_reply(method: Method, error: ElanusError) -> bytes | None:
    """A method's reply that says what went wrong; ``None`` if it has no such place."""
    return _reply_with(method, status_of(error), error.rows_refused)


def unimplemented_reply(method: Method) -> bytes | None:
    """A method's reply that says it is not built; ``None`` if it has no such place."""
    text = f"service unimplemented: {method.name}"
    status = message_class("common.Status")(
        error_code=_UNEXPECTED, reason=text, code=UNIMPLEMENTED_CODE, detail=text
    )
    return _reply_with(method, status)


def busy(limit_bytes: int) -> ElanusError:
    """The server holds as many bytes of requests as it may; repeat the call."""
    return RateLimited(
        "request is rejected, please retry later: the server is busy with "
        f"{limit_bytes} bytes of requests"
    )


def _reply_with(method: Method, status: Message, rows_refused: int = 0) -> bytes | None:
    if method.status_field is None:
        return None
    if not method.status_field:
        content: bytes = status.SerializeToString()
        return content
    reply = method.reply()
    getattr(reply, method.status_field).CopyFrom(status)
    if rows_refused:
        reply.err_index.extend(range(rows_refused))
    content = reply.SerializeToString()
    return content
