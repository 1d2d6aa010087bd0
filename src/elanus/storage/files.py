"""The file store: where bytes go and when they are durable.

Owns the contract between the engine and a folder, and its implementation on the local
file system. Names are relative posix paths (``"log/0000000001.log"``). A write is
durable after ``sync`` of the file and ``sync_folder`` of its folder, in that order;
nothing else is promised about what a power loss leaves. Checksums, formats and the
commit order belong to the modules above.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa

from elanus.errors import (
    ClosedError,
    CorruptionError,
    DiskFull,
    ReadOnlyError,
    StorageError,
)

Buffer = Any
"""An object with the buffer protocol: bytes, memoryview, ``pa.Buffer``, ndarray."""

_MAX_IOVECS = 512
_FULL = (errno.ENOSPC, errno.EDQUOT)


class WritableFile(Protocol):
    """A file open for appending, by one thread at a time."""

    @property
    def name(self) -> str:
        """The store's name of the file."""
        ...

    def write(self, *buffers: Buffer) -> None:
        """Append the buffers in order.

        Raises:
            DiskFull: no space; a part may have been written.
            StorageError: the system refused; a part may have been written.
        """
        ...

    def sync(self) -> None:
        """Return once everything written is durable. Never repeat a failed sync."""
        ...

    def tell(self) -> int:
        """The size in bytes, everything written included."""
        ...

    def close(self) -> None:
        """Release the descriptor, without a sync."""
        ...


class MappedFile:
    """A whole file mapped read-only, with the means to notice that it was changed.

    A file cut short under its map kills the process with SIGBUS when it is touched, so
    owners call :meth:`check` before every use. Views taken of ``buffer`` stay valid
    after :meth:`close`. Costs two descriptors before Python 3.13, then one.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        """Take over ``descriptor``, which is closed on failure too."""
        self.name = name
        self._descriptor = descriptor
        try:
            status = os.fstat(descriptor)
            self.size: int = status.st_size
            self.buffer: pa.Buffer = _map_whole(descriptor, self.size)
        except BaseException:
            os.close(descriptor)
            raise

    def check(self) -> int:
        """The modification stamp of the content (ns); another one means: verify anew.

        Raises:
            CorruptionError: the size is no longer the one mapped; touch nothing.
            ClosedError: the mapping was closed.
        """
        descriptor = self._descriptor
        if descriptor < 0:
            raise ClosedError(self.name)
        status = os.fstat(descriptor)
        if status.st_size != self.size:
            raise CorruptionError(
                self.name, f"has {status.st_size} bytes, had {self.size} when opened"
            )
        return status.st_mtime_ns

    def close(self) -> None:
        """Close the descriptor; the memory goes when the last view of it does."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


class FileStore(Protocol):
    """Files by name. Safe to share among threads; one thread at a time per file."""

    @property
    def read_only(self) -> bool:
        """Whether every change is refused with ``ReadOnlyError``."""
        ...

    def create(self, name: str) -> WritableFile:
        """A new, empty file, its folders included. It must not exist."""
        ...

    def append(self, name: str) -> WritableFile:
        """An existing file, to be written at its end."""
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Up to ``length`` bytes (the rest when None) from ``offset``."""
        ...

    def map(self, name: str) -> MappedFile:
        """The file mapped into memory, without reading it."""
        ...

    def size(self, name: str) -> int:
        """Size in bytes."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is a file by this name."""
        ...

    def list(self, folder: str = "") -> list[str]:
        """Names of all files under the folder, at any depth, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove the file; a missing one is no error."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Remove the folder and all in it; a missing one is no error."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Move the file, replacing one of that name."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut the file and sync it."""
        ...

    def rewrite(self, name: str, offset: int) -> None:
        """Write the bytes from ``offset`` over themselves and sync the file.

        After a failed sync the system may hold pages as clean that never reached the
        disk; this makes them dirty again.
        """
        ...

    def sync_folder(self, folder: str = "") -> None:
        """Make creations, renames and deletions in the folder durable.

        The entries of the folder itself, where this store made it, included.
        """
        ...

    def local_path(self, name: str) -> Path:
        """The path for a native reader or writer, its folder made to exist."""
        ...

    def adopt(self, name: str) -> None:
        """Sync a file that a native writer made."""
        ...

    def free_bytes(self) -> int:
        """Space left for new data."""
        ...


class LocalFileStore:
    """A :class:`FileStore` in one folder of the local file system."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        """Use ``root``, which is made when missing and not ``read_only``."""
        self.root = root
        self.read_only = read_only
        self._new_folders: set[str] = set()
        self._lock = threading.Lock()
        if not read_only and not root.is_dir():
            with storage_errors(str(root)):
                root.mkdir(parents=True, exist_ok=True)
                _sync_directory(root.parent)

    def create(self, name: str) -> LocalFile:
        """See :meth:`FileStore.create`."""
        return self._open_writable(name, os.O_CREAT | os.O_EXCL)

    def append(self, name: str) -> LocalFile:
        """See :meth:`FileStore.append`."""
        return self._open_writable(name, 0)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See :meth:`FileStore.read`."""
        with storage_errors(name), open(self._path(name), "rb", buffering=0) as file:
            file.seek(offset)
            if length is None:
                return file.readall()
            parts: list[bytes] = []
            while length > 0 and (part := file.read(length)):
                parts.append(part)
                length -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)

    def map(self, name: str) -> MappedFile:
        """See :meth:`FileStore.map`."""
        with storage_errors(name):
            flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
            return MappedFile(name, os.open(self._path(name), flags))

    def size(self, name: str) -> int:
        """See :meth:`FileStore.size`."""
        with storage_errors(name):
            return self._path(name).stat().st_size

    def exists(self, name: str) -> bool:
        """See :meth:`FileStore.exists`."""
        return self._path(name).is_file()

    def list(self, folder: str = "") -> list[str]:
        """See :meth:`FileStore.list`."""
        found: list[str] = []
        top = str(self.root)
        with storage_errors(folder or "."):
            for parent, _, names in os.walk(self._path(folder)):
                inside = parent[len(top) :].replace(os.sep, "/").strip("/")
                prefix = f"{inside}/" if inside else ""
                found.extend(prefix + name for name in names)
        return sorted(found)

    def delete(self, name: str) -> None:
        """See :meth:`FileStore.delete`."""
        self._need_writable()
        with storage_errors(name):
            self._path(name).unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """See :meth:`FileStore.delete_folder`."""
        self._need_writable()
        path = self._path(folder)
        if path == self.root:
            raise StorageError("refusing to delete the root of a database")
        with storage_errors(folder):
            if path.exists():
                shutil.rmtree(path)

    def rename(self, name: str, to: str) -> None:
        """See :meth:`FileStore.rename`."""
        self._need_writable()
        self._make_folder(to)
        with storage_errors(name):
            os.replace(self._path(name), self._path(to))

    def truncate(self, name: str, size: int) -> None:
        """See :meth:`FileStore.truncate`."""
        self._need_writable()
        with storage_errors(name), open(self._path(name), "r+b", buffering=0) as file:
            file.truncate(size)
            os.fsync(file.fileno())

    def rewrite(self, name: str, offset: int) -> None:
        """See :meth:`FileStore.rewrite`."""
        self._need_writable()
        with storage_errors(name), open(self._path(name), "r+b", buffering=0) as file:
            file.seek(offset)
            while part := file.read(1 << 20):
                file.seek(offset)
                _write_all(file.fileno(), [memoryview(part)])
                offset += len(part)
            os.fsync(file.fileno())

    def sync_folder(self, folder: str = "") -> None:
        """See :meth:`FileStore.sync_folder`."""
        self._need_writable()
        current, child = PurePosixPath(folder), ""
        while True:
            name = _folder_name(current)
            with storage_errors(name or "."):
                _sync_directory(self._path(name))
            with self._lock:
                self._new_folders.discard(child)
                if name not in self._new_folders:
                    return
            current, child = current.parent, name

    def local_path(self, name: str) -> Path:
        """See :meth:`FileStore.local_path`."""
        if not self.read_only:
            self._make_folder(name)
        return self._path(name)

    def adopt(self, name: str) -> None:
        """See :meth:`FileStore.adopt`."""
        self._need_writable()
        with storage_errors(name), open(self._path(name), "r+b", buffering=0) as file:
            os.fsync(file.fileno())

    def free_bytes(self) -> int:
        """See :meth:`FileStore.free_bytes`."""
        with storage_errors(str(self.root)):
            return shutil.disk_usage(self.root).free

    def _open_writable(self, name: str, extra_flags: int) -> LocalFile:
        self._need_writable()
        if extra_flags:
            self._make_folder(name)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | extra_flags
        with storage_errors(name):
            return LocalFile(name, os.open(self._path(name), flags, 0o644))

    def _make_folder(self, name: str) -> None:
        folder = PurePosixPath(name).parent
        if self._path(_folder_name(folder)).is_dir():
            return
        with self._lock, storage_errors(name):
            missing: list[PurePosixPath] = []
            while not self._path(_folder_name(folder)).is_dir():
                missing.append(folder)
                folder = folder.parent
            for path in reversed(missing):
                self._path(str(path)).mkdir(exist_ok=True)
                self._new_folders.add(str(path))

    def _path(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise StorageError(f"{name}: not a name inside the database folder")
        return self.root / name

    def _need_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(f"{self.root} is open read-only")


class LocalFile:
    """A :class:`WritableFile` over a descriptor in append mode."""

    def __init__(self, name: str, descriptor: int) -> None:
        """Take over ``descriptor``."""
        self.name = name
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def write(self, *buffers: Buffer) -> None:
        """See :meth:`WritableFile.write`."""
        views = [view for view in map(_bytes_view, buffers) if view.nbytes]
        with storage_errors(self.name):
            for start in range(0, len(views), _MAX_IOVECS):
                part = views[start : start + _MAX_IOVECS]
                self._size += _write_all(self._open_descriptor(), part)

    def sync(self) -> None:
        """See :meth:`WritableFile.sync`."""
        with storage_errors(self.name):
            _sync_data(self._open_descriptor())

    def tell(self) -> int:
        """See :meth:`WritableFile.tell`."""
        return self._size

    def close(self) -> None:
        """See :meth:`WritableFile.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()

    def _open_descriptor(self) -> int:
        if self._descriptor < 0:
            raise ClosedError(self.name)
        return self._descriptor


def storage_error(error: OSError, name: str) -> StorageError:
    """Our error for the system's, naming the file."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskFull(f"{name}: {reason}")
    return StorageError(f"{name}: {reason}")


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn the system's errors inside the block into ours."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, name) from error


def _map_whole(descriptor: int, size: int) -> pa.Buffer:
    if size == 0:
        return pa.py_buffer(b"")
    if sys.version_info >= (3, 13) and sys.platform != "win32":
        mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, trackfd=False)
    else:
        mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    return pa.py_buffer(mapped)


def _bytes_view(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    return view if view.ndim == 1 and view.itemsize == 1 else view.cast("B")


def _write_all(descriptor: int, views: list[memoryview]) -> int:
    total = sum(view.nbytes for view in views)
    written = os.writev(descriptor, views)
    while written < total:
        # A short write; the next one says why (full disk) or goes on (signal).
        written += os.writev(descriptor, _remaining(views, written))
    return total


def _remaining(views: list[memoryview], written: int) -> list[memoryview]:
    for index, view in enumerate(views):
        if written < view.nbytes:
            return [view[written:], *views[index + 1 :]]
        written -= view.nbytes
    return []


def _sync_data(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        # Flushes the size too, which is all the metadata that reading back needs.
        os.fdatasync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_name(folder: PurePosixPath) -> str:
    return "" if str(folder) == "." else str(folder)
