"""Asking for a recall, in one's own process and as Milvus' client does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elanus
from elanus.errors import InvalidParameter

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusException

DIM, ROWS = 8, 300
VECTORS = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
BAD: list[dict[str, Any]] = [
    {"recall_target": 0},
    {"recall_target": -0.5},
    {"recall_target": 1.01},
    {"recall_target": "much"},
    {"recall_target": True},
    {"recall_target": [0.9]},
    {"recall_target": float("nan")},
    {"recall_target": 0.9, "ef": 64},
    {"recall_target": 0.9, "nprobe": 8},
    {"recall_target": 0.9, "level": 2},
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One collection of some rows."""
    client = elanus.MilvusClient(str(tmp_path_factory.mktemp("asked") / "app.db"))
    client.create_collection("docs", dimension=DIM, metric_type="L2")
    rows = [{"id": i, "vector": v.tolist()} for i, v in enumerate(VECTORS)]
    client.insert("docs", rows)
    yield client
    client.close()


@pytest.mark.parametrize(
    "params", [{"recall_target": 0.95}, {"params": {"recall_target": 0.95}}]
)
@pytest.mark.parametrize("more", [{}, {"radius": 20.0}])
def test_milvus_clients_may_ask(
    client: Any, params: dict[str, Any], more: dict[str, Any]
) -> None:
    """At the top of the search parameters or inside ``params``; with a radius, too."""
    inside = {**params.get("params", params), **more}
    asked = {"params": inside} if "params" in params else inside
    query = VECTORS[7].tolist()
    hits = client.search("docs", [query], limit=3, search_params=asked)[0]
    true = np.argsort(((VECTORS - VECTORS[7]) ** 2).sum(axis=1))[:3]
    assert [hit["id"] for hit in hits] == true.tolist()


@pytest.mark.parametrize("params", BAD[:6] + BAD[7:], ids=str)
def test_milvus_clients_are_told_what_is_wrong(
    client: Any, params: dict[str, Any]
) -> None:
    """1100, and a text that names the parameter."""
    with pytest.raises(MilvusException, match="recall_target") as refused:
        client.search("docs", [VECTORS[7].tolist()], limit=3, search_params=params)
    assert refused.value.code == 1100


@pytest.mark.parametrize("params", BAD, ids=str)
def test_bad_targets_are_refused(tmp_path: Path, params: dict[str, Any]) -> None:
    """Also in one's own process, as an option or among the parameters."""
    with elanus.open(tmp_path / "app.db") as db:
        docs = db.create_collection("docs", dim=DIM, metric="L2")
        docs.insert({"id": np.arange(ROWS), "vector": VECTORS})
        with pytest.raises(InvalidParameter, match="recall_target"):
            docs.search(VECTORS[7], params=params)
        rest = {k: v for k, v in params.items() if k != "recall_target"}
        with pytest.raises(InvalidParameter, match="recall_target"):
            docs.search(VECTORS[7], params=rest, recall_target=params["recall_target"])
        assert docs.search(VECTORS[7], limit=1, recall_target=1.0)["id"][0].as_py() == 7


def test_every_index_takes_a_target(tmp_path: Path) -> None:
    """Exact kinds ignore it; groups, walks and several segments are served as well."""
    with elanus.open(tmp_path / "app.db") as db:
        docs = db.create_collection("docs", dim=DIM, metric="L2")
        for part in range(3):
            rows = slice(100 * part, 100 * part + 100)
            ids = np.arange(ROWS)[rows]
            docs.insert({"id": ids, "vector": VECTORS[rows], "topic": ids % 7})
            docs.flush()
        docs.create_index(index_type="FLAT")
        docs.optimize()
        docs.insert({"id": [ROWS], "vector": VECTORS[:1] + 9, "topic": [0]})
        true = np.argsort(((VECTORS - VECTORS[7]) ** 2).sum(axis=1))[:10]
        hits = docs.search(VECTORS[7], recall_target=0.9)
        assert hits["id"].to_pylist() == true.tolist()
        grouped = docs.search(VECTORS[7], group_by="topic", recall_target=0.9)
        assert len(grouped) == 7
