"""What a user hands over as data or queries → columns by name, and query vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from elanus.errors import InvalidParameter
from elanus.schema.schema import FieldSchema
from elanus.schema.vector_codecs import query_rows
from elanus.schema.vectors import VectorRows


def columns_from(data: Any) -> Mapping[str, Any]:
    """Columns by name from a dict of columns, Arrow table, DataFrame or dict rows.

    Raises:
        InvalidParameter: it is none of these.
    """
    if isinstance(data, Mapping):
        if any(_is_scalar(value) for value in data.values()):  # a single row
            return columns_from_rows([data])
        return data
    if isinstance(data, pa.Table | pa.RecordBatch):
        return {name: data.column(name) for name in data.schema.names}
    if hasattr(data, "columns") and hasattr(data, "iloc"):  # a pandas DataFrame
        return {str(name): data[name] for name in data.columns}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return columns_from_rows(data)
    raise InvalidParameter(
        f"data should be a dict of columns, an Arrow table, a pandas DataFrame or a "
        f"list of dicts, got {type(data).__name__}"
    )


def _is_scalar(value: Any) -> bool:
    plain = str | bytes | bool | int | float | np.generic
    return value is None or isinstance(value, plain)


def columns_from_rows(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Columns by name from rows as dicts; a key a row lacks is null there.

    Raises:
        InvalidParameter: a row is not a dict.
    """
    names: dict[str, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidParameter(
                f"row {i} should be a dict of values by field, got {type(row).__name__}"
            )
        names.update(dict.fromkeys(row))
    return {name: [row.get(name) for row in rows] for name in names}


def queries_from(field: FieldSchema, query: Any) -> VectorRows:
    """One or several query vectors, as a search of the field takes them.

    Raises:
        InvalidParameter: wrong shape or dimension, or a value that cannot be compared.
    """
    rows = query_rows(field, query)
    if not len(rows):
        raise InvalidParameter(
            "nq [0] is invalid, nq (number of search vector per search request) should "
            "be in range [1, 16384], but got 0"
        )
    return rows
