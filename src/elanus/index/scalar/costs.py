"""What a scan of a column costs: the other side of the choice whether to use an index.

Microseconds a row, measured on 100,000 rows. They need to be right within a factor of
two only: near the line both ways are as good.
"""

from __future__ import annotations

from typing import Final

from elanus.expr import predicate as p
from elanus.expr.like import is_at_one_end
from elanus.schema.types import DataType

_NUMBER: Final = 0.0004
_NUMBERS_CLOSE: Final = 0.0014
_NUMBERS_APART: Final = 0.02
_STRING: Final = 0.0035
_STRINGS: Final = 0.018
_PREFIX: Final = 0.006
_PATTERN: Final = 0.04
_DECODING: Final = 1.0
_JSON: Final = 0.001
_ARRAY: Final = 0.01
_ELEMENT: Final = 0.02
_BOX: Final = 0.01
_FEW_MEMBERS: Final = 4


def scan_us(condition: p.Condition, n_rows: int, *, is_decoded: bool = True) -> float:
    """Estimated microseconds of evaluating a leaf on a whole column.

    Args:
        is_decoded: of a place in JSON documents, whether its values are known already.
    """
    return n_rows * (_row_us(condition) + (0.0 if is_decoded else _DECODING))


def _row_us(condition: p.Condition) -> float:
    if isinstance(condition, p.Contains):
        is_json = isinstance(condition.array, p.JsonPath)
        times = len(condition.values) if condition.needs_all else 1
        return (_JSON if is_json else _ARRAY) * times
    if isinstance(condition, p.Spatial):
        return _BOX
    if isinstance(condition, p.Exists):
        return _JSON
    operand = getattr(condition, "operand", None)
    if isinstance(operand, p.JsonPath):
        return max(_JSON, _value_us(condition, is_text=_is_text(condition)))
    if isinstance(operand, p.Element):
        is_text = operand.dtype is DataType.VARCHAR
        return _ELEMENT + _value_us(condition, is_text=is_text)
    is_text = isinstance(operand, p.Column) and operand.dtype is DataType.VARCHAR
    return _value_us(condition, is_text=is_text)


def _value_us(condition: p.Condition, *, is_text: bool) -> float:
    if isinstance(condition, p.Like):
        return _PREFIX if is_at_one_end(condition.pattern) else _PATTERN
    if isinstance(condition, p.Regex):
        return _PATTERN
    if isinstance(condition, p.StartsWith):
        return _PREFIX
    single = _STRING if is_text else _NUMBER
    if isinstance(condition, p.Between):
        return 2 * single
    if isinstance(condition, p.InList):
        if len(condition.values) <= _FEW_MEMBERS:
            return single * len(condition.values)
        if is_text:
            return _STRINGS
        is_close = _is_whole(condition.operand) and condition.members.lie_close
        return _NUMBERS_CLOSE if is_close else _NUMBERS_APART
    return single


def _is_whole(operand: p.Operand) -> bool:
    return isinstance(operand, (p.Column, p.Element)) and operand.dtype.is_integer


def _is_text(condition: p.Condition) -> bool:
    if isinstance(condition, p.Compare):
        return isinstance(condition.value, str)
    if isinstance(condition, p.Between):
        return isinstance(condition.low, str)
    if isinstance(condition, p.InList):
        return any(isinstance(value, str) for value in condition.values[:1])
    return False
