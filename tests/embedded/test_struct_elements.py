"""Elements of struct arrays through a Milvus client, against a plain model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, DataType, MilvusException, RRFRanker

import elanus

DIM = 4
NAME = "films"
Struct = dict[str, Any]
Hits = list[tuple[int, int]]


def make_rows(n_rows: int) -> list[dict[str, Any]]:
    """Rows whose structs are null in every seventh, empty in every fifth."""
    rng = np.random.default_rng(3)
    return [
        {
            "id": key,
            "k": key % 3,
            "v": rng.normal(size=DIM).tolist(),
            "s": None
            if key % 7 == 0
            else [
                {
                    "x": 10 * key + place,
                    "c": "rgb"[place % 3],
                    "e": rng.normal(size=DIM).tolist(),
                    "g": rng.normal(size=DIM).tolist(),
                }
                for place in range(key % 5)
            ],
        }
        for key in range(n_rows)
    ]


ROWS = make_rows(120)
QUERY = [0.3, -0.2, 0.9, 0.1]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client whose rows are in part on files, in part in memory."""
    path: Path = tmp_path_factory.mktemp("structs")
    opened = elanus.MilvusClient(str(path / "app.db"))
    schema = opened.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("k", DataType.INT64)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    struct = opened.create_struct_field_schema()
    struct.add_field("x", DataType.INT64)
    struct.add_field("c", DataType.VARCHAR, max_length=8)
    struct.add_field("e", DataType.FLOAT_VECTOR, dim=DIM)
    struct.add_field("g", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field(
        "s",
        DataType.ARRAY,
        element_type=DataType.STRUCT,
        struct_schema=struct,
        max_capacity=8,
        nullable=True,
    )
    opened.create_collection(NAME, schema=schema)
    opened.insert(NAME, ROWS[:70])
    opened.flush(NAME)
    opened.insert(NAME, ROWS[70:])
    indexes = opened.prepare_index_params()
    for field, metric in (("v", "COSINE"), ("s[e]", "COSINE"), ("s[g]", "L2")):
        indexes.add_index(field, index_type="FLAT", metric_type=metric)
    indexes.add_index("s[x]", index_type="STL_SORT")
    opened.create_index(NAME, indexes)
    opened.load_collection(NAME)
    # every file is open now, not in the middle of a test
    opened.query(NAME, filter="id >= 0", output_fields=["*"])
    opened.query(NAME, ids=[1])
    yield opened
    opened.close()


def elements(
    accept: Callable[[int, Struct], bool],
) -> list[tuple[int, int, Struct]]:
    """Key, place and struct of every element that a filter lets pass."""
    return [
        (row["id"], place, struct)
        for row in ROWS
        for place, struct in enumerate(row["s"] or ())
        if accept(row["id"], struct)
    ]


def nearest(accept: Callable[[int, Struct], bool] = lambda key, struct: True) -> Hits:
    """Elements in the order of their cosine to the query."""

    def distance(struct: Struct) -> float:
        vector = np.array(struct["e"])
        return -float(vector @ QUERY / np.linalg.norm(vector))

    found = sorted(elements(accept), key=lambda element: distance(element[2]))
    return [(key, place) for key, place, _ in found]


def hits_of(found: Any) -> Hits:
    """Keys and places of what a search or query found."""
    return [(hit["id"], hit["offset"]) for hit in found]


def search(client: Any, **options: Any) -> Any:
    """What one query finds among the vectors ``s[e]``."""
    options = {"anns_field": "s[e]", "limit": 10, **options}
    return client.search(NAME, [QUERY], **options)[0]


@pytest.mark.parametrize(
    ("text", "accept"),
    [
        ("", lambda key, struct: True),
        ("id > 60", lambda key, struct: key > 60),
        ('element_filter(s, $[c] == "g")', lambda key, struct: struct["c"] == "g"),
        (
            "id < 100 and element_filter(s, 300 < $[x] <= 900 || $[x] % 7 == 0)",
            lambda key, struct: (
                key < 100 and (300 < struct["x"] <= 900 or struct["x"] % 7 == 0)
            ),
        ),
        (
            "id in [3, 4] or element_filter(s, not ($[x] < 1100))",
            lambda key, struct: key in (3, 4) or struct["x"] >= 1100,
        ),
    ],
)
def test_elements_are_found_one_by_one(
    client: Any, text: str, accept: Callable[[int, Struct], bool]
) -> None:
    """The nearest elements that the filter lets pass, page by page, rows repeated."""
    expected = nearest(accept)
    assert hits_of(search(client, filter=text, limit=12)) == expected[:12]
    assert hits_of(search(client, filter=text, limit=7, offset=5)) == expected[5:12]
    everything = search(client, filter=text, limit=500, output_fields=["s[x]"])
    assert hits_of(everything) == expected
    for hit in everything:
        assert hit["s"][hit["offset"]]["x"] == 10 * hit["id"] + hit["offset"]


def test_a_walk_meets_every_element_once(client: Any) -> None:
    """Batches of a search iterator, put together."""
    walk = client.search_iterator(
        NAME, [QUERY], batch_size=9, anns_field="s[e]", filter="id > 20"
    )
    found: Hits = []
    while batch := walk.next():
        found += hits_of(batch)
    walk.close()
    assert found == nearest(lambda key, struct: key > 20)


def test_ranges_hold_for_elements(client: Any) -> None:
    """Only elements between the bounds, all of them."""
    scores = {(hit["id"], hit["offset"]): hit["distance"] for hit in search(client)}
    low, high = min(scores.values()), sorted(scores.values())[-3]
    params = {"params": {"radius": low - 1e-6, "range_filter": high}}
    found = search(client, search_params=params, limit=100)
    assert hits_of(found) == [name for name in nearest() if name in scores][2:]


def test_groups_of_elements_are_rows(client: Any) -> None:
    """Grouped by the key, every row comes once, with its nearest element."""
    best = dict(reversed(nearest()))
    order = list(dict.fromkeys(key for key, _ in nearest()))
    found = search(client, group_by_field="id", limit=20)
    assert hits_of(found) == [(key, best[key]) for key in order[:20]]
    with pytest.raises(MilvusException, match="only group by primary key is supported"):
        search(client, group_by_field="k")


def test_hybrid_searches_rank_rows_or_elements(client: Any) -> None:
    """Elements of one struct stay elements; beside others they become rows."""

    def part(field: str, metric: str, **params: Any) -> AnnSearchRequest:
        param = {"metric_type": metric, "params": params}
        return AnnSearchRequest([QUERY], field, param, limit=15)

    def hybrid(*parts: AnnSearchRequest) -> Any:
        return client.hybrid_search(NAME, list(parts), RRFRanker(), limit=30)[0]

    found = hits_of(hybrid(part("s[e]", "COSINE"), part("s[g]", "L2")))
    assert set(nearest()[:15]) < set(found) and len(set(found)) == len(found)
    rows = hybrid(part("s[e]", "COSINE"), part("v", "COSINE"))
    keys = [hit["id"] for hit in rows]
    assert {key for key, _ in nearest()[:15]} < set(keys)
    assert len(set(keys)) == len(keys) and "offset" not in rows[0]
    scope = {"collapse": {"strategy": "topk_sum", "topk": 2}}
    hybrid(part("s[e]", "COSINE", element_scope=scope), part("v", "COSINE"))
    with pytest.raises(MilvusException, match="element_scope is not allowed for same"):
        hybrid(part("s[e]", "COSINE", element_scope=scope), part("s[g]", "L2"))
    with pytest.raises(MilvusException, match="strategy topk_sum is only supported"):
        hybrid(part("s[g]", "L2", element_scope=scope), part("v", "COSINE"))


def test_queries_tell_which_elements_match(client: Any) -> None:
    """One result for each matching element; limit and offset count them."""
    text = 'id > 9 and element_filter(s, $[x] > 200 && $[c] in ["r", "b"])'
    expected = [
        (key, place)
        for key, place, struct in elements(
            lambda key, struct: key > 9 and struct["x"] > 200 and struct["c"] in "rb"
        )
    ]
    assert hits_of(client.query(NAME, text)) == expected
    page = client.query(NAME, text, limit=9, offset=4)
    assert hits_of(page) == expected[4:13]
    walk = client.query_iterator(NAME, batch_size=4, filter=text)
    found: Hits = []
    while batch := walk.next():
        found += hits_of(batch)
    walk.close()
    assert found == expected
    count = client.query(NAME, text, output_fields=["count(*)"])
    assert count[0]["count(*)"] == len({key for key, _ in expected})


@pytest.mark.parametrize(
    ("text", "accept"),
    [
        ("match_all(s, $[x] > 500)", lambda s: all(e["x"] > 500 for e in s or ())),
        ('MATCH_ANY(s, $[c] == "b")', lambda s: any(e["c"] == "b" for e in s or ())),
        (
            'match_least(s, $[c] != "r" and $[x] > 90, threshold=2)',
            lambda s: sum(e["c"] != "r" and e["x"] > 90 for e in s or ()) >= 2,
        ),
        (
            "match_most(s, $[x] > 600, threshold=0)",
            lambda s: not any(e["x"] > 600 for e in s or ()),
        ),
        (
            'match_exact(s, $[c] == "r", threshold=2)',
            lambda s: sum(e["c"] == "r" for e in s or ()) == 2,
        ),
        ("s is null", lambda s: s is None),
        ("s is not null", lambda s: s is not None),
        ("array_length(s) == 2", lambda s: s is not None and len(s) == 2),
        ("array_length(s[e]) < 2", lambda s: s is not None and len(s) < 2),
        (
            "array_contains_any(s[x], [31, 62, 1000])",
            lambda s: any(e["x"] in (31, 62, 1000) for e in s or ()),
        ),
        ("s[1][x] > 500", lambda s: len(s or ()) > 1 and s[1]["x"] > 500),
        ("20 < s[0][x] < 90", lambda s: bool(s) and 20 < s[0]["x"] < 90),
    ],
)
def test_rows_are_filtered_by_their_elements(
    client: Any, text: str, accept: Callable[[list[Struct] | None], bool]
) -> None:
    """A null struct counts as one without elements, and as no array."""
    found = client.query(NAME, filter=text, output_fields=["id"])
    assert [row["id"] for row in found] == [
        row["id"] for row in ROWS if accept(row["s"])
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("element_filter(s, $[x] > 1) and id > 1", "can only be the last expression"),
        ("element_filter(s, $[x] > 1) or id > 1", "can only be the last expression"),
        ("not element_filter(s, $[x] > 1)", "cannot be used in unary expression"),
        ("element_filter(s, match_any(s, $[x] > 1))", "nested MATCH_ANY"),
        ("element_filter(s, $[y] > 1)", "struct field not found"),
        ("element_filter(t, $[x] > 1)", "struct field not found"),
        ("element_filter(s)", "mismatched input"),
        ("s[x][0] > 1", "invalid expression"),
        ("array_length(s[0][x]) > 1", "mismatched input"),
        ("$[x] > 1", "can only be used inside ElementFilter or MATCH"),
    ],
)
def test_filters_that_make_no_sense(client: Any, text: str, complaint: str) -> None:
    """They are refused in Milvus' words."""
    with pytest.raises(MilvusException, match=complaint):
        client.query(NAME, filter=text)


def test_elements_are_filtered_only_where_elements_are_searched(client: Any) -> None:
    """A search for rows takes a condition on rows."""
    with pytest.raises(MilvusException, match="only supported for element-level"):
        search(client, anns_field="v", filter="element_filter(s, $[x] > 1)")
    found = search(client, anns_field="v", filter="match_any(s, $[x] > 1180)")
    assert [hit["id"] for hit in found] == [118]
