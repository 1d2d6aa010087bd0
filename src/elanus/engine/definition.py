"""What a collection is: name, schema, partitions and index definitions; frozen.

The database keeps these records durable; the engine reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from elanus.errors import PartitionNotFound
from elanus.schema.schema import CollectionSchema

DEFAULT_PARTITION = "_default"


@dataclass(frozen=True)
class IndexDefinition:
    """The index a vector field should have.

    Attributes:
        params: build parameters as the user gave them.
    """

    name: str
    field_id: int
    index_type: str
    metric: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The durable form, which built indexes carry too."""
        return {
            "name": self.name,
            "field_id": self.field_id,
            "index_type": self.index_type,
            "metric": self.metric,
            "params": dict(self.params),
        }


@dataclass(frozen=True)
class CollectionDefinition:
    """One collection as the catalog knows it.

    Attributes:
        partitions: id by name; ids are never reused.
        indexes: by field id.
        created_ts: hybrid timestamp of its creation.
    """

    id: int
    name: str
    schema: CollectionSchema
    partitions: Mapping[str, int]
    indexes: Mapping[int, IndexDefinition] = field(default_factory=dict)
    created_ts: int = 0
    default_metrics: Mapping[int, str] = field(default_factory=dict)

    def partition_id(self, name: str) -> int:
        """The id of a partition.

        Raises:
            PartitionNotFound: the collection has none by this name.
        """
        try:
            return self.partitions[name]
        except KeyError:
            raise PartitionNotFound(name) from None

    def metric_of(self, field_id: int) -> str:
        """The metric a field is searched with: its index's, else the default."""
        index = self.indexes.get(field_id)
        if index is not None:
            return index.metric
        return self.default_metrics.get(field_id, "COSINE")

    def to_bytes(self) -> bytes:
        """The catalog record's body, JSON."""
        return orjson.dumps(
            {
                "id": self.id,
                "name": self.name,
                "schema": self.schema.to_dict(),
                "partitions": dict(self.partitions),
                "indexes": [index.to_dict() for index in self.indexes.values()],
                "created_ts": self.created_ts,
                "default_metrics": {
                    str(key): value for key, value in self.default_metrics.items()
                },
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> CollectionDefinition:
        """The inverse of :meth:`to_bytes`."""
        data = orjson.loads(body)
        indexes = [IndexDefinition(**index) for index in data["indexes"]]
        return cls(
            id=data["id"],
            name=data["name"],
            schema=CollectionSchema.from_dict(data["schema"]),
            partitions=data["partitions"],
            indexes={index.field_id: index for index in indexes},
            created_ts=data["created_ts"],
            default_metrics={int(k): v for k, v in data["default_metrics"].items()},
        )
