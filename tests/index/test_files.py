"""Index files: what is written is what opens; damage is an error, not a crash."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from elanus.distance.metrics import Metric
from elanus.errors import Cancelled, CorruptionError
from elanus.index.base import BuildRequest, sketch_path
from elanus.index.registry import index_kind, open_index
from elanus.index.search import search_rows
from index.segments import BUILDS, EFFORT, build, clustered, flat_search, random_mask

KINDS = list(BUILDS)
# What a build of more rows of 8 dimensions needs to be short.
_CHEAPER = {
    "HNSW": {"efConstruction": 20},
    "HNSW_SQ": {"efConstruction": 20},
    "HNSW_PQ": {"efConstruction": 20, "m": 8},
    "DISKANN": {"search_list_size": 20},
    "IVF_PQ": {"m": 8},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_is_the_same_after_reopening(kind: str, tmp_path: Path) -> None:
    """Two openings answer alike, and only the named files are needed."""
    sample = clustered(5_000, 16)
    meta, segment = build(tmp_path / "i", kind, sample.rows, Metric.COSINE)
    assert {p.name for p in tmp_path.iterdir()} == {
        p.name for p in meta.paths(tmp_path / "i")
    }
    assert meta.has_sketch == sketch_path(tmp_path / "i").exists()
    for allowed in (None, random_mask(5_000, 0.3)):
        first, _ = search_rows(segment, sample.queries, 10, allowed, EFFORT)
        again = type(segment)(segment.rows, open_index(meta, tmp_path / "i"))
        second, _ = search_rows(again, sample.queries, 10, allowed, EFFORT)
        np.testing.assert_array_equal(first.offsets, second.offsets)
        np.testing.assert_array_equal(first.distances, second.distances)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_or_foreign_file_is_corruption(kind: str, tmp_path: Path) -> None:
    """A file that is not the index is refused with its name."""
    path = tmp_path / "i"
    meta, _ = build(path, kind, clustered(5_000, 16).rows, Metric.L2)
    whole = path.read_bytes()
    for name, damage in {
        "short": whole[: len(whole) // 2],
        "empty": b"",
        "foreign": b"not an index" * 100,
    }.items():
        damaged = tmp_path / name
        damaged.write_bytes(damage)
        if meta.has_sketch:
            sketch_path(damaged).write_bytes(sketch_path(path).read_bytes())
        with pytest.raises(CorruptionError) as caught:
            open_index(meta, damaged)
        assert str(damaged) in str(caught.value)


def test_an_index_of_other_rows_is_corruption(tmp_path: Path) -> None:
    """A healthy file of another build does not pass for this one."""
    meta, _ = build(tmp_path / "a", "HNSW", clustered(5_000, 16).rows, Metric.L2)
    build(tmp_path / "b", "HNSW", clustered(4_999, 16).rows, Metric.L2)
    build(tmp_path / "c", "FLAT", clustered(5_000, 16).rows, Metric.L2)
    for other in ("b", "c"):
        with pytest.raises(CorruptionError):
            open_index(meta, tmp_path / other)


def test_a_damaged_sketch_is_corruption(tmp_path: Path) -> None:
    """The second file of an index is checked like the first."""
    path = tmp_path / "i"
    meta, _ = build(path, "HNSW", clustered(5_000, 16).rows, Metric.L2)
    assert meta.has_sketch
    for damage in (b"", b"x" * 500, path.read_bytes()):
        sketch_path(path).write_bytes(damage)
        with pytest.raises(CorruptionError) as caught:
            open_index(meta, path)
        assert str(sketch_path(path)) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_build_reports_progress(kind: str, tmp_path: Path) -> None:
    """Progress rises from 0 to 1."""
    shares: list[float] = []
    rows = clustered(5_000, 16).rows
    build(tmp_path / "i", kind, rows, Metric.L2, progress=shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_build_can_be_cancelled(kind: str, tmp_path: Path) -> None:
    """A cancelled build stops at its next look at the flag."""
    asked = iter([False, True])
    request = BuildRequest(
        clustered(20_000, 8, nq=1).rows,
        Metric.L2,
        {**BUILDS[kind], **_CHEAPER.get(kind, {})},
        is_cancelled=lambda: next(asked),
    )
    with pytest.raises(Cancelled):
        index_kind(kind).build(request, tmp_path / "i")


@pytest.mark.parametrize("kind", ["IVF_FLAT", "HNSW"])
def test_many_threads_share_an_index(kind: str, tmp_path: Path) -> None:
    """Searches side by side, filtered and not, find what they find alone."""
    sample = clustered(5_000, 16)
    _, segment = build(tmp_path / "i", kind, sample.rows, Metric.L2)
    masks = [None, *(random_mask(5_000, share) for share in (0.5, 0.1, 0.01))]
    alone = [search_rows(segment, sample.queries, 10, m, EFFORT)[0] for m in masks]
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(60):
            which, i = int(rng.integers(len(masks))), int(rng.integers(40))
            query = sample.queries[i : i + 1]
            found, _ = search_rows(segment, query, 10, masks[which], EFFORT)
            if found.offsets[0].tolist() != alone[which].offsets[i].tolist():
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_same_request_builds_an_index_of_the_same_answers(tmp_path: Path) -> None:
    """One thread and one seed give the same graph, sketch and calibration."""
    sample = clustered(5_000, 16)
    first, one = build(tmp_path / "a", "HNSW", sample.rows, Metric.L2, seed=4)
    second, two = build(tmp_path / "b", "HNSW", sample.rows, Metric.L2, seed=4)
    assert first == second
    assert sketch_path(tmp_path / "a").read_bytes() == (
        sketch_path(tmp_path / "b").read_bytes()
    )
    mine, _ = search_rows(one, sample.queries, 10, None, EFFORT)
    theirs, _ = search_rows(two, sample.queries, 10, None, EFFORT)
    np.testing.assert_array_equal(mine.offsets, theirs.offsets)


def test_flat_equals_the_rows_alone(tmp_path: Path) -> None:
    """FLAT answers to the bit as a segment without an index does."""
    sample = clustered(3_000, 16)
    _, segment = build(tmp_path / "i", "FLAT", sample.rows, Metric.L2)
    for allowed in (None, random_mask(3_000, 0.2)):
        found, _ = search_rows(segment, sample.queries, 10, allowed)
        truth = flat_search(sample, Metric.L2, 10, allowed)
        np.testing.assert_array_equal(found.offsets, truth.offsets)
        np.testing.assert_array_equal(found.distances, truth.distances)
