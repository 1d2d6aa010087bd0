"""Numbers, and rows of vectors, from the messages that hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.errors import InvalidParameter
from elanus.schema.types import TYPES, VectorRow
from elanus.schema.vector_lists import VectorLists
from elanus.server.grpc.messages import Message, message_class

MAX_DIM = 1 << 20  # far beyond any limit; keeps sizes from overflowing

_VECTORS = {int(dtype): row.vector for dtype, row in TYPES.items() if row.vector}

# protobuf 7 lets NumPy copy repeated numbers as memory; before, value by value.
_HAS_ARRAYS = hasattr(message_class("schema.FloatArray")().data, "__array__")


def numbers(message: Message, dtype: str) -> npt.NDArray[Any]:
    """The values of a ``FloatArray``, ``LongArray`` and the like."""
    data = message.data
    if _HAS_ARRAYS:
        return np.array(data, dtype)
    if dtype in ("<f4", "<f8") and len(data):
        packed = message.SerializeToString()
        size = np.dtype(dtype).itemsize * len(data)
        return np.frombuffer(packed, dtype, offset=len(packed) - size)
    return np.fromiter(data, dtype, len(data))


def vector_lists(message: Message, name: str) -> VectorLists:
    """The rows of a ``VectorArray``; a row without a payload has no vectors.

    Raises:
        InvalidParameter: it contradicts itself.
    """
    vector, dim = _VECTORS.get(message.element_type), message.dim
    if vector is None or vector.numpy is None:
        raise InvalidParameter(
            f"field {name}: {message.element_type} is no type of vectors in an array"
        )
    if not 0 < dim <= MAX_DIM:
        raise InvalidParameter(f"invalid dimension: {dim} of field {name}")
    rows = [_row(row, vector, name) for row in message.data]
    width = vector.width(dim)
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    uneven = sizes % max(width, 1) != 0
    if not width or uneven.any():
        size = int(sizes[uneven][0]) if width else 0
        raise InvalidParameter(
            f"array of vector field {name} has invalid payload length {size}, should "
            f"be divisible by vector width {width}"
        )
    flat = np.concatenate(rows) if rows else np.empty(0, vector.numpy)
    return VectorLists.of(sizes // width, flat.reshape(-1, width))


def _row(row: Message, vector: VectorRow, name: str) -> npt.NDArray[Any]:
    """The stored values of one row's vectors, end to end."""
    slot = row.WhichOneof("data")
    assert vector.numpy is not None
    if slot is None:
        return np.empty(0, vector.numpy)
    if slot == "float_vector" and vector.slot == slot:
        return numbers(row.float_vector, "<f4")
    content = getattr(row, slot)
    if slot != vector.slot or len(content) % vector.numpy.itemsize:
        raise InvalidParameter(
            f"array of vector field {name} is illegal, array type mismatch",
            expected=f"need {vector.spoken}",
            actual=f"got {slot.replace('_', ' ')}",
        )
    return np.frombuffer(content, vector.numpy)
