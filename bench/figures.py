"""What a benchmark reports, and how it is written down."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        subject: the benchmark it belongs to.
        name: what was measured.
        value: the result, in ``unit``.
        unit: ``×`` for a ratio to the peer, else a physical unit.
        bar: the value that passes; ``None`` when the figure only informs.
        at_least: whether the bar is a minimum, else it is a maximum.
        note: the peer, and the absolute values behind a ratio.
        comparable: whether the bar is meant for this scale; small data only informs.
    """

    subject: str
    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = True
    note: str = ""
    comparable: bool = True

    @property
    def verdict(self) -> str:
        """``pass`` or ``MISS`` where there is a bar for this scale, else nothing."""
        if self.bar is None or not self.comparable:
            return ""
        passed = self.value >= self.bar if self.at_least else self.value <= self.bar
        return "pass" if passed else "MISS"

    @property
    def shown_bar(self) -> str:
        """The bar with its direction and unit."""
        if self.bar is None:
            return ""
        return (
            f"{'≥' if self.at_least else '≤'} {_number(self.bar)} {self.unit}".strip()
        )

    def row(self) -> list[str]:
        """The cells of this figure in a table."""
        value = f"{_number(self.value)} {self.unit}".strip()
        return [self.subject, self.name, value, self.shown_bar, self.verdict, self.note]


_HEADINGS = ["", "figure", "measured", "bar", "", "beside it"]


def markdown(figures: Sequence[Figure]) -> str:
    """A Markdown table of the figures, its columns aligned."""
    rows = [_HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADINGS))]
    lines = [
        _line([c.ljust(w) for c, w in zip(row, widths, strict=True)]) for row in rows
    ]
    lines.insert(1, _line(["-" * max(width, 3) for width in widths]))
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Where the figures were measured, as far as it matters to them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write(figures: Sequence[Figure], folder: Path, scale: str) -> Path:
    """Write ``figures.json`` and ``figures.md`` into the folder; the first's path."""
    folder.mkdir(parents=True, exist_ok=True)
    found = machine()
    body = {
        "scale": scale,
        "machine": found,
        "figures": [asdict(f) | {"verdict": f.verdict} for f in figures],
    }
    path = folder / "figures.json"
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    (folder / "figures.md").write_text(f"{markdown(figures)}\n\n{sentence(found)}\n")
    return path


def sentence(found: dict[str, Any]) -> str:
    """The machine in words."""
    return (
        f"Measured on {found['cores']} cores ({found['processor']}), "
        f"{found['memory_gib']} GiB, Python {found['python']}."
    )


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
