"""The committed files, and the functions in the Python ones."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = {".parquet", ".png", ".db", ".binpb"}
GENERATED = {"uv.lock", "LICENSE"}


@dataclass(frozen=True)
class Function:
    """A function and where it stands, as ``path:line name``."""

    place: str
    lines: int


def committed() -> list[Path]:
    """Files that are, or could be, committed: everything that git does not ignore."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = {ROOT / name for name in listing.split("\0") if name}
    return sorted(path for path in paths if path.is_file())


def texts() -> list[Path]:
    """Committed files that people wrote."""
    return [
        path
        for path in committed()
        if path.suffix not in BINARY and path.name not in GENERATED
    ]


def modules(folder: str) -> list[Path]:
    """Committed Python files below a folder of the repository."""
    below = ROOT / folder
    return [p for p in committed() if p.suffix == ".py" and p.is_relative_to(below)]


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> list[Function]:
    """Every function of a Python file, with its length from ``def`` to its end."""
    shown = path.relative_to(ROOT)
    return [
        Function(f"{shown}:{node.lineno} {node.name}", _length(node))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def called(node: ast.Call) -> str:
    """The dotted name that a call names, ``np.random.default_rng``; else nothing."""
    parts: list[str] = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        return ""
    return ".".join([target.id, *reversed(parts)])


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    end = node.end_lineno
    assert end is not None
    return end - node.lineno + 1
