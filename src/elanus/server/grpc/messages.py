"""Message classes and methods of Milvus' protocol, in a descriptor pool of our own.

The pool is private, so that any version of a client library, whose messages have the
same names, can live in the same process. Messages cross between the two as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, TypeAlias

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

SERVICE = "milvus.proto.milvus.MilvusService"

# protobuf makes its classes at run time; no type checker can know their attributes.
Message: TypeAlias = Any


@dataclass(frozen=True)
class Method:
    """One remote procedure; its classes are made when they are first needed.

    Attributes:
        name: without the service.
        path: as it stands in a call, ``/service/name``.
        is_streaming: whether either side sends more than one message.
    """

    name: str
    path: str
    is_streaming: bool
    _input: Any
    _output: Any

    @cached_property
    def request(self) -> type[Message]:
        """The class of its request."""
        return _class_of(self._input)

    @cached_property
    def reply(self) -> type[Message]:
        """The class of its reply."""
        return _class_of(self._output)

    @cached_property
    def status_field(self) -> str | None:
        """Where a reply holds its status: empty when the reply is one itself, and
        ``None`` when it has none.
        """
        if self._output.name == "Status":
            return ""
        for field in self._output.fields:
            if field.message_type is not None and field.message_type.name == "Status":
                return str(field.name)
        return None


def _load() -> Any:
    content = files(__package__).joinpath("milvus.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(content).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load()


@cache
def message_class(name: str) -> type[Message]:
    """The class of a message: "milvus.InsertRequest", "schema.FieldData"."""
    descriptor = _POOL.FindMessageTypeByName(f"milvus.proto.{name}")
    return _class_of(descriptor)


def _class_of(descriptor: Any) -> type[Message]:
    made: type[Message] = message_factory.GetMessageClass(descriptor)
    return made


def _methods() -> dict[str, Method]:
    service = _POOL.FindServiceByName(SERVICE)
    return {
        method.name: Method(
            name=method.name,
            path=f"/{SERVICE}/{method.name}",
            is_streaming=method.client_streaming or method.server_streaming,
            _input=method.input_type,
            _output=method.output_type,
        )
        for method in service.methods
    }


METHODS: dict[str, Method] = _methods()

__all__ = ["METHODS", "SERVICE", "DecodeError", "Message", "Method", "message_class"]
