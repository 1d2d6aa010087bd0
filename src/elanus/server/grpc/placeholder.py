"""Query vectors from the wire's packed form, the placeholder group."""

from __future__ import annotations

import numpy as np

from elanus.errors import InvalidParameter
from elanus.schema.sparse import sparse_from_bytes
from elanus.schema.types import TYPES
from elanus.server.grpc.messages import DecodeError, message_class
from elanus.service.requests import Queries

_VECTORS = {int(dtype): row.vector for dtype, row in TYPES.items() if row.vector}
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
    vector = _VECTORS.get(placeholder.type)
    if vector is None or not values:
        return Queries(placeholder.type, None, tuple(values))
    if vector.numpy is None:
        return Queries(placeholder.type, sparse_from_bytes(values))
    size = len(values[0])
    is_even = len(values) == 1 or all(len(value) == size for value in values)
    width = vector.numpy.itemsize
    if size % width or not is_even:
        raise InvalidParameter(
            f"vector dimension mismatch: query vectors differ in length or are not "
            f"made of {width}-byte values"
        )
    packed = values[0] if len(values) == 1 else b"".join(values)
    vectors = np.frombuffer(packed, vector.numpy)
    return Queries(placeholder.type, vectors.reshape(len(values), size // width))
