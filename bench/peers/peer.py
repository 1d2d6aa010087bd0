"""What a server must offer to be measured, and the common part: a process tree."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psutil

from bench.footprint import folder_bytes
from bench.peers.environments import Unavailable
from bench.setup import HNSW

START_S = 120.0
STOP_S = 10.0


class Peer(Protocol):
    """A server of Milvus' protocol."""

    name: str
    index_type: str
    index_params: Mapping[str, int]

    @property
    def uri(self) -> str:
        """Where clients reach it."""
        ...

    def start(self) -> float:
        """Start it on its folder; returns once its port accepts connections.

        Returns:
            When the process was started, on ``time.perf_counter``'s clock.

        Raises:
            Unavailable: it does not start here.
        """
        ...

    def stop(self) -> None:
        """End it, in order if it does so in time; does nothing when it is ended."""
        ...

    def memory(self) -> tuple[int, int]:
        """Resident and proportional bytes of all its processes."""
        ...

    def cpu_s(self) -> float:
        """Processor seconds that its processes have used so far."""
        ...

    def disk(self) -> int:
        """Bytes that its data occupy on disk."""
        ...


class ProcessPeer:
    """A server started by a command line."""

    name = ""
    index_type = "HNSW"
    index_params: Mapping[str, int] = HNSW

    def __init__(self, folder: Path) -> None:
        """Prepare to serve the folder; the port is one that is free now."""
        self.folder = folder
        self.port = unused_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def uri(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The command line.

        Raises:
            Unavailable: it cannot be installed here.
        """
        raise NotImplementedError

    def start(self) -> float:
        """Start it; see :meth:`Peer.start`."""
        command = self.command()
        log_path = self.folder.with_name(f"{self.folder.name}.log")
        with log_path.open("ab") as log:
            begin = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=surroundings(),
            )
        while time.perf_counter() - begin < START_S:
            if self._process.poll() is not None:
                tail = log_path.read_text(errors="replace")[-500:]
                raise Unavailable(f"{self.name} ended at once: {tail}")
            with socket.socket() as attempt:
                attempt.settimeout(1.0)
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return begin
            time.sleep(0.01)
        self.stop()
        raise Unavailable(f"{self.name} does not listen after {START_S:.0f} s")

    def stop(self) -> None:
        """End every process of the tree, the children first."""
        if self._process is None:
            return
        tree = self._tree()[::-1]
        for process in tree:
            process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(tree, STOP_S)
        for process in alive:
            process.kill()
        self._process.wait()
        self._process = None

    def memory(self) -> tuple[int, int]:
        """Resident and proportional bytes of all its processes."""
        rss = pss = 0
        for process in self._tree():
            try:
                full = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            rss, pss = rss + full.rss, pss + full.pss
        return rss, pss

    def cpu_s(self) -> float:
        """Processor seconds used so far, those of ended children included."""
        total = 0.0
        for process in self._tree():
            try:
                total += sum(process.cpu_times()[:4])
            except psutil.NoSuchProcess:
                continue
        return total

    def disk(self) -> int:
        """Bytes that its data occupy on disk."""
        os.sync()
        return folder_bytes(self.folder)

    def _tree(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def surroundings() -> dict[str, str]:
    """The environment of a server: Python keeps what it compiled, as is usual."""
    dropped = "PYTHONDONTWRITEBYTECODE"
    return {name: text for name, text in os.environ.items() if name != dropped}


def unused_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
