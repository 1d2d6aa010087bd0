"""What a search asks with: the vectors it brings, or those of rows it names."""

from __future__ import annotations

import numpy as np

from elanus.engine.collection import Collection
from elanus.engine.read.plan import QueryRequest, SearchPlan
from elanus.engine.version import Version
from elanus.errors import InvalidParameter
from elanus.functions.bm25 import asked_frequencies, function_of
from elanus.schema import limits
from elanus.schema.columns import from_arrow
from elanus.schema.schema import FieldSchema
from elanus.schema.sparse import SparseRows
from elanus.schema.types import DataType
from elanus.schema.vector_codecs import one_of, query_rows
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import VectorColumn, VectorRows, as_floats, no_vectors
from elanus.service.requests import Queries, Search

_PLACEHOLDERS = {
    21: "VARCHAR",
    100: "VECTOR_BINARY",
    101: "VECTOR_FLOAT",
    102: "VECTOR_FLOAT16",
    103: "VECTOR_BFLOAT16",
    104: "VECTOR_SPARSE_U32_F32",
    105: "VECTOR_INT8",
}
# Types of lists of vectors are those of the vectors and this.
_OF_LISTS = 200
_LISTS = {
    number: name.replace("VECTOR_", "EMB_LIST_")
    for number, name in _PLACEHOLDERS.items()
}
# Clients send lists of numbers as float32, whatever the field keeps of them.
_ROUNDED = (DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR)


def queries_of(
    collection: Collection, version: Version, plan: SearchPlan, request: Search
) -> VectorRows:
    """The query vectors of a search, as the field compares them.

    Raises:
        InvalidParameter: they do not fit the field, or a row named has no vector.
    """
    queries = asked_of(collection, version, plan, request)
    if queries.null_count:
        raise InvalidParameter(
            f"some of the provided primary key IDs have no vector in field "
            f"{plan.field.name}"
        )
    return queries.rows


def asked_of(
    collection: Collection, version: Version, plan: SearchPlan, request: Search
) -> VectorColumn:
    """The query vectors of a search; null where the row that is named has none.

    Raises:
        InvalidParameter: they do not fit the field.
    """
    if request.query_keys is not None:
        queries = _rows_as_queries(collection, version, plan.field, request)
    elif plan.field.is_function_output:
        queries = VectorColumn(_sent_texts(version, plan.field, request))
    elif plan.compares_lists:
        queries = VectorColumn(_sent_lists(plan.field, request.queries))
    else:
        queries = VectorColumn(_sent_vectors(plan.field, request.queries))
    nq = len(queries)
    if not 0 < nq <= limits.NQ:
        raise InvalidParameter(
            f"nq [{nq}] is invalid, nq (number of search vector per search request) "
            f"should be in range [1, {limits.NQ}], but got {nq}"
        )
    iterator = request.options.iterator
    if iterator is not None and iterator.is_v2 and nq != 1:
        raise InvalidParameter(
            f"parse iterator v2 info failed: nq should be 1, but got {nq}"
        )
    return queries


def _sent_texts(version: Version, field: FieldSchema, request: Search) -> SparseRows:
    """How often each of the texts sent has its words."""
    queries = request.queries
    if queries is None or not queries.nq:
        return SparseRows.empty()
    if queries.type_number != DataType.VARCHAR:
        try:
            sent = DataType(queries.type_number).row.name
        except ValueError:
            sent = str(queries.type_number)
        raise InvalidParameter(
            f"please provide varchar/text for BM25 Function based search, got {sent}"
        )
    function = function_of(version.schema, field)
    assert function is not None
    options = request.options
    name = options.extra.get("analyzer_name") or options.params.get("analyzer_name", "")
    return asked_frequencies(version.schema, function, queries.raw, str(name))


def _sent_vectors(field: FieldSchema, queries: Queries | None) -> VectorRows:
    """Single vectors, for a field of such or for those in the lists of a field."""
    one = one_of(field) if field.is_vector_list else field
    if queries is None or (queries.vectors is None and not queries.raw):
        return no_vectors(one.vector, one.dim or 0).rows
    number = queries.type_number
    is_rounded = number == DataType.FLOAT_VECTOR and one.dtype in _ROUNDED
    if queries.vectors is None or not (number == one.dtype or is_rounded):
        raise _other_type(field, _PLACEHOLDERS[one.dtype], number)
    return query_rows(one, queries.vectors)


def _sent_lists(field: FieldSchema, queries: Queries | None) -> VectorRows:
    """Lists of vectors: each query's bytes are those of all its vectors."""
    if queries is None or not queries.nq:
        return no_vectors(field.vector, field.dim or 0).rows
    number, dtype = queries.type_number, field.vector_type
    sent = number - _OF_LISTS
    if sent != dtype and not (sent == DataType.FLOAT_VECTOR and dtype in _ROUNDED):
        raise _other_type(field, _LISTS[dtype], number)
    vector = DataType(sent).vector
    nbytes, dim = vector.nbytes(field.dim or 0), field.dim or 0
    sizes = np.fromiter(map(len, queries.raw), np.int64, len(queries.raw))
    uneven = sizes[sizes % nbytes != 0]
    if len(uneven):
        raise InvalidParameter(
            f"vector dimension mismatch, expected vector size(byte) {nbytes}, actual "
            f"{uneven[0]}."
        )
    flat = np.frombuffer(b"".join(queries.raw), vector.numpy)
    matrix = flat.reshape(-1, vector.width(dim))
    return query_rows(field, VectorLists.of(sizes // nbytes, matrix))


def _other_type(field: FieldSchema, needed: str, number: int) -> InvalidParameter:
    sent = _PLACEHOLDERS.get(number) or _LISTS.get(number - _OF_LISTS, str(number))
    return InvalidParameter(
        f"vector type must be the same, field {field.name} - type {needed}, search "
        f"info type {sent}"
    )


def _rows_as_queries(
    collection: Collection, version: Version, field: FieldSchema, request: Search
) -> VectorColumn:
    """The vectors of the rows whose keys are the queries, in the order of the keys."""
    wanted = request.query_keys
    assert wanted is not None
    if field.is_function_output:
        raise InvalidParameter(
            "not support search by primary keys on BM25 function output field "
            f"{field.name}"
        )
    if field.is_vector_list:
        raise InvalidParameter("array of vector is not supported for search by IDs")
    table = collection.get(
        version,
        wanted,
        QueryRequest(partitions=request.partitions, output_fields=(field.name,)),
    )
    keys = table.column(version.schema.primary.name).to_pylist()
    row_by_key = {key: row for row, key in enumerate(keys)}
    missing = [key for key in wanted.to_pylist() if key not in row_by_key]
    if missing:
        raise InvalidParameter(
            f"some of the provided primary key IDs do not exist: missing IDs "
            f"[{' '.join(map(str, missing))}]"
        )
    stored = from_arrow(table.column(field.name).combine_chunks(), field)
    assert isinstance(stored, VectorColumn)
    rows = [row_by_key[key] for key in wanted.to_pylist()]
    chosen = stored.take(np.array(rows, np.int64))
    if not isinstance(chosen.rows, np.ndarray) or chosen.rows.dtype == np.uint8:
        return chosen
    floats = np.ascontiguousarray(as_floats(chosen.rows))
    return VectorColumn(floats, chosen.valid)
