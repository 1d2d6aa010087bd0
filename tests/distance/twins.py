"""Plain NumPy twins of the distance kernels, in double precision."""

from __future__ import annotations

import numpy as np

from elanus.distance.metrics import Floats, Metric


def twin_distances(queries: Floats, rows: Floats, metric: Metric) -> np.ndarray:
    """Distances of every query to every row as the definition says, (nq, n) float64."""
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.L2:
        return ((q[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)
    if metric is Metric.COSINE:
        q, x = _unit(q), _unit(x)
    return -(q @ x.T)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
