"""JSON text to typed path columns."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from elanus.errors import InternalError
from elanus.expr.jsonpath import Kind, extract, extract_many


def cells(*texts: bytes | None) -> pa.Array:
    """A JSON column."""
    return pa.array(texts, pa.large_binary())


def test_each_kind_of_value_is_told_apart() -> None:
    """Kinds, numbers and strings of one path over all types of value."""
    column = cells(
        b'{"x": 1}',
        b'{"x": 2.5}',
        b'{"x": "s"}',
        b'{"x": true}',
        b'{"x": null}',
        b'{"x": [1]}',
        b'{"x": {}}',
        b"{}",
        b"7",
        None,
    )
    found = extract(column, ("x",))
    kinds = [
        *(Kind.INT, Kind.FLOAT, Kind.STRING, Kind.BOOL, Kind.NULL),
        *(Kind.ARRAY, Kind.OBJECT, Kind.MISSING, Kind.MISSING, Kind.MISSING),
    ]
    assert found.kinds.tolist() == kinds
    assert found.ints.tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert found.floats[:2].tolist() == [1.0, 2.5]
    assert all(map(math.isnan, found.floats[2:]))
    assert found.strings.to_pylist() == [None, None, "s"] + [None] * 7


def test_integers_outside_int64_are_doubles() -> None:
    """The largest uint64 and larger stay numbers, as doubles; int64 stays exact."""
    column = cells(
        b"18446744073709551615",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"1e30",
        b"36893488147419103232",
    )
    found = extract(column, ())
    assert found.kinds.tolist() == [
        *(Kind.FLOAT, Kind.INT, Kind.INT, Kind.FLOAT, Kind.FLOAT)
    ]
    assert found.ints[1:3].tolist() == [2**63 - 1, -(2**63)]
    assert found.floats.tolist() == [2.0**64, 2.0**63, -(2.0**63), 1e30, 2.0**65]


def test_elements_of_arrays_lie_flat() -> None:
    """Elements come in row order, with offsets; other rows have none."""
    found = extract(cells(b"[1, [2]]", b'"no"', b"[]", b'["a"]'), ())
    assert found.offsets.tolist() == [0, 2, 2, 2, 3]
    assert found.elements.kinds.tolist() == [Kind.INT, Kind.ARRAY, Kind.STRING]
    assert found.elements.elements.ints.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "exists"),
    [
        (b"0", True),
        (b'""', True),
        (b"false", True),
        (b"null", False),
        (b"{}", False),
        (b"[]", False),
        (b'{"a": {}}', False),
        (b'{"a": [[], {"b": null}]}', False),
        (b'{"a": {}, "b": 0}', True),
        (b"[[0]]", True),
    ],
)
def test_hollow_values_do_not_exist(text: bytes, exists: bool) -> None:
    """Null and containers of nothing else do not count as existing."""
    assert extract(cells(text), ()).exists.tolist() == [exists]


def test_paths_follow_json_pointers() -> None:
    """Digits index arrays and name members; leading zeros and excess find nothing."""
    column = cells(b'{"a": [10, {"0": "z"}]}', b'{"a": {"1": 5, "01": 6}}')
    paths = [("a", 0), ("a", 1, 0), ("a", "1"), ("a", "01"), ("a", 2), ("a", 0, "b")]
    found = extract_many(column, paths)
    assert [found[path].kinds.tolist() for path in paths] == [
        [Kind.INT, Kind.MISSING],
        [Kind.STRING, Kind.MISSING],
        [Kind.OBJECT, Kind.INT],
        [Kind.MISSING, Kind.INT],
        [Kind.MISSING, Kind.MISSING],
        [Kind.MISSING, Kind.MISSING],
    ]


def test_several_paths_are_what_each_is_alone() -> None:
    """Extracting together gives the columns of extracting one by one."""
    column = cells(b'{"a": 1, "b": "x"}', None, b'{"b": [1]}').slice(1)
    together = extract_many(column, [("a",), ("b",), ()])
    for path, found in together.items():
        assert found.kinds.tolist() == extract(column, path).kinds.tolist()
    assert together[("b",)].kinds.tolist() == [Kind.MISSING, Kind.ARRAY]
    assert together[()].kinds.tolist() == [Kind.MISSING, Kind.OBJECT]


@pytest.mark.parametrize("text", [b"{", b"1, 2", b""])
def test_a_cell_that_is_no_json_is_an_error(text: bytes) -> None:
    """Insert keeps such cells out; finding one is reported, not guessed at."""
    with pytest.raises(InternalError):
        extract(cells(b"1", text), ())
