"""Calls that do not fit the state of things: names taken, what is loaded, keys."""

from __future__ import annotations

from typing import Any

from pymilvus.grpc_gen import milvus_pb2

from serving.errors.case import Call, Case
from serving.errors.raw import pairs, send
from serving.errors.stage import BOOKS, KEYED, LOOSE, index


def _ask(method: str, kind: str = "", **fields: Any) -> Call:
    request = getattr(milvus_pb2, f"{kind or method}Request")(**fields)
    return lambda c: send(c, method, request)


def _alter(collection: str, **values: Any) -> Call:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return lambda c: c.alter_collection_properties(collection, named)


def _drop(collection: str, *keys: str) -> Call:
    return lambda c: c.drop_collection_properties(collection, list(keys))


def _alter_field(collection: str, field: str, **values: Any) -> Call:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return lambda c: c.alter_collection_field(collection, field, named)


def _alter_index(collection: str, name: str, **values: Any) -> Call:
    named = {key.replace("__", "."): value for key, value in values.items()}
    return lambda c: c.alter_index_properties(collection, name, named)


def _balance(collection: str, source: int, **more: Any) -> Call:
    wanted = {"collectionName": collection, "src_nodeID": source, **more}
    return _ask("LoadBalance", **wanted)


GROUP = "__default_resource_group"
MMAP = pairs(mmap__enabled="true")
LOADED = "collection already loaded[collection=books]"
OUTSIDE = "does not allow update in collection field param"
TWICE = pairs(index_type="FLAT") + pairs(index_type="HNSW")

# One line each, with the whole message: a table to search in.
# fmt: off
WHILE_LOADED = [
    Case(104, f"can not alter mmap properties if collection loaded: {LOADED}", _alter(BOOKS, mmap__enabled=True)),
    Case(104, f"can not delete mmap properties if collection loaded: {LOADED}", _drop(BOOKS, "mmap.enabled")),
    Case(104, f"can not alter warmup properties if collection loaded: {LOADED}", _alter(BOOKS, warmup__vectorField="sync")),
    Case(104, f"can not delete warmup.scalarField properties if collection loaded: {LOADED}", _drop(BOOKS, "warmup.scalarField")),
    Case(104, f"can't alter index on loaded collection, please release the collection first: {LOADED}", _alter_index(BOOKS, "vector", mmap__enabled=True)),
    Case(104, f"can not alter collection field properties if collection loaded: {LOADED}", _alter_field(BOOKS, "title", mmap__enabled=True)),
    Case(104, f"can not alter warmup if collection loaded: {LOADED}", _alter_field(BOOKS, "title", warmup="sync")),
    Case(702, "can not alter partition key isolation mode if the collection already has a vector index. Please drop the index first: index duplicates[indexName=vector]", _alter(KEYED, partitionkey__isolation=True)),
    Case(101, "collection not loaded[collection={}]", _ask("GetLoadingProgress", collection_name="bare")),
    Case(201, "partition not loaded[partition={}]", _ask("GetLoadingProgress", collection_name=LOOSE, partition_names=["out"])),
    Case(101, "collection not loaded[collection=bare]", _ask("ShowCollections", type=1, collection_names=["bare"])),
]

PROPERTIES = [
    Case(1100, "the value for allow_insert_auto_id must be false when autoID is false", _alter(BOOKS, allow_insert_auto_id="true")),
    Case(1100, "invalid dynamic schema property value: x", _alter("bare", dynamicfield__enabled="x")),
    Case(1100, "cannot alter dynamic schema with other properties at the same time", _alter("bare", dynamicfield__enabled="true", a="1")),
    Case(1100, "cannot delete key dynamicfield.enabled, dynamic field schema could support set to true/false", _drop("bare", "dynamicfield.enabled")),
    Case(1100, "cannot alter namespace.sharding.enabled after collection creation", _alter("bare", namespace__sharding__enabled="true")),
    Case(1100, "can not alter cipher related properties", _alter("bare", cipher__enabled="true")),
    Case(1100, "collection TTL is not a valid positive integer", _alter("bare", collection__ttl__seconds="x")),
    Case(1100, "unknown or invalid IANA Time Zone ID: Mars/X", _alter("bare", timezone="Mars/X")),
    Case(1100, "field zz does not exist in collection", _alter_field("bare", "zz", max_length=5)),
    Case(1100, " can not modify the maxlength for non-string types", _alter_field("bare", "level", max_length=5)),
    Case(1100, "70000 exceeds the maximum allowed value 65535", _alter_field("bare", "title", max_length=70000)),
    Case(1100, "max_length should be an integer, but got string", _alter_field("bare", "title", max_length="x")),
    Case(1100, " can not modify the maxcapacity for non-array types", _alter_field("bare", "title", max_capacity=5)),
    Case(1100, f"nullable {OUTSIDE}", _alter_field("bare", "title", nullable=True)),
    Case(1100, "x is not a configable index property", _alter_index("half", "vector", x=True)),
    Case(700, "index not found[indexName=zz]", _alter_index("half", "zz", mmap__enabled=True)),
    Case(1100, "cannot provide both DeleteKeys and ExtraParams", _ask("AlterIndex", collection_name="half", index_name="vector", extra_params=MMAP, delete_keys=["a"])),
    Case(1100, "index name is empty", _ask("AlterIndex", collection_name="half", extra_params=MMAP)),
    Case(1100, "alter database with empty properties and delete keys, expected to set either properties or delete keys", _ask("AlterDatabase", db_name="shop")),
    Case(1100, "alter database cannot modify properties and delete keys at the same time", _ask("AlterDatabase", db_name="shop", properties=pairs(a=1), delete_keys=["a"])),
]

STRUCTURE = [
    Case(1100, "disable create partition if partition key mode is used", lambda c: c.create_partition(KEYED, "p")),
    Case(1100, "disable drop partition if partition key mode is used", lambda c: c.drop_partition(KEYED, "_default_0")),
    Case(1100, "disable load partitions if partition key mode is used", lambda c: c.load_partitions(KEYED, ["_default_0"])),
    Case(1100, "disable release partitions if partition key mode is used", lambda c: c.release_partitions(KEYED, ["_default_0"])),
    Case(1100, "new collection name should not be empty", _ask("RenameCollection", oldName="bare", newName="")),
    Case(100, "collection not found[database=default][collection=b]", lambda c: c.create_alias("b", "c")),
    Case(700, "index not found[collection=bare]", _ask("DescribeIndex", collection_name="bare")),
    Case(700, "index not found[indexName=z]", _ask("DescribeIndex", collection_name=BOOKS, index_name="z")),
    Case(1100, "at most one distinct index is allowed per field", lambda c: c.create_index("half", index(c, "second", index_name="vector"), sync=False)),
    Case(1100, "CreateIndex failed: creating multiple indexes on same field is not supported", lambda c: c.create_index("half", index(c, "vector", index_name="other"), sync=False)),
    Case(1100, "duplicated index param (key=index_type) (value=", _ask("CreateIndex", collection_name="bare", field_name="vector", extra_params=TWICE)),
    Case(1100, "index params size exceeds limit: 102402 > 102400", _ask("CreateIndex", collection_name="bare", field_name="vector", extra_params=pairs(xy="a" * 102400))),
    Case(1100, "not can only apply on boolean", lambda c: c.query(LOOSE, filter="id in not [1, 2]")),
]

NODES = [
    Case(1100, "Invalid resource group name 1x. the first character of a resource group name must be an underscore or letter", lambda c: c.create_resource_group("1x")),
    Case(301, "resource group already exist, but create with different config[rg=__default_resource_group]", lambda c: c.create_resource_group(GROUP)),
    Case(1100, "default resource group is not deletable: invalid parameter[expected=not default resource group][actual=__default_resource_group]", lambda c: c.drop_resource_group(GROUP)),
    Case(300, "resource group not found[rg=z]", lambda c: c.describe_resource_group("z")),
    Case(300, "resource group not found[rg=z]", lambda c: c.transfer_replica("z", GROUP, BOOKS, 1)),
    Case(1100, "source resource group and target resource group should not be the same, resource group: __default_resource_group", lambda c: c.transfer_replica(GROUP, GROUP, BOOKS, 1)),
    Case(300, "resource group not found[rg=z]", lambda c: c.load_collection("half", resource_groups=["z"])),
    Case(901, "source node not found in any replica: node not found[node=99]", _balance(BOOKS, 99)),
    Case(901, "destination node not found in the same replica: node not found[node=99]", _balance(BOOKS, 1, dst_nodeIDs=[99])),
    Case(600, "segment 999 not found in source node 1: segment not found[segment=999]", _balance(BOOKS, 1, sealed_segmentIDs=[999])),
    Case(103, "collection not fully loaded[collection={}]", _balance("bare", 1)),
    Case(100, "collection not found[database=default][collection=x]", _balance("x", 1)),
    Case(1100, "load field list [id vector] does not contain partition key field topic", lambda c: c.load_collection(KEYED, load_fields=["id", "vector"])),
    Case(1100, "load field list [id vector topic] does not contain clustering key field shelf", lambda c: c.load_collection(KEYED, load_fields=["id", "vector", "topic"])),
    Case(702, "can not alter query_mode if the collection already has a vector index. Please drop the index first: index duplicates[indexName=vector]", _alter(BOOKS, query_mode="large_topk")),
    Case(1101, "collection names cannot be empty: missing parameter", _ask("BatchDescribeCollection")),
    Case(1100, "currently does not support adding BM25 function", _ask("AddCollectionFunction", collection_name="bare", functionSchema={"name": "f", "type": 1})),
]
# fmt: on

SITUATIONS = [*WHILE_LOADED, *PROPERTIES, *STRUCTURE, *NODES]
