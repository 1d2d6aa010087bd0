"""Entry of the build process: ``python -m elanus.embedded.worker FOLDER PARENT``.

Reads jobs as JSON lines, does them at the lowest priority, and reports. It only writes
files that nothing names yet, so it may be killed at any instruction.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import orjson

from elanus.engine.write.jobs import JobFailed, job_from_dict, run_job
from elanus.errors import DiskFull
from elanus.storage.files import LocalFileStore
from elanus.storage.lock import mark_worker

IDLE_S = 0.5
PARENT_CHECK_S = 1.0


def main() -> None:
    """Work until the input closes, the parent dies, or nothing came for a while."""
    root, parent = Path(sys.argv[1]), int(sys.argv[2])
    mark_worker(root)
    if os.getppid() != parent:
        return  # and another may own the folder already
    os.nice(19)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
    store = LocalFileStore(root)
    while True:
        try:
            line = lines.get(timeout=IDLE_S)
        except queue.Empty:
            return
        _serve(store, line, answers)


def _read(lines: queue.SimpleQueue[bytes]) -> None:
    held = b""
    while piece := os.read(0, 1 << 16):  # not sys.stdin, whose lock outlives us
        *complete, held = (held + piece).split(b"\n")
        for line in complete:
            lines.put(line)
    os._exit(0)  # the parent is gone or has no use for us


def _watch_parent(parent: int) -> None:
    """End with the parent even if something else holds our input open."""
    tick = threading.Event()
    while os.getppid() == parent:
        tick.wait(PARENT_CHECK_S)
    os._exit(0)


def _serve(store: LocalFileStore, line: bytes, answers: BinaryIO) -> None:
    def tell(**message: object) -> None:
        answers.write(orjson.dumps(message) + b"\n")

    tell(accepted=True)
    try:
        job = job_from_dict(orjson.loads(line))
        result = run_job(store, job, lambda share: tell(progress=share), lambda: False)
    except JobFailed as error:
        tell(failed=str(error))
    except DiskFull as error:
        tell(full=str(error))
    else:
        tell(result=result)


if __name__ == "__main__":
    main()
