"""FAISS: an index named by a factory text of faiss, built as the kind it describes.

Texts are not handed to faiss, which would take what no machine can hold; those known
here name a kind of the registry with its parameters: ``Flat``, ``IVF64,Flat``,
``IVF64,SQ8``, ``IVF64,PQ16x8`` (also with ``RFlat``, since what an index names is
measured on the rows anyway), ``HNSW16``, ``HNSW16,Flat``, ``HNSW16,SQ8`` and
``HNSW16,PQ16``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from elanus.errors import InvalidParameter, UnsupportedOperation
from elanus.index.base import BuildRequest, IndexKind, IndexMeta, VectorIndex
from elanus.index.dense.coded_hnsw import CodedHnsw
from elanus.index.dense.flat import Flat
from elanus.index.dense.hnsw import Hnsw
from elanus.index.dense.ivf import Ivf
from elanus.index.params import FACTORY_NAME

_KINDS: dict[str, IndexKind] = {
    kind.name: kind
    for kind in (
        Flat(),
        Ivf("IVF_FLAT"),
        Ivf("IVF_SQ8"),
        Ivf("IVF_PQ"),
        Hnsw(),
        CodedHnsw("HNSW_SQ"),
        CodedHnsw("HNSW_PQ"),
    )
}
_PQ = r"PQ(?P<m>\d{1,6})(?:x(?P<nbits>\d{1,3}))?"
_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"Flat", "FLAT"),
        (r"IVF(?P<nlist>\d{1,9}),Flat", "IVF_FLAT"),
        (r"IVF(?P<nlist>\d{1,9}),SQ8(?:,RFlat)?", "IVF_SQ8"),
        (rf"IVF(?P<nlist>\d{{1,9}}),{_PQ}(?:,RFlat)?", "IVF_PQ"),
        (r"HNSW(?P<M>\d{1,9})(?:,Flat)?", "HNSW"),
        (r"HNSW(?P<M>\d{1,9}),SQ8(?:,RFlat)?", "HNSW_SQ"),
        (rf"HNSW(?P<M>\d{{1,9}}),{_PQ}(?:,RFlat)?", "HNSW_PQ"),
    )
)


class FactoryIndex:
    """Kind FAISS: whichever kind its factory text describes."""

    name = "FAISS"

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """Parameters of the kind that would be built.

        Raises:
            InvalidParameter: no factory text, or one with parameters out of range.
            UnsupportedOperation: faiss knows such an index, Elanus does not.
        """
        kind, meant = _meant(params)
        return kind.resolve(meant, rows, dim)

    def build(self, request: BuildRequest, path: Path) -> IndexMeta:
        """Build the kind that is meant; the meta keeps the name FAISS."""
        kind, meant = _meant(request.params)
        meta = kind.build(replace(request, params=meant), path)
        return replace(meta, index_type=self.name, params=dict(request.params))

    def open(self, meta: IndexMeta, path: Path) -> VectorIndex:
        """Open whichever kind was built."""
        return _KINDS[meta.kind].open(meta, path)


def _meant(params: Mapping[str, Any]) -> tuple[IndexKind, dict[str, Any]]:
    if FACTORY_NAME not in params:
        raise InvalidParameter(f"parameter `{FACTORY_NAME}` not found")
    text = str(params[FACTORY_NAME])
    for pattern, kind in _TEXTS:
        match = pattern.fullmatch(text)
        if match is not None:
            meant = {k: v for k, v in match.groupdict().items() if v is not None}
            return _KINDS[kind], meant
    raise UnsupportedOperation(f"FAISS index {text}")
