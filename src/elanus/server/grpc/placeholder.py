"""Query vectors from the wire's packed form, the placeholder group."""

from __future__ import annotations

import numpy as np

from elanus.errors import InvalidParameter
from elanus.server.grpc.messages import DecodeError, message_class
from elanus.service.requests import Queries

FLOAT_VECTOR = 101
_FLOAT = np.dtype("<f4")
_Group = message_class("common.PlaceholderGroup")


def queries_from_bytes(content: bytes) -> Queries:
    """The queries in a serialized ``PlaceholderGroup``.

    Vectors share memory with the message when there is only one.

    Raises:
        InvalidParameter: it is damaged, or its vectors differ in length.
    """
    try:
        group = _Group.FromString(content)
    except DecodeError as error:
        raise InvalidParameter(f"failed to parse placeholder group: {error}") from error
    if len(group.placeholders) != 1:
        raise InvalidParameter(
            "a search takes one placeholder",
            expected=1,
            actual=len(group.placeholders),
        )
    placeholder = group.placeholders[0]
    values = placeholder.values
    if placeholder.type != FLOAT_VECTOR or not values:
        return Queries(placeholder.type, None, tuple(values))
    size = len(values[0])
    is_even = len(values) == 1 or all(len(value) == size for value in values)
    if size % 4 or not is_even:
        raise InvalidParameter(
            "vector dimension mismatch: query vectors differ in length or are not "
            "made of 4-byte floats"
        )
    packed = values[0] if len(values) == 1 else b"".join(values)
    vectors = np.frombuffer(packed, _FLOAT).reshape(len(values), size // 4)
    return Queries(FLOAT_VECTOR, vectors)
