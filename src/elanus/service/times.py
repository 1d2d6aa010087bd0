"""Points in time in one request: in which zone they are meant and told, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from elanus.engine.definition import TIMEZONE, CollectionDefinition
from elanus.schema.schema import CollectionSchema
from elanus.schema.time_texts import part_names, parts_of_times, texts_of_times
from elanus.schema.types import DataType
from elanus.schema.zones import UTC, check_zone
from elanus.service.replies import OutputColumn

_TIME_FIELDS = "time_fields"


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How points in time are told.

    Attributes:
        zone: whose clocks show them.
        parts: such as "year", for numbers instead of one text.
    """

    zone: str = UTC
    parts: tuple[str, ...] = ()


def zone_of(definition: CollectionDefinition, extra: Mapping[str, str]) -> str:
    """The zone that a request names, or else its collection's.

    Raises:
        InvalidParameter: there is no such zone.
    """
    return check_zone(extra[TIMEZONE]) if extra.get(TIMEZONE) else definition.zone


def time_form(definition: CollectionDefinition, extra: Mapping[str, str]) -> TimeForm:
    """How a request wants points in time, by its parameters.

    Raises:
        InvalidParameter: there is no such zone, or no such part.
    """
    return TimeForm(zone_of(definition, extra), part_names(extra.get(_TIME_FIELDS, "")))


def as_told(column: OutputColumn, form: TimeForm) -> OutputColumn:
    """A column as a client takes it: points in time as texts or parts."""
    if column.dtype is not DataType.TIMESTAMPTZ:
        return column
    assert isinstance(column.values, pa.Array)
    if not form.parts:
        return replace(column, values=texts_of_times(column.values, form.zone))
    return replace(
        column,
        dtype=DataType.ARRAY,
        element_type=DataType.INT64,
        values=parts_of_times(column.values, form.zone, form.parts),
    )


def told_schema(schema: CollectionSchema, zone: str) -> CollectionSchema:
    """A schema as a client takes it: default points in time as texts."""
    for field in schema.times:
        if isinstance(field.default, int):
            stored = pa.array([field.default], pa.int64())
            text = texts_of_times(stored, zone)[0].as_py()
            schema = schema.with_changed(replace(field, default=text))
    return schema
