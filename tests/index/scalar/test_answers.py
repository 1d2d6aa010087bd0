"""Every kind of scalar index against a scan: the same rows, true and unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.expr.bind import compile_filter
from elanus.expr.evaluate import truth
from elanus.expr.predicate import Condition, field_read, leaves_of
from elanus.index.scalar import postings
from elanus.index.scalar.base import ScalarBuild, ScalarIndex
from elanus.index.scalar.json_path import keys_of
from elanus.index.scalar.layouts import NOTHING, build_scalar, open_scalar
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from expr.columns import Columns, columns_of, schema_of
from expr.reference import FIELDS, LEAVES, ROW, Sample

SCHEMA = schema_of(FIELDS)
GRAMS = {"min_gram": "1", "max_gram": "2"}
PATHS = {"doc": ["", "/x", "/x/k", "/y", "/y/0"], "$meta": ["/dyn", "/dyn/m", "/more"]}
CASTS = ["BOOL", "DOUBLE", "VARCHAR", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR"]


class Indexes:
    """Every index that some columns can have, built when a field is first asked for."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._known: dict[int, list[ScalarIndex]] = {}

    def of(self, field: FieldSchema) -> list[ScalarIndex]:
        """Those of a field and of places in its documents."""
        if field.id not in self._known:
            self._known[field.id] = list(self._build(field))
        return self._known[field.id]

    def _build(self, field: FieldSchema) -> Iterator[ScalarIndex]:
        wanted: list[tuple[str, dict[str, str], str]] = []
        for path in PATHS.get(field.name, ()):
            wanted += [("", {"json_cast_type": cast}, path) for cast in CASTS]
            wanted.append(("NGRAM", {**GRAMS, "json_cast_type": "VARCHAR"}, path))
        if field.name not in PATHS:
            wanted.append(("INVERTED", {}, ""))
        if field.dtype is DataType.VARCHAR:
            wanted.append(("NGRAM", GRAMS, ""))
        column = self._columns.column(field.id)
        for kind, params, path in wanted:
            request = ScalarBuild(field, column, kind, params, keys_of(path))
            meta, parts = build_scalar(request)
            if meta.layout != NOTHING:
                yield open_scalar(meta, parts, field.name)


def check(condition: Condition, columns: Columns, indexes: Indexes) -> int:
    """Every index that serves a leaf answers as a scan does; how many do."""
    field_id = field_read(condition)
    if field_id is None:
        return 0
    scanned = truth(condition, columns)
    n_rows = columns.n_rows
    unknown = [False] * n_rows if scanned.unknown is None else scanned.unknown.tolist()
    answered = 0
    for index in indexes.of(SCHEMA.by_id[field_id]):
        lookup = index.lookup(condition)
        if lookup is None:
            continue
        answered += 1
        answer = lookup.answer(columns)
        assert answer.true.tolist() == scanned.true.tolist(), (index, condition)
        found = [False] * n_rows if answer.unknown is None else answer.unknown.tolist()
        assert found == unknown, (index, condition)
        if lookup.is_exact:
            assert lookup.rows == np.count_nonzero(answer.true), (index, condition)
    return answered


@pytest.mark.parametrize("most_bitmaps", [0, 32])
def test_indexes_answer_as_scans_do(
    most_bitmaps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an index serves, it serves exactly: true, false and unknown rows."""
    monkeypatch.setattr(postings, "MOST_BITMAPS", most_bitmaps)

    @settings(max_examples=60)
    @given(
        st.lists(LEAVES, min_size=1, max_size=4), st.lists(ROW, min_size=1, max_size=8)
    )
    def answers_agree(samples: list[Sample], rows: list[dict[str, Any]]) -> None:
        columns = columns_of(SCHEMA, [{"id": n, **row} for n, row in enumerate(rows)])
        indexes = Indexes(columns)
        for sample in samples:
            predicate = compile_filter(sample.text, SCHEMA, dict(sample.params))
            for leaf in leaves_of(predicate.condition):
                check(leaf, columns, indexes)

    answers_agree()


TEXTS = [f"w{n % 700:03d} {'rare' if n % 97 == 0 else 'common'} é" for n in range(3000)]
MANY = [
    {
        "id": n,
        "small": None if n % 11 == 0 else n % 100,
        "big": n * n,
        "real": n / 7,
        "wide": -n / 3,
        "flag": None if n % 5 == 0 else n % 2 == 0,
        "word": None if n % 13 == 0 else TEXTS[n],
        "text": TEXTS[n],
        "doc": {"x": n if n % 3 else str(n), "y": [n % 50, "t"], "z": TEXTS[n]},
        "nums": None if n % 17 == 0 else [n % 40, n % 7, n % 7],
        "tags": [f"t{n % 60}", "all"][: n % 3],
        "$meta": {"dyn": n % 200} if n % 2 else {"dyn": n % 2 == 0},
    }
    for n in range(3000)
]
SERVED = [
    ("big > 100 and big <= 5000", 1),
    ("big in [1, 4, 5, 9000000000]", 1),
    ("big != 4", 1),
    ("small % 10 == 3", 1),
    ("0 <= small < 5", 1),
    ("real < 3.5", 1),
    ("wide >= -10", 1),
    ("flag == true", 1),
    ('word == "w097 rare é"', 2),
    ('word != "w097 rare é"', 1),
    ('word > "w5"', 1),
    ('word in ["w097 rare é", "no"]', 1),
    ('word like "w09%"', 2),
    ('word like "w%rare%"', 2),
    ('word like "%rare _"', 2),
    ('word =~ "rar[e] é$"', 2),
    ('text =~ "a|b"', 1),
    ('starts_with(text, "w09")', 2),
    ('doc["x"] < 100', 1),
    ('doc["x"] in [1, 2, 300]', 1),
    ('doc["x"] == "33"', 2),
    ('doc["x"] like "3%"', 2),
    ('exists doc["x"]', 6),
    ('doc["x"] == 9007199254740993', 0),
    ('doc["x"] + 1 == 5', 0),
    ('json_contains(doc["y"], 3)', 1),
    ('json_contains_any(doc["y"], [3, 4, 77])', 1),
    ('json_contains_all(doc["y"], [3, 4])', 1),
    ('json_contains(doc["y"], "t")', 1),
    ('json_contains_any(doc["y"], [3, "t"])', 0),
    ("dyn == 7", 1),
    ("dyn == true", 1),
    ("array_contains(nums, 3)", 1),
    ("array_contains_all(nums, [3, 1])", 1),
    ("array_contains_any(nums, [3, 99])", 1),
    ("nums[0] == 3", 1),
    ("nums[2] < 3", 1),
    ('tags[0] == "t5"', 1),
    ('tags[0] like "t1%"', 1),
    ('array_contains(tags, "all")', 1),
    ("array_length(tags) == 1", 0),
    ("small == big", 0),
]


@pytest.fixture(scope="module")
def many() -> tuple[Columns, Indexes]:
    """3,000 rows and their indexes."""
    columns = columns_of(SCHEMA, MANY)
    return columns, Indexes(columns)


@pytest.mark.parametrize(("text", "answered"), SERVED, ids=[text for text, _ in SERVED])
def test_what_each_index_serves(
    text: str, answered: int, many: tuple[Columns, Indexes]
) -> None:
    """So many indexes serve an expression's leaves, and all of them exactly."""
    condition = compile_filter(text, SCHEMA).condition
    assert sum(check(leaf, *many) for leaf in leaves_of(condition)) == answered
