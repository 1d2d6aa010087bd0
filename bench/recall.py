"""Recall: whether a target is met, and what filters leave of it, as tables.

    .venv/bin/python -m bench.recall                    # some minutes
    .venv/bin/python -m bench.recall --real FOLDER      # real sentences, all of them

Every index is built and asked by itself, without a server. The queries are of the same
kind as the rows and not among them; a build sees only the rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from elanus.distance.kernels import VectorBlock, prepared_queries
from elanus.distance.metrics import Metric
from elanus.index.base import Allowed, BuildRequest, SearchParams
from elanus.index.calibration import recall
from elanus.index.registry import index_kind, open_index
from elanus.index.search import SegmentVectors, search_rows
from examples import sentences

TARGETS = (0.9, 0.95, 0.99)
LIMITS = (1, 10, 100)
SHARES = (1.0, 0.5, 0.1, 0.01)
FILTERED_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
PATTERNS = ("uncorrelated", "correlated", "anti-correlated")
BUILDS: Mapping[str, Mapping[str, object]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "HNSW_SQ": {"M": 16, "efConstruction": 200, "sq_type": "SQ8"},
    "HNSW_PQ": {"M": 16, "efConstruction": 200, "m": 32, "nbits": 8},
    "IVF_FLAT": {"nlist": 128},
    "IVF_SQ8": {"nlist": 128},
    "IVF_PQ": {"nlist": 128, "m": 32, "nbits": 8},
    "IVF_RABITQ": {"nlist": 128},
    "SCANN": {"nlist": 128},
    "AUTOINDEX": {},
}
_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows and queries of one kind of data."""

    name: str
    rows: np.ndarray
    queries: np.ndarray
    metric: Metric


def real_sentences(folder: Path | None, rows: int = 20_000, nq: int = 200) -> Sample:
    """Real sentences of a folder; vectors among those of the extract without one."""
    if folder is None:
        known = sentences.load().vectors
        queries = sentences.mixed(sentences.load("query").vectors, nq, seed=2)
        return Sample(
            "sentences",
            sentences.mixed(known, rows, seed=1),
            queries,
            Metric.COSINE,
        )
    tables = [
        pq.read_table(folder / f"text20k{part}.parquet") for part in ("", "-queries")
    ]
    known, queries = (sentences.embeddings(table) for table in tables)
    return Sample("real sentences", known[:rows], queries[:nq], Metric.COSINE)


def clusters(rows: int = 20_000, dim: int = 96, nq: int = 200) -> Sample:
    """Clusters of very unequal sizes and widths."""
    rng = np.random.default_rng(5)
    count = 60
    centres = rng.standard_normal((count, dim)) * 2
    widths = rng.uniform(0.2, 1.5, count)
    sizes = 1.0 / np.arange(1, count + 1)
    chosen = rng.choice(count, rows + nq, p=sizes / sizes.sum())
    noise = rng.standard_normal((rows + nq, dim)) * widths[chosen, None]
    points = (centres[chosen] + noise).astype(np.float32)
    return Sample("clusters", points[:rows], points[rows:], Metric.L2)


def uniform(rows: int = 20_000, dim: int = 96, nq: int = 200) -> Sample:
    """No structure at all: the hardest case for every index."""
    points = np.random.default_rng(6).uniform(-1, 1, (rows + nq, dim))
    return Sample(
        "uniform",
        points[:rows].astype(np.float32),
        points[rows:].astype(np.float32),
        Metric.IP,
    )


def built(sample: Sample, kind: str, folder: Path) -> SegmentVectors:
    """A segment with an index of a kind."""
    path = folder / f"{sample.name}-{kind}"
    options = {"threads": 2, "graph_bytes": 1 << 30}
    request = BuildRequest(sample.rows, sample.metric, BUILDS[kind], kind, **options)
    meta = index_kind(kind).build(request, path)
    block = VectorBlock.of(sample.rows, sample.metric)
    return SegmentVectors(lambda: block, open_index(meta, path))


def answers(
    vectors: SegmentVectors,
    sample: Sample,
    limit: int,
    allowed: Sequence[Allowed | None],
    params: SearchParams,
) -> tuple[float, set[str]]:
    """Recall over all queries, each with its own filter, and the ways taken."""
    block = vectors.rows()
    found, true, ways = [], [], set()
    for query, mask in zip(sample.queries, allowed, strict=True):
        top, strategy = search_rows(vectors, query[None], limit, mask, params)
        ready = prepared_queries(query[None], sample.metric)
        exact = (
            block.nearest_all(ready, limit)
            if mask is None
            else block.nearest_at(ready, mask.offsets, limit)
        )
        found.append(top.offsets)
        true.append(exact.offsets)
        ways.add(f"{strategy.kind}({strategy.effort})" if strategy.effort else "exact")
    return recall(np.concatenate(found), np.concatenate(true)), ways


def filters(sample: Sample, share: float, pattern: str) -> Iterator[Allowed]:
    """A filter for each query: at random, or the rows nearest to it, or farthest."""
    rng = np.random.default_rng(9)
    count = max(1, round(share * len(sample.rows)))
    block = VectorBlock.of(sample.rows, sample.metric)
    every = np.arange(block.rows, dtype=np.int64)
    for query in sample.queries:
        if pattern == "uncorrelated":
            rows = rng.choice(block.rows, count, replace=False)
        else:
            ready = prepared_queries(query[None], sample.metric)
            order = np.argsort(block.distances_at(ready, every)[0])
            rows = order[:count] if pattern == "correlated" else order[-count:]
        yield Allowed.at(rows, block.rows)


def target_rows(sample: Sample, kind: str, folder: Path) -> Iterator[list[str]]:
    """Recall for every target, limit and share of rows that a filter passes."""
    vectors = built(sample, kind, folder)
    for share in SHARES:
        masks: list[Allowed | None] = [None] * len(sample.queries)
        if share < 1.0:
            masks = list(filters(sample, share, "uncorrelated"))
        for limit in LIMITS:
            cells = []
            for target in TARGETS:
                params = SearchParams(recall_target=target)
                found, ways = answers(vectors, sample, limit, masks, params)
                is_met = found >= target - _TOLERANCE
                mark = "" if is_met else " MISSED"
                cells.append(f"{found:.3f} {'/'.join(sorted(ways)[:2])}{mark}")
            yield [sample.name, kind, f"{100 * share:g} %", str(limit), *cells]


def floor_rows(sample: Sample, kind: str, folder: Path) -> Iterator[list[str]]:
    """Recall at 10 with an effort of 64 and a filter of its own for each query."""
    vectors = built(sample, kind, folder)
    for pattern in PATTERNS:
        cells = []
        for share in FILTERED_SHARES:
            masks = list(filters(sample, share, pattern))
            found, _ = answers(vectors, sample, 10, masks, SearchParams(64))
            cells.append(f"{found:.3f}{'' if found >= 0.99 else ' MISSED'}")
        yield [sample.name, kind, pattern, *cells]


def main() -> int:
    """Print both tables; 1 when a figure misses what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real sentences")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=list(BUILDS))
    parser.add_argument("--only", choices=("targets", "floors"))
    given = parser.parse_args()
    samples = [
        real_sentences(given.real, nq=given.queries),
        clusters(nq=given.queries),
        uniform(nq=given.queries),
    ]
    lines: list[str] = []

    def show(cells: Sequence[str]) -> None:
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        if given.only != "floors":
            show(["data", "index", "passes", "limit", *map(str, TARGETS)])
            show(["---"] * (4 + len(TARGETS)))
            for sample in samples:
                for kind in given.kinds:
                    for cells in target_rows(sample, kind, Path(folder)):
                        show(cells)
        if given.only != "targets":
            shares = [f"{100 * share:g} %" for share in FILTERED_SHARES]
            show(["data", "index", "filter", *shares])
            show(["---"] * (3 + len(shares)))
            for sample in samples:
                for kind in ("HNSW", "IVF_FLAT", "AUTOINDEX"):
                    for cells in floor_rows(sample, kind, Path(folder)):
                        show(cells)
    return int(any("MISSED" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
