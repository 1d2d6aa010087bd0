"""Every transport behaves alike: the same scenarios over each."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from elanus.server.grpc.dispatcher import Limits
from elanus.server.grpc.messages import METHODS, SERVICE
from elanus.service import replies as a
from elanus.service import requests as r
from server.fake_service import TS
from server.transports import (
    ALL,
    SOCKETS,
    THREADS,
    WAIT_S,
    Server,
    eventually,
    make,
    serving,
    together,
)

VANISHING = """
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
channel.unary_unary(sys.argv[2])(b"", timeout=60)
"""


@pytest.fixture(params=ALL)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each transport in turn."""
    with serving(request.param) as made:
        yield made


@pytest.fixture(params=SOCKETS)
def listener(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each transport that listens on an address."""
    with serving(request.param) as made:
        yield made


def echo(request: r.Request) -> a.Reply:
    """Says what was asked."""
    assert isinstance(request, r.GetMetrics)
    return a.Metrics(request.query, "")


def code_of(call: Callable[[], Any]) -> Any:
    """The status code that a call fails with."""
    with pytest.raises(grpc.RpcError) as info:
        call()
    return info.value.code()


def test_a_call_is_answered(server: Server) -> None:
    """The service gets the request and who sent it, the client gets the reply."""
    request = METHODS["AllocTimestamp"].request()
    metadata = (
        ("authorization", "cm9vdDpNaWx2dXM="),
        ("identifier", "17"),
        ("client-request-id", "r1"),
        ("dbname", ""),
        ("trace-bin", b"\xff\x00"),
    )
    reply = server.method("AllocTimestamp")(request, timeout=60, metadata=metadata)
    assert reply.timestamp == TS
    ((asked, context),) = server.service.asked
    assert asked == r.AllocTimestamp()
    assert context.authorization == "cm9vdDpNaWx2dXM="
    assert (context.client_id, context.request_id) == ("17", "r1")
    assert context.peer
    assert context.deadline is not None
    assert 0 < context.deadline - server.dispatcher.monotonic() <= 61


def test_without_a_deadline_there_is_none(server: Server) -> None:
    """A client that waits for ever is told nothing else."""
    server.method("AllocTimestamp")(METHODS["AllocTimestamp"].request())
    assert server.service.asked[0][1].deadline is None


def test_answers_reach_their_callers(server: Server) -> None:
    """With many callers on several connections, each gets its own answer."""
    server.service.answer = echo
    request = METHODS["GetMetrics"].request

    def caller(number: int) -> None:
        method = server.method("GetMetrics")
        for turn in range(20):
            text = f"{number}/{turn}"
            assert method(request(request=text), timeout=WAIT_S).response == text

    assert together([partial(caller, number) for number in range(8)]) == []
    assert len(server.service.asked) == 160


def test_answers_to_come(server: Server) -> None:
    """A client may ask first and look later, and be told when there is an answer."""
    server.service.answer = echo
    server.service.gate.clear()
    request = METHODS["GetMetrics"].request
    method = server.method("GetMetrics")
    told: list[Any] = []
    futures = [method.future(request(request=f"{n}"), timeout=60) for n in range(5)]
    futures[0].add_done_callback(told.append)
    assert not futures[0].done()
    server.service.gate.set()
    assert [f.result(WAIT_S).response for f in futures] == list("01234")
    assert futures[0].code() is grpc.StatusCode.OK
    assert eventually(lambda: len(told) == 1)


def test_large_messages_pass(server: Server) -> None:
    """Requests and replies of many megabytes arrive whole."""
    server.service.answer = echo
    text = "x" * (20 << 20)
    request = METHODS["GetMetrics"].request(request=text)
    assert server.method("GetMetrics")(request, timeout=60).response == text


@pytest.mark.parametrize("kind", ALL)
def test_an_oversized_message_is_refused(kind: str) -> None:
    """With the code after which clients do not try again; the server goes on."""
    with serving(kind, Limits(request_bytes=10_000, threads=THREADS)) as server:
        server.service.answer = echo
        method = server.method("GetMetrics")
        request = METHODS["GetMetrics"].request
        large = request(request="x" * 10_000)
        code = code_of(lambda: method(large, timeout=60))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not server.service.asked
        assert method(request(request="y"), timeout=60).response == "y"


@pytest.mark.parametrize(
    "path",
    [
        f"/{SERVICE}/NoSuchThing",
        f"/{SERVICE}/ListNamespaces",
        f"/{SERVICE}/GetReplicateInfo",
        "/some.other.Service/Connect",
    ],
)
def test_an_unknown_method_is_unimplemented(listener: Server, path: str) -> None:
    """Old and new clients try methods that are not there."""
    method = listener.channel().unary_unary(path)
    assert code_of(lambda: method(b"", timeout=60)) is grpc.StatusCode.UNIMPLEMENTED
    assert not listener.service.asked


def test_an_absent_method_in_process(request: pytest.FixtureRequest) -> None:
    """The same, without a socket."""
    with serving("in-process") as server:
        method = server.method("ListNamespaces")
        message = METHODS["ListNamespaces"].request()
        code = code_of(lambda: method(message))
        assert code is grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message(server: Server) -> None:
    """They end the call with a code after which clients do not try again."""
    method = server.channel().unary_unary(METHODS["Insert"].path)
    code = code_of(lambda: method(b"\xff\xff\xff", timeout=60))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_frees_the_client(listener: Server) -> None:
    """It is told in time; what still waits in the queue is never begun."""
    listener.service.gate.clear()
    method = listener.method("Flush")
    request = METHODS["Flush"].request()
    busy = [method.future(request, timeout=60) for _ in range(2)]  # every thread
    for _ in busy:
        assert listener.service.entered.acquire(timeout=WAIT_S)
    code = code_of(lambda: method(request, timeout=0.2))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert listener.dispatcher.waiting == 1
    listener.service.gate.set()
    assert all(call.result(WAIT_S) is not None for call in busy)
    assert listener.dispatcher.drain(WAIT_S)
    assert len(listener.service.asked) == 2
    assert listener.dispatcher.in_flight_bytes == 0


def test_a_cancelled_call_is_dropped(server: Server) -> None:
    """Whether it has begun or not: the service can see it, or never hears of it."""
    server.service.gate.clear()
    method = server.method("Flush")
    request = METHODS["Flush"].request()
    begun = [method.future(request, timeout=60) for _ in range(2)]  # every thread
    for _ in begun:
        assert server.service.entered.acquire(timeout=WAIT_S)
    queued = method.future(request, timeout=60)
    assert eventually(lambda: server.dispatcher.waiting == 1)
    assert queued.cancel()
    assert queued.cancelled()
    assert begun[0].cancel()
    seen = [context for _, context in server.service.asked]
    assert eventually(lambda: any(context.is_cancelled() for context in seen))
    server.service.gate.set()
    assert begun[1].result(WAIT_S) is not None
    assert server.dispatcher.drain(WAIT_S)
    assert len(server.service.asked) == 2


def test_a_client_that_vanishes_is_forgotten(listener: Server) -> None:
    """Its call is cancelled, its bytes come back, and others are served."""
    assert listener.transport is not None
    listener.service.gate.clear()
    arguments = [listener.transport.address, METHODS["Flush"].path]
    client = subprocess.Popen([sys.executable, "-c", VANISHING, *arguments])
    try:
        assert listener.service.entered.acquire(timeout=WAIT_S)
    finally:
        client.kill()
        client.wait()
    context = listener.service.asked[0][1]
    assert eventually(context.is_cancelled)
    listener.service.gate.set()
    assert eventually(lambda: listener.dispatcher.in_flight_bytes == 0)
    reply = listener.method("AllocTimestamp")(METHODS["AllocTimestamp"].request())
    assert reply.timestamp == TS


def test_garbage_on_the_socket_harms_nobody(listener: Server) -> None:
    """Neither bytes of another protocol nor half a greeting stop the server."""
    assert listener.transport is not None
    host, port = listener.transport.address.rsplit(":", 1)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    sockets = []
    for content in (b"GET / HTTP/1.1\r\n\r\n", preface, preface + b"\xff" * 99, b""):
        sockets.append(socket.create_connection((host, int(port)), WAIT_S))
        sockets[-1].sendall(content)
    reply = listener.method("AllocTimestamp")(METHODS["AllocTimestamp"].request())
    assert reply.timestamp == TS
    for opened in sockets:
        opened.close()


def test_two_hundred_connections(listener: Server) -> None:
    """All are held open at once, and each is served."""
    request = METHODS["AllocTimestamp"].request()
    methods = [listener.method("AllocTimestamp") for _ in range(200)]
    for _ in range(2):
        futures = [method.future(request, timeout=60) for method in methods]
        assert all(future.result(WAIT_S).timestamp == TS for future in futures)


def test_stopping_finishes_what_is_at_work(listener: Server) -> None:
    """A call in flight is answered, new ones are not, and the port is free again."""
    assert listener.transport is not None
    listener.service.gate.clear()
    address = listener.transport.address
    future = listener.method("Flush").future(METHODS["Flush"].request(), timeout=60)
    assert listener.service.entered.acquire(timeout=WAIT_S)
    late = listener.method("AllocTimestamp")

    def open_the_gate() -> None:
        assert eventually(lambda: _is_refused(late))
        listener.service.gate.set()

    assert together([partial(listener.transport.stop, WAIT_S), open_the_gate]) == []
    assert future.result(WAIT_S).status.code == 0
    listener.transport.stop(WAIT_S)
    again = make(listener.kind, listener.dispatcher, address)
    again.start()
    again.stop(WAIT_S)


def _is_refused(method: Any) -> bool:
    try:
        method(METHODS["AllocTimestamp"].request(), timeout=5)
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.UNAVAILABLE)
    return False


def test_a_stop_does_not_wait_for_ever(listener: Server) -> None:
    """A call that outlasts the grace is ended; its client is told."""
    assert listener.transport is not None
    listener.service.gate.clear()
    future = listener.method("Flush").future(METHODS["Flush"].request(), timeout=60)
    assert listener.service.entered.acquire(timeout=WAIT_S)
    listener.transport.stop(0.05)
    codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert code_of(lambda: future.result(WAIT_S)) in codes


def test_a_taken_port_is_an_error(listener: Server) -> None:
    """Two servers do not share a port without knowing of each other."""
    assert listener.transport is not None
    with pytest.raises(OSError, match=r"."):
        make(listener.kind, listener.dispatcher, listener.transport.address)


@pytest.mark.parametrize("kind", SOCKETS)
def test_a_socket_file_serves_like_a_port(kind: str, tmp_path: Path) -> None:
    """Processes of one machine meet at a path."""
    target = f"unix:{tmp_path}/s"
    with serving(kind, target=target) as server:
        assert server.transport is not None
        assert server.transport.address == target
        reply = server.method("AllocTimestamp")(METHODS["AllocTimestamp"].request())
        assert reply.timestamp == TS


@pytest.mark.slow
def test_pings_of_an_idle_client_are_welcome(listener: Server) -> None:
    """Clients ping without calls; a server that takes it ill would cut them off."""
    assert listener.transport is not None
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    channel = grpc.insecure_channel(listener.transport.address, options)
    states: list[Any] = []
    channel.subscribe(states.append, try_to_connect=True)
    listener.method("AllocTimestamp", channel)(METHODS["AllocTimestamp"].request())
    assert eventually(lambda: grpc.ChannelConnectivity.READY in states)
    del states[:]
    listener.service.gate.wait(0)
    assert not _changes(states, seconds=8)
    channel.close()


def _changes(states: list[Any], seconds: float) -> list[Any]:
    """The states of a channel that is left alone for a while."""
    with socket.socket() as nobody:
        nobody.settimeout(seconds)
        nobody.bind(("127.0.0.1", 0))
        nobody.listen()
        with pytest.raises(TimeoutError):
            nobody.accept()
    return states
