"""That texts and code agree, and that both make sense on another machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from repository.sources import ROOT, texts

# In pieces, so that this file does not find itself.
FOREIGN = re.compile(
    "|".join(
        [
            "/" + r"work/",
            "/" + r"root/",
            "/" + r"home/\w",
            "/" + r"Users/\w",
            "/" + r"tmp/\w",
            r"\bissue" + r" #?\d+\b",
            r"\bmilestone" + r" \d+\b",
        ]
    ),
    re.IGNORECASE,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
MAKE = re.compile(r"`make ([a-z-]+)|^ {4}make ([a-z-]+)", re.MULTILINE)
FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|fixed|removed|security)\.md")


def pages() -> list[Path]:
    """Committed Markdown files."""
    return [path for path in texts() if path.suffix == ".md"]


def test_no_text_speaks_of_one_machine() -> None:
    """Committed files name no folder of a developer's machine and no ticket number."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if (match := FOREIGN.search(line))
    ]
    assert found == []


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file or a folder that exists."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target, _ in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_commands_of_the_pages_exist() -> None:
    """Every `make` command that a page names is a target."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = {
        first or second
        for page in pages()
        for first, second in MAKE.findall(page.read_text(encoding="utf-8"))
    }
    assert named - targets == set()
    assert {"demo", "test", "check", "bench"} <= named


def test_dependencies_have_reasons() -> None:
    """A comment stands before every run-time dependency in `pyproject.toml`."""
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("dependencies = [", 1)[1].split("]", 1)[0]
    lines = [line.strip() for line in block.strip().splitlines()]
    declared = tomllib.loads(text)["project"]["dependencies"]
    assert len(declared) >= 5
    for before, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or before.startswith("#"), f"{line} has no reason"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "changelog.d").iterdir()), ids=lambda path: path.name
)
def test_changelog_fragments_can_be_collected(path: Path) -> None:
    """A fragment is named `<what>.<kind>.md` and is not empty."""
    assert path.name == "README.md" or FRAGMENT.fullmatch(path.name)
    assert path.read_text(encoding="utf-8").strip()
