"""What the house rules ask of the code and no linter counts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from repository.sources import ROOT, called, committed, functions, modules, parsed

LINES = {"src": 600, "bench": 600, "examples": 600, "tests": 800}
FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
# Ways to open a file. Index libraries get a verified path from `storage` and open it.
OPENING = {
    "open",
    "io.open",
    "os.open",
    "mmap.mmap",
    "np.memmap",
    "np.load",
    "np.save",
    "np.fromfile",
    "pa.memory_map",
    "pa.OSFile",
    "sqlite3.connect",
}
MAY_OPEN = ("src/elanus/storage/", "src/elanus/cli.py")


@pytest.mark.parametrize(("folder", "limit"), LINES.items())
def test_a_file_can_be_read_in_one_sitting(folder: str, limit: int) -> None:
    """No Python file is longer than its folder's limit."""
    lines = {str(p.relative_to(ROOT)): _line_count(p) for p in modules(folder)}
    assert {name: count for name, count in lines.items() if count > limit} == {}


def test_a_function_fits_on_a_screen() -> None:
    """No function is longer than 60 lines."""
    found = [f for folder in LINES for p in modules(folder) for f in functions(p)]
    assert len(found) > 50
    assert [f"{f.place}: {f.lines}" for f in found if f.lines > FUNCTION_LINES] == []


def test_a_name_says_what_is_inside() -> None:
    """No file or folder has one of the names that say nothing."""
    found = [
        str(path.relative_to(ROOT))
        for path in committed()
        if {path.stem, *path.relative_to(ROOT).parts} & FORBIDDEN_NAMES
    ]
    assert found == []


def test_only_storage_opens_files() -> None:
    """Code above the storage layer gets bytes and arrays, it opens no file itself."""
    found = [
        f"{shown}:{node.lineno} {called(node)}"
        for path in modules("src")
        if not (shown := str(path.relative_to(ROOT))).startswith(MAY_OPEN)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and called(node) in OPENING
    ]
    assert found == []


def test_randomness_has_a_seed() -> None:
    """Every random generator is made from a seed, so that a run can be repeated."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in LINES
        for path in modules(folder)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and called(node).endswith("default_rng")
        and not (node.args or node.keywords)
    ]
    assert found == []


def _line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
