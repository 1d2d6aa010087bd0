"""Measuring the recall of live searches: what is told, and what it may cost."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import elanus
from elanus.app import World
from elanus.config import Settings
from elanus.database.readings import database_readings
from elanus.engine.sampling import RecallSampler
from elanus.telemetry.metrics import Telemetry

ROWS, DIM, QUERIES = 6_000, 24, 40


def _sampler(*, share: float = 1.0, idle: bool = True) -> RecallSampler:
    return RecallSampler(share, np.random.default_rng(1), lambda: idle)


def _until_measured(sampler: RecallSampler, count: int) -> None:
    """Offer until so many were measured; a busy or resting sampler lets some go."""
    pause = threading.Event()
    for _ in range(2_000):
        known = sampler.measured(1)
        if known is not None and known.count >= count:
            return
        sampler.offer(1, lambda _: 0.5)
        pause.wait(0.005)
    raise AssertionError("nothing was measured")


def test_a_low_effort_shows_in_the_metrics(tmp_path: Path) -> None:
    """The gauge of a collection is the recall of what its clients were told."""
    settings = Settings(recall_sample_share=1.0, index_rows=100, worker_threads=1)
    world = World(settings=settings, seed=1, is_idle=lambda: True)
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((ROWS, DIM)).astype(np.float32)
    with elanus.open(tmp_path / "db", world=world) as db:
        docs = db.create_collection("docs", dim=DIM, metric="L2")
        docs.insert({"id": np.arange(ROWS), "vector": vectors})
        docs.create_index(index_type="IVF_FLAT", params={"nlist": 64})
        docs.optimize()
        core = docs._core
        sampler = core.node.sampler
        assert sampler is not None
        telemetry = Telemetry(lambda: database_readings(core))

        def told(params: dict[str, float], least: int) -> dict[str, float]:
            pause = threading.Event()
            for number in range(4_000):
                queries = rng.standard_normal((2, DIM))
                # another literal in each, so that no filter is remembered
                docs.search(queries, filter=f"id >= {number % 50}", params=params)
                samples = _samples(telemetry)
                if samples.get("elanus_search_recall_samples_total", 0) >= least:
                    return samples
                pause.wait(0.002)
            raise AssertionError("too few searches were measured")

        low = told({"nprobe": 1}, 20)
        assert 0.05 < low["elanus_search_recall"] < 0.7
        count = int(low["elanus_search_recall_samples_total"])
        high = told({"recall_target": 0.99}, 3 * count)
        assert high["elanus_search_recall"] > low["elanus_search_recall"] + 0.2


def _samples(telemetry: Telemetry) -> dict[str, float]:
    families = text_string_to_metric_families(telemetry.text().decode())
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("elanus_search_recall")
        and sample.labels == {"database": "default", "collection": "docs"}
    }


def test_nothing_is_measured_unless_asked_for() -> None:
    """A share of nothing starts no thread."""
    sampler = _sampler(share=0.0)
    assert not any(sampler.wants() for _ in range(1_000))
    before = threading.active_count()
    sampler.close()
    assert threading.active_count() == before


def test_a_share_is_a_share() -> None:
    """About as many searches are wanted as were asked for."""
    sampler = _sampler(share=0.1)
    assert 800 < sum(sampler.wants() for _ in range(10_000)) < 1_200


def test_one_measurement_waits_at_most() -> None:
    """While one is under way all others are let go, and none is held while it rests."""
    sampler = _sampler()
    is_going, may_end = threading.Event(), threading.Event()
    made = []

    def measure(rng: np.random.Generator) -> float:
        is_going.set()
        may_end.wait(10)
        return 1.0

    sampler.offer(1, measure)
    assert is_going.wait(10)
    assert not sampler.wants()
    for _ in range(1_000):
        sampler.offer(1, lambda _: made.append(1) or 0.0)
    may_end.set()
    _until_measured(sampler, 1)
    sampler.close()
    assert not made
    sampler.offer(1, lambda _: 0.0)
    assert not made


def test_a_busy_machine_is_left_alone() -> None:
    """Nothing is run again while no core is to spare."""
    sampler = _sampler(idle=False)
    made: list[int] = []
    pause = threading.Event()
    for _ in range(20):
        sampler.offer(1, lambda _: made.append(1) or 1.0)
        pause.wait(0.002)
    sampler.close()
    assert not made and sampler.measured(1) is None


def test_what_is_remembered_is_bounded() -> None:
    """A thousand collections, and a window of each."""
    sampler = _sampler()
    for number in range(3_000):
        sampler.note(number, 1.0)
    for _ in range(1_000):
        sampler.note(1, 0.5)
    known = sampler.measured(1)
    assert known is not None and known.count == 1_000
    assert len(known.recent) == 256 and known.mean == pytest.approx(0.5)
    assert sampler.measured(0) is None and sampler.measured(2_999) is not None


def test_an_empty_truth_is_no_measurement() -> None:
    """A search that has nothing to find says nothing about recall."""
    sampler = _sampler()
    sampler.offer(2, lambda _: None)
    _until_measured(sampler, 2)
    sampler.close()
    assert sampler.measured(2) is None
