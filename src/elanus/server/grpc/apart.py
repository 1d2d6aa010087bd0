"""Vectors of a write, left in the bytes that came instead of being parsed.

Almost all of an insert is one run of bytes per column of vectors, which protobuf copies
value by value into memory of its own, from where it would have to be copied again. Here
the runs are found and cut out, and protobuf parses what is left: it stays the judge of
every other byte. A message of any unexpected shape is parsed whole.

Source: "Encoding", protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from elanus.server.grpc.messages import Message, message_class
from elanus.server.grpc.packed import delimited

SMALL_BYTES = 16 << 10
"""Shorter messages, and runs, are parsed: finding a run costs more than it saves."""

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_SHORT_BYTES, _LONG_BYTES = 5, 10  # of a tag or a length, and of any number
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_FIELDS = message_class("schema.FieldData").DESCRIPTOR.fields_by_name
_SCALARS, _VECTORS = _FIELDS["scalars"].number, _FIELDS["vectors"].number
_STRUCTS = _FIELDS["struct_arrays"].number
_SLOTS = message_class("schema.VectorField").DESCRIPTOR.fields_by_name
_DIM, _FLOATS = _SLOTS["dim"].number, _SLOTS["float_vector"].number
_BYTES = frozenset(f.number for f in _SLOTS.values() if f.type == f.TYPE_BYTES)
_DATA = message_class("schema.FloatArray").DESCRIPTOR.fields_by_name["data"].number
_COLUMNS = 5  # in InsertRequest and UpsertRequest

Run: TypeAlias = memoryview


class Apart(NamedTuple):
    """A write whose vectors may be apart from it.

    Attributes:
        message: the rest; an empty slot says which type of vector was cut out.
        runs: bytes of the vectors cut out, by the column's number in the message.
    """

    message: Message
    runs: Mapping[int, Run]


def parse_apart(kind: type[Message], content: bytes) -> Apart:
    """A write's message, large runs of vectors cut out.

    Raises:
        DecodeError: it is no message of this kind.
    """
    if len(content) >= SMALL_BYTES:
        runs: dict[int, Run] = {}
        rest = _without_runs(memoryview(content), runs)
        if rest is not None and runs:
            return Apart(kind.FromString(rest), runs)
    return Apart(kind.FromString(content), {})


class _Unexpected(Exception):
    """The bytes are not laid out as they are by a client."""


class _Field(NamedTuple):
    """One field as it lies in the bytes.

    Attributes:
        start: where its tag begins.
        inside: where its content begins.
        end: just after it.
    """

    number: int
    wire: int
    start: int
    inside: int
    end: int


def _without_runs(content: memoryview, runs: dict[int, Run]) -> bytes | None:
    """The message without its large runs, which are noted; ``None``: parse it whole."""
    parts: list[bytes | memoryview] = []
    kept_to = n_columns = 0
    try:
        for field in _fields(content):
            if field.number != _COLUMNS:
                continue
            if field.wire != _DELIMITED:
                return None
            if field.end - field.inside >= SMALL_BYTES:
                cut = _cut_column(content[field.inside : field.end])
                if cut is not None:
                    column, runs[n_columns] = cut
                    parts += [content[kept_to : field.start], column]
                    kept_to = field.end
            n_columns += 1
    except _Unexpected:
        return None
    return b"".join((*parts, content[kept_to:]))


def _cut_column(column: memoryview) -> tuple[bytes, Run] | None:
    """A ``FieldData`` field without its vectors, and them; ``None`` to leave it."""
    vectors: _Field | None = None
    for field in _fields(column):
        if field.number in (_SCALARS, _STRUCTS) or (
            field.number == _VECTORS
            and (vectors is not None or field.wire != _DELIMITED)
        ):
            return None  # the last of several counts, or they are merged
        if field.number == _VECTORS:
            vectors = field
    if vectors is None:
        return None
    cut = _cut_vectors(column[vectors.inside : vectors.end])
    if cut is None:
        return None
    inner, run = cut
    rest = b"".join(
        (column[: vectors.start], delimited(_VECTORS, inner), column[vectors.end :])
    )
    return delimited(_COLUMNS, rest), run


def _cut_vectors(vectors: memoryview) -> tuple[bytes, Run] | None:
    """A ``VectorField`` with an empty slot, and what was in it."""
    slot: _Field | None = None
    dims = b""
    for field in _fields(vectors):
        if field.number == _DIM and field.wire == _VARINT:
            dims += vectors[field.start : field.end]
        elif slot is None and field.wire == _DELIMITED:
            slot = field
        else:
            return None
    if slot is None:
        return None
    run = vectors[slot.inside : slot.end]
    if slot.number == _FLOATS:
        fields = list(_fields(run))
        if len(fields) != 1 or fields[0][:2] != (_DATA, _DELIMITED):
            return None
        run = run[fields[0].inside : fields[0].end]
        if len(run) % 4:
            return None
    elif slot.number not in _BYTES:
        return None
    return (dims + delimited(slot.number, b""), run) if len(run) else None


def _fields(content: memoryview) -> list[_Field]:
    """The fields of a message, in order.

    Raises:
        _Unexpected: a group, a number that is too long, or a field cut short.
    """
    found = []
    at, size = 0, len(content)
    while at < size:
        start = at
        tag, at = _varint_at(content, at, _SHORT_BYTES)
        number, wire = tag >> 3, tag & 7
        inside = at
        if wire == _DELIMITED:
            length, inside = _varint_at(content, at, _SHORT_BYTES)
            at = inside + length
        elif wire == _VARINT:
            _, at = _varint_at(content, at, _LONG_BYTES)
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise _Unexpected
        if at > size or not 0 < number < 1 << 29:
            raise _Unexpected
        found.append(_Field(number, wire, start, inside, at))
    return found


def _varint_at(content: memoryview, at: int, longest: int) -> tuple[int, int]:
    """A number of up to ``longest`` bytes, and where it ends.

    Raises:
        _Unexpected: it has no end there.
    """
    value = 0
    for shift, byte in enumerate(content[at : at + longest]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    raise _Unexpected
