"""Which index may be asked of which field, with Milvus' texts for those that may not.

How one is built goes by the values for indexes of scalars (:mod:`elanus.index.scalar`),
so most kinds of these differ in name and in what fields they are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from elanus.distance.metrics import Metric
from elanus.engine.definition import IndexDefinition
from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.index.params import check_scoring
from elanus.index.registry import (
    AUTOINDEX,
    KINDS,
    TAKEN,
    index_kind,
    index_kind_for,
)
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from elanus.service.json_paths import JSON_KINDS, check_json_index

_VALID = "valid index params"
_INVALID = "invalid index params"
_FLOATS = TAKEN["FLAT"]
# Milvus' kinds that Elanus does not build, and the vectors they are for.
_NOT_BUILT: dict[str, frozenset[DataType]] = {
    **dict.fromkeys(("IVF_FLAT_CC", "IVF_SQ_CC", "AISAQ"), _FLOATS),
    "HNSW_PRQ": TAKEN["HNSW"],
    **dict.fromkeys(
        ("GPU_CAGRA", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_BRUTE_FORCE"),
        frozenset({DataType.FLOAT_VECTOR}),
    ),
    "MINHASH_LSH": frozenset({DataType.BINARY_VECTOR}),
}

Params = Mapping[str, Any]
_TOKENS = "tokenann"
_STRATEGIES = ("emb_list_", "muvera_", "lemur_")


def vector_index(
    name: str, field: FieldSchema, kind_name: str, metric: str, params: Params
) -> IndexDefinition:
    """The index of a vector field, checked.

    Raises:
        InvalidParameter: the kind, metric or a parameter does not fit.
        UnsupportedOperation: Milvus has such a kind, Elanus does not.
    """
    if field.is_vector_list:
        return _list_index(name, field, kind_name, metric, params)
    _check_lexical(field, metric, params)
    is_scalar_kind = kind_name in _SCALAR_KINDS and kind_name not in ("", AUTOINDEX)
    is_not_built = kind_name in _NOT_BUILT
    if (is_scalar_kind or is_not_built) and not metric:
        raise _metric_missing()
    if is_scalar_kind or (is_not_built and field.dtype not in _NOT_BUILT[kind_name]):
        raise _not_for(field, kind_name)
    if is_not_built:
        raise UnsupportedOperation(f"index type {kind_name}")
    kind = index_kind(kind_name)
    if not metric and kind.name != AUTOINDEX:
        raise _metric_missing()
    default = Metric.BM25 if field.is_function_output else field.vector.metrics[0]
    chosen = Metric.from_name(metric, field.dtype, default)
    kind = index_kind_for(kind_name, field.dtype)
    kind.resolve(dict(params), 0, field.dim or 0)
    return IndexDefinition(name, field.id, kind.name, chosen.value, dict(params))


def _check_lexical(field: FieldSchema, metric: str, params: Params) -> None:
    """Raise unless a field of BM25, and no other, has that metric.

    Raises:
        InvalidParameter: so it is, or a parameter of the scoring is out of range.
    """
    is_lexical = metric.upper() == Metric.BM25
    if not field.is_function_output:
        if is_lexical and field.vector.is_sparse:
            raise InvalidParameter(
                "only BM25 Function output field support BM25 metric type"
            )
        return
    if metric and not is_lexical:
        raise InvalidParameter(
            f"index metric type of BM25 function output field must be BM25, got "
            f"{metric}"
        )
    check_scoring(params)


def _list_index(
    name: str, field: FieldSchema, kind_name: str, metric: str, params: Params
) -> IndexDefinition:
    """The index of lists of vectors: checked, kept and told, never built.

    Its metric says what is compared: lists with lists, or vectors one by one.
    """
    kind_name = kind_name or AUTOINDEX
    dtype = field.vector_type
    taken = _NOT_BUILT.get(kind_name) or TAKEN.get(kind_name, frozenset({dtype}))
    if kind_name == "HNSW":
        taken |= {DataType.BINARY_VECTOR}
    is_known = kind_name in KINDS or kind_name in _NOT_BUILT
    if kind_name in _SCALAR_KINDS and kind_name != AUTOINDEX:
        raise _not_for(field, kind_name)
    if not is_known:
        index_kind(kind_name)  # says that there is none
    if dtype not in taken:
        raise _not_for(field, kind_name)
    if not metric and kind_name != AUTOINDEX:
        raise _metric_missing()
    default = field.vector.metrics[0]
    chosen = Metric.from_name(metric, dtype, default, of_lists=True)
    if kind_name in KINDS:
        index_kind(kind_name).resolve(_without_strategy(params), 0, field.dim or 0)
    strategy = str(params.get("emb_list_strategy", _TOKENS))
    if kind_name == "DISKANN" and strategy != _TOKENS:
        raise InvalidParameter("DiskANN only supports TokenANN strategy")
    return IndexDefinition(
        name, field.id, kind_name, chosen.value, dict(params), is_scanned=True
    )


def _without_strategy(params: Params) -> dict[str, Any]:
    """Build parameters without those that say how lists are made single vectors."""
    return {k: v for k, v in params.items() if not k.startswith(_STRATEGIES)}


def _metric_missing() -> InvalidParameter:
    return InvalidParameter(
        "metric type not set for vector index", expected=_VALID, actual=_INVALID
    )


def _not_for(field: FieldSchema, kind_name: str) -> InvalidParameter:
    return InvalidParameter(
        f"data type {field.dtype.row.name} can't build with this index {kind_name}"
    )


def scalar_index(
    name: str, field: FieldSchema, kind_name: str, params: Params
) -> IndexDefinition:
    """The index of a scalar field, checked.

    Raises:
        InvalidParameter, MissingParameter: the kind does not fit the field.
    """
    if kind_name in KINDS and kind_name != AUTOINDEX:
        raise _not_for(field, kind_name)
    if field.dtype is DataType.TEXT:
        raise InvalidParameter("TEXT field does not support user-created scalar index")
    if field.dtype is DataType.JSON:
        if kind_name in _SCALAR_KINDS and kind_name not in JSON_KINDS:
            _SCALAR_KINDS[kind_name](field, params)  # says which fields it is for
        check_json_index(kind_name, params)
        return IndexDefinition(name, field.id, kind_name, "", dict(params))
    if kind_name not in _SCALAR_KINDS:
        raise InvalidParameter(
            expected="valid index", actual=f"invalid index type: {kind_name}"
        )
    _SCALAR_KINDS[kind_name](field, params)
    return IndexDefinition(name, field.id, kind_name, "", dict(params))


def _any(field: FieldSchema, params: Params) -> None:
    return None


def _inverted(field: FieldSchema, params: Params) -> None:
    if field.dtype in (DataType.GEOMETRY, DataType.TIMESTAMPTZ):
        raise InvalidParameter(
            f"INVERTED are not supported on {field.dtype.row.name} field"
        )


def _sorted(field: FieldSchema, params: Params) -> None:
    indexed = field.dtype
    if field.struct and field.element_type is not None:
        indexed = field.element_type
    if not indexed.has_order:
        raise InvalidParameter(
            f"STL_SORT are only supported on numeric, varchar or timestamptz field, "
            f"got {field.dtype.row.name}"
        )


def _trie(field: FieldSchema, params: Params) -> None:
    if field.dtype is not DataType.VARCHAR:
        raise InvalidParameter("TRIE are only supported on varchar field")


def _bitmap(field: FieldSchema, params: Params) -> None:
    if field.is_primary:
        raise InvalidParameter("create bitmap index on primary key not supported")
    indexed = field.element_type or field.dtype
    if indexed.is_floating or indexed in (DataType.GEOMETRY, DataType.TIMESTAMPTZ):
        where = "string for array" if field.element_type else "string and array"
        raise InvalidParameter(
            f"bitmap index are only supported on bool, int, {where} field"
        )


def _ngram(field: FieldSchema, params: Params) -> None:
    if field.dtype is not DataType.VARCHAR:
        raise InvalidParameter(
            "ngram index can only be created on VARCHAR or JSON field"
        )
    if not {"min_gram", "max_gram"} <= params.keys():
        raise InvalidParameter("Ngram index must specify both min_gram and max_gram")
    shortest, longest = (_gram(name, params) for name in ("min_gram", "max_gram"))
    if not 0 < shortest <= longest:
        raise InvalidParameter(
            f"invalid min_gram or max_gram value for Ngram index, min_gram: "
            f"{shortest}, max_gram: {longest}"
        )


def _gram(name: str, params: Params) -> int:
    try:
        return int(str(params[name]))
    except ValueError:
        raise InvalidParameter(
            f"{name} for Ngram index must be an integer, got: {params[name]}"
        ) from None


def _rtree(field: FieldSchema, params: Params) -> None:
    if field.dtype is DataType.GEOMETRY:
        return
    raise InvalidParameter(
        f"RTREE index can only be built on geometry field, got {field.dtype.row.name}"
    )


_SCALAR_KINDS: dict[str, Callable[[FieldSchema, Params], None]] = {
    "": _any,
    AUTOINDEX: _any,
    "INVERTED": _inverted,
    "STL_SORT": _sorted,
    "Asceneding": _sorted,  # as Milvus spells it
    "Trie": _trie,
    "TRIE": _trie,
    "marisa-trie": _trie,
    "BITMAP": _bitmap,
    "NGRAM": _ngram,
    "RTREE": _rtree,
}
