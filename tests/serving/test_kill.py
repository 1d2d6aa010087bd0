"""``kill -9`` of a server, or of the owner of a path, while its clients write."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient

import elanus
from elanus.app import check_database
from model.places import Companion, ServerProcess
from model.worlds import quick_folder
from serving.writers import SHARED, Team, Writer, create_collection, make_readable

WRITERS = 4
MOST_CALLS = 120
MOST_PAUSE_S = 0.02
TRANSPORTS = ("native", "grpcio")


@contextmanager
def clients(uri: str, count: int) -> Iterator[list[MilvusClient]]:
    """Clients with a connection each."""
    made = [MilvusClient(uri, dedicated=True) for _ in range(count)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def pause(rng: random.Random) -> None:
    """Take a moment, so that a kill does not always follow an answer."""
    threading.Event().wait(rng.random() * MOST_PAUSE_S)


def prepare(client: MilvusClient) -> None:
    """The collection that all writers share."""
    if not client.has_collection(SHARED):
        create_collection(client, SHARED)
        make_readable(client, SHARED)


def server_rounds(folder: Path, transport: str, seed: int, rounds: int) -> int:
    """Write, kill, start again, compare; returns how many calls were lost."""
    root, rng, lost = folder / "db", random.Random(seed), 0
    writers = [Writer(number, seed) for number in range(WRITERS)]
    server = ServerProcess(root, transport)
    try:
        for _ in range(rounds):
            with clients(server.uri, WRITERS) as made:
                prepare(made[0])
                for writer in writers:
                    writer.settle(made[0])
                team = Team(writers, made)
                team.await_calls(rng.randrange(MOST_CALLS))
                pause(rng)
                server.kill()
                team.join()
            lost += sum(writer.lost is not None for writer in writers)
            assert check_database(root, lambda name: None) == []
            server = ServerProcess(root, transport)
        with clients(server.uri, 1) as [client]:
            for writer in writers:
                writer.settle(client)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        server.kill()
    assert all(writer.count for writer in writers)
    return lost


def test_a_killed_server_loses_nothing_acknowledged() -> None:
    """What was answered is there, what was in flight wholly or not, nothing else."""
    with quick_folder() as folder:
        assert server_rounds(folder, "native", 0, 2) > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_many_killed_servers_lose_nothing(transport: str) -> None:
    """Fifty-two rounds in all, on two folders."""
    with quick_folder() as folder:
        assert server_rounds(folder, transport, 1, 26) > 0


def owner_rounds(path: Path, seed: int, rounds: int) -> None:
    """As above, but the clients' own process goes on where the owner was killed."""
    rng = random.Random(seed)
    writers = [Writer(number, seed) for number in range(WRITERS)]
    for _ in range(rounds):
        owner = Companion(path)
        made = [elanus.MilvusClient(path) for _ in writers]
        try:
            prepare(made[0])
            team = Team(writers, made)
            team.await_calls(rng.randrange(MOST_CALLS))
            pause(rng)
            owner.kill()
            team.await_calls(10)
            team.stop()
            for writer, client in zip(writers, made, strict=True):
                writer.settle(client)
                writer.step(client)
                assert writer.lost is None, "a client does not go on"
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        finally:
            owner.kill()
            for client in made:
                client.close()
        assert check_database(path, lambda name: None) == []


def test_a_killed_owner_loses_nothing_acknowledged() -> None:
    """Another process takes the path over, and its clients go on."""
    with quick_folder() as folder:
        owner_rounds(folder / "db", 0, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_killed_owners_lose_nothing() -> None:
    """Fifteen rounds on one path."""
    with quick_folder() as folder:
        owner_rounds(folder / "db", 1, 15)
