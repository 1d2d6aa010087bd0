"""Clients that are too many, too slow, too large or gone, and one that works."""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from elanus.server.grpc.messages import METHODS
from model.worlds import quick_folder
from server.transports import eventually
from serving.process import Served, serve
from serving.raw_http2 import DATA, FRAME_BYTES, RawClient, frame, message
from serving.test_hostile_messages import resident_bytes

pytestmark = pytest.mark.slow

TRANSPORTS = ("native", "grpcio")
NAME = "docs"
DIM = 64
N_ROWS = 8_000
MANY_CONNECTIONS = 3_000
SLOW_CLIENTS = 64
MIB = 1 << 20


@contextmanager
def filled(transport: str) -> Iterator[tuple[Served, MilvusClient]]:
    """A server with rows, and a client of it."""
    with (
        quick_folder() as folder,
        serve(folder / "db", "--transport", transport) as up,
    ):
        client = MilvusClient(f"http://{up.address}", dedicated=True)
        client.create_collection(NAME, dimension=DIM)
        vectors = np.random.default_rng(0).normal(size=(N_ROWS, DIM))
        rows = [
            {"id": key, "vector": v} for key, v in enumerate(vectors.astype(np.float32))
        ]
        client.insert(NAME, rows)
        try:
            yield up, client
        finally:
            client.close()


def latency_s(client: MilvusClient, calls: int = 60) -> float:
    """The median time of a search."""
    times = []
    for number in range(calls):
        begin = time.perf_counter()
        found = client.search(NAME, [[float(number)] * DIM], limit=5)
        times.append(time.perf_counter() - begin)
        assert len(found[0]) == 5
    return statistics.median(times)


def in_flight(served: Served) -> float:
    """Bytes of requests that the server has not answered, as it tells."""
    for line in served.get("/metrics")[1].splitlines():
        if line.startswith("elanus_requests_in_flight_bytes"):
            return float(line.split()[-1])
    raise AssertionError("not measured")


def everything() -> bytes:
    """A query that returns all rows with their vectors."""
    request = METHODS["Query"].request(
        collection_name=NAME,
        expr="id >= 0",
        output_fields=["id", "vector"],
        guarantee_timestamp=1,
    )
    content: bytes = request.SerializeToString()
    return content


def many_connections(transport: str, count: int) -> None:
    """Open them all, let one client work, and close them all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * count:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count), hard))
    try:
        with filled(transport) as (up, client), ExitStack() as crowd:
            alone_s, before = latency_s(client), resident_bytes(up.process.pid)
            for _ in range(count):
                idle = RawClient(up.address)
                crowd.callback(idle.vanish)
            assert latency_s(client) < 10 * alone_s + 0.05
            growth = resident_bytes(up.process.pid) - before
            assert growth / count < MIB / 4, f"{growth / count} bytes per connection"
            late = MilvusClient(f"http://{up.address}", dedicated=True)
            assert late.list_collections() == [NAME]
            late.close()
            crowd.close()
            assert latency_s(client) < 10 * alone_s + 0.05
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hundred_idle_connections(transport: str) -> None:
    """They cost little, and whoever works does not notice."""
    many_connections(transport, 100)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_three_thousand_connections(transport: str) -> None:
    """They cost little, and whoever works does not notice."""
    many_connections(transport, MANY_CONNECTIONS)


def vanish_somewhere(address: str, rng: random.Random) -> None:
    """Begin a call and be gone, at any point of it."""
    client = RawClient(address)
    draw = rng.random()
    if draw < 0.2:
        client.send(rng.randbytes(200))
    elif draw < 0.5:
        client.call(rng.choice(["Query", "Search", "ListDatabases"]), everything())
    elif draw < 0.7:
        client.begin("Insert")
    else:
        stream = client.begin("Insert")
        part = message(
            rng.randbytes(1000), claimed=rng.choice([2000, 2**31, 2**32 - 1])
        )
        client.send(frame(DATA, 0, stream, part))
    client.vanish()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_clients_that_vanish(transport: str) -> None:
    """Nothing of their calls is left, whatever they had sent, and others go on."""
    rng = random.Random(0)
    with filled(transport) as (up, client):
        before = resident_bytes(up.process.pid)
        for _ in range(150):
            vanish_somewhere(up.address, rng)
        assert eventually(lambda: in_flight(up) == 0)
        assert latency_s(client) < 5
        assert resident_bytes(up.process.pid) - before < 200 * MIB
        found = client.query(NAME, output_fields=["count(*)"])
        assert found[0]["count(*)"] == N_ROWS


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_clients_that_do_not_read(transport: str) -> None:
    """One whose answers are read keeps its pace, beside many that are stuck."""
    with filled(transport) as (up, client), ExitStack() as crowd:
        alone_s, before = latency_s(client), resident_bytes(up.process.pid)
        answer_bytes = N_ROWS * DIM * 4
        for _ in range(SLOW_CLIENTS):
            slow = RawClient(up.address)
            crowd.callback(slow.vanish)
            slow.call("Query", everything())
        assert eventually(lambda: in_flight(up) == 0)
        assert latency_s(client) < 5 * alone_s + 0.02
        growth = resident_bytes(up.process.pid) - before
        assert growth < 3 * SLOW_CLIENTS * answer_bytes
        crowd.close()
        assert latency_s(client) < 5 * alone_s + 0.02


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_messages_that_are_too_large(transport: str) -> None:
    """They are refused for good, once, and what is theirs is given back."""
    with filled(transport) as (up, client):
        before = resident_bytes(up.process.pid)
        rows = [
            {"id": k, "vector": [0.0] * DIM, "t": "a" * 60_000} for k in range(1200)
        ]
        begin = time.perf_counter()
        with pytest.raises(grpc.RpcError, match="eceived message larger than max"):
            client.insert(NAME, rows)
        assert time.perf_counter() - begin < 30
        with grpc.insecure_channel(up.address) as channel:
            for method in ("Search", "DropCollection"):
                call: Any = channel.unary_unary(METHODS[method].path)
                with pytest.raises(grpc.RpcError) as refused:
                    call(bytes(70 * MIB), timeout=30)
                assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert eventually(lambda: in_flight(up) == 0)
        assert client.query(NAME, output_fields=["count(*)"])[0]["count(*)"] == N_ROWS
        assert resident_bytes(up.process.pid) - before < 300 * MIB


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_messages_that_claim_to_be_large(transport: str) -> None:
    """A length is believed when the bytes are there: claims cost no memory."""
    with filled(transport) as (up, client), ExitStack() as crowd:
        before = resident_bytes(up.process.pid)
        for claimed in (2**31 - 1, 2**31, 2**32 - 1, 60 * MIB) * 8:
            liar = RawClient(up.address)
            crowd.callback(liar.vanish)
            stream = liar.begin("Insert")
            liar.send(
                frame(
                    DATA, 0, stream, message(b"a" * FRAME_BYTES, claimed)[:FRAME_BYTES]
                )
            )
        assert latency_s(client) < 5
        assert resident_bytes(up.process.pid) - before < 100 * MIB


def test_a_call_that_is_given_up_ends_on_the_server() -> None:
    """Deadlines and cancellations free what the server had of a call."""
    with filled("native") as (up, client):
        for timeout in (0.001, 0.005, 0.02):
            with pytest.raises((grpc.RpcError, MilvusException)):
                client.search(
                    NAME, data=[[1.0] * DIM] * 16_000, limit=1000, timeout=timeout
                )
        assert eventually(lambda: in_flight(up) == 0)
        assert latency_s(client) < 5
