"""Milvus Lite 3.2: its own server command."""

from __future__ import annotations

from bench.peers.environments import environment
from bench.peers.peer import ProcessPeer

_PACKAGES = ("milvus-lite==3.2", "pymilvus==3.0.2")


class MilvusLitePeer(ProcessPeer):
    """Milvus Lite, as its command line serves it."""

    name = "milvus-lite"

    def command(self) -> list[str]:
        """The command line."""
        script = environment("milvus-lite-3.2", _PACKAGES) / "milvus-lite"
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [str(script), "server", "--data-dir", str(self.folder), *where]
