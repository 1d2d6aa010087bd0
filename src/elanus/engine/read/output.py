"""From row offsets to the columns of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from elanus.engine.read.plan import Output
from elanus.engine.version import SegmentView, gather
from elanus.schema.arrays import array_of, values_of
from elanus.schema.codecs import shown
from elanus.schema.columns import Offsets, to_arrow
from elanus.schema.timestamptz import TIMESTAMP
from elanus.schema.types import DataType


def output_columns(
    views: Sequence[SegmentView],
    parts: Offsets | None,
    offsets: Offsets,
    outputs: Sequence[Output],
) -> dict[str, pa.Array]:
    """The requested columns as Arrow arrays by name.

    JSON and geometries are text, points in time are Arrow's timestamps.
    """
    arrays: dict[str, pa.Array] = {}
    dynamic: list[Any] | None = None
    for output in outputs:
        if not len(offsets):
            arrays[output.name] = pa.nulls(0, _arrow_type(output))
            continue
        if output.parts:
            lists = {
                f.part: to_arrow(gather(views, parts, offsets, f.id), f)
                for f in output.parts
            }
            arrays[output.name] = _structs(lists)
            continue
        if output.key is None:
            stored = gather(views, parts, offsets, output.field.id)
            column = to_arrow(shown(output.field, stored), output.field)
            if output.field.dtype is DataType.JSON:
                column = column.cast(pa.large_string())
            elif output.field.dtype is DataType.TIMESTAMPTZ:
                column = column.view(TIMESTAMP)
            arrays[output.name] = column
            continue
        if dynamic is None:
            stored = gather(views, parts, offsets, output.field.id)
            assert isinstance(stored, pa.Array)
            dynamic = [orjson.loads(v) if v else {} for v in stored.to_pylist()]
        arrays[output.name] = dynamic_column([row.get(output.key) for row in dynamic])
    return arrays


def _structs(lists: Mapping[str, pa.Array]) -> pa.Array:
    """A struct array's fields as one array: lists of structs."""
    first = next(iter(lists.values()))
    flat = [column.flatten() for column in lists.values()]
    lengths = values_of(pc.fill_null(pc.list_value_length(first), 0))
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    mask = first.is_null() if first.null_count else None
    structs = pa.StructArray.from_arrays(flat, names=list(lists))
    return pa.LargeListArray.from_arrays(array_of(ends), structs, mask=mask)


def _arrow_type(output: Output) -> pa.DataType:
    if output.key is not None:
        return pa.null()
    if output.parts:
        names = [(f.part, f.arrow_type.value_type) for f in output.parts]
        return pa.large_list(pa.struct(names))
    if output.field.dtype in (DataType.JSON, DataType.GEOMETRY):
        return pa.large_string()
    if output.field.dtype is DataType.TIMESTAMPTZ:
        return TIMESTAMP
    return output.field.arrow_type


def dynamic_column(values: list[Any]) -> pa.Array:
    """Values of a dynamic key in the narrowest Arrow type; JSON text when mixed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} or kinds <= {float} or kinds <= {str} or kinds <= {bool}:
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer beyond 64 bits
    if kinds == {int, float}:
        return pa.array(values, pa.float64())
    texts = [None if v is None else orjson.dumps(v).decode() for v in values]
    return pa.array(texts, pa.large_string())
