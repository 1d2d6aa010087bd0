"""Checking a closed database: every file read, every checksum compared."""

from __future__ import annotations

from collections.abc import Callable

from elanus.database.catalog import Catalog, read_catalog
from elanus.errors import ElanusError
from elanus.segment.files import read_meta
from elanus.storage.checksums import verify_file
from elanus.storage.columnar import FileStamp
from elanus.storage.files import FileStore
from elanus.storage.manifest import segment_folder
from elanus.storage.meta import MetaStore
from elanus.storage.wal import log_damages

Progress = Callable[[str], None]


def verify_database(store: FileStore, progress: Progress) -> list[str]:
    """Every damage found, one line each, naming the file.

    Args:
        store: a read-only store over a database that no one has open.
        progress: told the name of each file before it is read.
    """
    try:
        meta = MetaStore(store)
    except ElanusError as error:
        return [str(error), *log_damages(store)]
    try:
        catalog = read_catalog(meta)
    except (ElanusError, ValueError, KeyError) as error:
        return [f"meta.db: {error}", *log_damages(store)]
    finally:
        meta.close()
    progress("log")
    damages = log_damages(store, "log", catalog.log_end, _needed_after(catalog))
    for stamp in _stamps(store, catalog, damages):
        progress(stamp.name)
        try:
            verify_file(store, stamp.name, stamp.checksums)
        except ElanusError as error:
            damages.append(str(error))
    return damages


def _needed_after(catalog: Catalog) -> int:
    """The seq after which opening the database replays the log."""
    checkpoints = [m.checkpoint_seq for m in catalog.manifests.values()]
    newest = 0 if catalog.log_end is None else catalog.log_end.seq
    return max(catalog.trimmed_seq, min(checkpoints, default=newest))


def _stamps(store: FileStore, catalog: Catalog, damages: list[str]) -> list[FileStamp]:
    """Every file that the manifests name; damages to descriptions are noted."""
    stamps: list[FileStamp] = []
    for manifest in catalog.manifests.values():
        for entry in manifest.segments:
            folder = segment_folder(manifest.collection_id, entry.segment_id)
            try:
                stamps += read_meta(store, folder).files.values()
            except (ElanusError, ValueError, KeyError) as error:
                damages.append(str(error))
            stamps += entry.deletes
            for index in entry.indexes.values():
                stamps += index.files.values()
    return stamps
