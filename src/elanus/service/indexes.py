"""Operations on indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from elanus.engine.collection import Collection
from elanus.engine.definition import IndexDefinition
from elanus.errors import IndexAmbiguous, IndexNotFound, InvalidParameter
from elanus.schema import limits
from elanus.schema.names import check_index_name
from elanus.schema.schema import DYNAMIC_FIELD, FieldSchema
from elanus.service import requests as r
from elanus.service.core import Core
from elanus.service.index_rules import scalar_index, vector_index
from elanus.service.json_paths import path_of, unescaped
from elanus.service.replies import Done, IndexBuild, IndexInfo, IndexList, IndexState
from elanus.service.warmup import WARMUP, check_warmup

DONE = Done()
_STATES = {
    "Finished": IndexState.FINISHED,
    "InProgress": IndexState.IN_PROGRESS,
    "Failed": IndexState.FAILED,
}


def create_index(core: Core, request: r.CreateIndex) -> Done:
    """Define the index of a field; once more does no harm.

    Raises:
        InvalidParameter, MissingParameter, UnsupportedOperation, CollectionNotFound.
    """
    if request.index:
        check_index_name(request.index)
    given = request.given
    size = sum(len(key) + len(value) for key, value in given.items())
    if size > limits.INDEX_PARAMS_BYTES:
        raise InvalidParameter(
            f"index params size exceeds limit: {size} > {limits.INDEX_PARAMS_BYTES}"
        )
    if WARMUP in request.params:
        check_warmup(WARMUP, str(request.params[WARMUP]))
    core.database.need_open()
    # Milvus looks the name up without a look at how it is spelled
    collection = core.database.directory.resolve(request.collection, request.database)
    field = _field(collection, request.field)
    path = path_of(field, request.field, request.params)
    present = collection.definition.index_at(field.id, path)
    if present is not None and WARMUP in request.params:
        # Milvus compares it with an index whose warmup it has put elsewhere
        raise InvalidParameter("at most one distinct index is allowed per field")
    name = request.index or (field.name + path if present is None else present.name)
    kind, params = request.index_type, request.params
    if field.is_vector:
        index = vector_index(name, field, kind, request.metric_type, params)
        told = {
            "index_type": index.index_type,
            "metric_type": index.metric,
        }
        shown = {**told, **given, **told}
    else:
        index, shown = scalar_index(name, field, kind, params), dict(given)
    index = replace(index, given=shown, path=path)
    core.database.create_index(collection, index)
    return DONE


def _field(collection: Collection, name: str) -> FieldSchema:
    field = collection.schema.by_name.get(name, collection.schema.dynamic)
    if field is not None:
        return field
    raise InvalidParameter(f"cannot create index on non-exist field: {name}")


def describe_index(core: Core, request: r.DescribeIndex) -> IndexList:
    """What indexes there are and how far they are built.

    Raises:
        CollectionNotFound, IndexNotFound.
    """
    return IndexList(tuple(_described(core, request, request.index)))


def get_index_state(core: Core, request: r.GetIndexState) -> IndexBuild:
    """Whether an index is built.

    Raises:
        CollectionNotFound, IndexNotFound.
    """
    return _build(_one(core, request))


def get_index_statistics(core: Core, request: r.GetIndexStatistics) -> IndexList:
    """As :func:`describe_index`.

    Raises:
        CollectionNotFound, IndexNotFound.
    """
    return IndexList(tuple(_described(core, request, request.index)))


def get_index_build_progress(
    core: Core, request: r.GetIndexBuildProgress
) -> IndexBuild:
    """How many rows are indexed.

    Raises:
        CollectionNotFound, IndexNotFound.
    """
    return _build(_one(core, request))


def _one(core: Core, request: r.IndexRequest) -> IndexInfo:
    found = _described(core, request, request.index)
    of_field = [index for index in found if index.field == request.field]
    return (of_field or found)[0]


def _build(index: IndexInfo) -> IndexBuild:
    return IndexBuild(index.state, index.indexed_rows, index.total_rows, index.failure)


def _described(core: Core, request: r.IndexRequest, name: str) -> list[IndexInfo]:
    collection = core.collection(request)
    states = core.database.describe_indexes(collection)
    by_name = {i.name: i for i in collection.definition.all_indexes}
    found = [
        _info(by_name[state["name"]], state)
        for state in states
        if state["name"] in by_name and name in ("", state["name"])
    ]
    if found:
        return found
    if name:
        raise IndexNotFound(index=name)
    raise IndexNotFound(collection=collection.definition.name)


def _info(index: IndexDefinition, state: dict[str, Any]) -> IndexInfo:
    return IndexInfo(
        name=index.name,
        id=index.id,
        field=_told_field(index, state["field"]),
        params=told_params(index),
        state=_STATES[state["state"]],
        indexed_rows=state["indexed_rows"],
        total_rows=state["total_rows"],
        pending_rows=state["pending_rows"],
        failure=state["reason"],
    )


def _told_field(index: IndexDefinition, field: str) -> str:
    """The field's name, or the key where it is one of the dynamic field."""
    if field != DYNAMIC_FIELD or not index.path:
        return field
    return unescaped(index.path.split("/")[1])


def told_params(index: IndexDefinition) -> dict[str, str]:
    """Parameters as a client gave them, or as the embedded API would have."""
    if index.given:
        return dict(index.given)
    told = {"index_type": index.index_type, "metric_type": index.metric}
    if index.params:
        told["params"] = orjson.dumps(dict(index.params)).decode()
    return {key: value for key, value in told.items() if value}


def drop_index(core: Core, request: r.DropIndex) -> Done:
    """Remove an index; nothing happens if there is none.

    Raises:
        CollectionNotFound, IndexAmbiguous.
        InvalidParameter: it is needed while the collection is loaded.
    """
    collection = core.collection(request)
    definition = collection.definition
    known = list(definition.all_indexes)
    if request.index:
        chosen = [index for index in known if index.name == request.index]
    else:
        field = definition.schema.by_name.get(request.field)
        of_field = [i for i in known if field is not None and i.field_id == field.id]
        chosen = of_field or known
    if not chosen:
        return DONE
    if len(chosen) > 1:
        raise IndexAmbiguous(request.index)
    if chosen[0].metric and definition.loaded is not None:
        raise InvalidParameter(
            f"vector index cannot be dropped on loaded collection: {definition.id}"
        )
    core.database.drop_index(collection, chosen[0].name)
    return DONE
