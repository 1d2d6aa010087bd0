"""Index kinds by Milvus' names, and what AUTOINDEX stands for.

A new kind is its file, a line here, and its rows in :mod:`elanus.index.params`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from elanus.errors import InvalidParameter
from elanus.index.base import BuildRequest, IndexKind, IndexMeta, VectorIndex
from elanus.index.dense.coded_hnsw import CodedHnsw
from elanus.index.dense.flat import Flat
from elanus.index.dense.hnsw import Hnsw
from elanus.index.dense.ivf import Ivf
from elanus.index.factory import FactoryIndex
from elanus.index.params import parse_build_params

AUTOINDEX = "AUTOINDEX"
# Below this many values a scan of all rows takes less than 0.1 ms, as a graph does.
_AUTO_FLAT_VALUES = 1 << 19
_AUTO_FLAT_ROWS = 1_024
_AUTO_GRAPH = {"M": 18, "efConstruction": 240}


class AutoIndex:
    """AUTOINDEX: FLAT for few rows, else HNSW with Milvus' parameters."""

    name = AUTOINDEX

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Parameters of the kind that would be built."""
        parse_build_params(self.name, params)
        return {} if _is_small(rows, dim) else dict(_AUTO_GRAPH)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build the kind that suits the rows; the meta keeps the name AUTOINDEX."""
        resolved = self.resolve(request.params, request.rows, request.dim)
        kind: IndexKind = Hnsw() if resolved else Flat()
        meta = kind.build(replace(request, params=resolved), path)
        return replace(meta, index_type=self.name, params=dict(request.params))

    def open(self, meta: IndexMeta, path: Path) -> VectorIndex:
        """Open whichever kind was built."""
        return index_kind(meta.kind).open(meta, path)


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
        FactoryIndex(),
        AutoIndex(),
    )
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


def open_index(meta: IndexMeta, path: Path) -> VectorIndex:
    """Open the index that ``meta`` describes.

    Raises:
        CorruptionError: a file is not what ``meta`` says; rebuild the index.
    """
    return index_kind(meta.kind).open(meta, path)


def _is_small(rows: int, dim: int) -> bool:
    return rows <= max(_AUTO_FLAT_ROWS, _AUTO_FLAT_VALUES // dim)
