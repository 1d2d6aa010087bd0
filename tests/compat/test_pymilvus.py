"""Programs that newcomers write, under every pymilvus, against ``elanus serve``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.environments import (
    RELEASES,
    IndexUnreachable,
    is_made,
    python_with,
    uv_program,
)
from serving.process import serve, unused_port

PROGRAMS = Path(__file__).parent / "programs"
PROGRAM_SECONDS = 200.0
# A hundred thousand rows where the protocol began and where it is, over the default
# transport; the others differ in what they send, not in how much.
MANY_ROWS = 100_000
FEWER_ROWS = 5_000
TRANSPORTS = ("native", "grpcio")
# MilvusClient came with 2.2.9.
WITH_CLIENT = tuple(r for r in RELEASES if not r.startswith(("2.0.", "2.1.")))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


Python = Callable[[str], Path]


@pytest.fixture(scope="module")
def python() -> Python:
    """Gives the interpreter of a release; skips what cannot be installed."""
    silent: list[IndexUnreachable] = []

    def of_release(release: str) -> Path:
        if not is_made(release):
            if silent:  # asked once is enough: each attempt takes long to fail
                pytest.skip(f"the package index does not answer: {silent[0]}")
            if uv_program() is None:
                pytest.skip("uv, which makes the environments, is not installed")
        try:
            return python_with(release)
        except IndexUnreachable as reason:
            silent.append(reason)
            pytest.skip(f"the package index does not answer: {reason}")

    return of_release


def _run(interpreter: Path, program: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(interpreter), str(PROGRAMS / program), *arguments],
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        cwd=cwd,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("release", RELEASES)
def test_the_tutorial_holds(
    python: Python, release: str, transport: str, tmp_path: Path
) -> None:
    """Connect, create, insert, index, load, search, release, drop; Milvus' errors."""
    interpreter = python(release)
    with serve(tmp_path / "data", "--transport", transport) as served:
        is_ends = transport == TRANSPORTS[0] and release in (RELEASES[0], RELEASES[-1])
        rows = MANY_ROWS if is_ends else FEWER_ROWS
        arguments = (served.host, served.port, str(unused_port()), str(rows))
        said = _run(interpreter, "tutorial.py", *arguments, cwd=tmp_path)
        assert f"pymilvus {release}: the tutorial holds" in said
        assert served.stop() == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("release", WITH_CLIENT)
def test_everyday_use_holds(
    python: Python, release: str, transport: str, tmp_path: Path
) -> None:
    """MilvusClient and, where there is one, AsyncMilvusClient."""
    interpreter = python(release)
    with serve(tmp_path / "data", "--transport", transport) as served:
        said = _run(interpreter, "everyday.py", served.host, served.port, cwd=tmp_path)
        assert f"pymilvus {release}: everyday use holds" in said
        assert served.stop() == 0


@pytest.mark.parametrize("release", RELEASES)
def test_alterations_hold(python: Python, release: str, tmp_path: Path) -> None:
    """Partition keys, properties and added fields, by the release's own calls."""
    interpreter = python(release)
    with serve(tmp_path / "data") as served:
        said = _run(
            interpreter, "alterations.py", served.host, served.port, cwd=tmp_path
        )
        assert f"pymilvus {release}: alterations hold" in said
        assert served.stop() == 0
