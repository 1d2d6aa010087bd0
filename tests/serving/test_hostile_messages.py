"""Changed messages of the real client, over a socket to a server that must live."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient

from elanus.server.grpc.handlers import HANDLERS
from elanus.server.grpc.messages import METHODS
from elanus.server.grpc.status import GrpcCode
from model.worlds import quick_folder
from server.wire import status_of
from serving.process import Served, serve
from serving.recording import NAME, make_collection, recorded, row

TRANSPORTS = ("native", pytest.param("grpcio", marks=pytest.mark.slow))
INTERNAL = 5
MOST_SECONDS = 10.0
MOST_GROWTH = 400 << 20
CALM = {GrpcCode.INVALID_ARGUMENT, GrpcCode.UNIMPLEMENTED, GrpcCode.RESOURCE_EXHAUSTED}
SEED = int(os.environ.get("ELANUS_SEED", "0"))


def resident_bytes(pid: int) -> int:
    """Memory that a process has in use, files that it maps left out."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no such process")


class Attacker:
    """Sends bytes and looks at the answers."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.codes: Counter[int] = Counter()
        self.longest_s = 0.0

    def send(self, method: str, payload: bytes) -> None:
        """One call: it is answered soon, and not with a fault of ours."""
        call: Callable[..., bytes] = self._channel.unary_unary(METHODS[method].path)
        begin = time.perf_counter()
        try:
            reply = call(payload, timeout=MOST_SECONDS)
        except grpc.RpcError as error:
            code = error.code().value[0]
            assert code in CALM, f"{method} {payload[:2000]!r}: {error}"
            self.codes[-code] += 1
        else:
            status = status_of(METHODS[method].reply.FromString(reply), method)
            assert status.code != INTERNAL, f"{method} {payload[:2000]!r}: {status}"
            assert bool(status.code) == bool(status.error_code), method
            self.codes[status.code] += 1
        self.longest_s = max(self.longest_s, time.perf_counter() - begin)


def attack(served: Served, seed: int, count: int) -> Attacker:
    """Send changed messages; now and then put the collection back."""
    from serving.mutation import mutated

    rng = random.Random(seed)
    calls = recorded(served.address)
    assert {method for method, _ in calls} <= set(HANDLERS)
    client = MilvusClient(f"http://{served.address}", dedicated=True)
    before = 0
    with grpc.insecure_channel(served.address) as channel:
        attacker = Attacker(channel)
        for number in range(count):
            if number % 100 == 0:
                if not client.has_collection(NAME):
                    make_collection(client)
                client.upsert(NAME, [row(key) for key in range(20)])
            if number == count // 10:
                before = resident_bytes(served.process.pid)
            method, payload = rng.choice(calls)
            attacker.send(method, mutated(rng, method, payload))
    assert resident_bytes(served.process.pid) - before < MOST_GROWTH
    assert client.get_server_version()
    client.close()
    return attacker


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_changed_messages_have_typed_answers(transport: str) -> None:
    """Each is answered soon, in little memory, and never with a fault of ours."""
    with quick_folder() as folder, serve(folder / "db", "--transport", transport) as up:
        attacker = attack(up, SEED, 300)
        assert attacker.codes[0] and len(attacker.codes) > 4
        assert "Traceback" not in up.errors.read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_many_changed_messages_have_typed_answers(transport: str) -> None:
    """The same, for longer."""
    with quick_folder() as folder, serve(folder / "db", "--transport", transport) as up:
        attack(up, SEED + 1, 10_000)
        assert "Traceback" not in up.errors.read_text()
