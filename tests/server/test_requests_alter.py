"""Requests that change what a collection is, from their messages."""

from __future__ import annotations

from typing import Any

import pytest

from elanus.errors import InvalidParameter
from elanus.schema.functions import FunctionSchema
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.server.grpc.handlers import HANDLERS
from elanus.server.grpc.messages import METHODS, message_class
from elanus.service import requests_alter as r

PLACE = {"db_name": "d", "collection_name": "c"}
PAIRS = [{"key": "a", "value": "b"}]
FIELD = FieldSchema("f", DataType.INT64, nullable=True)


def decoded(method: str, **values: Any) -> Any:
    """The request that a message becomes, by way of its bytes."""
    kind = METHODS[method].request
    sent = kind(**PLACE, **values).SerializeToString()
    return HANDLERS[method].decode(kind.FromString(sent), "default")


def field_message() -> Any:
    """:data:`FIELD` as a client declares it."""
    return message_class("schema.FieldSchema")(name="f", data_type=5, nullable=True)


def test_properties() -> None:
    """Of collections, fields and indexes: what is set, and what is deleted."""
    given = {"a": "b"}
    assert decoded(
        "AlterCollection", properties=PAIRS, delete_keys=["x", "y"]
    ) == r.AlterCollection("d", "c", given, ("x", "y"))
    assert decoded(
        "AlterCollectionField", field_name="f", properties=PAIRS
    ) == r.AlterCollectionField("d", "c", "f", given)
    assert decoded(
        "AlterIndex", index_name="i", extra_params=PAIRS, delete_keys=["x"]
    ) == r.AlterIndex("d", "c", "i", given, ("x",))
    with pytest.raises(InvalidParameter, match='duplicated property key "a"'):
        decoded("AlterCollection", properties=PAIRS * 2)


def test_added_fields() -> None:
    """By the old request as bytes, by the new one as a message."""
    schema = field_message().SerializeToString()
    assert decoded("AddCollectionField", schema=schema) == r.AddCollectionField(
        "d", "c", FIELD
    )
    with pytest.raises(InvalidParameter, match="failed to parse the field"):
        decoded("AddCollectionField", schema=b"\xff\xff")
    function = message_class("schema.FunctionSchema")(name="bm25", type=1)
    added = {"field_infos": [{"field_schema": field_message()}]}
    assert decoded(
        "AlterCollectionSchema",
        action={"add_request": {**added, "func_schema": [function]}},
    ) == r.AddToSchema("d", "c", (FIELD,), (FunctionSchema("bm25", 1),))


def test_functions() -> None:
    """Each request names what it means."""
    function = message_class("schema.FunctionSchema")(name="f", type=2)
    declared = FunctionSchema("f", 2)
    assert decoded(
        "AddCollectionFunction", functionSchema=function
    ) == r.AddCollectionFunction("d", "c", declared)
    assert decoded(
        "AlterCollectionFunction", function_name="g", functionSchema=function
    ) == r.AlterCollectionFunction("d", "c", "g", declared)
    assert decoded(
        "DropCollectionFunction", function_name="f"
    ) == r.DropCollectionFunction("d", "c", "f")


def test_dropped_fields() -> None:
    """By name or number; a request without an action is one, too."""
    for values, request in (
        ({"field_name": "f"}, r.DropFromSchema("d", "c", "f")),
        ({"field_id": 7}, r.DropFromSchema("d", "c", field_id=7)),
        ({"function_name": "g"}, r.DropFromSchema("d", "c", function="g")),
    ):
        action = {"drop_request": values}
        assert decoded("AlterCollectionSchema", action=action) == request
    assert decoded("AlterCollectionSchema") == r.AlterSchemaByNothing("d", "c")


def test_keys_travel_both_ways() -> None:
    """Partition and clustering keys of a declared field."""
    message = field_message()
    message.is_partition_key = message.is_clustering_key = True
    request = decoded("AddCollectionField", schema=message.SerializeToString())
    assert request.field.is_partition_key and request.field.is_clustering_key
