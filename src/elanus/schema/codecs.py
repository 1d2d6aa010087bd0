"""From what a user gives to a checked column: one codec per family of types.

Input may be a list (``None`` for null), a NumPy array, a pandas Series or an Arrow
array. The result is a column of :mod:`elanus.schema.columns` that keeps no reference
to memory the caller can change, vectors excepted (they are copied on arrival in a
segment; their codecs are in :mod:`elanus.schema.vector_codecs`). Texts follow Milvus.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import InvalidParameter
from elanus.schema import limits
from elanus.schema.arrays import array_of, array_of_plain, array_of_texts, values_of
from elanus.schema.columns import Column, copied
from elanus.schema.schema import FieldSchema
from elanus.schema.time_texts import UnreadableTime, microseconds
from elanus.schema.timestamptz import encode_times
from elanus.schema.types import DataType
from elanus.schema.vector_codecs import encode_vectors, not_a_number
from elanus.schema.wkt import shown_geometries
from elanus.schema.zones import UTC

Codec = Callable[[FieldSchema, Any], Column]


def encode(field: FieldSchema, values: Any) -> Column:
    """Check ``values`` against ``field`` and return them as a column.

    Raises:
        InvalidParameter: a value has the wrong type, range, length or dimension; the
            message names the field and the row.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return CODECS[field.dtype.row.family](field, values)


def encode_default(field: FieldSchema, value: Any, zone: str = UTC) -> Any:
    """Check a default value and return it as the schema keeps it.

    Args:
        zone: of a point in time that names none; it comes back as microseconds.

    Raises: as :func:`encode`.
    """
    if field.dtype is DataType.TIMESTAMPTZ and isinstance(value, str):
        try:
            return microseconds(value, zone)
        except UnreadableTime as error:
            raise InvalidParameter(error.reason) from None
    column = shown(field, encode(field, [value]))
    assert isinstance(column, pa.Array)
    return column[0].as_py()


def shown(field: FieldSchema, column: Column) -> Column:
    """A stored column as answers show it: what :func:`encode` took."""
    show = _SHOWN.get(field.dtype.row.family)
    return column if show is None else show(column)


def _mismatch(field: FieldSchema, needed: str, values: Any) -> InvalidParameter:
    got = values.type if isinstance(values, pa.Array) else type(values).__name__
    if isinstance(values, np.ndarray):
        got = f"{values.dtype} array of shape {values.shape}"
    elif isinstance(values, list) and values:
        got = type(next((v for v in values if v is not None), None)).__name__
    return InvalidParameter(
        f"field '{field.name}' is illegal, array type mismatch",
        expected=f"need {needed} array",
        actual=f"got {got}",
    )


def _as_arrow(field: FieldSchema, values: Any, needed: str) -> pa.Array:
    """``values`` as an Arrow array of whatever type they have."""
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise _mismatch(field, needed, values)
    if isinstance(values, str | bytes | dict | Set) or not hasattr(values, "__len__"):
        raise _mismatch(field, needed, values)
    try:
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            return array_of(values)
        if isinstance(values, list | tuple):
            return array_of_plain(values)
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise _mismatch(field, needed, values) from error


def _encode_bool(field: FieldSchema, values: Any) -> pa.Array:
    array = _as_arrow(field, values, "bool")
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.bool_())
    if not pa.types.is_boolean(array.type):
        raise _mismatch(field, "bool", values)
    return copied(array)


def _encode_integer(field: FieldSchema, values: Any) -> pa.Array:
    array = _as_arrow(field, values, "int")
    target = field.arrow_type
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    if not pa.types.is_integer(array.type):
        raise _mismatch(field, "int", values)
    if array.type == target:
        return copied(array)
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        pass
    bounds = np.iinfo(field.dtype.row.numpy)
    for row, value in enumerate(array.to_pylist()):
        if value is not None and not bounds.min <= value <= bounds.max:
            raise InvalidParameter(
                f"the {row}th element ({value}) out of range: "
                f"[{bounds.min}, {bounds.max}]",
                expected="integer doesn't overflow",
                actual="out of range",
            )
    raise _mismatch(field, "int", values)


def _encode_floating(field: FieldSchema, values: Any) -> pa.Array:
    raw = values
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        values = array_of(values)
    elif isinstance(values, list | tuple):
        try:
            values = array_of_plain(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise _mismatch(field, "float", raw) from error
    array = _as_arrow(field, values, "float")
    target = field.arrow_type
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    if not (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        raise _mismatch(field, "float", raw)
    out = copied(array) if array.type == target else array.cast(target, safe=False)
    # the value in the place of a null may be anything
    if (
        not np.isfinite(values_of(out)).all()
        and pc.min(pc.is_finite(out)).as_py() is False
    ):
        row = pc.index(pc.is_finite(out), pa.scalar(False)).as_py()
        raise InvalidParameter(not_a_number(array[row].as_py()))
    return out


def _encode_string(field: FieldSchema, values: Any) -> pa.Array:
    array = _as_arrow(field, values, "string")
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.large_string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not (
        pa.types.is_string(array.type)
        or pa.types.is_large_string(array.type)
        or pa.types.is_string_view(array.type)
    ):
        raise _mismatch(field, "string", values)
    if array.type == pa.large_string():
        out = copied(array)
    else:
        out = array.cast(pa.large_string())
    limit = field.max_length if field.dtype is DataType.VARCHAR else None
    if limit is not None and not (field.is_primary and field.auto_id):
        lengths = pc.binary_length(out)
        longest = pc.max(lengths).as_py()
        if longest is not None and longest > limit:
            row = pc.index(pc.greater(lengths, limit), pa.scalar(True)).as_py()
            raise InvalidParameter(
                f"length of varchar field {field.name} exceeds max length, row number: "
                f"{row}, length: {lengths[row].as_py()}, max length: {limit}"
            )
    return out


def json_bytes(value: Any) -> bytes:
    """Compact JSON text of a Python value (integers beyond 64 bits included)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _encode_json(field: FieldSchema, values: Any) -> pa.Array:
    """Python values become JSON text; ``bytes`` are taken as JSON text already."""
    if isinstance(values, pa.Array):
        if (
            pa.types.is_large_binary(values.type)
            or pa.types.is_binary(values.type)
            or pa.types.is_large_string(values.type)
            or pa.types.is_string(values.type)
        ):
            values = values.to_pylist()
        else:
            values = values.to_pylist()
    if not isinstance(values, Sequence | np.ndarray) and not hasattr(values, "tolist"):
        raise _mismatch(field, "json", values)
    out: list[bytes | None] = []
    for row, value in enumerate(values):
        if value is None:
            out.append(None)
            continue
        try:
            if isinstance(value, bytes):
                orjson.loads(value)
                text = value
            else:
                text = json_bytes(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameter(
                f"json field '{field.name}' is illegal, row {row}: {error}"
            ) from error
        if len(text) > limits.JSON_BYTES:
            raise _json_too_long(field, len(text))
        out.append(text)
    return array_of_texts(out, pa.large_binary())


def _json_too_long(field: FieldSchema, length: int) -> InvalidParameter:
    what = "dynamic field" if field.is_dynamic else f"json field ({field.name})"
    kind = "dynamic field" if field.is_dynamic else "json string"
    return InvalidParameter(
        f"the length ({length}) of {what} exceeds max length ({limits.JSON_BYTES})",
        expected=f"valid length {kind}",
        actual="length exceeds max length",
    )


def _encode_array(field: FieldSchema, values: Any) -> pa.Array:
    element = FieldSchema(
        name=field.name,
        dtype=field.element_type or DataType.INT64,
    )
    if isinstance(values, pa.Array):
        lists = values
    else:
        rows = [
            v.tolist() if isinstance(v, np.ndarray) else v for v in _iterable(values)
        ]
        if any(v is not None and not isinstance(v, list | tuple) for v in rows):
            raise _mismatch(field, "array", values)
        try:
            lists = pa.array(rows, pa.large_list(_inferred(rows, element)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise InvalidParameter(
                "insert data does not match",
                expected=f"{element.dtype.row.family} array",
                actual=f"field {field.name}: {error}",
            ) from error
    if pa.types.is_null(lists.type):
        return pa.nulls(len(lists), field.arrow_type)
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        raise _mismatch(field, "array", values)
    lists = lists.cast(pa.large_list(lists.type.value_type))
    return _checked_lists(field, element, lists)


def _iterable(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


def _inferred(rows: list[Any], element: FieldSchema) -> pa.DataType:
    """Widest Arrow type of the element's family, so that range errors are ours."""
    if element.dtype.is_integer:
        return pa.int64()
    if element.dtype.is_floating:
        return pa.float64()
    return element.arrow_type


def _checked_lists(
    field: FieldSchema, element: FieldSchema, lists: pa.LargeListArray
) -> pa.Array:
    lengths = pc.list_value_length(lists)
    longest = pc.max(lengths).as_py()
    if field.max_capacity is not None and (longest or 0) > field.max_capacity:
        row = pc.index(pc.greater(lengths, field.max_capacity), pa.scalar(True)).as_py()
        raise InvalidParameter(
            f"the length ({lengths[row].as_py()}) of {row}th array exceeds max "
            f"capacity ({field.max_capacity})",
            expected="valid length array",
            actual="array length exceeds max capacity",
        )
    flat = lists.flatten()
    if flat.null_count:
        raise InvalidParameter(f"array field '{field.name}' has a null element")
    if element.dtype.is_floating:
        elements: Any = flat.cast(element.arrow_type, safe=False)
    else:
        elements = encode(element, flat)
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(values_of(pc.fill_null(lengths, 0)), out=offsets[1:])
    if field.max_length is not None and element.dtype is DataType.VARCHAR:
        _check_element_lengths(field, elements, offsets)
    mask = lists.is_null() if lists.null_count else None
    return pa.LargeListArray.from_arrays(
        array_of(offsets), elements, type=field.arrow_type, mask=mask
    )


def _check_element_lengths(
    field: FieldSchema, elements: pa.Array, offsets: npt.NDArray[np.int64]
) -> None:
    lengths = pc.binary_length(elements)
    if (pc.max(lengths).as_py() or 0) <= (field.max_length or 0):
        return
    place = pc.index(pc.greater(lengths, field.max_length), pa.scalar(True)).as_py()
    row = int(np.searchsorted(offsets, place, "right")) - 1
    raise InvalidParameter(
        f'length of Array array field "{field.name}" exceeds max length, row number: '
        f"{row}, array index: {place - int(offsets[row])}, length: "
        f"{lengths[place].as_py()}, max length: {field.max_length}"
    )


def _encode_geometry(field: FieldSchema, values: Any) -> pa.Array:
    # GEOS is loaded by what meets a geometry
    from elanus.schema.geometry import wkb_of_texts

    array = _as_arrow(field, values, "geometry")
    if not len(array) or pa.types.is_null(array.type):
        return pa.nulls(len(array), field.arrow_type)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise _mismatch(field, "geometry", values)
    return wkb_of_texts(array)


CODECS: dict[str, Codec] = {
    "bool": _encode_bool,
    "integer": _encode_integer,
    "floating": _encode_floating,
    "string": _encode_string,
    "text": _encode_string,
    "time": encode_times,
    "json": _encode_json,
    "geometry": _encode_geometry,
    "array": _encode_array,
    "vector": encode_vectors,
    "vectors": encode_vectors,
}
_SHOWN: dict[str, Callable[[Any], Column]] = {"geometry": shown_geometries}
