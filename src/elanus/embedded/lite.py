"""``elanus.install()``: pymilvus' own ``MilvusClient("app.db")`` opens Elanus.

pymilvus asks a module ``milvus_lite.server_manager`` for the address of a local file;
this puts one there that answers with the socket of a shared database.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from elanus.embedded.sharing import Lease, lease

_PACKAGE = "milvus_lite"
_MODULE = f"{_PACKAGE}.server_manager"


class ServerManager:
    """Opens databases for pymilvus, and keeps them open until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}

    def start_and_get_uri(self, path: str, *args: Any, **options: Any) -> str:
        """The address of the database in a folder, opened on first use.

        Args:
            args: what only the replaced module understands; likewise ``options``.

        Raises: as :func:`elanus.embedded.sharing.lease`.
        """
        key = os.path.realpath(path)
        with self._lock:
            held = self._leases.get(key)
            if held is None:
                held = self._leases[key] = lease(key)
            return held.shared.address

    def release_server(self, path: str) -> None:
        """Close the database in a folder; nothing happens if it is not open."""
        with self._lock:
            held = self._leases.pop(os.path.realpath(path), None)
        if held is not None:
            held.release()

    def release_all(self) -> None:
        """Close all databases."""
        with self._lock:
            paths = list(self._leases)
        for path in paths:
            self.release_server(path)


server_manager_instance = ServerManager()


def install() -> None:
    """Make every ``.db`` path that pymilvus opens in this process a folder of Elanus.

    A second call does nothing.

    Raises:
        ImportError: Milvus Lite is imported already; call this before.
    """
    found = sys.modules.get(_MODULE) or sys.modules.get(_PACKAGE)
    if found is not None:
        if getattr(found, "server_manager_instance", None) is server_manager_instance:
            return
        raise ImportError(
            "milvus_lite is imported already: call elanus.install() before anything "
            "that imports it"
        )
    package = _module(_PACKAGE, is_package=True)
    module = _module(_MODULE, is_package=False)
    module.server_manager_instance = server_manager_instance  # type: ignore[attr-defined]
    package.server_manager = module  # type: ignore[attr-defined]
    sys.modules[_PACKAGE], sys.modules[_MODULE] = package, module


def _module(name: str, is_package: bool) -> ModuleType:
    module = ModuleType(name, "Elanus in place of Milvus Lite.")
    module.__spec__ = ModuleSpec(name, loader=None, is_package=is_package)
    if is_package:
        module.__path__ = []
    return module
