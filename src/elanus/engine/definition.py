"""What a collection is: name, schema, partitions, indexes, what is loaded; frozen.

The database keeps these records durable; the engine reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from elanus.errors import InvalidParameter, PartitionNotFound
from elanus.schema import limits
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.zones import UTC

DEFAULT_PARTITION = "_default"
DEFAULT_DATABASE = "default"
DEFAULT_DATABASE_ID = 1
DEFAULT_KEYED_PARTITIONS = 16
TTL_SECONDS = "collection.ttl.seconds"
TTL_FIELD = "ttl_field"
TIMEZONE = "timezone"
QUERY_MODE = "query_mode"
LARGE_TOPK = "large_topk"
ALLOW_INSERT_AUTO_ID = "allow_insert_auto_id"
# Indexes in name only: what they promise is an exact scan, or one of bits is quickest.
_SCANS = frozenset(
    [("FLAT", metric) for metric in ("L2", "IP", "COSINE")]
    + [(kind, m) for kind in ("BIN_FLAT", "AUTOINDEX") for m in ("HAMMING", "JACCARD")]
)

_WHOLE_DOCUMENTS = "JSON"
"""A cast that names no type of values: there is nothing to put in order."""


@dataclass(frozen=True)
class IndexDefinition:
    """The index a field should have.

    Attributes:
        index_type: the kind, as the user called it.
        metric: of a vector field; otherwise empty.
        params: build parameters as the user gave them.
        id: number of the definition; 0 until the database gives it one.
        given: all parameters as a client gave them, to be told back.
        path: of a JSON field, which place in its documents, as a JSON pointer.
        is_scanned: whether searches measure every row, whatever the kind promises.
    """

    name: str
    field_id: int
    index_type: str
    metric: str
    params: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    given: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    is_scanned: bool = False

    @property
    def is_built(self) -> bool:
        """Whether segments get files for it: an exact scan needs none."""
        if self.is_scanned:
            return False
        if self.is_scalar:
            cast = str(self.params.get("json_cast_type", ""))
            return cast.upper() != _WHOLE_DOCUMENTS
        return (self.index_type, self.metric) not in _SCANS

    @property
    def is_scalar(self) -> bool:
        """Whether it is of a scalar field, or of a place inside JSON documents."""
        return not self.metric

    @property
    def slot(self) -> int:
        """By what a segment and its manifest know the index.

        The field's id; for a place inside JSON documents, of which a field may have
        several indexes, the number of the definition, negative.
        """
        return -self.id if self.path else self.field_id

    def asks_the_same_as(self, other: IndexDefinition) -> bool:
        """Whether two definitions differ in nothing but number and spelling."""
        mine, others = (
            {**d.to_dict(), "params": {k: str(v) for k, v in d.params.items()}}
            for d in (self, other)
        )
        return mine == others and self.path == other.path

    def to_dict(self) -> dict[str, Any]:
        """What a built index carries: by this it is found stale."""
        plain = {
            "name": self.name,
            "field_id": self.field_id,
            "index_type": self.index_type,
            "metric": self.metric,
            "params": dict(self.params),
        }
        return {**plain, "path": self.path} if self.path else plain

    def to_record(self) -> dict[str, Any]:
        """The durable form in the catalog; :class:`IndexDefinition` takes it back."""
        record = {**self.to_dict(), "id": self.id, "given": dict(self.given)}
        if self.is_scanned:
            record["is_scanned"] = True
        return record


@dataclass(frozen=True)
class LoadDefinition:
    """What of a collection is loaded.

    Attributes:
        partitions: ids; ``None`` for the whole collection, partitions to come included.
        fields: names of the fields loaded; empty for all.
        released: ids of the partitions taken out of a whole collection again.
        version: of the schema when it was loaded; vectors that came later are not.
            ``None`` where that was not noted.
    """

    partitions: frozenset[int] | None = None
    fields: tuple[str, ...] = ()
    released: frozenset[int] = frozenset()
    version: int | None = None

    def has(self, field: FieldSchema) -> bool:
        """Whether a field was there when the collection was loaded."""
        return self.version is None or field.since <= self.version

    @property
    def is_everything(self) -> bool:
        """Whether there is no partition that is not loaded."""
        return self.partitions is None and not self.released

    def to_dict(self) -> dict[str, Any]:
        """The durable form: plain JSON values."""
        partitions = None if self.partitions is None else sorted(self.partitions)
        released = {"released": sorted(self.released)} if self.released else {}
        version = {} if self.version is None else {"version": self.version}
        fields = list(self.fields)
        return {"partitions": partitions, "fields": fields, **released, **version}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LoadDefinition:
        """The inverse of :meth:`to_dict`."""
        named = data["partitions"]
        return cls(
            None if named is None else frozenset(named),
            tuple(data["fields"]),
            frozenset(data.get("released", ())),
            data.get("version"),
        )


@dataclass(frozen=True)
class CollectionDefinition:
    """One collection as the catalog knows it.

    Attributes:
        partitions: id by name, in order of creation; ids are never reused.
        indexes: by field id, those of JSON paths left out.
        created_ts: hybrid timestamp of its creation.
        default_metrics: by field id, for fields without an index.
        database_id: the database it is in.
        shards, consistency_level, properties: as given at creation, to be told back.
        updated_ts: hybrid timestamp of its last alteration.
        partition_ts: hybrid timestamp of creation by partition id; those of the first
            day are left out.
        loaded: what the server may read; ``None`` when nothing.
        path_indexes: of places inside JSON fields, in order of creation.
    """

    id: int
    name: str
    schema: CollectionSchema
    partitions: Mapping[str, int]
    indexes: Mapping[int, IndexDefinition] = field(default_factory=dict)
    created_ts: int = 0
    default_metrics: Mapping[int, str] = field(default_factory=dict)
    database_id: int = DEFAULT_DATABASE_ID
    shards: int = 1
    consistency_level: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    updated_ts: int = 0
    partition_ts: Mapping[int, int] = field(default_factory=dict)
    loaded: LoadDefinition | None = None
    path_indexes: tuple[IndexDefinition, ...] = ()

    @property
    def all_indexes(self) -> tuple[IndexDefinition, ...]:
        """Those of fields, and those of JSON paths."""
        return (*self.indexes.values(), *self.path_indexes)

    def index_at(self, field_id: int, path: str) -> IndexDefinition | None:
        """The index of a field, or of a path in it."""
        if not path:
            return self.indexes.get(field_id)
        found = (
            i for i in self.path_indexes if (i.field_id, i.path) == (field_id, path)
        )
        return next(found, None)

    def with_index(self, index: IndexDefinition) -> CollectionDefinition:
        """The same collection with one more index."""
        if index.path:
            return replace(self, path_indexes=(*self.path_indexes, index))
        return replace(self, indexes={**self.indexes, index.field_id: index})

    def without_index(self, index: IndexDefinition) -> CollectionDefinition:
        """The same collection without this index; its metric stays the default."""
        if index.path:
            rest = tuple(i for i in self.path_indexes if i is not index)
            return replace(self, path_indexes=rest)
        metrics = dict(self.default_metrics)
        if index.metric:
            metrics[index.field_id] = index.metric
        left = {k: v for k, v in self.indexes.items() if k != index.field_id}
        return replace(self, indexes=left, default_metrics=metrics)

    @property
    def ttl_s(self) -> int:
        """Seconds after which rows are no longer seen; 0 for never."""
        return max(0, int(self.properties.get(TTL_SECONDS) or 0))

    @property
    def ttl_field(self) -> FieldSchema | None:
        """The field of points in time up to which rows are seen, if there is one."""
        name = self.properties.get(TTL_FIELD, "")
        return self.schema.by_name.get(name)

    @property
    def zone(self) -> str:
        """The time zone of points in time that name none."""
        return self.properties.get(TIMEZONE) or UTC

    @property
    def largest_limit(self) -> int:
        """How many rows one query of a search, or a query, may return."""
        is_large = self.properties.get(QUERY_MODE) == LARGE_TOPK
        return limits.LARGE_LIMIT if is_large else limits.LIMIT

    @property
    def takes_ids(self) -> bool:
        """Whether an insert may bring ids where they would be made."""
        allowed = self.properties.get(ALLOW_INSERT_AUTO_ID, "").strip().lower()
        return allowed in ("true", "t", "1")

    def partitions_for(self, name: str) -> tuple[int, ...]:
        """Ids of the partitions that rows written to ``name`` may go to.

        Raises:
            PartitionNotFound: the collection has none by this name.
            InvalidParameter: it has a partition key, which alone chooses.
        """
        if self.schema.partition_key is None:
            return (self.partition_id(name),)
        if name != DEFAULT_PARTITION:
            self.refuse_partition_names((name,))
        return tuple(self.partitions.values())

    def refuse_partition_names(self, names: Sequence[str]) -> None:
        """Raise if any are given though a partition key chooses them.

        Raises:
            InvalidParameter: leave them out.
        """
        if names and self.schema.partition_key is not None:
            raise InvalidParameter(
                "not support manually specifying the partition names if partition key "
                "mode is used"
            )

    def partition_id(self, name: str) -> int:
        """The id of a partition.

        Raises:
            PartitionNotFound: the collection has none by this name.
        """
        try:
            return self.partitions[name]
        except KeyError:
            raise PartitionNotFound(name) from None

    def partition_created_ts(self, partition_id: int) -> int:
        """Hybrid timestamp of a partition's creation."""
        return self.partition_ts.get(partition_id, self.created_ts)

    def metric_of(self, field: FieldSchema) -> str:
        """The metric a field is searched with: its index's, else the default."""
        index = self.indexes.get(field.id)
        if index is not None:
            return index.metric
        usual = "BM25" if field.is_function_output else field.vector.metrics[0]
        return self.default_metrics.get(field.id, usual)

    def to_bytes(self) -> bytes:
        """The catalog record's body, JSON."""
        return orjson.dumps(
            {
                "id": self.id,
                "name": self.name,
                "schema": self.schema.to_dict(),
                "partitions": dict(self.partitions),
                "indexes": [index.to_record() for index in self.all_indexes],
                "created_ts": self.created_ts,
                "default_metrics": _text_keys(self.default_metrics),
                "database_id": self.database_id,
                "shards": self.shards,
                "consistency_level": self.consistency_level,
                "properties": dict(self.properties),
                "updated_ts": self.updated_ts,
                "partition_ts": _text_keys(self.partition_ts),
                "loaded": None if self.loaded is None else self.loaded.to_dict(),
            }
        )

    @classmethod
    def from_bytes(
        cls, body: bytes, schemas: dict[bytes, CollectionSchema] | None = None
    ) -> CollectionDefinition:
        """The inverse of :meth:`to_bytes`; keys that are absent have their default.

        Args:
            schemas: known ones by durable form; collections alike share one.
        """
        data = orjson.loads(body)
        schemas = {} if schemas is None else schemas
        written = orjson.dumps(data["schema"])
        schema = schemas.get(written)
        if schema is None:
            schema = schemas[written] = CollectionSchema.from_dict(data["schema"])
        indexes = [IndexDefinition(**index) for index in data["indexes"]]
        loaded = data.get("loaded")
        return cls(
            id=data["id"],
            name=data["name"],
            schema=schema,
            partitions=data["partitions"],
            indexes={index.field_id: index for index in indexes if not index.path},
            path_indexes=tuple(index for index in indexes if index.path),
            created_ts=data["created_ts"],
            default_metrics={int(k): v for k, v in data["default_metrics"].items()},
            database_id=data.get("database_id", DEFAULT_DATABASE_ID),
            shards=data.get("shards", 1),
            consistency_level=data.get("consistency_level", 0),
            properties=data.get("properties", {}),
            updated_ts=data.get("updated_ts", data["created_ts"]),
            partition_ts={int(k): v for k, v in data.get("partition_ts", {}).items()},
            loaded=None if loaded is None else LoadDefinition.from_dict(loaded),
        )


def _text_keys(values: Mapping[int, Any]) -> dict[str, Any]:
    """A mapping as JSON can hold it."""
    return {str(key): value for key, value in values.items()}
