"""How servers are compared: ratios, bars, and that the comparison runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers.report import misses, table

ROOT = Path(__file__).parents[2]
QPS, P50 = "search_0.99_1_qps", "search_0.99_1_p50_ms"


def _row(text: str, title: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if f"| {title} " in line]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_ratio_above_one_is_in_our_favour() -> None:
    """Rates are divided by the peer's, times the other way round; medians of rounds."""
    results = {
        "elanus": {QPS: [100.0, 300.0, 200.0], P50: [1.0]},
        "milvus": {QPS: [100.0], P50: [3.0]},
    }
    text = table(results, is_full=True)
    assert _row(text, "search, recall 0.99, 1 client")[1:3] == ["200/s", "2 × (100/s)"]
    assert _row(text, "its p50")[1:3] == ["1 ms", "3 × (3 ms)"]


@pytest.mark.parametrize(("ours", "is_missed"), [(220.0, False), (219.0, True)])
def test_a_bar_is_a_ratio_to_milvus(ours: float, is_missed: bool) -> None:
    """On its bar a ratio passes; below it the line is named."""
    results = {"elanus": {QPS: [ours]}, "milvus": {QPS: [100.0]}}
    assert (misses(results, True) == ["search, recall 0.99, 1 client"]) is is_missed
    assert misses(results, is_full=False) == []


@pytest.mark.parametrize(("parsed", "is_missed"), [(125.0, False), (126.0, True)])
def test_a_bar_may_name_others(parsed: float, is_missed: bool) -> None:
    """Every server that is there and named by a bar has to be met."""
    name, title = "insert_384_rows_s", "insert 384 floats and 3 scalars"
    results = {
        "elanus": {name: [100.0]},
        "milvus": {name: [70.0]},
        "parser": {name: [parsed]},
    }
    assert (misses(results, is_full=True) == [title]) is is_missed


def test_a_missing_peer_is_no_verdict() -> None:
    """Without Milvus there is nothing to compare with, and absolute bars remain."""
    results = {"elanus": {QPS: [1.0], "cold_start_s": [1.6]}}
    assert misses(results, is_full=True) == ["start to first answer"]


@pytest.mark.slow
def test_the_comparison_runs_without_a_network(tmp_path: Path) -> None:
    """A small run starts, loads and measures Elanus, and leaves its folder empty."""
    data, results = tmp_path / "data", tmp_path / "results"
    command = [sys.executable, "-m", "bench.peers", "--scale", "small"]
    subprocess.run(
        [*command, "--folder", data, "--results", results],
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    figures = json.loads((results / "peers.json").read_text())["figures"]["elanus"]
    assert figures["search_0.99_4_recall"][0] > 0.95
    assert figures["filtered_0.01_recall"][0] > 0.95
    assert figures["cold_start_s"][0] > 0
    for kind in ("insert_384", "insert_768", "upsert_384", "delete_384"):
        assert figures[f"{kind}_rows_s"][0] > 0
    assert not any(data.iterdir())
