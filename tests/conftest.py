"""What every test gets: repeatable property tests, and a look for what it left open."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# OpenMP threads that spin while they wait slow all others; read when faiss is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Tests start many programs. Where Python is told to leave no bytecode beside sources,
# each would compile them all; they keep it in a folder that `make clean` removes.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = str(
        Path(__file__).parents[1] / ".pytest_cache" / "bytecode"
    )

settings.register_profile(
    "default",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_THREAD_WAIT_S = 5.0
_DESCRIPTORS = Path("/proc/self/fd")


def _open_files(below: Path) -> set[str]:
    """Files in ``below`` that this process has open, ``descriptor:path`` each."""
    found = set()
    for descriptor in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.exists() else ():
        try:
            target = os.readlink(_DESCRIPTORS / descriptor)
        except OSError:  # the descriptor of the listing itself
            continue
        if target.startswith(str(below)):
            found.add(f"{descriptor}:{target}")
    return found


def _leaked_threads(before: set[threading.Thread]) -> list[str]:
    """Threads that a test started and that do not end by themselves."""
    alive = []
    for thread in set(threading.enumerate()) - before:
        thread.join(_THREAD_WAIT_S)
        if thread.is_alive():
            alive.append(thread.name)
    return alive


@pytest.fixture(autouse=True)
def nothing_left_open(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test ends the threads it starts and closes the files it opens."""
    folder = tmp_path_factory.getbasetemp()
    threads = set(threading.enumerate())
    files = _open_files(folder)
    yield
    leaked_threads = _leaked_threads(threads)
    leaked_files = _open_files(folder) - files
    if leaked_files:  # perhaps only garbage that has not been collected yet
        gc.collect()
        leaked_files = _open_files(folder) - files
    assert not leaked_threads, f"threads still running: {leaked_threads}"
    assert not leaked_files, f"files still open: {sorted(leaked_files)}"
