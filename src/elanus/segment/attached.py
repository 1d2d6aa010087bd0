"""Indexes in use: the open index and the files it was opened from.

Native code maps index files without checks of its own, so an index is opened only after
its checksums were verified, and before each use one ``fstat`` tells whether it
was changed underneath; then it is verified again or given up.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from elanus.index.base import IndexMeta, VectorIndex
from elanus.index.registry import open_index
from elanus.index.scalar.base import ScalarIndex
from elanus.index.scalar.file import PartsFile
from elanus.index.scalar.layouts import NOTHING, ScalarMeta, open_scalar
from elanus.storage.checksums import verify_file
from elanus.storage.columnar import FileStamp
from elanus.storage.files import FileStore
from elanus.storage.manifest import IndexEntry


class AttachedIndex:
    """An index that notices damage to its files before it answers from them."""

    def __init__(
        self,
        store: FileStore,
        description: Mapping[str, Any],
        files: Mapping[str, FileStamp],
        *,
        is_verified: bool = False,
    ) -> None:
        """Verify the files (unless that was just done) and open the index.

        Raises:
            CorruptionError, StorageError: a file is missing or damaged; rebuild it.
        """
        self._store = store
        self._stamps = list(files.values())
        self._lock = threading.Lock()
        # only the main file stays mapped; the others are read when the index opens
        self._guard = store.map(files["main"].name)
        self._known = self._guard.check()
        if not is_verified:
            self._verify()
        path = store.local_path(files["main"].name)
        self._index = open_index(IndexMeta.from_dict(description), path)

    def usable(self) -> VectorIndex:
        """The index, when its files are as they were.

        Raises:
            CorruptionError: they are not; detach and rebuild the index.
        """
        if self._guard.check() != self._known:
            with self._lock:
                self._verify()
        return self._index

    def _verify(self) -> None:
        known = self._guard.check()
        for stamp in self._stamps:
            verify_file(self._store, stamp.name, stamp.checksums)
        self._known = known

    def close(self) -> None:
        """Release the descriptors; the maps go with the last search."""
        self._guard.close()


class AttachedScalarIndex:
    """A scalar index, opened anew when its file was changed.

    Attributes:
        field_id: the field it is of.
        name: what the user calls it.
        kind: Milvus' name of its kind; empty for AUTOINDEX.
    """

    def __init__(self, store: FileStore, entry: IndexEntry) -> None:
        """Verify the file and open the index.

        Raises:
            CorruptionError, StorageError: the file is missing or damaged; rebuild it.
        """
        definition = entry.definition
        self.field_id: int = definition["field_id"]
        self.name: str = definition["name"]
        self.kind: str = definition["index_type"]
        self._meta = ScalarMeta.from_dict(entry.description)
        self._file: PartsFile | None = None
        self._known: tuple[object, ScalarIndex] | None = None
        if self._meta.layout != NOTHING:
            self._file = PartsFile(store, entry.files["main"])
            self._known = self._opened(self._file)

    def usable(self) -> ScalarIndex | None:
        """The index; ``None`` where nothing was built, as no layout would serve.

        Raises:
            CorruptionError, StorageError: the file was damaged; detach and rebuild it.
        """
        if self._file is None:
            return None
        known = self._known
        if known is None or self._file.parts() is not known[0]:
            known = self._known = self._opened(self._file)
        return known[1]

    def _opened(self, file: PartsFile) -> tuple[object, ScalarIndex]:
        parts = file.parts()
        return parts, open_scalar(self._meta, parts, file.name)

    def close(self) -> None:
        """Release the file; answers under way keep its map."""
        if self._file is not None:
            self._file.close()


Attached = AttachedIndex | AttachedScalarIndex


def attached(
    store: FileStore, entry: IndexEntry, *, is_verified: bool = False
) -> Attached:
    """An index in use, of whichever sort the entry names.

    Raises:
        CorruptionError, StorageError: a file is missing or damaged; rebuild it.
    """
    if not entry.definition["metric"]:
        return AttachedScalarIndex(store, entry)
    return AttachedIndex(store, entry.description, entry.files, is_verified=is_verified)
