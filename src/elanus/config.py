"""Settings, read once when a database opens. Sizes in bytes, ages in seconds."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_UNKNOWN_MEMORY = 4 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """How one open database behaves.

    Attributes:
        growing_bytes: vectors and scalars a growing segment holds before it is sealed.
            Bounds both memory and the time of an exact scan over fresh rows.
        backlog_bytes: sealed but not yet flushed rows; beyond it writers wait.
        backlog_wait_s: how long a writer waits for the backlog before it is refused.
        segment_bytes: compaction does not make segments larger than this.
        merge_factor: segments of one size class that are merged into one.
        dead_ratio: share of dead rows that makes a segment worth rewriting.
        index_rows: segments with fewer rows are scanned exactly and get no index.
        log_file_bytes: size at which the log begins a new file.
        flush_age_s: rows older than this are flushed even when few, so that the log can
            be trimmed.
        history_s: how long deleted rows stay readable at an older timestamp.
        expired_s: how long background work keeps rows that have expired, which a longer
            time to live brings back; a compaction that is asked for removes them.
        graph_bytes: memory for graphs that AUTOINDEX loads instead of mapping them;
            where it is not enough, another kind is built. None: a quarter of the
            machine's.
        worker_threads: threads of the build process; 0 means all cores.
        build_attempts: failures after which a segment stays without its index.
        recall_sample_share: of all searches, 0 to 1, that are run again exactly in the
            background while the machine has a core to spare, to measure their recall.
        max_databases: beside the default one; 0 for the limit `DATABASES`.
        max_collections: in all databases together, and in each that has no property
            `database.max.collections`; 0 for the limit `COLLECTIONS`.
    """

    growing_bytes: int = 32 << 20
    backlog_bytes: int = 96 << 20
    backlog_wait_s: float = 30.0
    segment_bytes: int = 1 << 30
    merge_factor: int = 4
    dead_ratio: float = 0.25
    index_rows: int = 2_000
    log_file_bytes: int = 16 << 20
    flush_age_s: float = 600.0
    history_s: float = 0.0
    expired_s: float = 600.0
    graph_bytes: int | None = None
    worker_threads: int = 0
    build_attempts: int = 3
    recall_sample_share: float = 0.0
    max_databases: int = 0
    max_collections: int = 0

    @property
    def graph_room(self) -> int:
        """Bytes that graphs may take in memory."""
        return memory_bytes() // 4 if self.graph_bytes is None else self.graph_bytes


def memory_bytes() -> int:
    """Memory of the machine, or of the container when that has less."""
    total = _UNKNOWN_MEMORY
    # Windows has no sysconf, and some systems not these names
    with suppress(AttributeError, ValueError, OSError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # there is no such file, or it says "max"
    with suppress(OSError, ValueError):
        total = min(total, int(_CGROUP_LIMIT.read_text()))
    return total
