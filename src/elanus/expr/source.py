"""What a segment offers to evaluation, and scalar operands read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import InternalError
from elanus.expr import predicate as p
from elanus.expr.boxes import Boxes
from elanus.expr.durations import moved
from elanus.expr.jsonpath import Kind, Path, PathColumn
from elanus.expr.kleene import Bools, Mask, unknown_of, unpack_bits
from elanus.schema.arrays import array_of, values_of
from elanus.schema.types import DataType
from elanus.text.postings import Occurrences

Numeric: TypeAlias = npt.NDArray[Any]


class ColumnSource(Protocol):
    """The columns of some rows, usually one segment's. All have ``n_rows`` rows."""

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        ...

    def column(self, field_id: int) -> pa.Array:
        """A scalar column in its field's Arrow type, with validity."""
        ...

    def json_path(self, field_id: int, path: Path) -> PathColumn:
        """The values of a JSON path, cached; made by :func:`jsonpath.extract`."""
        ...

    def boxes(self, field_id: int) -> Boxes:
        """What surrounds geometries, cached; made by :func:`boxes.boxes_of`."""
        ...

    def texts(self, field_id: int) -> Occurrences:
        """Where the tokens of a column of texts stand."""
        ...


class IndexedSource:
    """Base of sources whose columns may have indexes that spare a scan."""

    __slots__ = ()

    def served(self, condition: p.Condition) -> Mask | None:
        """What an index answers, where that is quicker than a scan; or ``None``."""
        raise NotImplementedError

    def serves(self, condition: p.Condition) -> bool:
        """Whether an index answers a condition before its rows need be few."""
        raise NotImplementedError

    def served_elements(self, condition: p.Condition) -> Mask | None:
        """The same as :meth:`served` for the elements of an array, as rows."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Numbers:
    """A fixed-width operand. Values of unknown rows are arbitrary.

    Attributes:
        values: (n,) of the operand's dtype, or bool; read-only.
        unknown: (n,) bool, rows without a value; None when there are none.
    """

    values: Numeric
    unknown: Bools | None


@dataclass(frozen=True, slots=True)
class Strings:
    """A string operand; rows without a value are null."""

    values: pa.Array


def read(source: ColumnSource, operand: p.Operand) -> Numbers | Strings:
    """The values of an operand that is neither JSON nor a whole array."""
    if isinstance(operand, p.Column):
        return scalars(source.column(operand.field_id))
    if isinstance(operand, p.Element):
        return _read_element(source.column(operand.field_id), operand.index)
    if isinstance(operand, p.Length):
        return _read_length(source, operand.array)
    if isinstance(operand, p.Arithmetic):
        return _calculate(source, operand)
    if isinstance(operand, p.Moved):
        moments = read(source, operand.column)
        assert isinstance(moments, Numbers)
        return Numbers(moved(moments.values, operand.by), moments.unknown)
    raise InternalError(f"no scalar operand: {operand}")


def scalars(array: pa.Array) -> Numbers | Strings:
    """An Arrow column of scalars, without a copy where its width is fixed."""
    if array.type == pa.large_string():
        return Strings(array)
    return Numbers(fixed_width(array), unknown_of(array))


def fixed_width(array: pa.Array) -> Numeric:
    """The values buffer of a fixed-width Arrow array; bools are unpacked."""
    if array.type == pa.bool_():
        buffer = array.buffers()[1]
        if buffer is None:
            return np.zeros(len(array), np.bool_)
        return unpack_bits(buffer, array.offset, len(array))
    return values_of(array)


def list_bounds(
    array: pa.Array,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each row of a large_list begins in its values, and how long it is."""
    offsets = fixed_width(array.offsets)
    return offsets[:-1], np.diff(offsets)


def _read_element(array: pa.Array, index: int) -> Numbers | Strings:
    starts, lengths = list_bounds(array)
    absent = lengths <= index
    unknown = unknown_of(array)
    if unknown is not None:
        absent |= unknown
    elements = array.values
    if len(elements) == 0:
        return scalars(pa.nulls(len(array), elements.type))
    # Any existing place will do for the absent rows, their values are never used.
    places = starts + min(index, 1 << 62)
    places[absent] = 0
    if elements.type == pa.large_string() or elements.null_count:
        return scalars(elements.take(pa.array(places, mask=absent)))
    taken = fixed_width(elements)[places]
    return Numbers(taken, absent if absent.any() else None)


def _read_length(source: ColumnSource, array: p.Column | p.JsonPath) -> Numbers:
    if isinstance(array, p.JsonPath):
        found = source.json_path(array.field_id, array.path)
        unknown = found.kinds != Kind.ARRAY
        return Numbers(np.diff(found.offsets), unknown if unknown.any() else None)
    column = source.column(array.field_id)
    return Numbers(list_bounds(column)[1], unknown_of(column))


def _calculate(source: ColumnSource, operand: p.Arithmetic) -> Numbers:
    if isinstance(operand.operand, p.JsonPath):
        raise InternalError("JSON arithmetic has an evaluator of its own")
    inner = read(source, operand.operand)
    assert isinstance(inner, Numbers)
    if operand.dtype is DataType.INT64:
        divisor = int(operand.number)
        if operand.op == "%" and 1 < divisor <= np.iinfo(inner.values.dtype).max:
            # nothing overflows, and narrow integers take half the time
            rest = np.fmod(inner.values, inner.values.dtype.type(divisor))
            return Numbers(rest, inner.unknown)
        whole = inner.values.astype(np.int64, copy=False)
        return Numbers(integer_result(operand.op, whole, operand.number), inner.unknown)
    doubles = inner.values.astype(np.float64, copy=False)
    return Numbers(float_result(operand.op, doubles, operand.number), inner.unknown)


def integer_result(op: str, values: Numeric, number: int | float) -> Numeric:
    """``values op number`` in int64: wrapping round, truncating toward zero."""
    divisor = int(number)
    if op == "+":
        return values + np.int64(divisor)
    if op == "-":
        return values - np.int64(divisor)
    if op == "*":
        return values * np.int64(divisor)
    if op in _BITS:
        bits: Numeric = _BITS[op](values, np.int64(divisor))
        return bits
    if divisor == -1:
        # The one quotient that overflows (the minimum's) wraps round, as negation does.
        return np.negative(values) if op == "/" else np.zeros_like(values)
    if op == "%":
        return np.fmod(values, np.int64(divisor))
    # NumPy's integer division rounds down, Arrow's toward zero.
    return fixed_width(pc.divide(array_of(values), pa.scalar(divisor, pa.int64())))


_BITS: dict[str, Callable[[Any, Any], Any]] = {
    "&": np.bitwise_and,
    "|": np.bitwise_or,
    "^": np.bitwise_xor,
}


def float_result(op: str, values: Numeric, number: int | float) -> Numeric:
    """``values op number`` in double."""
    with np.errstate(all="ignore"):
        if op == "+":
            return values + number
        if op == "-":
            return values - number
        if op == "*":
            return values * number
        return values / number if op == "/" else np.fmod(values, number)
