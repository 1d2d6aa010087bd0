"""Index parameters: ranges, defaults, and the texts that Milvus' clients expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elanus.distance.metrics import Metric
from elanus.errors import ElanusError, InvalidParameter
from elanus.index.base import SearchParams
from elanus.index.params import (
    BUILD_PARAMETERS,
    SearchParameterError,
    parse_build_params,
    parse_search_params,
)
from elanus.index.registry import KINDS, index_kind
from elanus.index.search import search_rows
from index.segments import build

BAD_BUILDS: list[tuple[str, dict[str, Any], str]] = [
    ("HNSW", {"M": "-1"}, "param 'M' (-1) should be in range [2, 2048]"),
    ("HNSW", {"M": 2049}, "param 'M' (2049) should be in range [2, 2048]"),
    (
        "HNSW",
        {"efConstruction": "0"},
        "param 'efConstruction' (0) should be in range [1, 2147483647]",
    ),
    ("IVF_FLAT", {"nlist": 0}, "param 'nlist' (0) should be in range [1, 65536]"),
    ("IVF_SQ8", {"nlist": "65537"}, "'nlist' (65537) should be in range [1, 65536]"),
    ("IVF_PQ", {"m": "-1"}, "param 'm' (-1) should be in range [1, 65536]"),
    ("IVF_PQ", {"m": 4, "nbits": 25}, "'nbits' (25) should be in range [1, 24]"),
    ("HNSW", {"M": "True"}, "invalid integer value, key: 'M', value: 'True'"),
    ("HNSW", {"M": True}, "invalid integer value, key: 'M', value: 'True'"),
    ("HNSW", {"M": [16]}, "invalid integer value, key: 'M', value: '[16]'"),
    ("HNSW", {"M": "abc"}, "invalid integer value, key: 'M', value: 'abc'"),
    ("HNSW", {"M": "9" * 5000}, "invalid integer value, key: 'M', value: '99999"),
    ("IVF_PQ", {"m": "16.0"}, "wrong data type in json, key: 'm', value: '16.0'"),
    ("IVF_PQ", {}, "parameter `m` not found"),
    ("HNSW_PQ", {"m": 3}, "The dimension of the vector (dim) should be a multiple of"),
    ("HNSW_SQ", {"sq_type": "FP32"}, "invalid scalar quantizer type"),
    ("HNSW_SQ", {"sq_type": True}, "invalid scalar quantizer type"),
    (
        "HNSW_SQ",
        {"refine_type": "INT8"},
        "invalid refine type : INT8, optional types are [sq4u, sq6, sq8, fp16, bf16, "
        "fp32, flat]",
    ),
    (
        "IVF_RABITQ",
        {"refine": True, "refine_type": " SQ8 "},
        "invalid refine type :  SQ8 , optional types are [sq6, sq8, fp16, bf16, fp32, "
        "flat]",
    ),
    (
        "IVF_RABITQ",
        {"refine": 1},
        "Type conflict in json: param 'refine' (\"1\") should be a boolean",
    ),
    ("SCANN", {"with_raw_data": "x"}, "'with_raw_data' (\"x\") should be a boolean"),
    ("SCANN", {"nlist": 0}, "param 'nlist' (0) should be in range [1, 65536]"),
    ("AUTOINDEX", {"M": 8}, "only metric type can be passed when use AutoIndex"),
]
BAD_SEARCHES: list[tuple[str, Any, str]] = [
    ("ef", True, "Type conflict in json: param 'ef' (true) should be integer"),
    ("ef", 32.0, "Type conflict in json: param 'ef' (32.0) should be integer"),
    ("ef", None, "Type conflict in json: param 'ef' (null) should be integer"),
    ("ef", "x", "Type conflict in json: param 'ef' (\"x\") should be integer"),
    ("ef", "9" * 5000, "should be integer"),
    ("ef", "1", "ef(1) should be larger than k(10)"),
    ("ef", [32], "Type conflict in json: param 'ef' ([32]) should be integer"),
    ("ef", -1, "param 'ef' (-1) should be in range [1, 2147483647]"),
    ("ef", 1, "ef(1) should be larger than k(10)"),
    ("nprobe", 0, "param 'nprobe' (0) should be in range [1, 65536]"),
    ("nprobe", "8.0", "json: param 'nprobe' (\"8.0\") should be integer"),
]


@pytest.mark.parametrize(("kind", "params", "text"), BAD_BUILDS)
def test_bad_build_parameters(kind: str, params: dict[str, Any], text: str) -> None:
    """A wrong build parameter is refused before anything is built."""
    with pytest.raises(InvalidParameter) as caught:
        index_kind(kind).resolve(params, 0, 8)
    assert text in str(caught.value)
    assert str(caught.value).endswith(": invalid parameter")


@pytest.mark.parametrize(("name", "value", "text"), BAD_SEARCHES)
def test_bad_search_parameters(name: str, value: Any, text: str) -> None:
    """A wrong search parameter is refused with the index library's text."""
    kind = "HNSW" if name == "ef" else "IVF_FLAT"
    with pytest.raises(SearchParameterError) as caught:
        parse_search_params(kind, {name: value}, 10)
    assert text in str(caught.value)


_REFINE_RANGE = "[1.000000, 340282346638528859811704183484516925440.000000]"


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [
        (
            "HNSW_SQ",
            "refine_k",
            0.5,
            f"param 'refine_k' (0.5) should be in range {_REFINE_RANGE}",
        ),
        ("HNSW_PQ", "refine_k", 0, "Out of range in json: param 'refine_k' (0)"),
        ("HNSW_PQ", "refine_k", 10**400, "Out of range in json"),
        ("HNSW_PQ", "refine_k", "nan", "Out of range in json"),
        ("IVF_RABITQ", "refine_k", "", "invalid float value"),
        (
            "IVF_RABITQ",
            "refine_k",
            True,
            "Type conflict in json: param 'refine_k' (true) should be a number",
        ),
        ("IVF_RABITQ", "refine_k", None, "'refine_k' (null) should be a number"),
        ("IVF_RABITQ", "refine_k", [15], "Type conflict in json"),
        (
            "IVF_RABITQ",
            "rbq_bits_query",
            9,
            "Out of range in json: param 'rbq_bits_query' (9) should be in range "
            "[0, 8]",
        ),
        ("IVF_RABITQ", "rbq_bits_query", 6.0, "(6.0) should be integer"),
        ("SCANN", "reorder_k", 9, "reorder_k(9) should be larger than k(10)"),
        ("SCANN", "reorder_k", 0, "param 'reorder_k' (0) should be in range"),
    ],
)
def test_bad_refining_parameters(kind: str, name: str, value: Any, text: str) -> None:
    """They are checked although they change nothing."""
    with pytest.raises(SearchParameterError) as caught:
        parse_search_params(kind, {name: value}, 10)
    assert text in str(caught.value)


def test_refining_parameters_do_not_lower_the_effort() -> None:
    """What is found is measured on the rows themselves, whatever they say."""
    given = {"ef": "64", "refine_k": "2.5"}
    assert parse_search_params("HNSW_SQ", given, 10) == SearchParams(64)
    given = {"nprobe": 3, "refine_k": 2, "rbq_bits_query": "6"}
    assert parse_search_params("IVF_RABITQ", given, 10) == SearchParams(3)
    assert parse_search_params("SCANN", {"reorder_k": 10}, 10) == SearchParams()


@pytest.mark.parametrize(("kind", "name"), [("HNSW", "ef"), ("IVF_FLAT", "nprobe")])
def test_a_search_parameter_may_be_a_text(kind: str, name: str) -> None:
    """A whole number written as a string counts as that number."""
    as_text = parse_search_params(kind, {name: "32"}, 10)
    assert as_text == parse_search_params(kind, {name: 32}, 10)


def test_m_must_divide_the_dimension() -> None:
    """IVF_PQ with an ``m`` that does not divide dim is refused."""
    with pytest.raises(InvalidParameter) as caught:
        index_kind("IVF_PQ").resolve({"m": 3}, 0, 8)
    assert str(caught.value).startswith(
        "The dimension of a vector (dim) should be a multiple of the number of "
        "subquantizers (m)."
    )


@pytest.mark.parametrize(
    ("kind", "given", "parsed"),
    [
        ("FLAT", {"anything": "goes"}, {}),
        ("IVF_FLAT", {}, {"nlist": 128}),
        ("IVF_PQ", {"m": "4"}, {"nlist": 128, "m": 4, "nbits": 8}),
        ("HNSW", {}, {"M": 30, "efConstruction": 360}),
        (
            "HNSW_SQ",
            {"sq_type": "Fp16", "refine": "True", "refine_type": "flat"},
            {
                "M": 30,
                "efConstruction": 360,
                "sq_type": 4,
                "refine": 1,
                "refine_type": 6,
            },
        ),
        (
            "HNSW_PQ",
            {},
            {
                "M": 30,
                "efConstruction": 360,
                "m": 32,
                "nbits": 8,
                "refine": 0,
                "refine_type": 5,
            },
        ),
        ("SCANN", {"with_raw_data": False}, {"nlist": 128, "with_raw_data": 0}),
        (
            "HNSW",
            {"M": "2048", "efConstruction": 1},
            {"M": 2048, "efConstruction": 1},
        ),
    ],
)
def test_defaults_and_limits(
    kind: str, given: dict[str, Any], parsed: dict[str, int]
) -> None:
    """Defaults are Milvus', the ends of a range are inside it, other keys pass."""
    assert parse_build_params(kind, given) == parsed


@pytest.mark.parametrize(
    ("kind", "given", "limit", "params"),
    [
        ("FLAT", {"nprobe": "x"}, 10, SearchParams()),
        ("IVF_FLAT", {}, 10, SearchParams()),
        ("IVF_FLAT", {"nprobe": 3}, 10, SearchParams(3)),
        ("HNSW", {}, 25, SearchParams()),
        ("HNSW", {"ef": 10}, 10, SearchParams(10)),
        ("AUTOINDEX", {}, 10, SearchParams()),
        ("AUTOINDEX", {"level": 2}, 50, SearchParams(level=2)),
        ("AUTOINDEX", {"ef": 70}, 10, SearchParams(70)),
    ],
)
def test_search_effort(
    kind: str, given: dict[str, Any], limit: int, params: SearchParams
) -> None:
    """The effort is what was given; else the build's own measure is used."""
    assert parse_search_params(kind, given, limit) == params


@pytest.mark.parametrize("level", [0, 11, True, "x"])
def test_bad_levels(level: Any) -> None:
    """AUTOINDEX takes levels 1 to 10 only."""
    with pytest.raises(SearchParameterError):
        parse_search_params("AUTOINDEX", {"level": level}, 10)


@pytest.mark.parametrize("name", ["hnsw", "Flat", "ANNOY", "BIN_PQ"])
def test_unknown_index_types(name: str) -> None:
    """Names are case-sensitive; unknown ones are refused with Milvus' text."""
    with pytest.raises(InvalidParameter) as caught:
        index_kind(name)
    text = f"invalid parameter[expected=valid index][actual=invalid index type: {name}]"
    assert text in str(caught.value)


def test_every_kind_has_its_parameters() -> None:
    """The registry and the parameter table name the same kinds."""
    assert set(KINDS) == set(BUILD_PARAMETERS)
    assert index_kind("").name == "AUTOINDEX"


@pytest.mark.parametrize(
    ("rows", "nlist", "nbits"),
    [(10_000, 128, 8), (1_000, 25, 8), (200, 5, 7), (16, 1, 4), (15, 1, 0), (1, 1, 0)],
)
def test_parameters_are_fitted_to_few_rows(rows: int, nlist: int, nbits: int) -> None:
    """A list gets at least 39 rows, a code book no more codes than rows."""
    fitted = index_kind("IVF_PQ").resolve({"m": 2}, rows, 8)
    assert (fitted["nlist"], fitted["nbits"]) == (nlist, nbits)


def test_autoindex_is_flat_for_few_rows_and_a_graph_for_many() -> None:
    """AUTOINDEX scans what is scanned quickly and builds a graph over the rest."""
    auto = index_kind("AUTOINDEX")
    assert auto.resolve({}, 1_000, 768) == {}
    assert auto.resolve({}, 50_000, 384) == {"M": 18, "efConstruction": 240}


@pytest.mark.parametrize(
    ("text", "kind", "resolved"),
    [
        ("Flat", "FLAT", {}),
        ("IVF64,Flat", "IVF_FLAT", {"nlist": 64}),
        ("IVF8,SQ8", "IVF_SQ8", {"nlist": 8}),
        ("IVF64,PQ8x4,RFlat", "IVF_PQ", {"nlist": 64, "m": 8, "nbits": 4}),
        ("HNSW16", "HNSW", {"M": 16}),
        ("HNSW16,Flat", "HNSW", {"M": 16}),
        ("HNSW16,SQ8", "HNSW_SQ", {"M": 16, "sq_type": 2}),
        ("HNSW16,PQ8", "HNSW_PQ", {"M": 16, "m": 8, "nbits": 8}),
    ],
)
def test_factory_texts(
    text: str, kind: str, resolved: dict[str, int], tmp_path: Path
) -> None:
    """A factory text of faiss builds the kind that it describes, under its own name."""
    given = {"faiss_index_name": text}
    found = index_kind("FAISS").resolve(given, 0, 16)
    assert resolved.items() <= found.items()
    rows = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    meta, segment = build(tmp_path / "i", "FAISS", rows, Metric.L2, params=given)
    assert (meta.index_type, meta.kind, dict(meta.params)) == ("FAISS", kind, given)
    top, _ = search_rows(segment, rows[:3], 1)
    assert top.offsets[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({}, 1100, "parameter `faiss_index_name` not found"),
        ({"faiss_index_name": "OPQ16,IVF64,PQ16x4"}, 3000, "FAISS index OPQ16,IVF64"),
        ({"faiss_index_name": "LSH"}, 3000, "FAISS index LSH"),
        (
            {"faiss_index_name": "IVF999999999,Flat"},
            1100,
            "param 'nlist' (999999999) should be in range [1, 65536]",
        ),
        ({"faiss_index_name": "HNSW16,PQ7"}, 1100, "multiple of the number of subq"),
    ],
)
def test_bad_factory_texts(given: dict[str, str], code: int, text: str) -> None:
    """What is not known is refused before faiss sees it."""
    with pytest.raises(ElanusError) as caught:
        index_kind("FAISS").resolve(given, 0, 16)
    assert caught.value.code == code
    assert text in str(caught.value)


def test_search_parameters_of_factory_texts() -> None:
    """Those that faiss knows, as numbers or texts."""
    assert parse_search_params("FAISS", {"nprobe": "8"}, 10) == SearchParams(8)
    assert parse_search_params("FAISS", {"efSearch": 64}, 10) == SearchParams(64)
    assert parse_search_params("FAISS", {}, 10) == SearchParams()
    for bad in ("invalid", True, None):
        with pytest.raises(SearchParameterError, match="expects a number"):
            parse_search_params("FAISS", {"nprobe": bad}, 10)


@pytest.mark.parametrize(("m", "nbits"), [(4, 12), (32, 10), (128, 9)])
def test_tables_between_codes_stay_small(m: int, nbits: int) -> None:
    """Of many rows, HNSW_PQ gets the finest code books that fit into 256 MiB."""
    fitted = index_kind("HNSW_PQ").resolve({"m": m, "nbits": 24}, 1 << 20, 128)
    assert fitted["nbits"] == nbits


@pytest.mark.parametrize("value", [0, 0.5, "0.2"])
def test_sparse_ratios(value: Any) -> None:
    """Ratios within their range are taken as numbers and as text."""
    given = {"drop_ratio_search": value, "dim_max_score_ratio": "1.3"}
    assert parse_search_params("SPARSE_WAND", given, 10) == SearchParams()
    parse_build_params("SPARSE_WAND", {"drop_ratio_build": value})


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("drop_ratio_search", 1.0, "(1.0) should be in range [0.000000, 1.000000)"),
        ("drop_ratio_search", -0.1, "should be in range [0.000000, 1.000000)"),
        ("drop_ratio_search", "a", "param 'drop_ratio_search' (\"a\") should be a num"),
        ("drop_ratio_search", True, "(true) should be a number"),
        ("dim_max_score_ratio", 0.49, "should be in range [0.500000, 1.300000]"),
        ("dim_max_score_ratio", 1.4, "should be in range [0.500000, 1.300000]"),
    ],
)
def test_bad_sparse_ratios(name: str, value: Any, text: str) -> None:
    """Ratios out of their range are refused with Milvus' text."""
    with pytest.raises(SearchParameterError) as caught:
        parse_search_params("SPARSE_INVERTED_INDEX", {name: value}, 10)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"inverted_index_algo": "X"}, "sparse inverted index algo X not found"),
        ({"drop_ratio_build": "1.0"}, "'drop_ratio_build' (1.0) should be in range"),
        ({"drop_ratio_build": "a"}, "invalid float value, key: 'drop_ratio_build'"),
    ],
)
def test_bad_sparse_builds(given: dict[str, Any], text: str) -> None:
    """Build parameters of sparse kinds are checked with Milvus' texts."""
    with pytest.raises(InvalidParameter) as caught:
        parse_build_params("SPARSE_INVERTED_INDEX", given)
    assert text in str(caught.value)


def test_a_disk_index_takes_the_degree_of_its_graph() -> None:
    """And, as Milvus, its own default for what it cannot use."""
    kind = index_kind("DISKANN")
    given = {"max_degree": "32", "search_list_size": 50}
    assert kind.resolve(given, 100, 8) == {
        "M": 16,
        "efConstruction": 50,
        "sq_type": 2,
    }
    usual = kind.resolve({}, 100, 8)
    assert (usual["M"], usual["efConstruction"]) == (28, 100)
    for odd in (-1, 10_000, True, None, 3.5, "many"):
        assert kind.resolve({"max_degree": odd}, 100, 8) == usual


@pytest.mark.parametrize("name", ["search_list_size", "search_list"])
def test_how_hard_a_disk_index_is_searched(name: str) -> None:
    """By the name of today, or that of older clients; at least the limit."""
    assert parse_search_params("DISKANN", {name: 30}, 10) == SearchParams(30)
    with pytest.raises(SearchParameterError, match="should be larger than k"):
        parse_search_params("DISKANN", {name: 1}, 10)
    with pytest.raises(SearchParameterError, match="should be integer"):
        parse_search_params("DISKANN", {name: None}, 10)
    with pytest.raises(SearchParameterError, match=r"in range \[1, 2147483647\]"):
        parse_search_params("DISKANN", {name: -1}, 10)
