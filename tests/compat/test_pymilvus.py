"""Programs that newcomers write, under every pymilvus, against ``elanus serve``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compat.environments import RELEASES, IndexUnreachable, python_with
from serving.process import serve, unused_port

PROGRAMS = Path(__file__).parent / "programs"
PROGRAM_SECONDS = 200.0
MANY_ROWS = 100_000
SOME_ROWS = 10_000
# MilvusClient came with 2.2.9.
WITH_CLIENT = tuple(r for r in RELEASES if not r.startswith(("2.0.", "2.1.")))
# Every release sends 100,000 rows through the usual transport, the newest through both.
ROUNDS = [
    (release, transport, MANY_ROWS if usual or release == RELEASES[-1] else SOME_ROWS)
    for transport, usual in (("native", True), ("grpcio", False))
    for release in RELEASES
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _python(release: str) -> Path:
    try:
        return python_with(release)
    except IndexUnreachable as reason:
        pytest.skip(f"pymilvus {release} cannot be installed, no index: {reason}")
    except FileNotFoundError:
        pytest.skip("uv is not installed; it makes the environments")


def _run(python: Path, program: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(python), str(PROGRAMS / program), *arguments],
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        cwd=cwd,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.mark.parametrize(("release", "transport", "n_rows"), ROUNDS)
def test_the_tutorial_holds(
    release: str, transport: str, n_rows: int, tmp_path: Path
) -> None:
    """Connect, create, insert, index, load, search, release, drop; Milvus' errors."""
    python = _python(release)
    with serve(tmp_path / "data", "--transport", transport) as served:
        arguments = (served.host, served.port, str(unused_port()), str(n_rows))
        said = _run(python, "tutorial.py", *arguments, cwd=tmp_path)
        assert f"pymilvus {release}: the tutorial holds" in said
        assert served.stop() == 0


@pytest.mark.parametrize("transport", ["native", "grpcio"])
@pytest.mark.parametrize("release", WITH_CLIENT)
def test_everyday_use_holds(release: str, transport: str, tmp_path: Path) -> None:
    """MilvusClient and, where there is one, AsyncMilvusClient."""
    python = _python(release)
    with serve(tmp_path / "data", "--transport", transport) as served:
        said = _run(python, "everyday.py", served.host, served.port, cwd=tmp_path)
        assert f"pymilvus {release}: everyday use holds" in said
        assert served.stop() == 0
