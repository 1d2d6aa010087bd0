"""A file store that fails, fills up and forgets, for tests of every layer.

Import it as ``from storage.faults import FaultStore`` (pytest puts ``tests`` on the
path). Files really lie in a folder, so that they can be mapped and given to native
writers; beside them the store remembers what was synced, and ``materialise`` writes the
folder that a power loss would leave. After: LevelDB, ``fault_injection_test.cc``.
"""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from elanus.storage.files import (
    Buffer,
    LocalFileStore,
    MappedFile,
    WritableFile,
    storage_error,
)

PAGE_BYTES = 4096


class SimulatedCrash(BaseException):
    """The process is dead; no code of ours may handle this."""


@dataclass
class _Write:
    offset: int
    data: bytes


@dataclass
class _Cut:
    size: int


@dataclass
class _Node:
    """A file apart from its name: what is durable, and what came after."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Write | _Cut] = field(default_factory=list)


@dataclass
class _Naming:
    """A change of a folder that is not yet durable."""

    op: str
    name: str
    node: _Node
    to: str = ""


class FaultStore:
    """A ``FileStore`` with injected faults.

    Every change is a numbered step, from 1; ``trace`` lists them as (op, name) with
    op one of write, sync, create, rename, delete, truncate, sync_folder, step.

    Args:
        root: folder of the real files.
        seed: of the random choices.
        crash_at: the step at which the process dies, done partly or not at all.
        fail_at: error numbers (``errno.EIO``) by step.
        capacity_bytes: how much more can be written; None for no limit. May be set
            at any time.
        sync_delay_s: how long each sync of a file takes.
    """

    read_only = False

    def __init__(
        self,
        root: Path,
        seed: int = 0,
        *,
        crash_at: int | None = None,
        fail_at: Mapping[int, int] | None = None,
        capacity_bytes: int | None = None,
        sync_delay_s: float = 0.0,
    ) -> None:
        self.trace: list[tuple[str, str]] = []
        self.crash_at = crash_at
        self.fail_at = dict(fail_at or {})
        self.capacity_bytes = capacity_bytes
        self.sync_delay_s = sync_delay_s
        self.is_crashed = False
        self.root = root
        self._fail_next: list[tuple[str, int]] = []
        self._real = LocalFileStore(root)
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._names: dict[str, _Node] = {}
        self._durable_names: dict[str, _Node] = {}
        self._namings: list[_Naming] = []
        for name in self._real.list():
            node = _Node(bytearray(self._real.read(name)))
            self._names[name] = self._durable_names[name] = node

    @property
    def steps(self) -> int:
        """Steps so far."""
        return len(self.trace)

    def fail_next(self, op: str, number: int) -> None:
        """Let the next step of this kind fail with an error number."""
        self._fail_next.append((op, number))

    def step(self, name: str) -> None:
        """A step outside the store, as the begin and end of a metadata commit."""
        with self._lock:
            self._step("step", name)

    def create(self, name: str) -> WritableFile:
        """A new file whose folder entry is not yet durable."""
        with self._lock:
            node = _Node()
            with self._crashing(_Naming("create", name, node)):
                self._step("create", name)
                real = self._real.create(name)
            self._names[name] = node
            return FaultFile(self, real, node)

    def append(self, name: str) -> WritableFile:
        """An existing file, to be written at its end."""
        with self._lock:
            self._check()
            return FaultFile(self, self._real.append(name), self._node(name))

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """As the system sees it, synced or not."""
        self._check()
        return self._real.read(name, offset, length)

    def map(self, name: str) -> MappedFile:
        """As the system sees it, synced or not."""
        self._check()
        return self._real.map(name)

    def size(self, name: str) -> int:
        """As the system sees it, synced or not."""
        self._check()
        return self._real.size(name)

    def exists(self, name: str) -> bool:
        """As the system sees it, synced or not."""
        self._check()
        return self._real.exists(name)

    def list(self, folder: str = "") -> list[str]:
        """As the system sees it, synced or not."""
        self._check()
        return self._real.list(folder)

    def delete(self, name: str) -> None:
        """Remove a file; not durable before the folder is synced."""
        with self._lock:
            self._check()
            if not self._real.exists(name):
                return
            node = self._node(name)
            with self._crashing(_Naming("delete", name, node)):
                self._step("delete", name)
            self._gain(self._real.size(name))
            self._real.delete(name)
            self._names.pop(name, None)

    def delete_folder(self, folder: str) -> None:
        """Remove its files one by one."""
        for name in self.list(folder):
            self.delete(name)
        self._real.delete_folder(folder)

    def rename(self, name: str, to: str) -> None:
        """Move a file; not durable before the folder is synced."""
        with self._lock:
            self._check()
            node = self._node(name)
            with self._crashing(_Naming("rename", name, node, to)):
                self._step("rename", name)
            self._real.rename(name, to)
            self._names[to] = self._names.pop(name)

    def truncate(self, name: str, size: int) -> None:
        """Cut and sync: two steps."""
        with self._lock:
            self._check()
            node = self._node(name)
            node_cut = _Cut(size)
            try:
                self._step("truncate", name)
            except SimulatedCrash:
                node.pending.append(node_cut)
                raise
            self._gain(max(self._real.size(name) - size, 0))
            self._real.truncate(name, size)
            node.pending.append(node_cut)
            self._sync(name, node)

    def rewrite(self, name: str, offset: int) -> None:
        """Write what is there over itself, and sync: two steps."""
        with self._lock:
            self._check()
            node = self._node(name)
            data = self._real.read(name, offset)
            self._step("write", name)
            node.pending.append(_Write(offset, data))
            self._sync(name, node)

    def sync_folder(self, folder: str = "") -> None:
        """Make the namings in this folder durable."""
        with self._lock:
            self._step("sync_folder", folder)
            kept: list[_Naming] = []
            for naming in self._namings:
                if folder in (_folder(naming.name), _folder(naming.to or naming.name)):
                    _rename_in(self._durable_names, naming)
                else:
                    kept.append(naming)
            self._namings = kept

    def local_path(self, name: str) -> Path:
        """The real file; what is written to it is unsynced until adopted."""
        self._check()
        return self._real.local_path(name)

    def adopt(self, name: str) -> None:
        """Sync a file that a native writer made."""
        with self._lock:
            self._check()
            node = self._node(name)
            node.pending = [_Cut(0), _Write(0, self._real.read(name))]
            self._sync(name, node)

    def free_bytes(self) -> int:
        """What is left of the capacity, or of the disk."""
        if self.capacity_bytes is not None:
            return self.capacity_bytes
        return self._real.free_bytes()

    def materialise(self, to: Path, rng: random.Random) -> None:
        """Write the folder that a power loss at this moment leaves.

        Of each file the synced bytes are there, of later writes any pages, of later
        creations, renames and deletions any. SQLite files are copied as they are, for
        it syncs them itself.
        """
        names = dict(self._durable_names)
        share = rng.choice([0.0, 0.5, 0.9, 1.0, rng.random()])
        for naming in self._namings:
            if rng.random() < share:
                _rename_in(names, naming)
        for name, node in names.items():
            if not _is_sqlite(name):
                _put(to / name, _torn(node, rng))
        for name in self._real.list():
            if _is_sqlite(name):
                _put(to / name, self._real.read(name))

    def _node(self, name: str) -> _Node:
        """The node of a file, also of one that a native writer made just now."""
        node = self._names.get(name)
        if node is None:
            node = self._names[name] = _Node()
            node.pending.append(_Write(0, self._real.read(name)))
            self._namings.append(_Naming("create", name, node))
        return node

    def _write(self, file: FaultFile, data: bytes) -> None:
        with self._lock:
            offset = file.real.tell()
            part = self._random.randint(0, len(data))
            try:
                self._step("write", file.name)
            except SimulatedCrash:
                file.node.pending.append(_Write(offset, data))
                raise
            except Exception:
                self._append(file, data[:part])
                raise
            room = self.capacity_bytes
            if room is not None and room < len(data):
                self._append(file, data[:room])
                error = OSError(errno.ENOSPC, "No space left on device")
                raise storage_error(error, file.name)
            self._append(file, data)

    def _append(self, file: FaultFile, data: bytes) -> None:
        if not data:
            return
        file.node.pending.append(_Write(file.real.tell(), data))
        file.real.write(data)
        if self.capacity_bytes is not None:
            self.capacity_bytes -= len(data)

    def _sync(self, name: str, node: _Node) -> None:
        # The lock is not held while the disk works.
        if self.sync_delay_s:
            time.sleep(self.sync_delay_s)
        with self._lock:
            pending = list(node.pending)
            try:
                self._step("sync", name)
            except SimulatedCrash:
                raise
            except Exception:
                # Pages of a failed sync count as clean; no later sync writes them.
                node.pending = []
                for change in pending:
                    _change_some(node.durable, change, self._random, 0.5)
                raise
            for change in pending:
                _change(node.durable, change)
            node.pending = node.pending[len(pending) :]

    def _gain(self, size: int) -> None:
        if self.capacity_bytes is not None:
            self.capacity_bytes += size

    @contextmanager
    def _crashing(self, naming: _Naming) -> Iterator[None]:
        """Note the change of a name, also when the crash comes in its midst."""
        try:
            yield
        except SimulatedCrash:
            self._namings.append(naming)
            raise
        self._namings.append(naming)

    def _step(self, op: str, name: str) -> None:
        self._check()
        self.trace.append((op, name))
        if self.steps == self.crash_at:
            self.is_crashed = True
            raise SimulatedCrash(f"at step {self.steps}, {op} {name}")
        number = self.fail_at.get(self.steps)
        for rule in self._fail_next:
            if number is None and rule[0] == op:
                number = rule[1]
                self._fail_next.remove(rule)
                break
        if number is not None:
            raise storage_error(OSError(number, errno.errorcode[number]), name)

    def _check(self) -> None:
        if self.is_crashed:
            raise SimulatedCrash("the process is dead")


class FaultFile:
    """A file of a :class:`FaultStore` open for appending."""

    def __init__(self, store: FaultStore, real: WritableFile, node: _Node) -> None:
        self.name = real.name
        self.real = real
        self.node = node
        self._store = store

    def write(self, *buffers: Buffer) -> None:
        """One step."""
        data = b"".join(memoryview(buffer).cast("B") for buffer in buffers)
        self._store._write(self, data)

    def sync(self) -> None:
        """One step."""
        self._store._sync(self.name, self.node)

    def tell(self) -> int:
        """The size in bytes."""
        return self.real.tell()

    def close(self) -> None:
        """No step."""
        self.real.close()


def _folder(name: str) -> str:
    folder = str(PurePosixPath(name).parent)
    return "" if folder == "." else folder


def _is_sqlite(name: str) -> bool:
    return name.endswith((".db", ".db-journal"))


def _rename_in(names: dict[str, _Node], naming: _Naming) -> None:
    if naming.op == "create":
        names[naming.name] = naming.node
        return
    if names.get(naming.name) is naming.node:
        del names[naming.name]
    if naming.op == "rename":
        names[naming.to] = naming.node


def _change(content: bytearray, change: _Write | _Cut) -> None:
    if isinstance(change, _Cut):
        del content[change.size :]
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data


def _change_some(
    content: bytearray, change: _Write | _Cut, rng: random.Random, share: float
) -> None:
    """Apply a change page by page, each with probability ``share``."""
    if isinstance(change, _Cut):
        if rng.random() < share:
            _change(content, change)
        return
    start = change.offset
    while start < change.offset + len(change.data):
        end = min(
            (start // PAGE_BYTES + 1) * PAGE_BYTES, change.offset + len(change.data)
        )
        if rng.random() < share:
            page = change.data[start - change.offset : end - change.offset]
            if rng.random() < 0.1:
                page = page[: rng.randrange(0, len(page) + 1)]
            _change(content, _Write(start, page))
        start = end


def _torn(node: _Node, rng: random.Random) -> bytes:
    content = bytearray(node.durable)
    share = rng.choice([0.0, 0.3, 0.7, 1.0])
    for change in node.pending:
        _change_some(content, change, rng, share)
    grown = len(content) - len(node.durable)
    if grown > 0 and rng.random() < 0.3:
        del content[len(content) - rng.randrange(grown + 1) :]
    return bytes(content)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
