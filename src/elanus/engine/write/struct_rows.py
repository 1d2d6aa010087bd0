"""Struct arrays of a write: taken apart into columns of fields, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from elanus.errors import InvalidParameter
from elanus.schema.arrays import values_of
from elanus.schema.columns import Column
from elanus.schema.schema import CollectionSchema, part_name
from elanus.schema.vector_lists import VectorLists
from elanus.schema.vectors import VectorColumn

_NULL = -1


def without_structs(
    schema: CollectionSchema, columns: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The same columns, those of structs replaced by the columns of their fields.

    Args:
        columns: by name; of a struct, lists of mappings, ``None`` for null, or an Arrow
            array of such.

    Raises:
        InvalidParameter: a value is no list of structs with exactly these fields.
    """
    if schema.parts.keys().isdisjoint(columns):
        return columns
    flat: dict[str, Any] = {}
    for name, values in columns.items():
        if name not in schema.parts:
            flat[name] = values
            continue
        parts = [f.part for f in schema.parts[name]]
        rows = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
        taken = [_row(name, number, row, parts) for number, row in enumerate(rows)]
        for part in parts:
            flat[part_name(name, part)] = [
                None if row is None else [struct[part] for struct in row]
                for row in taken
            ]
    return flat


def _row(
    name: str, number: int, row: Any, parts: Sequence[str]
) -> Sequence[Mapping[str, Any]] | None:
    if row is None or (isinstance(row, float) and row != row):  # pandas' null
        return None
    if isinstance(row, str | bytes | Mapping) or not hasattr(row, "__iter__"):
        raise InvalidParameter(
            f"field '{name}': row {number} should be a list of structs, got "
            f"{type(row).__name__}"
        )
    structs = list(row)
    for place, struct in enumerate(structs):
        if not isinstance(struct, Mapping) or struct.keys() != set(parts):
            raise InvalidParameter(
                f"field '{name}': element {place} of row {number} should be a struct "
                f"of [{' '.join(parts)}], got {struct!r:.80}"
            )
    return structs


def check_structs(schema: CollectionSchema, columns: Mapping[int, Column]) -> None:
    """Raise unless the lists of a struct's fields have one length in each row.

    Args:
        columns: by field id, of equal length.

    Raises:
        InvalidParameter: with Milvus' text.
    """
    for name, fields in schema.parts.items():
        first = fields[0]
        expected = _lengths(columns[first.id])
        for field in fields[1:]:
            found = _lengths(columns[field.id])
            differ = np.flatnonzero(found != expected)
            if not len(differ):
                continue
            row = int(differ[0])
            if _NULL in (found[row], expected[row]):
                raise InvalidParameter(
                    f"sub-field ValidData mismatch in struct '{name}' at row {row}: "
                    f"'{first.part}' is {expected[row] != _NULL}, '{field.part}' is "
                    f"{found[row] != _NULL}"
                )
            raise InvalidParameter(
                f"inconsistent struct element count in struct '{name}' at row {row}: "
                f"'{first.part}' has {expected[row]}, '{field.part}' has {found[row]}"
            )


def _lengths(column: Column) -> npt.NDArray[np.int64]:
    """Elements in each row, -1 for null."""
    if not isinstance(column, VectorColumn):
        counted: npt.NDArray[np.int64] = values_of(
            column.value_lengths().fill_null(_NULL)
        ).astype(np.int64)
        return counted
    assert isinstance(column.rows, VectorLists)
    if column.valid is None:
        return column.rows.lengths
    lengths = np.full(len(column), _NULL, np.int64)
    lengths[column.valid] = column.rows.lengths
    return lengths
