"""The private message classes: complete, cheap, and in nobody's way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from elanus.server.grpc.messages import METHODS, message_class

ROOT = Path(__file__).parents[2]
# What importing a client's generated modules does: its files go into the common pool.
CLIENT = """
from importlib.resources import files
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
content = files("elanus.server.grpc").joinpath("milvus.binpb").read_bytes()
for file in FileDescriptorSet.FromString(content).file:
    if file.name == "schema.proto":
        file.message_type[0].field[0].name = "renamed"  # of another version
    if not file.name.startswith("google/"):
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
theirs = message_factory.GetMessageClass(
    descriptor_pool.Default().FindMessageTypeByName("milvus.proto.schema.LongArray"))
"""
OURS = """
from elanus.server.grpc.messages import message_class
ours = message_class("schema.LongArray")
"""
CROSS = """
assert ours is not theirs
assert list(ours.FromString(theirs(data=[1, 2]).SerializeToString()).data) == [1, 2]
assert list(theirs.FromString(ours(data=[3]).SerializeToString()).data) == [3]
"""


def run(code: str) -> None:
    """Run in a process of its own."""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("parts", [(CLIENT, OURS), (OURS, CLIENT)])
def test_a_client_library_may_be_there_too(parts: tuple[str, str]) -> None:
    """Before or after, of another version: both work, and bytes pass between them."""
    run("\n".join([*parts, CROSS]))


def test_nothing_of_a_client_library_is_imported() -> None:
    """No module of the package names it."""
    for path in (ROOT / "src" / "elanus" / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.startswith("pymilvus") for name in names), path


def test_the_default_transport_needs_no_grpcio() -> None:
    """A plain install serves: grpcio is an extra."""
    run(
        "import sys; sys.modules['grpc'] = None\n"
        "from elanus.server.grpc.native import NativeTransport\n"
        "from elanus.server.grpc.dispatcher import Dispatcher\n"
    )


def test_importing_elanus_loads_no_wire() -> None:
    """A notebook that opens a folder pays nothing for the server."""
    run(
        "import sys, elanus\n"
        "loaded = {m.split('.')[0] for m in sys.modules}\n"
        "assert not loaded & {'google', 'grpc', 'pygrpc_native'}, loaded\n"
    )


def test_methods_know_their_messages() -> None:
    """Names, paths, and where a reply says how it went."""
    search = METHODS["Search"]
    assert search.path == "/milvus.proto.milvus.MilvusService/Search"
    assert search.request is message_class("milvus.SearchRequest")
    assert search.reply is message_class("milvus.SearchResults")
    assert search.status_field == "status"
    assert METHODS["DropCollection"].status_field == ""
    assert METHODS["AlterCollectionSchema"].status_field == "alter_status"
    assert METHODS["GetReplicateInfo"].status_field is None
    streaming = [name for name, method in METHODS.items() if method.is_streaming]
    assert sorted(streaming) == ["CreateReplicateStream", "DumpMessages"]
