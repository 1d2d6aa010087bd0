"""Seeded random work on a database, alone and from several threads at once.

``ELANUS_SEED=<seed> pytest tests/model/test_driver.py`` repeats the run of one seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elanus.app import World
from elanus.embedded.collection import Collection
from elanus.schema.types import DataType
from model.crew import Crew
from model.driver import Driver, seeds
from model.harness import Harness
from model.oracle import Row
from model.rows import columns_of, draw_values, owned_by
from model.worlds import TINY, inline_world, no_background_threads, quick_folder

METRICS = ("L2", "IP", "COSINE")
KEY_TYPES = (DataType.INT64, DataType.VARCHAR)
PAIR_OWNER = 99
PAIR = (-1000, -1001)


def build(folder: Path, world: World, seed: int) -> Harness:
    """A harness whose metric and key type follow from the seed."""
    return Harness(folder, world, KEY_TYPES[seed // 3 % 2], METRICS[seed % 3])


def run_alone(folder: Path, world: World, seed: int, steps: int) -> None:
    """One driver, every operation; the seed is in the failure's notes."""
    harness = build(folder, world, seed)
    try:
        Driver(harness, np.random.default_rng(seed)).run(steps)
    except BaseException as error:
        error.add_note(f"repeat with ELANUS_SEED={seed}")
        raise
    finally:
        harness.close()


@pytest.mark.parametrize("seed", seeds(4))
def test_random_work_agrees_with_the_oracle(seed: int) -> None:
    """Whatever is done in whatever order, all reads agree with a list of rows."""
    with quick_folder() as folder, no_background_threads():
        run_alone(folder, inline_world(keeps_history=seed % 2 == 1), seed, 120)


@pytest.mark.parametrize("seed", seeds(2))
def test_random_work_beside_background_work(seed: int) -> None:
    """Flushes and merges in the background change nothing that reads show."""
    with quick_folder() as folder:
        run_alone(folder, inline_world(keeps_history=seed % 2 == 1), seed, 120)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(20))
def test_long_random_work_agrees_with_the_oracle(seed: int) -> None:
    """As above, for longer."""
    with quick_folder() as folder:
        run_alone(folder, inline_world(keeps_history=seed % 2 == 1), seed, 500)


def write_pairs(collection: Collection, crew: Crew, seed: int) -> None:
    """Upsert two keys at once, again and again, with the same generation."""
    rng = np.random.default_rng([seed, PAIR_OWNER])
    generation = 0
    partitions = collection.partitions
    while not crew.stop.is_set():
        values = draw_values(rng, PAIR_OWNER)
        vectors = rng.normal(size=(2, 4)).astype(np.float32)
        rows = [
            Row(key, "", 0, vector, {**values, "topic": generation})
            for key, vector in zip(PAIR, vectors, strict=True)
        ]
        partition = partitions[rng.integers(len(partitions))]
        collection.upsert(columns_of(rows), partition=partition)
        generation += 1


def watch_pairs(collection: Collection, crew: Crew) -> None:
    """Both keys always show one generation, which never goes back."""
    newest = -1
    pair = f"id in {list(PAIR)}"
    query = np.ones(4, np.float32)
    while not crew.stop.is_set():
        snapshot = collection.snapshot()
        shown = snapshot.query(pair, output_fields=["topic"])
        generations = shown.column("topic").to_pylist()
        if not generations and newest < 0:
            continue
        assert len(generations) == 2
        assert generations[0] == generations[1] >= newest
        newest = generations[0]
        assert snapshot.count(pair) == 2
        hits = snapshot.search(query, limit=5, filter=pair, output_fields=["topic"])
        assert hits.column("topic").to_pylist() == [newest, newest]
        again = snapshot.get(list(PAIR), output_fields=["topic"])
        assert again.column("topic").to_pylist() == [newest, newest]
        pages = list(snapshot.iterate(pair, batch_size=1))
        assert [page.num_rows for page in pages] == [1, 1]
        assert len(snapshot) >= 2


def run_together(
    folder: Path, world: World, seed: int, writers: int, steps: int
) -> None:
    """Writers with keys of their own, a pair writer and a watcher, then a reopen."""
    base = Harness(folder, world, DataType.INT64, METRICS[seed % 3])
    base.create_partition("blue")
    base.define_index("HNSW")
    drivers = [
        Driver(
            base.shared_with(owned_by(owner)),
            np.random.default_rng([seed, owner]),
            owner,
            is_alone=False,
        )
        for owner in range(1, writers + 1)
    ]
    crew = Crew()
    try:
        workers = [crew.add(lambda d=d: d.run(steps, crew.stop)) for d in drivers]
        crew.add(lambda: write_pairs(base.collection, crew, seed))
        crew.add(lambda: watch_pairs(base.collection, crew))
        crew.join(workers)
        base.reopen()
        for driver in drivers:
            driver.harness.db = base.db
            driver.harness.pinned.clear()
            driver.compare()
    except BaseException as error:
        error.add_note(f"repeat with ELANUS_SEED={seed}")
        raise
    finally:
        base.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(1))
def test_threads_do_not_disturb_each_other(seed: int) -> None:
    """Each thread finds its own rows; two rows written at once change at once."""
    with quick_folder() as folder:
        run_together(folder, inline_world(), seed, writers=2, steps=50)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(2))
def test_threads_do_not_disturb_each_other_for_long(seed: int) -> None:
    """As above, with four writers and for longer."""
    with quick_folder() as folder:
        run_together(folder, inline_world(), seed, writers=4, steps=200)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(2))
def test_threads_and_the_worker_process(seed: int) -> None:
    """The same while merges and builds run in a process of their own."""
    with quick_folder() as folder:
        world = World(settings=TINY, seed=0)
        run_together(folder, world, seed, writers=3, steps=150)
