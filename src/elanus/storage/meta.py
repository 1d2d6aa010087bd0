"""Durable metadata in SQLite: the only commit point of a database.

Owns all-or-nothing changes of small keyed records and the proof that none was damaged
or lost. What the records mean belongs to the layers above. The same statements work on
PostgreSQL. The rollback journal is used, not the write-ahead log, whose damaged frames
silently end it (``docs/decisions/0002-sqlite-rollback-journal.md``).
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from elanus.errors import (
    ClosedError,
    CorruptionError,
    DiskFull,
    FormatError,
    ReadOnlyError,
    StorageError,
    UnknownOutcome,
)
from elanus.storage.checksums import crc32c
from elanus.storage.files import FileStore

Key = tuple[str, str]
"""Space and key of a record."""

META_NAME = "meta.db"
_APPLICATION_ID = 0x454C414E
_VERSION = 1
_GENERATION_KEY: Key = ("", "generation")
_GENERATION = struct.Struct("<QQQ")
# Without a separate index, whose damage could hide rows that the table still has.
_SCHEMA = """
CREATE TABLE record (
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


class MetaStore:
    """Records by space and key. Safe to share among threads."""

    def __init__(
        self,
        store: FileStore,
        *,
        create: bool = False,
        name: str = META_NAME,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        """Open and verify.

        Args:
            store: the folder that holds it.
            create: whether a missing file is made; otherwise it is damage.
            name: of the file.
            on_step: told ``"meta begin"`` before and ``"meta end"`` after each commit;
                tests stop the world there.

        Raises:
            CorruptionError: the file is missing, damaged, or lost records.
            FormatError: the file is not ours, or of a newer version.
        """
        self._name = name
        self._on_step = on_step or _ignore
        self._lock = threading.RLock()
        self._read_only = store.read_only
        self._broken: StorageError | None = None
        if not store.exists(name):
            if not create or store.read_only:
                raise CorruptionError(name, "the file is missing")
            _create(store, name)
        if store.size(name) == 0:
            # SQLite would take it for a new database; ours is never empty.
            raise CorruptionError(name, "the file is empty")
        self._connection: sqlite3.Connection | None = None
        with self._errors():
            self._connection = _connect(store, name)
            try:
                self._verify()
            except BaseException:
                self.close()
                raise

    @property
    def generation(self) -> int:
        """Number of the last commit."""
        with self._lock, self._errors():
            return self._head()[0]

    def get(self, space: str, key: str) -> bytes | None:
        """The body of one record, or None.

        Raises:
            CorruptionError: the record is damaged.
        """
        with self._lock, self._errors():
            row = self._run(
                "SELECT body, crc FROM record WHERE space = ? AND key = ?",
                (space, key),
            ).fetchone()
            return None if row is None else self._checked((space, key), *row)

    def read(self, space: str) -> dict[str, bytes]:
        """All records of a space by key, in key order.

        Raises:
            CorruptionError: a record is damaged.
        """
        with self._lock, self._errors():
            rows = self._run(
                "SELECT key, body, crc FROM record WHERE space = ? ORDER BY key",
                (space,),
            ).fetchall()
            return {
                key: self._checked((space, key), body, crc) for key, body, crc in rows
            }

    def commit(self, puts: Mapping[Key, bytes | None]) -> int:
        """Apply all changes at once and durably; None deletes.

        Returns:
            The new generation.

        Raises:
            DiskFull, StorageError, ReadOnlyError: nothing was changed.
            UnknownOutcome: reopen to see whether it was.
        """
        if self._read_only:
            raise ReadOnlyError(f"{self._name} is open read-only")
        with self._lock, self._errors():
            self.check_sound()
            self._on_step("meta begin")
            self._run("BEGIN IMMEDIATE")
            try:
                generation = self._apply(puts)
                self._run("COMMIT")
            except BaseException as error:
                self._roll_back(error)
                raise
            self._on_step("meta end")
            return generation

    def check_sound(self) -> None:
        """Make sure that no earlier commit was left with an open outcome.

        Raises:
            UnknownOutcome: one was; reopen the database.
        """
        if self._broken is not None:
            raise UnknownOutcome(f"{self._broken}; reopen the database")

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _apply(self, puts: Mapping[Key, bytes | None]) -> int:
        generation, count, digest = self._head()
        for key, body in puts.items():
            if key == _GENERATION_KEY:
                raise StorageError(f"{self._name}: {key} is reserved")
            row = self._run(
                "SELECT crc FROM record WHERE space = ? AND key = ?", key
            ).fetchone()
            if row is not None:
                count, digest = count - 1, digest ^ _mixed(key, row[0])
            if body is None:
                self._run("DELETE FROM record WHERE space = ? AND key = ?", key)
            else:
                crc = self._put(key, body)
                count, digest = count + 1, digest ^ _mixed(key, crc)
        head = _GENERATION.pack(generation + 1, count, digest)
        self._put(_GENERATION_KEY, head)
        return generation + 1

    def _put(self, key: Key, body: bytes) -> int:
        crc = _crc(key, body)
        self._run(
            "INSERT INTO record (space, key, body, crc) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (space, key) DO UPDATE SET body = excluded.body, "
            "crc = excluded.crc",
            (*key, body, crc),
        )
        return crc

    def _roll_back(self, cause: BaseException) -> None:
        """Undo; if even that fails the outcome is open until the file is reopened."""
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._run("ROLLBACK")
        except sqlite3.Error as error:
            self._broken = StorageError(f"{self._name}: {error}")
            raise UnknownOutcome(f"{self._name}: {error}") from cause

    def _head(self) -> tuple[int, int, int]:
        row = self._run(
            "SELECT body, crc FROM record WHERE space = ? AND key = ?", _GENERATION_KEY
        ).fetchone()
        if row is None:
            raise CorruptionError(self._name, "the generation record is missing")
        body = self._checked(_GENERATION_KEY, *row)
        generation, count, digest = _GENERATION.unpack(body)
        return generation, count, digest

    def _verify(self) -> None:
        if self._run("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise FormatError(f"{self._name}: not a file of this program")
        version = self._run("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise FormatError(f"{self._name}: format {version}, this build reads 1")
        problem = self._run("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise CorruptionError(self._name, str(problem))
        _, count, digest = self._head()
        for space, key, body, crc in self._run(
            "SELECT space, key, body, crc FROM record"
        ):
            if (space, key) != _GENERATION_KEY:
                self._checked((space, key), body, crc)
                count, digest = count - 1, digest ^ _mixed((space, key), crc)
        if count or digest:
            raise CorruptionError(self._name, "records are missing or stale")

    def _checked(self, key: Key, body: Any, crc: int) -> bytes:
        if not isinstance(body, bytes) or _crc(key, body) != crc:
            raise CorruptionError(self._name, f"record {key} is damaged")
        return body

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise ClosedError(self._name)
        return self._connection.execute(statement, values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _storage_error(self._name, error) from error


def _ignore(_: str) -> None:
    """The step hook of ordinary life."""


def _create(store: FileStore, name: str) -> None:
    """Make the file under another name first, so that it is never there half-made."""
    new = f"{name}.new"
    store.delete(new)
    store.delete(f"{new}-journal")
    connection = sqlite3.connect(store.local_path(new), isolation_level=None)
    try:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute(_SCHEMA)
        head = _GENERATION.pack(0, 0, 0)
        connection.execute(
            "INSERT INTO record (space, key, body, crc) VALUES (?, ?, ?, ?)",
            (*_GENERATION_KEY, head, _crc(_GENERATION_KEY, head)),
        )
    except sqlite3.Error as error:
        raise _storage_error(name, error) from error
    finally:
        connection.close()
    store.adopt(new)
    store.rename(new, name)
    store.sync_folder()


def _connect(store: FileStore, name: str) -> sqlite3.Connection:
    mode = "ro" if store.read_only else "rw"
    connection = sqlite3.connect(
        f"{store.local_path(name).absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        if not store.read_only:
            connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _crc(key: Key, body: bytes) -> int:
    return crc32c(body, crc32c(f"{key[0]}\0{key[1]}\0".encode()))


def _mixed(key: Key, crc: int) -> int:
    """64 bits that stand for a record in the digest of all."""
    return crc32c(struct.pack("<I", crc), crc32c("\0".join(key).encode())) << 32 | crc


def _storage_error(name: str, error: Exception) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"{name}: {error}")
    if code in _DAMAGED or isinstance(error, UnicodeDecodeError):
        return CorruptionError(name, str(error))
    if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
        return CorruptionError(name, str(error))
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(f"{name}: {error}; open it for writing once to recover")
    return StorageError(f"{name}: {error}")
