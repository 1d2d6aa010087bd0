"""That the reference page names everything the code knows, and nothing else."""

from __future__ import annotations

import runpy

from elanus import errors
from elanus.index.registry import KINDS
from elanus.schema.types import DataType
from repository.sources import ROOT

PAGE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says() -> None:
    """The committed page is the generated one; otherwise run `make reference`."""
    assert runpy.run_path(str(ROOT / "docs/make_reference.py"))["page"]() == PAGE


def test_the_page_is_complete() -> None:
    """Every data type, index kind and error class has its row."""
    names = [*DataType.__members__, *KINDS, *_errors()]
    assert len(names) > 40
    assert [name for name in names if f"\n| `{name}` |" not in PAGE] == []


def _errors() -> list[str]:
    found = vars(errors).values()
    return [
        item.__name__
        for item in found
        if isinstance(item, type) and issubclass(item, errors.ElanusError)
    ]
