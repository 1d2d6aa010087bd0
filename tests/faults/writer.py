"""A process that writes until it is killed, and tells of each write before and after.

``python -m faults.writer`` is a nursery: it has everything imported, and for each line
of its input (folder, seed, launcher) forks a writer. Lines of its output: ``begin`` and
a description, ``done``, ``worker`` and a process id, and ``ended`` after the death.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import elanus
from elanus.app import World
from elanus.database.launcher import ProcessLauncher
from elanus.engine.write.jobs import InlineLauncher, Launcher
from elanus.storage.files import FileStore
from faults import workload
from faults.workload import TINY, Operation

Plan = tuple[str, list[Any]]
"""Name of a function of the workload that makes an operation, and its arguments."""
KEYS = 120
BUSY = replace(TINY, flush_age_s=0.05)


def operation_of(plan: Plan) -> Operation:
    """The operation that a plan stands for."""
    maker, arguments = plan
    made: Operation = getattr(workload, maker)(*arguments)
    return made


def plans(seed: int) -> Iterator[Plan]:
    """An endless life: mostly writes of a few keys, now and then something larger."""
    rng = random.Random(seed)
    for number in itertools.count():
        value = seed * 1_000 + number
        some = sorted(rng.sample(range(KEYS), rng.randrange(1, 30)))
        partition = rng.choice(["_default", "p"])
        yield rng.choices(
            [
                ("upsert", ["docs", some, value, partition]),
                ("insert", ["docs", some[:5], value, partition]),
                ("delete", ["docs", some[:8]]),
                ("delete_value", ["docs", value - rng.randrange(1, 6)]),
                ("upkeep", ["docs", "flush"]),
                ("drop_partition", ["docs", "p"]),
                ("truncate", ["docs"]),
            ],
            [50, 10, 15, 10, 5, 2, 1],
        )[0]
        yield "create_partition", ["docs", "p"]


FIRST: list[Plan] = [
    ("create", ["docs"]),
    ("create_index", ["docs", "HNSW"]),
    ("create_partition", ["docs", "p"]),
]


class Telling:
    """A writer's voice; a line is out when the call returns."""

    def __init__(self) -> None:
        self.launcher: Launcher | None = None
        self._worker = 0

    def say(self, *words: object) -> None:
        """Write one line."""
        os.write(1, " ".join(map(str, words)).encode() + b"\n")

    def say_worker(self) -> None:
        """Tell of a worker process that is new."""
        pid = getattr(self.launcher, "worker_pid", None)
        if pid is not None and pid != self._worker:
            self._worker = pid
            self.say("worker", pid)


def write_until_killed(root: Path, seed: int, kind: str) -> None:
    """Open the folder and go on writing."""
    told = Telling()

    def make_launcher(store: FileStore, folder: Path) -> Launcher:
        is_inline = kind == "inline"
        told.launcher = InlineLauncher(store) if is_inline else ProcessLauncher(folder)
        return told.launcher

    world = World(settings=BUSY, make_launcher=make_launcher, seed=seed)
    db = elanus.open(root, world=world)
    first = [] if "docs" in db else FIRST
    for plan in itertools.chain(first, plans(seed)):
        told.say("begin", json.dumps(plan))
        operation_of(plan).act(db)
        told.say("done")
        told.say_worker()


def main() -> None:
    """Fork a writer for each line of input, and wait for its death."""
    for line in sys.stdin:
        folder, seed, kind = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                write_until_killed(Path(folder), int(seed), kind)
            except BaseException:  # noqa: BLE001 (the process ends here)
                os.write(1, f"failed {json.dumps(traceback.format_exc())}\n".encode())
            os._exit(1)
        os.write(1, f"writer {pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    main()
