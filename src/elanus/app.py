"""Composition root: the only place that picks implementations and opens a folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from elanus.clock import HybridClock, PhysicalTime, wall_ms
from elanus.config import Settings
from elanus.database.catalog import read_catalog
from elanus.database.database import Database
from elanus.database.launcher import ProcessLauncher
from elanus.database.verify import verify_database
from elanus.engine.node import IdSource, Node
from elanus.engine.sampling import RecallSampler, is_idle
from elanus.engine.write.jobs import InlineLauncher, Launcher
from elanus.errors import CorruptionError, FormatError, StorageError
from elanus.storage.checksums import checked_body, with_checksum
from elanus.storage.files import FileStore, LocalFileStore
from elanus.storage.lock import LOCK_NAME, FolderLock, wait_for_workers
from elanus.storage.meta import META_NAME, MetaStore
from elanus.storage.wal import Log, LogOptions

FORMAT_FILE = "elanus.json"
FORMAT_VERSION = 1
WORKER_PATIENCE_S = 10.0
_NEW_FORMAT_FILE = f"{FORMAT_FILE}.new"


@dataclass(frozen=True)
class World:
    """Everything a database takes from outside, so that tests can replace it.

    Attributes:
        make_store: opens the file store over a folder.
        make_launcher: where background jobs run.
        on_meta_step: told before and after each metadata commit.
        background: whether flushes, merges and builds happen by themselves.
        random_id: a random number of 64 bits.
        seed: of ``random_sample``.
        environment: where addresses and keys of model services stand.
        is_idle: whether there is a core to spare for measuring recall.
    """

    settings: Settings = field(default_factory=Settings)
    now_ms: PhysicalTime = wall_ms
    make_store: Callable[[Path, bool], FileStore] = lambda root, read_only: (
        LocalFileStore(root, read_only=read_only)
    )
    make_launcher: Callable[[FileStore, Path], Launcher] = lambda store, root: (
        ProcessLauncher(root)
    )
    on_meta_step: Callable[[str], None] | None = None
    background: bool = True
    random_id: Callable[[], int] = lambda: secrets.randbits(64)
    seed: int | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    is_idle: Callable[[], bool] = is_idle


@dataclass(frozen=True)
class OpenDatabase:
    """A database and the lock on its folder."""

    database: Database
    lock: FolderLock

    def close(self) -> None:
        """Close the database and give up the lock."""
        try:
            self.database.close()
        finally:
            self.lock.release()


def open_database(
    path: Path, world: World | None = None, *, read_only: bool = False
) -> OpenDatabase:
    """Open the database in a folder, creating it if the folder is missing or empty.

    Raises:
        FormatError: the path holds something that is not ours; it is left as it is.
        LockedError: another process or handle has it open.
        CorruptionError: a file is damaged or missing; the message names it.
    """
    world = world or World()
    root = Path(os.path.abspath(path))
    is_new = _check_place(root, read_only)
    lock = FolderLock(root, shared=read_only)
    try:
        if not read_only:
            wait_for_workers(root, WORKER_PATIENCE_S)
        store = world.make_store(root, read_only)
        if is_new:
            _write_format(store)
        _check_format(store)
        database = _open(store, root, world)
    except BaseException:
        lock.release()
        raise
    return OpenDatabase(database, lock)


def _check_place(root: Path, read_only: bool) -> bool:
    """Whether a new database is to be made at ``root``; the folder exists after."""
    if root.exists() and not root.is_dir():
        raise FormatError(
            f"{root} is a file, and Elanus keeps a database in a folder; it was left "
            f"as it is, choose another path"
        )
    contents = set(os.listdir(root)) if root.exists() else set()
    if FORMAT_FILE in contents:
        return False
    if _is_ours(contents):
        raise CorruptionError(f"{root}/{FORMAT_FILE}", "file is missing")
    foreign = sorted(contents - {LOCK_NAME, _NEW_FORMAT_FILE})
    if foreign:
        raise FormatError(
            f"{root} holds files of another program ({foreign[0]}); they were left as "
            f"they are, choose another path"
        )
    if read_only:
        raise FormatError(f"{root} holds no database, and it is to be opened read-only")
    root.mkdir(parents=True, exist_ok=True)
    return True


def _is_ours(contents: set[str]) -> bool:
    """Whether a folder without the format file is a database all the same."""
    return {META_NAME, "log"} <= contents


def _write_format(store: FileStore) -> None:
    """Make the format file under another name first: it is never there half-made."""
    body = orjson.dumps({"elanus": "database", "format": FORMAT_VERSION})
    store.delete(_NEW_FORMAT_FILE)
    with closing(store.create(_NEW_FORMAT_FILE)) as file:
        file.write(with_checksum(body))
        file.sync()
    store.rename(_NEW_FORMAT_FILE, FORMAT_FILE)
    store.sync_folder("")


def _check_format(store: FileStore) -> None:
    try:
        version = orjson.loads(checked_body(FORMAT_FILE, store.read(FORMAT_FILE)))[
            "format"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptionError(FORMAT_FILE, f"not readable: {error}") from error
    if version != FORMAT_VERSION:
        raise FormatError(
            f"the database has format {version}, this Elanus reads {FORMAT_VERSION}; "
            f"use a newer Elanus"
        )


def _open(store: FileStore, root: Path, world: World) -> Database:
    made = any(store.list(folder) for folder in ("log", "collections"))
    is_fresh = not store.exists(META_NAME) and not made
    meta = MetaStore(store, create=is_fresh, on_step=world.on_meta_step)
    try:
        catalog = read_catalog(meta)
        clock = HybridClock(world.now_ms, start=catalog.newest_ts)
        options = LogOptions(
            world.random_id, rotate_bytes=world.settings.log_file_bytes
        )
        log = Log.open(store, clock, options, catalog.log_end)
        if log.found_generation > meta.generation:
            raise CorruptionError(
                META_NAME,
                f"is at generation {meta.generation}, the log has seen "
                f"{log.found_generation}: it is an old copy",
            )
        log.generation = meta.generation
        rng = np.random.default_rng(world.seed)
        node = Node(
            store,
            meta,
            log,
            clock,
            world.settings,
            IdSource(catalog.last_id),
            sampler=RecallSampler(
                world.settings.recall_sample_share, rng.spawn(1)[0], world.is_idle
            ),
        )
        launcher = (
            InlineLauncher(store)
            if store.read_only
            else world.make_launcher(store, root)
        )
        database = Database(node, catalog, launcher, rng)
    except BaseException:
        meta.close()
        raise
    if world.background and not store.read_only:
        database.background.start()
    return database


def check_database(path: Path, progress: Callable[[str], None]) -> list[str]:
    """Every damage of a closed database, one line each, naming the file.

    Raises:
        FormatError: the path holds no database.
        LockedError: someone has it open; close it there first.
    """
    root = Path(os.path.abspath(path))
    contents = set(os.listdir(root)) if root.is_dir() else set()
    if FORMAT_FILE not in contents and not _is_ours(contents):
        raise FormatError(f"{root} holds no database")
    lock = FolderLock(root, shared=True)
    try:
        store = LocalFileStore(root, read_only=True)
        damages = []
        try:
            _check_format(store)
        except StorageError as error:
            damages.append(str(error))
        return damages + verify_database(store, progress)
    finally:
        lock.release()
