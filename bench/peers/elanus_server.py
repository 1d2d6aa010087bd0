"""Elanus: ``elanus serve`` of this checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.peers.peer import ProcessPeer, surroundings

_IMPORTED = "import pymilvus, elanus.serving, elanus.server.grpc.native"


class ElanusPeer(ProcessPeer):
    """This checkout's server, as users start it."""

    name = "elanus"

    def __init__(self, folder: Path) -> None:
        """Compile it and the client once, as an installation does."""
        super().__init__(folder)
        program = [sys.executable, "-c", _IMPORTED]
        subprocess.run(program, check=True, env=surroundings())

    def command(self) -> list[str]:
        """The command line; the http port is any free one."""
        program = [sys.executable, "-m", "elanus.cli", "serve"]
        ports = ["--port", str(self.port), "--http-port", "0"]
        return [*program, "--data", str(self.folder), *ports]


class ElanusAutoPeer(ElanusPeer):
    """The same with the index that it chooses by itself."""

    name = "elanus-auto"
    index_type = "AUTOINDEX"
    index_params: Mapping[str, int] = MappingProxyType({})
