"""That the page on compatibility names every method, and says what the code does."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from elanus.schema.types import TYPES
from elanus.server.grpc.handlers import HANDLERS
from elanus.server.grpc.messages import METHODS
from repository.sources import ROOT

PAGE = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The script that writes the table."""
    return runpy.run_path(str(ROOT / "docs/make_compatibility.py"))


def test_the_page_is_what_the_code_says(script: dict[str, Any]) -> None:
    """The committed page is the generated one; otherwise run `make reference`."""
    assert script["page"]() == PAGE


def test_every_method_has_its_row() -> None:
    """All of the protocol's, once; the built ones are called done."""
    assert len(METHODS) == 144
    for method in METHODS:
        rows = [row for row in PAGE.splitlines() if row.startswith(f"| {method} |")]
        assert len(rows) == 1
        assert ("| done |" in rows[0]) == (method in HANDLERS)


def test_every_type_has_its_row() -> None:
    """All of the protocol's; those that can be stored are called done."""
    for dtype, row in TYPES.items():
        assert f"\n| {row.name} | {int(dtype)} | done |" in PAGE
    for name in ("String", "Mol", "Decimal"):
        assert f"\n| {name} | " in PAGE


def test_remarks_are_on_methods(script: dict[str, Any]) -> None:
    """A remark on what is no method would be lost."""
    assert set(script["REMARKS"]) <= set(METHODS)
