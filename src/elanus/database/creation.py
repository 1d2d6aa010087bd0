"""What a collection to be created is like, as its creator says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from elanus.engine.definition import (
    DEFAULT_DATABASE,
    DEFAULT_KEYED_PARTITIONS,
    DEFAULT_PARTITION,
    TIMEZONE,
    CollectionDefinition,
)
from elanus.schema.check import check_schema
from elanus.schema.schema import CollectionSchema
from elanus.schema.zones import UTC, check_zone
from elanus.text.fields import check_text_fields


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What a collection to be created is like.

    Attributes:
        metrics: metric by vector field name, used until the field has an index.
        shards, consistency_level, properties: kept to be told back.
        is_loaded: clients of the protocol may read it at once.
        partitions: how many a partition key spreads rows over; 0 for the default.
    """

    name: str
    schema: CollectionSchema
    dynamic: bool = False
    metrics: Mapping[str, str] | None = None
    database: str = DEFAULT_DATABASE
    shards: int = 1
    consistency_level: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    is_loaded: bool = False
    partitions: int = 0

    def partition_names(self, schema: CollectionSchema) -> list[str]:
        """Names of the partitions that there are from the start."""
        if schema.partition_key is None:
            return [DEFAULT_PARTITION]
        number = self.partitions or DEFAULT_KEYED_PARTITIONS
        return [f"{DEFAULT_PARTITION}_{i}" for i in range(number)]

    def in_zone(self, zone: str | None) -> NewCollection:
        """The same, in its database's time zone unless it names one itself."""
        return replace(self, properties={TIMEZONE: zone or UTC, **self.properties})

    def checked_schema(self) -> CollectionSchema:
        """The schema as it will be stored.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
            UnsupportedOperation: an analyzer needs a library that is not installed.
        """
        zone = check_zone(self.properties.get(TIMEZONE, UTC))
        schema = check_schema(self.schema, self.name, dynamic=self.dynamic, zone=zone)
        read = {name for function in schema.functions for name in function.inputs}
        check_text_fields(schema.fields, schema, self.name, frozenset(read))
        return schema

    def matches(
        self, definition: CollectionDefinition, schema: CollectionSchema
    ) -> bool:
        """Whether an existing collection is what is to be created.

        Its time zone must be among the properties here.

        Args:
            schema: this one's, checked and with ids.
        """
        return (
            definition.schema == schema
            and definition.shards == self.shards
            and definition.consistency_level == self.consistency_level
            and {TIMEZONE: definition.zone, **definition.properties}
            == dict(self.properties)
            and (
                schema.partition_key is None
                or list(definition.partitions) == self.partition_names(schema)
            )
        )
