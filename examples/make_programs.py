"""Make ``data/programs.parquet`` and ``data/functions.parquet`` from CPython itself.

Owns how these two were drawn, so that anybody can repeat it; the committed ones come
from CPython 3.13.0 on Linux:

    python3.13 examples/make_programs.py     # needs pyarrow

A *program* is a file of Python's standard library or of its tests. It *uses* a function
(or a class, or a constant) of the library when it names one that it imported,
``os.path.join`` or ``join`` after ``from os.path import join``. Files are parsed, never
run. Kept are the functions that at least ``FEWEST_PROGRAMS`` programs use, and the
programs that use at least ``FEWEST_FUNCTIONS`` of them; testing and typing tools, which
half of all files name, and the generated tables of ``encodings`` are left out.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "data"
FEWEST_PROGRAMS = 5
FEWEST_FUNCTIONS = 6
# The import of some of these opens a window or a browser.
MODULES_LEFT_OUT = {"__future__", "antigravity", "idlelib", "test", "this", "turtle"}
MODULES_LEFT_OUT |= {"typing", "unittest"}
FOLDERS_LEFT_OUT = {"site-packages", "__pycache__", "encodings", "turtledemo"}


class Uses(ast.NodeVisitor):
    """The dotted names of the standard library that one file names.

    Attributes:
        names: ``os.path.join``, as the file could import it.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._meaning: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        """Note what ``import a.b`` and ``import a.b as c`` bind."""
        for alias in node.names:
            top = alias.name.split(".")[0]
            self._meaning[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note what ``from a import b`` binds; relative imports are the file's own."""
        if node.level == 0 and node.module:
            for alias in node.names:
                self._meaning[alias.asname or alias.name] = (
                    f"{node.module}.{alias.name}"
                )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take the longest dotted name, and look inside calls and subscripts."""
        parts = [node.attr]
        target: ast.expr = node.value
        while isinstance(target, ast.Attribute):
            parts.append(target.attr)
            target = target.value
        if isinstance(target, ast.Name):
            self._add(target.id, parts[::-1])
        else:
            self.visit(target)

    def visit_Name(self, node: ast.Name) -> None:
        """Take a name that was imported from a module."""
        self._add(node.id, [])

    def _add(self, first: str, rest: list[str]) -> None:
        if first in self._meaning:
            self.names.add(".".join([self._meaning[first], *rest]))


def files(library: Path) -> Iterator[Path]:
    """Every Python file of the standard library, in a fixed order."""
    for path in sorted(library.rglob("*.py")):
        folders = path.relative_to(library).parts[:-1]
        if not FOLDERS_LEFT_OUT.intersection(folders) and "config-" not in str(folders):
            yield path


def names_used(path: Path) -> set[str]:
    """The names of the library that a file uses; none when it does not parse."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    uses = Uses()
    # Imports inside functions bind names that stand above them in the walk.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            uses.visit(node)
    uses.visit(tree)
    return uses.names


class Library:
    """Looks names up in the running interpreter's standard library."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str, str] | None] = {}

    def canonical(self, name: str) -> str | None:
        """The part of a name that a module of the library defines; or nothing.

        ``sys.stdout`` for ``sys.stdout.write``; nothing for private names.
        """
        parts = name.split(".")
        if any(part.startswith("_") for part in parts):
            return None
        if parts[0] not in sys.stdlib_module_names - MODULES_LEFT_OUT:
            return None
        for end in range(len(parts), 1, -1):
            found = ".".join(parts[:end])
            if self.describe(found):
                return found
        return None

    def describe(self, name: str) -> tuple[str, str, str] | None:
        """Module, kind and first line of documentation of what a module defines."""
        if name not in self._found:
            self._found[name] = self._look_up(name)
        return self._found[name]

    def _look_up(self, name: str) -> tuple[str, str, str] | None:
        module_name, _, last = name.rpartition(".")
        try:
            with warnings.catch_warnings(action="ignore"):
                thing = getattr(importlib.import_module(module_name), last, None)
        except ImportError:
            return None
        if thing is None or inspect.ismodule(thing):
            return None
        return module_name, _kind(thing), _first_line(thing)


def _kind(thing: Any) -> str:
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if callable(thing) else "constant"


def _first_line(thing: Any) -> str:
    if not callable(thing):
        return ""
    lines = (inspect.getdoc(thing) or "").splitlines()
    text = [line.strip() for line in lines if line.strip()]
    return text[0][:120] if text else ""


def draw(uses_by_path: dict[str, set[str]]) -> tuple[list[str], dict[str, set[str]]]:
    """The kept functions, by name, and the kept programs with what they use."""
    counts = Counter(name for uses in uses_by_path.values() for name in uses)
    kept = {name for name, count in counts.items() if count >= FEWEST_PROGRAMS}
    programs = {path: uses & kept for path, uses in uses_by_path.items()}
    large = {p: uses for p, uses in programs.items() if len(uses) >= FEWEST_FUNCTIONS}
    return sorted({name for uses in large.values() for name in uses}), large


def main() -> None:
    """Parse the library, write the two files."""
    library, root = Library(), Path(sysconfig.get_path("stdlib"))
    uses_by_path = {}
    for path in files(root):
        names = {library.canonical(name) for name in names_used(path)} - {None}
        uses_by_path[f"Lib/{path.relative_to(root).as_posix()}"] = names
    names, programs = draw(uses_by_path)
    id_by_name = {name: number for number, name in enumerate(names)}
    counts = Counter(name for uses in programs.values() for name in uses)
    rows = [(n, *library.describe(n), counts[n]) for n in names]
    columns = ["name", "module", "kind", "description", "programs"]
    functions = {"id": pa.array(range(len(names)), pa.int64())}
    functions |= {c: [row[at] for row in rows] for at, c in enumerate(columns)}
    uses = [sorted(id_by_name[name] for name in used) for used in programs.values()]
    table = {"path": list(programs), "uses": pa.array(uses, pa.list_(pa.int32()))}
    for stem, content in {"functions": functions, "programs": table}.items():
        out = OUT / f"{stem}.parquet"
        pq.write_table(pa.table(content), out, compression="zstd", compression_level=19)
        print(
            f"{out.name}: {len(content['id' if stem == 'functions' else 'path'])} rows"
        )


if __name__ == "__main__":
    main()
