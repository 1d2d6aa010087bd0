"""What the process itself uses, as the system counts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from elanus.telemetry.metrics import Reading

_STATUS = Path("/proc/self/status")
_DESCRIPTORS = Path("/proc/self/fd")
_KINDS = {"RssAnon:": "anonymous", "RssFile:": "mapped", "RssShmem:": "shared"}


def process_readings() -> Iterator[Reading]:
    """Memory by kind, processor time, descriptors: as far as the system tells them."""
    times = os.times()
    yield Reading(
        "process_cpu_seconds",
        "Processor time used.",
        times.user + times.system,
        is_counter=True,
    )
    if _DESCRIPTORS.exists():
        yield Reading(
            "process_descriptors", "Open files.", len(os.listdir(_DESCRIPTORS))
        )
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            name, *numbers = line.split()
            if name in _KINDS:
                yield Reading(
                    "process_memory_bytes",
                    "Memory in use; mapped files can be dropped by the system.",
                    int(numbers[0]) * 1024,
                    {"kind": _KINDS[name]},
                )
