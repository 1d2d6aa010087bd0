"""The seeded driver through pymilvus' own client: over a port, and on a shared path.

``ELANUS_SEED=<seed> pytest tests/model/test_remote.py`` repeats the run of one seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="needs the extra milvus")

from elanus.schema.types import DataType
from model.companion import Joined, joined_harness
from model.driver import Driver, seeds
from model.places import Companion, Served, Shared
from model.remote import Place, RemoteHarness
from model.test_driver import KEY_TYPES, METRICS
from model.worlds import quick_folder

TRANSPORTS = ("native", "grpcio")
STEPS = 24
LONG_STEPS = 120


def drive(place: Place, seed: int, steps: int) -> None:
    """One driver, every operation; the seed is in the failure's notes.

    A short run ends the database just once, by force: to start a process takes long.
    """
    harness = RemoteHarness(
        place.path,
        place=place,
        key_type=KEY_TYPES[seed // 3 % 2],
        metric=METRICS[seed % 3],
    )
    try:
        driver = Driver(harness, np.random.default_rng(seed))
        driver.restarts = steps > STEPS
        driver.run(steps)
        harness.crash()
        driver.compare()
    except BaseException as error:
        error.add_note(f"repeat with ELANUS_SEED={seed}")
        raise
    finally:
        harness.close()


@pytest.mark.parametrize(
    "transport", ["native", pytest.param("grpcio", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("seed", seeds(1))
def test_a_served_database_agrees_with_the_oracle(transport: str, seed: int) -> None:
    """Whatever is done through the real client, restarts and kills included."""
    with quick_folder() as folder:
        drive(Served(folder / "db", transport), seed, STEPS)


@pytest.mark.parametrize("seed", seeds(1))
def test_a_shared_path_agrees_with_the_oracle(seed: int) -> None:
    """The same with a second process on the path, which comes, goes and is killed."""
    with quick_folder() as folder:
        drive(Shared(folder / "db"), seed, STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("seed", seeds(2))
def test_a_served_database_agrees_for_long(transport: str, seed: int) -> None:
    """As above, for longer."""
    with quick_folder() as folder:
        drive(Served(folder / "db", transport), seed, LONG_STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(2))
def test_a_shared_path_agrees_for_long(seed: int) -> None:
    """As above, for longer."""
    with quick_folder() as folder:
        drive(Shared(folder / "db"), seed, LONG_STEPS)


def drive_in_two_processes(path: Path, seed: int, steps: int) -> None:
    """Two processes write rows of their own at once; each finds just its own."""
    other = Companion(path)
    place = Joined(path)
    try:
        base = RemoteHarness(path, place=place, key_type=DataType.INT64)
        base.create_partition("blue")
        base.define_index("HNSW")
        other.do(f"{seed} 2 {steps} _default blue")
        mine = joined_harness(place, 1, ["_default", "blue"])
        rng = np.random.default_rng([seed, 1])
        Driver(mine, rng, owner=1, is_alone=False).run(steps)
        assert other.read() == "done"
        other.leave()
        mine.compare_all(rng, mine.scope)
    except BaseException as error:
        error.add_note(f"repeat with ELANUS_SEED={seed}")
        raise
    finally:
        place.close()
        other.kill()


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(1))
def test_two_processes_do_not_disturb_each_other(seed: int) -> None:
    """Both write through clients of one path at the same time."""
    with quick_folder() as folder:
        drive_in_two_processes(folder / "db", seed, STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(1))
def test_two_processes_do_not_disturb_each_other_for_long(seed: int) -> None:
    """As above, for longer."""
    with quick_folder() as folder:
        drive_in_two_processes(folder / "db", seed, LONG_STEPS)
