"""Index kinds by Milvus' names, and what AUTOINDEX stands for.

A new kind is its file, a line here, and its rows in :mod:`elanus.index.params`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elanus.errors import InvalidParameter
from elanus.index.base import BuildRequest, IndexKind, IndexMeta, VectorIndex
from elanus.index.binary.ivf import BinaryIvf
from elanus.index.dense.coded_hnsw import CodedHnsw
from elanus.index.dense.disk import Disk
from elanus.index.dense.flat import Flat
from elanus.index.dense.hnsw import Hnsw
from elanus.index.dense.ivf import Ivf
from elanus.index.dense.symphony import NAME as SYMPHONYQG
from elanus.index.dense.symphony import build_symphony, is_possible, open_symphony
from elanus.index.factory import FactoryIndex
from elanus.index.params import parse_build_params
from elanus.index.sparse.inverted import Inverted
from elanus.schema.sparse import SparseRows
from elanus.schema.types import DataType

AUTOINDEX = "AUTOINDEX"
# Below this many values a scan of all rows takes less than 0.1 ms, as a graph does.
_AUTO_FLAT_VALUES = 1 << 19
_AUTO_FLAT_ROWS = 1_024
_AUTO_GRAPH = {"M": 18, "efConstruction": 240}


class AutoIndex:
    """AUTOINDEX: of numbers FLAT for few rows, else a graph.

    The graph is SYMPHONYQG where its library has a wheel and memory is left for it,
    else HNSW with Milvus' parameters. Of bits AUTOINDEX is a scan, and nothing is
    built; of sparse rows it is an inverted file.
    """

    name = AUTOINDEX

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Parameters of the kind that would be built."""
        parse_build_params(self.name, params)
        return {} if _is_small(rows, dim) else dict(_AUTO_GRAPH)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build the kind that suits the rows; the meta keeps the name AUTOINDEX."""
        resolved: Mapping[str, Any] = {}
        kind: IndexKind = Inverted("SPARSE_INVERTED_INDEX")
        if not isinstance(request.vectors, SparseRows):
            resolved = self.resolve(request.params, request.rows, request.dim)
            # FLAT would keep narrow rows in float32: the graph keeps them as they are
            is_graph = resolved or request.matrix.dtype != np.float32
            if is_graph and is_possible(request):
                built = build_symphony(request, path)
                if built is not None:
                    return built
            kind = Hnsw() if is_graph else Flat()
            resolved = dict(_AUTO_GRAPH) if is_graph else {}
        meta = kind.build(replace(request, params=resolved), path)
        return replace(meta, index_type=self.name, params=dict(request.params))

    def open(self, meta: IndexMeta, path: Path) -> VectorIndex:
        """Open whichever kind was built."""
        return open_index(meta, path)


KINDS: dict[str, IndexKind] = {
    kind.name: kind
    for kind in (
        Flat(),
        Ivf("IVF_FLAT"),
        Ivf("IVF_SQ8"),
        Ivf("IVF_PQ"),
        Ivf("IVF_RABITQ"),
        Ivf("SCANN"),
        Hnsw(),
        CodedHnsw("HNSW_SQ"),
        CodedHnsw("HNSW_PQ"),
        Disk(),
        FactoryIndex(),
        BinaryIvf("BIN_FLAT"),
        BinaryIvf("BIN_IVF_FLAT"),
        Inverted("SPARSE_INVERTED_INDEX"),
        Inverted("SPARSE_WAND"),
        AutoIndex(),
    )
}
_OF_FLOATS = frozenset(
    {DataType.FLOAT_VECTOR, DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR}
)
_OF_BITS = frozenset({DataType.BINARY_VECTOR})
_OF_SPARSE = frozenset({DataType.SPARSE_FLOAT_VECTOR})
# Which vectors a kind is for; AUTOINDEX is for all.
TAKEN: dict[str, frozenset[DataType]] = {
    "FLAT": _OF_FLOATS,
    "IVF_FLAT": _OF_FLOATS,
    "IVF_SQ8": _OF_FLOATS,
    "IVF_PQ": _OF_FLOATS,
    "IVF_RABITQ": _OF_FLOATS,
    "SCANN": _OF_FLOATS,
    "FAISS": frozenset({DataType.FLOAT_VECTOR}),
    "HNSW": _OF_FLOATS | {DataType.INT8_VECTOR},
    "HNSW_SQ": _OF_FLOATS | {DataType.INT8_VECTOR},
    "HNSW_PQ": _OF_FLOATS | {DataType.INT8_VECTOR},
    "DISKANN": _OF_FLOATS,
    "BIN_FLAT": _OF_BITS,
    "BIN_IVF_FLAT": _OF_BITS,
    "SPARSE_INVERTED_INDEX": _OF_SPARSE,
    "SPARSE_WAND": _OF_SPARSE,
}


def index_kind(name: str) -> IndexKind:
    """The kind called ``name``, case-sensitive; an empty name means AUTOINDEX.

    Raises:
        InvalidParameter: no such kind; :data:`KINDS` lists them.
    """
    kind = KINDS.get(name or AUTOINDEX)
    if kind is None:
        raise InvalidParameter(
            expected="valid index", actual=f"invalid index type: {name}"
        )
    return kind


def index_kind_for(name: str, dtype: DataType) -> IndexKind:
    """The kind called ``name``, if it is for vectors of a type.

    Raises:
        InvalidParameter: no such kind, or it is for others.
    """
    kind = index_kind(name)
    if dtype not in TAKEN.get(kind.name, (dtype,)):
        raise InvalidParameter(
            f"data type {dtype.row.name} can't build with this index {kind.name}"
        )
    return kind


def open_index(meta: IndexMeta, path: Path) -> VectorIndex:
    """Open the index that ``meta`` describes.

    Raises:
        CorruptionError: a file is not what ``meta`` says; rebuild the index.
    """
    if meta.kind == SYMPHONYQG:  # built by AUTOINDEX, and by no name of its own
        return open_symphony(meta, path)
    return index_kind(meta.kind).open(meta, path)


def _is_small(rows: int, dim: int) -> bool:
    return rows <= max(_AUTO_FLAT_ROWS, _AUTO_FLAT_VALUES // max(dim, 1))
