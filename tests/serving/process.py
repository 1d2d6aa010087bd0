"""``elanus serve`` as a process of its own, on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Served:
    """A server that is up."""

    process: subprocess.Popen[str]
    address: str
    http_url: str
    errors: Path

    @property
    def host(self) -> str:
        """Of the gRPC address."""
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> str:
        """Of the gRPC address."""
        return self.address.rpartition(":")[2]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the http port."""
        try:
            with urllib.request.urlopen(f"{self.http_url}{path}", timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def command(data: Path, *options: str) -> list[str]:
    """The command line that serves a folder on free ports."""
    program = [sys.executable, "-m", "elanus.cli", "serve"]
    return [*program, "--data", str(data), "--port", "0", "--http-port", "0", *options]


@contextmanager
def serve(data: Path, *options: str) -> Iterator[Served]:
    """A running server; stopped at the end if the test did not do so."""
    errors = data.with_name(f"{data.name}.stderr")
    with errors.open("a") as stderr:
        process = subprocess.Popen(
            command(data, *options),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
    try:
        yield _served(process, errors)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _served(process: subprocess.Popen[str], errors: Path) -> Served:
    address = ""
    assert process.stdout is not None
    for line in process.stdout:
        words = line.split()
        if words[0] == "gRPC":
            address = words[1]
        if words[0] == "http":
            return Served(process, address, words[1].removesuffix("/healthz"), errors)
    raise AssertionError(f"the server did not start: {errors.read_text()}")


def unused_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
