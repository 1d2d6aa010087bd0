"""One open database: names to live collections, and every change of what exists.

A change takes its place in the order of writes, becomes durable in one metadata
transaction, and only then shows.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elanus.database.catalog import (
    TRIMMED,
    Catalog,
    collection_record,
    dropped_records,
    manifest_record,
)
from elanus.database.jobs import BackgroundWork
from elanus.database.reports import collection_stats, index_states
from elanus.engine.collection import Collection
from elanus.engine.definition import (
    DEFAULT_PARTITION,
    CollectionDefinition,
    IndexDefinition,
)
from elanus.engine.node import Node
from elanus.engine.shard import LocalShard
from elanus.engine.write.build import drop_index
from elanus.engine.write.compaction import retire
from elanus.engine.write.jobs import Launcher
from elanus.engine.write.recovery import (
    check_present,
    open_shard,
    remove_orphans,
    replay,
)
from elanus.errors import (
    ClosedError,
    CollectionNotFound,
    IndexNotFound,
    InvalidParameter,
    ReadOnlyError,
    StorageError,
)
from elanus.heap import release_free_memory
from elanus.schema import limits
from elanus.schema.check import (
    check_collection_name,
    check_partition_name,
    check_schema,
)
from elanus.schema.schema import CollectionSchema
from elanus.segment.sealed import SealedSegment
from elanus.storage.manifest import Manifest


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What a collection to be created is like.

    Attributes:
        metrics: metric by vector field name, used until the field has an index.
    """

    name: str
    schema: CollectionSchema
    dynamic: bool = False
    metrics: Mapping[str, str] | None = None


class Database:
    """Collections by name. Safe to use from many threads."""

    def __init__(
        self,
        node: Node,
        catalog: Catalog,
        launcher: Launcher,
        rng: np.random.Generator,
    ) -> None:
        """Open every collection and replay the log.

        Raises:
            CorruptionError: a file or record is damaged or missing; it is named.
        """
        self._node = node
        self._rng = rng
        self._ddl_lock = threading.RLock()
        self._is_closed = False
        self._trimmed_seq = catalog.trimmed_seq
        self._trim_lock = threading.Lock()
        self._by_name: dict[str, Collection] = {}
        self._open_collections(catalog)
        self.background = BackgroundWork(self.collections, launcher, self.trim)
        if node.store.read_only:
            self.background.attach_indexes()
        else:
            shards = [collection.shard for collection in self._by_name.values()]
            remove_orphans(node.store, shards)

    def _open_collections(self, catalog: Catalog) -> None:
        node = self._node
        shards = {}
        for definition in catalog.definitions.values():
            shards[definition.id] = open_shard(
                node,
                definition.schema,
                frozenset(definition.partitions.values()),
                catalog.manifests[definition.id],
            )
        check_present(node.store, shards.values())
        schemas = {
            definition.id: {definition.schema.version: definition.schema}
            for definition in catalog.definitions.values()
        }
        replay(node, shards, schemas, trimmed_seq=catalog.trimmed_seq)
        for definition in catalog.definitions.values():
            self._by_name[definition.name] = Collection(
                node, definition, shards[definition.id], self._rng
            )

    # --- what exists ------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The services of this database."""
        return self._node

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closed

    def collections(self) -> list[Collection]:
        """Every live collection."""
        return list(self._by_name.values())

    def names(self) -> list[str]:
        """Names of all collections, sorted."""
        self._need_open()
        return sorted(self._by_name)

    def collection(self, name: str) -> Collection:
        """The collection called ``name``.

        Raises:
            CollectionNotFound: there is none.
        """
        self._need_open()
        collection = self._by_name.get(name)
        if collection is None:
            raise CollectionNotFound(name)
        return collection

    def create_collection(self, new: NewCollection) -> Collection:
        """Create a collection; an identical one that exists already is returned.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
            InvalidParameter: a different collection has this name.
        """
        self.need_writable()
        name = check_collection_name(new.name)
        schema = check_schema(new.schema, name, dynamic=new.dynamic)
        metrics = {
            schema.by_name[field].id: metric
            for field, metric in (new.metrics or {}).items()
        }
        with self._ddl_lock:
            existing = self._by_name.get(name)
            if existing is not None:
                if existing.schema == schema:
                    return existing
                raise InvalidParameter(
                    f"create duplicate collection with different parameters, "
                    f"collection: {name}"
                )
            if len(self._by_name) >= limits.COLLECTIONS:
                raise InvalidParameter(
                    f"exceeded the limit number of collections"
                    f"[limit={limits.COLLECTIONS}]"
                )
            return self._create(name, schema, metrics)

    def _create(
        self, name: str, schema: CollectionSchema, metrics: Mapping[int, str]
    ) -> Collection:
        node = self._node
        definition = CollectionDefinition(
            id=node.ids.next(),
            name=name,
            schema=schema,
            partitions={DEFAULT_PARTITION: node.ids.next()},
            created_ts=node.clock.next(),
            default_metrics=metrics,
        )
        # Not the newest seq given out, which a failed write may leave unused: after
        # a restart it is given again, to a record that must not count as flushed.
        manifest = Manifest(definition.id, checkpoint_seq=node.log.applied_seq)
        node.commit({**collection_record(definition), **manifest_record(manifest)})
        shard = open_shard(
            node, schema, frozenset(definition.partitions.values()), manifest
        )
        collection = Collection(node, definition, shard, self._rng)
        self._by_name[name] = collection
        return collection

    def drop_collection(self, name: str) -> None:
        """Drop a collection and its rows; nothing happens if there is none."""
        self.need_writable()
        with self._ddl_lock:
            collection = self._by_name.get(name)
            if collection is None:
                return
            shard = collection.shard
            with shard.manifest_lock:
                with shard.order_lock:
                    shard.settle()
                    self._node.commit(dropped_records(shard.id))
                    collection.close()
                    del self._by_name[name]
                with shard.state_lock:
                    sealed, shard.sealed = shard.sealed, []
                retire(shard, sealed, list(shard.manifest.segments))
                shard.manifest = replace(shard.manifest, segments=())
        self._clean_up()

    def rename_collection(self, name: str, to: str) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFound: there is none called ``name``.
            InvalidParameter: ``to`` is taken or breaks the rules.
        """
        self.need_writable()
        check_collection_name(to)
        with self._ddl_lock:
            collection = self.collection(name)
            if to in self._by_name:
                raise InvalidParameter(
                    f"duplicated new collection name default:{to} with other "
                    f"collection name or alias"
                )
            self._redefine(collection, replace(collection.definition, name=to))
            self._by_name[to] = self._by_name.pop(name)

    def truncate(self, name: str) -> None:
        """Remove every row of a collection.

        Raises:
            CollectionNotFound: there is none.
        """
        self.need_writable()
        shard = self.collection(name).shard
        with shard.manifest_lock, shard.order_lock:
            shard.settle()
            old = shard.manifest
            manifest = shard.commit(
                replace(
                    old,
                    segments=(),
                    checkpoint_seq=shard.applied_seq,
                    floor_ts=self._node.clock.next(),
                ),
                repeated_keys=frozenset(),
            )
            with shard.state_lock:
                removed = list(shard.sealed)
                shard.repeated_keys = frozenset()
                shard.growing = None
                shard.frozen = []
                shard.replace_segments(removed, [], manifest)
            retire(shard, removed, list(old.segments))
        self._clean_up()

    # --- partitions -------------------------------------------------------------------

    def create_partition(self, name: str, partition: str) -> None:
        """Add a partition; nothing happens if it exists.

        Raises:
            CollectionNotFound, InvalidParameter.
        """
        self.need_writable()
        partition = check_partition_name(partition)
        with self._ddl_lock:
            collection = self.collection(name)
            known = collection.definition.partitions
            if partition in known:
                return
            if len(known) >= limits.PARTITIONS:
                raise InvalidParameter(
                    f"partition number ({limits.PARTITIONS}) exceeds max configuration "
                    f"({limits.PARTITIONS}), collection: {name}"
                )
            partitions = {**known, partition: self._node.ids.next()}
            self._set_partitions(collection, partitions)

    def drop_partition(self, name: str, partition: str) -> None:
        """Drop a partition and its rows; nothing happens if there is none.

        Raises:
            CollectionNotFound, InvalidParameter: the default one cannot be dropped.
        """
        self.need_writable()
        if partition == DEFAULT_PARTITION:
            raise InvalidParameter("default partition cannot be deleted")
        with self._ddl_lock:
            collection = self.collection(name)
            known = collection.definition.partitions
            if partition not in known:
                return
            remaining = {k: v for k, v in known.items() if k != partition}
            self._set_partitions(collection, remaining)
        self.background.wake()

    def _set_partitions(
        self, collection: Collection, partitions: Mapping[str, int]
    ) -> None:
        shard = collection.shard
        with shard.order_lock:
            shard.settle()
            definition = replace(collection.definition, partitions=partitions)
            self._redefine(collection, definition)
            shard.set_partitions(frozenset(partitions.values()))

    # --- indexes ----------------------------------------------------------------------

    def create_index(self, name: str, index: IndexDefinition) -> None:
        """Define the index of a field; it is built in the background.

        Raises:
            CollectionNotFound, InvalidParameter: another index is defined already.
        """
        self.need_writable()
        with self._ddl_lock:
            collection = self.collection(name)
            known = collection.definition.indexes
            if known.get(index.field_id) == index:
                return
            if index.field_id in known:
                raise InvalidParameter(
                    "at most one distinct index is allowed per field"
                )
            if any(other.name == index.name for other in known.values()):
                raise InvalidParameter(
                    "at most one distinct index is allowed per field"
                )
            indexes = {**known, index.field_id: index}
            self._redefine(collection, replace(collection.definition, indexes=indexes))
            self.background.forget_failures(collection.shard.id)
        self.background.wake()

    def drop_index(self, name: str, index_name: str) -> None:
        """Remove an index; the field is searched exactly then.

        Raises:
            CollectionNotFound.
            IndexNotFound: the collection has no such index.
        """
        self.need_writable()
        with self._ddl_lock:
            collection = self.collection(name)
            known = collection.definition.indexes
            chosen = [i for i in known.values() if i.name == index_name]
            if not chosen:
                raise IndexNotFound(index=index_name)
            field_id = chosen[0].field_id
            indexes = {k: v for k, v in known.items() if k != field_id}
            metrics = {
                **collection.definition.default_metrics,
                field_id: chosen[0].metric,
            }
            self._redefine(
                collection,
                replace(
                    collection.definition, indexes=indexes, default_metrics=metrics
                ),
            )
            shard = collection.shard
            with shard.manifest_lock:
                for segment in list(shard.sealed):
                    segment.detach(field_id)
                    self._forget_index(shard, segment, field_id)

    def _forget_index(
        self, shard: LocalShard, segment: SealedSegment, field_id: int
    ) -> None:
        try:
            drop_index(shard, segment, field_id)
        except StorageError as error:
            # it fits no definition any more, so the next start drops it
            self.background.status.flush_error = str(error)

    def _redefine(
        self, collection: Collection, definition: CollectionDefinition
    ) -> None:
        self._node.commit(collection_record(definition))
        collection.redefine(definition)

    # --- reports ----------------------------------------------------------------------

    def stats(self, name: str) -> dict[str, Any]:
        """Rows, segments, bytes and background work of a collection.

        Raises:
            CollectionNotFound: there is none.
        """
        return collection_stats(self.collection(name), self.background.status)

    def describe_indexes(self, name: str) -> list[dict[str, Any]]:
        """Every index of a collection: parameters, progress, and why it failed.

        Raises:
            CollectionNotFound: there is none.
        """
        return index_states(self.collection(name), self.background.status)

    # --- the log and the end ----------------------------------------------------------

    def trim(self, *, rotate: bool = False) -> None:
        """Delete log files that no collection needs any more."""
        with self._trim_lock:
            log = self._node.log
            newest = log.applied_seq
            needed = [c.shard.needed_seq() for c in self.collections()]
            up_to = min([newest, *[seq for seq in needed if seq is not None]])
            if up_to <= self._trimmed_seq or not log.can_trim(up_to, rotate=rotate):
                return
            self._node.commit({TRIMMED: str(up_to).encode()})
            self._trimmed_seq = up_to
            log.trim(up_to, rotate=rotate)

    def _clean_up(self, *, rotate: bool = False) -> None:
        """Free the space that a durable change made superfluous.

        The change stands even if this fails; what is left goes at the next chance.
        """
        try:
            self._node.trash.empty(self._node.store)
            self.trim(rotate=rotate)
        except StorageError as error:
            self.background.status.flush_error = str(error)

    def flush(self, collection: Collection) -> None:
        """Write a collection's rows to column files and let the log go."""
        self.need_writable()
        try:
            collection.flush()
        finally:
            self._clean_up(rotate=True)
        release_free_memory()
        self.background.wake()

    def close(self) -> None:
        """End background work and note where the log ends; twice does no harm."""
        with self._ddl_lock:
            if self._is_closed:
                return
            self._is_closed = True
        node = self._node
        with ExitStack() as last:
            # in reverse, each of them even if another fails
            last.callback(node.meta.close)
            for collection in self.collections():
                collection.close()
                for segment in collection.shard.sealed:
                    last.callback(segment.close)
            self.background.close()
            node.log.close()
            if not node.store.read_only and node.log.is_sound:
                node.commit({})

    def _need_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the database")

    def need_writable(self) -> None:
        """Raise unless writes are taken.

        Raises:
            ClosedError: the database is closed.
            ReadOnlyError: it was opened read-only.
        """
        self._need_open()
        if self._node.store.read_only:
            raise ReadOnlyError("the database is open read-only")
