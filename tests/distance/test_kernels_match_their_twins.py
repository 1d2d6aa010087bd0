"""Exact kernels against plain NumPy, on many shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distance.twins import twin_distances
from elanus.distance.kernels import (
    VectorBlock,
    distances_all,
    distances_at,
    nearest_all,
    nearest_at,
    nearest_candidates,
    normalised,
    prepared_queries,
)
from elanus.distance.metrics import Metric
from elanus.distance.topk import TopK

OF_NUMBERS = [Metric.L2, Metric.IP, Metric.COSINE]
METRICS = st.sampled_from(OF_NUMBERS)
SHAPES = st.tuples(
    st.sampled_from([1, 2, 3, 7, 16, 33]),
    st.integers(0, 60),
    st.sampled_from([1, 2, 19, 20, 41]),
)


def _data(shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    dim, rows, nq = shape
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((rows, dim)).astype(np.float32),
        rng.standard_normal((nq, dim)).astype(np.float32),
    )


def _check_nearest(found: TopK, truth: np.ndarray, k: int) -> None:
    """``found`` holds the k smallest of ``truth`` with their distances."""
    filled = min(k, truth.shape[1])
    assert found.k == k
    best = np.sort(truth, axis=1)[:, :filled]
    np.testing.assert_allclose(found.distances[:, :filled], best, rtol=1e-4, atol=1e-4)
    own = np.take_along_axis(truth, found.offsets[:, :filled], axis=1)
    np.testing.assert_allclose(own, best, rtol=1e-4, atol=1e-4)
    assert (found.offsets[:, filled:] == -1).all()
    assert np.isinf(found.distances[:, filled:]).all()


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, metric=METRICS, k=st.integers(1, 70), seed=st.integers(0, 99))
def test_nearest_of_all(
    shape: tuple[int, int, int], metric: Metric, k: int, seed: int
) -> None:
    """The k nearest rows and their distances are those of the definition."""
    rows, queries = _data(shape, seed)
    block = VectorBlock.of(rows, metric)
    found = nearest_all(prepared_queries(queries, metric), block, k)
    _check_nearest(found, twin_distances(queries, rows, metric), k)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, metric=METRICS, k=st.integers(1, 70), seed=st.integers(0, 99))
def test_nearest_of_some(
    shape: tuple[int, int, int], metric: Metric, k: int, seed: int
) -> None:
    """Only the given rows are found, at the distances of the definition."""
    rows, queries = _data(shape, seed)
    allowed = np.flatnonzero(np.random.default_rng(seed).random(len(rows)) < 0.4)
    block = VectorBlock.of(rows, metric)
    found = nearest_at(prepared_queries(queries, metric), block, allowed, k)
    truth = twin_distances(queries, rows, metric)
    forbidden = np.setdiff1d(np.arange(len(rows)), allowed)
    assert not np.isin(found.offsets, forbidden).any()
    filled = min(k, len(allowed))
    best = np.sort(truth[:, allowed], axis=1)[:, :filled]
    np.testing.assert_allclose(found.distances[:, :filled], best, rtol=1e-4, atol=1e-4)
    assert (found.offsets[:, filled:] == -1).all()


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, metric=METRICS, seed=st.integers(0, 99))
def test_distances_to_rows(
    shape: tuple[int, int, int], metric: Metric, seed: int
) -> None:
    """Distances to all rows, or to chosen ones in any order, match the definition."""
    rows, queries = _data(shape, seed)
    block = VectorBlock.of(rows, metric)
    ready = prepared_queries(queries, metric)
    truth = twin_distances(queries, rows, metric)
    np.testing.assert_allclose(distances_all(ready, block), truth, rtol=1e-4, atol=1e-4)
    chosen = np.random.default_rng(seed).permutation(len(rows))[: len(rows) // 2]
    np.testing.assert_allclose(
        distances_at(ready, block, chosen), truth[:, chosen], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_one_query_and_many_agree_to_the_bit(metric: Metric) -> None:
    """A query's rows and distances do not depend on the queries beside it."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((20_000, 24)).astype(np.float32)
    queries = rng.standard_normal((40, 24)).astype(np.float32)
    block = VectorBlock.of(rows, metric)
    ready = prepared_queries(queries, metric)
    every_third = np.arange(0, len(rows), 3)
    together = nearest_all(ready, block, 5), nearest_at(ready, block, every_third, 5)
    for i in range(len(queries)):
        one = prepared_queries(queries[i : i + 1], metric)
        alone = nearest_all(one, block, 5), nearest_at(one, block, every_third, 5)
        for single, many in zip(alone, together, strict=True):
            np.testing.assert_array_equal(single.offsets[0], many.offsets[i])
            np.testing.assert_array_equal(single.distances[0], many.distances[i])


def test_rows_far_from_the_origin_keep_their_order() -> None:
    """A batch finds the true neighbours where a matrix product loses all digits."""
    rng = np.random.default_rng(5)
    rows = (1000 + rng.uniform(-0.5, 0.5, (500, 8))).astype(np.float32)
    queries = (1000 + rng.uniform(-0.5, 0.5, (25, 8))).astype(np.float32)
    found = nearest_all(queries, VectorBlock.of(rows, Metric.L2), 10)
    truth = np.argsort(twin_distances(queries, rows, Metric.L2), axis=1)[:, :10]
    np.testing.assert_array_equal(np.sort(found.offsets), np.sort(truth))


@pytest.mark.parametrize("nq", [1, 30])
@pytest.mark.parametrize("k", [3, 150])
@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_ties_go_to_the_smaller_offset(metric: Metric, k: int, nq: int) -> None:
    """Among equal rows the first ones are returned, in order."""
    rows = np.ones((400, 4), np.float32)
    rows[:50] = [[1, 1, 1, -1]]
    queries = prepared_queries(np.ones((nq, 4), np.float32), metric)
    block = VectorBlock.of(rows, metric)
    expected = np.broadcast_to(np.arange(50, 50 + k), (nq, k))
    np.testing.assert_array_equal(nearest_all(queries, block, k).offsets, expected)
    odd = np.arange(1, 400, 2)
    expected = np.broadcast_to(odd[odd >= 50][:k], (nq, k))
    np.testing.assert_array_equal(nearest_at(queries, block, odd, k).offsets, expected)


def test_a_zero_vector_is_similar_to_nothing() -> None:
    """COSINE with a zero row or a zero query is 0.0, never NaN."""
    rows = np.array([[0, 0], [1, 0], [-1, 0]], np.float32)
    block = VectorBlock.of(rows, Metric.COSINE)
    queries = prepared_queries(np.array([[2, 0], [0, 0]], np.float32), Metric.COSINE)
    found = nearest_all(queries, block, 3)
    np.testing.assert_array_equal(found.offsets[0], [1, 0, 2])
    np.testing.assert_array_equal(found.distances, [[-1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("scale", [1e-25, 1e-18, 1.0, 1e18, 1e30])
def test_unit_length_at_any_scale(scale: float) -> None:
    """Very long and very short vectors are normalised without overflow."""
    vectors = np.array([[3, 4]], np.float32) * np.float32(scale)
    for unit in (normalised(vectors), prepared_queries(vectors, Metric.COSINE)):
        np.testing.assert_allclose(unit, [[0.6, 0.8]], rtol=1e-6)


def test_candidates_are_measured_per_query() -> None:
    """Each query orders its own candidates, and empty places stay empty."""
    rows = np.arange(10, dtype=np.float32)[:, None]
    block = VectorBlock.of(rows, Metric.L2)
    queries = np.array([[0], [9]], np.float32)
    named = np.array([[5, 2, -1], [5, 2, 8]])
    candidates = TopK(named, np.zeros((2, 3), np.float32))
    found = nearest_candidates(queries, block, candidates, 3)
    np.testing.assert_array_equal(found.offsets, [[2, 5, -1], [8, 5, 2]])
    np.testing.assert_array_equal(found.distances, [[4, 25, np.inf], [1, 16, 49]])
