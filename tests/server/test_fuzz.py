"""Any bytes on any method: a status, or a clean end of the call, soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.server.grpc.dispatcher import Dispatcher
from elanus.server.grpc.handlers import HANDLERS
from elanus.server.grpc.messages import METHODS, message_class
from elanus.server.grpc.status import GrpcCode
from server.fake_service import FakeService
from server.wire import HandCall, dispatching, status_of

INTERNAL = 5
CALM = {GrpcCode.INVALID_ARGUMENT, GrpcCode.UNIMPLEMENTED}
NAMES = sorted(METHODS)
TEXTS = ["", "c", "topk", "params", "{", "-1", "9" * 30, "id > 1", "ü\0"]


@pytest.fixture(scope="module")
def dispatcher() -> Iterator[Dispatcher]:
    """One for the whole module, whose service never fails by itself."""
    with dispatching(FakeService()) as made:
        yield made


def check(dispatcher: Dispatcher, method: str, payload: bytes) -> None:
    """The call has one answer, and it is none that clients repeat the call after."""
    call = HandCall(method, payload)
    dispatcher.answer(call)
    assert call.answers == 1
    assert dispatcher.in_flight_bytes == 0
    if call.failures:
        assert call.failures[0][0] in CALM
        return
    reply = METHODS[method].reply.FromString(call.replies[0])
    status = status_of(reply, method)
    assert status.code != INTERNAL, status.reason
    assert bool(status.code) == bool(status.error_code)


@settings(max_examples=300)
@given(method=st.sampled_from(NAMES), payload=st.binary(max_size=200))
def test_random_bytes(dispatcher: Dispatcher, method: str, payload: bytes) -> None:
    """Bytes that mean nothing."""
    check(dispatcher, method, payload)


def values_of(field: Any, depth: int) -> st.SearchStrategy[Any]:
    """Values a field of a message takes, hostile ones among them."""
    if field.message_type is not None:
        name = field.message_type.full_name.removeprefix("milvus.proto.")
        return messages(message_class(name), depth - 1)
    by_type: dict[int, st.SearchStrategy[Any]] = {
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_STRING: st.sampled_from(TEXTS),
        field.TYPE_BYTES: st.binary(max_size=20),
        field.TYPE_FLOAT: st.floats(width=32),
        field.TYPE_DOUBLE: st.floats(),
        field.TYPE_ENUM: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 110),
        field.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        field.TYPE_UINT32: st.integers(0, 2**32 - 1),
        field.TYPE_INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 5),
        field.TYPE_UINT64: st.integers(0, 2**64 - 1),
    }
    return by_type[field.type]


def is_repeated(field: Any) -> bool:
    """Whether a field holds many values; older protobuf says it otherwise."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


@st.composite
def messages(draw: st.DrawFn, kind: Any, depth: int = 5) -> Any:
    """A message of a kind with any of its fields set to anything."""
    made = kind()
    fields = [f for f in kind.DESCRIPTOR.fields if depth > 0 or f.message_type is None]
    if not fields:
        return made
    for field in draw(st.lists(st.sampled_from(fields), max_size=6)):
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        if is_map:
            entry = field.message_type.fields_by_name
            key = draw(values_of(entry["key"], depth))
            value = draw(values_of(entry["value"], depth))
            if entry["value"].message_type is not None:
                getattr(made, field.name)[key].CopyFrom(value)
            else:
                getattr(made, field.name)[key] = value
        elif is_repeated(field):
            values = draw(st.lists(values_of(field, depth), max_size=3))
            getattr(made, field.name).extend(values)
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(draw(values_of(field, depth)))
        else:
            setattr(made, field.name, draw(values_of(field, depth)))
    return made


@pytest.mark.parametrize("method", sorted(HANDLERS))
@settings(max_examples=12)
@given(data=st.data())
def test_messages_full_of_anything(
    dispatcher: Dispatcher, method: str, data: st.DataObject
) -> None:
    """Well-formed messages whose values make no sense."""
    request = data.draw(messages(METHODS[method].request))
    check(dispatcher, method, request.SerializeToString())


@pytest.mark.parametrize("method", ["Insert", "Search", "CreateCollection", "Query"])
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_messages(
    dispatcher: Dispatcher, method: str, data: st.DataObject
) -> None:
    """A message with some of its bytes changed or cut off."""
    request = data.draw(messages(METHODS[method].request))
    content = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    check(dispatcher, method, bytes(content[:end]))


@pytest.mark.slow
@settings(max_examples=5000)
@given(data=st.data())
def test_many_messages_full_of_anything(
    dispatcher: Dispatcher, data: st.DataObject
) -> None:
    """The same, for longer."""
    method = data.draw(st.sampled_from(sorted(HANDLERS)))
    request = data.draw(messages(METHODS[method].request))
    check(dispatcher, method, request.SerializeToString())


def nested(depth: int) -> bytes:
    """A filter's template value: a list in a list in a list, so deep."""
    content = b""
    for _ in range(depth):
        for tag in (b"\x0a", b"\x2a"):  # data = 1, array_data = 5
            size, length = len(content), bytearray()
            while size > 127:
                length.append(size & 127 | 128)
                size >>= 7
            length.append(size)
            content = tag + bytes(length) + content
    request = METHODS["Query"].request()
    request.expr_template_values["a"].array_val.SetInParent()
    payload: bytes = request.SerializeToString()
    return (
        payload + b"\x6a" + _sized(b"\x0a\x01a\x12" + _sized(b"\x2a" + _sized(content)))
    )


def _sized(content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes(length) + content


@pytest.mark.parametrize("depth", [1, 20, 60, 5000])
def test_deep_nesting(dispatcher: Dispatcher, depth: int) -> None:
    """However deep, it is read or refused, and no stack overflows."""
    check(dispatcher, "Query", nested(depth))


def test_deep_json(dispatcher: Dispatcher) -> None:
    """Parameters of a search that nest without end."""
    params = [
        {"key": "topk", "value": "1"},
        {"key": "params", "value": "[" * 100_000},
    ]
    request = METHODS["Search"].request(search_params=params)
    check(dispatcher, "Search", request.SerializeToString())
