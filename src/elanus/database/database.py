"""One open database: names to live collections, and every change of what exists.

A change takes its place in the order of writes, becomes durable in one metadata
transaction, and only then shows.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from elanus.database.catalog import (
    TRIMMED,
    Catalog,
    collection_record,
    dropped_alias_record,
    dropped_records,
    manifest_record,
)
from elanus.database.creation import NewCollection
from elanus.database.directory import Directory
from elanus.database.jobs import BackgroundWork
from elanus.database.reports import collection_stats, index_states
from elanus.engine.collection import Collection
from elanus.engine.definition import (
    DEFAULT_DATABASE_ID,
    DEFAULT_PARTITION,
    TIMEZONE,
    CollectionDefinition,
    IndexDefinition,
    LoadDefinition,
)
from elanus.engine.node import Node
from elanus.engine.shard import LocalShard
from elanus.engine.write.build import drop_index
from elanus.engine.write.compaction import retire
from elanus.engine.write.jobs import Launcher
from elanus.engine.write.recovery import remove_orphans, replay
from elanus.errors import (
    AliasConflict,
    ClosedError,
    CollectionNotFound,
    IndexNotFound,
    InvalidParameter,
    ReadOnlyError,
    StorageError,
)
from elanus.heap import release_free_memory
from elanus.schema import limits
from elanus.schema.names import check_collection_name, check_partition_name
from elanus.segment.sealed import SealedSegment
from elanus.storage.manifest import Manifest

Named = str | Collection
"""A collection, or its own name in the default database."""


class Database:
    """Collections by name. Safe to use from many threads.

    Attributes:
        ddl_lock: held while what exists is changed.
        directory: what each name stands for.
    """

    def __init__(
        self,
        node: Node,
        catalog: Catalog,
        launcher: Launcher,
        rng: np.random.Generator,
    ) -> None:
        """Replay the log; collections that it has nothing for are opened when used.

        Raises:
            CorruptionError: a file or record is damaged or missing; it is named.
        """
        self._node = node
        self._rng = rng
        self.ddl_lock = threading.RLock()
        self._is_closed = False
        self._trimmed_seq = catalog.trimmed_seq
        self._trim_lock = threading.Lock()
        self.directory = Directory(catalog.databases, catalog.aliases)
        self._recover(catalog)
        self.background = BackgroundWork(
            self.collections,
            launcher,
            self.trim,
            lambda: node.trash.empty(node.store),
        )
        node.wake_flusher.answer_with(self.background.wake)
        if node.store.read_only:
            self.background.attach_indexes()
        else:
            remove_orphans(node.store, catalog.manifests.values())

    def _recover(self, catalog: Catalog) -> None:
        node, manifests = self._node, catalog.manifests
        live = {
            definition.id: Collection(
                node, definition, manifests[definition.id], self._rng
            )
            for definition in catalog.definitions.values()
        }
        for collection in live.values():
            self.directory.add(collection)
            if not catalog.newest_ts:
                collection.lazy.open()  # so that the clock passes every timestamp
        replay(
            node,
            manifests.values(),
            lambda collection_id: live[collection_id].shard,
            trimmed_seq=catalog.trimmed_seq,
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
        """Every live collection of every database."""
        return self.directory.collections()

    def names(self) -> list[str]:
        """Names of all collections of the default database, sorted."""
        self.need_open()
        live = self.directory.collections(DEFAULT_DATABASE_ID)
        return sorted(collection.definition.name for collection in live)

    def collection(self, name: Named) -> Collection:
        """The collection called ``name``, or ``name`` itself while it exists.

        Raises:
            CollectionNotFound: there is none.
        """
        self.need_open()
        if isinstance(name, Collection):
            found = self.directory.by_id(name.id)
            name = name.definition.name
        else:
            found = self.directory.find(DEFAULT_DATABASE_ID, name)
        if found is None:
            raise CollectionNotFound(name)
        return found

    def create_collection(self, new: NewCollection) -> Collection:
        """Create a collection; an identical one that exists already is returned.

        Raises:
            InvalidParameter, MissingParameter, FieldNameInvalid: a rule is broken.
            DatabaseNotFound, AliasConflict, TooManyCollections.
            InvalidParameter: a different collection has this name.
        """
        self.need_writable()
        name = check_collection_name(new.name)
        zone = self.directory.database(new.database).properties.get(TIMEZONE)
        new = new.in_zone(zone)
        schema = new.checked_schema()
        metrics = {
            schema.by_name[field].id: metric
            for field, metric in (new.metrics or {}).items()
        }
        with self.ddl_lock:
            database = self.directory.database(new.database)
            existing = self.directory.find(database.id, name)
            if existing is not None:
                if new.matches(existing.definition, schema):
                    return existing
                raise InvalidParameter(
                    f"create duplicate collection with different parameters, "
                    f"collection: {name}"
                )
            if self.directory.alias(database.id, name) is not None:
                raise AliasConflict(
                    name,
                    database.name,
                    "please choose a unique name",
                )
            most = self._node.settings.max_collections or limits.COLLECTIONS
            self.directory.check_room(database, most)
            created_ts = self._node.clock.next()
            definition = CollectionDefinition(
                id=self._node.ids.next(),
                name=name,
                schema=schema,
                partitions={
                    partition: self._node.ids.next()
                    for partition in new.partition_names(schema)
                },
                created_ts=created_ts,
                default_metrics=metrics,
                database_id=database.id,
                shards=new.shards,
                consistency_level=new.consistency_level,
                properties=new.properties,
                updated_ts=created_ts,
                loaded=LoadDefinition(version=schema.version)
                if new.is_loaded
                else None,
            )
            return self._create(definition)

    def _create(self, definition: CollectionDefinition) -> Collection:
        node = self._node
        # Not the newest seq given out, which a failed write may leave unused: after
        # a restart it is given again, to a record that must not count as flushed.
        manifest = Manifest(definition.id, checkpoint_seq=node.log.applied_seq)
        node.commit({**collection_record(definition), **manifest_record(manifest)})
        collection = Collection(node, definition, manifest, self._rng)
        self.directory.add(collection)
        return collection

    def drop_collection(self, name: Named) -> None:
        """Drop a collection, its aliases and its rows; nothing if there is none."""
        self.need_writable()
        with self.ddl_lock:
            try:
                collection = self.collection(name)
            except CollectionNotFound:
                return
            database_id = collection.definition.database_id
            aliases = [
                entry
                for entry in self.directory.aliases(database_id)
                if entry.collection_id == collection.id
            ]
            records = dropped_records(collection.id)
            for entry in aliases:
                records.update(dropped_alias_record(entry))

            def commit() -> None:
                self._node.commit(records)
                self.directory.remove(collection)
                for entry in aliases:
                    self.directory.remove_alias(entry)

            collection.lazy.drop(commit)
        self._clean_up()

    def rename_collection(self, name: Named, to: str, database: str = "") -> None:
        """Give a collection another name, in another database if one is named.

        Raises:
            CollectionNotFound: there is none called ``name``.
            DatabaseNotFound, AliasConflict.
            InvalidParameter: ``to`` is taken or breaks the rules, or the collection has
                aliases and cannot move.
        """
        self.need_writable()
        check_collection_name(to)
        with self.ddl_lock:
            collection = self.collection(name)
            old = collection.definition
            place = (
                self.directory.database(database)
                if database
                else self.directory.database_of(collection)
            )
            if self.directory.alias(place.id, to) is not None:
                raise AliasConflict(to, place.name)
            if self.directory.find(place.id, to) is not None:
                raise InvalidParameter(
                    f"duplicated new collection name {place.name}:{to} with other "
                    f"collection name or alias"
                )
            if place.id != old.database_id and self.directory.aliases_of(collection):
                raise InvalidParameter(
                    "fail to rename db name, must drop all aliases of this collection "
                    "before rename"
                )
            self.redefine(
                collection,
                replace(
                    old,
                    name=to,
                    database_id=place.id,
                    updated_ts=self._node.clock.next(),
                ),
            )
            self.directory.add(collection)

    def truncate(self, name: Named) -> None:
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
                retire(shard, list(shard.sealed), list(old.segments))
                shard.repeated_keys = frozenset()
                shard.growing = None
                shard.frozen = []
                shard.replace_segments(shard.sealed, [], manifest)
        self._clean_up()

    # --- partitions -------------------------------------------------------------------

    def create_partition(self, name: Named, partition: str) -> None:
        """Add a partition; nothing happens if it exists.

        Raises:
            CollectionNotFound, InvalidParameter.
        """
        self.need_writable()
        partition = check_partition_name(partition)
        with self.ddl_lock:
            collection = self.collection(name)
            known = collection.definition.partitions
            _need_named_partitions(collection, "create")
            if partition in known:
                return
            if len(known) >= limits.PARTITIONS:
                raise InvalidParameter(
                    f"partition number ({limits.PARTITIONS}) exceeds max configuration "
                    f"({limits.PARTITIONS}), collection: {collection.definition.name}"
                )
            partition_id = self._node.ids.next()
            definition = collection.definition
            self._set_partitions(
                collection,
                replace(
                    definition,
                    partitions={**known, partition: partition_id},
                    partition_ts={
                        **definition.partition_ts,
                        partition_id: self._node.clock.next(),
                    },
                ),
            )

    def drop_partition(self, name: Named, partition: str) -> None:
        """Drop a partition and its rows; nothing happens if there is none.

        Raises:
            CollectionNotFound, InvalidParameter: the default one cannot be dropped.
        """
        self.need_writable()
        if partition == DEFAULT_PARTITION:
            raise InvalidParameter("default partition cannot be deleted")
        with self.ddl_lock:
            collection = self.collection(name)
            known = collection.definition.partitions
            _need_named_partitions(collection, "drop")
            if partition not in known:
                return
            remaining = {k: v for k, v in known.items() if k != partition}
            ages = dict(collection.definition.partition_ts)
            ages.pop(known[partition], None)
            self._set_partitions(
                collection,
                replace(collection.definition, partitions=remaining, partition_ts=ages),
            )
        self.background.wake()

    def _set_partitions(
        self, collection: Collection, definition: CollectionDefinition
    ) -> None:
        shard = collection.shard
        with shard.order_lock:
            shard.settle()
            self.redefine(collection, definition)
            shard.set_partitions(frozenset(definition.partitions.values()))

    # --- indexes ----------------------------------------------------------------------

    def create_index(self, name: Named, index: IndexDefinition) -> None:
        """Define the index of a field; it is built in the background.

        Raises:
            CollectionNotFound, InvalidParameter: another index is defined already.
        """
        self.need_writable()
        with self.ddl_lock:
            collection = self.collection(name)
            definition = collection.definition
            present = definition.index_at(index.field_id, index.path)
            if present is not None and present.asks_the_same_as(index):
                return
            if present is not None and present.asks_the_same_as(
                replace(index, name=present.name)
            ):
                raise InvalidParameter(
                    "CreateIndex failed: creating multiple indexes on same field is "
                    "not supported"
                )
            names = {other.name for other in definition.all_indexes}
            if present is not None or index.name in names:
                raise InvalidParameter(
                    "at most one distinct index is allowed per field"
                )
            index = replace(index, id=self._node.ids.next())
            self.redefine(collection, definition.with_index(index))
            self.background.forget_failures(collection.id)
        self.background.wake()

    def drop_index(self, name: Named, index_name: str) -> None:
        """Remove an index; the field is searched exactly then.

        Raises:
            CollectionNotFound.
            IndexNotFound: the collection has no such index.
        """
        self.need_writable()
        with self.ddl_lock:
            collection = self.collection(name)
            definition = collection.definition
            chosen = [i for i in definition.all_indexes if i.name == index_name]
            if not chosen:
                raise IndexNotFound(index=index_name)
            self.redefine(collection, definition.without_index(chosen[0]))
            self.forget_index(collection, chosen[0])

    def forget_index(self, collection: Collection, index: IndexDefinition) -> None:
        """Let go of the files of an index that is not defined any more."""
        if not index.is_built:
            return
        shard = collection.shard
        with shard.manifest_lock:
            for segment in list(shard.sealed):
                segment.detach(index.slot)
                self._forget_index(shard, segment, index.slot)

    def _forget_index(
        self, shard: LocalShard, segment: SealedSegment, field_id: int
    ) -> None:
        try:
            drop_index(shard, segment, field_id)
        except StorageError as error:
            # it fits no definition any more, so the next start drops it
            self.background.status.flush_error = str(error)

    def redefine(
        self, collection: Collection, definition: CollectionDefinition
    ) -> None:
        """Make another definition durable and let it show. Hold ``ddl_lock``.

        Raises:
            StorageError, DiskFull: nothing changed.
        """
        self._node.commit(collection_record(definition))
        collection.redefine(definition)

    # --- reports ----------------------------------------------------------------------

    def stats(self, name: Named) -> dict[str, Any]:
        """Rows, segments, bytes and background work of a collection.

        Raises:
            CollectionNotFound: there is none.
        """
        return collection_stats(self.collection(name), self.background.status)

    def describe_indexes(self, name: Named) -> list[dict[str, Any]]:
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
            needed = [c.lazy.needed_seq() for c in self.collections()]
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
        if collection.lazy.opened is None:
            return  # nothing was written since its files
        try:
            collection.flush()
        finally:
            self._clean_up(rotate=True)
        release_free_memory()
        self.background.wake()

    def close(self) -> None:
        """End background work and note where the log ends; twice does no harm."""
        with self.ddl_lock:
            if self._is_closed:
                return
            self._is_closed = True
        node = self._node
        if node.sampler is not None:
            node.sampler.close()
        with ExitStack() as last:
            # in reverse, each of them even if another fails
            last.callback(node.meta.close)
            for collection in self.collections():
                collection.close()
                shard = collection.lazy.opened
                for segment in [] if shard is None else shard.sealed:
                    last.callback(segment.close)
            self.background.close()
            node.log.close()
            if not node.store.read_only and node.log.is_sound:
                node.commit({})

    def need_open(self) -> None:
        """Raise unless the database is open.

        Raises:
            ClosedError: it is closed.
        """
        if self._is_closed:
            raise ClosedError("the database")

    def need_writable(self) -> None:
        """Raise unless writes are taken.

        Raises:
            ClosedError: the database is closed.
            ReadOnlyError: it was opened read-only.
        """
        self.need_open()
        if self._node.store.read_only:
            raise ReadOnlyError("the database is open read-only")


def _need_named_partitions(collection: Collection, change: str) -> None:
    if collection.schema.partition_key is not None:
        raise InvalidParameter(
            f"disable {change} partition if partition key mode is used"
        )
