"""Where a database is reached by other processes of its user: a Unix socket.

It has a short name in a folder that only the user can enter, for a socket's path may
have no more than 107 bytes, and a database's often has.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path

from elanus.errors import StorageError

_PREFIX = "unix:"
_PATH_BYTES = 107
_ANSWER_S = 1.0
_DESCRIPTORS = Path("/proc/self/fd")


def socket_address(root: Path) -> str:
    """The address of the database in ``root``, the same in all processes of a user.

    Raises:
        StorageError: the folder of sockets cannot be made, or others may enter it.
    """
    name = f"{blake2b(os.fsencode(root), digest_size=10).hexdigest()}.sock"
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if base and os.path.isdir(base):
            path = Path(base) / f"elanus-{os.getuid()}" / name
            if len(os.fsencode(path)) <= _PATH_BYTES:
                _make_private(path.parent)
                return f"{_PREFIX}{path}"
    raise StorageError("there is no folder for a socket: set XDG_RUNTIME_DIR to one")


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"cannot make a folder for sockets: {error}") from error
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_mode & 0o077:
        raise StorageError(
            f"{folder} must be a folder that only user {os.getuid()} can enter: "
            f"remove it, or set XDG_RUNTIME_DIR to another place"
        )


def is_address(text: str) -> bool:
    """Whether the text names a socket."""
    return text.startswith(_PREFIX)


def answers(address: str) -> bool:
    """Whether someone listens at the address."""
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.settimeout(_ANSWER_S)
        try:
            attempt.connect(address.removeprefix(_PREFIX))
        except OSError:
            return False
        return True


def disown(address: str) -> None:
    """Let go of the inherited ends of a socket in a forked child.

    Else clients of the parent would not notice its death. The descriptors' numbers
    stay taken, because objects that the child must not use still hold them.
    """
    if not _DESCRIPTORS.exists():
        return
    path = address.removeprefix(_PREFIX)
    with socket.socket(socket.AF_UNIX) as nothing:
        for name in os.listdir(_DESCRIPTORS):
            if _bound_to(int(name)) == path:
                os.dup2(nothing.fileno(), int(name), inheritable=False)


def _bound_to(descriptor: int) -> str | None:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        copy = socket.socket(fileno=os.dup(descriptor))
    except OSError:  # closed meanwhile
        return None
    with copy:
        try:
            name = copy.getsockname()
        except OSError:
            return None
    return name if isinstance(name, str) else None
