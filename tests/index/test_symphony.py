"""AUTOINDEX' own graph: its answers against flat search, and what stands in for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import elanus
from elanus import Settings
from elanus.distance.metrics import Metric
from elanus.distance.topk import Offsets
from elanus.errors import CorruptionError
from elanus.index.base import Allowed, SearchParams
from elanus.index.calibration import recall
from elanus.index.dense import symphony
from elanus.index.registry import open_index
from elanus.index.search import SegmentVectors, search_rows
from index.segments import Sample, build, clustered, flat_search, random_mask

pytest.importorskip("rabitqlib")

# AUTOINDEX keeps fewer as they are.
ROWS, DIM = 9_000, 64
ROOM = 1 << 30
Built = tuple[Metric, SegmentVectors, Sample]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Clustered rows."""
    return clustered(ROWS, DIM, nq=30)


@pytest.fixture(scope="module", params=[Metric.L2, Metric.COSINE])
def built(
    request: pytest.FixtureRequest,
    sample: Sample,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """The graph with one metric, closed and opened."""
    path = Path(tmp_path_factory.mktemp("graph")) / "main"
    options = {"graph_bytes": ROOM, "threads": 2}
    meta, segment = build(path, "AUTOINDEX", sample.rows, request.param, **options)
    assert (meta.index_type, meta.kind) == ("AUTOINDEX", symphony.NAME)
    return request.param, segment, sample


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, 0.95, 0.5, 0.1, 0.01])
def test_recall_and_distances(built: Built, share: float | None) -> None:
    """With every filter and without, nearly all true neighbours at their distances."""
    metric, segment, sample = built
    allowed = None if share is None else random_mask(ROWS, share)
    found, strategy = search_rows(segment, sample.queries, 10, allowed)
    truth = flat_search(sample, metric, 10, allowed)
    assert recall(found.offsets, truth.offsets) >= 0.98, strategy
    same = found.offsets == truth.offsets
    np.testing.assert_allclose(
        found.distances[same], truth.distances[same], rtol=2e-4, atol=2e-4
    )
    assert allowed is None or allowed.mask[found.offsets].all()


@pytest.mark.slow
def test_a_walk_over_more_rows_keeps_the_allowed_ones(built: Built) -> None:
    """Each list begins with the nearest allowed rows, its places beyond them empty."""
    metric, segment, sample = built
    allowed = random_mask(ROWS, 0.3)
    assert segment.index is not None
    queries = sample.queries if metric is not Metric.COSINE else _unit(sample.queries)
    found = segment.index.search(queries, 40, 60, allowed)
    filled = found.offsets >= 0
    assert filled[:, 0].all() and not filled[:, -1].any()
    assert (np.diff(filled.astype(int), axis=1) <= 0).all()
    assert allowed.mask[found.offsets[filled]].all()
    assert np.isinf(found.distances[~filled]).all()


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1)[:, None])


@pytest.mark.slow
def test_far_rows_are_found(tmp_path: Path, sample: Sample) -> None:
    """A filter that keeps the farthest rows only still gets the nearest of them."""
    options = {"graph_bytes": ROOM, "threads": 2}
    _, segment = build(
        tmp_path / "main", "AUTOINDEX", sample.rows, Metric.L2, **options
    )
    query = Sample(sample.rows, sample.queries[:1])
    distances = ((sample.rows - query.queries) ** 2).sum(axis=1)
    for share in (0.5, 0.2, 0.05):
        allowed = Allowed(distances > np.quantile(distances, 1 - share))
        found, strategy = search_rows(segment, query.queries, 10, allowed)
        truth = flat_search(query, Metric.L2, 10, allowed)
        assert recall(found.offsets, truth.offsets) >= 0.9, strategy


@pytest.mark.slow
def test_inner_products_and_rows_of_no_length_are_for_hnsw(
    tmp_path: Path, sample: Sample
) -> None:
    """The graph compares by L2, and under COSINE rows of unit length only."""
    options = {"graph_bytes": ROOM, "threads": 2}
    rows = sample.rows.copy()
    meta, _ = build(tmp_path / "ip", "AUTOINDEX", rows, Metric.IP, **options)
    assert meta.kind == "HNSW"
    rows[7] = 0
    meta, _ = build(tmp_path / "cosine", "AUTOINDEX", rows, Metric.COSINE, **options)
    assert meta.kind == "HNSW"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (clustered(ROWS, DIM, 1).rows, {"graph_bytes": 1 << 20}),
        (clustered(20_000, 32, 1).rows, {"graph_bytes": ROOM}),
        (clustered(ROWS, DIM, 1).rows.astype(np.float16), {"graph_bytes": ROOM}),
    ],
    ids=["memory", "dimensions", "type"],
)
def test_elsewhere_hnsw_is_built(
    tmp_path: Path, rows: np.ndarray, options: dict[str, int]
) -> None:
    """Too little memory, few dimensions and narrow rows are for HNSW."""
    meta, _ = build(tmp_path / "main", "AUTOINDEX", rows, Metric.L2, **options)
    assert meta.kind == "HNSW"


@pytest.mark.slow
@pytest.mark.parametrize("apart", [10.0, 1e3])
def test_rows_in_parts_are_searched_whole(tmp_path: Path, apart: float) -> None:
    """Clusters without links between them, or too far apart, lose nobody."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((40, DIM)) * apart
    points = np.repeat(centres, 225, 0) + rng.standard_normal((ROWS, DIM))
    rows = points.astype(np.float32)
    sample = Sample(rows, rows[::400] + np.float32(0.01))
    options = {"graph_bytes": ROOM, "threads": 2}
    _, segment = build(tmp_path / "main", "AUTOINDEX", rows, Metric.L2, **options)
    found, _ = search_rows(segment, sample.queries, 10)
    truth = flat_search(sample, Metric.L2, 10, None)
    assert recall(found.offsets, truth.offsets) >= 0.95


@pytest.mark.slow
def test_without_the_library(
    tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was built is refused as unreadable, and built anew as HNSW."""
    options = {"graph_bytes": ROOM, "threads": 2}
    meta, _ = build(tmp_path / "main", "AUTOINDEX", sample.rows, Metric.L2, **options)
    monkeypatch.setattr(symphony, "_library", lambda: None)
    with pytest.raises(CorruptionError, match="rabitqlib"):
        open_index(meta, tmp_path / "main")
    again, _ = build(tmp_path / "again", "AUTOINDEX", sample.rows, Metric.L2, **options)
    assert again.kind == "HNSW"


@pytest.mark.slow
def test_what_is_loaded_is_counted(tmp_path: Path, sample: Sample) -> None:
    """The memory of an open graph counts until it is let go."""
    before = symphony.loaded_bytes()
    options = {"graph_bytes": ROOM, "threads": 2}
    _, segment = build(
        tmp_path / "main", "AUTOINDEX", sample.rows, Metric.L2, **options
    )
    size = symphony.memory_of(ROWS, DIM)
    assert symphony.loaded_bytes() >= before + size
    assert 0.7 < size / (tmp_path / "main").stat().st_size < 1.3
    del segment


def test_a_collection_through_its_life(tmp_path: Path, sample: Sample) -> None:
    """Built behind the collection, searched around deletes, opened again."""
    settings = Settings(graph_bytes=ROOM)
    path = tmp_path / "life.db"
    with elanus.open(path, settings=settings) as db:
        docs = db.create_collection("docs", dim=DIM, metric="L2")
        docs.insert({"id": np.arange(ROWS), "vector": sample.rows})
        docs.optimize()
        docs.delete(list(range(0, ROWS, 3)))
        before = _keys(docs, sample)
    with elanus.open(path, settings=settings) as db:
        db["docs"].optimize()
        assert _keys(db["docs"], sample).tolist() == before.tolist()
    kept = Allowed(np.arange(ROWS) % 3 > 0)
    truth = flat_search(sample, Metric.L2, 10, kept)
    assert recall(before, truth.offsets) >= 0.98


def _keys(docs: elanus.Collection, sample: Sample) -> Offsets:
    found = docs.search(sample.queries, limit=10).column("id").to_numpy()
    return found.reshape(len(sample.queries), 10)


@pytest.mark.slow
def test_effort_is_a_floor(built: Built) -> None:
    """A larger effort never finds less."""
    metric, segment, sample = built
    truth = flat_search(sample, metric, 10, None)
    recalls = [
        recall(
            search_rows(segment, sample.queries, 10, None, SearchParams(e))[0].offsets,
            truth.offsets,
        )
        for e in (10, 40, 400)
    ]
    assert recalls == sorted(recalls) and recalls[-1] >= 0.99
