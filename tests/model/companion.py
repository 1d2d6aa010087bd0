"""``python -m model.companion PATH``: another process with a client on a path.

Each line of its input is a seed, an owner and a number of steps: it drives the
collection as one of several writers, and answers "done", or with what went wrong.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np

import elanus
from elanus.schema.types import DataType
from model.driver import Driver
from model.oracle import Oracle
from model.remote import RemoteHarness
from model.rows import owned_by


class Joined:
    """The place of a client whose folder others open and close."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.client = elanus.MilvusClient(path)

    def reopen(self) -> None:
        """Stay."""

    def crash(self) -> None:
        """Stay."""

    def close(self) -> None:
        """Close the client."""
        self.client.close()


def main() -> None:
    """Open ``argv[1]``, and drive when told to."""
    place = Joined(Path(sys.argv[1]))
    _say("open")
    for line in sys.stdin:
        seed, owner, steps, *partitions = line.split()
        try:
            harness = joined_harness(place, int(owner), partitions)
            rng = np.random.default_rng([int(seed), int(owner)])
            Driver(harness, rng, int(owner), is_alone=False).run(int(steps))
        except BaseException:  # noqa: BLE001 (told to the test)
            _say(repr(traceback.format_exc()))
        else:
            _say("done")
    place.close()


def joined_harness(place: Joined, owner: int, partitions: list[str]) -> RemoteHarness:
    """A harness for the rows of one owner, in a collection that is there."""
    harness = RemoteHarness(
        place.path,
        place=place,
        key_type=DataType.INT64,
        scope=owned_by(owner),
        oracle=Oracle(partitions=set(partitions)),
        joins=True,
    )
    return harness


def _say(answer: str) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
