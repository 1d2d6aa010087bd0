"""The table of index parameters: ranges, defaults, and Milvus' texts for misuse.

Build parameters arrive as strings or numbers, search parameters as JSON values. Unknown
names are let through, as Milvus does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from elanus.errors import InvalidParameter
from elanus.index.base import SearchParams
from elanus.index.choices import Choice, Factor, Switch
from elanus.index.choices import SearchParameterError as SearchParameterError

INT_MAX = 2**31 - 1
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?\d+\.\d*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One whole-number parameter of an index kind.

    Attributes:
        name: as published, case-sensitive.
        low, high: allowed range, both included.
        default: used where none is given; ``None`` means it must be given.
    """

    name: str
    low: int
    high: int
    default: int | None


NLIST = Parameter("nlist", 1, 65536, 128)
M = Parameter("M", 2, 2048, 30)
EF_CONSTRUCTION = Parameter("efConstruction", 1, INT_MAX, 360)
PQ_M = Parameter("m", 1, 65536, None)
PQ_NBITS = Parameter("nbits", 1, 24, 8)
NPROBE = Parameter("nprobe", 1, 65536, 8)
EF = Parameter("ef", 1, INT_MAX, None)
DISKANN = "DISKANN"
MAX_DEGREE = Parameter("max_degree", 1, 512, 56)
SEARCH_LIST_SIZE = Parameter("search_list_size", 1, INT_MAX, 100)
# As older clients call it in searches.
_SEARCH_LIST = "search_list"
GRAPH_PQ_M = Parameter("m", 1, 65536, 32)
QUERY_BITS = Parameter("rbq_bits_query", 0, 8, 0)
REORDER_K = Parameter("reorder_k", 1, INT_MAX, None)
REFINE_K = Factor("refine_k", 1.0)
SQ_TYPE = Choice(
    "sq_type",
    ("sq4u", "sq6", "sq8", "bf16", "fp16"),
    2,
    "invalid scalar quantizer type",
)
REFINE = Switch("refine", 0)
_REFINE_PROBLEM = "invalid refine type : {value}, optional types are "
REFINE_TYPE = Choice(
    "refine_type",
    ("sq6", "sq8", "fp16", "bf16", "fp32", "flat"),
    4,
    _REFINE_PROBLEM + "[sq6, sq8, fp16, bf16, fp32, flat]",
)
GRAPH_REFINE_TYPE = Choice(
    "refine_type",
    ("sq4u", "sq6", "sq8", "fp16", "bf16", "fp32", "flat"),
    5,
    _REFINE_PROBLEM + "[sq4u, sq6, sq8, fp16, bf16, fp32, flat]",
)
ALGORITHMS = (
    "TAAT_NAIVE",
    "DAAT_WAND",
    "DAAT_MAXSCORE",
    "BLOCK_MAX_MAXSCORE",
    "BLOCK_MAX_WAND",
    "SINDI",
)
_SPARSE_KINDS = ("SPARSE_INVERTED_INDEX", "SPARSE_WAND")

RECALL_TARGET = "recall_target"
# What a recall target takes the place of.
_EFFORT_NAMES = ("ef", "nprobe", "efSearch", "level", "search_list_size", "search_list")

FACTORY_NAME = "faiss_index_name"
# As faiss calls them; whichever the index has, the other changes nothing.
_FACTORY_EFFORTS = (NPROBE, Parameter("efSearch", 1, INT_MAX, None))

BUILD_PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "FLAT": (),
    "IVF_FLAT": (NLIST,),
    "IVF_SQ8": (NLIST,),
    "IVF_PQ": (NLIST, PQ_M, PQ_NBITS),
    "IVF_RABITQ": (NLIST,),
    "SCANN": (NLIST,),
    "HNSW": (M, EF_CONSTRUCTION),
    "HNSW_SQ": (M, EF_CONSTRUCTION),
    "HNSW_PQ": (M, EF_CONSTRUCTION, GRAPH_PQ_M, PQ_NBITS),
    DISKANN: (MAX_DEGREE, SEARCH_LIST_SIZE),
    "FAISS": (),
    "BIN_FLAT": (),
    "BIN_IVF_FLAT": (NLIST,),
    "SPARSE_INVERTED_INDEX": (),
    "SPARSE_WAND": (),
    "AUTOINDEX": (),
}
# Those that are no numbers. What is found is measured on the rows themselves, so
# refinement is checked and changes nothing.
BUILD_CHOICES: dict[str, tuple[Choice | Switch, ...]] = {
    "IVF_RABITQ": (REFINE, REFINE_TYPE),
    "SCANN": (Switch("with_raw_data", 1),),
    "HNSW_SQ": (SQ_TYPE, REFINE, GRAPH_REFINE_TYPE),
    "HNSW_PQ": (REFINE, GRAPH_REFINE_TYPE),
}
# The parameter that sets how hard a search tries.
EFFORT_PARAMETERS: dict[str, Parameter | None] = {
    "FLAT": None,
    "IVF_FLAT": NPROBE,
    "IVF_SQ8": NPROBE,
    "IVF_PQ": NPROBE,
    "IVF_RABITQ": NPROBE,
    "SCANN": NPROBE,
    "HNSW": EF,
    "HNSW_SQ": EF,
    "HNSW_PQ": EF,
    DISKANN: SEARCH_LIST_SIZE,
    "FAISS": None,
    "BIN_FLAT": None,
    "BIN_IVF_FLAT": NPROBE,
    "SPARSE_INVERTED_INDEX": None,
    "SPARSE_WAND": None,
    "AUTOINDEX": EF,
}
# Search parameters that are checked and change nothing, for the same reason.
REFINING_PARAMETERS: dict[str, tuple[Parameter | Factor, ...]] = {
    "IVF_RABITQ": (QUERY_BITS, REFINE_K),
    "SCANN": (REORDER_K,),
    "HNSW_SQ": (REFINE_K,),
    "HNSW_PQ": (REFINE_K,),
}
# Parameters of sparse kinds that are checked and change nothing: low, high, whether
# the upper bound is allowed itself, and how Milvus writes the range.
_RATIOS: dict[str, tuple[float, float, bool, str]] = {
    "drop_ratio_build": (0.0, 1.0, False, "[0.000000, 1.000000)"),
    "drop_ratio_search": (0.0, 1.0, False, "[0.000000, 1.000000)"),
    "dim_max_score_ratio": (0.5, 1.3, True, "[0.500000, 1.300000]"),
}

# Parameters of BM25, of indexes whose metric it is; the last estimates what is known.
_SCORING: dict[str, tuple[float, float]] = {
    "bm25_k1": (0.0, 3.4e38),
    "bm25_b": (0.0, 1.0),
    "bm25_avgdl": (1.0, 3.4e38),
}


def parse_build_params(kind: str, given: Mapping[str, Any]) -> dict[str, int]:
    """Every build parameter of a kind, checked, defaults filled in.

    Raises:
        InvalidParameter: with Milvus' text; correct the parameter it names.
    """
    parsed: dict[str, int] = {}
    for parameter in BUILD_PARAMETERS[kind]:
        if parameter.name not in given:
            if parameter.default is None:
                raise InvalidParameter(f"parameter `{parameter.name}` not found")
            parsed[parameter.name] = parameter.default
            continue
        value = _build_integer(parameter.name, given[parameter.name])
        problem = _range_problem(parameter, value)
        if problem:
            raise InvalidParameter(problem)
        parsed[parameter.name] = value
    for choice in BUILD_CHOICES.get(kind, ()):
        is_given = choice.name in given
        parsed[choice.name] = (
            choice.parse(given[choice.name]) if is_given else choice.default
        )
    if kind in _SPARSE_KINDS:
        _check_sparse_build(given)
    free = {"index_type", "metric_type", *_SCORING}
    if kind == "AUTOINDEX" and set(given) - free:
        raise InvalidParameter("only metric type can be passed when use AutoIndex")
    return parsed


def _check_sparse_build(given: Mapping[str, Any]) -> None:
    algorithm = given.get("inverted_index_algo", ALGORITHMS[0])
    if algorithm not in ALGORITHMS:
        raise InvalidParameter(
            f"sparse inverted index algo {algorithm} not found or not supported, "
            f"supported: [{' '.join(ALGORITHMS)}]"
        )
    name = "drop_ratio_build"
    if name in given:
        try:
            ratio = float(given[name])
        except (TypeError, ValueError):
            raise InvalidParameter(
                f"invalid float value, key: '{name}', value: '{given[name]}'"
            ) from None
        problem = _ratio_problem(name, ratio)
        if problem:
            raise InvalidParameter(problem)


def check_scoring(given: Mapping[str, Any]) -> None:
    """Raise unless the parameters of BM25 that are given can be.

    Raises:
        InvalidParameter: with Milvus' text; correct the parameter it names.
    """
    for name, (low, high) in _SCORING.items():
        if name not in given:
            continue
        try:
            value = float(given[name])
        except (TypeError, ValueError):
            raise InvalidParameter(
                f"invalid float value, key: '{name}', value: '{given[name]}'"
            ) from None
        if not low <= value <= high:
            raise InvalidParameter(
                f"Out of range in json: param '{name}' ({value:g}) should be in range "
                f"[{low:f}, {high:f}]"
            )


def _ratio_problem(name: str, value: float) -> str | None:
    low, high, is_closed, span = _RATIOS[name]
    if low <= value < high or (is_closed and value == high):
        return None
    return f"Out of range in json: param '{name}' ({value}) should be in range {span}"


def check_subquantizers(dim: int, m: int, of: str = "a vector") -> None:
    """Raise unless ``m`` divides ``dim``.

    Args:
        of: how Milvus' text calls what has the dimension.

    Raises:
        InvalidParameter: choose an ``m`` that divides the dimension.
    """
    if dim % m:
        raise InvalidParameter(
            f"The dimension of {of} (dim) should be a multiple of the number of "
            f"subquantizers (m). Dimension:{dim}, m:{m}"
        )


def parse_search_params(
    kind: str, given: Mapping[str, Any], limit: int
) -> SearchParams:
    """The effort of a search over an index of a kind.

    Args:
        kind: the kind's name; AUTOINDEX also takes ``level`` 1 to 10.
        given: JSON values by name; any kind takes ``recall_target`` instead of an
            effort, those that are exact need neither.
        limit: rows wanted, offset included.

    Raises:
        SearchParameterError: with Milvus' text; correct the parameter it names.
        InvalidParameter: the recall target is none, or stands beside an effort.
    """
    if given.get(RECALL_TARGET) is not None:
        target = _recall_target(given)
        rest = {k: v for k, v in given.items() if k != RECALL_TARGET}
        checked = parse_search_params(kind, rest, limit)
        return replace(checked, recall_target=target)
    parameter = EFFORT_PARAMETERS[kind]
    if kind == DISKANN and _SEARCH_LIST in given:
        given = {SEARCH_LIST_SIZE.name: given[_SEARCH_LIST], **given}
    for refining in REFINING_PARAMETERS.get(kind, ()):
        if refining.name in given:
            _check_refining(refining, given[refining.name], limit)
    if kind == "FAISS":
        return SearchParams(_factory_effort(given))
    if kind in _SPARSE_KINDS:
        _check_sparse_search(given)
    if parameter is None:
        return SearchParams()
    if parameter.name not in given:
        level = _level(given) if kind == "AUTOINDEX" else 1
        return SearchParams(level=level)
    value = _search_integer(parameter.name, given[parameter.name])
    problem = _range_problem(parameter, value)
    if problem:
        raise SearchParameterError(problem)
    if parameter in (EF, SEARCH_LIST_SIZE) and value < limit:
        raise SearchParameterError(
            f"{parameter.name}({value}) should be larger than k({limit})"
        )
    return SearchParams(value)


def _recall_target(given: Mapping[str, Any]) -> float:
    value = given[RECALL_TARGET]
    beside = [name for name in _EFFORT_NAMES if name in given]
    if beside:
        raise InvalidParameter(
            f"{RECALL_TARGET} takes the place of {beside[0]}: give one of the two"
        )
    try:
        is_text = isinstance(value, str)
        target = float(value) if is_text or _is_number(value) else math.nan
    except ValueError:
        target = math.nan
    if not 0.0 < target <= 1.0:
        raise InvalidParameter(
            f"{RECALL_TARGET} [{value}] is invalid, it should be a number in range "
            f"(0, 1]"
        )
    return target


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _factory_effort(given: Mapping[str, Any]) -> int:
    """The effort of an index that was named by a factory text; 0 when not given."""
    effort = 0
    for parameter in _FACTORY_EFFORTS:
        if parameter.name not in given:
            continue
        value = given[parameter.name]
        try:
            effort = _search_integer(parameter.name, value)
        except SearchParameterError:
            raise SearchParameterError(
                f"search parameter '{parameter.name}' expects a number, got {value}"
            ) from None
        problem = _range_problem(parameter, effort)
        if problem:
            raise SearchParameterError(problem)
    return effort


def _check_refining(parameter: Parameter | Factor, given: object, limit: int) -> None:
    if isinstance(parameter, Factor):
        parameter.check(given)
        return
    value = _search_integer(parameter.name, given)
    problem = _range_problem(parameter, value)
    if parameter is REORDER_K and not problem and value < limit:
        problem = f"reorder_k({value}) should be larger than k({limit})"
    if problem:
        raise SearchParameterError(problem)


def _check_sparse_search(given: Mapping[str, Any]) -> None:
    for name in ("drop_ratio_search", "dim_max_score_ratio"):
        if name not in given:
            continue
        problem = _ratio_problem(name, _search_number(name, given[name]))
        if problem:
            raise SearchParameterError(problem)


def _search_number(name: str, value: object) -> float:
    """A search parameter as a number; clients also send it as text."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass  # a text that is no number
    raise SearchParameterError(
        f"Type conflict in json: param '{name}' ({json.dumps(value)}) should be a "
        f"number"
    )


def _level(given: Mapping[str, Any]) -> int:
    """How much harder than measured AUTOINDEX is to try."""
    level = _search_integer("level", given.get("level", 1))
    if not 1 <= level <= 10:
        raise SearchParameterError(
            f"Out of range in json: param 'level' ({level}) should be in range [1, 10]"
        )
    return level


def _search_integer(name: str, value: object) -> int:
    """A search parameter as a whole number; clients also send it as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise SearchParameterError(
        f"Type conflict in json: param '{name}' ({json.dumps(value)}) should be integer"
    )


def _build_integer(name: str, value: object) -> int:
    """A build parameter as a whole number, however it was written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else str(value)
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        raise InvalidParameter(
            f"wrong data type in json, key: '{name}', value: '{text}'"
        )
    raise InvalidParameter(f"invalid integer value, key: '{name}', value: '{text}'")


def _range_problem(parameter: Parameter, value: int) -> str | None:
    if parameter.low <= value <= parameter.high:
        return None
    return (
        f"Out of range in json: param '{parameter.name}' ({value}) should be in range "
        f"[{parameter.low}, {parameter.high}]"
    )
