"""Where the clients of the remote model tests lead: to a port, or a shared path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pymilvus import MilvusClient

import elanus

TESTS = Path(__file__).parents[1]
STOP_SECONDS = 30.0


class ServerProcess:
    """A server in a process of its own."""

    def __init__(self, path: Path, transport: str, port: str = "0") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model.served", str(path), port, transport],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        assert address, "the server did not start"
        self.port = address.rpartition(":")[2]
        self.uri = f"http://{address}"

    def stop(self) -> None:
        """End it in peace."""
        self._process.communicate("", timeout=STOP_SECONDS)
        assert self._process.returncode == 0

    def kill(self) -> None:
        """``kill -9``; may be called twice."""
        self._process.kill()
        if self._process.returncode is None:
            self._process.communicate()


class Served:
    """A server on a port, and one client that stays whatever happens to the server."""

    def __init__(self, path: Path, transport: str) -> None:
        self.path = path
        self._transport = transport
        self._server = ServerProcess(path, transport)
        self.client = MilvusClient(self._server.uri, dedicated=True)

    def reopen(self) -> None:
        """Stop the server in peace and start it again."""
        self._server.stop()
        self._start_again()

    def crash(self) -> None:
        """Kill the server and start it again."""
        self._server.kill()
        self._start_again()

    def close(self) -> None:
        """Close the client and kill the server."""
        self.client.close()
        self._server.kill()

    def _start_again(self) -> None:
        port = self._server.port
        self._server = ServerProcess(self.path, self._transport, port)


class Companion:
    """Another process with a client on the same path."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model.companion", str(path)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.read() == "open"

    def do(self, line: str) -> None:
        """Have it do something; :meth:`read` tells when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def read(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def leave(self) -> None:
        """Let it close its client and end."""
        self._process.communicate("", timeout=STOP_SECONDS)
        assert self._process.returncode == 0

    def kill(self) -> None:
        """``kill -9``; may be called twice."""
        self._process.kill()
        if self._process.returncode is None:
            self._process.communicate()


class Shared:
    """A path that another process has open as well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.companion = Companion(path)
        self.client = elanus.MilvusClient(path)

    def reopen(self) -> None:
        """Whichever process owns the path, it becomes this one; then the other."""
        self.companion.leave()
        self.companion = Companion(self.path)
        self.client.close()
        self.client = elanus.MilvusClient(self.path)

    def crash(self) -> None:
        """Kill the other process, owner or not; this one goes on."""
        self.companion.kill()
        self.companion = Companion(self.path)

    def close(self) -> None:
        """End both."""
        self.client.close()
        self.companion.kill()
