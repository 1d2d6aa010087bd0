"""What a running server tells its monitor and its log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.process import Served, serve

pytest.importorskip("pymilvus", reason="needs the extra milvus")
from pymilvus import MilvusClient

DIM, ROWS = 4, 6_000


def _samples(served: Served) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    _, text = served.get("/metrics")
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, "the same series twice"
            samples[key] = sample.value
    return samples


def _fill(client: MilvusClient, rows: int) -> None:
    client.create_collection("docs", dimension=DIM, metric_type="L2")
    vectors = np.random.default_rng(1).random((rows, DIM), np.float32)
    client.insert(
        "docs", [{"id": i, "vector": v.tolist()} for i, v in enumerate(vectors)]
    )


def test_metrics_follow_the_database(tmp_path: Path) -> None:
    """Rows, segments, memory, syncs and jobs, by collection and its database."""
    with serve(tmp_path / "data") as served:
        uri = f"http://{served.address}"
        client = MilvusClient(uri)
        _fill(client, ROWS)
        client.create_database("other")
        _fill(MilvusClient(uri, db_name="other"), 10)
        client.delete("docs", ids=[1, 2, 3])
        client.flush("docs")
        samples = _samples(served)

        def of(name: str, **labels: str) -> float:
            return samples[f"elanus_{name}", frozenset(labels.items())]

        here = {"database": "default", "collection": "docs"}
        there = {"database": "other", "collection": "docs"}
        assert of("rows", **here) == ROWS - 3
        assert of("rows", **there) == 10
        assert of("segments", **here) >= 1
        assert of("memory_bytes", **here, kind="mapped") > ROWS * DIM * 4
        assert of("memory_bytes", **there, kind="anonymous") > 0
        assert of("unindexed_rows", **there) == 0
        assert of("log_syncs_total") >= 3
        assert of("log_sync_seconds_total") > 0
        assert of("process_memory_bytes", kind="anonymous") > 1 << 20
        assert of("calls_total", operation="Insert", code="0") == 2
        client.drop_collection("docs")
        assert not [key for key in _samples(served) if set(here.items()) <= key[1]]


def test_slow_calls_are_logged_as_json(tmp_path: Path) -> None:
    """With a limit of nothing each call is a line, whose fields can be read."""
    with serve(tmp_path / "data", "--slow-ms", "0", "--log-format", "json") as served:
        MilvusClient(f"http://{served.address}").list_collections()
        assert served.stop() == 0
        lines = [orjson.loads(line) for line in served.errors.read_text().splitlines()]
    listed = [line for line in lines if line.get("operation") == "ShowCollections"]
    assert len(listed) == 1
    assert listed[0]["level"] == "warning"
    assert listed[0]["code"] == 0
    assert 0 < listed[0]["seconds"] < 10
    assert listed[0]["message"].startswith("slow: ShowCollections")


def test_a_quiet_log_holds_what_matters_only(tmp_path: Path) -> None:
    """Below the chosen level nothing is written."""
    with serve(tmp_path / "data", "--slow-ms", "0", "--log-level", "error") as served:
        MilvusClient(f"http://{served.address}").list_collections()
        assert served.stop() == 0
        assert served.errors.read_text() == ""
