"""How the model tests open their databases: tiny segments, quick files, inline jobs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from elanus.app import World
from elanus.config import Settings
from elanus.database.jobs import BackgroundWork
from elanus.engine.write.jobs import InlineLauncher

# Segments seal after some fifty rows, so that a short run has many of them.
TINY = Settings(
    growing_bytes=12_000,
    index_rows=20,
    merge_factor=2,
    log_file_bytes=1 << 16,
    worker_threads=1,
)
MEMORY = Path("/dev/shm")
HISTORY_S = 3600.0


def inline_world(settings: Settings = TINY, *, keeps_history: bool = False) -> World:
    """A world whose jobs run in the calling thread."""
    if keeps_history:
        settings = replace(settings, history_s=HISTORY_S)
    return World(
        settings=settings,
        make_launcher=lambda store, root: InlineLauncher(store),
        seed=0,
    )


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the system has one: a sync costs nothing there."""
    inside = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="elanus-model-", dir=inside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def no_background_threads() -> Iterator[None]:
    """Flushes and merges happen only when asked, so that a run can be repeated."""
    with mock.patch.object(BackgroundWork, "start", lambda self: None):
        yield
