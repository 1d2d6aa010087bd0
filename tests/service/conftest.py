"""A service on an empty database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A service on an empty database, closed at the end."""
    opened = Stage(tmp_path / "db")
    yield opened
    opened.close()
