"""Struct columns of a write, taken apart: one column for each of a struct's fields.

The checks come in Milvus' order and with its texts. What they leave is columns as of
any other fields, called ``struct[part]``; their elements are counted by the engine.
"""

from __future__ import annotations

from dataclasses import replace

from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema, StructSchema, part_name
from elanus.service.requests import ColumnData


def without_structs(
    schema: CollectionSchema, columns: tuple[ColumnData, ...]
) -> tuple[ColumnData, ...]:
    """The same columns, those of structs replaced by the columns of their fields.

    Raises:
        InvalidParameter: a struct is missing, or its fields do not agree.
    """
    if not schema.structs:
        return columns
    flat: list[ColumnData] = []
    seen: set[str] = set()
    for column in columns:
        struct = schema.struct_by_name.get(column.name)
        if struct is None:
            flat.append(column)
            continue
        if struct.name in seen:
            raise InvalidParameter(f"duplicated field {struct.name} found")
        seen.add(struct.name)
        flat += _parts(struct, schema.parts[struct.name], column)
    for struct in schema.structs:
        if struct.name not in seen and not struct.nullable:
            raise _missing(struct)
    return tuple(flat)


def _missing(struct: StructSchema) -> InvalidParameter:
    return InvalidParameter(
        f"required struct array field '{struct.name}' is missing in insert data"
    )


def _parts(
    struct: StructSchema, fields: tuple[FieldSchema, ...], column: ColumnData
) -> list[ColumnData]:
    """The columns of a struct's fields; none where the struct is left out."""
    name = struct.name
    if len(column.parts) != len(fields):
        raise InvalidParameter(
            f"length of fields of struct field mismatch length of the fields in "
            f"schema, fieldName: {name}, fieldData: {len(column.parts)}, schema: "
            f"{len(fields)}"
        )
    by_name = {field.name: field for field in fields}
    parts = [_renamed(name, part) for part in column.parts]
    for part in parts:
        if part.name not in by_name:
            raise InvalidParameter(
                f"fieldName {part.name} not exist in collection schema, fieldType "
                f"{part.type_number}, fieldId 0"
            )
    present = [part for part in parts if part.slot]
    if not present:
        if not struct.nullable:
            raise _missing(struct)
        return []
    if len(present) < len(parts):
        raise InvalidParameter(
            f"inconsistent sub-field data in struct '{name}': {len(present)} of "
            f"{len(parts)} sub-fields have data, all must be present or all absent"
        )
    for part in parts[1:]:
        if part.n_rows != parts[0].n_rows:
            raise InvalidParameter(
                f"inconsistent array length in struct field '{name}': expected "
                f"{parts[0].n_rows}, got {part.n_rows} for sub-field "
                f"'{by_name[part.name].part}'"
            )
    return parts


def _renamed(struct: str, part: ColumnData) -> ColumnData:
    """A part under the whole name of its field; some clients send that."""
    if part.name.startswith(f"{struct}["):
        return part
    return replace(part, name=part_name(struct, part.name))
