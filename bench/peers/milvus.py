"""Milvus 2.3.5 standalone, from the server binary in the PyPI package ``milvus``."""

from __future__ import annotations

from bench.peers.environments import environment
from bench.peers.peer import ProcessPeer

# Its start script needs pkg_resources' neighbours, which later setuptools left out.
_PACKAGES = ("milvus==2.3.5", "pymilvus==2.3.7", "setuptools<80", "marshmallow<4")


class MilvusPeer(ProcessPeer):
    """Milvus, with the configuration of its package: etcd and storage embedded."""

    name = "milvus"

    def command(self) -> list[str]:
        """The command line; the binary is unpacked into the data folder first."""
        script = environment("milvus-2.3.5", _PACKAGES) / "milvus-server"
        return [str(script), "--data", str(self.folder), "--proxy-port", str(self.port)]

    def disk(self) -> int:
        """Bytes of its data: the unpacked program is none."""
        program = sum(
            file.stat().st_blocks * 512 for file in (self.folder / "bin").iterdir()
        )
        return super().disk() - program
