"""Damaged files: the right answer or an error that names the file, never anything else.

Every case runs in a process of its own (``faults.damage``), whose death is a failure.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from elanus.cli import main
from faults.damage import files_of, make_template

TESTS = Path(__file__).parents[1]
WAYS = ("before_opening", "while_open")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A closed database with a file of every kind."""
    root = tmp_path_factory.mktemp("template") / "db"
    make_template(root, root.with_name("unclosed"))
    yield root


def break_files(
    template: Path,
    scratch: Path,
    way: str,
    *numbers: object,
    names: list[str] | None = None,
) -> int:
    """Try damages; returns how many.

    Args:
        numbers: flips in 4 KiB, seed, and share of the damages to try.
        names: of the files; all of them by default.
    """
    command = [sys.executable, "-m", "faults.damage", template, scratch, way]
    done = subprocess.run(
        [*map(str, [*command, *numbers]), *(names or [])],
        cwd=TESTS,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    failures = [line for line in lines if line.startswith("FAIL")]
    assert not failures, "\n".join(failures)
    last = lines[-1] if lines else "no case"
    assert done.returncode == 0, f"died at: {last}\n{done.stderr[-3000:]}"
    return int(last.removeprefix("done "))


def test_the_template_has_every_kind_of_file(template: Path) -> None:
    """So that no kind goes untested."""
    kinds = {
        name.rpartition("/")[2].rstrip("0123456789") for name in files_of(template)
    }
    kinds = {"log" if kind.endswith(".log") else kind for kind in kinds}
    kinds = {"deletes" if kind.startswith("deletes-") else kind for kind in kinds}
    assert kinds == {
        "deletes",
        "elanus.json",
        "log",
        "main",
        "main.sketch",
        "meta.db",
        "meta.json",
        "pk.arrow",
        "scalars.arrow",
        "vector_101.arrow",
        "vector_103.arrow",
    }


@pytest.mark.parametrize("way", WAYS)
def test_damage_is_noticed(template: Path, quick: Path, way: str) -> None:
    """A sample of damages to each file."""
    cases = break_files(template, quick / "scratch", way, 1, 7, 0.04)
    assert cases >= len(files_of(template))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
def test_damage_anywhere_is_noticed(template: Path, quick: Path, way: str) -> None:
    """Two bits in every 4 KiB of each file, its ends, truncations, and its loss."""
    break_files(template, quick / "scratch", way, 2, 7, 1.0)


@pytest.mark.parametrize(
    "flips", [10, pytest.param(500, marks=pytest.mark.slow)], ids=str
)
def test_damage_to_the_log_of_a_killed_process_is_noticed(
    template: Path, quick: Path, flips: int
) -> None:
    """The last acknowledged record too, which no clean end speaks for."""
    unclosed = template.with_name("unclosed")
    logs = [name for name in files_of(unclosed) if name.startswith("log/")]
    assert logs
    way = "flipped_before_opening"
    break_files(unclosed, quick / "scratch", way, flips, 3, 1.0, names=logs)


def test_check_prints_every_damage(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several damages at once are all named; a sound folder is called sound."""
    root = tmp_path / "db"
    shutil.copytree(template, root)
    assert main(["check", str(root)]) == 0
    assert "sound" in capsys.readouterr().out
    # a damaged description hides which files belong to its segment
    broken = [n for n in files_of(root) if not n.endswith(("meta.json", "meta.db"))]
    for name in broken:
        content = bytearray((root / name).read_bytes())
        content[len(content) // 2] ^= 4
        (root / name).write_bytes(content)
    assert main(["check", str(root)]) == 1
    printed = capsys.readouterr().out
    for name in broken:
        assert name in printed, f"{name} is not in:\n{printed}"
