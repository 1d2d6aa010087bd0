"""Files of a few named arrays, for indexes that no library writes for us.

Owns the layout (``docs/formats/arrays.md``). As all files of an index they are synced,
checksummed and verified by the caller, and opened by mapping them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from elanus.errors import CorruptionError

_MAGIC = b"ELARRAYS"
_VERSION = 1
_HEAD = struct.Struct("<8sII")
_ALIGNMENT = 64

Array = npt.NDArray[Any]


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write one-dimensional arrays of numbers to a file, neither synced nor checked.

    Raises:
        OSError: the system refused.
    """
    table = {name: [array.dtype.str, len(array)] for name, array in arrays.items()}
    header = orjson.dumps(table)
    with path.open("wb") as file:
        file.write(_HEAD.pack(_MAGIC, _VERSION, len(header)))
        file.write(header)
        for array in arrays.values():
            file.write(bytes(-file.tell() % _ALIGNMENT))
            file.write(np.ascontiguousarray(array).data)


def map_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file, read-only; they keep its mapping alive.

    Raises:
        CorruptionError: it is no such file, or shorter than it says.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, length = _HEAD.unpack_from(content)
        if magic != _MAGIC or version != _VERSION:
            raise CorruptionError(str(path), "is not a file of arrays")
        table = orjson.loads(content[_HEAD.size : _HEAD.size + length])
        arrays: dict[str, Array] = {}
        position = _HEAD.size + length
        for name, (dtype, count) in table.items():
            position += -position % _ALIGNMENT
            arrays[name] = np.frombuffer(content, dtype, count, position)
            position += arrays[name].nbytes
    except (ValueError, struct.error, OSError) as error:
        raise CorruptionError(str(path), f"not readable: {error}") from error
    return arrays
