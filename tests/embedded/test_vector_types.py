"""Every type of vector through a whole life: written, flushed, merged, replayed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import elanus
from elanus.config import Settings
from elanus.errors import InvalidParameter
from elanus.schema.schema import CollectionSchema, FieldSchema
from elanus.schema.types import DataType
from model.worlds import inline_world

DIM = 32
ROWS = 400
# Segments of any size get their index.
SMALL = Settings(index_rows=2, merge_factor=2, worker_threads=1)
SPARSE = DataType.SPARSE_FLOAT_VECTOR


@dataclass(frozen=True)
class Kind:
    """One type of vector, with an index and a metric of its own."""

    dtype: DataType
    index_type: str
    metric: str
    params: tuple[tuple[str, int], ...] = ()


KINDS = [
    Kind(DataType.FLOAT_VECTOR, "HNSW", "L2"),
    Kind(DataType.FLOAT_VECTOR, "IVF_FLAT", "COSINE", (("nlist", 4),)),
    Kind(DataType.FLOAT16_VECTOR, "HNSW", "COSINE"),
    Kind(DataType.FLOAT16_VECTOR, "IVF_FLAT", "L2", (("nlist", 4),)),
    Kind(DataType.BFLOAT16_VECTOR, "AUTOINDEX", "IP"),
    Kind(DataType.BFLOAT16_VECTOR, "IVF_SQ8", "COSINE", (("nlist", 4),)),
    Kind(DataType.INT8_VECTOR, "HNSW", "L2"),
    Kind(DataType.INT8_VECTOR, "AUTOINDEX", "COSINE"),
    Kind(DataType.BINARY_VECTOR, "BIN_IVF_FLAT", "HAMMING", (("nlist", 4),)),
    Kind(DataType.BINARY_VECTOR, "BIN_IVF_FLAT", "JACCARD", (("nlist", 4),)),
    Kind(DataType.BINARY_VECTOR, "AUTOINDEX", "HAMMING"),
    Kind(SPARSE, "SPARSE_INVERTED_INDEX", "IP"),
    Kind(SPARSE, "AUTOINDEX", "IP"),
]


def vectors_of(dtype: DataType, count: int, seed: int) -> list[Any]:
    """Random vectors as Python and Arrow tell them, exactly representable."""
    rng = np.random.default_rng(seed)
    if dtype is SPARSE:
        return [
            {
                int(i): float(np.float32(rng.random() + 0.1))
                for i in sorted(rng.choice(60, rng.integers(0, 9), replace=False))
            }
            for _ in range(count)
        ]
    if dtype is DataType.BINARY_VECTOR:
        return rng.integers(0, 256, (count, DIM // 8)).tolist()
    if dtype is DataType.INT8_VECTOR:
        return rng.integers(-128, 128, (count, DIM)).tolist()
    return (rng.integers(-250, 250, (count, DIM)) / 2).tolist()


def read_back(dtype: DataType, value: Any) -> Any:
    """A value of an answer as :func:`vectors_of` has it."""
    if value is None:
        return None
    if dtype is SPARSE:
        return {entry["index"]: entry["value"] for entry in value}
    if dtype is DataType.BFLOAT16_VECTOR:
        wide = np.array(value, np.uint32) << 16
        return wide.view(np.float32).tolist()
    return value


def as_query(dtype: DataType, vector: Any) -> Any:
    """A vector in one of the forms that queries may have."""
    if dtype is DataType.BINARY_VECTOR:
        return bytes(vector)
    return np.array(vector, np.int8) if dtype is DataType.INT8_VECTOR else vector


def distance(kind: Kind, row: Any, query: Any) -> float:
    """The metric's own score, computed the long way."""
    if kind.dtype is SPARSE:
        return sum(row[i] * query[i] for i in row.keys() & query.keys())
    one, other = np.array(row), np.array(query)
    if kind.dtype is DataType.BINARY_VECTOR:
        one, other = np.unpackbits(one.astype("u1")), np.unpackbits(other.astype("u1"))
        differ, either = (one ^ other).sum(), (one | other).sum()
        return float(differ if kind.metric == "HAMMING" else differ / either)
    one, other = one.astype(float), other.astype(float)
    if kind.metric == "L2":
        return float(((one - other) ** 2).sum())
    product = float(one @ other)
    if kind.metric == "IP":
        return product
    return product / float(np.linalg.norm(one) * np.linalg.norm(other))


class Life:
    """A collection and what it should hold."""

    def __init__(self, path: Path, kind: Kind, *, nullable: bool) -> None:
        self.path, self.kind, self.nullable = path, kind, nullable
        self.rows: dict[int, Any] = {}
        self.db = elanus.open(path, world=inline_world(SMALL))
        dim = None if kind.dtype is SPARSE else DIM
        field = FieldSchema("vector", kind.dtype, dim=dim, nullable=nullable)
        key = FieldSchema("id", DataType.INT64, is_primary=True)
        schema = CollectionSchema((key, field))
        self.docs = self.db.create_collection("docs", schema, metric=kind.metric)

    def draw(self, ids: list[int], seed: int) -> dict[str, Any]:
        """New rows; of a nullable field every third has no vector."""
        vectors = vectors_of(self.kind.dtype, len(ids), seed)
        if self.nullable:
            pairs = zip(ids, vectors, strict=True)
            vectors = [None if i % 3 == 0 else v for i, v in pairs]
        self.rows.update(zip(ids, vectors, strict=True))
        return {"id": ids, "vector": vectors}

    def example(self) -> Any:
        """One query, as the field takes it."""
        (query,) = vectors_of(self.kind.dtype, 1, 99)
        return as_query(self.kind.dtype, query)

    def reopen(self) -> None:
        """Close, and read everything again."""
        self.db.close()
        self.db = elanus.open(self.path, world=inline_world(SMALL))
        self.docs = self.db.collection("docs")

    def check(self) -> None:
        """All rows come back bit for bit, and searches find the nearest of them."""
        table = self.docs.query("id >= 0", output_fields=["vector"])
        columns = [table.column(name).to_pylist() for name in ("id", "vector")]
        found = dict(zip(*columns, strict=True))
        dtype = self.kind.dtype
        assert {i: read_back(dtype, v) for i, v in found.items()} == self.rows
        queries = vectors_of(dtype, 3, 99)
        for query in queries:
            self._check_search(query, "")
            self._check_search(query, "id % 2 == 0")

    def _check_search(self, query: Any, where: str) -> None:
        kind = self.kind
        hits = self.docs.search(
            as_query(kind.dtype, query),
            limit=5,
            filter=where,
            output_fields=["vector"],
            params={},
        )
        scores = {
            i: distance(kind, v, query)
            for i, v in self.rows.items()
            if v is not None and not (where and i % 2)
        }
        if kind.dtype is SPARSE:
            scores = {i: score for i, score in scores.items() if score}
        larger = kind.metric in ("IP", "COSINE")
        best = sorted(scores.values(), reverse=larger)[:5]
        ids = hits.column("id").to_pylist()
        told = hits.column("score").to_pylist()
        assert len(ids) == len(best)
        np.testing.assert_allclose(told, [scores[i] for i in ids], rtol=1e-4, atol=1e-5)
        if kind.index_type != "BIN_IVF_FLAT":  # a few lists need not have the nearest
            np.testing.assert_allclose(told, best, rtol=1e-4, atol=1e-5)
        column = hits.column("vector").to_pylist()
        assert [read_back(kind.dtype, v) for v in column] == [self.rows[i] for i in ids]


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.dtype.name}-{k.index_type}")
def test_a_whole_life(tmp_path: Path, kind: Kind, nullable: bool) -> None:
    """In memory, replayed, on files, indexed, merged and replaced: always the same."""
    life = Life(tmp_path / "a.db", kind, nullable=nullable)
    half = ROWS // 2
    life.docs.insert(life.draw(list(range(half)), 1))
    life.check()
    life.reopen()  # from the log
    life.check()
    life.docs.flush()
    life.check()
    life.docs.insert(life.draw(list(range(half, ROWS)), 2))
    life.docs.upsert(life.draw([1, 2, 3, half + 1], 3))
    life.docs.delete([5, 6, half + 5])
    for gone in (5, 6, half + 5):
        del life.rows[gone]
    life.check()  # on files and in memory
    life.docs.create_index(
        index_type=kind.index_type, metric=kind.metric, params=dict(kind.params)
    )
    life.docs.optimize()
    (index,) = life.docs.describe_index()
    assert (index["state"], index["indexed_rows"]) == ("Finished", len(life.rows))
    life.check()
    if (kind.index_type, kind.dtype) != ("AUTOINDEX", DataType.BINARY_VECTOR):
        (step,) = life.docs.explain.search(life.example(), limit=2).segments
        assert step.search is not None and step.search.strategy == "index"
    life.reopen()
    life.check()
    life.db.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.dtype.name}-{k.index_type}")
def test_nothing_but_nulls(tmp_path: Path, kind: Kind) -> None:
    """Rows without a vector can be kept, indexed and read; a search finds none."""
    life = Life(tmp_path / "a.db", kind, nullable=True)
    life.docs.insert({"id": [0, 3, 6]})
    life.docs.insert({"id": [9, 12], "vector": [None, None]})
    life.rows = dict.fromkeys([0, 3, 6, 9, 12])
    life.check()
    life.docs.create_index(
        index_type=kind.index_type, metric=kind.metric, params=dict(kind.params)
    )
    life.docs.optimize()
    life.check()
    life.reopen()
    life.check()
    life.db.close()


def test_only_nullable_fields_take_nulls(tmp_path: Path) -> None:
    """A missing vector of a field that is not nullable is refused; nothing is kept."""
    life = Life(tmp_path / "a.db", KINDS[0], nullable=False)
    with pytest.raises(InvalidParameter, match="is not nullable"):
        life.docs.insert({"id": [1, 2], "vector": [[1.0] * DIM, None]})
    with pytest.raises(InvalidParameter, match="no corresponding fieldData"):
        life.docs.insert({"id": [1, 2]})
    assert len(life.docs) == 0
    life.db.close()


def test_arrow_of_an_answer_can_be_inserted(tmp_path: Path) -> None:
    """What a query returns is taken back as it is, of every type."""
    for number, kind in enumerate(KINDS):
        life = Life(tmp_path / f"{number}.db", kind, nullable=bool(number % 2))
        life.docs.insert(life.draw(list(range(20)), 1))
        table = life.docs.query("id >= 0", output_fields=["vector"])
        assert isinstance(table, pa.Table)
        life.docs.upsert(table)
        life.check()
        life.db.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k.dtype.name}-{k.index_type}")
def test_a_field_can_be_added(tmp_path: Path, kind: Kind) -> None:
    """Older rows have no vector in it, wherever they are; it is indexed like others."""
    life = Life(tmp_path / "a.db", KINDS[0], nullable=False)
    life.docs.insert({"id": [1], "vector": [[1.0] * DIM]})
    life.docs.flush()
    life.docs.insert({"id": [2], "vector": [[2.0] * DIM]})
    dim = None if kind.dtype is SPARSE else DIM
    life.docs.add_field(FieldSchema("more", kind.dtype, dim=dim, nullable=True))
    given = as_query(kind.dtype, vectors_of(kind.dtype, 1, 99)[0])
    rows = [{"id": 3, "vector": [3.0] * DIM, "more": given}]
    life.docs.insert([*rows, {"id": 4, "vector": [4.0] * DIM}])

    def check() -> None:
        hits = life.docs.search(given, field="more", limit=5)
        assert hits.column("id").to_pylist() == [3]
        table = life.docs.query("id > 0", output_fields=["more"])
        stored = table.column("more").to_pylist()
        assert [value is None for value in stored] == [True, True, False, True]

    check()
    life.reopen()
    check()
    life.docs.create_index(
        "more", index_type=kind.index_type, metric=kind.metric, params=dict(kind.params)
    )
    life.docs.optimize()
    check()
    life.db.close()


@pytest.mark.parametrize(
    ("dtype", "index_type", "metric", "text"),
    [
        (DataType.BINARY_VECTOR, "BIN_FLAT", "L2", "binary vector index does not"),
        (DataType.BINARY_VECTOR, "HNSW", "HAMMING", "BinaryVector can't build"),
        (
            SPARSE,
            "SPARSE_WAND",
            "L2",
            "only IP&BM25 is the supported",
        ),
        (SPARSE, "IVF_FLAT", "IP", "SparseFloatVector can't build"),
        (
            DataType.INT8_VECTOR,
            "FLAT",
            "L2",
            "Int8Vector can't build with",
        ),
        (
            DataType.FLOAT_VECTOR,
            "BIN_FLAT",
            "L2",
            "FloatVector can't build with",
        ),
        (
            DataType.FLOAT_VECTOR,
            "HNSW",
            "HAMMING",
            "float vector index does not",
        ),
    ],
)
def test_indexes_for_other_vectors(
    tmp_path: Path, dtype: DataType, index_type: str, metric: str, text: str
) -> None:
    """An index kind or metric that a type of vectors does not have is refused."""
    life = Life(tmp_path / "a.db", Kind(dtype, "", ""), nullable=False)
    with pytest.raises(InvalidParameter, match=text):
        life.docs.create_index(index_type=index_type, metric=metric)
    life.db.close()
