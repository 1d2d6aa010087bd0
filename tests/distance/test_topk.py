"""Lists of the nearest rows: selection, merging, ties, empty places."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.distance.topk import TopK, merge, select, sort_ties

SMALL = st.integers(0, 4)


def _list(*rows: list[tuple[int, float]]) -> TopK:
    return TopK(
        np.array([[offset for offset, _ in row] for row in rows], np.int64),
        np.array([[distance for _, distance in row] for row in rows], np.float32),
    )


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.lists(SMALL, min_size=7, max_size=7), min_size=1, max_size=4),
    k=st.integers(0, 10),
)
def test_select_sorts_by_distance_then_offset(values: list[list[int]], k: int) -> None:
    """Selection equals sorting (distance, offset) pairs, ties and all."""
    distances = np.array(values, np.float32)
    offsets = np.array([30, 10, 50, 20, 0, 60, 40])
    found = select(distances, k, offsets)
    for row, mine, near in zip(values, found.offsets, found.distances, strict=True):
        expected = sorted(zip(row, offsets.tolist(), strict=True))[:k]
        empty = k - len(expected)
        assert near.tolist() == [d for d, _ in expected] + [np.inf] * empty
        assert mine.tolist() == [o for _, o in expected] + [-1] * empty


@settings(max_examples=80, deadline=None)
@given(data=st.data(), parts=st.integers(1, 4), k=st.integers(1, 8))
def test_merge_equals_sorting_everything(
    data: st.DataObject, parts: int, k: int
) -> None:
    """Merging with keys equals sorting all rows by (distance, key)."""
    lists, keys, everything = [], [], []
    for part in range(parts):
        row = sorted(data.draw(st.lists(SMALL, min_size=1, max_size=5)))
        key = [100 * data.draw(SMALL) + part for _ in row]
        lists.append(_list([(i, d) for i, d in enumerate(row)]))
        keys.append(np.array([key]))
        everything += [
            (d, n, part, i) for i, (d, n) in enumerate(zip(row, key, strict=True))
        ]
    merged = merge(lists, k, keys)
    expected = sorted(everything)[:k]
    filled = len(expected)
    found = merged.rows.distances[0, :filled]
    assert found.tolist() == [d for d, *_ in expected]
    named = [keys[p][0, o] for p, o in _places(merged.parts[0], merged.rows.offsets[0])]
    assert named[:filled] == [n for _, n, *_ in expected]
    assert (merged.rows.offsets[0, filled:] == -1).all()
    assert (merged.parts[0, filled:] == -1).all()


def _places(parts: np.ndarray, offsets: np.ndarray) -> list[tuple[int, int]]:
    return [(p, o) for p, o in zip(parts, offsets, strict=True) if p >= 0]


def test_merge_without_keys_prefers_earlier_parts() -> None:
    """Equal distances keep the order of parts, then of offsets."""
    merged = merge([_list([(7, 1.0), (9, 1.0)]), _list([(2, 1.0), (3, 2.0)])], 4)
    assert merged.rows.offsets.tolist() == [[7, 9, 2, 3]]
    assert merged.parts.tolist() == [[0, 0, 1, 1]]


def test_merge_takes_string_keys() -> None:
    """Keys may be text, as VarChar primary keys are."""
    keys = [np.array([["b", "d"]]), np.array([["a", "c"]])]
    merged = merge([_list([(0, 1.0), (1, 1.0)]), _list([(0, 1.0), (1, 1.0)])], 3, keys)
    assert merged.parts.tolist() == [[1, 0, 1]]


def test_merge_puts_empty_places_last() -> None:
    """An empty place never stands before a row, whatever its key."""
    short = _list([(4, 2.0), (-1, np.inf)])
    merged = merge([short, short], 3, [np.array([[5, -9]]), np.array([[6, -9]])])
    assert merged.rows.offsets.tolist() == [[4, 4, -1]]
    assert merged.parts.tolist() == [[0, 1, -1]]


def test_ties_are_ordered_by_key() -> None:
    """Equal distances are put in order of the given keys, others stay."""
    found = _list([(3, 1.0), (8, 2.0), (5, 2.0), (-1, np.inf), (-1, np.inf)])
    assert sort_ties(found).offsets.tolist() == [[3, 5, 8, -1, -1]]
    keys = np.array([[9, 1, 2, 0, 0]])
    assert sort_ties(found, keys).offsets.tolist() == [[3, 8, 5, -1, -1]]


def test_resizing_cuts_or_fills() -> None:
    """A list cut short loses its farthest rows; a longer one gains empty places."""
    found = _list([(3, 1.0), (8, 2.0)])
    assert found.resized(1).offsets.tolist() == [[3]]
    wider = found.resized(3)
    assert wider.offsets.tolist() == [[3, 8, -1]]
    assert wider.distances.tolist() == [[1.0, 2.0, np.inf]]


def test_fewest_rows_counts_the_shortest_list() -> None:
    """The query with the most empty places decides."""
    assert TopK.empty(2, 3).fewest_rows() == 0
    assert _list([(1, 1.0), (2, 1.0)], [(1, 1.0), (-1, np.inf)]).fewest_rows() == 1
    assert _list([(1, 1.0), (2, 1.0)]).fewest_rows() == 2
