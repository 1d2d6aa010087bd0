"""Real sentences with their embeddings, and as many vectors like them as asked for.

Owns reading the committed extract and the recipe that grows it; the demo and the
benchmarks share both. What the columns mean: ``examples/data/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DIM = 384
_EXTRACT = Path(__file__).parent / "data" / "sentences.parquet"
_CHUNK = 20_000
_NOISE = 0.25


@dataclass(frozen=True, slots=True)
class Sentences:
    """Rows of the extract: ``vectors`` (n, 384) float32 belong to ``columns``."""

    columns: pa.Table
    vectors: np.ndarray

    def __len__(self) -> int:
        return self.columns.num_rows

    @property
    def ids(self) -> np.ndarray:
        """Row numbers, (n,) int64."""
        return self.columns["id"].to_numpy()

    @property
    def texts(self) -> list[str]:
        """The sentences."""
        return self.columns["text"].to_pylist()


def load(role: str = "document") -> Sentences:
    """The extract's rows with this role, ``document`` or ``query``."""
    table = pq.read_table(_EXTRACT)
    table = table.filter(pc.equal(table["role"].cast(pa.string()), role))
    vectors = embeddings(table)
    columns = table.select(["id", "text", "topic", "words"]).append_column(
        "source", table["source"].cast(pa.string())
    )
    return Sentences(columns, vectors)


def embeddings(table: pa.Table) -> np.ndarray:
    """The column ``embedding`` of lists of 384 numbers, (n, 384) float32."""
    flat = table["embedding"].combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, DIM).astype(np.float32)


def mixed(vectors: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """``rows`` unit vectors that lie among ``vectors``, the same for the same seed.

    Each is a random point between two of ``vectors`` with a little Gaussian noise,
    normalised: ``u * a + (1 - u) * b + 0.25 * g / sqrt(dim)``. The more of them there
    are for each of ``vectors``, the more alike they become, and the harder to find.

    Returns:
        (rows, dim) float32, C order.
    """
    rng = np.random.default_rng(seed)
    dim = vectors.shape[1]
    out = np.empty((rows, dim), np.float32)
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        first, second = rng.integers(0, len(vectors), (2, count))
        share = rng.random((count, 1), np.float32)
        noise = rng.standard_normal((count, dim), np.float32)
        points = share * vectors[first] + (1 - share) * vectors[second]
        points += noise * np.float32(_NOISE / np.sqrt(dim))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        out[start : start + count] = points
    return out
