"""The figures of a run as a table of ratios, and the bars that they are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bench.peers.clients import CLIENTS

# Figures of one server by name: a value per round.
Figures = Mapping[str, list[float]]
OURS, MILVUS = "elanus", "milvus"
AUTO = "elanus-auto"  # ours with the index that it chooses by itself


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        more_is_better: how the ratio to a peer is taken: always so that more is better.
        bar: least ratio to Milvus.
        bars: least ratios to others by name.
        most: largest value of ours.
        is_absolute: no ratio is shown, as for recall.
        is_detail: left out of a short table.
        is_best: the bar is for the better of our two.
    """

    name: str
    title: str
    unit: str
    more_is_better: bool = True
    bar: float | None = None
    bars: Mapping[str, float] = field(default_factory=dict)
    most: float | None = None
    is_absolute: bool = False
    is_detail: bool = False
    is_best: bool = False


_TIMES = {"p50": "p50", "p99": "p99", "cpu": "server CPU"}


def _searches() -> list[Line]:
    lines = []
    for wanted in (0.95, 0.99):
        for clients in (1, CLIENTS):
            key = f"search_{wanted}_{clients}"
            who = "1 client" if clients == 1 else f"{clients} clients"
            bar = 2.2 if wanted == 0.99 else None
            less = wanted != 0.99
            lines += [
                Line(f"{key}_qps", f"search, recall {wanted}, {who}", "/s", bar=bar),
                *(
                    Line(
                        f"{key}_{name}_ms", f"its {title}", "ms", False, is_detail=less
                    )
                    for name, title in _TIMES.items()
                ),
                Line(f"{key}_recall", "its recall", "", is_absolute=True),
            ]
    return lines


def _writes() -> list[Line]:
    lines = []
    for dim in (384, 768):
        name, what = f"insert_{dim}", f"insert {dim} floats and 3 scalars"
        bars = {"milvus-lite": 4.0, "parser": 0.8}
        lines += [
            Line(f"{name}_rows_s", what, "rows/s", bar=1.4, bars=bars),
            Line(f"{name}_ms", "its p50 of 1,000 rows", "ms", False, is_detail=True),
            Line(f"{name}_cpu_us", "its server CPU per row", "µs", False, bars=_TWICE),
        ]
    for kind, bar in (("upsert", 1.2), ("delete", 1.0)):
        name = f"{kind}_384"
        lines += [
            Line(f"{name}_rows_s", f"{kind} by 1,000 keys", "rows/s", bar=bar),
            Line(f"{name}_cpu_us", "its server CPU per key", "µs", False),
        ]
    return lines


def _filtered() -> list[Line]:
    lines = []
    for share in (0.5, 0.1, 0.01, 0.001):
        title = f"filter that {share:.4g} pass, 1 client"
        lines += [
            Line(f"filtered_{share}_qps", title, "/s", bar=3.0, is_best=True),
            Line(f"filtered_{share}_recall", "its recall", "", is_absolute=True),
        ]
    return lines


_TWICE = {"copied twice": 1.0}
LINES = [
    *_writes(),
    Line("insert_rows_s", "insert, acknowledged", "rows/s", bar=1.0),
    Line("insert_cpu_us", "its server CPU per row", "µs", more_is_better=False),
    Line("searchable_s", "until all are found", "s", more_is_better=False),
    Line("build_s", "flush and build", "s", more_is_better=False),
    *_searches(),
    *_filtered(),
    Line("get_qps", "get of 10 ids, 1 client", "/s", bar=2.0),
    Line("query_qps", "query by filter, 1 client", "/s", bar=2.0),
    Line("count_qps", "count(*), 1 client", "/s", bar=2.0),
    Line("filtered_count_qps", "count by filter, 1 client", "/s", bar=2.0),
    Line("bulk_qps", "1,000 queries in a call", "calls/s", bar=2.0),
    Line(
        "beside_bulk_p99_ms",
        "p99 beside a client of nq = 1,000",
        "ms",
        more_is_better=False,
        most=5.0,
    ),
    Line("start_s", "start on an empty folder", "s", more_is_better=False, most=1.0),
    Line("cold_start_s", "start to first answer", "s", more_is_better=False, most=1.5),
    Line("idle_cores", "cores while idle", "", is_absolute=True),
    Line("rss_mib", "memory (RSS)", "MiB", more_is_better=False),
    Line("pss_mib", "memory (PSS)", "MiB", more_is_better=False),
    Line("disk_mib", "disk", "MiB", more_is_better=False),
]


def table(
    results: Mapping[str, Figures], is_full: bool, with_details: bool = True
) -> str:
    """A Markdown table: a column per server, those of peers with the ratio to them."""
    peers = [name for name in results if name != OURS]
    head = ["", OURS, *peers, "bar", ""]
    rows = [
        [*_cells(line, results, peers), *_verdict(line, results, is_full)]
        for line in LINES
        if with_details or not line.is_detail
    ]
    rows = [row for row in rows if any(row[1:-2])]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    shown = [head, ["-" * max(3, width) for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in shown
    )


def misses(results: Mapping[str, Figures], is_full: bool) -> list[str]:
    """Titles of the lines whose bar is missed."""
    return [
        line.title for line in LINES if _verdict(line, results, is_full)[1] == "MISS"
    ]


def _value(line: Line, figures: Figures) -> float | None:
    values = figures.get(line.name)
    return None if not values else float(np.median(values))


def _ratio(line: Line, ours: float, theirs: float) -> float:
    if line.more_is_better:
        return ours / theirs
    return theirs / ours


def _cells(line: Line, results: Mapping[str, Figures], peers: list[str]) -> list[str]:
    ours = _value(line, results.get(OURS, {}))
    cells = [line.title, _shown(ours, line.unit)]
    for peer in peers:
        theirs = _value(line, results[peer])
        text = _shown(theirs, line.unit)
        if ours and theirs and not line.is_absolute and peer != AUTO:
            text = f"{_number(_ratio(line, ours, theirs))} × ({text})"
        cells.append(text)
    return cells


def _verdict(
    line: Line, results: Mapping[str, Figures], is_full: bool
) -> tuple[str, str]:
    ours = _value(line, results.get(OURS, {}))
    if line.is_best:
        ours = max(ours or 0.0, _value(line, results.get(AUTO, {})) or 0.0)
    if line.most is not None:
        bar, passed = (
            f"≤ {line.most:g} {line.unit}",
            ours is not None and (ours <= line.most),
        )
        return bar, ("pass" if passed else "MISS") if is_full and ours else ""
    bars = dict(line.bars) if line.bar is None else {MILVUS: line.bar, **line.bars}
    text = ", ".join(f"≥ {bar:g} × {name}" for name, bar in bars.items())
    theirs = {name: _value(line, results.get(name, {})) for name in bars}
    known = {name: value for name, value in theirs.items() if value}
    if not is_full or not ours or not known:
        return text, ""
    passed = all(_ratio(line, ours, known[name]) >= bars[name] for name in known)
    return text, "pass" if passed else "MISS"


def _shown(value: float | None, unit: str) -> str:
    if value is None or np.isnan(value):
        return ""
    gap = "" if unit.startswith("/") else " "
    return f"{_number(value)}{gap}{unit}".strip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
