"""Rows as the columns that evaluation reads, for tests of expressions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from elanus.expr.boxes import Boxes, boxes_of
from elanus.expr.jsonpath import PathColumn, extract
from elanus.schema.geometry import wkb_of_texts
from elanus.schema.schema import CollectionSchema, FieldSchema, StructSchema
from elanus.schema.types import DataType

_TYPES = {kind.row.name: kind for kind in DataType}

Row = Mapping[str, Any]


class Columns:
    """A ``ColumnSource`` over arrays, its JSON paths cached as sources must."""

    def __init__(self, arrays: Mapping[int, pa.Array], n_rows: int) -> None:
        self.arrays = arrays
        self._n_rows = n_rows
        self._paths: dict[tuple[int, tuple[str | int, ...]], PathColumn] = {}

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._n_rows

    def column(self, field_id: int) -> pa.Array:
        """One column."""
        return self.arrays[field_id]

    def json_path(self, field_id: int, path: tuple[str | int, ...]) -> PathColumn:
        """One JSON path, decoded at its first use."""
        key = (field_id, path)
        if key not in self._paths:
            self._paths[key] = extract(self.arrays[field_id], path)
        return self._paths[key]

    def boxes(self, field_id: int) -> Boxes:
        """What surrounds geometries."""
        return boxes_of(self.arrays[field_id])


def schema_of(lines: Sequence[str]) -> CollectionSchema:
    """A schema from lines like ``i8 Int8 nullable`` or ``s[x] Array[Int64]``.

    A name in brackets is a part of the struct before them.
    """
    fields = []
    structs: dict[str, StructSchema] = {}
    for line in lines:
        name, kind, *flags = line.split()
        element = None
        struct = name.partition("[")[0] if "[" in name else ""
        if struct:
            structs[struct] = StructSchema(struct, nullable="nullable" in flags)
        if kind.startswith("Array["):
            kind, element = "Array", _TYPES[kind[6:-1]]
        fields.append(
            FieldSchema(
                name,
                _TYPES[kind],
                is_primary="primary" in flags,
                nullable="nullable" in flags,
                is_dynamic="dynamic" in flags,
                element_type=element,
                dim=2 if kind == "FloatVector" else None,
                struct=struct,
            )
        )
    return CollectionSchema(tuple(fields), structs=tuple(structs.values())).with_ids()


def columns_of(schema: CollectionSchema, rows: Sequence[Row], pad: int = 0) -> Columns:
    """The rows as columns; each array is a slice that begins ``pad`` rows in."""
    arrays = {}
    for field in schema.scalars:
        values = [_value(row, field) for row in rows]
        if field.dtype is DataType.JSON:
            values = [
                None
                if value is None and field.nullable
                else json.dumps({} if value is None else value).encode()
                for value in values
            ]
        padded = values[:1] * pad + values
        if field.dtype is DataType.GEOMETRY:
            column = wkb_of_texts(pa.array(padded, pa.large_string()))
        else:
            column = pa.array(padded, field.arrow_type)
        arrays[field.id] = column[pad * bool(values) :]
    return Columns(arrays, len(rows))


def _value(row: Row, field: FieldSchema) -> Any:
    """A row's value of a field; of a part of a struct, the list of all elements'."""
    if not field.struct:
        return row.get(field.name)
    elements = row.get(field.struct)
    part = field.name[len(field.struct) + 1 : -1]
    return None if elements is None else [element[part] for element in elements]


def read_data(path: Path) -> tuple[CollectionSchema, list[Row]]:
    """Schema and rows of a ``.data`` file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = [line[6:] for line in lines if line.startswith("field ")]
    rows = [json.loads(line[4:]) for line in lines if line.startswith("row ")]
    return schema_of(fields), rows
