"""Iterators of a real client over a million rows, and the memory they take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus.schema.schema import FieldSchema
from elanus.schema.types import DataType
from serving.process import Served, serve

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient

pytestmark = pytest.mark.slow

N_ROWS = 1_000_000
DIM = 16
BATCH = 10_000
MOST_GROWTH_MIB = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a million rows in several segments, keys out of order."""
    path = tmp_path_factory.mktemp("million") / "db"
    rng = np.random.default_rng(5)
    keys = rng.permutation(N_ROWS)
    with elanus.open(path) as db:
        fields = [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("n", DataType.INT64),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
        ]
        docs = db.create_collection("docs", fields, metric="L2")
        for start in range(0, N_ROWS, 50_000):
            ids = keys[start : start + 50_000]
            vectors = rng.standard_normal((len(ids), DIM)).astype(np.float32)
            docs.insert({"id": ids, "n": ids % 1000, "vector": vectors})
        docs.create_index("vector", index_type="FLAT")
        docs.flush()
    return path


def _resident_mib(served: Served) -> int:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) // 1024


def _batches(iterator: Any) -> Iterator[list[dict[str, Any]]]:
    while batch := iterator.next():
        yield list(batch)
    iterator.close()


def test_a_million_rows_in_bounded_memory(folder: Path) -> None:
    """Every row once, in order, while the server's memory stays about what it was."""
    with serve(folder) as served:
        client = MilvusClient(f"http://{served.address}")
        client.load_collection("docs")
        vector = [0.5] * DIM
        client.search("docs", [vector], limit=10)
        client.query("docs", filter="n < 900", limit=10)
        base, largest = _resident_mib(served), 0
        walks: dict[str, Callable[[], Any]] = {
            "query": lambda: client.query_iterator(
                "docs", filter="n < 900", output_fields=["n"], batch_size=BATCH
            ),
            "search": lambda: client.search_iterator(
                "docs", [vector], batch_size=BATCH, output_fields=["n"]
            ),
            "again": lambda: client.search_iterator(
                "docs", [vector], filter="n < 900", batch_size=BATCH
            ),
        }
        for name, begin in walks.items():
            seen = np.zeros(N_ROWS, np.bool_)
            last: float = -1
            for batch in _batches(begin()):
                ids = np.array([row["id"] for row in batch])
                assert not seen[ids].any()
                seen[ids] = True
                order = "id" if name == "query" else "distance"
                values = np.array([row[order] for row in batch])
                assert values[0] >= last and (np.diff(values) >= 0).all()
                last = float(values[-1])
                largest = max(largest, _resident_mib(served))
            wanted = np.ones(N_ROWS, np.bool_)
            if name != "search":
                wanted = np.arange(N_ROWS) % 1000 < 900
            assert (seen == wanted).all(), name
        client.close()
    assert largest - base < MOST_GROWTH_MIB
