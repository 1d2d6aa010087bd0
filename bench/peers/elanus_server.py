"""Elanus: ``elanus serve`` of this checkout."""

from __future__ import annotations

import sys

from bench.peers.peer import ProcessPeer


class ElanusPeer(ProcessPeer):
    """This checkout's server, as users start it."""

    name = "elanus"

    def command(self) -> list[str]:
        """The command line; the http port is any free one."""
        program = [sys.executable, "-m", "elanus.cli", "serve"]
        ports = ["--port", str(self.port), "--http-port", "0"]
        return [*program, "--data", str(self.folder), *ports]
