"""DISKANN: a graph over codes in memory, beside rows that stay on disk.

What Milvus' kind promises is little memory: a walk reads codes of 8 bits a dimension, a
quarter of the rows, and the few rows that it names are measured on the segment's column
file, which is mapped. So a search touches the disk once for each candidate. The graph
is that of HNSW (:mod:`elanus.index.dense.coded_hnsw`), of the same degree; the
original's is flat and lies on disk, too.

Source of the idea: Subramanya et al., "DiskANN: Fast Accurate Billion-point Nearest
Neighbor Search on a Single Node", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elanus.index.dense.coded_hnsw import CodedHnsw
from elanus.index.params import (
    DISKANN,
    MAX_DEGREE,
    SEARCH_LIST_SIZE,
    SQ_TYPE,
    Parameter,
)

_LEAST_LINKS = 2


@dataclass(frozen=True)
class Disk(CodedHnsw):
    """The kind that Milvus calls DISKANN."""

    name: str = DISKANN

    def resolve(
        self, params: Mapping[str, Any], rows: int, dim: int
    ) -> Mapping[str, int]:
        """The parameters of the graph; Milvus, too, lets pass what it cannot use."""
        degree = _usable(MAX_DEGREE, params, 56)
        return {
            "M": max(_LEAST_LINKS, degree // 2),  # HNSW links twice as many at the base
            "efConstruction": _usable(SEARCH_LIST_SIZE, params, 100),
            SQ_TYPE.name: SQ_TYPE.values.index("sq8"),
        }


def _usable(parameter: Parameter, params: Mapping[str, Any], default: int) -> int:
    try:
        value = int(str(params.get(parameter.name, default)))
    except ValueError:
        return default
    return value if parameter.low <= value <= parameter.high else default
