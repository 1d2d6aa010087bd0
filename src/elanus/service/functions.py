"""Functions of a collection: those of BM25 stay as they were created.

What Milvus refuses of any collection is refused in its words; what it would take is
refused as what Elanus does not have.
"""

from __future__ import annotations

from typing import NoReturn

from elanus.engine.collection import Collection
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.schema.functions import FunctionKind, FunctionSchema
from elanus.service import requests_alter as r
from elanus.service.core import Core


def add_collection_function(core: Core, request: r.AddCollectionFunction) -> NoReturn:
    """Raise: functions cannot be added.

    Raises:
        InvalidParameter: it is of a kind that is never added so.
        UnsupportedOperation, CollectionNotFound.
    """
    core.collection(request)
    if request.function.kind == FunctionKind.BM25:
        raise InvalidParameter("currently does not support adding BM25 function")
    raise unsupported(request.function, request.collection)


def alter_collection_function(
    core: Core, request: r.AlterCollectionFunction
) -> NoReturn:
    """Raise: there is no function that can change.

    Raises:
        InvalidParameter, CollectionNotFound.
    """
    collection = core.collection(request)
    if request.function.kind == FunctionKind.BM25:
        raise InvalidParameter("currently does not support alter BM25 function")
    if request.function.name != request.name:
        raise InvalidParameter("invalid function config, name not match")
    raise _fixed(collection, request.name)


def drop_collection_function(core: Core, request: r.DropCollectionFunction) -> NoReturn:
    """Raise: there is no function that can go.

    Raises:
        InvalidParameter, CollectionNotFound.
    """
    raise _fixed(core.collection(request), request.name)


def _fixed(collection: Collection, name: str) -> InvalidParameter:
    """The error for a function that is to change: of BM25, or none."""
    if any(function.name == name for function in collection.schema.functions):
        return InvalidParameter("currently does not support alter BM25 function")
    return InvalidParameter(f"function {name} not found")


def refuse_added(request: r.AddToSchema) -> None:
    """Raise when a change of the schema brings a function.

    Raises:
        InvalidParameter: more than one thing, or one that is never added so.
        UnsupportedOperation: Milvus would take it.
    """
    if len(request.fields) > 1:
        raise InvalidParameter("For now, only one field info is supported")
    if len(request.functions) > 1:
        raise InvalidParameter("For now, at most one function schema is supported")
    if not request.functions:
        return
    function = request.functions[0]
    if not request.fields:
        if function.kind == FunctionKind.BM25:
            raise InvalidParameter(
                "BM25 function must be added with its output field in "
                "add_function_field interface"
            )
    elif function.kind not in (FunctionKind.BM25, FunctionKind.MINHASH):
        raise InvalidParameter(
            "For now, only BM25 and MinHash functions are supported in "
            "add_function_field interface"
        )
    raise unsupported(function, request.collection)


def unsupported(function: FunctionSchema, collection: str) -> UnsupportedOperation:
    """The error for a function that only Milvus has."""
    return UnsupportedOperation(f"function {function.name} in collection {collection}")
