"""What a search found as an Arrow table."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from elanus.engine.read.output import output_columns
from elanus.engine.read.search import SearchHits
from elanus.schema.arrays import array_of


def hits_table(hits: SearchHits, key_name: str, outputs: Any) -> pa.Table:
    """One row per hit: query, primary key, score, and the output columns.

    Where elements of struct arrays are found, also which of its row's each is.

    Raises:
        CorruptionError: a column file is damaged; the message names it.
    """
    arrays = [_positions(hits.counts), hits.keys, array_of(hits.scores)]
    names = ["query", key_name, "score"]
    if hits.elements is not None:
        arrays.append(array_of(hits.elements))
        names.append("element")
    if outputs:
        columns = output_columns(hits.version.views, hits.parts, hits.offsets, outputs)
        for name, column in columns.items():
            if name != key_name:
                names.append(name)
                arrays.append(column)
    if len(set(names)) < len(names):
        for place in (0, *range(2, 3 + (hits.elements is not None))):
            if names.count(names[place]) > 1:
                names[place] = f"${names[place]}"  # a field has this name
    return pa.Table.from_arrays(arrays, names=names)


def _positions(counts: npt.NDArray[np.int64]) -> pa.Array:
    """The position of its query for every hit, int32."""
    if len(counts) == 1:
        return _first_positions(int(counts[0]))
    return array_of(np.repeat(np.arange(len(counts), dtype=np.int32), counts))


@lru_cache(maxsize=64)
def _first_positions(count: int) -> pa.Array:
    return array_of(np.zeros(count, np.int32))
