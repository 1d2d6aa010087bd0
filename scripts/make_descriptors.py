"""Writes the wire's message descriptions from a published client's.

    uv run --no-project --with pymilvus==3.0.2 python scripts/make_descriptors.py

The result is a serialized ``FileDescriptorSet`` with the service and every message it
uses, each file before those that need it. With ``--check`` nothing is written, and the
exit status says whether the committed file is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from pymilvus.grpc_gen import milvus_pb2

TARGET = Path(__file__).parents[1] / "src/elanus/server/grpc/milvus.binpb"


def descriptor_set() -> bytes:
    """The service's file and all it depends on, dependencies first."""
    files: dict[str, bytes] = {}

    def add(file: Any) -> None:
        for needed in file.dependencies:
            add(needed)
        files.setdefault(file.name, file.serialized_pb)

    add(milvus_pb2.DESCRIPTOR)
    out = FileDescriptorSet()
    for content in files.values():
        out.file.add().ParseFromString(content)
    return out.SerializeToString(deterministic=True)


def main() -> int:
    """Write the file, or with ``--check`` compare it."""
    content = descriptor_set()
    if "--check" in sys.argv[1:]:
        if TARGET.read_bytes() == content:
            return 0
        sys.stderr.write(f"{TARGET} differs from pymilvus: run {__file__}\n")
        return 1
    TARGET.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
