"""Values of every data type: how to draw them, and the bits that must come back.

One row of :data:`KINDS` per type of field; a new type joins by its row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from pymilvus import DataType as MilvusType
from pymilvus import StructFieldSchema

from elanus.schema.types import TYPES, DataType

Options = Mapping[str, Any]
Draws = st.SearchStrategy[Any]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class Kind:
    """How fields of one type are declared and filled.

    Attributes:
        values: what goes in, given the field's options.
        bits: what tells values apart; of what goes in as of what comes out.
        options: what is declared beside name and type.
        index: kind of index and metric, of a vector.
    """

    values: Callable[[Options], Draws]
    bits: Callable[[Any], Any] = repr
    options: Draws = field(default_factory=lambda: st.just({}))
    index: tuple[str, str] | None = None


def declaration(dtype: DataType, options: Options) -> dict[str, Any]:
    """Arguments of ``add_field`` beside its name, and beside nulls and defaults."""
    if dtype is not STRUCTS:
        return {"datatype": MilvusType(dtype), **options}
    struct = StructFieldSchema()
    for name, part in options["parts"].items():
        struct.add_field(name, MilvusType(int(name[1:])), **part)
    return {
        "datatype": MilvusType.ARRAY,
        "element_type": MilvusType.STRUCT,
        "struct_schema": struct,
        "max_capacity": options["max_capacity"],
    }


def indexes(name: str, dtype: DataType, options: Options) -> dict[str, tuple[str, str]]:
    """Kind of index and metric for each place of a field that holds vectors."""
    if dtype is STRUCTS:
        parts = [DataType(int(part[1:])) for part in options["parts"]]
        return {
            f"{name}[p{part:d}]": ("HNSW", KINDS[part].index[1])
            for part in parts
            if KINDS[part].index is not None
        }
    index = KINDS[dtype].index
    return {} if index is None else {name: index}


def _json(value: Any) -> str:
    """Tells 1, 1.0 and true apart, and not the order of keys."""
    return json.dumps(value, sort_keys=True)


def json_values() -> Draws:
    """Objects and lists, which the client takes as they are."""
    plain = st.none() | st.booleans() | INT64 | DOUBLES | TEXTS
    nested = st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
        ),
        max_leaves=6,
    )
    return st.dictionaries(KEYS, nested, max_size=4) | st.lists(nested, max_size=4)


def integers(dtype: DataType) -> Draws:
    """Every integer of a type."""
    bounds = np.iinfo(np.dtype(dtype.row.numpy))
    return st.integers(int(bounds.min), int(bounds.max))


def _float32(value: Any) -> bytes:
    return np.float32(value).tobytes()


# --- strings ---------------------------------------------------------------------


def _varchars(options: Options) -> Draws:
    return TEXTS.filter(lambda text: len(text.encode()) <= options["max_length"])


def _long_texts(options: Options) -> Draws:
    """Some beyond any limit of VARCHAR."""
    return TEXTS | st.integers(65_536, 80_000).map(lambda size: "ä" * size)


# --- geometries: the text that answers show ------------------------------------------


def _coordinate(value: float) -> str:
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


@st.composite
def _places(draw: st.DrawFn, least: int, most: int = 4) -> list[str]:
    count = draw(st.integers(least, most))
    return [
        f"{_coordinate(draw(DOUBLES))} {_coordinate(draw(DOUBLES))}"
        for _ in range(count)
    ]


@st.composite
def geometries(draw: st.DrawFn) -> str:
    """Shapes of every kind, valid or not, spelled as answers spell them."""
    kind = draw(st.sampled_from(["POINT", "LINESTRING", "POLYGON", "MULTIPOINT"]))
    if draw(st.integers(0, 9)) == 0:
        return f"{kind} EMPTY"
    if kind == "POINT":
        return f"POINT ({draw(_places(1, 1))[0]})"
    if kind == "MULTIPOINT":
        return f"MULTIPOINT ({', '.join(f'({p})' for p in draw(_places(1)))})"
    if kind == "LINESTRING":
        return f"LINESTRING ({', '.join(draw(_places(2)))})"
    ring = draw(_places(3))
    return f"GEOMETRYCOLLECTION (POLYGON (({', '.join([*ring, ring[0]])})))"


# --- arrays ------------------------------------------------------------------------


ELEMENTS = [dtype for dtype, row in TYPES.items() if row.can_be_element]
STRUCTS = DataType.ARRAY_OF_VECTOR  # which exist nowhere but in arrays of structs
PARTS = [
    *ELEMENTS,
    *(d for d, row in TYPES.items() if row.vector and not row.vector.is_sparse),
]


@st.composite
def _array_options(draw: st.DrawFn) -> dict[str, Any]:
    element = draw(st.sampled_from(ELEMENTS))
    options = {"element_type": int(element), "max_capacity": draw(st.integers(1, 6))}
    if element is DataType.VARCHAR:
        options["max_length"] = 24
    return options


def _arrays(options: Options) -> Draws:
    element = KINDS[DataType(options["element_type"])]
    return st.lists(element.values(options), max_size=options["max_capacity"])


def _array_bits(values: Any) -> list[Any]:
    return list(map(repr, values))


# --- times: the text that answers show in UTC ------------------------------------


def _time_text(time: datetime) -> str:
    text = time.isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


# --- structs: a part is called by the number of its type -------------------------


@st.composite
def _struct_options(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True))
    return {
        "parts": {f"p{part:d}": draw(KINDS[part].options) for part in chosen},
        "max_capacity": draw(st.integers(1, 4)),
    }


def _structs(options: Options) -> Draws:
    struct = {
        name: KINDS[DataType(int(name[1:]))].values(part)
        for name, part in options["parts"].items()
    }
    return st.lists(st.fixed_dictionaries(struct), max_size=options["max_capacity"])


def _struct_bits(values: Any) -> list[dict[str, Any]]:
    return [
        {name: KINDS[DataType(int(name[1:]))].bits(part) for name, part in one.items()}
        for one in values
    ]


# --- vectors -----------------------------------------------------------------------


def _bytes(width: int) -> Callable[[Options], Draws]:
    """Vectors of ``width`` bits to a dimension, whatever they are."""

    def rows(options: Options) -> Draws:
        size = options["dim"] * width // 8
        return st.binary(min_size=size, max_size=size)

    return rows


def _numbers(options: Options, width: Literal[16, 32]) -> Draws:
    """Floats whose distances are numbers, too: what is infinitely far is no hit."""
    most = 2.0**60 if width == 32 else 65504.0
    return st.lists(
        st.floats(-most, most, width=width),
        min_size=options["dim"],
        max_size=options["dim"],
    )


def _float16_rows(options: Options) -> Draws:
    return _numbers(options, 16).map(lambda row: np.array(row, "<f2").tobytes())


def _bfloat16_rows(options: Options) -> Draws:
    """They are the upper halves of float32."""
    return _numbers(options, 32).map(
        lambda row: (np.array(row, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    )


def _raw(dtype: Any) -> Callable[[Any], bytes]:
    def bits(value: Any) -> bytes:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
            value = value[0]
        if isinstance(value, bytes):
            return value
        return np.asarray(value, dtype).tobytes()

    return bits


def _sparse_rows(options: Options) -> Draws:
    weights = st.floats(0, 2.0**99, width=32, exclude_min=True, allow_subnormal=False)
    return st.dictionaries(st.integers(0, 2**32 - 2), weights, min_size=1, max_size=5)


def _sparse_bits(value: Any) -> list[tuple[int, bytes]]:
    return sorted((int(i), _float32(w)) for i, w in value.items())


_DIM = st.sampled_from([{"dim": 8}, {"dim": 16}])

KINDS: dict[DataType, Kind] = {
    DataType.BOOL: Kind(lambda _: st.booleans()),
    DataType.INT8: Kind(lambda _: integers(DataType.INT8)),
    DataType.INT16: Kind(lambda _: integers(DataType.INT16)),
    DataType.INT32: Kind(lambda _: integers(DataType.INT32)),
    DataType.INT64: Kind(lambda _: integers(DataType.INT64)),
    DataType.FLOAT: Kind(lambda _: FLOATS, _float32),
    DataType.DOUBLE: Kind(lambda _: DOUBLES),
    DataType.VARCHAR: Kind(
        _varchars, options=st.sampled_from([{"max_length": 4}, {"max_length": 48}])
    ),
    DataType.TEXT: Kind(_long_texts),
    DataType.JSON: Kind(lambda _: json_values(), _json),
    DataType.GEOMETRY: Kind(lambda _: geometries()),
    DataType.TIMESTAMPTZ: Kind(lambda _: st.datetimes().map(_time_text)),
    STRUCTS: Kind(_structs, _struct_bits, _struct_options()),
    DataType.ARRAY: Kind(_arrays, _array_bits, _array_options()),
    DataType.FLOAT_VECTOR: Kind(
        lambda o: _numbers(o, 32), _raw("<f4"), _DIM, ("FLAT", "L2")
    ),
    DataType.FLOAT16_VECTOR: Kind(_float16_rows, _raw("<f2"), _DIM, ("FLAT", "COSINE")),
    DataType.BFLOAT16_VECTOR: Kind(_bfloat16_rows, _raw("<u2"), _DIM, ("FLAT", "IP")),
    DataType.INT8_VECTOR: Kind(_bytes(8), _raw("i1"), _DIM, ("HNSW", "L2")),
    DataType.BINARY_VECTOR: Kind(_bytes(1), _raw("u1"), _DIM, ("BIN_FLAT", "HAMMING")),
    DataType.SPARSE_FLOAT_VECTOR: Kind(
        _sparse_rows, _sparse_bits, index=("SPARSE_INVERTED_INDEX", "IP")
    ),
}
