"""The example notebooks as committed; ``make notebooks`` executes them."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from repository.sources import ROOT
from repository.test_texts import FOREIGN

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
LIMIT_BYTES = 400 * 1024
PNG = b"\x89PNG\r\n\x1a\n"

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook, in order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def outputs(path: Path) -> list[dict[str, Any]]:
    """Everything that the cells of a notebook showed."""
    return [output for cell in code_cells(path) for output in cell["outputs"]]


def pictures(path: Path) -> list[bytes]:
    """The PNG files that a notebook showed."""
    data = [output.get("data", {}) for output in outputs(path)]
    return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]


def without_pictures(path: Path) -> str:
    """A notebook's JSON without its pictures, whose letters mean nothing."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    return json.dumps(notebook, ensure_ascii=False)


def test_there_are_two() -> None:
    """Semantic search and recommendation each have a notebook."""
    assert [path.stem for path in NOTEBOOKS] == ["recommendation", "semantic_search"]


@each
def test_it_was_executed_from_top_to_bottom(path: Path) -> None:
    """Every code cell ran once, in the order in which the cells stand."""
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert len(counts) >= 8
    assert counts == list(range(1, len(counts) + 1))


@each
def test_it_shows_results_and_no_error(path: Path) -> None:
    """There are outputs; none is an error, a warning or a log line."""
    shown = outputs(path)
    assert len(shown) >= 5
    assert [o for o in shown if o["output_type"] == "error"] == []
    assert [o for o in shown if o.get("name") == "stderr"] == []


@each
def test_its_picture_is_the_one_of_the_readme(path: Path) -> None:
    """The last picture lies in `docs/pictures`, and the README shows it."""
    picture = f"docs/pictures/{path.stem}.png"
    assert pictures(path)[-1].startswith(PNG)
    assert pictures(path)[-1] == (ROOT / picture).read_bytes()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"({picture})" in readme
    assert f"(examples/{path.name})" in readme


@each
def test_it_is_small_and_names_no_machine(path: Path) -> None:
    """Less than 400 KiB, and no folder of the machine that executed it."""
    assert path.stat().st_size < LIMIT_BYTES
    text = without_pictures(path)
    assert FOREIGN.findall(text) == []
    assert str(ROOT) not in text


@each
def test_what_it_tells_people_to_install_exists(path: Path) -> None:
    """The extras of its ``pip install`` lines are extras of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = without_pictures(path)
    named = [part.split("]")[0] for part in text.split("install '.[")[1:]]
    assert named
    for extras in named:
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
