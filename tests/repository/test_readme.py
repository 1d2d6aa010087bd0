"""That the tutorial of the README runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repository.sources import ROOT
from serving.process import serve

BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
OF_THE_SERVER = 'port="19530"'


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    """The Python blocks, one after the other in an empty folder, raise nothing."""
    blocks = [block for block in _blocks() if OF_THE_SERVER not in block]
    assert len(blocks) >= 2
    done = _run("\n".join(blocks), tmp_path, "-W", "error")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "app.db").is_dir()
    assert re.search(r"^\d+ \d+$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_the_servers_tutorial_runs(tmp_path: Path) -> None:
    """It finds the row that it asks for, at distance 0, and others after it."""
    pytest.importorskip("pymilvus", reason="needs the extra milvus")
    block = next(block for block in _blocks() if OF_THE_SERVER in block)
    before = "import numpy as np\nrng = np.random.default_rng(1)\n"
    with serve(tmp_path / "data") as served:
        here = block.replace(OF_THE_SERVER, f'port="{served.port}"')
        done = _run(before + here, tmp_path)
    assert done.returncode == 0, done.stderr
    hits = [line.split() for line in done.stdout.splitlines()]
    assert hits[0] == ["0", "0.0"]
    distances = [float(distance) for _, distance in hits]
    assert len(hits) == 5 and distances == sorted(distances)


def _blocks() -> list[str]:
    return BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def _run(program: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "tutorial.py").write_text(program, encoding="utf-8")
    return subprocess.run(
        [sys.executable, *options, "tutorial.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
