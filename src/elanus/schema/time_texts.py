"""Points in time as texts, RFC 3339: read and written by the column.

In a column of them a value is int64 microseconds since 1970 in UTC. Texts are those
that Milvus takes and gives: a blank may stand for the T, an offset may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of, array_of_texts, values_of
from elanus.schema.zones import UTC, Instants, offsets_at, to_utc

_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3600 * _SECOND_US
_DATE_AND_TIME = len("2025-05-01T23:59:59")
_FORM = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?P<fraction>\.[0-9]+)?(?P<offset>Z|[+-][0-9]{2}(?::[0-9]{2})?)?$"
)
_OFFSET = re.compile(r"([+-])([0-9]{2})(?::([0-9]{2}))?\Z")
_LEAST_OFFSET_US, _GREATEST_OFFSET_US = -12 * _HOUR_US, 14 * _HOUR_US
_NO_OFFSET = -(1 << 62)
_SEPARATORS = re.compile(r"[,\s]+")


class UnreadableTime(Exception):
    """A text that is no point in time; carries it."""

    @property
    def reason(self) -> str:
        """What is wrong, in Milvus' words."""
        return f"invalid timestamp string: '{self}'. Does not match any known format"


@lru_cache(maxsize=1024)
def microseconds(text: str, zone: str) -> int:
    """One text as microseconds since 1970 in UTC; in ``zone``, if it names no offset.

    Raises:
        UnreadableTime: it is no point in time.
    """
    found = times_of_texts(array_of_texts([text], pa.large_string()), zone)
    return int(values_of(found)[0])


def times_of_texts(texts: pa.Array, zone: str) -> pa.Array:
    """A column of texts as microseconds; in ``zone``, where they name no offset.

    Raises:
        UnreadableTime: one is no point in time.
    """
    parts = pc.extract_regex(texts, _FORM)
    if parts.null_count > texts.null_count:
        raise _unreadable(texts, parts.is_null())
    moments = _seconds_of(texts) * _SECOND_US
    fraction = parts.field("fraction")
    if (pc.max(pc.binary_length(fraction)).as_py() or 0) > 0:
        digits = pc.utf8_rpad(pc.utf8_slice_codeunits(fraction, 1, 7), 6, "0")
        moments += numbers_of(digits.cast(pa.int64()))
    offsets = _offsets_of(texts, parts.field("offset"))
    naive = offsets == _NO_OFFSET
    found = moments - np.where(naive, 0, offsets)
    if zone != UTC and naive.any():
        found[naive] = to_utc(moments[naive], zone)
    return with_nulls_of(texts, found)


def texts_of_times(times: pa.Array, zone: str) -> pa.Array:
    """Microseconds as texts of a zone's clocks, ``Z`` for UTC's; nulls stay."""
    moments = numbers_of(times)
    offsets = offsets_at(moments, zone)
    seconds, fractions = np.divmod(moments + offsets, _SECOND_US)
    texts = np.datetime_as_string(seconds.view("M8[s]"))
    if fractions.any():
        digits = np.char.rstrip(np.char.mod(".%06d", fractions), "0")
        texts = np.char.add(texts, np.char.rstrip(digits, "."))
    distinct, places = np.unique(offsets, return_inverse=True)
    endings = np.array([_offset_text(o) for o in distinct.tolist()], np.str_)
    plain: list[Any] = np.char.add(texts, endings[places]).tolist()
    if times.null_count:
        known = _valid(times).tolist()
        plain = [text if ok else None for text, ok in zip(plain, known, strict=True)]
    return array_of_texts(plain, pa.large_string())


def parts_of_times(times: pa.Array, zone: str, names: Sequence[str]) -> pa.Array:
    """What a zone's clocks show: for each row a list of numbers, one for every name.

    Args:
        names: as :func:`part_names` returns them.
    """
    moments = numbers_of(times)
    local = (moments + offsets_at(moments, zone)).view("M8[us]")
    columns = [_PARTS[name](local) for name in names]
    flat = np.stack(columns, axis=1).astype(np.int64).reshape(-1)
    ends = np.arange(len(times) + 1, dtype=np.int64) * len(names)
    mask = times.is_null() if times.null_count else None
    return pa.LargeListArray.from_arrays(array_of(ends), array_of(flat), mask=mask)


def part_names(text: str) -> tuple[str, ...]:
    """The parts of a point in time that a text such as ``"year, month"`` names.

    Raises:
        InvalidParameter: there is no such part.
    """
    names = tuple(filter(None, _SEPARATORS.split(text.strip())))
    for name in names:
        if name not in _PARTS:
            raise InvalidParameter(
                f"unsupported field for extraction: {name}, fields should be seprated "
                f"by ',' or ' '"
            )
    return names


def numbers_of(times: pa.Array) -> Instants:
    """The values of a column, fresh; 0 for a null."""
    numbers = values_of(times).astype(np.int64)
    if times.null_count:
        numbers[~_valid(times)] = 0
    return numbers


def with_nulls_of(source: pa.Array, numbers: Instants) -> pa.Array:
    """Numbers as a column that is null where another one is."""
    if not source.null_count:
        return array_of(numbers)
    bits = pa.py_buffer(np.packbits(_valid(source), bitorder="little"))
    buffers = [bits, pa.py_buffer(np.ascontiguousarray(numbers))]
    return pa.Array.from_buffers(pa.int64(), len(numbers), buffers)


def _valid(array: pa.Array) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return flags


def _unreadable(texts: pa.Array, is_bad: pa.Array) -> UnreadableTime:
    pairs = zip(texts.to_pylist(), is_bad.to_pylist(), strict=True)
    return UnreadableTime(next(text for text, bad in pairs if bad and text is not None))


def _seconds_of(texts: pa.Array) -> Instants:
    """Dates and times of day, whatever follows them, as seconds since 1970."""
    days = pc.utf8_slice_codeunits(texts, 0, _DATE_AND_TIME)
    try:
        return numbers_of(days.cast(pa.timestamp("s")).view(pa.int64()))
    except pa.ArrowInvalid:
        pass
    for place, day in enumerate(days):
        try:
            day.cast(pa.timestamp("s"))
        except pa.ArrowInvalid:
            raise UnreadableTime(texts[place].as_py()) from None
    raise UnreadableTime(texts[0].as_py())


def _offsets_of(texts: pa.Array, offsets: pa.Array) -> Instants:
    """Microseconds ahead of UTC, as texts say themselves, or ``_NO_OFFSET``."""
    encoded = offsets.dictionary_encode()
    distinct = [_offset(text) for text in encoded.dictionary.to_pylist()]
    if None in distinct:
        bad = encoded.dictionary[distinct.index(None)]
        raise _unreadable(texts, pc.equal(offsets, bad))
    if len(distinct) <= 1:
        return np.full(len(texts), distinct[0] if distinct else 0, np.int64)
    return np.array(distinct, np.int64)[numbers_of(encoded.indices)]


def _offset(text: str) -> int | None:
    """Microseconds; ``None`` for what no clock on earth shows."""
    if text in ("", "Z"):
        return 0 if text else _NO_OFFSET
    match = _OFFSET.match(text)
    assert match is not None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    offset = minutes * 60 * _SECOND_US * (1 if match[1] == "+" else -1)
    is_known = _LEAST_OFFSET_US <= offset <= _GREATEST_OFFSET_US
    return offset if is_known and int(match[3] or 0) < 60 else None


def _offset_text(offset: int) -> str:
    if not offset:
        return "Z"
    hours, minutes = divmod(abs(offset) // (60 * _SECOND_US), 60)
    return f"{'+' if offset > 0 else '-'}{hours:02d}:{minutes:02d}"


_Local = npt.NDArray[np.datetime64]


def _year(local: _Local) -> npt.NDArray[Any]:
    return local.astype("M8[Y]").astype(np.int64) + 1970


def _month(local: _Local) -> npt.NDArray[Any]:
    return local.astype("M8[M]").astype(np.int64) % 12 + 1


def _day(local: _Local) -> npt.NDArray[Any]:
    days: npt.NDArray[Any] = local.astype("M8[D]") - local.astype("M8[M]").astype(
        "M8[D]"
    )
    return days.astype(np.int64) + 1


def _clock(unit_us: int, units: int) -> Callable[[_Local], npt.NDArray[Any]]:
    return lambda local: local.view(np.int64) // unit_us % units


_PARTS: dict[str, Callable[[_Local], npt.NDArray[Any]]] = {
    "year": _year,
    "month": _month,
    "day": _day,
    "hour": _clock(_HOUR_US, 24),
    "minute": _clock(60 * _SECOND_US, 60),
    "second": _clock(_SECOND_US, 60),
    "microsecond": _clock(1, _SECOND_US),
}
