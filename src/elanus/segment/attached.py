"""An index in use: the open index and the files it was opened from.

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
from elanus.storage.checksums import verify_file
from elanus.storage.columnar import FileStamp
from elanus.storage.files import FileStore


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
