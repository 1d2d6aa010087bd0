"""What a collection to be created is like, as its creator says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from elanus.engine.definition import DEFAULT_DATABASE, CollectionDefinition
from elanus.schema.schema import CollectionSchema


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What a collection to be created is like.

    Attributes:
        metrics: metric by vector field name, used until the field has an index.
        shards, consistency_level, properties: kept to be told back.
        is_loaded: clients of the protocol may read it at once.
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

    def matches(
        self, definition: CollectionDefinition, schema: CollectionSchema
    ) -> bool:
        """Whether an existing collection is what is to be created.

        Args:
            schema: this one's, checked and with ids.
        """
        return (
            definition.schema == schema
            and definition.shards == self.shards
            and definition.consistency_level == self.consistency_level
            and dict(definition.properties) == dict(self.properties)
        )
