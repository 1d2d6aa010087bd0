"""Messages as other clients may send them, over the real client's own connection.

pymilvus refuses most of what is wrong before it sends anything; these do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2


def send(client: MilvusClient, method: str, request: Any) -> Any:
    """The reply to a message.

    Raises:
        MilvusException: what the reply says.
    """
    reply = getattr(client._get_connection()._stub, method)(request)
    status = reply if isinstance(reply, common_pb2.Status) else None
    for name in ("status", "alter_status"):
        status = getattr(reply, name, status)
    if status.code or status.error_code:
        raise MilvusException(code=status.code, message=status.reason)
    return reply


def pairs(**values: Any) -> list[Any]:
    """Keys and values as messages have them; ``__`` in a name stands for a dot."""
    return [
        common_pb2.KeyValuePair(key=name.replace("__", "."), value=str(value))
        for name, value in values.items()
    ]


def scalars(
    name: str,
    kind: DataType,
    slot: str,
    values: Sequence[Any] | None,
    valid: Sequence[bool] = (),
) -> Any:
    """A column of scalars; no payload at all for ``None``."""
    column = schema_pb2.FieldData(field_name=name, type=kind, valid_data=valid)
    if values is not None:
        payload = getattr(column.scalars, slot)
        payload.SetInParent()
        payload.data.extend(values)
    return column


def vectors(
    name: str, kind: DataType, slot: str, payload: Any, dim: int, **flags: Any
) -> Any:
    """A column of vectors: numbers for floats, contents for sparse, else bytes."""
    column = schema_pb2.FieldData(field_name=name, type=kind, **flags)
    column.vectors.dim = dim
    if slot == "float_vector":
        column.vectors.float_vector.data.extend(payload)
    elif slot == "sparse_float_vector":
        column.vectors.sparse_float_vector.contents.extend(payload)
    else:
        setattr(column.vectors, slot, payload)
    return column


def arrays(name: str, slot: str, rows: Sequence[Sequence[Any]]) -> Any:
    """A column of arrays whose elements travel in one slot."""
    column = schema_pb2.FieldData(field_name=name, type=DataType.ARRAY)
    for row in rows:
        payload = getattr(column.scalars.array_data.data.add(), slot)
        payload.SetInParent()
        payload.data.extend(row)
    return column


def dynamic(*objects: bytes) -> Any:
    """The column of the dynamic field."""
    column = scalars("$meta", DataType.JSON, "json_data", objects)
    column.is_dynamic = True
    return column


def field(name: str, kind: int, **options: Any) -> Any:
    """A field of a schema; ``params`` are its type parameters."""
    params = pairs(**options.pop("params", {}))
    return schema_pb2.FieldSchema(
        name=name, data_type=kind, type_params=params, **options
    )


def create(
    name: str,
    fields: Sequence[Any],
    *,
    properties: dict[str, str] | None = None,
    schema: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """A request for a collection."""
    wanted = schema_pb2.CollectionSchema(
        **{"name": name, "fields": fields, **(schema or {})}
    )
    return milvus_pb2.CreateCollectionRequest(
        collection_name=name,
        schema=wanted.SerializeToString(),
        properties=[
            common_pb2.KeyValuePair(key=key, value=value)
            for key, value in (properties or {}).items()
        ],
        **more,
    )
