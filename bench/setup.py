"""The data and the sizes that all benchmarks share."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import elanus
from examples import sentences

DIM = sentences.DIM
BATCH = 1_000
LIMIT = 10
HNSW = {"M": 16, "efConstruction": 200}
SEARCH = {"ef": 64}


@dataclass(frozen=True)
class Scale:
    """How much data a run takes; only ``full`` is measured against the bars."""

    name: str
    rows: int
    queries: int
    many_rows: int
    few_rows: int
    open_rows: int
    collections: int
    soak_s: float
    repeats: int

    @property
    def is_full(self) -> bool:
        """Whether the bars are meant for this scale."""
        return self.name == "full"


SCALES = {
    "full": Scale(
        name="full",
        rows=100_000,
        queries=1_000,
        many_rows=5_000_000,
        few_rows=100_000,
        open_rows=1_000_000,
        collections=10_000,
        soak_s=120.0,
        repeats=5,
    ),
    "small": Scale(
        name="small",
        rows=5_000,
        queries=200,
        many_rows=50_000,
        few_rows=10_000,
        open_rows=20_000,
        collections=200,
        soak_s=10.0,
        repeats=3,
    ),
}


@dataclass(frozen=True)
class Setup:
    """What a benchmark gets: its sizes, and an empty folder for its databases.

    Attributes:
        is_written: whether vectors and queries are read from files in the folder, which
            leaves no trace in the memory that is measured; see :meth:`written_apart`.
        real: folder of more real sentences than the repository has, ``text20k.parquet``
            and ``text20k-queries.parquet`` with a column ``embedding``; they are taken
            as they are, and then what lies among them.
    """

    scale: Scale
    folder: Path
    is_written: bool = False
    real: Path | None = None

    def written_apart(self) -> Setup:
        """The same, its vectors and queries made by another process."""
        subprocess.run(
            [sys.executable, "-c", _WRITE, str(self.folder), self.scale.name],
            check=True,
            cwd=Path(__file__).parents[1],
        )
        return replace(self, is_written=True)

    def batches(self) -> Iterator[np.ndarray]:
        """The vectors, in batches of 1,000: (1000, 384) float32 each."""
        if self.is_written:
            with (self.folder / "vectors.bin").open("rb") as file:
                while piece := file.read(BATCH * DIM * 4):
                    yield np.frombuffer(piece, np.float32).reshape(-1, DIM)
            return
        if self.real is None:
            real, whole = sentences.load().vectors, 0
        else:
            real = sentences.embeddings(pq.read_table(self.real / "text20k.parquet"))
            whole = len(real) // BATCH
        for number in range(self.scale.rows // BATCH):
            if number < whole:
                yield real[number * BATCH :][:BATCH]
            else:
                yield sentences.mixed(real, BATCH, seed=1_000 + number)

    def vectors(self) -> np.ndarray:
        """All vectors, (rows, 384) float32."""
        return np.concatenate(list(self.batches()))

    def queries(self) -> np.ndarray:
        """Query vectors of the same kind, (queries, 384) float32."""
        if self.is_written:
            return np.fromfile(self.folder / "queries.bin", np.float32).reshape(-1, DIM)
        if self.real is not None:
            table = pq.read_table(self.real / "text20k-queries.parquet")
            return sentences.embeddings(table)[: self.scale.queries]
        real = sentences.load("query").vectors
        return sentences.mixed(real, self.scale.queries, seed=1)

    @property
    def data(self) -> str:
        """In words, what the vectors are."""
        if self.real is None:
            return "Vectors that lie among 2,000 real sentences"
        return "20,000 real sentences, and vectors that lie among them"

    def open(self, name: str) -> Any:
        """The database of this name in the folder, open."""
        return elanus.open(self.folder / name)


_WRITE = """
import sys
from pathlib import Path
from bench.setup import SCALES, Setup, write_files
write_files(Setup(SCALES[sys.argv[2]], Path(sys.argv[1])))
"""


def write_files(setup: Setup) -> None:
    """Write vectors and queries into the folder, for :meth:`Setup.written_apart`."""
    with (setup.folder / "vectors.bin").open("wb") as file:
        for part in setup.batches():
            file.write(part)
    setup.queries().tofile(setup.folder / "queries.bin")


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_threads(threads: int, work: Callable[[int], object]) -> float:
    """Seconds until ``work(i)`` has ended in each of the threads, started together.

    Raises:
        The first error of any thread.
    """
    barrier = threading.Barrier(threads + 1)

    def body(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(body, number) for number in range(threads)]
        barrier.wait()
        begin = time.perf_counter()
        for future in running:
            future.result()
        return time.perf_counter() - begin


def fill(docs: Any, setup: Setup) -> np.ndarray:
    """Insert the vectors with their number and a shuffled ``rank``; the ranks.

    Returns:
        (rows,) int64, a permutation: ``rank < n`` is true for exactly n rows, spread
        evenly over the data.
    """
    rank = np.random.default_rng(3).permutation(setup.scale.rows)
    for number, part in enumerate(setup.batches()):
        rows = np.arange(number * BATCH, number * BATCH + len(part))
        docs.insert({"id": rows, "vector": part, "rank": rank[rows]})
    return rank


def indexed(setup: Setup, db: Any) -> tuple[Any, np.ndarray]:
    """A collection ``docs`` of the vectors under one HNSW graph, and the ranks."""
    docs = db.create_collection("docs", schema=ranked_schema())
    rank = fill(docs, setup)
    docs.create_index("vector", index_type="HNSW", metric="COSINE", params=HNSW)
    docs.optimize()
    return docs, rank


def ranked_schema(dim: int = DIM) -> Any:
    """Number, vector and rank, and nothing dynamic."""
    return elanus.CollectionSchema(
        (
            elanus.FieldSchema("id", elanus.DataType.INT64, is_primary=True),
            elanus.FieldSchema("vector", elanus.DataType.FLOAT_VECTOR, dim=dim),
            elanus.FieldSchema("rank", elanus.DataType.INT64),
        )
    )


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Share of the true neighbours, (nq, k) row numbers each, that were found."""
    pairs = zip(found, true, strict=True)
    return float(np.mean([len(np.intersect1d(f, t)) / len(t) for f, t in pairs]))
