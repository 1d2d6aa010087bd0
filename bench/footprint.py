"""Memory of the process tree and bytes on disk after a whole life of a collection."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from bench.figures import Figure
from bench.setup import DIM, LIMIT, SEARCH, Setup, indexed

MIB = 2**20
PSS_BAR_MIB = 320
ANONYMOUS_BAR_MIB = 130
DISK_BAR_MIB = 350


def measure(setup: Setup) -> list[Figure]:
    """Insert, build and search as a program would, then look."""
    setup = setup.written_apart()
    folder = setup.folder / "footprint.db"
    before, _ = tree_memory()
    with setup.open("footprint.db") as db:
        docs, _ = indexed(setup, db)
        for number, query in enumerate(setup.queries()):
            docs.search(query, limit=LIMIT, filter=f"rank >= {number}", params=SEARCH)
            docs.search(query, limit=LIMIT, params=SEARCH, output_fields=["rank"])
        wait_for_workers()
        pss, anonymous = tree_memory()
        disk = folder_bytes(folder)
    raw = setup.scale.rows * DIM * 4 / MIB
    note = f"{raw:.0f} MiB of vectors; before opening {before / MIB:.0f} MiB of memory"
    sizes = [
        ("memory of the process tree (PSS)", pss, PSS_BAR_MIB),
        ("of it anonymous", anonymous, ANONYMOUS_BAR_MIB),
        ("disk", disk, DISK_BAR_MIB),
    ]
    return [
        Figure(
            "footprint",
            name,
            size / MIB,
            "MiB",
            bar,
            at_least=False,
            note=note,
            comparable=setup.scale.is_full,
        )
        for name, size, bar in sizes
    ]


def wait_for_workers(patience_s: float = 10.0) -> None:
    """Return once the build process has left for want of work."""
    deadline = time.monotonic() + patience_s
    while psutil.Process().children() and time.monotonic() < deadline:
        time.sleep(0.1)


def tree_memory() -> tuple[int, int]:
    """Proportional set size of this process and its children, and its anonymous part.

    Returns:
        Both in bytes.
    """
    own = psutil.Process()
    pids = [own.pid, *(child.pid for child in own.children(recursive=True))]
    total = anonymous = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        total += kib["Pss"] * 1024
        anonymous += kib["Pss_Anon"] * 1024
    return total, anonymous


def folder_bytes(folder: Path) -> int:
    """Bytes that the files of a folder occupy on disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_blocks * 512
            except FileNotFoundError:  # replaced meanwhile
                continue
    return total
