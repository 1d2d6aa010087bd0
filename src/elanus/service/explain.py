"""Explanations of reads: the read is done, and what was done comes as its answer.

Every client can read such an answer: that of a query is one row, that of a search one
hit, of a field ``explain``.
"""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa

from elanus.engine.read.explain import explain as explanation_of
from elanus.engine.read.explanation import Explanation
from elanus.engine.read.recorder import Recorder
from elanus.errors import InvalidParameter
from elanus.schema.arrays import array_of_texts
from elanus.schema.schema import CollectionSchema
from elanus.schema.types import DataType
from elanus.service.aggregates import asks_for_aggregates
from elanus.service.core import Core
from elanus.service.hybrid import hybrid_search
from elanus.service.query import query
from elanus.service.replies import (
    OutputColumn,
    QueryReply,
    Reply,
    SearchReply,
    StructColumn,
)
from elanus.service.requests import HybridSearch, Query, Search
from elanus.service.requests_explain import Explain, ExplainForm
from elanus.service.search import prepare, run

NAME = "explain"
_NOT_OF_ITERATORS = (
    "an iterator cannot be explained; explain the search or query itself"
)


def explain(core: Core, request: Explain) -> Reply:
    """Do a read and tell how it was done.

    Raises:
        InvalidParameter: it is a step of an iterator.
        and what the read itself raises.
    """
    read = request.read
    if isinstance(read, Query):
        return _of_query(core, read, request.form)
    recorder = Recorder()
    if isinstance(read, HybridSearch):
        reply = hybrid_search(core, read, recorder)
        operation = "hybrid search"
    else:
        reply = _searched(core, read, recorder)
        operation = "search"
    recorder.step("output")
    recorder.asked = {**recorder.asked, **_outputs(reply)}
    recorder.end(len(reply.keys))
    definition = core.collection(read).definition
    found = explanation_of(definition, operation, recorder)
    return _as_hits(reply, definition.schema, _column(found, request.form))


def _searched(core: Core, read: Search, recorder: Recorder) -> SearchReply:
    if read.options.iterator is not None:
        raise InvalidParameter(_NOT_OF_ITERATORS)
    prepared = prepare(core, read)
    recorder.planned(prepared.version, prepared.plan)
    if len(prepared.queries) > 1:
        recorder.asked = {"queries": len(prepared.queries)}
    return run(core, prepared, recorder)


def _of_query(core: Core, read: Query, form: ExplainForm) -> QueryReply:
    if read.options.is_iterator:
        raise InvalidParameter(_NOT_OF_ITERATORS)
    recorder = Recorder()
    reply = query(core, read, recorder)
    recorder.step("output")
    recorder.asked = _outputs(reply)
    recorder.end(_row_count(reply))
    definition = core.collection(read).definition
    operation = "aggregation" if asks_for_aggregates(read) else "query"
    found = explanation_of(definition, operation, recorder)
    return QueryReply(
        collection=reply.collection,
        primary_name=reply.primary_name,
        columns=(_column(found, form),),
        output_fields=(NAME,),
        session_ts=reply.session_ts,
    )


def _outputs(reply: SearchReply | QueryReply) -> dict[str, str]:
    names = reply.output_fields
    return {"output": " ".join(names)} if names else {}


def _row_count(reply: QueryReply) -> int:
    first = reply.columns[0]
    column = first.parts[0] if isinstance(first, StructColumn) else first
    return len(column.values)


def _column(found: Explanation, form: ExplainForm) -> OutputColumn:
    if form is ExplainForm.TEXT:
        text = array_of_texts([str(found)], pa.large_string())
        return OutputColumn(NAME, DataType.VARCHAR, text)
    json = array_of_texts([orjson.dumps(found.as_dict())], pa.large_binary())
    return OutputColumn(NAME, DataType.JSON, json)


def _as_hits(
    reply: SearchReply, schema: CollectionSchema, column: OutputColumn
) -> SearchReply:
    """One hit of the first query, with an empty key; the others have none."""
    counts = np.zeros(len(reply.counts), np.int64)
    counts[0] = 1
    is_text = schema.primary.dtype is DataType.VARCHAR
    key = array_of_texts([""], pa.large_string()) if is_text else pa.array([0])
    return SearchReply(
        collection=reply.collection,
        primary_name=reply.primary_name,
        counts=counts,
        keys=key,
        scores=np.zeros(1, np.float32),
        columns=(column,),
        output_fields=(NAME,),
        session_ts=reply.session_ts,
    )
