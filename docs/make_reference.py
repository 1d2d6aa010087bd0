"""Writes ``docs/reference.md`` from the tables in the code: ``make reference``.

Owns the wording of the page only. Every row comes from the place that the code itself
reads, so the page cannot say anything else; a test compares the two.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from elanus import errors
from elanus.config import Settings
from elanus.distance.metrics import METRICS
from elanus.index.choices import Choice, Switch
from elanus.index.params import (
    BUILD_CHOICES,
    BUILD_PARAMETERS,
    EFFORT_PARAMETERS,
    INT_MAX,
    REFINING_PARAMETERS,
    Parameter,
)
from elanus.index.registry import KINDS
from elanus.schema.limits import LIMITS
from elanus.schema.types import TYPES

PAGE = Path(__file__).with_name("reference.md")
_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.*)$")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def data_types() -> str:
    """One row per data type."""

    def mark(yes: bool) -> str:
        return "yes" if yes else ""

    return table(
        ["type", "number", "primary key", "default", "in an array", "metrics"],
        (
            (
                f"`{dtype.name}`",
                int(dtype),
                mark(row.can_be_pk),
                mark(row.can_default),
                mark(row.can_be_element),
                ", ".join(row.vector.metrics) if row.vector else "",
            )
            for dtype, row in TYPES.items()
        ),
    )


def metrics() -> str:
    """One row per metric."""
    return table(
        ["metric", "nearer is", "vectors"],
        (
            (
                f"`{metric.name}`",
                "larger" if row.larger_is_better else "smaller",
                f"as {row.of_each}, of lists: for each vector of the query the nearest"
                if row.of_each
                else "brought to unit length"
                if row.normalises
                else "as given",
            )
            for metric, row in METRICS.items()
        ),
    )


def indexes() -> str:
    """One row per index kind."""

    def effort(kind: str) -> str:
        parameter = EFFORT_PARAMETERS[kind]
        return _parameter(parameter) if parameter else ""

    return table(
        ["index", "built with", "searched with"],
        (
            (
                f"`{kind}`",
                "; ".join(
                    [
                        *(_parameter(p) for p in BUILD_PARAMETERS[kind]),
                        *(_choice(c) for c in BUILD_CHOICES.get(kind, ())),
                    ]
                ),
                "; ".join(
                    [
                        effort(kind),
                        *(f"`{p.name}`" for p in REFINING_PARAMETERS.get(kind, ())),
                    ]
                ),
            )
            for kind in KINDS
        ),
    )


def limit_rows() -> str:
    """One row per limit."""
    return table(
        ["limit", "value", "what it bounds", "Milvus' setting"],
        (
            (
                f"`{name}`",
                f"{limit:,}",
                limit.bounds,
                f"`{limit.setting}`" if limit.setting else "",
            )
            for name, limit in LIMITS.items()
        ),
    )


def settings() -> str:
    """One row per setting, explained by the docstring of its class."""
    meaning: dict[str, str] = {}
    current = ""
    for line in (Settings.__doc__ or "").splitlines():
        if match := _ATTRIBUTE.match(line):
            current = match[1]
            meaning[current] = match[2]
        elif current and line.strip():
            meaning[current] += f" {line.strip()}"
    return table(
        ["setting", "default", "meaning"],
        (
            (
                f"`{f.name}`",
                "" if f.default is None else f"{f.default:,}",
                meaning[f.name],
            )
            for f in fields(Settings)
        ),
    )


def error_rows() -> str:
    """One row per error, parents before children."""

    def below(parent: type[errors.ElanusError]) -> Iterator[type[errors.ElanusError]]:
        yield parent
        for child in parent.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from below(child)

    return table(
        ["error", "kind of", "code", "repeat it", "meaning"],
        (
            (
                f"`{error.__name__}`",
                f"`{error.__base__.__name__}`",
                error.code,
                "yes" if error.retriable else "",
                inspect.cleandoc(error.__doc__ or "")
                .split("\n\n")[0]
                .replace("\n", " "),
            )
            for error in below(errors.ElanusError)
        ),
    )


def page() -> str:
    """The whole page."""
    return f"""# Reference

Written by `make reference` from the tables in the code; do not edit it here.

## Data types

{data_types()}

## Metrics

{metrics()}

## Indexes

{indexes()}

A parameter reads: name, allowed range, default. `ef` and `nprobe` are floors: a
filtered search tries harder by itself. In their place every kind takes `recall_target`,
more than 0 to 1.0: the share of the true rows to be found ([more](recall.md)). Whatever
an index names is measured on the rows themselves, so `refine`, `refine_type`,
`with_raw_data`, `refine_k`, `reorder_k` and `rbq_bits_query` are checked and change
nothing. HNSW_PQ builds with fewer `nbits` where its tables would exceed 256 MiB: 10 for
`m` = 32.

### Indexes of scalars

They change no answer: a filter uses one where it is quicker than a scan, leaf by leaf,
which [an explanation](explain.md) shows. What is built goes by the values, not by the
kind.

- `STL_SORT`, `TRIE`, `INVERTED`, `BITMAP` of scalars: comparisons, ranges, `in`,
  prefixes; patterns and remainders once for each distinct value.
- `INVERTED`, `BITMAP` of arrays and members of structs: `array_contains` and its kin,
  conditions on one element, `$[...]` in `match_*`.
- `NGRAM` with `min_gram` and `max_gram`, of VARCHAR and JSON: `==`, `like`, `=~` with
  a literal of at least `min_gram` bytes.
- `INVERTED`, `BITMAP`, `STL_SORT` of JSON with `json_cast_type` and `json_path`:
  conditions on values of that type, `json_contains` and its kin, `exists`.
- `RTREE` of GEOMETRY: all spatial conditions but `st_isvalid`.
- `AUTOINDEX` of all of these: the same.

## Settings

How one open database behaves. Sizes in bytes, ages in seconds. The defaults suit a
laptop and a small server.

{settings()}

## Limits

Milvus' defaults. The settings `max_databases` and `max_collections` change two of them.

{limit_rows()}

## Errors

All are in `elanus.errors`. The code is the one that Milvus' clients know.

{error_rows()}
"""


def _parameter(parameter: Parameter) -> str:
    high = f"to {parameter.high:,}" if parameter.high < INT_MAX else "and more"
    default = "" if parameter.default is None else f", {parameter.default}"
    return f"`{parameter.name}`, {parameter.low} {high}{default}"


def _choice(choice: Choice | Switch) -> str:
    if isinstance(choice, Switch):
        return f"`{choice.name}`, {'true' if choice.default else 'false'}"
    names = [value.upper() for value in choice.values]
    return f"`{choice.name}`, {' '.join(names)}, {names[choice.default]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
