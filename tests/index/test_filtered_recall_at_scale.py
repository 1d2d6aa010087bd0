"""Filtered search: recall at every density, on easy, hard and real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import elanus
from bench.recall import real_sentences
from elanus.distance.metrics import Metric
from elanus.index.base import Allowed
from elanus.index.calibration import recall
from elanus.index.search import SegmentVectors, search_rows
from index.segments import EFFORT, Sample, build, clustered, flat_search, gaussian

ROWS, DIM, QUERIES = 100_000, 128, 60
PARAMS = {"M": 16, "efConstruction": 200}
SHARES = (0.5, 0.1, 0.01, 0.001)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Segment = tuple[Sample, SegmentVectors]


@pytest.fixture(scope="module", params=[gaussian, clustered], ids=["gaussian", "text"])
def segment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Segment:
    """A built HNSW index; gaussian rows have no structure that an index could use."""
    sample = request.param(ROWS, DIM, QUERIES)
    path = Path(tmp_path_factory.mktemp("scale")) / "vectors"
    options = {"params": PARAMS, "threads": 2}
    return sample, build(path, "HNSW", sample.rows, Metric.L2, **options)[1]


@pytest.mark.parametrize("share", SHARES)
def test_recall_under_random_filters(segment: Segment, share: float) -> None:
    """With ef = 64 as floor and a new filter per query, recall@10 is 0.99 or more."""
    sample, vectors = segment
    rng = np.random.default_rng(11)
    recalls = []
    for query in sample.queries:
        allowed = Allowed(rng.random(ROWS) < share)
        recalls.append(_recall(sample, vectors, query, allowed))
    assert np.mean(recalls) >= 0.99


@pytest.mark.parametrize("share", SHARES)
def test_recall_under_filters_that_follow_the_vectors(
    segment: Segment, share: float
) -> None:
    """A filter that keeps only rows away from the query is served as well."""
    sample, vectors = segment
    recalls = []
    for query in sample.queries[:20]:
        away = ((sample.rows - query) ** 2).sum(axis=1)
        allowed = Allowed(away >= np.quantile(away, 1 - share))
        recalls.append(_recall(sample, vectors, query, allowed))
    assert np.mean(recalls) >= 0.99


def _recall(
    sample: Sample, vectors: SegmentVectors, query: np.ndarray, allowed: Allowed
) -> float:
    one = Sample(sample.rows, query[None])
    found, _ = search_rows(vectors, one.queries, 10, allowed, EFFORT)
    return recall(found.offsets, flat_search(one, Metric.L2, 10, allowed).offsets)


# --- real sentences, through the whole engine -----------------------------------------

REAL_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
PATTERNS = ("uncorrelated", "correlated", "anti-correlated")
KINDS = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 128},
    "AUTOINDEX": {},
}
REAL_ROWS, REAL_QUERIES = 12_000, 40
# A folder with more real sentences, as bench/README.md describes it.
REAL_FOLDER = os.environ.get("ELANUS_REAL_SENTENCES")

Real = tuple[elanus.Collection, np.ndarray, np.ndarray]


@pytest.fixture(scope="module", params=KINDS)
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Real]:
    """Sentences in a collection; ``away`` is a row's rank by distance from the queries.

    The queries lie together, around one sentence, so that a filter on ``away`` keeps
    what is near to all of them, or far from all.
    """
    if REAL_FOLDER is None:
        sample = real_sentences(None, REAL_ROWS, 400)
    else:
        sample = real_sentences(Path(REAL_FOLDER), nq=500)
    rows, kind = sample.rows, request.param
    anchor = sample.queries[0]
    queries = sample.queries[np.argsort(-sample.queries @ anchor)[:REAL_QUERIES]]
    away = np.empty(len(rows), np.int64)
    away[np.argsort(-rows @ anchor)] = np.arange(len(rows))
    mixed = np.random.default_rng(4).permutation(len(rows))
    folder = tmp_path_factory.mktemp("real") / "db"
    with elanus.open(folder) as db:
        docs = db.create_collection("docs", dim=rows.shape[1], metric="COSINE")
        ids = np.arange(len(rows))
        docs.insert({"id": ids, "vector": rows, "away": away, "mixed": mixed})
        docs.create_index(index_type=kind, params=KINDS[kind])
        docs.optimize()
        # what is mapped by a first search belongs to no test
        for seen in ("away >= 0 and mixed >= 0", "away < 20", "mixed < 20"):
            docs.search(queries[0], filter=seen)
        yield docs, rows, queries


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("share", REAL_SHARES)
def test_recall_on_real_sentences(real: Real, share: float, pattern: str) -> None:
    """With an effort of 64 and another literal in each request, 0.99 or more is found.

    Whether a filter has nothing to do with the query, keeps the rows nearest to it, or
    those farthest from it.
    """
    docs, rows, queries = real
    columns = docs.query(output_fields=["away", "mixed"])
    away, mixed = columns["away"].to_numpy(), columns["mixed"].to_numpy()
    total = len(rows)
    count = max(1, round(share * total))
    found = []
    effort = "nprobe" if docs.describe_index()[0]["index_type"] == "IVF_FLAT" else "ef"
    for number, query in enumerate(queries):
        if pattern == "uncorrelated":
            start = number * (total - count) // len(queries)
            text = f"mixed >= {start} and mixed < {start + count}"
            passing = (mixed >= start) & (mixed < start + count)
        elif pattern == "correlated":
            text, passing = f"away < {count + number}", away < count + number
        else:
            least = total - count - number
            text, passing = f"away >= {least}", away >= least
        hits = docs.search(query, limit=10, filter=text, params={effort: 64})
        allowed = np.flatnonzero(passing)
        true = allowed[np.argsort(-rows[allowed] @ query)[:10]]
        found.append(np.isin(true, hits["id"].to_numpy()).mean())
    assert np.mean(found) >= 0.99
