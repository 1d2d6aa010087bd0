"""Several processes on one folder, and who has it when one of them ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

import elanus
from elanus.embedded.channel import _REPEATABLE, _is_repeatable
from elanus.embedded.sharing import lease
from elanus.embedded.sockets import answers, socket_address
from elanus.errors import LockedError, StorageError
from elanus.server.grpc.messages import METHODS

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from embedded.owner import COLLECTION, count, rows

TESTS = Path(__file__).parents[1]


class Process:
    """Another process that has the folder open."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "embedded.owner", str(path)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "open"

    def do(self, line: str) -> str:
        """What it answers to a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._read()

    def freeze(self) -> None:
        """Have it answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def process(path: Path) -> Iterator[Process]:
    """Another process, killed at the end if not before."""
    other = Process(path)
    try:
        yield other
    finally:
        other.kill()


class Traffic:
    """A thread that inserts one row after the other, and one that reads."""

    def __init__(self, client: MilvusClient) -> None:
        self.acknowledged: list[int] = []
        self.unknown: list[int] = []
        self.failed_reads: list[Exception] = []
        self._client = client
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=work) for work in (self._insert, self._ask)
        ]
        for thread in self._threads:
            thread.start()

    def await_rows(self, more: int) -> None:
        """Wait until so many more rows are acknowledged."""
        tick, goal = threading.Event(), len(self.acknowledged) + more
        while len(self.acknowledged) < goal:
            tick.wait(0.01)

    def stop(self) -> None:
        """End both threads."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _insert(self) -> None:
        number = 10_000
        while not self._is_over.is_set():
            number += 1
            try:
                self._client.insert(COLLECTION, rows(number, number + 1))
            except MilvusException as error:
                self.failed_reads.append(error)
            except Exception as error:  # noqa: BLE001
                assert "unknown" in str(error)
                self.unknown.append(number)
            else:
                self.acknowledged.append(number)

    def _ask(self) -> None:
        while not self._is_over.is_set():
            try:
                count(self._client)
            except Exception as error:  # noqa: BLE001
                self.failed_reads.append(error)


def stored(client: MilvusClient) -> set[int]:
    """All ids."""
    found = client.query(COLLECTION, filter="id >= 0", limit=16_000)
    return {row["id"] for row in found}


def test_a_client_takes_over_when_the_owner_is_killed(tmp_path: Path) -> None:
    """Acknowledged rows stay, reads never fail, a lost write is said to be unknown."""
    path = tmp_path / "app.db"
    with process(path) as owner:
        assert owner.do("insert 0 10") == "insert"
        client = elanus.MilvusClient(path)
        assert count(client) == 10
        traffic = Traffic(client)
        traffic.await_rows(50)
        owner.kill()
        traffic.await_rows(50)
        traffic.stop()
    assert traffic.failed_reads == []
    # one on its way, and one that the dying process still took
    assert len(traffic.unknown) <= 2
    assert len(set(traffic.acknowledged) - stored(client)) == 0
    extra = stored(client) - set(traffic.acknowledged) - set(range(10))
    assert extra <= set(traffic.unknown)
    client.close()
    elanus.open(path).close()


@pytest.mark.slow
def test_hand_over_in_peace(tmp_path: Path) -> None:
    """When the owner closes, nothing is lost or fails, in either direction."""
    path = tmp_path / "app.db"
    with process(path) as other:
        client = elanus.MilvusClient(path)
        traffic = Traffic(client)
        traffic.await_rows(20)
        assert other.do("close") == "close"
        traffic.await_rows(20)
        traffic.stop()
        assert (traffic.failed_reads, traffic.unknown) == ([], [])
        assert stored(client) == set(traffic.acknowledged)
    with process(path) as other:
        rows_before = len(traffic.acknowledged)
        assert other.do("insert 0 10") == "insert"
        assert count(client) == rows_before + 10
        client.close()
        assert other.do("count") == str(rows_before + 10)


@pytest.mark.slow
def test_an_async_client_outlives_the_owner(tmp_path: Path) -> None:
    """It waits for the next owner, which may be its own process."""
    path = tmp_path / "app.db"

    async def ask(owner: Process) -> list[int]:
        found = []
        async with elanus.AsyncMilvusClient(path) as client:
            found.append(len(await client.query(COLLECTION, filter="id < 5")))
            owner.kill()
            found.append(len(await client.query(COLLECTION, filter="id < 6")))
        return found

    with process(path) as owner:
        assert owner.do("insert 0 10") == "insert"
        assert asyncio.run(ask(owner)) == [5, 6]


@pytest.mark.slow
def test_an_async_client_is_told_that_a_write_was_lost(tmp_path: Path) -> None:
    """It is not sent again, for the rows might be there twice; later ones arrive."""
    path = tmp_path / "app.db"

    async def write(owner: Process) -> list[int]:
        async with elanus.AsyncMilvusClient(path) as client:
            await client.insert(COLLECTION, rows(0, 1))
            owner.freeze()
            lost = asyncio.create_task(client.insert(COLLECTION, rows(1, 2)))
            await asyncio.sleep(0.2)  # so that it is on its way
            owner.kill()
            with pytest.raises(grpc.RpcError, match="unknown"):
                await lost
            await client.insert(COLLECTION, rows(2, 3))
            found = await client.query(COLLECTION, filter="id >= 0")
            return [row["id"] for row in found]

    with process(path) as owner:
        assert asyncio.run(write(owner)) == [0, 2]
    gc.collect()  # the error's traceback keeps the channel, and that its thread


@pytest.mark.slow
def test_a_forked_child_is_a_client(tmp_path: Path) -> None:
    """It writes through its parent, ends cleanly, and does not keep the folder."""
    path = tmp_path / "app.db"
    with process(path) as owner:
        assert owner.do("insert 0 10") == "insert"
        assert owner.do("fork") == "0"
        assert owner.do("count") == "fork"  # its second answer to the line before
        assert owner.do("close") == "20"
        assert owner.do("end") == "close"
    elanus.open(path).close()


def test_what_may_be_asked_again() -> None:
    """Only calls whose repeat changes nothing; what is unknown may not."""
    asked = {name for name in METHODS if _is_repeatable(f"/service/{name}")}
    assert asked >= {"Search", "GetLoadState", "CreateCollection", "DropIndex"}
    assert asked >= _REPEATABLE
    writes = ("Insert", "Upsert", "Delete", "RenameCollection", "CreateDatabase")
    others = ("AddCollectionField", "CreateCredential", "DropRole", "ImportV2")
    assert not asked & {*writes, *others}


def test_a_folder_open_otherwise_is_locked(tmp_path: Path) -> None:
    """Who opened it with elanus.open shares it with nobody."""
    with elanus.open(tmp_path / "app.db"), pytest.raises(LockedError):
        lease(tmp_path / "app.db", patience_s=0)


def test_a_long_path_and_a_private_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's name is short however long the path, and others cannot reach it."""
    path = tmp_path / ("long" * 40) / "app.db"
    held = lease(path)
    socket = Path(held.shared.address.removeprefix("unix:"))
    assert len(os.fsencode(socket)) <= 107
    assert socket.parent.stat().st_mode & 0o077 == 0
    assert answers(held.shared.address)
    held.release()
    assert not socket.exists()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/" + "x" * 120)
    assert len(socket_address(path)) <= 107 + len("unix:")


def test_a_folder_of_sockets_that_others_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, and the error says what to do; the database stays closed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"elanus-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(StorageError, match="XDG_RUNTIME_DIR"):
        lease(tmp_path / "app.db")
    elanus.open(tmp_path / "app.db").close()
