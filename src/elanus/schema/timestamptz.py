"""Columns of points in time from what users give: texts, dates, Arrow's timestamps.

A column holds int64 microseconds since 1970 in UTC. What names no zone is taken in the
collection's. Texts are in :mod:`elanus.schema.time_texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC as _UTC
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of_texts
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.time_texts import (
    UnreadableTime,
    numbers_of,
    times_of_texts,
    with_nulls_of,
)
from elanus.schema.zones import UTC, to_utc

TIMESTAMP: Final = pa.timestamp("us", UTC)
"""What a column is to users of Arrow."""


def encode_times(field: FieldSchema, values: Any, zone: str = UTC) -> pa.Array:
    """A checked column of a Timestamptz field, int64 microseconds.

    Args:
        values: a list of texts, ``datetime`` or ``datetime64``; a NumPy array of
            ``datetime64``, a pandas Series; an Arrow array of timestamps or texts.
        zone: of what names none.

    Raises:
        InvalidParameter: a value is no point in time; the message shows it.
    """
    array = _as_arrow(values)
    if array is None:
        raise InvalidParameter(
            f"timestamptz field data must be a string array, field name = {field.name}"
        )
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.int64())
    if pa.types.is_timestamp(array.type):
        wide = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        moments = wide.view(pa.int64())
        if array.type.tz is not None or zone == UTC:
            return moments
        return with_nulls_of(moments, to_utc(numbers_of(moments), zone))
    try:
        return times_of_texts(array.cast(pa.large_string()), zone)
    except UnreadableTime as error:
        raise InvalidParameter(
            f"got invalid timestamptz string '{error}': invalid timezone name; must be "
            f"a valid IANA Time Zone ID (e.g., 'Asia/Shanghai' or 'UTC')"
        ) from None


def in_zone(
    schema: CollectionSchema, columns: Mapping[str, Any], zone: str
) -> Mapping[str, Any]:
    """The columns of a write, their points in time independent of any zone.

    Raises:
        InvalidParameter: a value is no point in time.
    """
    told = {
        field.name: encode_times(field, columns[field.name], zone).view(TIMESTAMP)
        for field in schema.times
        if columns.get(field.name) is not None
    }
    return {**columns, **told} if told else columns


def _as_arrow(values: Any) -> pa.Array | None:
    """Texts or timestamps as an Arrow array; ``None`` for anything else."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if hasattr(values, "isna"):  # a pandas Series
        values = pa.array(values, from_pandas=True)
    if isinstance(values, pa.Array):
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        return values if _is_taken(values) else None
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return _from_datetime64(values) if values.ndim == 1 else None
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list | tuple):
        return None
    texts = values
    if not set(map(type, values)) <= {str, type(None)}:
        texts = [_text_of(value) for value in values]
        if False in texts:
            return None
    return array_of_texts(texts, pa.large_string())


def _is_taken(array: pa.Array) -> bool:
    kind = array.type
    return bool(
        pa.types.is_timestamp(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or array.null_count == len(array)
    )


def _text_of(value: Any) -> Any:
    """A date as text; ``False`` for what is none."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, datetime | np.datetime64):
        return False
    if value != value:  # "not a time", of pandas and of NumPy
        return None
    if isinstance(value, np.datetime64):
        return str(value.astype("M8[us]"))
    if value.tzinfo is not None:
        value = value.astimezone(_UTC)
    return value.isoformat()


def _from_datetime64(values: npt.NDArray[Any]) -> pa.Array:
    moments = np.ascontiguousarray(values.astype("M8[us]"))
    known = ~np.isnat(moments)
    bits = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    buffers = [bits, pa.py_buffer(moments.view(np.int64))]
    return pa.Array.from_buffers(pa.timestamp("us"), len(moments), buffers)
