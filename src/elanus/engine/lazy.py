"""The shard of a collection, opened when something first asks for its rows.

A collection that nobody uses costs its definition and its manifest; its files are not
looked at. What a start must do for it, :attr:`LazyShard.has_upkeep` tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from elanus.engine.definition import CollectionDefinition
from elanus.engine.node import Node
from elanus.engine.shard import LocalShard
from elanus.engine.write.compaction import retire
from elanus.engine.write.recovery import check_present, named_folders, open_shard
from elanus.errors import ClosedError
from elanus.storage.manifest import Manifest


class LazyShard:
    """A shard, or what it takes to open it.

    Attributes:
        opened: the shard once it is open.
        definition: of the collection, as it is now.
    """

    def __init__(
        self, node: Node, definition: CollectionDefinition, manifest: Manifest
    ) -> None:
        self._node = node
        self._manifest = manifest
        self._is_closed = False
        self._lock = threading.Lock()
        self.definition = definition
        self.opened: LocalShard | None = None

    @property
    def manifest(self) -> Manifest:
        """Which files make up the collection."""
        return self._manifest if self.opened is None else self.opened.manifest

    def open(self) -> LocalShard:
        """The shard, with its segments.

        Raises:
            CorruptionError: a file is damaged or missing; it is named.
            ClosedError: the collection was dropped, or its database closed.
        """
        with self._lock:
            if self.opened is None:
                if self._is_closed:
                    raise ClosedError(f"collection {self.definition.name}")
                shard = open_shard(
                    self._node,
                    self.definition.schema,
                    frozenset(self.definition.partitions.values()),
                    self._manifest,
                )
                check_present(self._node.store, shard)
                self._tell(shard)
                self.opened = shard
            return self.opened

    def needed_seq(self) -> int | None:
        """See :meth:`LocalShard.needed_seq`; nothing is pending before it is open."""
        return None if self.opened is None else self.opened.needed_seq()

    def redefine(self, definition: CollectionDefinition) -> None:
        """Take over a definition that is durable already.

        With another schema, hold the ``order_lock`` of a shard that is open, settled.
        """
        with self._lock:
            self.definition = definition
            if self.opened is not None:
                if definition.schema is not self.opened.schema:
                    self.opened.set_schema(definition.schema)
                self._tell(self.opened)

    def _tell(self, shard: LocalShard) -> None:
        shard.ttl_s = self.definition.ttl_s
        field = self.definition.ttl_field
        shard.ttl_field_id = None if field is None else field.id
        shard.index_definitions = {
            index.slot: index.to_dict()
            for index in self.definition.all_indexes
            if index.is_built
        }

    def drop(self, commit: Callable[[], None]) -> None:
        """Let go of every row and file once ``commit`` has made the end durable.

        A collection that is not open is not opened for it, so damaged files are no
        hindrance.

        Raises: what ``commit`` raises; nothing changed then.
        """
        with self._lock:
            if self.opened is None:
                commit()
                self._is_closed = True
                for folder in sorted(named_folders([self._manifest])):
                    self._node.trash.add(folder)
                self._manifest = replace(self._manifest, segments=())
                return
        shard = self.opened
        with shard.manifest_lock:
            with shard.order_lock:
                shard.settle()
                commit()
                self.close()
            retire(shard, list(shard.sealed), list(shard.manifest.segments))
            shard.manifest = replace(shard.manifest, segments=())
            shard.let_go()

    def close(self) -> None:
        """Refuse writes and new readers, and never open any more."""
        with self._lock:
            self._is_closed = True
        if self.opened is not None:
            self.opened.close()

    @property
    def has_upkeep(self) -> bool:
        """Whether background work may have something to do, going by the manifest.

        Indexes to verify or to build, segments to merge, rows to purge.
        """
        segments = self._manifest.segments
        settings = self._node.settings
        return bool(segments) and (
            self.definition.ttl_s > 0
            or self.definition.ttl_field is not None
            or len(segments) >= settings.merge_factor
            or any(
                entry.indexes
                or entry.deletes
                or entry.rows is None
                or entry.rows >= settings.index_rows
                for entry in segments
            )
        )
