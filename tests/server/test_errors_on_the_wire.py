"""Errors: what a client is told, and at which level."""

from __future__ import annotations

import logging

import pytest

from elanus import errors
from elanus.errors import ElanusError, NotAuthenticated, PermissionDenied
from elanus.server.grpc.handlers import ABSENT, HANDLERS, UNIMPLEMENTED
from elanus.server.grpc.messages import METHODS, message_class
from elanus.server.grpc.status import GrpcCode, error_reply, status_of
from server.fake_service import FakeService
from server.wire import HandCall, asked, dispatching
from server.wire import status_of as status_in

LEGACY = message_class("common.Status").DESCRIPTOR.fields_by_name["error_code"]


# What Milvus says the caller can mend, as far as names and values of a request go.
MENDABLE = {
    *(100, 102, 104, 105, 107, 108, 109, 200, 300, 301, 302, 303, 702),
    *(800, 801, 802, 1100, 1101, 1102, 1400, 1401, 1402, 1600, 1601, 1700),
}


def every_error() -> list[type[ElanusError]]:
    """The whole tree."""
    found = [ElanusError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_is_never_success(kind: type[ElanusError]) -> None:
    """Both codes are other than zero, for clients look at one or the other."""
    error = kind.__new__(kind)
    Exception.__init__(error, "what happened")
    status = status_of(error)
    assert status.code == kind.code != 0
    assert status.error_code in LEGACY.enum_type.values_by_number
    assert status.error_code != 0
    assert status.reason == status.detail == "what happened"
    is_input = status.extra_info.get("is_input_error") == "true"
    assert is_input == kind.is_input_error
    assert status.retriable == (kind.retriable and not kind.is_input_error)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_the_caller_is_told_what_is_his_to_mend(kind: type[ElanusError]) -> None:
    """By the code, and the code alone."""
    assert kind.is_input_error == (kind.code in MENDABLE)


@pytest.mark.parametrize(
    ("error", "legacy", "name"),
    [
        (errors.CollectionNotFound("c"), 4, "CollectionNotExists"),
        (errors.CollectionUnknown("c"), 1, "UnexpectedError"),
        (errors.IndexNotFound(collection="c"), 25, "IndexNotExist"),
        (errors.RateLimited("wait"), 49, "RateLimit"),
        (errors.InvalidParameter("x"), 5, "IllegalArgument"),
        (errors.PartitionNotFound("p"), 15, "MetaFailed"),
        (errors.CollectionNotLoaded("c"), 1, "UnexpectedError"),
    ],
)
def test_old_clients_find_their_number(
    error: ElanusError, legacy: int, name: str
) -> None:
    """The old enumeration's number says the same as the code."""
    assert status_of(error).error_code == legacy
    assert LEGACY.enum_type.values_by_number[legacy].name == name


def test_every_reply_has_room_for_an_error() -> None:
    """Every method that is built can say what went wrong, inside its reply."""
    for name in HANDLERS:
        reply = error_reply(METHODS[name], errors.CollectionNotFound("c"))
        assert reply is not None
        read = METHODS[name].reply.FromString(reply)
        assert status_in(read, name).code == 100


def test_the_services_error_is_the_answer() -> None:
    """It is in the reply of the method that was called, and the call succeeds."""
    service = FakeService()
    service.error = errors.CollectionNotFound("c", "d")
    with dispatching(service) as dispatcher:
        reply = asked(dispatcher, "DescribeCollection", b"")
    assert reply.status.reason == "collection not found[database=d][collection=c]"


def test_text_that_is_no_text_can_be_told() -> None:
    """A message with half a character in it does not break the reply."""
    assert status_of(errors.InvalidParameter("\ud800")).reason.startswith("?")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAuthenticated("who?"), GrpcCode.UNAUTHENTICATED),
        (PermissionDenied("no"), GrpcCode.PERMISSION_DENIED),
    ],
)
def test_who_may_not_call_gets_no_reply(error: ElanusError, code: GrpcCode) -> None:
    """Clients expect gRPC's own code there, and do not repeat the call."""
    service = FakeService()
    service.error = error
    call = HandCall("Insert", b"")
    with dispatching(service) as dispatcher:
        dispatcher.answer(call)
    assert call.failures == [(code, str(error))]
    assert not call.replies


def test_a_fault_of_ours_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """It is an internal error in the reply, and a stack in the log; no retry storm."""
    service = FakeService()
    service.error = ZeroDivisionError("oh")
    with caplog.at_level(logging.ERROR), dispatching(service) as dispatcher:
        reply = asked(dispatcher, "Insert", b"")
    assert reply.status.code == 5
    assert "ZeroDivisionError: oh" in reply.status.reason
    assert "Insert failed" in caplog.text


@pytest.mark.parametrize("method", sorted(UNIMPLEMENTED))
def test_a_method_that_is_not_built_says_so(method: str) -> None:
    """Its own reply carries a status that names it; the service is not asked."""
    service = FakeService()
    with dispatching(service) as dispatcher:
        reply = asked(dispatcher, method, b"")
    status = status_in(reply, method)
    assert (status.code, status.error_code) == (10, 1)
    assert method in status.reason
    assert not service.asked


@pytest.mark.parametrize("method", [*sorted(ABSENT), "NoSuchThing", ""])
def test_an_absent_method_is_unimplemented(method: str) -> None:
    """Clients try it, and do without."""
    call = HandCall(method, b"")
    with dispatching(FakeService()) as dispatcher:
        dispatcher.answer(call)
    text = f"unknown method {method} for service milvus.proto.milvus.MilvusService"
    assert call.failures == [(GrpcCode.UNIMPLEMENTED, text)]
