"""One database, many users: clients of this process, and other processes.

The process that holds the folder's lock owns the database: it serves its own clients
directly and others over a socket, whose address it writes into the lock file. Every
other process asks the owner, and tries for the lock meanwhile, so that one of them
takes over when the owner ends or dies.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from elanus.app import FORMAT_FILE, OpenDatabase, World, open_database
from elanus.config import Settings
from elanus.embedded.sockets import answers, disown, is_address, socket_address
from elanus.errors import ElanusError, LockedError, StorageError
from elanus.functions.providers.services import Services
from elanus.server.grpc.dispatcher import Dispatcher
from elanus.server.grpc.native import NativeTransport
from elanus.service.core import Core
from elanus.service.dispatch import LocalService
from elanus.storage.lock import lock_taken_at, read_lock

# An owner that recovers has the lock and no address yet.
PATIENCE_S = 3.0
GRACE_S = 10.0
HISTORY_S = 600.0  # clients read at timestamps that they were told before
_POLL_S = 0.05
_RETRY_S = 1.0
_log = logging.getLogger("elanus.embedded")


class Lease:
    """The right to use a shared database, until :meth:`release`."""

    def __init__(self, shared: SharedDatabase) -> None:
        self.shared = shared
        self._is_released = False

    def release(self) -> None:
        """Give it back; the last one closes the database. May be called twice."""
        _state.release_abandoned()
        with _state.lock:
            if self._is_released:
                return
            self._is_released = True
            self.shared.users -= 1
            if self.shared.users:
                return
            _state.shared.pop(self.shared.root, None)
            self.shared.close()


def lease(path: str | os.PathLike[str], patience_s: float = PATIENCE_S) -> Lease:
    """Open a database for sharing, here or in the process that has it already.

    Args:
        path: the folder; created when missing.
        patience_s: how long to wait for an owner that does not say where it listens.

    Raises:
        FormatError: the path holds something that is not ours; it is left as it is.
        LockedError: it is open somewhere in a way that cannot be shared.
        CorruptionError: a file is damaged or missing; the message names it.
    """
    root = Path(os.path.realpath(path))
    _state.release_abandoned()
    with _state.lock:
        shared = _state.shared.get(root)
        if shared is None:
            shared = SharedDatabase(root, patience_s)
            _state.shared[root] = shared
        shared.users += 1
    return Lease(shared)


def abandon(release: Callable[[], object]) -> None:
    """Have something released before the next lease is given or taken back.

    For finalizers: they may run amid anything, so that they must not wait for locks.
    """
    _state.abandoned.put(release)


class _Owned:
    """The database open in this process, and everything that serves it."""

    def __init__(self, root: Path) -> None:
        world = World(settings=Settings(history_s=HISTORY_S))
        self._opened: OpenDatabase = open_database(root, world)
        try:
            services = Services(world.environment)
            core = Core(self._opened.database, world.random_id, services=services)
            self._service = LocalService(core)
            self.dispatcher = Dispatcher(self._service)
            try:
                self.address = socket_address(root)
                self._transport = _listen(self.address, self.dispatcher)
            except BaseException:
                self.dispatcher.close()
                raise
            self._opened.lock.set_text(self.address)
        except BaseException:
            self._opened.close()
            raise

    def close(self) -> None:
        """Answer what came in, leave the socket, then let others have the lock."""
        try:
            self._transport.stop(GRACE_S)
            self.dispatcher.close()
        finally:
            self._opened.close()
            self._service.wait()

    def disinherit(self) -> None:
        """Let go of the parent's lock and socket in a forked child."""
        self._opened.lock.release()
        disown(self.address)


def _listen(address: str, dispatcher: Dispatcher) -> NativeTransport:
    try:
        transport = NativeTransport(address, dispatcher)
        transport.start()
    except OSError as error:
        raise StorageError(f"cannot listen on {address}: {error}") from error
    return transport


class SharedDatabase:
    """A database of which this process is the owner or a client."""

    def __init__(
        self,
        root: Path,
        patience_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Own the database or find its owner.

        Raises: as :func:`lease`.
        """
        self.root = root
        self.users = 0
        self.failure: ElanusError | None = None
        self._owned: _Owned | None = None
        self._address = ""
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._begin(monotonic() + patience_s, monotonic)

    @property
    def dispatcher(self) -> Dispatcher | None:
        """Serves calls, if this process is the owner."""
        owned = self._owned
        return None if owned is None else owned.dispatcher

    @property
    def address(self) -> str:
        """Where the owner listens."""
        return self._address

    def tenure(self) -> object:
        """Stands for the present owner: differs once there has been another."""
        return self._owned or lock_taken_at(self.root)

    def close(self) -> None:
        """Close the database if it is ours."""
        self._stopping.set()
        if self._watcher is not None and self._watcher.ident is not None:
            self._watcher.join()
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.close()

    def after_fork(self) -> None:
        """Be a client, in a child that has its parent's memory but not its threads."""
        if self._owned is not None:
            self._owned.disinherit()
            _state.inherited.append(self._owned)
            self._owned = None
        self._stopping = threading.Event()
        self._watch()

    def _begin(self, until: float, monotonic: Callable[[], float]) -> None:
        while True:
            try:
                self._own()
                return
            except LockedError:
                pid, address = read_lock(self.root)
                if is_address(address) and answers(address):
                    self._address = address
                    self._watch()
                    return
                is_hopeless = bool(address) and not is_address(address)
                is_hopeless |= pid == os.getpid() and not address
                if is_hopeless or monotonic() >= until:
                    raise
            self._stopping.wait(_POLL_S)

    def _own(self) -> None:
        owned = _Owned(self.root)
        self._address, self.failure = owned.address, None
        self._owned = owned

    def _watch(self) -> None:
        self._watcher = threading.Thread(
            target=self._take_over, name="elanus-watch", daemon=True
        )
        self._watcher.start()

    def _take_over(self) -> None:
        pause_s = _POLL_S
        while not self._stopping.wait(pause_s):
            try:
                self._own_if_there()
            except LockedError:
                pause_s = _POLL_S
                self._follow()
            except ElanusError as error:
                if self.failure is None:
                    _log.error("cannot take over %s: %s", self.root, error)
                self.failure, pause_s = error, _RETRY_S
            else:
                _log.info("took over %s, whose owner has ended", self.root)
                return

    def _own_if_there(self) -> None:
        if not (self.root / FORMAT_FILE).exists():
            raise StorageError(f"{self.root} has been deleted while it was in use")
        self._own()

    def _follow(self) -> None:
        _, address = read_lock(self.root)
        if is_address(address):
            self._address, self.failure = address, None


class _State:
    """What this process shares.

    Attributes:
        abandoned: what finalizers left to be released.
        inherited: owners in the parent, kept so that the child never ends them.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.shared: dict[Path, SharedDatabase] = {}
        self.abandoned: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.inherited: list[_Owned] = []

    def release_abandoned(self) -> None:
        """Release what finalizers left; not while holding the lock."""
        while True:
            try:
                release = self.abandoned.get_nowait()
            except queue.Empty:
                return
            release()

    def close(self) -> None:
        """Close every database, at the end of the process."""
        with self.lock:
            while self.shared:
                _, shared = self.shared.popitem()
                shared.close()

    def after_fork(self) -> None:
        """Make the child a client of everything that the parent has open."""
        self.lock = threading.RLock()
        for shared in self.shared.values():
            shared.after_fork()


_state = _State()
atexit.register(_state.close)
os.register_at_fork(after_in_child=_state.after_fork)
