"""Vectors cut out of a write's bytes: the rest and they are what protobuf reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.server.grpc import apart
from elanus.server.grpc.apart import parse_apart
from elanus.server.grpc.messages import METHODS, DecodeError
from elanus.server.grpc.packed import delimited, varint
from server.test_fuzz import messages
from server.wire import message

INSERT = METHODS["Insert"].request
KINDS = [INSERT, METHODS["Upsert"].request]
BYTE_SLOTS = ["binary_vector", "float16_vector", "bfloat16_vector", "int8_vector"]


@pytest.fixture(autouse=True)
def everything_is_large() -> Iterator[None]:
    """Runs of any length are cut out, so that small messages try all paths."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "SMALL_BYTES", 1)
        yield


def whole(kind: Any, content: bytes) -> bytes | None:
    """What protobuf reads, written again; ``None`` when it refuses."""
    try:
        read: bytes = kind.FromString(content).SerializeToString(deterministic=True)
    except DecodeError:
        return None
    return read


def put_together(kind: Any, content: bytes) -> bytes | None:
    """The same of the parts, the runs put back where they were cut out."""
    try:
        message, runs = parse_apart(kind, content)
    except DecodeError:
        return None
    for number, run in runs.items():
        vectors = message.fields_data[number].vectors
        slot = vectors.WhichOneof("data")
        if slot == "float_vector":
            assert not vectors.float_vector.data
            vectors.float_vector.MergeFromString(delimited(1, bytes(run)))
        else:
            assert getattr(vectors, slot) == b""
            setattr(vectors, slot, bytes(run))
    read: bytes = message.SerializeToString(deterministic=True)
    return read


def check(kind: Any, content: bytes) -> None:
    """Both ways of reading agree, also on what is no message."""
    assert put_together(kind, content) == whole(kind, content)


def of_floats(dim: int, values: list[float], **more: Any) -> Any:
    """A column of float vectors."""
    vectors = message(
        "schema.VectorField",
        dim=dim,
        float_vector=message("schema.FloatArray", data=values),
    )
    return message(
        "schema.FieldData", type=101, field_name="v", vectors=vectors, **more
    )


def test_the_numbers_are_those_that_were_sent() -> None:
    """A column of floats and one of bytes are cut out, scalars are parsed."""
    keys = message(
        "schema.ScalarField", long_data=message("schema.LongArray", data=[1, 2])
    )
    halves = message("schema.VectorField", dim=1, float16_vector=b"abcd")
    sent = INSERT(
        collection_name="c",
        fields_data=[
            message("schema.FieldData", field_name="id", scalars=keys),
            of_floats(2, [1.0, 2.0, 3.0, float("nan")], valid_data=[True, True]),
            message("schema.FieldData", field_name="h", vectors=halves),
        ],
        num_rows=2,
    )
    read, runs = parse_apart(INSERT, sent.SerializeToString())
    np.testing.assert_equal(np.frombuffer(runs[1], "<f4"), [1.0, 2.0, 3.0, np.nan])
    assert bytes(runs[2]) == b"abcd"
    assert sorted(runs) == [1, 2]
    assert read.fields_data[0] == sent.fields_data[0]
    assert read.fields_data[1].vectors.WhichOneof("data") == "float_vector"
    assert list(read.fields_data[1].valid_data) == [True, True]
    check(INSERT, sent.SerializeToString())


def test_short_messages_are_parsed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is not looked for where it could not be worth it."""
    monkeypatch.setattr(apart, "SMALL_BYTES", 100)
    content = INSERT(fields_data=[of_floats(2, [0.0] * 4)]).SerializeToString()
    assert parse_apart(INSERT, content).runs == {}
    content = INSERT(fields_data=[of_floats(2, [0.0] * 40)]).SerializeToString()
    assert list(parse_apart(INSERT, content).runs) == [0]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_any_message_reads_the_same(kind: Any, data: st.DataObject) -> None:
    """Messages with any fields, and with bytes of them changed, lost or repeated."""
    content = data.draw(writes(kind)).SerializeToString()
    check(kind, content)
    check(kind, content + data.draw(writes(kind)).SerializeToString())
    for _ in range(5):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        to = data.draw(st.integers(at, min(len(content), at + 6)))
        check(kind, content[:at] + data.draw(st.binary(max_size=3)) + content[to:])


@st.composite
def writes(draw: st.DrawFn, kind: Any) -> Any:
    """A write with a column of vectors among what else there may be."""
    made = draw(messages(kind, 3))
    values = draw(st.lists(st.floats(width=32), max_size=4))
    made.fields_data.append(of_floats(draw(st.integers(-1, 3)), values))
    content = draw(st.binary(max_size=5))
    made.fields_data.add().vectors.dim = 8
    setattr(made.fields_data[-1].vectors, draw(st.sampled_from(BYTE_SLOTS)), content)
    return made


FLOATS = delimited(2, delimited(1, bytes(8)))
UNUSUAL = {
    "no dim": FLOATS,
    "dim twice": varint(8) + varint(1) + varint(8) + varint(2) + FLOATS,
    "two slots": FLOATS + delimited(3, b"abc"),
    "floats one by one": delimited(2, b"\x0d" + bytes(4) + b"\x0d" + bytes(4)),
    "floats in two runs": delimited(2, delimited(1, bytes(4)) * 2),
    "half a float": delimited(2, delimited(1, bytes(6))),
    "an unknown field": FLOATS + delimited(60, b"x"),
    "a group": FLOATS + varint(9 << 3 | 3) + varint(9 << 3 | 4),
    "a long tag": b"\x92\x80\x80\x80\x00" + FLOATS[1:],
    "a longer tag": b"\x92\x80\x80\x80\x80\x00" + FLOATS[1:],
    "a tag beyond": b"\x92\x80\x80\x80\x10" + FLOATS[1:],
    "a long length": b"\x12\x8a\x80\x80\x80\x00" + FLOATS[2:],
    "a longer length": b"\x12\x8a\x80\x80\x80\x80\x00" + FLOATS[2:],
    "a long dim": varint(8) + b"\xff" * 9 + b"\x01" + FLOATS,
    "a longer dim": varint(8) + b"\xff" * 10 + b"\x01" + FLOATS,
    "field number 0": b"\x02\x00" + FLOATS,
    "cut short": FLOATS[:-1],
    "sparse": delimited(6, delimited(1, bytes(8))),
}


@pytest.mark.parametrize("vectors", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_layouts_read_the_same(vectors: bytes) -> None:
    """What the format allows and no client writes, and what it does not allow."""
    column = delimited(4, vectors)
    for field in (
        column,
        column + column,
        column + delimited(3, b""),
        delimited(3, b"") + column,
        delimited(8, b"") + column,
        varint(4 << 3) + varint(1) + column,
        column + delimited(2, b"\xff"),
    ):
        check(INSERT, delimited(5, b"\x08\x65") + delimited(5, field))
        check(INSERT, varint(5 << 3) + varint(7) + delimited(5, field))
